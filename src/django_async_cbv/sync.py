"""Run sync code from the event loop, and wait for async code in a worker: the only place where threads are crossed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import async_to_sync, sync_to_async

__all__ = ["run_sync", "wait_for"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


async def run_sync(
    func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """
    Call the sync function `func` in the request's own worker thread.

    The worker is asgiref's thread-sensitive one, so the call shares the
    database connections, and so the open transaction, of all other sync work
    of this request, and of the test that a TestCase runs. Context variables
    flow there and back. What `func` raises is raised here. Costs one hop.

    Raise RuntimeError when `func` raises StopIteration, which no future can
    carry, and TypeError when `func` is a coroutine function: await that one.
    """
    return await sync_to_async(_without_stop_iteration, thread_sensitive=True)(
        func, *args, **kwargs
    )


def _without_stop_iteration(
    func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    if asyncio.iscoroutinefunction(func):
        raise TypeError(f"{func!r} is async: await it instead of run_sync().")
    try:
        return func(*args, **kwargs)
    except StopIteration as error:
        # A future refuses to carry it and would leave the awaiting task
        # hanging, so it becomes what Python makes of it in a generator.
        raise RuntimeError("The sync function raised StopIteration.") from error


def wait_for(
    func: Callable[_P, Awaitable[_R]], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """
    Call the coroutine function `func` on the event loop and wait for it here.

    For sync code: this thread waits, and meanwhile does the thread-sensitive
    sync work that the coroutine asks for, so it can't deadlock. Where no loop
    is waiting for this thread, one is run for the call. Raise RuntimeError on
    a thread whose own event loop is running: there `func` is to be awaited.
    """
    return async_to_sync(func)(*args, **kwargs)


def loop_is_running() -> bool:
    """Whether this thread is an event loop's, so that nothing may block it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
