"""Stop a task at its n-th suspension, and cancel it, or its client, at that await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

__all__ = ["Stop", "counting_tasks"]

# A task that was stopped is let go after so many rounds of the loop if nothing that
# came of the stop has cancelled it.
PATIENCE = 100

_current: ContextVar[Stop | None] = ContextVar("stop", default=None)


class Stop:
    """
    Calls `then`, once, when the tasks under watch suspend for the n-th time.

    Early: as soon as the task waits, so in the middle of what it waits for. Late: as
    soon as that is done, before the task is woken to see it. Meanwhile the task stays
    where it is, so that a cancellation that takes some rounds of the loop to arrive
    (a client's disconnect) still finds it there. That a task is made counts as well:
    `then` is called before its first step.

    Watched are the tasks made while `watch()` holds, and those that they make, and
    that asgiref makes for the sync code that they call.
    """

    def __init__(self, n: int, then: Callable[[], object], *, late: bool = False):
        self.n = n
        self.late = late
        self.count = 0
        self.fired = False
        # Whether the stopped task went on because nothing had cancelled it.
        self.let_go = False
        self._then = then

    def watch(self) -> None:
        """Watch the tasks that are made in this context from now on."""
        _current.set(self)

    def made(self) -> None:
        self.count += 1
        if self.count == self.n:
            self.fire()

    def fire(self) -> None:
        self.fired = True
        self._then()


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine that counts its suspensions, and waits at the one to stop at."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], stop: Stop):
        self._coroutine = coroutine
        self._stop = stop
        self._held: asyncio.Future[None] | None = None
        self._waits_for: asyncio.Future[Any] | None = None

    def send(self, value: Any) -> Any:
        if self._held is None:
            return self._suspended(self._coroutine.send(value))
        self._held = None
        self._stop.let_go = True
        if self._waits_for is None:
            return self._suspended(self._coroutine.send(value))
        return self._waits_for

    def throw(self, *error: Any) -> Any:
        if self._held is not None:
            self._held = None
            # As Task.cancel() does: what is still waited for decides.
            if self._waits_for is not None and self._waits_for.cancel():
                return self._waits_for
        return self._suspended(self._coroutine.throw(*error))

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def _suspended(self, waits_for: asyncio.Future[Any] | None) -> Any:
        stop = self._stop
        stop.count += 1
        if stop.count != stop.n:
            return waits_for
        if not stop.late or waits_for is None:
            stop.fire()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # It was this task that `then` cancelled, and it knows how to go on.
                return waits_for
            self._be_patient(PATIENCE)
        else:
            waits_for.add_done_callback(self._fire)
        self._waits_for = waits_for
        self._held = asyncio.get_running_loop().create_future()
        # What `await self._held` gives to the task.
        return self._held.__await__().send(None)

    def _fire(self, *_: Any) -> None:
        self._stop.fire()
        self._be_patient(PATIENCE)

    def _be_patient(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._be_patient, rounds - 1)
        elif self._held is not None and not self._held.done():
            self._held.set_result(None)


def counting_tasks(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task, watched if need be: for `loop.set_task_factory()`."""
    context = options.get("context")
    stop = _current.get() if context is None else context.get(_current)
    if stop is not None:
        maker = asyncio.current_task()
        if maker is None or isinstance(maker.get_coro(), Watched):
            stop.made()
        coroutine = Watched(coroutine, stop)
    return asyncio.Task(coroutine, loop=loop, **options)
