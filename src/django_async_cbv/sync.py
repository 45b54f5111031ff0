"""
Run sync code from the event loop, and wait for async code in a worker.

The only place where threads are crossed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import (
    AsyncToSync,
    async_to_sync,
    iscoroutinefunction,
    sync_to_async,
)

__all__ = ["run_sync", "wait_for"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Hop:
    """A call in a worker, and whether the task that it is for has been cancelled."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False


class _Worker(threading.local):
    """The hops that this thread is in, one inside the other."""

    def __init__(self) -> None:
        self.hops: list[_Hop] = []


_worker = _Worker()


async def run_sync(
    func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """
    Call the sync function `func` in the request's own worker thread.

    The worker is asgiref's thread-sensitive one, so the call shares the
    database connections, and so the open transaction, of all other sync work
    of this request, and of the test that a TestCase runs. Context variables
    flow there and back. What `func` raises is raised here. Costs one hop.

    A cancellation does not stop `func`, which runs to its end, or to its next
    wait_for(): there it is raised.

    Raise RuntimeError when `func` raises StopIteration, which no future can
    carry, and TypeError when `func` is async, or gives a coroutine: await it.
    """
    hop = _Hop()
    executor = getattr(AsyncToSync.executors, "current", None)
    try:
        result: _R = await _cross(hop, func, *args, **kwargs)
    except asyncio.CancelledError:
        hop.cancelled = True
        # asgiref has copied the context of the worker to here, perhaps in the
        # middle of a wait_for(), whose executor is of no use once that ends.
        AsyncToSync.executors.current = executor
        raise
    return result


def _work(
    hop: _Hop, func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    if iscoroutinefunction(func):
        raise TypeError(f"{func!r} is async: await it instead of run_sync().")
    _worker.hops.append(hop)
    try:
        result = func(*args, **kwargs)
    except StopIteration as error:
        # A future refuses to carry it and would leave the awaiting task
        # hanging, so it becomes what Python makes of it in a generator.
        raise RuntimeError("The sync function raised StopIteration.") from error
    finally:
        _worker.hops.pop()
    if isinstance(result, CoroutineType):
        # A manager's acount() is such a one: sync, and gives a coroutine.
        result.close()
        raise TypeError(f"{func!r} is async: await it instead of run_sync().")
    return result


# Made once: to make it anew for each hop costs more than all else here.
_cross: Any = sync_to_async(_work, thread_sensitive=True)


def wait_for(
    func: Callable[_P, Awaitable[_R]], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """
    Call the coroutine function `func` on the event loop and wait for it here.

    For sync code: this thread waits, and meanwhile does the thread-sensitive
    sync work that the coroutine asks for, so it can't deadlock. Where no loop
    is waiting for this thread, one is run for the call. Raise RuntimeError on
    a thread whose own event loop is running: there `func` is to be awaited.
    Raise CancelledError, without a call, where the task that this thread works
    for was cancelled meanwhile.
    """
    return async_to_sync(_unless_cancelled)(tuple(_worker.hops), func, *args, **kwargs)


async def _unless_cancelled(
    hops: tuple[_Hop, ...],
    func: Callable[_P, Awaitable[_R]],
    /,
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _R:
    # Asked here, on the loop, where a cancellation is dealt with. One that comes
    # later finds this task running, and asgiref passes it on.
    if any(hop.cancelled for hop in hops):
        raise asyncio.CancelledError
    return await func(*args, **kwargs)


def loop_is_running() -> bool:
    """Whether this thread is an event loop's, so that nothing may block it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
