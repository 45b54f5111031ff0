"""Log which view, function and line blocks the event loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import (
    SyncToAsync,
    iscoroutinefunction,
    markcoroutinefunction,
)
from django.core.handlers.asgi import ASGIRequest

from ._blocking.options import Options, blocking_options, timing_option
from ._blocking.timing import Timing, Timings
from ._blocking.watchdog import Block, Watchdog, log_once, serves
from .core.naming import Place, place_of

__all__ = ["Block", "BlockingMiddleware", "on_block", "watch_loop"]

_logger = logging.getLogger("django_async_cbv.blocking")
_lock = threading.Lock()
_callbacks: tuple[Callable[[Block], object], ...] = ()


def on_block(callback: Callable[[Block], object]) -> Callable[[], None]:
    """
    Call a function with each block that a detector of this process finds.

    The first exception of the callback is logged. All are swallowed. The callback also
    gets blocks that are not logged, because the same line was logged a minute ago.

    Args:
        callback: A sync function that takes a `Block`.

    Returns:
        A function that ends the calls.

    Runs on:
        The thread of the detector. No hop.
    """
    global _callbacks  # noqa: PLW0603
    # A partial keeps two calls with the same callback apart.
    call = functools.partial(callback)
    with _lock:
        _callbacks = (*_callbacks, call)

    def stop() -> None:
        global _callbacks  # noqa: PLW0603
        with _lock:
            _callbacks = tuple(one for one in _callbacks if one is not call)

    return stop


def watch_loop(
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    threshold: float = 0.1,
    repeat_after: float = 60.0,
) -> Callable[[], None]:
    """
    Log what blocks an event loop, for example in a management command.

    Args:
        loop: The event loop. By default the one that runs.
        threshold: For how many seconds the event loop may be late.
        repeat_after: After how many seconds the same line is logged again.

    Returns:
        A function that ends the detector, and waits until all is logged.

    Raises:
        ValueError: If a number is not above 0.
        RuntimeError: If no event loop runs and you give none.

    Runs on:
        A thread of the detector. No hop.
    """
    for name, value in (("threshold", threshold), ("repeat_after", repeat_after)):
        if not value > 0:
            raise ValueError(
                f"watch_loop({name}={value!r}) watches nothing. Give a number of "
                f"seconds above 0: watch_loop({name}={Options._field_defaults[name]:g})"
            )
    reporter = _Reporter(repeat_after)
    watchdog = Watchdog(loop or asyncio.get_running_loop(), threshold, reporter)
    watchdog.start()
    return watchdog.stop


class BlockingMiddleware:
    """
    Log what blocks the event loop, under the ASGI application of Django.

    Make it the first in `MIDDLEWARE`. The ASGI application of this package needs no
    middleware for it. The options are those of the setting `ASYNC_CBV_BLOCKING`.

    Runs on:
        The event loop. No hop.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self.detector = Detector(blocking_options() or Options())
        self.timings = timings_of_settings()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Answer a request by what comes after this middleware."""
        if self._is_async:
            return self._answer(request)
        if isinstance(request, ASGIRequest):
            # This middleware comes after a sync one, in a thread that waits while the
            # event loop runs.
            loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
            if loop is not None and loop.is_running():
                self.detector.watch(loop)
        serves(request)
        timing = self._begin(request)
        try:
            response = self.get_response(request)
        except BaseException:
            _stop(timing)
            raise
        return _timed(timing, response)

    async def _answer(self, request: Any) -> Any:
        self.detector.watch(asyncio.get_running_loop())
        serves(request)
        timing = self._begin(request)
        try:
            response = await self.get_response(request)
        except BaseException:
            _stop(timing)
            raise
        return _timed(timing, response)

    def _begin(self, request: Any) -> Timing | None:
        return None if self.timings is None else self.timings.begin(request)


def _stop(timing: Timing | None) -> None:
    if timing is not None:
        timing.stop()


def _timed(timing: Timing | None, response: Any) -> Any:
    if timing is not None:
        timing.end(response)
    return response


def timings_of_settings() -> Timings | None:
    """What adds the header `Server-Timing`; None if no response gets it."""
    decides = timing_option()
    return None if decides is None else Timings(decides)


# -- What serves requests --------------------------------------------------------------

# One detector for each event loop, for all callers.
_watchdogs: dict[asyncio.AbstractEventLoop, Watchdog] = {}


class Detector:
    """Watches each event loop that serves a request."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch a loop, once."""
        if loop in _watchdogs:
            return
        with _lock:
            if loop in _watchdogs:
                return
            for other in [one for one in _watchdogs if one.is_closed()]:
                # The thread of this detector has ended.
                del _watchdogs[other]
            watchdog = Watchdog(
                loop, self._options.threshold, _Reporter(self._options.repeat_after)
            )
            _watchdogs[loop] = watchdog
        watchdog.start()

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch a loop no more."""
        with _lock:
            watchdog = _watchdogs.pop(loop, None)
        if watchdog is not None:
            watchdog.stop()


class _Reporter:
    """Tells the callbacks of blocks, and logs each line at most once in a time."""

    def __init__(self, repeat_after: float) -> None:
        self._repeat_after = repeat_after
        # For each line, when it was logged last, and how often it was withheld since.
        self._logged: dict[Any, tuple[float, int]] = {}

    def __call__(self, block: Block) -> None:
        for callback in _callbacks:
            try:
                callback(block)
            except Exception as error:  # noqa: BLE001 - the others are called
                log_once(
                    callback,
                    error,
                    "A callback of on_block() failed: %s",
                    place_of(callback),
                )
        key = (block.kind, block.hook and block.hook.name, _line(block))
        now = time.monotonic()
        logged, withheld = self._logged.get(key, (None, 0))
        if logged is not None and now - logged < self._repeat_after:
            self._logged[key] = logged, withheld + 1
            return
        self._logged[key] = now, 0
        _log(block, withheld)


def _line(block: Block) -> tuple[str | None, int | None] | None:
    return None if block.call is None else (block.call.file, block.call.line)


def _log(block: Block, withheld: int) -> None:
    match = _match(block.request)
    method, path = _asked(block.request)
    view = _view(match)
    facts = {
        "method": method,
        "path": path,
        "view": view,
        "busiest": "; ".join(map(str, block.threads)) or None,
        "samples": f"{block.samples}/{block.looks}",
        "withheld": withheld or None,
    }
    said = " ".join(f"{name}={value}" for name, value in facts.items() if value)
    file, line = _line(block) or (None, None)
    _logger.log(
        logging.WARNING if block.kind == "blocked" else logging.INFO,
        "%s %s",
        _sentence(block),
        said,
        extra={
            "kind": block.kind,
            "view": view,
            "hook": None if block.hook is None else block.hook.name,
            "route": getattr(match, "route", None),
            "file": file,
            "line": line,
            "duration": block.duration,
            "stack": [f"{one.where} {one.name}" for one in block.stack],
            "withheld": withheld,
        },
    )


def _sentence(block: Block) -> str:
    time_ = f"{block.duration * 1000:.0f} ms"
    if block.kind == "blocked":
        who = "A callback" if block.hook is None else _called(block.hook)
        return f"{who} blocked the event loop for {time_}{_what(block)}."
    return {
        "busy": f"The event loop was {time_} late. It ran many functions, and none "
        "of them for most of that time.",
        "starved": f"The event loop was {time_} late, because other threads or "
        "processes used the processor.",
        "collected": f"Python's garbage collector stopped the event loop for {time_}.",
        "suspended": f"The process was stopped for {time_}, and its event loop too.",
    }[block.kind]


def _called(place: Place) -> str:
    return f"{place.name} ({place.where})"


def _what(block: Block) -> str:
    """What was called, and where, unless that is the line that was named."""
    call, hook = block.call, block.hook
    if call is None or hook is None:
        return ""
    what = f", calling {call.name}" if call.name else ""
    if call.where == hook.where:
        return what
    return f"{what} in {call.where}" if what else f", in {call.where}"


def _match(request: Any) -> Any:
    """What the path of a request was resolved to."""
    if request is None:
        return None
    match = request.resolver_match
    if match is None:
        # The entry point resolves the path before the middleware, to choose the chain.
        match = vars(request).get("_known_match", (None, None))[1]
    return match


def _view(match: Any) -> str | None:
    if match is None:
        return None
    view = getattr(match.func, "view_class", match.func)
    name = getattr(view, "__qualname__", None) or type(view).__qualname__
    return f"{view.__module__}.{name}"


def _asked(request: Any) -> tuple[str | None, str | None]:
    if request is None:
        return None, None
    # Escaped as in Django's log_response(), because a path may have line breaks.
    return request.method, request.path.encode("unicode_escape").decode("ascii")
