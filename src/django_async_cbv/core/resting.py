"""End the thread of a request on Django's ASGI handler while the request only waits."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync

from .connections import Cursors, drop, for_each_connection
from .executors import PartingExecutor

__all__ = ["PAUSE", "RestingExecutor", "resting_executor"]

# Seconds without a hop, after which the thread ends.
PAUSE = 1.0


def resting_executor() -> RestingExecutor | None:
    """
    Put an executor that ends its thread in the place of this request's.

    None where the thread is not to end: sync code waits for this task (a test), or the
    worker is of a pool, or of the project's own executor.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if (
        context is None
        or getattr(AsyncToSync.executors, "current", None) is not None
        or getattr(context, "_executor", None) is not None
    ):
        return None
    executors: Any = SyncToAsync.context_to_thread_executor
    executor = executors.get(context)
    if isinstance(executor, RestingExecutor):
        return executor
    if executor is not None and type(executor) is not ThreadPoolExecutor:
        return None
    made = RestingExecutor(asyncio.get_running_loop(), executor)
    executors[context] = made
    return made


class RestingExecutor(PartingExecutor):
    """
    The executor of one request, with a thread only while there is work for one.

    asgiref's would keep its thread, and that its connections, to the end of the
    request. From the first rest() on, the thread also ends after each second without a
    hop. It stays as long as a transaction or a cursor is open there, or it is held.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, inner: ThreadPoolExecutor | None
    ) -> None:
        self._loop = loop
        self._inner = inner
        self._cursors = Cursors()
        # The thread whose connections are noted.
        self._watched: threading.Thread | None = None
        # Guards the attributes below.
        self._lock = threading.Lock()
        self._holds = 0
        self._submitted = 0
        self._unfinished = 0
        self._rests = False
        self._has_timer = False

    @property
    def _threads(self) -> AbstractSet[threading.Thread]:
        # asgiref's executors have this attribute, and callers look for their own thread
        # in it.
        inner = self._inner
        return set() if inner is None else inner._threads

    @property
    def has_thread(self) -> bool:
        """Whether there is a thread now."""
        return self._inner is not None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have the thread call it, a new one if the last has ended."""
        with self._lock:
            if self._inner is None:
                self._inner = ThreadPoolExecutor(1)
            future: Future[Any] = self._inner.submit(self._work, fn, args, kwargs)
            self._submitted += 1
            self._unfinished += 1
        future.add_done_callback(self._end_job)
        return future

    def _work(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._watch()
        return fn(*args, **kwargs)

    def _watch(self) -> None:
        if self._watched is not threading.current_thread():
            self._watched = threading.current_thread()
            self._cursors.watch()

    def _end_job(self, _: Future[Any]) -> None:
        with self._lock:
            self._unfinished -= 1
        self._set_timer()

    def hold(self, count: int = 1) -> None:
        """Keep the thread until as much is taken back by a negative count."""
        with self._lock:
            self._holds += count
        if count < 0:
            self._set_timer()

    def _set_timer(self) -> None:
        with self._lock:
            if not self._rests or self._has_timer:
                return
            self._has_timer = True
        # In an empty context, because the callback would keep the context of a request
        # alive.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(
                self._wait, self._submitted, context=contextvars.Context()
            )

    def _wait(self, submitted: int) -> None:
        self._loop.call_later(PAUSE, self._look, submitted)

    def _look(self, submitted: int) -> None:
        """Rest if there was no hop in the last second; on the event loop."""
        with self._lock:
            is_busy = self._submitted != submitted or bool(self._unfinished)
            self._has_timer = is_busy
        if is_busy:
            self._wait(self._submitted)
        else:
            self.rest()

    def rest(self) -> None:
        """Close the connections and end the thread, unless something is open there."""
        with self._lock:
            self._rests = True
            inner, submitted = self._inner, self._submitted
            if inner is None or self._holds or self._unfinished:
                return
            future = inner.submit(self._let_go)

        def rested(_: Future[bool]) -> None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(
                    self._part, inner, submitted, future, context=contextvars.Context()
                )

        future.add_done_callback(rested)

    def _let_go(self) -> bool:
        """Close the connections if nothing is open there; in the thread."""
        self._watch()
        if self._holds or self._cursors.is_in_use():
            return False
        for_each_connection(lambda one: one.close())
        return True

    def _part(
        self, inner: ThreadPoolExecutor, submitted: int, future: Future[bool]
    ) -> None:
        """End the thread if no other hop has come to it; on the event loop."""
        with self._lock:
            ends = (
                future.result()
                and self._submitted == submitted
                and self._inner is inner
            )
            if ends:
                self._inner = None
                # The object of a thread that has ended still takes 2 kB.
                self._watched = None
        if ends:
            inner.shutdown(wait=False)
        else:
            self._set_timer()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End for good, as asgiref asks at the end of the request."""
        with self._lock:
            inner, self._inner, self._rests = self._inner, None, False
        if inner is not None:
            with contextlib.suppress(RuntimeError):
                inner.submit(for_each_connection, drop)
            inner.shutdown(wait=wait, cancel_futures=cancel_futures)
