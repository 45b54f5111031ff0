"""The response of a streaming view, which ends its generator by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.http import StreamingHttpResponse

from ._pump import Pump

__all__ = ["StreamResponse", "wsgi_error"]


# Bytes that a server gets at once. With 64 KiB or more, Gunicorn's worker calls
# `writelines()` of asyncio's transport. Before Python 3.12.9 and 3.13.2 that method
# never paused the writer (python/cpython#127655), so a client that did not read let the
# process grow without an end.
_LARGEST = 32768


def wsgi_error(name: str) -> ImproperlyConfigured:
    """What is wrong where sync code serves a stream."""
    return ImproperlyConfigured(
        f"{name} cannot stream in sync code, for example under a WSGI server, under "
        "`runserver` without Daphne, or for Django's sync test client. The client gets "
        "no data. Serve the project with an ASGI server: "
        "`uvicorn mysite.asgi:application`. For "
        '`runserver`, put "daphne" first in INSTALLED_APPS. In a test, use '
        "`self.async_client` and `open_stream()`."
    )


def _pieces(part: bytes) -> Iterator[bytes]:
    """Cut a part into pieces that each server sends no faster than its client reads."""
    if len(part) <= _LARGEST:
        yield part
        return
    for start in range(0, len(part), _LARGEST):
        yield part[start : start + _LARGEST]


class _Parts:
    """
    The parts of a stream, to be read once.

    Not an async generator: those that wrap it would leave it open.
    """

    def __init__(self, pump: Pump) -> None:
        self.pump = pump

    def __aiter__(self) -> _Parts:
        return self

    async def __anext__(self) -> bytes:
        return await self.pump.next()

    def __del__(self) -> None:
        # Nobody closes a response in whose place a middleware gives another one.
        self.pump.abandon()


class _SyncParts:
    """The same parts for sync code, which reads them once as well."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


class StreamResponse(StreamingHttpResponse):
    """
    A streaming response that ends its generator before it is over itself.

    Django's own leaves a generator to the garbage collector if the client goes while
    it reads. Without a `pump` the response has headers only. `parts`: for sync code.
    """

    if TYPE_CHECKING:
        _iterator: Any

        def _set_streaming_content(self, value: Any) -> None: ...

    def __init__(
        self,
        pump: Pump | None,
        parts: Iterator[bytes] | None = None,
        *,
        name: str = "The view",
        **kwargs: Any,
    ) -> None:
        self._pump = pump
        self._name = name
        content: Any = ()
        if parts is not None:
            content = _SyncParts(parts)
        elif pump is not None:
            content = _Parts(pump)
        super().__init__(content, **kwargs)
        if pump is not None:
            self._resource_closers.append(pump.abandon)  # type: ignore[attr-defined]

    @property
    def pump(self) -> Pump | None:
        """What runs the generator."""
        return self._pump

    @property
    def streaming_content(self) -> Any:
        """What middleware may wrap."""
        iterator: Any = self._iterator
        if isinstance(iterator, _Parts):
            return iterator
        return super().streaming_content

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._set_streaming_content(value)

    def __iter__(self) -> Iterator[bytes]:
        """Refuse sync code."""
        if self.is_async:
            raise wsgi_error(self._name)
        return super().__iter__()

    def getvalue(self) -> bytes:
        """Refuse sync code."""
        if self.is_async:
            raise wsgi_error(self._name)
        return super().getvalue()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """Give the parts, and end the generator before this ends."""
        # The iterator that the last middleware has set.
        iterator: Any = self._iterator
        if self._pump is not None and isinstance(iterator, _SyncParts):
            # An async test reads a response that was made for sync code.
            iterator = _Parts(self._pump)
        try:
            if hasattr(iterator, "__aiter__"):
                async for part in iterator:
                    for piece in _pieces(self.make_bytes(part)):
                        yield piece
                        if self._pump is not None:
                            self._pump.go_on()
            else:
                for part in iterator:
                    for piece in _pieces(self.make_bytes(part)):
                        yield piece
        finally:
            try:
                if self._pump is not None:
                    await self._pump.close()
                    self._forget_pump()
            finally:
                if hasattr(iterator, "aclose"):
                    await iterator.aclose()

    def _forget_pump(self) -> None:
        # Without this closer, the entry point needs no hop to close the response.
        closers: Any = self._resource_closers  # type: ignore[attr-defined]
        if self._pump is not None and self._pump.abandon in closers:
            closers.remove(self._pump.abandon)
