"""Run the generator of a stream in one task, one part ahead of who reads."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..core.resting import resting_executor
from ..core.threads import run_to_the_end
from ._shutdown import CutOff, Leaver, cuts_off

__all__ = ["Pump", "Terms"]

_logger = logging.getLogger("django.request")

# Seconds that a client gets to read the last part when the server stops.
_LAST = 1.0


# Slots, because a process has as many of them as streams.
@dataclass(slots=True)
class Terms:
    """What a stream sends, and when it ends, as its view says."""

    items: AsyncIterator[Any]
    encode: Callable[[Any], bytes]
    # Releases the slot when the client has gone.
    release: Callable[[], object]
    # The bytes before the first part.
    first: bytes = b""
    heartbeat: float | None = None
    heartbeat_bytes: bytes = b""
    max_duration: float | None = None
    send_timeout: float | None = None
    close_timeout: float = 5.0
    recheck: float | None = None
    may_continue: Callable[[], Awaitable[bool]] | None = None
    # The last bytes of a stream that the server ends.
    goodbye: Callable[[], bytes] = bytes
    # The last bytes of a generator that failed. None cuts the response off.
    failure: Callable[[BaseException], bytes | None] = lambda _: None
    # The last bytes for a server that leaves the connection open if Django cuts the
    # response off.
    failure_note: bytes = b""
    request: Any = None
    name: str = "The stream"
    # Whether the stream ends by itself when the server gets a signal to stop.
    ends_with_server: bool = True


class Alarm:
    """One timer that is set often: it is moved only when it goes off too early."""

    __slots__ = ("_at", "_handle", "_loop", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._at: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """Ring at a time of the loop's, or not at all."""
        self._at = at
        if at is None or (self._handle is not None and self._handle.when() <= at):
            return
        self._schedule(at)

    def _schedule(self, at: float) -> None:
        self.stop()
        self._at = at
        # In an empty context, because the timer would keep the context of a request
        # alive.
        self._handle = self._loop.call_at(
            at, self._go_off, context=contextvars.Context()
        )

    def _go_off(self) -> None:
        self._handle = None
        at = self._at
        if at is None:
            return
        if self._loop.time() >= at:
            self._at = None
            self._ring()
        else:
            self._schedule(at)

    def stop(self) -> None:
        """Never ring."""
        self._at = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Pump(Leaver):
    """
    A stream: the task that its generator runs in, and the parts on their way.

    The generator has one task from its first line to its last, so its context variables
    and its timeouts are what they are in any coroutine. What reads waits for parts,
    heartbeats and the end of the server in the task of the request.
    """

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self.terms = terms
        self.error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._parts: list[bytes] = [terms.first] if terms.first else []
        # The reader waits here for a part, and the generator for the reader.
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        # The task that sends a part to the client.
        self._sender: asyncio.Task[Any] | None = None
        self._alarm: Alarm | None = None
        # Whether the generator has ended by itself.
        self._is_done = False
        # Whether the stream has to end, or has ended.
        self._is_closing = False
        self._is_leaving = False
        # Whether the reader has read the last part.
        self._is_over = False
        # The task that was cancelled because its client did not read.
        self._stuck: asyncio.Task[Any] | None = None
        self._is_logged = False
        self._ends_at: float | None = None
        self._rechecks_at: float | None = None
        self._beats_at: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its generator runs no more, or was never begun."""
        return self._task is None or self._task.done()

    # The side of the generator.

    async def _run(self) -> None:
        try:
            await self._drive()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The event loop ends, and cancels all tasks.
                self._is_leaving = True
            else:
                # An error, so that the client does not take the answer for complete.
                self.error = RuntimeError(f"{self.terms.name} cancelled itself.")
        except (KeyboardInterrupt, SystemExit) as error:
            self.error = error
            # They end the event loop.
            raise
        except BaseException as error:  # noqa: BLE001 - for the reader
            self.error = error
        finally:
            self._is_done = True
            _wake(self._reader)

    async def _drive(self) -> None:
        iterator = self.terms.items
        try:
            step: Any = iterator.__anext__()
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                if self._is_closing:
                    # Nobody reads any more what it yields when it is cancelled.
                    return
                try:
                    await self._put(self.terms.encode(item))
                except asyncio.CancelledError as error:
                    # Raise the error inside the generator, as at an `await`. There, its
                    # own asyncio.timeout() sees the cancellation.
                    throw = getattr(iterator, "athrow", None)
                    if throw is None:
                        raise
                    step = throw(error)
                else:
                    step = iterator.__anext__()
                item = None
        finally:
            # Not only generators have it: a subscription of a channel has, too.
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    async def _put(self, part: bytes) -> None:
        if not part:
            # Let other tasks run if a generator yields empty parts again and again.
            await asyncio.sleep(0)
            return
        while self._parts:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer
        self._parts.append(part)
        _wake(self._reader)

    # The side of the reader: the request's task.

    async def next(self) -> bytes:
        """Return the next part; raise StopAsyncIteration at the end."""
        self._sender = None
        if self._alarm is None:
            self._begin()
        while not self._is_over:
            now = self.loop.time()
            if self._is_leaving or (self._ends_at is not None and now >= self._ends_at):
                return await self._leave_now()
            if self._rechecks_at is not None and now >= self._rechecks_at:
                if not await self._may_continue():
                    return await self._leave_now()
                continue
            if self._parts:
                part = self._parts.pop()
                _wake(self._writer)
                return self._send(part)
            if self._is_done:
                return await self._end()
            if self._beats_at is not None and now >= self._beats_at:
                return self._send(self.terms.heartbeat_bytes)
            await self._wait()
        raise StopAsyncIteration

    def _begin(self) -> None:
        terms = self.terms
        self.enter(watches=terms.ends_with_server)
        if (resting := resting_executor()) is not None:
            resting.rest()
        now = self.loop.time()
        self._alarm = Alarm(self._ring)
        if terms.max_duration is not None:
            self._ends_at = now + terms.max_duration
        if terms.recheck is not None and terms.may_continue is not None:
            self._rechecks_at = now + terms.recheck
        self._beat(now)
        self._task = self.loop.create_task(self._run())

    def _beat(self, now: float) -> None:
        if self.terms.heartbeat is not None:
            self._beats_at = now + self.terms.heartbeat

    def _send(self, part: bytes) -> bytes:
        now = self.loop.time()
        self._beat(now)
        self._sender = asyncio.current_task()
        self._expect(now, _LAST if self._is_leaving else self.terms.send_timeout)
        return part

    def _expect(self, now: float, seconds: float | None) -> None:
        """Wait so long for the client to read."""
        assert self._alarm is not None
        self._alarm.set(None if seconds is None else now + seconds)

    def go_on(self) -> None:
        """Wait as long again for a client that has read a piece of a large part."""
        if self._sender is not None and not self._is_leaving:
            self._expect(self.loop.time(), self.terms.send_timeout)

    async def _wait(self) -> None:
        assert self._alarm is not None
        times = (self._beats_at, self._ends_at, self._rechecks_at)
        self._alarm.set(min((at for at in times if at is not None), default=None))
        if self._reader is not None:
            # A new part would wake only one of them.
            raise RuntimeError(
                f"Two tasks read {self.terms.name} at the same time. One would wait "
                "for ever. Read a response in one task."
            )
        self._reader = self.loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def _may_continue(self) -> bool:
        terms = self.terms
        assert terms.may_continue is not None
        assert terms.recheck is not None
        self._rechecks_at = self.loop.time() + terms.recheck
        try:
            # The client gets nothing meanwhile, not even when the server stops.
            async with asyncio.timeout(terms.recheck):
                return await terms.may_continue() is True
        except Exception as error:  # noqa: BLE001 - nobody stays by a failure
            self.error = error
            return False

    def _ring(self) -> None:
        """Have the reader look, or take a client that does not read for gone."""
        if self._sender is None:
            _wake(self._reader)
            return
        self._stuck, self._sender = self._sender, None
        self._stop()
        self._stuck.cancel()

    def leave(self) -> None:
        """Say goodbye and end, as the server does; on the event loop."""
        self._is_leaving = True
        if self._sender is not None and self._alarm is not None:
            self._alarm.set(self.loop.time() + _LAST)
        _wake(self._reader)

    async def _leave_now(self) -> bytes:
        """End the generator, and give the last bytes."""
        await self._finish()
        if self.error is not None:
            return await self._fail()
        self._is_over = True
        return self._last(self.terms.goodbye())

    async def _end(self) -> bytes:
        """Give the last bytes of a generator that has ended."""
        await self._finish()
        if self.error is not None:
            return await self._fail()
        self._is_over = True
        raise StopAsyncIteration

    async def _fail(self) -> bytes:
        self._is_over = True
        error = self.error
        assert error is not None
        await self._log()
        last = self.terms.failure(error)
        if last is None and not cuts_off():
            last = self.terms.failure_note
        if last is None:
            # Django ends the response here, and the server cuts the connection off.
            raise CutOff from error
        return self._last(last)

    def _last(self, part: bytes) -> bytes:
        if not part:
            raise StopAsyncIteration
        return self._send(part)

    async def _log(self) -> None:
        """Log the error once, in a worker, as a handler of the log may send mail."""
        if self._is_logged or self.error is None:
            return
        self._is_logged = True
        error, request = self.error, self.terms.request

        def log() -> None:
            path = getattr(request, "path", "")
            _logger.error(
                "Stream failed: %s",
                path,
                exc_info=error,
                extra={"status_code": 500, "request": request},
            )

        await run_to_the_end(log)

    def _stop(self) -> None:
        """Have the generator end."""
        if not self._is_closing:
            self._is_closing = True
            if self._task is not None and not self._is_done:
                self._task.cancel()

    async def _finish(self) -> None:
        """End the generator and wait for that, however often this is cancelled."""
        self._stop()
        task = self._task
        cancelled: asyncio.CancelledError | None = None
        if task is not None:
            end = time.monotonic() + self.terms.close_timeout
            while not task.done() and (left := end - time.monotonic()) > 0:
                try:
                    await asyncio.wait({task}, timeout=left)
                except asyncio.CancelledError as raised:
                    cancelled = raised
            if not task.done():
                _logger.error(
                    "%s did not end in %s s after it was cancelled. Its task is left "
                    "behind. Let CancelledError pass, and await less in `finally`.",
                    self.terms.name,
                    self.terms.close_timeout,
                    extra={"status_code": 500, "request": self.terms.request},
                )
        if cancelled is not None:
            try:
                raise cancelled
            finally:
                del cancelled

    async def close(self) -> None:
        """End the stream, wherever it is; raise for a client that does not read."""
        self._sender = None
        self._is_over = True
        try:
            await self._finish()
        finally:
            self.exit()
            if self._alarm is not None:
                self._alarm.stop()
            _wake(self._reader)
            self.terms.release()
            await self._log()
        stuck, self._stuck = self._stuck, None
        if (
            stuck is not None
            and stuck is asyncio.current_task()
            and not stuck.uncancel()
        ):
            raise CutOff

    def abandon(self) -> None:
        """End a stream that nobody reads or closes any more; in any thread."""
        self.terms.release()
        if self.is_open:
            try:
                self.loop.call_soon_threadsafe(
                    self._dismiss, context=contextvars.Context()
                )
            except RuntimeError:
                # The event loop is closed, and has no thread any more.
                self.exit()

    def _dismiss(self) -> None:
        self._is_over = True
        self._stop()
        self.exit()
        if self._alarm is not None:
            self._alarm.stop()
        _wake(self._reader)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
