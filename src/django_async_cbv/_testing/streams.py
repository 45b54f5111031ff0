"""Read a streaming response in a test, as a client does, and close it again."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import RequestAborted

__all__ = ["OpenStream", "ReceivedEvent", "open_stream"]


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """
    One event as a browser's `EventSource` fires it.

    Attributes:
        data: The text.
        event: The name, "message" for an event without one.
        id: The last id that the stream has sent, "" before the first.
    """

    data: str
    event: str = "message"
    id: str = ""


class EventDecoder:
    """Reads server-sent events from bytes, as the HTML standard says."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text = ""
        self._has_begun = False
        self._data: list[str] = []
        self._event = ""
        self.id = ""
        # The last `retry` that the stream sent, in milliseconds.
        self.retry: int | None = None

    def feed(self, part: bytes) -> Iterator[ReceivedEvent]:
        """Give the events that are complete with these bytes."""
        self._text += self._decode(part)
        if not self._has_begun and self._text:
            self._has_begun = True
            self._text = self._text.removeprefix("\ufeff")
        while (line := self._take_line()) is not None:
            if line:
                self._take_field(line)
            elif (event := self._take_event()) is not None:
                yield event

    def _take_line(self) -> str | None:
        ends = [at for end in "\r\n" if (at := self._text.find(end)) >= 0]
        if not ends:
            return None
        at = min(ends)
        # A CR at the end may be the first half of CR LF.
        if self._text[at] == "\r" and at + 1 == len(self._text):
            return None
        length = 2 if self._text.startswith("\r\n", at) else 1
        line, self._text = self._text[:at], self._text[at + length :]
        return line

    def _take_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def _take_event(self) -> ReceivedEvent | None:
        data, self._data = self._data, []
        event, self._event = self._event, ""
        if not data:
            return None
        return ReceivedEvent("\n".join(data), event or "message", self.id)


class OpenStream:
    """The parts of a response, in their order. `open_stream()` makes it."""

    def __init__(self, response: Any, timeout: float) -> None:
        self._response = response
        self._timeout = timeout
        self._pump = getattr(response, "pump", None)
        self._decoder = EventDecoder()
        if self._pump is not None:
            terms = self._pump.terms
            # No timeout, because a test may look at something else meanwhile.
            terms.send_timeout = None
            terms.close_timeout = min(terms.close_timeout, timeout)
        self._parts: AsyncIterator[bytes] = aiter(_parts_of(response))

    @property
    def retry(self) -> int | None:
        """The last `retry` that the stream sent, in milliseconds."""
        return self._decoder.retry

    def __aiter__(self) -> OpenStream:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part, or raise the error of the generator."""
        try:
            async with asyncio.timeout(self._timeout) as timeout:
                return await anext(self._parts)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise TimeoutError(
                f"The stream sent nothing for {self._timeout} s. Give open_stream() a "
                "longer `timeout`, or let the generator yield."
            ) from None
        except StopAsyncIteration:
            if self._pump is not None and self._pump.error is not None:
                raise self._pump.error from None
            raise
        except RequestAborted as error:
            if error.__cause__ is not None:
                raise error.__cause__ from None
            raise

    async def read(self) -> bytes:
        """
        Read to the end of the stream.

        Returns:
            All parts that are left, as one.

        Raises:
            TimeoutError: If a part takes too long.

        Runs on:
            The event loop, without a hop.
        """
        return b"".join([part async for part in self])

    async def events(self) -> AsyncGenerator[ReceivedEvent]:
        """
        Yield the server-sent events, without comments and heartbeats.

        Returns:
            An async iterator of `ReceivedEvent`.

        Raises:
            TimeoutError: If an event takes too long.

        Runs on:
            The event loop, without a hop.
        """
        async for part in self:
            for event in self._decoder.feed(part):
                yield event

    async def close(self) -> None:
        """
        Close the response, as a server does when its client has gone.

        Raises:
            TimeoutError: If the generator does not end in time.

        Runs on:
            The event loop, without a hop.
        """
        close = getattr(self._parts, "aclose", None)
        if close is not None:
            await close()
        if self._pump is not None and not self._pump.has_ended:
            raise TimeoutError(
                f"The generator did not end in {self._timeout} s after its client had "
                "gone. Let CancelledError pass."
            )


async def _parts_of(response: Any) -> AsyncGenerator[bytes]:
    if not response.streaming:
        if response.status_code != 200:
            raise AssertionError(
                f"The response is no stream: it has status {response.status_code}."
            )
        yield response.content
        return
    async with contextlib.aclosing(aiter(response)) as parts:
        async for part in parts:
            yield part


@asynccontextmanager
async def open_stream(
    response: Any,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 - of each part
) -> AsyncGenerator[OpenStream]:
    """
    Read a streaming response, and close it at the end of the block.

    Args:
        response: What your view or `self.async_client` returned.
        timeout: For how many seconds to wait for a part, or for the end of the
            generator, before the test fails with TimeoutError.

    Returns:
        An async context manager, which gives an `OpenStream`.

    Runs on:
        The event loop. The block makes no hop of its own.
    """
    stream = OpenStream(response, timeout)
    try:
        yield stream
    finally:
        await stream.close()
