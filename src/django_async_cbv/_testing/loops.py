"""Watch each event loop that runs while a test looks."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from typing import Any

from .._blocking.watchdog import Block, Watchdog

__all__ = ["Watch"]

_lock = threading.RLock()
_open: list[Watch] = []
# What was there before: of a class, by its name.
_before: list[tuple[Any, str, Any]] = []


class Watch:
    """Watchdogs of the loop that runs in this thread, and of those to come."""

    def __init__(self, threshold: float, report: Callable[[Block], object]) -> None:
        self._threshold = threshold
        self._report = report
        self._watchdogs: list[Watchdog] = []

    def start(self) -> None:
        """Begin."""
        with _lock:
            if not _open:
                _put_around()
            _open.append(self)
        if (loop := asyncio._get_running_loop()) is not None:
            self.begin(Watchdog, loop)

    def stop(self) -> None:
        """End; all is reported before."""
        with _lock:
            if self not in _open:
                return
            _open.remove(self)
            if not _open:
                _put_back()
        for watchdog in [*self._watchdogs]:
            self.end(watchdog)

    def begin(self, kind: type[Watchdog], loop: asyncio.AbstractEventLoop) -> Watchdog:
        """Watch one event loop."""
        watchdog = kind(loop, self._threshold, self._report)
        self._watchdogs.append(watchdog)
        watchdog.start()
        return watchdog

    def end(self, watchdog: Watchdog) -> None:
        """Watch one event loop no more."""
        watchdog.stop()
        if watchdog in self._watchdogs:
            self._watchdogs.remove(watchdog)


class _FromTheBeginning(Watchdog):
    """Watches a loop that is about to run in this thread: its first callback, too."""

    def start(self) -> None:
        self._look_who_runs(None)
        self._note_beat()
        super().start()

    def stop(self) -> None:
        # It may have ended before it came to a heartbeat.
        self._end(time.monotonic())
        super().stop()


def _put_around() -> None:
    classes: list[Any] = [BaseEventLoop]
    if (uvloop := sys.modules.get("uvloop")) is not None:
        classes.append(uvloop.Loop)
    for cls in classes:
        _before.append((cls, "run_forever", vars(cls).get("run_forever")))
        cls.run_forever = _watching(cls.run_forever)


def _put_back() -> None:
    while _before:
        cls, name, own = _before.pop()
        if own is None:
            # That of uvloop's is its base's, which is written in C.
            delattr(cls, name)
        else:
            setattr(cls, name, own)


def _watching(run_forever: Any) -> Any:
    @functools.wraps(run_forever)
    def wrapper(self: Any) -> Any:
        begun = [(one, one.begin(_FromTheBeginning, self)) for one in [*_open]]
        try:
            return run_forever(self)
        finally:
            for one, watchdog in begun:
                one.end(watchdog)

    return wrapper
