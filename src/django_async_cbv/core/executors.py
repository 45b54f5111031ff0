"""Lead the sync work of a task to its thread, also when a wait there is over."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import (
    AsyncGenerator,
    Callable,
)
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    ThreadSensitiveContext,
)
from django.db import connections

from .crossing import OWN_THREAD

__all__ = [
    "LOCAL",
    "Desk",
    "PartingExecutor",
    "Relay",
    "RequestExecutor",
    "executor_in_use",
    "hold_worker",
    "leased_executor",
    "parting_executor",
    "release_worker",
    "request_executor",
]


# asgiref gives each context variable of a Local this name.
LOCAL = "asgiref.local"


class PartingExecutor(Executor):
    """An executor that may part with its thread between two hops."""

    def hold(self, count: int = 1) -> None:
        """Keep the thread until as much is taken back by a negative count."""
        raise NotImplementedError


class RequestExecutor(PartingExecutor):
    """The executor of a request that takes its worker from a pool, between two hops."""

    # The event loop that serves the requests of the pool.
    loop: asyncio.AbstractEventLoop
    # Code of the project has run in the worker thread, so the request keeps the thread.
    is_foreign: bool

    async def cross(
        self,
        func: Callable[[], Any],
        *,
        own: bool = False,
        on_cancel: Callable[[], None] = lambda: None,
    ) -> Any:
        """
        Run `func` in the worker; one hop.

        `own`: it runs no code but Django's and this package's, or sets `is_foreign`.
        Then the worker may go to another request afterwards.
        `on_cancel` is called on the loop as soon as this is cancelled while `func`
        runs, which is waited for.
        """
        raise NotImplementedError

    def another(self) -> RequestExecutor | None:
        """An executor with a worker of its own, if one is idle; to be left."""
        raise NotImplementedError

    def leave(self) -> None:
        """Have the worker go: what it was taken for is over."""
        raise NotImplementedError

    def release(self, count: int = 1) -> None:
        """Give it back, foreign or not, until as much is taken back."""
        raise NotImplementedError


def request_executor() -> RequestExecutor | None:
    """The executor of this task's request, if it has one, and no sync code waits."""
    if getattr(AsyncToSync.executors, "current", None) is not None:
        return None
    executor = leased_executor()
    if executor is not None and executor.loop is asyncio.get_running_loop():
        return executor
    return None


def leased_executor() -> RequestExecutor | None:
    """The executor of this task's request, whoever waits for the task."""
    executor = parting_executor()
    return executor if isinstance(executor, RequestExecutor) else None


def parting_executor() -> PartingExecutor | None:
    """As leased_executor(), or that of a stream, which ends its thread."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None:
        return None
    executor = SyncToAsync.context_to_thread_executor.get(context)
    return executor if isinstance(executor, PartingExecutor) else None


@asynccontextmanager
async def hold_worker() -> AsyncGenerator[None]:
    """
    Keep the request's worker thread between the hops of this block.

    All sync code in the block, and in the tasks that start in it, runs in one thread
    and on the same database connections. No other request uses the thread meanwhile.
    Without this block, the thread serves other requests while only Django's code has
    run in it for your request.

    If the application does not come from `django_async_cbv.asgi`, the block does
    nothing, except in a streaming view. There it keeps the thread of the stream.

    Returns:
        An async context manager.

    Runs on:
        The event loop. No hop.
    """
    executor = parting_executor()
    if executor is None:
        yield
        return
    executor.hold(1)
    try:
        yield
    finally:
        executor.hold(-1)


@asynccontextmanager
async def release_worker() -> AsyncGenerator[None]:
    """
    Give the request's worker thread back while this block awaits something.

    Use the block where your sync code left nothing in its thread: no thread-local and
    no setting of the database session. After the block, sync code can run in another
    thread. An open transaction, an open cursor and `hold_worker()` still keep the
    thread, and so does `release="request"`.

    If the application does not come from `django_async_cbv.asgi`, the block does
    nothing.

    Returns:
        An async context manager.

    Runs on:
        The event loop. No hop.
    """
    executor = leased_executor()
    if executor is None:
        yield
        return
    executor.release(1)
    try:
        yield
    finally:
        executor.release(-1)


class _Item:
    """Sync work for a thread: done once, by whichever queue of it comes first."""

    __slots__ = ("future", "relay", "work")

    def __init__(self, relay: Relay, work: Callable[[], Any]) -> None:
        self.relay = relay
        self.work = work
        self.future: Future[Any] = Future()

    def run(self) -> None:
        desk = self.relay.desk
        with desk.lock:
            if self not in desk.items:
                return
            desk.items.remove(self)
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - for the caller
            self.future.set_exception(error)
            # Break the cycle: the traceback holds this frame, and the frame holds the
            # error.
            self = None  # type: ignore[assignment]  # noqa: PLW0642
        else:
            self.future.set_result(result)


class Desk:
    """The waits that a thread is in, and the sync work that is to be done there."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.lock = threading.Lock()
        # The calls of wait_for() that still wait, with the innermost last.
        self.waits: list[Relay] = []
        # The work that no thread has started.
        self.items: list[_Item] = []


class Relay(Executor):
    """
    The executor of a wait_for(): asgiref's own, and when that ends the request's.

    A task that is begun in a wait_for() keeps the executor that it found there. The
    one of asgiref refuses all work once the wait is over; then this one hands the work
    to the same thread by another way: to a wait that the thread is in, or to the
    executor around it.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.outer = executor_in_use()
        self.thread_context = SyncToAsync.thread_sensitive_context.get(None)
        # A task from outside of these blocks must not write into them.
        self.blocks = _open_blocks()
        self.executor: Executor | None = None
        self.shared: list[tuple[contextvars.ContextVar[Any], Any]] = []
        # asgiref reads these attributes. If an executor has ended, asgiref uses the one
        # around it, and appends to its items.
        self._work_thread = desk.thread
        self._work_ready = threading.Condition()
        self._work_items = self
        self._broken = False
        self._old_executor = None

    @property
    def has_ended(self) -> bool:
        """Whether the wait is over, or has not begun."""
        return self.executor is None

    def begin(self) -> None:
        """Take over from asgiref's executor; called on the loop, in the wait."""
        desk = self.desk
        with desk.lock:
            self.executor = AsyncToSync.executors.current
            desk.waits.append(self)
            waiting = [item for item in desk.items if self.serves(item.relay)]
        self.shared = _share_no_more(self.executor)
        AsyncToSync.executors.current = self
        # The thread would do this work only after the wait, and the wait may need it.
        for item in waiting:
            self.executor.submit(item.run)

    def end(self) -> None:
        """Pass on what comes later; called on the loop, before asgiref's has ended."""
        loop = asyncio.get_running_loop()
        with self.desk.lock:
            # The executor that was made for the loop of this wait serves the loop until
            # it ends.
            if AsyncToSync.loop_thread_executors.get(loop) is self.executor:
                self.outer = self.executor
            self.executor = None
            self.desk.waits.remove(self)
        for variable, value in self.shared:
            variable.set(value)

    def serves(self, other: Relay) -> bool:
        """Whether work of `other` may be done by the thread in this wait."""
        return self is other or all(
            any(block is known for known in other.blocks) for block in self.blocks
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have the thread do it, whatever it is waiting for."""
        return self._put(functools.partial(fn, *args, **kwargs)).future

    def append(self, item: Any) -> None:
        """Have the thread do an item of asgiref's, which has a future of its own."""
        self._put(item.run)

    def _put(self, work: Callable[[], Any]) -> _Item:
        desk = self.desk
        if threading.current_thread() is desk.thread:
            raise RuntimeError(OWN_THREAD)
        item = _Item(self, work)
        with desk.lock:
            # Forget the items that were cancelled.
            desk.items[:] = [one for one in desk.items if not one.future.cancelled()]
            desk.items.append(item)
            for wait in reversed(desk.waits):
                if wait.executor is not None and wait.serves(self):
                    wait.executor.submit(item.run)
                    return item
        try:
            self._submit_outside(item.run)
        except BaseException:
            with desk.lock:
                desk.items.remove(item)
            raise
        return item

    def _submit_outside(self, work: Callable[[], Any]) -> None:
        """Submit to the executor that this thread works for without any wait."""
        if self.outer is not None:
            try:
                self.outer.submit(work)
            except RuntimeError:
                # This wait has ended, and the thread works for a request around it.
                if self.thread_context is None:
                    raise
            else:
                return
        _executor_around(self.thread_context).submit(work)


def _share_no_more(
    current: Executor | None,
) -> list[tuple[contextvars.ContextVar[Any], Any]]:
    """
    Give this context an AsyncToSync.executors of its own; return what was shared.

    In old versions of asgiref, 3.8.1 for one, all contexts have one dictionary, which
    each of them changes for all.
    """
    shared = [
        (variable, value)
        for variable, value in contextvars.copy_context().items()
        if variable.name == LOCAL
        and isinstance(value, dict)
        and value.get("current") is current
    ]
    for variable, value in shared:
        variable.set(dict(value))
    return shared


def _executor_around(context: ThreadSensitiveContext | None) -> Executor:
    """The executor that asgiref uses where no sync code waits."""
    executors = SyncToAsync.context_to_thread_executor
    if context is None:
        loop = asyncio.get_running_loop()
        return AsyncToSync.loop_thread_executors.get(
            loop, SyncToAsync.single_thread_executor
        )
    if context not in executors:
        if getattr(context, "_exited", False):
            raise RuntimeError(
                "The task outlived the ThreadSensitiveContext(executor=...) that "
                "started it, so no thread is left for it. Await the task inside of the "
                "block."
            )
        executors[context] = ThreadPoolExecutor(1)
    return executors[context]


def _open_blocks() -> list[Any]:
    return [
        block
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
    ]


def executor_in_use() -> Executor | None:
    """The executor of the sync code that waits for this task, if any does."""
    executor: Executor | None = getattr(AsyncToSync.executors, "current", None)
    while isinstance(executor, Relay) and executor.has_ended:
        executor = executor.outer
    return executor
