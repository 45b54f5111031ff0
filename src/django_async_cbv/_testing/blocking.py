"""Find what blocks the event loop in tests, and fail them at their end."""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from types import FrameType
from typing import Any, NamedTuple

from .._blocking.watchdog import Block as Blocked
from ..core.naming import Place
from . import calls
from .blocks import Block
from .loops import Watch
from .stacks import Stack, lines_of, lines_of_places, read

__all__ = [
    "BlockedOnce",
    "ForbidBlockingMixin",
    "forbid_blocking",
]

#: Seconds for which code may keep the event loop.
THRESHOLD = 0.1

_lock = threading.RLock()
_open: list[forbid_blocking] = []

# The fix for a call, by the beginning of its name.
_FIXES = {
    "time.sleep": "`await asyncio.sleep(...)`",
    "socket.get": "`await asyncio.get_running_loop().getaddrinfo(...)`",
    "sqlite3.": "Django's async ORM, or `await run_sync(function)`",
    "psycopg.": "Django's async ORM, or `await run_sync(function)`",
    "": "`await run_sync(function)`",
}


class BlockedOnce(UserWarning):
    """A call blocked the event loop to read what a process reads once and keeps."""


class BlockingCall(NamedTuple):
    """A function that blocks, and the stack that called it."""

    name: str
    stack: Stack
    #: For how long, if that was measured.
    seconds: float | None = None


class forbid_blocking(Block):  # noqa: N801 - a context manager
    """
    Fail if code blocks an event loop, in any thread.

    While a call blocks, each other request of the event loop waits. This block finds
    known calls, for example `time.sleep()`, however short they are. Of other code it
    finds what takes longer than `threshold`. It lets the code go on. At its end it
    raises AssertionError with the project's line of each. It needs blockbuster: install
    `django-async-cbv[test]`.

    Args:
        allow: Functions in which a call may block, as `"package.module:function"` or
            `"package.module:Class.method"`. `*` stands for any text.
        threshold: For how many seconds other code may keep the event loop.

    Runs on:
        The caller's side. No hop.
    """

    def __init__(
        self, *, allow: Collection[str] = (), threshold: float = THRESHOLD
    ) -> None:
        if not threshold > 0:
            raise ValueError(
                f"forbid_blocking(threshold={threshold!r}) would find all code. Give a "
                f"number of seconds above 0: forbid_blocking(threshold={THRESHOLD})"
            )
        self.threshold = threshold
        self._watch = Watch(threshold, self._note)
        self.allowed: list[str] = []
        self.allow(*allow)
        #: The calls, and how often each was made.
        self.found: Counter[BlockingCall] = Counter()

    def allow(self, *functions: str) -> None:
        """
        Allow calls in functions, also those that were made before.

        Args:
            *functions: Names as in `allow=`.

        Raises:
            ValueError: If a name has no colon.

        Runs on:
            The caller's side. No hop.
        """
        for function in functions:
            if function != "*" and ":" not in function:
                raise ValueError(
                    f"allow() got {function!r}, which does not name a function. Write "
                    "`allow('package.module:function')`."
                )
        self.allowed += functions

    def one_call(self) -> forbid_blocking:
        """
        Make the block of one call of a decorated function.

        Returns:
            A block with the same settings.

        Runs on:
            The caller's side. No hop.
        """
        return forbid_blocking(allow=self.allowed, threshold=self.threshold)

    def start(self) -> None:
        """
        Start to look for blocking calls.

        Runs on:
            The caller's side. No hop.
        """
        self.found = Counter()
        with _lock:
            if not _open:
                calls.hear(_note)
            _open.append(self)
        self._watch.start()

    def stop(self) -> None:
        """
        Stop looking, in all threads.

        Runs on:
            The caller's side. No hop.
        """
        self._watch.stop()
        with _lock:
            if self not in _open:
                return
            _open.remove(self)
            if not _open:
                calls.hear_no_more()

    def check(self) -> None:
        """
        Fail if a call was found that is not allowed.

        Warn with `BlockedOnce` of a call that reads what a process reads once.

        Raises:
            AssertionError: With each line of the project that blocked.

        Runs on:
            The caller's side. No hop.
        """
        __tracebackhide__ = True
        rows: list[tuple[BlockingCall, int]] = []
        once: list[tuple[BlockingCall, int]] = []
        for call, count in self.found.items():
            if self._is_allowed(call.stack):
                continue
            (once if call.stack.is_once else rows).append((call, count))
        try:
            for call, _ in once:
                _warn(call)
        finally:
            if rows:
                raise AssertionError("\n".join(_message(rows)))

    def _note(self, block: Blocked) -> None:
        """Take down what has kept an event loop for too long."""
        if block.kind != "blocked" or block.call is None:
            return
        stack = read(lines_of_places(reversed(block.stack)))
        if stack is not None:
            call = BlockingCall(block.call.name, stack, block.duration)
            with _lock:
                self.found[call] += 1

    def _is_allowed(self, stack: Stack) -> bool:
        return any(
            fnmatchcase(function, pattern)
            for pattern in self.allowed
            for function in stack.functions
        )


def _note(name: str, allowed: calls.Allowed, frame: FrameType) -> None:
    """Take down a call that is about to block the event loop of this thread."""
    stack = read(lines_of(frame), allowed)
    if stack is None:
        return
    with _lock:
        for one in _open:
            one.found[BlockingCall(name, stack)] += 1


def _message(found: list[tuple[BlockingCall, int]]) -> Iterator[str]:
    rows: dict[Place, str] = {}
    counts: Counter[Place] = Counter()
    for call, count in found:
        rows.setdefault(call.stack.place, _row(call))
        counts[call.stack.place] += count
    lines = "1 line" if len(rows) == 1 else f"{len(rows)} lines"
    yield f"{lines} blocked the event loop. All other requests wait in the meantime."
    for place, row in rows.items():
        number = counts[place]
        yield f"  {row}{'' if number == 1 else f' The line blocked {number} times.'}"
    yield f'If the call may block, allow it: `allow("{found[0][0].stack.function}")`.'


def _row(call: BlockingCall) -> str:
    fix = next(fix for start, fix in _FIXES.items() if call.name.startswith(start))
    return f"{_what(call)}. Use {fix}."


def _what(call: BlockingCall) -> str:
    place, through = call.stack.place, call.stack.through
    way = f", through {through}" if through else ""
    if call.seconds is None:
        return f"{call.name}() was called by {place}{way}"
    name = f" calling {call.name}()" if call.name else ""
    return f"{call.seconds * 1000:.0f} ms were spent{name} by {place}{way}"


def _warn(call: BlockingCall) -> None:
    place = call.stack.place
    warnings.warn_explicit(
        f"{_what(call)}. It reads what the process then keeps.",
        BlockedOnce,
        place.file or "?",
        place.line or 0,
    )


class ForbidBlockingMixin:
    """
    Fail each test of a class in which a call blocks an event loop.

    Put the mixin before the test case: `class Tests(ForbidBlockingMixin, TestCase)`.
    A test allows more with `self.blocking.allow(...)`.
    """

    #: The argument `allow` of `forbid_blocking()`.
    allow_blocking: Collection[str] = ()
    blocking_threshold = THRESHOLD
    #: The block of the test.
    blocking: forbid_blocking

    def run(self, result: Any = None) -> Any:
        """
        Run the test. If a call blocked, the test fails after its cleanups.

        Args:
            result: As in `unittest.TestCase.run()`.

        Returns:
            As in `unittest.TestCase.run()`.

        Runs on:
            The thread of the test. No hop.
        """
        case: Any = self
        self.blocking = case.enterContext(
            forbid_blocking(
                allow=self.allow_blocking, threshold=self.blocking_threshold
            )
        )
        return super().run(result)  # type: ignore[misc]
