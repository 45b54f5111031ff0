"""A bounded pool of worker threads, which requests lease for their sync work."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from queue import SimpleQueue
from typing import Any, Literal, TypeAlias

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from ..core.connections import (
    Cursors,
    drop,
    for_each_connection,
    has_foreign_engine,
    is_read,
)
from ..core.crossing import OWN_THREAD, Crossing, Job
from ..core.executors import Desk, RequestExecutor
from ..core.threads import worker as this_thread
from ..trace import watch

__all__ = ["Lease", "Overloaded", "Pool", "Release", "Statistics"]

Release: TypeAlias = Literal["between", "request", "always"]

_logger = logging.getLogger("django_async_cbv.pool")

# After so many seconds with an idle worker thread, while others wait, a warning is
# logged.
_LONG = 1.0
# Why a request keeps an idle worker thread. _FIXES has what releases the thread.
_BLOCK = "a block of hold_worker(), aatomic() or to_async() is open"
_OPEN = "a transaction or a cursor is open in the thread"
_REQUEST = 'release="request"'
_FOREIGN = "code that is not Django's ran there"
_FIXES = {
    _BLOCK: "Await before that block or after it.",
    _OPEN: "End the transaction, or close the cursor, before the await.",
    _REQUEST: 'Give it back earlier: `get_asgi_application(release="between")`.',
    _FOREIGN: "Give it back during the await: `async with release_worker():`",
}
# Seconds that the worker threads get to end at exit.
_LAST = 5.0


class Overloaded(BaseException):
    """
    No worker is to be had for a request that has not begun its view.

    Not an Exception: neither a view nor middleware is to catch it.
    """


class _Context(ThreadSensitiveContext):
    """By which asgiref finds a lease; dies with the last task of the request."""

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self.lease = lease

    def __del__(self) -> None:
        # The task may never have ended. The garbage collector may call this in any
        # thread, also while that thread holds a lock.
        self.lease.abandon()


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
        # The worker of the job before.
        self.last: _Worker | None = None
        self.pending: deque[Job] = deque()
        # The name of the request in warnings and statistics.
        self.name = "a request"
        # Whether the view has started. From then on, the request gets no status 503.
        self.has_begun = False
        # Whether the response has left the last middleware.
        self.has_ended = False
        # It is for queries beside those of the request, which prepare themselves.
        self.is_beside = False
        # Nobody is left who could end what is open.
        self.is_abandoned = False
        # The task of the request, until that ends, and others that have used it.
        self.task: asyncio.Task[Any] | None = None
        self.others: weakref.WeakSet[asyncio.Task[Any]] | None = None
        self.token: contextvars.Token[ThreadSensitiveContext] | None = None
        self.is_foreign = pool.has_foreign_engine
        self.holds = 0
        self.releases = 0

    def enter(self) -> None:
        """
        Make all sync work of this task, and of those that it begins, this lease's.

        The context of asgiref is entered and not left: a task that outlives the
        request finds a worker too.
        """
        context = _Context(self)
        SyncToAsync.context_to_thread_executor[context] = self
        self.token = SyncToAsync.thread_sensitive_context.set(context)
        self.task = asyncio.current_task()

    def leave(self) -> None:
        """Take this lease off the task that has entered it, which is over."""
        self.end()
        if self.token is not None:
            SyncToAsync.thread_sensitive_context.reset(self.token)
        self.token = self.task = None
        for task in [*self.others] if self.others else ():
            # One that is over may be of a loop that is closed.
            if not task.done():
                task.add_done_callback(self._look_at_others)
        self._look_at_others()

    def another(self) -> Lease | None:
        """A lease of an idle worker for the same request; None if there is none."""
        other = Lease(self.pool)
        other.name = self.name
        other.has_begun = other.has_ended = other.is_beside = True
        with self.pool.lock:
            return other if self.pool.find_worker(other) else None

    def _note_task(self) -> None:
        task = asyncio.current_task()
        if task is None or task is self.task:
            return
        if self.others is None:
            self.others = weakref.WeakSet()
        if task not in self.others:
            self.others.add(task)
            if self.task is None:
                task.add_done_callback(self._look_at_others)

    def _look_at_others(self, task: asyncio.Task[Any] | None = None) -> None:
        if self.others is None or all(other.done() for other in self.others):
            self.abandon()

    def abandon(self) -> None:
        """Have the worker close what is open, and go back."""
        self.is_abandoned = True
        self.pool.look(self)

    async def cross(
        self,
        func: Callable[[], Any],
        *,
        own: bool = False,
        on_cancel: Callable[[], None] = lambda: None,
        back: bool = False,
    ) -> Any:
        """Run a function in a worker; one hop. `back`: in the one that it had last."""
        pool = self.pool
        self._note_task()
        job = Crossing(func, own, self.loop, pool.deliver)
        pool.put(self, job, back=back)
        return await job.wait(self._withdraw, on_cancel)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have a worker call it: foreign, but for a read by Django's own QuerySet."""
        self._note_task()
        job = Job(functools.partial(fn, *args, **kwargs), is_read(fn, args))
        if self.pool.put(self, job):
            # One that is cancelled in the queue gives up its place at once.
            job.future.add_done_callback(lambda _: self._withdraw(job))
        return job.future

    def _withdraw(self, job: Job) -> bool:
        return self.pool.withdraw(self, job)

    def hold(self, count: int = 1) -> None:
        """Keep the worker whatever has run there."""
        with self.pool.lock:
            self.holds += count
        self.pool.look(self)

    def release(self, count: int = 1) -> None:
        """Give the worker back though foreign code has run there."""
        with self.pool.lock:
            self.releases += count
        self.pool.look(self)

    @property
    def is_late(self) -> bool:
        """Whether what an ENGINE kept for the request is gone with its worker."""
        return self.has_ended and not self.is_beside and self.pool.keeps_sessions

    def end(self) -> None:
        """Have the worker go back as soon as it may: the response is complete."""
        if not self.has_ended:
            self.has_begun = self.has_ended = True
            self.pool.look(self)

    def why_held(self) -> str | None:
        """What keeps a worker for the request, but for what is open in its thread."""
        if self.holds:
            return _BLOCK
        if self.has_ended or self.pool.release == "always":
            return None
        if self.pool.release == "request":
            return _REQUEST
        if self.is_foreign and not self.releases:
            return _FOREIGN
        return None


watch(Lease)


class _Worker(threading.Thread):
    """One thread of a pool, with its own connections."""

    def __init__(self, pool: Pool, number: int) -> None:
        super().__init__(name=f"django-async-cbv-{number}", daemon=True)
        self.pool = pool
        self.lease: Lease | None = None
        # Since when it has waited with a lease, which holds it.
        self.since: float | None = None
        # And why.
        self.reason = ""
        self.is_told_to_end = False
        # What is put into it has it look for work: also in vain.
        self.wake: SimpleQueue[None] = SimpleQueue()
        # Requests that come back to it, and to no other.
        self.returning: deque[Lease] = deque()
        # Cursors that something may read from yet.
        self.cursors = Cursors(self._look_again)

    def _look_again(self) -> None:
        # Somebody else had the frame that a cursor is in, a watchdog for example.
        if self.since is not None:
            self.wake.put(None)

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
            for_each_connection(lambda one: one.close())

    def _do(self, job: Job) -> None:
        result, error, is_wanted = None, None, job.begin()
        try:
            if is_wanted:
                self._begin(job)
                result = job.run()
        except BaseException as raised:  # noqa: BLE001 - for who waits
            error = raised
        self._part()
        if is_wanted:
            job.end(result, error)
        # Its traceback has this frame.
        del error

    def _begin(self, job: Job) -> None:
        lease = self.lease
        assert lease is not None
        if not job.is_own:
            lease.is_foreign = True
        if this_thread.executor is lease:
            return
        this_thread.executor = lease
        # What outlives its wait must not come to a wait of another request.
        this_thread.desk = Desk()
        self.cursors.begin(anew=lease.is_late)

    def _part(self) -> None:
        """Go to whoever waits, if nothing of the request is left behind by that."""
        lease = self.lease
        if lease is None:
            return
        if this_thread.executor is lease:
            # Before the look: a cursor that is freed during it has this look again.
            self.since = time.monotonic()
            is_in_use = self.cursors.is_in_use()
            if lease.is_abandoned:
                if is_in_use:
                    self.cursors.close()
                    for_each_connection(drop)
            elif reason := lease.why_held() or (_OPEN if is_in_use else None):
                self.reason = reason
                return
            self.since = None
            this_thread.executor = None
            self.cursors.end()
        self.pool.part(self, lease)


@dataclass(frozen=True)
class Statistics:
    """What the worker threads of a process do now, and did since the first request."""

    #: Worker threads that have started.
    workers: int = 0
    #: Worker threads that no request has.
    idle: int = 0
    #: Requests that have a worker thread.
    leased: int = 0
    #: Requests that keep an idle worker thread. Each text has the view and the reason.
    held: tuple[str, ...] = ()
    #: Requests that wait for a worker thread.
    waiting: int = 0
    #: The longest wait of a request for a worker thread, in seconds.
    longest_wait: float = 0.0
    #: Requests that were answered with status 503.
    refused: int = 0
    #: Calls that worker threads have run.
    jobs: int = 0
    #: For how many seconds requests kept idle worker threads, in sum.
    held_seconds: float = 0.0

    def __add__(self, other: Statistics) -> Statistics:
        pairs = zip(astuple(self), astuple(other), strict=True)
        total = Statistics(*(one + another for one, another in pairs))
        return replace(total, longest_wait=max(self.longest_wait, other.longest_wait))


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
        self.has_foreign_engine = has_foreign_engine()
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
        self._done: deque[Crossing] = deque()
        self._is_woken = False
        _pools.add(self)

    @property
    def keeps_sessions(self) -> bool:
        """Whether an ENGINE may keep something of a request on its connection."""
        return self.has_foreign_engine and self.release != "always"

    @property
    def is_here(self) -> bool:
        """Whether this is the process of its threads, and no fork of it."""
        return self.pid == os.getpid()

    def put(self, lease: Lease, job: Job, *, back: bool = False) -> bool:
        """
        Add a job to a lease; return whether it waits in the queue.

        `back`: it is for the worker that the lease had last, as soon as no other has
        that. Raise Overloaded if it would have to wait, and may not.
        """
        if lease.worker is threading.current_thread():
            raise RuntimeError(OWN_THREAD)
        with self.lock:
            if self.is_closed:
                raise RuntimeError(
                    "The server is shutting down, so no worker thread is left for this "
                    "task. Await the task before its request ends."
                )
            if (
                lease.worker is None
                and lease not in self.waiting
                and not (back and self._go_back(lease))
                and not self.find_worker(lease)
            ):
                self._wait(lease)
            self.jobs += 1
            lease.is_abandoned = False
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

    def _go_back(self, lease: Lease) -> bool:
        if (worker := lease.last) is None:
            return False
        if worker in self.idle:
            self.idle.remove(worker)
            worker.lease, lease.worker = lease, worker
        else:
            worker.returning.append(lease)
        return True

    def find_worker(self, lease: Lease) -> bool:
        """Give a lease a worker that nobody has; called under the lock."""
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
        jobs: list[Job] = []
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
            job.refuse(Overloaded())

    def withdraw(self, lease: Lease, job: Job) -> bool:
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

    def next_for(self, worker: _Worker) -> Job | None:
        """Give a worker its next job; None, after some time: it may be told to part."""
        job = self._pending(worker)
        if job is None:
            worker.wake.get()
            job = self._pending(worker)
        if worker.since is not None:
            self._end_hold(worker)
        return job

    def _pending(self, worker: _Worker) -> Job | None:
        with self.lock:
            if worker.lease is None or not worker.lease.pending:
                return None
            return worker.lease.pending.popleft()

    def part(self, worker: _Worker, lease: Lease) -> None:
        """Have a worker go on to whoever waits, if its lease has no job for it."""
        with self.lock:
            if lease.pending:
                return
            worker.lease, lease.worker, lease.last = None, None, worker
            while worker.returning:
                lease = worker.returning.popleft()
                # Not if it was taken back, or has found another worker since.
                if lease.pending and lease.worker is None and lease not in self.waiting:
                    worker.lease, lease.worker = lease, worker
                    return
            if self.waiting:
                lease = next(iter(self.waiting))
                self._wait_no_more(lease)
                worker.lease, lease.worker = lease, worker
            else:
                self.idle.append(worker)

    def _end_hold(self, worker: _Worker) -> None:
        with self.lock:
            lease, since, worker.since = worker.lease, worker.since, None
            held = time.monotonic() - (since or 0.0)
            self.held_seconds += held
            others_waited = self.waiting or self.last_waited > (since or 0.0)
        if held > _LONG and others_waited and lease is not None:
            _logger.warning(
                "%s held an idle worker thread for %.1f s while other requests waited "
                "for one: %s. %s",
                lease.name,
                held,
                worker.reason,
                _FIXES[worker.reason],
            )

    def deliver(self, job: Crossing) -> None:
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
            leased = [(one, one.lease, one.since) for one in self.workers if one.lease]
            held = [
                (f"{lease.name}: {one.reason}", since)
                for one, lease, since in leased
                if since is not None
            ]
            return Statistics(
                workers=len(self.workers),
                idle=len(self.idle),
                leased=len(leased),
                held=tuple(text for text, _ in held),
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
            leases += [lease for one in self.workers for lease in one.returning]
            jobs = [job for one in [*leases, *self.waiting] for job in one.pending]
            for lease in [*leases, *self.waiting]:
                lease.pending.clear()
            self.waiting.clear()
            for worker in self.workers:
                worker.stop()
        for job in jobs:
            job.refuse(RuntimeError("The server is shutting down."))
        end = time.monotonic() + timeout
        for worker in self.workers if timeout else ():
            worker.join(max(0.0, end - time.monotonic()))


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for pool in [*_pools]:
        if pool.is_here:
            pool.close()
