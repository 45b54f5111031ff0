"""Find coroutines that nobody awaited, and where they were made."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import warnings
from concurrent.futures import thread as executors
from typing import Any

from asgiref.current_thread_executor import _WorkItem as _AsgirefItem

from ..core.crossing import Crossing, Job
from ..core.naming import Place
from ..trace import is_framework
from .blocks import Block

__all__ = ["forbid_dropped_coroutines"]

# How many calls the search for the line that made a coroutine goes through.
_DEPTH = 8

_warnings: Any = warnings
_lock = threading.Lock()
_open: list[forbid_dropped_coroutines] = []
# The replaced values: class or module, name, and value.
_before: list[tuple[Any, str, Any]] = []


class forbid_dropped_coroutines(Block):  # noqa: N801 - a context manager
    """
    Fail if a coroutine is dropped that nobody has awaited.

    Without its `await`, a call of an `async def` runs nothing. This block raises
    AssertionError with the lines that made such coroutines, in any thread. Before it
    ends, it runs the garbage collector.

    Runs on:
        The caller's side. No hop.
    """

    def __init__(self) -> None:
        #: The name of each coroutine, and the line that made it.
        self.dropped: list[tuple[str, Place]] = []
        self._thread: threading.Thread | None = None
        self._depth = 0

    def one_call(self) -> forbid_dropped_coroutines:
        """One for a call: each has its own."""
        return forbid_dropped_coroutines()

    def start(self) -> None:
        """Begin to look, after what was dropped before is collected."""
        gc.collect()
        self.dropped = []
        self._thread = threading.current_thread()
        self._depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(_DEPTH)
        with _lock:
            if not _open:
                _put_around()
            _open.append(self)

    def stop(self) -> None:
        """End, after what was dropped is collected."""
        if self not in _open:
            return
        gc.collect()
        with _lock:
            _open.remove(self)
            if not _open:
                _put_back()
        if self._thread is threading.current_thread():
            sys.set_coroutine_origin_tracking_depth(self._depth)

    def check(self) -> None:
        """Raise AssertionError with the line of each."""
        __tracebackhide__ = True
        if not self.dropped:
            return
        what = "coroutine was" if len(self.dropped) == 1 else "coroutines were"
        rows = [f"{len(self.dropped)} {what} never awaited, and did not run."]
        for name, place in self.dropped:
            fix = f"Await it: `await {name.rpartition('.')[2]}(...)`"
            rows.append(f"  {name}() was called by {place}. {fix}")
        raise AssertionError("\n".join(rows))


def _note(coroutine: Any) -> None:
    """Called by Python for each coroutine that is gone before it began."""
    place = _made_at(coroutine)
    for one in [*_open]:
        one.dropped.append((coroutine.__qualname__, place))


def _made_at(coroutine: Any) -> Place:
    """The project's line that made a coroutine; else where its function stands."""
    lines = [Place(name, file, line) for file, line, name in coroutine.cr_origin or ()]
    for place in lines:
        if not is_framework(place.file or ""):
            return place
    if lines:
        return lines[0]
    code = coroutine.cr_code
    return Place(
        f"code that is not known, of {code.co_name}",
        code.co_filename,
        code.co_firstlineno,
    )


def _put_around() -> None:
    _replace(_warnings, "_warn_unawaited_coroutine", _note)
    # Python sets this depth for each thread.
    for cls in (executors._WorkItem, _AsgirefItem, threading.Thread, Job, Crossing):
        _replace(cls, "run", _looking(cls.run))


def _replace(owner: Any, name: str, value: Any) -> None:
    _before.append((owner, name, vars(owner)[name]))
    setattr(owner, name, value)


def _put_back() -> None:
    while _before:
        setattr(*_before.pop())


def _looking(run: Any) -> Any:
    @functools.wraps(run)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(_DEPTH)
        try:
            return run(self, *args, **kwargs)
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)

    return wrapper
