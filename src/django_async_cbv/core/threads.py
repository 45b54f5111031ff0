"""
Run sync code from the event loop, and wait for async code in a worker.

The only place where threads are crossed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
)
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType, FunctionType
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    async_to_sync,
    iscoroutinefunction,
    sync_to_async,
)

from .crossing import STOPPED
from .executors import Desk, Relay, RequestExecutor, request_executor
from .naming import shows

__all__ = [
    "OWN",
    "Hop",
    "Worker",
    "await_to_the_end",
    "loop_is_running",
    "name_of",
    "run_apart",
    "run_sync",
    "run_to_the_end",
    "wait_for",
    "worker",
    "works_for",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Hop:
    """A call in a worker: the task that it is for, and whether that was cancelled."""

    __slots__ = ("cancelled", "task")

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.cancelled = False

    def cancel(self) -> None:
        """Have what the worker does for it begin nothing more."""
        self.cancelled = True


class Worker(threading.local):
    """What this thread works for: hops, and in them flows, one inside the other."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []
        self.flows = 0
        self.desk = Desk()
        # The request that has this thread of a pool.
        self.executor: RequestExecutor | None = None


worker = Worker()

# Functions, and classes with methods, that run no code of the project in a worker
# thread, or that tell its executor so.
OWN: set[Any] = set()


async def run_sync(
    func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """
    Call a sync function in the worker thread of the request.

    All sync code of a request runs in this thread. The call therefore shares its
    database connections and its open transaction. Context variables go there and come
    back. In a test, the thread is that of the `TestCase`.

    A cancellation does not stop the function. The function runs to its end, or to its
    next `wait_for()`, which raises the cancellation.

    Args:
        func: The sync function.
        *args: Arguments for the function.
        **kwargs: Keyword arguments for the function.

    Returns:
        What the function returns.

    Raises:
        TypeError: If `func` is async, or returns a coroutine. Await `func` instead.
        RuntimeError: If `func` raises `StopIteration`, or if the call would wait for
            its own thread.
        Exception: What `func` raises.

    Runs on:
        The worker thread of the request. One hop.
    """
    return await _cross_once(_is_own(func), func, *args, **kwargs)


async def _cross_once(
    own: bool, func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    hop = Hop()
    if (leased := request_executor()) is not None:
        work = functools.partial(_work, hop, func, *args, **kwargs)
        return await leased.cross(  # type: ignore[no-any-return]
            work, own=own, on_cancel=hop.cancel
        )
    executor = getattr(AsyncToSync.executors, "current", None)
    if hasattr(SyncToAsync.threadlocal, "main_event_loop"):
        _refuse_to_wait_for_itself(func)
    try:
        result: _R = await _cross(hop, func, *args, **kwargs)
    except asyncio.CancelledError:
        hop.cancelled = True
        # asgiref has copied the context of the worker thread to here. It may name the
        # executor of a wait_for(), which ends before this task.
        AsyncToSync.executors.current = executor
        raise
    return result


def _is_own(func: Any) -> bool:
    """Whether a function runs no code of a project's, or says so when it does."""
    while isinstance(func, functools.partial):
        func = func.func
    return type(getattr(func, "__self__", None)) in OWN or (
        type(func) is FunctionType and func in OWN
    )


def _refuse_to_wait_for_itself(func: Any) -> None:
    """
    Raise RuntimeError if this loop runs in the thread that a hop would cross to.

    asgiref would wait for ever, or, for some of its executors, raise errors of
    its own. This thread has been a worker, or the call is not made.
    """
    current = getattr(AsyncToSync.executors, "current", None)
    context = SyncToAsync.thread_sensitive_context.get(None)
    threads: Any
    if current is not None:
        threads = {getattr(current, "_work_thread", None)}
    elif context is not None:
        executor = SyncToAsync.context_to_thread_executor.get(context)
        threads = getattr(executor, "_threads", set())
    else:
        threads = SyncToAsync.single_thread_executor._threads
    # ThreadPoolExecutor lists a new thread only after it runs, so `worker.hops` counts
    # too.
    if worker.hops or threading.current_thread() in threads:
        raise RuntimeError(
            f"run_sync({name_of(func)}) would wait for its own thread for ever, "
            "because sync code has started an event loop there. Call the async code "
            "with `async_to_sync()` instead of `asyncio.run()`."
        )


def name_of(value: Any) -> str:
    """What to call a function in a message."""
    return getattr(value, "__qualname__", None) or repr(value)


def _async_error(func: Any) -> TypeError:
    return TypeError(
        f"run_sync() got {func!r}, which is async, and would return a coroutine "
        f"instead of the result. Await it: `await {name_of(func)}(...)`."
    )


def _called(_: Any, func: Callable[..., Any], /, *args: Any, **__: Any) -> Any:
    return functools.partial(func, *args)


@shows(_called)
def _work(
    hop: Hop, func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    if iscoroutinefunction(func):
        raise _async_error(func)
    worker.hops.append(hop)
    try:
        result = func(*args, **kwargs)
    except StopIteration as error:
        # A future cannot carry StopIteration, and the task would wait for ever. In a
        # generator, Python makes RuntimeError of it too.
        raise RuntimeError(STOPPED) from error
    finally:
        worker.hops.pop()
    if isinstance(result, CoroutineType):
        # The acount() of a manager is sync, but returns a coroutine, for example.
        result.close()
        raise _async_error(func)
    return result


# Made once, because asgiref takes longer to make it than this module takes for a hop.
_cross: Any = sync_to_async(_work, thread_sensitive=True)


async def run_to_the_end(
    func: Callable[[], _R], *, context: contextvars.Context | None = None
) -> _R:
    """
    Call `func` as run_sync() does, once and whole, even when cancelled.

    For what has to happen: a commit, a rollback, a close. A cancellation waits
    for it, and is raised when it is done, from the error of `func` if there is
    one. Costs one hop.

    `context`: where the worker is looked for, if not in the caller's; then no
    context variables flow back.
    """
    return await await_to_the_end(_insist(func), context=context)


async def await_to_the_end(
    coroutine: Coroutine[Any, Any, _R], *, context: contextvars.Context | None = None
) -> _R:
    """
    Await a coroutine in a task of its own, whole, even when cancelled.

    A cancellation is raised when it is done, from its error if there is one.
    `context`: where it runs, if not in a copy of the caller's; then no context
    variables flow back.
    """
    runs_in = contextvars.copy_context() if context is None else context
    # Another task runs the coroutine, so that a cancellation of this task does not
    # reach the coroutine or what it awaits.
    task = asyncio.get_running_loop().create_task(coroutine, context=runs_in)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as raised:
            cancelled = raised
    if context is None:
        for variable, value in runs_in.items():
            if variable.get(_MISSING) is not value:
                variable.set(value)
    try:
        if cancelled is not None:
            raise cancelled from task.exception()
        return task.result()
    finally:
        # Break the cycle of task, exception and frame, which the garbage collector
        # would have to find.
        del task, cancelled


_MISSING: Any = object()


async def _insist(func: Callable[[], _R]) -> _R:
    """Call `func` once in the worker, though all tasks of the loop be cancelled."""
    begun = False
    own = _is_own(func)
    outcome: list[_R] = []
    errors: list[BaseException] = []

    def once() -> None:
        nonlocal begun
        if begun:  # a call that was cancelled began it, and is over by now
            return
        begun = True
        try:
            outcome.append(func())
        except BaseException as error:  # noqa: BLE001 - for the caller
            errors.append(error)

    # Traces and messages show the name of the wrapped function.
    once.__wrapped__ = func  # type: ignore[attr-defined]
    while not (outcome or errors):
        with contextlib.suppress(asyncio.CancelledError):
            await _cross_once(own, once)
    if errors:
        try:
            raise errors.pop()
        finally:
            del errors
    return outcome.pop()


async def run_apart(executor: ThreadPoolExecutor, func: Callable[[], _R]) -> _R:
    """Call `func` in a thread of `executor`, whatever else the request is doing."""
    return await sync_to_async(func, thread_sensitive=False, executor=executor)()


def wait_for(
    func: Callable[_P, Awaitable[_R]], /, *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """
    Call a coroutine function on the event loop, and wait for its result in sync code.

    This thread waits. Meanwhile it runs the sync work that the coroutine asks for, so
    that the two cannot wait for each other. If no event loop waits for this thread,
    the call runs one.

    Do not wait here for a task that started on the event loop before. The sync work of
    that task may need this thread, which waits for the task.

    Args:
        func: The coroutine function.
        *args: Arguments for the function.
        **kwargs: Keyword arguments for the function.

    Returns:
        What the coroutine returns.

    Raises:
        RuntimeError: If an event loop runs in this thread. Await `func` instead.
        CancelledError: If the task of this thread was cancelled before the call.
        Exception: What `func` raises.

    Runs on:
        The event loop, while this thread waits. No hop of its own.
    """
    relay = Relay(worker.desk)
    return async_to_sync(_unless_cancelled)(
        relay, tuple(worker.hops), func, *args, **kwargs
    )


@shows(lambda _, __, func, *args: functools.partial(func, *args))
async def _unless_cancelled(
    relay: Relay,
    hops: tuple[Hop, ...],
    func: Callable[_P, Awaitable[_R]],
    /,
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _R:
    # The event loop sees each cancellation until here. asgiref passes on a later one,
    # because this task runs by then.
    if any(hop.cancelled for hop in hops):
        raise asyncio.CancelledError
    relay.begin()
    try:
        return await func(*args, **kwargs)
    finally:
        relay.end()


def loop_is_running() -> bool:
    """Whether this thread is an event loop's, so that nothing may block it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def works_for(task: asyncio.Task[Any] | None) -> bool:
    """Whether this thread is in a hop of `task`, which so can't go on meanwhile."""
    return any(hop.task is task for hop in worker.hops)
