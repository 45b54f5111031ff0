"""Jobs for the workers of a pool: a call there, and the way of its result back."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from asgiref import sync
from asgiref.sync import SyncToAsync

__all__ = ["OWN_THREAD", "STOPPED", "Crossing", "Job"]

# What the errors say of calls that no thread can serve.
OWN_THREAD = (
    "Async code would wait for its own thread for ever, because sync code has started "
    "an event loop there. Call the async code with `async_to_sync()` instead of "
    "`asyncio.run()`."
)
STOPPED = (
    "The sync function raised StopIteration, which no future can carry. Catch it, or "
    "give next() a default: `next(items, None)`."
)


class Job:
    """Work that was given to an executor's submit(), as asgiref and asyncio do."""

    def __init__(self, work: Callable[[], Any], is_own: bool) -> None:
        self.work = work
        # Whether the job runs only code of Django and of this package.
        self.is_own = is_own
        self.future: Any = Future()

    def begin(self) -> bool:
        """Whether it is to be done: nobody has cancelled it."""
        return self.future.set_running_or_notify_cancel()  # type: ignore[no-any-return]

    def run(self) -> Any:
        """Do the work, in the worker."""
        return self.work()

    def end(self, result: Any, error: BaseException | None) -> None:
        """Hand over what came of it; in any thread."""
        del self.work
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def refuse(self, error: BaseException) -> None:
        """Hand over an error in the place of a result; in any thread."""
        if self.begin():
            self.end(None, error)


class _Tasks(list[asyncio.Task[Any]]):
    """The tasks of a job's async_to_sync(); with none, the next one is cancelled."""

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


class Crossing(Job):
    """
    A call from the event loop: no more than one object and one future on the way.

    What asgiref does for a call is done for it too: the context goes there and comes
    back, async_to_sync() finds the loop, and an exception in hand is so there too.
    `deliver` has the loop call arrive().
    """

    def __init__(
        self,
        work: Callable[[], Any],
        is_own: bool,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Crossing], None],
    ) -> None:
        self.work = work
        self.is_own = is_own
        self.loop = loop
        self.deliver = deliver
        self.future = loop.create_future()
        self.context = contextvars.copy_context()
        self.handled = sys.exc_info()[1]
        self.tasks = _Tasks()
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def begin(self) -> bool:
        """Whether it is to be done: one that is cancelled is withdrawn."""
        return True

    def run(self) -> Any:
        """Do the work as asgiref would, in the worker."""
        known = SyncToAsync.threadlocal
        known.main_event_loop = self.loop
        known.main_event_loop_pid = os.getpid()
        known.task_context = self.tasks
        if self.handled is None:
            return self.context.run(self._inside)
        try:
            raise self.handled  # noqa: TRY301 - for sys.exc_info() in the worker
        except BaseException:  # noqa: BLE001
            return self.context.run(self._inside)

    def _inside(self) -> Any:
        # The values of asgiref's Local move with the context, as in SyncToAsync.
        sync._restore_context(self.context)
        return self.work()

    def end(self, result: Any, error: BaseException | None) -> None:
        """Hand over what came of it; in any thread."""
        del self.work
        self.handled = None
        if isinstance(error, StopIteration):
            error = RuntimeError(STOPPED)
        self.result, self.error = result, error
        self.deliver(self)

    def arrive(self) -> None:
        """Wake up who waits, on the event loop."""
        self.is_done = True
        if not self.future.done():
            self.future.set_result(None)

    async def wait(
        self, withdraw: Callable[[Job], bool], on_cancel: Callable[[], None]
    ) -> Any:
        """Wait for the end; cancelled, withdraw it, or else wait for that as well."""
        try:
            await self.future
        except asyncio.CancelledError:
            if not withdraw(self):
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
                # Break the cycle between the exception and the frame of its traceback.
                del error
        return self.result
