"""A bounded pool of worker threads, which requests lease for their sync work."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import functools
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from types import MethodType
from typing import Any, Literal, TypeAlias

from asgiref import sync
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.conf import settings
from django.db import connections, reset_queries, router
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.signals import post_init, pre_init

from ..core.executors import Cursors, Desk, RequestExecutor
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
# What the drivers of PostgreSQL call active, in a transaction, and in a failed one:
# not what they say of a connection that is gone.
_TRANSACTION = frozenset({1, 2, 3})


class Overloaded(BaseException):
    """
    No worker is to be had for a request that has not begun its view.

    Not an Exception: neither a view nor middleware is to catch it.
    """


class _Job:
    """Work that was given to submit(), as asgiref and asyncio do."""

    def __init__(self, work: Callable[[], Any], is_own: bool) -> None:
        self.work = work
        self.is_own = is_own
        self.future: Any = Future()

    def begin(self) -> bool:
        """Whether it is to be done: nobody has cancelled it."""
        return self.future.set_running_or_notify_cancel()  # type: ignore[no-any-return]

    def run(self) -> Any:
        return self.work()

    def end(self, pool: Pool, result: Any, error: BaseException | None) -> None:
        """Hand over what came of it; called in the worker."""
        del self.work
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def refuse(self, pool: Pool, error: BaseException) -> None:
        """Hand over an error in the place of a result; called in any thread."""
        if self.begin():
            self.end(pool, None, error)


class _Tasks(list[asyncio.Task[Any]]):
    """The tasks of async_to_sync() in a job: a cancellation is for the first to come."""

    is_cancelled = False

    def append(self, task: asyncio.Task[Any]) -> None:
        super().append(task)
        if self.is_cancelled:
            self.is_cancelled = False
            task.cancel()

    def cancel(self) -> None:
        self.is_cancelled = not self
        for task in self:
            task.cancel()


class _Crossing(_Job):
    """A call of cross(): no more than one object and one future on the way."""

    def __init__(
        self, work: Callable[[], Any], is_own: bool, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.work = work
        self.is_own = is_own
        self.loop = loop
        self.future = loop.create_future()
        self.context = contextvars.copy_context()
        self.handled = sys.exc_info()[1]
        self.tasks = _Tasks()
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def begin(self) -> bool:
        return True

    def run(self) -> Any:
        known = SyncToAsync.threadlocal
        known.main_event_loop = self.loop
        known.main_event_loop_pid = os.getpid()
        known.task_context = self.tasks
        if self.handled is None:
            return self.context.run(self._inside)
        # As asgiref does it: what handles an exception sees it in the worker too.
        try:
            raise self.handled
        except BaseException:  # noqa: BLE001
            return self.context.run(self._inside)

    def _inside(self) -> Any:
        # What asgiref's Local keeps moves with the context, as in SyncToAsync.
        sync._restore_context(self.context)
        return self.work()

    def end(self, pool: Pool, result: Any, error: BaseException | None) -> None:
        del self.work
        self.handled = None
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

    async def wait(self, lease: Lease, on_cancel: Callable[[], None]) -> Any:
        """Wait for the worker; a cancellation takes it back, or waits for its end."""
        try:
            await self.future
        except asyncio.CancelledError:
            if lease.pool.withdraw(lease, self):
                raise
            on_cancel()
            while not self.is_done:
                self.tasks.cancel()
                self.future = self.loop.create_future()
                with contextlib.suppress(asyncio.CancelledError):
                    await self.future
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
        # The collector may call this in any thread, and where a lock is held.
        self.lease.is_abandoned = True
        self.lease.pool.look(self.lease)


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
        self.pending: deque[_Job] = deque()
        # What it is for, in warnings and statistics.
        self.name = "a request"
        # Its view has begun, so it is not refused any more.
        self.has_begun = False
        # Its response has left the last middleware.
        self.has_ended = False
        # No task is left that could use it.
        self.is_abandoned = False
        self.is_foreign = pool.has_foreign_engine
        self.holds = 0
        self.releases = 0

    def enter(self) -> contextvars.Token[ThreadSensitiveContext]:
        """
        Make all sync work of this task, and of those that it begins, this lease's.

        The context of asgiref is entered and not left: a task that outlives the
        request finds a worker too. The token takes it off this task alone.
        """
        context = _Context(self)
        SyncToAsync.context_to_thread_executor[context] = self
        return SyncToAsync.thread_sensitive_context.set(context)

    async def cross(
        self,
        func: Callable[[], Any],
        *,
        own: bool = False,
        on_cancel: Callable[[], None] = lambda: None,
    ) -> Any:
        job = _Crossing(func, own, self.loop)
        self.pool.put(self, job)
        return await job.wait(self, on_cancel)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have a worker call a function; foreign unless it is a read of Django's own."""
        job = _Job(functools.partial(fn, *args, **kwargs), _is_read(fn, args))
        if self.pool.put(self, job):
            # One that is cancelled in the queue gives up its place at once.
            job.future.add_done_callback(lambda _: self.pool.withdraw(self, job))
        return job.future

    def mark_foreign(self) -> None:
        self.is_foreign = True

    def hold(self, count: int = 1) -> None:
        with self.pool.lock:
            self.holds += count
        self.pool.look(self)

    def release(self, count: int = 1) -> None:
        with self.pool.lock:
            self.releases += count
        self.pool.look(self)

    def end(self) -> None:
        """Have the worker go back as soon as it may: the response is complete."""
        self.has_begun = self.has_ended = True
        self.pool.look(self)

    def why_held(self) -> str | None:
        """What keeps a worker for the request, but for what is open in its thread."""
        if self.holds:
            return "something is held open"
        if self.has_ended or self.pool.release == "always":
            return None
        if self.pool.release == "request":
            return 'release="request"'
        if self.is_foreign and not self.releases:
            return "code that is not Django's ran there"
        return None


class _Worker(threading.Thread):
    """One thread of a pool, with its own connections."""

    def __init__(self, pool: Pool, number: int) -> None:
        super().__init__(name=f"django-async-cbv-{number}", daemon=True)
        self.pool = pool
        self.lease: Lease | None = None
        # Since when it has waited with a lease, which holds it.
        self.since: float | None = None
        self.is_told_to_end = False
        # What is put into it has it look for work: also in vain.
        self.wake: SimpleQueue[None] = SimpleQueue()
        # Cursors that something may read from yet.
        self.cursors = Cursors()

    def stop(self) -> None:
        """Let it end when it has done its job."""
        self.is_told_to_end = True
        self.wake.put(None)

    def run(self) -> None:
        try:
            while not self.is_told_to_end:
                if (job := self.pool.next_for(self)) is not None:
                    self._do(job)
                    del job
                else:
                    self._part()
        finally:
            _for_each_connection(lambda one: one.close())

    def _do(self, job: _Job) -> None:
        result, error, is_wanted = None, None, job.begin()
        try:
            if is_wanted:
                self._begin(job)
                result = job.run()
        except BaseException as raised:  # noqa: BLE001 - for who waits
            error = raised
        self._part()
        if is_wanted:
            job.end(self.pool, result, error)
        # Its traceback has this frame.
        del error

    def _begin(self, job: _Job) -> None:
        lease = self.lease
        assert lease is not None
        if not job.is_own:
            lease.is_foreign = True
        if this_thread.executor is lease:
            return
        this_thread.executor = lease
        # What outlives its wait must not come to a wait of another request.
        this_thread.desk = Desk()
        reset_queries()
        _for_each_connection(lambda one: one.close_if_unusable_or_obsolete())
        for connection in connections.all():
            connection.execute_wrappers.insert(0, self.cursors)

    def _part(self) -> None:
        """Go to whoever waits, if nothing of the request is left behind by that."""
        lease = self.lease
        if lease is None:
            return
        if this_thread.executor is lease:
            if lease.is_abandoned:
                _for_each_connection(_drop)
            elif lease.why_held() or self._is_in_use():
                return
            this_thread.executor = None
            self.cursors.clear()
            for connection in connections.all(initialized_only=True):
                if self.cursors in connection.execute_wrappers:
                    connection.execute_wrappers.remove(self.cursors)
            _for_each_connection(lambda one: one.close_if_unusable_or_obsolete())
        self.pool.part(self, lease)

    def _is_in_use(self) -> bool:
        """Whether a connection of this thread has to stay the request's."""
        return self.cursors.are_open() or any(map(_is_in_transaction, connections.all()))


@dataclass(frozen=True)
class Statistics:
    """What a pool does, in numbers: at this moment, and since its first request."""

    #: Threads that were begun.
    workers: int = 0
    #: Threads that no request has.
    idle: int = 0
    #: Requests that have a thread.
    leased: int = 0
    #: Requests that have a thread which does nothing, as "view: reason".
    held: tuple[str, ...] = ()
    #: Requests that wait for a thread.
    waiting: int = 0
    #: The longest that one has waited, in seconds.
    longest_wait: float = 0.0
    #: Requests that were answered with status 503.
    refused: int = 0
    #: Calls that were made in a thread.
    jobs: int = 0
    #: For how long threads were held in all, in seconds.
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
        # With the time since when, in that order.
        self.waiting: dict[Lease, float] = {}
        self.last_waited = 0.0
        self.has_timer = False
        self.is_closed = False
        self.jobs = self.refused = 0
        self.longest_wait = self.held_seconds = 0.0
        self._done: deque[_Crossing] = deque()
        self._is_woken = False
        _pools.add(self)

    def put(self, lease: Lease, job: _Job) -> bool:
        """
        Add a job to a lease; return whether it waits in the queue.

        Raise Overloaded if it would have to wait, and may not.
        """
        if lease.worker is threading.current_thread():
            raise RuntimeError(
                "Async code would wait for the thread that it runs in: sync code has "
                "begun an event loop there. Call async code from sync code by "
                "async_to_sync(), not by asyncio.run()."
            )
        with self.lock:
            if self.is_closed:
                raise RuntimeError("The server is shutting down: no worker is left.")
            if (
                lease.worker is None
                and lease not in self.waiting
                and not self._find_worker(lease)
            ):
                self._wait(lease)
            self.jobs += 1
            lease.pending.append(job)
            if lease.worker is not None:
                lease.worker.wake.put(None)
                return False
            if lease.has_begun or self.has_timer:
                return True
            self.has_timer = True
        # In no request's context, which it would keep alive.
        self.loop.call_soon_threadsafe(self._time_out, context=contextvars.Context())
        return True

    def _find_worker(self, lease: Lease) -> bool:
        if self.idle:
            worker = self.idle.pop()
        elif len(self.workers) < self.size:
            worker = _Worker(self, len(self.workers) + 1)
            try:
                # Where threads inherit a context, this one's would never die.
                contextvars.Context().run(worker.start)
            except RuntimeError:
                # The system has no more threads for this process.
                if not self.workers:
                    raise
                return False
            self.workers.append(worker)
        else:
            return False
        worker.lease, lease.worker = lease, worker
        return True

    def _wait(self, lease: Lease) -> None:
        if len(self.waiting) >= self.queue and not lease.has_begun:
            self.refused += 1
            raise Overloaded
        self.last_waited = self.waiting[lease] = time.monotonic()

    def _wait_no_more(self, lease: Lease) -> None:
        waited = time.monotonic() - self.waiting.pop(lease)
        self.longest_wait = max(self.longest_wait, waited)

    def _time_out(self) -> None:
        """Refuse requests that no worker was found for in time; on the event loop."""
        jobs: list[_Job] = []
        now, first = time.monotonic(), None
        with self.lock:
            for lease, since in [*self.waiting.items()]:
                if lease.has_begun:
                    continue
                if now - since < self.queue_timeout:
                    first = since
                    break
                self._wait_no_more(lease)
                self.refused += 1
                jobs += lease.pending
                lease.pending.clear()
            self.has_timer = first is not None
        if first is not None:
            self.loop.call_later(first + self.queue_timeout - now, self._time_out)
        for job in jobs:
            job.refuse(self, Overloaded())

    def withdraw(self, lease: Lease, job: _Job) -> bool:
        """Take back a job that no worker has begun; False if one has."""
        with self.lock:
            if job not in lease.pending:
                return False
            lease.pending.remove(job)
            if not lease.pending and lease in self.waiting:
                self._wait_no_more(lease)
        return True

    def look(self, lease: Lease) -> None:
        """Have the worker of a lease look whether it is held yet."""
        if (worker := lease.worker) is not None:
            worker.wake.put(None)

    def next_for(self, worker: _Worker) -> _Job | None:
        """Give a worker its next job; None, after some time: it may be told to part."""
        with self.lock:
            if worker.lease is None:
                if self.waiting:
                    lease = next(iter(self.waiting))
                    self._wait_no_more(lease)
                    worker.lease, lease.worker = lease, worker
                elif worker not in self.idle:
                    self.idle.append(worker)
            if worker.lease is not None:
                if worker.lease.pending:
                    return worker.lease.pending.popleft()
                worker.since = time.monotonic()
        worker.wake.get()
        if worker.since is not None:
            self._end_hold(worker)
        with self.lock:
            if worker.lease is not None and worker.lease.pending:
                return worker.lease.pending.popleft()
        return None

    def part(self, worker: _Worker, lease: Lease) -> None:
        """Part a worker from a lease that has nothing for it to do."""
        with self.lock:
            if not lease.pending:
                worker.lease = lease.worker = None

    def _end_hold(self, worker: _Worker) -> None:
        with self.lock:
            lease, since, worker.since = worker.lease, worker.since, None
            held = time.monotonic() - (since or 0.0)
            self.held_seconds += held
            others_waited = self.waiting or self.last_waited > (since or 0.0)
        if held > _LONG and others_waited and lease is not None:
            _logger.warning(
                "%s held an idle worker thread for %.1f s while other requests waited "
                "for one. Give it back during the await: "
                "`async with release_worker():`",
                lease.name,
                held,
            )

    def deliver(self, job: _Crossing) -> None:
        """Have the event loop hear of a job that is done; called in any thread."""
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
            now = time.monotonic()
            leased = [(one.lease, one.since) for one in self.workers if one.lease]
            held = [(lease, since) for lease, since in leased if since is not None]
            return Statistics(
                workers=len(self.workers),
                idle=len(self.idle),
                leased=len(leased),
                held=tuple(
                    f"{lease.name}: {lease.why_held() or 'something is open there'}"
                    for lease, _ in held
                ),
                waiting=len(self.waiting),
                longest_wait=max(
                    [self.longest_wait, *(now - one for one in self.waiting.values())]
                ),
                refused=self.refused,
                jobs=self.jobs,
                held_seconds=self.held_seconds + sum(now - since for _, since in held),
            )

    def close(self, timeout: float = _LAST) -> None:
        """Let each worker end after the job that it is at; wait at most `timeout` s."""
        with self.lock:
            self.is_closed = True
            leases = [one.lease for one in self.workers if one.lease is not None]
            jobs = [job for one in [*leases, *self.waiting] for job in one.pending]
            for lease in [*leases, *self.waiting]:
                lease.pending.clear()
            self.waiting.clear()
            for worker in self.workers:
                worker.stop()
        for job in jobs:
            job.refuse(self, RuntimeError("The server is shutting down."))
        end = time.monotonic() + timeout
        for worker in self.workers if timeout else ():
            worker.join(max(0.0, end - time.monotonic()))


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for pool in [*_pools]:
        if pool.pid == os.getpid():
            pool.close()


def _for_each_connection(do: Callable[[Any], object]) -> None:
    """Do it, and replace the connection where that fails: it serves another request."""
    for connection in connections.all(initialized_only=True):
        try:
            do(connection)
        except Exception:
            _logger.exception("The connection to %r was given up.", connection.alias)
            del connections[connection.alias]


def _drop(connection: Any) -> None:
    """Close a connection on which a request has left something open."""
    raw = connection.connection
    if connection.in_atomic_block:
        # With its record of blocks.
        del connections[connection.alias]
        if raw is not None:
            raw.close()
    else:
        connection.close()


def _is_in_transaction(connection: Any) -> bool:
    raw = connection.connection
    if connection.in_atomic_block:
        return True
    try:
        return raw is not None and (
            not connection.autocommit
            or bool(getattr(raw, "in_transaction", False))
            or getattr(getattr(raw, "info", None), "transaction_status", 0)
            in _TRANSACTION
        )
    except Exception:  # noqa: BLE001 - some drivers', of a connection that is gone
        return False


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
    method = args[-1].func if isinstance(args[-1], functools.partial) else args[-1]
    if type(method) is not MethodType or type(method.__self__) is not QuerySet:
        return False
    rows: Any = method.__self__
    return (
        method.__name__ in _READS
        # Each of these may have a project's code run in between.
        and not (router.routers or rows._prefetch_related_lookups)
        and (rows._iterable_class is not ModelIterable or _is_plain(rows))
    )


def _is_plain(rows: Any) -> bool:
    """Whether the objects of a QuerySet are made by nothing but Django's code."""
    model = rows.model
    return (
        not rows.query.select_related
        and model.__init__ is Model.__init__
        and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
        and not (pre_init.has_listeners(model) or post_init.has_listeners(model))
    )
