"""A bounded pool of worker threads, which requests lease for their sync work."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
import logging
import os
import sys
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from types import MethodType
from typing import Any, Literal, TypeAlias

from asgiref import sync
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.conf import settings
from django.db import close_old_connections, connections, reset_queries
from django.db.models import Model, QuerySet

from ..core.executors import RequestExecutor
from ..core.threads import worker as this_thread

__all__ = ["Lease", "Overloaded", "Pool", "Release", "Statistics"]

Release: TypeAlias = Literal["between", "request", "always"]

_logger = logging.getLogger("django_async_cbv.pool")

# Seconds that a worker may be held idle, while others wait, before a warning.
_LONG = 1.0
# Seconds for the workers to end at exit.
_LAST = 5.0
_ENGINES = ("django.db.backends.", "django.contrib.gis.db.backends.")
# Methods of QuerySet that run no signal receivers and no save() of a model's.
_READS = frozenset(
    "_fetch_all aggregate contains count earliest exists explain first get in_bulk "
    "last latest".split()
)


class Overloaded(BaseException):
    """
    No worker is to be had for a request that has not begun its view.

    Not an Exception: neither a view nor middleware is to catch it.
    """


class _Job:
    """Work that was given to submit(), as asgiref and asyncio do."""

    __slots__ = ("future", "is_own", "work")

    def __init__(self, work: Callable[[], Any], is_own: bool) -> None:
        self.work = work
        self.is_own = is_own
        self.future: Any = Future()

    def begin(self) -> bool:
        """Whether it is to be done: nobody has cancelled it."""
        return self.future.set_running_or_notify_cancel()  # type: ignore[no-any-return]

    def end(self, pool: Pool, result: Any, error: BaseException | None) -> None:
        """Hand over what came of it, in the worker."""
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def refuse(self, error: BaseException) -> None:
        """Have its waiter get an error, on the event loop."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class _Crossing(_Job):
    """A call of cross(): no more than one object and one future on the way."""

    __slots__ = ("context", "error", "exc_info", "is_done", "loop", "result", "tasks")

    def __init__(
        self, work: Callable[[], Any], is_own: bool, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.work = work
        self.is_own = is_own
        self.loop = loop
        self.future = loop.create_future()
        self.context = contextvars.copy_context()
        self.exc_info = sys.exc_info()
        self.tasks: list[asyncio.Task[Any]] = []
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def begin(self) -> bool:
        known = SyncToAsync.threadlocal
        known.main_event_loop = self.loop
        known.main_event_loop_pid = os.getpid()
        known.task_context = self.tasks
        if self.exc_info[1] is None:
            self.work = functools.partial(self.context.run, self._inside, self.work)
        else:
            self.work = functools.partial(self._handling, self.work)
        return True

    def _inside(self, work: Callable[[], Any]) -> Any:
        # What asgiref's Local keeps moves with the context, as in SyncToAsync.
        sync._restore_context(self.context)
        return work()

    def _handling(self, work: Callable[[], Any]) -> Any:
        # As asgiref does it: what handles an exception sees it in the worker too.
        try:
            raise self.exc_info[1]  # type: ignore[misc]
        except BaseException:  # noqa: BLE001
            return self.context.run(self._inside, work)

    def end(self, pool: Pool, result: Any, error: BaseException | None) -> None:
        if isinstance(error, StopIteration):
            # No future carries it.
            error = RuntimeError("The sync function raised StopIteration.")
        self.result, self.error = result, error
        pool.deliver(self)

    def arrive(self) -> None:
        """Wake up who waits, on the event loop."""
        self.is_done = True
        if not self.future.done():
            self.future.set_result(None)

    def refuse(self, error: BaseException) -> None:
        self.error = error
        self.arrive()

    async def wait(self, lease: Lease) -> Any:
        """Wait for the worker; a cancellation takes it back, or waits for its end."""
        try:
            await self.future
        except asyncio.CancelledError:
            if not lease.withdraw(self):
                for task in self.tasks:
                    task.cancel()
                while not self.is_done:
                    self.future = self.loop.create_future()
                    try:
                        await self.future
                    except asyncio.CancelledError:
                        for task in self.tasks:
                            task.cancel()
            raise
        finally:
            sync._restore_context(self.context)
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                # Else the traceback's frame and the exception hold each other.
                del error
        return self.result


class _Context(ThreadSensitiveContext):
    """By which asgiref finds a lease; dies with the last task of the request."""

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self.lease = lease

    def __del__(self) -> None:
        lease = self.lease
        if lease.worker is not None:
            # Not here: the collector may call this wherever it likes.
            try:
                lease.loop.call_soon_threadsafe(lease.abandon)
            except RuntimeError:
                lease.worker.stop()


class Lease(RequestExecutor):
    """
    The executor of one request: its jobs run one at a time, each in a worker.

    It takes jobs before it has a worker, and loses the worker between two of them
    where nothing of the request can be left behind in the thread.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.loop = pool.loop
        self.worker: _Worker | None = None
        self.pending: list[_Job] = []
        # What it is for, in warnings and statistics.
        self.name = "a request"
        # Its view has begun, so it is not refused any more.
        self.has_begun = False
        # Its response has left the last middleware.
        self.has_ended = False
        self.is_waiting = False
        self.was_used = False
        self.is_foreign = pool.has_foreign_engine
        self.holds = 0
        self.releases = 0
        self.since = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """
        Make all sync work of this task, and of those that it begins, this lease's.

        The context is not left: a task that outlives the request finds a worker too.
        """
        context = _Context(self)
        SyncToAsync.thread_sensitive_context.set(context)
        SyncToAsync.context_to_thread_executor[context] = self

    async def cross(self, func: Callable[[], Any], *, own: bool = False) -> Any:
        job = _Crossing(func, own, self.loop)
        self.pool.put(self, job)
        return await job.wait(self)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have a worker call a function; foreign unless it is a read of Django's own."""
        job = _Job(functools.partial(fn, *args, **kwargs), _is_read(fn, args))
        self.pool.put(self, job)
        return job.future

    def mark_foreign(self) -> None:
        self.is_foreign = True

    def hold(self, count: int = 1) -> None:
        self.holds += count

    def withdraw(self, job: _Job) -> bool:
        """Take back a job that no worker has begun; False if one has."""
        return self.pool.withdraw(self, job)

    def end(self) -> None:
        """Give the worker back once its jobs are done: the response is complete."""
        if not self.has_ended:
            self.has_ended = True
            if self.worker is not None:
                self.pool.put(self, _Job(_nothing, True))

    def abandon(self) -> None:
        """Give the worker back whatever is open: no task of the request is left."""
        self.has_ended = True
        if self.worker is not None:
            self.holds = 0
            self.pool.put(self, _Job(_drop_transactions, True))

    def may_go(self, live: weakref.WeakSet[Any]) -> bool:
        """Whether the worker may go to another request; asked in the worker."""
        if not self.has_ended and (
            self.pool.release == "request"
            or (
                self.is_foreign and not self.releases and self.pool.release != "always"
            )
        ):
            return False
        return not (self.holds or any(map(_is_open, live)) or any(_in_transaction()))

    def time_out(self) -> None:
        """Refuse what has waited too long, on the event loop."""
        self.pool.time_out(self)


class _Worker(threading.Thread):
    """One thread of a pool, with its own connections."""

    def __init__(self, pool: Pool, number: int) -> None:
        super().__init__(name=f"django-async-cbv-{number}", daemon=True)
        self.pool = pool
        self.lease: Lease | None = None
        self.is_parked = False
        self.is_told_to_end = False
        self.wake = threading.Lock()
        self.wake.acquire()
        # Cursors that something may read from yet.
        self.live: weakref.WeakSet[Any] = weakref.WeakSet()

    def stop(self) -> None:
        """Let it end when it has done its job."""
        self.is_told_to_end = True
        self.unpark()

    def unpark(self) -> None:
        """Have it look for work; called under the pool's lock, or to end it."""
        if self.is_parked:
            self.is_parked = False
            self.wake.release()

    def run(self) -> None:
        try:
            while (job := self.pool.next_for(self)) is not None:
                self._do(job)
                del job
        finally:
            connections.close_all()

    def _do(self, job: _Job) -> None:
        lease = self.lease
        assert lease is not None
        if this_thread.executor is not lease:
            self._begin(lease)
        if not job.is_own:
            lease.is_foreign = True
        result, error, is_wanted = None, None, True
        try:
            is_wanted = job.begin()
            if is_wanted:
                result = job.work()
        except BaseException as raised:  # noqa: BLE001 - for who waits
            error = raised
        finally:
            if lease.may_go(self.live):
                self._end()
                self.pool.let_go(self, lease)
            else:
                lease.since = time.monotonic()
        if is_wanted:
            job.end(self.pool, result, error)

    def _begin(self, lease: Lease) -> None:
        this_thread.executor = lease
        lease.was_used = True
        reset_queries()
        close_old_connections()
        for connection in connections.all():
            connection.execute_wrappers.insert(0, self._note)

    def _end(self) -> None:
        this_thread.executor = None
        for connection in connections.all(initialized_only=True):
            if self._note in connection.execute_wrappers:
                connection.execute_wrappers.remove(self._note)
        close_old_connections()

    def _note(self, execute: Any, sql: Any, params: Any, many: bool, info: Any) -> Any:
        """Remember a cursor, as an execute_wrapper."""
        self.live.add(info["cursor"])
        return execute(sql, params, many, info)


@dataclass
class Statistics:
    """What a pool does, in numbers: of now, and since its first request."""

    workers: int
    idle: int
    leased: int
    waiting: int
    # Requests that have a worker which has nothing to do, each with the reason.
    held: list[str] = field(default_factory=list)
    jobs: int = 0
    refused: int = 0
    longest_wait: float = 0.0
    held_seconds: float = 0.0


class Pool:
    """
    The workers of one event loop in one process.

    A request that finds none waits in a queue, first in, first out. A worker that is
    idle is taken last in, first out: its connections are warm. Threads begin with
    their first job.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        workers: int,
        queue: int,
        queue_timeout: float,
        release: Release,
    ) -> None:
        self.loop = loop
        self.pid = os.getpid()
        self.size = workers
        self.queue = queue
        self.queue_timeout = queue_timeout
        self.release: Release = release
        self.has_foreign_engine = _has_foreign_engine()
        # For all that follows, and for the leases' pending jobs.
        self.lock = threading.Lock()
        self.workers: list[_Worker] = []
        self.idle: list[_Worker] = []
        self.waiting: OrderedDict[Lease, float] = OrderedDict()
        self.is_closed = False
        self.last_waited = 0.0
        self.counts = Statistics(0, 0, 0, 0)
        self._done: deque[_Crossing] = deque()
        self._is_woken = False
        _pools.add(self)

    def put(self, lease: Lease, job: _Job) -> None:
        """Add a job to a lease; raise Overloaded if it has to wait and may not."""
        worker = lease.worker
        if worker is threading.current_thread():
            raise RuntimeError(
                "Async code would wait for the thread that it runs in: sync code has "
                "begun an event loop there. Call async code from sync code by "
                "async_to_sync(), not by asyncio.run()."
            )
        started = None
        with self.lock:
            if self.is_closed:
                raise RuntimeError("The server is shutting down: no worker is left.")
            self.counts.jobs += 1
            lease.pending.append(job)
            if lease.worker is not None:
                lease.worker.unpark()
            elif not lease.is_waiting:
                if self.idle:
                    worker = self.idle.pop()
                    worker.lease, lease.worker = lease, worker
                    worker.unpark()
                elif len(self.workers) < self.size:
                    started = _Worker(self, len(self.workers) + 1)
                    self.workers.append(started)
                    started.lease, lease.worker = lease, started
                else:
                    self._wait(lease)
        if started is not None:
            started.start()
        elif lease.is_waiting and not lease.has_begun and lease.timer is None:
            self.loop.call_soon_threadsafe(self._time, lease)

    def _wait(self, lease: Lease) -> None:
        if len(self.waiting) >= self.queue and not lease.has_begun:
            lease.pending.pop()
            self.counts.refused += 1
            raise Overloaded
        lease.is_waiting = True
        self.last_waited = self.waiting[lease] = time.monotonic()

    def _time(self, lease: Lease) -> None:
        if lease.timer is None and lease.is_waiting:
            lease.timer = self.loop.call_later(self.queue_timeout, self.time_out, lease)

    def time_out(self, lease: Lease) -> None:
        """Refuse the jobs of a request that no worker was found for in time."""
        lease.timer = None
        with self.lock:
            if not lease.is_waiting or lease.has_begun:
                return
            self._wait_no_more(lease)
            self.counts.refused += 1
            jobs, lease.pending = lease.pending, []
        for job in jobs:
            job.refuse(Overloaded())

    def withdraw(self, lease: Lease, job: _Job) -> bool:
        """Take a job back, and its request's place in the queue."""
        with self.lock:
            if job not in lease.pending:
                return False
            lease.pending.remove(job)
            if lease.is_waiting and not lease.pending:
                self._wait_no_more(lease)
        return True

    def _wait_no_more(self, lease: Lease) -> None:
        lease.is_waiting = False
        waited = time.monotonic() - self.waiting.pop(lease)
        self.counts.longest_wait = max(self.counts.longest_wait, waited)

    def next_for(self, worker: _Worker) -> _Job | None:
        """Wait for the next job of a worker; None: it is to end."""
        while not worker.is_told_to_end:
            with self.lock:
                lease = worker.lease
                if lease is not None and not lease.pending and not lease.was_used:
                    # Its first job was taken back.
                    worker.lease = lease.worker = lease = None
                if lease is None and self.waiting:
                    lease = next(iter(self.waiting))
                    self._wait_no_more(lease)
                    worker.lease, lease.worker = lease, worker
                if lease is not None and lease.pending:
                    if lease.since:
                        self._tell_of_hold(lease)
                    return lease.pending.pop(0)
                if lease is None:
                    self.idle.append(worker)
                worker.is_parked = True
            worker.wake.acquire()
        return None

    def let_go(self, worker: _Worker, lease: Lease) -> None:
        """Part a worker from a lease that has nothing for it to do."""
        with self.lock:
            if not lease.pending:
                worker.lease = lease.worker = None

    def _tell_of_hold(self, lease: Lease) -> None:
        now = time.monotonic()
        held, since, lease.since = now - lease.since, lease.since, 0.0
        self.counts.held_seconds += held
        if held > _LONG and (self.waiting or self.last_waited > since):
            _logger.warning(
                "%s held an idle worker for %.1f s while other requests waited for "
                "one. Give it back during the await: "
                "`async with release_worker():`",
                lease.name,
                held,
            )

    def deliver(self, job: _Crossing) -> None:
        """Have the event loop hear of a job that is done; called in the worker."""
        self._done.append(job)
        if not self._is_woken:
            self._is_woken = True
            try:
                self.loop.call_soon_threadsafe(self._arrive)
            except RuntimeError:
                # The loop is closed: nobody waits.
                self._done.clear()

    def _arrive(self) -> None:
        # First of all: what a worker adds from here on wakes the loop again.
        self._is_woken = False
        while self._done:
            self._done.popleft().arrive()

    def statistics(self) -> Statistics:
        """Tell what the pool does at this moment; from any thread."""
        with self.lock:
            leases = [one.lease for one in self.workers if one.lease is not None]
            now = time.monotonic()
            waits = [now - since for since in self.waiting.values()]
            return Statistics(
                workers=len(self.workers),
                idle=len(self.idle),
                leased=len(leases),
                waiting=len(self.waiting),
                held=[f"{one.name}: {_why(one)}" for one in leases if one.since],
                jobs=self.counts.jobs,
                refused=self.counts.refused,
                longest_wait=max([self.counts.longest_wait, *waits]),
                held_seconds=self.counts.held_seconds
                + sum(now - one.since for one in leases if one.since),
            )

    def close(self, timeout: float = _LAST) -> None:
        """Let each worker end after the job that it is at; wait at most `timeout` s."""
        with self.lock:
            self.is_closed = True
            jobs = [job for lease in self.waiting for job in lease.pending]
            self.waiting.clear()
            for worker in self.workers:
                worker.stop()
        for job in jobs:
            self.loop.call_soon_threadsafe(
                job.refuse, RuntimeError("The server is shutting down.")
            )
        end = time.monotonic() + timeout
        for worker in self.workers:
            worker.join(max(0.0, end - time.monotonic()))


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _close_all() -> None:
    for pool in [*_pools]:
        if pool.pid == os.getpid() and pool.loop.is_closed():
            pool.close()


atexit.register(_close_all)


def _nothing() -> None:
    pass


def _why(lease: Lease) -> str:
    if lease.holds:
        return "something is held open"
    return "code that is not Django's ran there" if lease.is_foreign else "its database"


def _drop_transactions() -> None:
    """Close the connections on which a request has left something open."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raw, connection.connection = connection.connection, None
            if raw is not None:
                raw.close()
            # With its record of blocks.
            del connections[connection.alias]
        elif connection.connection is not None:
            connection.close()


def _in_transaction() -> Iterator[bool]:
    for connection in connections.all(initialized_only=True):
        raw: Any = connection.connection
        yield connection.in_atomic_block or (
            raw is not None
            and (
                not connection.autocommit
                or getattr(raw, "in_transaction", False)
                or bool(getattr(getattr(raw, "info", None), "transaction_status", 0))
            )
        )


def _is_open(cursor: Any) -> bool:
    """Whether a cursor of Django's may be read from yet."""
    raw = cursor.cursor
    return not getattr(raw, "closed", False) and bool(
        getattr(raw, "description", None)
    )


def _has_foreign_engine() -> bool:
    """Whether a database may keep for a session what nobody here knows of."""
    known = getattr(settings, "ASYNC_CBV_STATELESS_ENGINES", ())
    return any(
        not options["ENGINE"].startswith(_ENGINES) and options["ENGINE"] not in known
        for options in connections.settings.values()
    )


def _is_read(fn: Any, args: tuple[Any, ...]) -> bool:
    """Whether asgiref submits a read by Django's own QuerySet, and nothing else."""
    while isinstance(fn, functools.partial):
        fn, args = fn.func, (*fn.args, *args)
    if getattr(fn, "__func__", None) is not SyncToAsync.thread_handler or not args:
        return False
    call = args[-1]
    method = call.func if isinstance(call, functools.partial) else call
    if type(method) is not MethodType or type(method.__self__) is not QuerySet:
        return False
    model: Any = method.__self__.model
    return (
        method.__name__ in _READS
        and model.__init__ is Model.__init__
        and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
    )
