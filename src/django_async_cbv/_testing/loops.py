"""Watch each event loop that runs while a test looks."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from types import FrameType
from typing import Any

from .._blocking.watchdog import Block, Watchdog

__all__ = ["Watch"]

_lock = threading.RLock()
_open: list[Watch] = []
# Each class with the run_forever() that it had before.
_before: list[tuple[Any, Any]] = []
# Loops that have just started. Most loops of tests end in a moment, and a thread for
# each would take longer than the loop.
_waiting: list[_Later] = []
_waker: threading.Thread | None = None
# Seconds that the waker thread waits for further loops.
_REST = 2.0
# Seconds between two looks at the waiting loops.
_PAUSE = 0.02


class Watch:
    """Watchdogs of the loop that runs in this thread, and of those to come."""

    def __init__(self, threshold: float, report: Callable[[Block], object]) -> None:
        self.threshold = threshold
        self.report = report
        self.watchdogs: list[Watchdog] = []

    def start(self) -> None:
        """Begin."""
        with _lock:
            _put_around()
            _open.append(self)
            _wake()
        if (loop := asyncio._get_running_loop()) is not None:
            watchdog = Watchdog(loop, self.threshold, self.report)
            self.watchdogs.append(watchdog)
            watchdog.start()

    def stop(self) -> None:
        """End; all is reported before."""
        with _lock:
            if self not in _open:
                return
            _open.remove(self)
            if not _open:
                _put_back()
        for watchdog in [*self.watchdogs]:
            _end(self, watchdog)


class _Later(Watchdog):
    """Watches a loop that is about to run in this thread, if it runs for a while."""

    def __init__(
        self, watch: Watch, loop: asyncio.AbstractEventLoop, runner: FrameType
    ) -> None:
        super().__init__(loop, watch.threshold, watch.report)
        self.expect(runner)
        self.begins_at = time.monotonic() + watch.threshold / 6


def _begin(watch: Watch, loop: asyncio.AbstractEventLoop, runner: FrameType) -> _Later:
    watchdog = _Later(watch, loop, runner)
    with _lock:
        watch.watchdogs.append(watchdog)
        _waiting.append(watchdog)
    return watchdog


def _end(watch: Watch, watchdog: Watchdog) -> None:
    with _lock:
        if watchdog in watch.watchdogs:
            watch.watchdogs.remove(watchdog)
        if watchdog in _waiting:
            _waiting.remove(watchdog)
            return
    watchdog.stop()


def _wake() -> None:
    """Have a thread that begins what waits."""
    global _waker  # noqa: PLW0603
    if _waker is None:
        _waker = threading.Thread(
            target=_begin_what_waits, name="django_async_cbv.testing", daemon=True
        )
        _waker.start()


def _begin_what_waits() -> None:
    global _waker  # noqa: PLW0603
    last = time.monotonic()
    while True:
        with _lock:
            now = time.monotonic()
            if _open:
                last = now
            elif now - last > _REST:
                _waker = None
                return
            for one in [*_waiting]:
                if one.begins_at <= now:
                    _waiting.remove(one)
                    one.start()
            pause = min([_PAUSE, *(one.threshold / 6 for one in _open)])
        time.sleep(pause)


def _put_around() -> None:
    classes: list[Any] = [BaseEventLoop]
    if (uvloop := sys.modules.get("uvloop")) is not None:
        classes.append(uvloop.Loop)
    for cls in classes:
        # The project may have imported uvloop since.
        if not any(cls is known for known, _ in _before):
            _before.append((cls, vars(cls).get("run_forever")))
            cls.run_forever = _watching(cls.run_forever)


def _put_back() -> None:
    while _before:
        cls, own = _before.pop()
        if own is None:
            # uvloop's class inherits the method from a class in C.
            del cls.run_forever
        else:
            cls.run_forever = own


def _watching(run_forever: Any) -> Any:
    @functools.wraps(run_forever)
    def wrapper(self: Any) -> Any:
        # uvloop has no frame of its own when it calls a callback.
        runner = sys._getframe()
        begun = [(one, _begin(one, self, runner)) for one in [*_open]]
        try:
            return run_forever(self)
        finally:
            for one, watchdog in begun:
                _end(one, watchdog)

    return wrapper
