"""
Run sync code from the event loop, and wait for async code in a worker.

The only place where threads are crossed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import itertools
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import CoroutineType, TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, overload

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    ThreadSensitiveContext,
    async_to_sync,
    iscoroutinefunction,
    sync_to_async,
)
from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet
from django.db.transaction import Atomic

__all__ = [
    "await_to_the_end",
    "executor_in_use",
    "iterate",
    "loop_is_running",
    "run_apart",
    "run_sync",
    "run_to_the_end",
    "to_async",
    "wait_for",
    "works_for",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")

# As many items as iterate() takes in one hop. Rows in smaller batches than Django
# fetches from the database: the objects of more of them are out of the processor's
# cache, and looked at by the garbage collector, before anybody has used them.
ITEMS = 100
ROWS = 500
FETCHED = 2000


class _Hop:
    """A call in a worker: the task that it is for, and whether that was cancelled."""

    __slots__ = ("cancelled", "task")

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.cancelled = False


class _Worker(threading.local):
    """The hops that this thread is in, one inside the other."""

    def __init__(self) -> None:
        self.hops: list[_Hop] = []
        self.desk = _Desk()


class _Item:
    """Sync work for a thread: done once, by whichever queue of it comes first."""

    __slots__ = ("future", "relay", "work")

    def __init__(self, relay: _Relay, work: Callable[[], Any]) -> None:
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
            # The error's traceback holds this frame, which holds the error.
            self = None  # type: ignore[assignment]  # noqa: PLW0642
        else:
            self.future.set_result(result)


class _Desk:
    """The waits that a thread is in, and the sync work that is to be done there."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.lock = threading.Lock()
        # Those of wait_for() that go on, the innermost last.
        self.waits: list[_Relay] = []
        # What nobody has begun to do.
        self.items: list[_Item] = []


class _Relay(Executor):
    """
    The executor of a wait_for(): asgiref's own, and when that ends the request's.

    A task that is begun in a wait_for() keeps the executor that it found there. The
    one of asgiref refuses all work once the wait is over; then this one hands the work
    to the same thread by another way: to a wait that the thread is in, or to the
    executor around it.
    """

    def __init__(self, desk: _Desk) -> None:
        self.desk = desk
        self.outer = executor_in_use()
        self.thread_context = SyncToAsync.thread_sensitive_context.get(None)
        # A task from outside of them must not take part in them.
        self.blocks = _open_blocks()
        self.executor: Executor | None = None
        self.shared: list[tuple[contextvars.ContextVar[Any], Any]] = []
        # asgiref looks for these, and goes from an executor that has ended to the one
        # around it: it appends to the items of this one what it is to submit.
        self._work_thread = desk.thread
        self._work_ready = threading.Condition()
        self._work_items = self
        self._broken = False
        self._old_executor = None

    @property
    def has_ended(self) -> bool:
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
        # The thread would come to it only after this wait, which may wait for it.
        for item in waiting:
            self.executor.submit(item.run)

    def end(self) -> None:
        """Pass on what comes later; called on the loop, before asgiref's has ended."""
        loop = asyncio.get_running_loop()
        with self.desk.lock:
            # One that was made for the loop of this wait serves that to its end.
            if AsyncToSync.loop_thread_executors.get(loop) is self.executor:
                self.outer = self.executor
            self.executor = None
            self.desk.waits.remove(self)
        for variable, value in self.shared:
            variable.set(value)

    def serves(self, other: _Relay) -> bool:
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
            raise RuntimeError(
                "Async code would wait for the thread that it runs in: sync code has "
                "begun an event loop there. Call async code from sync code with "
                "async_to_sync(), not with asyncio.run()."
            )
        item = _Item(self, work)
        with desk.lock:
            # Those that were cancelled are never begun.
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
                # One that has ended, and around which the thread works for a request.
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
        if variable.name == _LOCAL
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
                "The task outlived the ThreadSensitiveContext(executor=...) that it "
                "was begun in. Await it inside of that block."
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
    while isinstance(executor, _Relay) and executor.has_ended:
        executor = executor.outer
    return executor


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
    carry; and where it would wait for itself, on a loop that sync code runs in
    that same worker. Raise TypeError when `func` is async, or gives a
    coroutine: await it.
    """
    hop = _Hop()
    executor = getattr(AsyncToSync.executors, "current", None)
    if hasattr(SyncToAsync.threadlocal, "main_event_loop"):
        _refuse_to_wait_for_itself(func)
    try:
        result: _R = await _cross(hop, func, *args, **kwargs)
    except asyncio.CancelledError:
        hop.cancelled = True
        # asgiref has copied the context of the worker to here, perhaps in the
        # middle of a wait_for(), whose executor is of no use once that ends.
        AsyncToSync.executors.current = executor
        raise
    return result


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
    # A pool counts a new thread as its own only once that runs: hence our own list.
    if _worker.hops or threading.current_thread() in threads:
        raise RuntimeError(
            f"run_sync({_name(func)}) would wait for the thread that it is called "
            "in: sync code has begun an event loop there. Call async code from sync "
            "code by async_to_sync(), not by asyncio.run()."
        )


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
    # In a task of its own, which no cancellation of this one reaches, nor of
    # what it waits for in its turn.
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
        # Each would hold the other, and both this frame, for the collector.
        del task, cancelled


_MISSING: Any = object()


async def _insist(func: Callable[[], _R]) -> _R:
    """Call `func` once in the worker, though all tasks of the loop be cancelled."""
    begun = False
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

    while not (outcome or errors):
        with contextlib.suppress(asyncio.CancelledError):
            await run_sync(once)
    if errors:
        try:
            raise errors.pop()
        finally:
            del errors
    return outcome.pop()


class _Driven:
    """
    Something that is run in steps, each in a hop: all of them in one context.

    What sets a context variable in one step can reset it by its token in another.
    Before a step its context gets the variables of the caller, and after it the caller
    gets those that it changed, so both see what they would see in sync code.
    """

    def __init__(self) -> None:
        # Empty: so there is a token for each variable that is brought into it, which
        # alone can take it out again.
        self._context = contextvars.Context()
        self._tokens: _Tokens = {}
        self._callers_tokens: _Tokens = {}
        # What the last steps have changed, and the caller has not got yet.
        self._changed: dict[contextvars.ContextVar[Any], Any] = {}
        # The task that has got all of it.
        self._task: asyncio.Task[Any] | None = None
        self._thread: threading.Thread | None = None
        self._executor: Executor | None = None
        self._thread_context: ThreadSensitiveContext | None = None

    @property
    def is_at_home(self) -> bool:
        """Whether this is the thread that its first step was run in."""
        return self._thread is threading.current_thread()

    async def run(self, step: Callable[[], _R]) -> _R:
        """Run a step in the request's worker, one hop."""
        self._begin()
        try:
            result = await run_sync(self._work, step, True)
        except asyncio.CancelledError:
            # The worker may be in the step yet.
            self._task = None
            raise
        except BaseException:
            self._hand_over()
            raise
        self._hand_over()
        return result

    async def run_first_to_the_end(self, step: Callable[[], _R]) -> _R:
        """Run the first step whole, though cancelled."""
        self._begin()
        try:
            return await run_to_the_end(functools.partial(self._work, step, True))
        finally:
            self._hand_over()

    async def run_last_to_the_end(self, step: Callable[[], _R]) -> _R:
        """Run the last step whole, though cancelled, in the thread of the first one."""
        # The loop closes an abandoned generator in a task of its own: the variables
        # there are of who knows what.
        known = self._task is not None and self._task is asyncio.current_task()
        with self._at_home():
            try:
                return await run_to_the_end(functools.partial(self._work, step, known))
            finally:
                self._hand_over()

    def _begin(self) -> None:
        if self._thread is None:
            self._executor = getattr(AsyncToSync.executors, "current", None)
            self._thread_context = SyncToAsync.thread_sensitive_context.get(None)

    @contextlib.contextmanager
    def _at_home(self) -> Generator[None]:
        """Have this task's hops lead to the thread of the first step."""
        executor = getattr(AsyncToSync.executors, "current", None)
        # If it waits for this very task, it is to be found by its present executor.
        if getattr(executor, "_work_thread", None) is self._thread:
            yield
            return
        variable: contextvars.ContextVar[Any] = SyncToAsync.thread_sensitive_context
        token = variable.set(self._thread_context)
        AsyncToSync.executors.current = self._executor
        try:
            yield
        finally:
            AsyncToSync.executors.current = executor
            variable.reset(token)

    def _work(self, step: Callable[[], _R], bring: bool) -> _R:
        if self._thread is None:
            self._thread = threading.current_thread()
        caller = contextvars.copy_context()
        executor = getattr(AsyncToSync.executors, "current", None)
        try:
            return self._context.run(
                self._step, step, caller if bring else None, executor
            )
        finally:
            # What asgiref keeps for a thread it hands over itself, and to another one.
            for variable in [*self._changed]:
                if variable.name == _LOCAL:
                    variable.set(self._changed.pop(variable))

    def _step(
        self,
        step: Callable[[], _R],
        caller: contextvars.Context | None,
        executor: Executor | None,
    ) -> _R:
        if caller is None:
            AsyncToSync.executors.current = executor
        else:
            self._bring(caller)
        before = contextvars.copy_context()
        try:
            return step()
        finally:
            after = contextvars.copy_context()
            for variable, value in after.items():
                if before.get(variable, _MISSING) is not value:
                    self._changed[variable] = value
            for variable in before:
                if variable not in after:
                    self._changed[variable] = _MISSING

    def _bring(self, caller: contextvars.Context) -> None:
        for variable, value in caller.items():
            if variable.get(_MISSING) is not value:
                _set(variable, value, self._tokens)
        for variable in [*self._context]:
            if variable not in caller:
                _unset(variable, self._tokens)

    def _hand_over(self) -> None:
        changed, self._changed = self._changed, {}
        for variable, value in changed.items():
            if value is _MISSING:
                _unset(variable, self._callers_tokens)
            else:
                _set(variable, value, self._callers_tokens)
        self._task = asyncio.current_task()


_Tokens = dict[contextvars.ContextVar[Any], contextvars.Token[Any]]
# The name of all variables of asgiref's Local.
_LOCAL = "asgiref.local"


def _set(variable: contextvars.ContextVar[Any], value: Any, tokens: _Tokens) -> None:
    token = variable.set(value)
    if token.old_value is contextvars.Token.MISSING:
        tokens[variable] = token


def _unset(variable: contextvars.ContextVar[Any], tokens: _Tokens) -> None:
    """Take a variable out of the context, by the token that has put it in."""
    token = tokens.pop(variable, None)
    try:
        if token is not None:
            variable.reset(token)
            return
    except (ValueError, RuntimeError):
        pass  # It was put in elsewhere, or is out already.
    # No variable can be taken out without its token.
    with contextlib.suppress(LookupError):
        variable.set(contextvars.Context().run(variable.get))


async def run_apart(executor: ThreadPoolExecutor, func: Callable[[], _R]) -> _R:
    """Call `func` in a thread of `executor`, whatever else the request is doing."""
    return await sync_to_async(func, thread_sensitive=False, executor=executor)()


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

    The sync work of a task that `func` begins, and that goes on when the wait
    is over, is done by this same thread. Do not wait here for a task that began
    on the event loop: its sync work may need this thread, which waits for it.
    """
    relay = _Relay(_worker.desk)
    return async_to_sync(_unless_cancelled)(
        relay, tuple(_worker.hops), func, *args, **kwargs
    )


async def _unless_cancelled(
    relay: _Relay,
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
    return any(hop.task is task for hop in _worker.hops)


def iterate(
    iterable: Iterable[_T] | AsyncIterable[_T], chunk_size: int | None = None
) -> AsyncGenerator[_T, None]:
    """
    Iterate over any sync iterable, or a QuerySet, with `async for`.

    The items are taken in the request's worker, `chunk_size` at a time: one hop
    a batch, and no more than a batch in memory. A QuerySet that has not been
    evaluated is read by its iterator(), with a server-side cursor where the
    database has them: 2,000 rows are fetched at a time, as Django does it, and
    500 make a batch. Others take 100. An async iterable is iterated over as it
    is, without a hop.

    What the iterable raises is raised after the items before it. Left early,
    cancelled, or abandoned, a generator or cursor is closed in the thread that
    opened it, for one hop more; at once where you use contextlib.aclosing().

    Raise ValueError for a `chunk_size` below 1, TypeError for what can't be
    iterated over.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be 1 or more, not {chunk_size!r}.")
    if isinstance(iterable, QuerySet) and iterable._result_cache is None:
        rows: QuerySet[Any] = iterable
        fetched = chunk_size or FETCHED
        return _batches(lambda: rows.iterator(chunk_size=fetched), chunk_size or ROWS)
    raw: Any = iterable
    # One that prefetches has to have all its rows at once, as Django's has.
    if isinstance(iterable, RawQuerySet) and not raw._prefetch_related_lookups:
        return _batches(raw.iterator, chunk_size or ROWS)
    # A QuerySet is async iterable as well, and would make hops of its own.
    if isinstance(iterable, QuerySet | RawQuerySet):
        return _batches(iterable.__iter__, chunk_size or ROWS)
    if isinstance(iterable, AsyncIterable):
        return _passed_on(iterable)
    if isinstance(iterable, BaseManager):
        raise TypeError(f"{iterable!r} can't be iterated over: use its all().")
    # iter() takes what has a __getitem__() as well.
    anything: Any = iterable
    if not (isinstance(anything, Iterable) or hasattr(type(anything), "__getitem__")):
        raise TypeError(f"{anything!r} can't be iterated over.")
    return _batches(lambda: iter(anything), chunk_size or ITEMS)


async def _passed_on(iterable: AsyncIterable[_T]) -> AsyncGenerator[_T, None]:
    iterator = iterable.__aiter__()
    try:
        async for item in iterator:
            yield item
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def _batches(
    begin: Callable[[], Iterator[_T]], size: int
) -> AsyncGenerator[_T, None]:
    iterator: Iterator[_T] | None = None
    driven = _Driven()

    def take() -> tuple[list[_T], Exception | None]:
        nonlocal iterator
        batch: list[_T] = []
        try:
            if iterator is None:
                iterator = begin()
            # Not list(): what came before an error is to be kept.
            batch.extend(itertools.islice(iterator, size))
        except Exception as error:  # noqa: BLE001 - for the caller, in its turn
            return batch, error
        return batch, None

    def close() -> None:
        # A request's thread that is gone took its connections with it.
        if driven.is_at_home:
            getattr(iterator, "close", _nothing)()

    ended = False
    try:
        while not ended:
            batch, error = await driven.run(take)
            ended = error is not None or len(batch) < size
            for item in batch:
                yield item
            # Not held while the next ones are made.
            batch = item = None  # type: ignore[assignment]
            if error is not None:
                try:
                    raise error
                finally:
                    del error
    finally:
        if not ended:
            await driven.run_last_to_the_end(close)


def _nothing() -> None:
    pass


@overload
def to_async(
    sync: AbstractContextManager[_T, Any], /, *, chunk_size: int | None = None
) -> AbstractAsyncContextManager[_T]: ...
@overload
def to_async(  # type: ignore[overload-overlap]  # the last one is for all the rest
    sync: Callable[_P, Generator[_T, Any, Any]], /, *, chunk_size: int | None = None
) -> Callable[_P, AsyncGenerator[_T, None]]: ...
@overload
def to_async(  # type: ignore[overload-overlap]  # the last one is for all the rest
    sync: Callable[_P, AbstractContextManager[_T, Any]],
    /,
    *,
    chunk_size: int | None = None,
) -> Callable[_P, AbstractAsyncContextManager[_T]]: ...
@overload
def to_async(
    sync: Callable[_P, Coroutine[Any, Any, _R]], /, *, chunk_size: int | None = None
) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
@overload
def to_async(
    sync: Callable[_P, _R], /, *, chunk_size: int | None = None
) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
@overload
def to_async(
    sync: None = None, /, *, chunk_size: int | None = None
) -> Callable[[Callable[_P, Generator[_T, Any, Any]]], Any]: ...
def to_async(sync: Any = None, /, *, chunk_size: int | None = None) -> Any:
    """
    Make an async version of something sync, as a decorator or an adapter.

    - A function, method, functools.partial or other callable: a coroutine
      function, which runs it in the request's worker, in one hop.
    - A generator function: an async generator function, read in batches of
      `chunk_size` (100 if None), as by iterate().
    - A @contextmanager function, or a class of context managers: a function
      that gives an async context manager.
    - A context manager: an async one. It is entered and left in the worker,
      one hop each, and left even when cancelled.
    - What is async already: itself.

    Raise TypeError for what is none of these; for an iterable use iterate().
    """
    if sync is None:
        return functools.partial(to_async, chunk_size=chunk_size)
    _refuse_atomic(sync)
    if isinstance(sync, staticmethod | classmethod):
        return type(sync)(to_async(sync.__func__, chunk_size=chunk_size))
    if _is_async(sync):
        return sync
    if _is_context_manager(type(sync)):
        return _AsyncContext(lambda: sync)
    if not callable(sync):
        hint = ": use iterate()" if isinstance(sync, Iterable) else ""
        raise TypeError(f"{sync!r} is not a function or a context manager{hint}.")

    adapter: Callable[..., Any]
    function = _innermost(sync)
    if isinstance(function, type):
        gives_context = _is_context_manager(function)
    else:
        gives_context = getattr(function, "__code__", None) is _CONTEXT_MANAGER
    if gives_context:
        _refuse_async_generator(function)

        def adapter(*args: Any, **kwargs: Any) -> Any:
            return _AsyncContext(functools.partial(sync, *args, **kwargs))

    elif inspect.isgeneratorfunction(function):

        async def adapter(*args: Any, **kwargs: Any) -> Any:
            begin = functools.partial(sync, *args, **kwargs)
            async with contextlib.aclosing(
                _batches(begin, chunk_size or ITEMS)
            ) as items:
                async for item in items:
                    yield item

    else:

        async def adapter(*args: Any, **kwargs: Any) -> Any:
            return await run_sync(sync, *args, **kwargs)

    if isinstance(sync, functools.partial):
        return functools.update_wrapper(adapter, function)
    return functools.update_wrapper(adapter, sync)


def _refuse_atomic(sync: Any) -> None:
    """Raise TypeError for transaction.atomic(), which knows threads, not tasks."""
    if isinstance(sync, Atomic) or _innermost(sync) is transaction.atomic:
        raise TypeError(
            "to_async() takes no transaction.atomic(): tasks that run at the same time "
            "would share one transaction, and lose each other's rows. Use "
            "`async with aatomic():` from django_async_cbv.db."
        )


def _refuse_async_generator(function: Any) -> None:
    """Raise TypeError for @contextmanager above an async generator function."""
    inner = getattr(function, "__wrapped__", None)
    if inspect.isasyncgenfunction(inner):
        raise TypeError(
            f"{_name(function)}() is a @contextmanager of an async generator function, "
            "which Python can't enter. Write @to_async above @contextmanager, or use "
            "@asynccontextmanager for an `async def`."
        )


# What each function that @contextmanager makes runs, or @asynccontextmanager.
_CONTEXT_MANAGER = contextlib.contextmanager(iter).__code__
_ASYNC_CONTEXT_MANAGER = contextlib.asynccontextmanager(aiter).__code__


def _innermost(function: Any) -> Any:
    """The function that a call comes to, behind partials, methods and __call__()."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function) or isinstance(function, type):
            return function
        else:
            # Of the class: what an instance has is not what a call of it runs.
            method = inspect.getattr_static(type(function), "__call__", None)
            return method if inspect.isfunction(method) else function


def _is_context_manager(cls: type) -> bool:
    return hasattr(cls, "__enter__") and hasattr(cls, "__exit__")


def _is_async(value: Any) -> bool:
    function = _innermost(value)
    if isinstance(function, type):
        return hasattr(function, "__aenter__")
    return (
        iscoroutinefunction(value)
        or iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or getattr(function, "__code__", None) is _ASYNC_CONTEXT_MANAGER
        or hasattr(type(value), "__aenter__")
        or isinstance(value, AsyncIterable)
    )


def _name(value: Any) -> str:
    return getattr(value, "__qualname__", None) or repr(value)


class _AsyncContext(AbstractAsyncContextManager[_T], Generic[_T]):
    """An async context manager around sync ones, entered and left in the worker."""

    def __init__(self, make: Callable[[], AbstractContextManager[_T]]) -> None:
        self._make = make
        self._entered: list[_Entered[_T]] = []

    async def __aenter__(self) -> _T:
        entered: _Entered[_T] = _Entered(self._make)
        try:
            value = await entered.driven.run_first_to_the_end(entered.enter)
        except asyncio.CancelledError as cancelled:
            if entered.is_entered:
                await entered.leave(type(cancelled), cancelled, None)
            raise
        self._entered.append(entered)
        return value

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        # One object may be entered by several tasks.
        task = asyncio.current_task()
        own = [entered for entered in self._entered if entered.task is task]
        entered = (own or self._entered)[-1]
        self._entered.remove(entered)
        return await entered.leave(kind, error, traceback)


class _Entered(Generic[_T]):
    """A context manager between its two steps."""

    def __init__(self, make: Callable[[], AbstractContextManager[_T]]) -> None:
        self._make = make
        self._manager: AbstractContextManager[_T] | None = None
        self.driven = _Driven()
        self.task = asyncio.current_task()
        self.is_entered = False

    def enter(self) -> _T:
        self._manager = self._make()
        value = self._manager.__enter__()
        self.is_entered = True
        return value

    async def leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        manager: Any = self._manager

        def leave() -> bool | None:
            if not self.driven.is_at_home:
                raise RuntimeError(
                    f"{manager!r} outlived the request that it was entered in, whose "
                    "thread is gone: it can't be left in another one."
                )
            left: bool | None = manager.__exit__(kind, error, traceback)
            return left

        return await self.driven.run_last_to_the_end(leave)
