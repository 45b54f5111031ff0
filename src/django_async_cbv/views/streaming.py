"""Views that answer with a stream: server-sent events, channels, long polls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import django
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.functional import Promise

from ..channels import Channel, Message, Reset
from ..channels.base import Subscription
from ..channels.fanout import Subscriber
from ..core.resting import resting_executor
from ..core.threads import run_sync
from ..core.twins import TwinMixin
from ..encoding.sse import (
    HEARTBEAT,
    LONGEST_ID,
    Event,
    check_id,
    encode_event,
    encode_fields,
    encode_retry,
)
from ._limits import Slot, take_slot
from ._pump import Pump, Terms
from ._shutdown import Leaver, end_streams
from ._stream_response import StreamResponse, wsgi_error
from ._streaming import TopicsMixin
from .base import AsyncView

__all__ = [
    "AsyncStreamView",
    "AsyncTopicsMixin",
    "ChannelView",
    "Event",
    "LongPollView",
    "Polled",
    "ServerSentEventsView",
    "StreamResponse",
    "end_streams",
]

# Milliseconds until a browser comes back to a stream that failed.
_AFTER_FAILURE = 10_000
# Seconds that the headers wait for a channel which cannot be reached.
_LONGEST_JOIN = 2
# Seconds until a client comes back to a full view.
_RETRY_AFTER = 5, 15


class _OpenView(AsyncView[HttpResponseBase]):
    """A view whose answers stay open, so that their number may have a limit."""

    #: How many answers of this view a process keeps open at once. None is no limit.
    limit: int | None = None
    #: How many of them one user may have, or one address without a login.
    limit_per_user: int | None = None
    #: Whether the view ends its answers when the server gets a signal to stop.
    ends_with_server: bool = True

    async def prepare(self) -> HttpResponseBase | None:
        """
        Prepare the answer before the headers leave.

        Raise `Http404` or `PermissionDenied` here. With `ATOMIC_REQUESTS`, the
        transaction ends after this method.

        Returns:
            None to go on, or a response that the client gets instead.

        Raises:
            TypeError: If your override is sync, or returns something else. The client
                gets an error page.

        Runs on:
            The event loop, without a hop.
        """
        return None

    def _given(self, name: str, given: Any) -> Any:
        """Return what a method of the project gave; raise TypeError for a sync one."""
        if not inspect.isawaitable(given):
            raise TypeError(
                f"{type(self).__name__}.{name}() returned {given!r}, and the view "
                "awaits it. The client gets no answer of the view. Write "
                f"`async def {name}()`."
            )
        return given

    async def _prepared(self) -> HttpResponseBase | None:
        """Call `prepare()`; raise TypeError for what is no response."""
        answer = await self._given("prepare", self.prepare())
        if answer is None or isinstance(answer, HttpResponseBase):
            return answer
        raise TypeError(
            f"{type(self).__name__}.prepare() returned {answer!r}, which is no "
            "response. The client gets an error page. Return a response, or None to "
            "go on."
        )

    async def _take_slot(self) -> Slot | None:
        cls: Any = type(self)
        user = None
        if self.limit_per_user is not None:
            user = await self._user_key()
        return take_slot((cls, self.limit), ((cls, user), self.limit_per_user))

    async def _user_key(self) -> Any:
        request: Any = self.request
        # If an access mixin has read the user already, no hop is needed.
        if "_cached_user" in vars(request):
            return _key_of(request)
        return await run_sync(_key_of, request)

    def _overloaded(self) -> HttpResponseBase:
        return HttpResponse(
            "503 Service Unavailable",
            status=503,
            content_type="text/plain",
            headers={
                "Retry-After": str(random.randint(*_RETRY_AFTER)),  # noqa: S311
                "Cache-Control": "no-store",
            },
        )

    def _last_word(self, response: Any) -> Any:
        """
        Raise PermissionDenied in the place of a redirect to a login page.

        EventSource follows the redirect, gets a page that is no stream, and gives up
        without saying why.
        """
        if (
            300 <= getattr(response, "status_code", 0) < 400
            and "text/event-stream" in self.request.headers.get("Accept", "")
            and _comes_back(self.request, response.get("Location", ""))
        ):
            raise PermissionDenied
        return response


def _key_of(request: Any) -> Any:
    user = getattr(request, "user", None)
    key = getattr(user, "pk", None)
    return ("address", request.META.get("REMOTE_ADDR")) if key is None else key


def _comes_back(request: HttpRequest, location: str) -> bool:
    """Whether a redirect says in its query that the user is to be sent back here."""
    here = {request.get_full_path(), request.build_absolute_uri()}
    values = parse_qs(urlsplit(location).query).values()
    return any(not here.isdisjoint(one) for one in values)


def _jittered(milliseconds: int) -> int:
    """Spread the clients of a server that comes back."""
    return round(milliseconds * random.uniform(1, 3))  # noqa: S311


class AsyncStreamView(_OpenView):
    """
    Answer with a stream of parts, as an async generator yields them.

    Override `stream()`. The view runs the generator in one task, one part ahead of the
    client. If the client goes, the view cancels this task. The response ends when the
    task has ended. While the stream waits, the request has no thread and no database
    connection.
    """

    # The same type as in Django's View.
    http_method_names: Sequence[str] = ["get", "head", "options"]

    #: The header `Content-Type`.
    content_type: str = "text/plain; charset=utf-8"
    #: After how many seconds without a part the view sends `heartbeat_bytes`. None is
    #: never.
    heartbeat: float | None = None
    #: What the view sends if no part comes. Clients have to ignore these bytes.
    heartbeat_bytes: bytes = b""
    #: After how many seconds, and up to 10 % more, the view ends a stream.
    max_duration: float | None = None
    #: For how many seconds a client may read nothing of a part. Then the view ends the
    #: stream.
    send_timeout: float | None = 60
    #: How many seconds the generator has to end after the view has cancelled it.
    close_timeout: float = 5
    #: After how many seconds the view awaits `may_continue()` again. None is never.
    recheck: float | None = None
    #: What ends the response of a generator that failed, if the server is Daphne.
    #: Daphne leaves a connection open that other servers close.
    failure_note: bytes = b"\nThis answer is not complete.\n"
    #: What a client gets if a limit is reached. "503" is a page with this status.
    #: "retry" has `EventSource` connect again later.
    overload: Literal["retry", "503"] = "503"
    # Whether a client needs each part without delay.
    _is_live = True
    # The method that a project overrides, for messages.
    _generator = "stream"

    def stream(self) -> AsyncIterator[Any]:
        """
        Yield the parts of the answer. Override this method with an async generator.

        Returns:
            An async iterator of `str`, `bytes`, or of what your `encode()` takes.

        Raises:
            CancelledError: In the generator, when the client goes or the view ends the
                stream. Let it pass.

        Runs on:
            The event loop, in one task from the first part to the last. No hop.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no stream. Define `async def stream(self)` "
            "with a `yield` in it."
        )

    def sync_stream(self) -> Iterable[Any] | None:
        """
        Return the parts for a server that runs sync code, such as a WSGI server.

        Returns:
            An iterable of what `encode()` takes. With None, which is the default, such
            a server answers with an error page.

        Runs on:
            The thread that serves the request under WSGI. No hop.
        """
        return None

    def encode(self, item: Any) -> bytes:
        """
        Return the bytes of a part.

        Args:
            item: What `stream()` yields.

        Returns:
            The bytes to send.

        Raises:
            TypeError: If the part is not `str` or bytes. The stream ends there.

        Runs on:
            The event loop, without a hop.
        """
        if isinstance(item, bytes):
            return item
        if isinstance(item, str | Promise):
            return str(item).encode()
        if isinstance(item, bytearray | memoryview):
            return bytes(item)
        raise TypeError(
            f"{type(self).__name__}.stream() yielded {item!r}, which is not str or "
            "bytes. The stream ends there. Override `encode(self, item)`, which "
            "returns bytes."
        )

    async def may_continue(self) -> bool:
        """
        Return whether the stream may go on. The view asks each `recheck` seconds.

        Returns:
            True to go on. Another result ends the stream. So does an error, and an
            answer that takes longer than `recheck` seconds.

        Runs on:
            The event loop, without a hop.
        """
        return True

    def first_bytes(self) -> bytes:
        """
        Return what the view sends before the first part.

        Returns:
            The bytes. Empty bytes send nothing.

        Runs on:
            The event loop, without a hop.
        """
        return b""

    def last_bytes(self) -> bytes:
        """
        Return what the view sends if it ends the stream before the generator ends.

        Returns:
            The bytes. Empty bytes send nothing.

        Runs on:
            The event loop, without a hop.
        """
        return b""

    def failure_bytes(self, error: BaseException) -> bytes | None:
        """
        Return what tells the client that the generator failed.

        Args:
            error: What the generator raised.

        Returns:
            The bytes to send. With None, which is the default, the server cuts the
            response off, and the client sees that it is not complete.

        Runs on:
            The event loop, without a hop.
        """
        return None

    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """
        Answer with the stream.

        Args:
            request: The request.
            *args: What the URL gives.
            **kwargs: What the URL gives.

        Returns:
            A `StreamResponse`, or the response of `prepare()`. If `limit` or
            `limit_per_user` is reached, a response that has the client come back later.

        Raises:
            ImproperlyConfigured: If an attribute of the view cannot work.
            TypeError: If `stream()` returns something else than an async iterator.

        Runs on:
            The event loop. No hop, or one if `limit_per_user` has to look up the user.
        """
        # Before the first hop of this view, so that the executor sees each connection
        # open.
        resting_executor()
        slot = await self._take_slot()
        if slot is None:
            return self._overloaded()
        try:
            answer = await self._prepared()
            if answer is not None:
                slot.release()
                return answer
            await self._before()
            return self._stream_response(slot)
        except BaseException:
            slot.release()
            raise

    async def head(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """
        Answer with the headers of the stream. The generator does not run.

        Args:
            request: The request.
            *args: What the URL gives.
            **kwargs: What the URL gives.

        Returns:
            A response without content, or the response of `prepare()`.

        Runs on:
            The event loop, without a hop.
        """
        answer = await self._prepared()
        return self._with_headers(StreamResponse(None)) if answer is None else answer

    async def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """
        Answer as `get()` does, if you add "post" to `http_method_names`.

        Args:
            request: The request.
            *args: What the URL gives.
            **kwargs: What the URL gives.

        Returns:
            What `get()` returns.

        Runs on:
            Where `get()` runs.
        """
        return await self.get(request, *args, **kwargs)

    async def _before(self) -> None:
        """Do what a view of this package has to do before the headers leave."""

    def _stream_response(self, slot: Slot) -> HttpResponseBase:
        name = type(self).__name__
        parts: Iterator[bytes] | None = None
        if isinstance(self.request, WSGIRequest):
            items = self.sync_stream()
            if items is not None:
                parts = self._encoded(items)
            elif not _is_of_a_test(self.request):
                raise wsgi_error(name)
        pump = Pump(self._terms(slot))
        return self._with_headers(StreamResponse(pump, parts, name=name))

    def _encoded(self, items: Iterable[Any]) -> Iterator[bytes]:
        # In a generator, closing the response closes the source too.
        try:
            for item in items:
                yield self._part_of(item)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _part_of(self, item: Any) -> bytes:
        part: Any = self.encode(item)
        if isinstance(part, bytes):
            return part
        # Django would send nothing for None, and the text of any other object.
        raise TypeError(
            f"{type(self).__name__}.encode() returned {part!r}, which is not bytes. "
            "The stream ends there. Return bytes."
        )

    async def _may_continue(self) -> Any:
        return await self._given("may_continue", self.may_continue())

    def _terms(self, slot: Slot) -> Terms:
        for name in ("heartbeat", "recheck"):
            seconds = getattr(self, name)
            if seconds is not None and seconds <= 0:
                raise ImproperlyConfigured(
                    f"{type(self).__name__}.{name} is {seconds!r}. The client gets an "
                    "error page. Set it to a number of seconds above 0, or to None to "
                    "turn it off."
                )
        duration = self.max_duration
        if duration is not None:
            duration *= random.uniform(1, 1.1)  # noqa: S311
        return Terms(
            items=self._items(),
            encode=self._part_of,
            release=slot.release,
            first=self.first_bytes(),
            heartbeat=self.heartbeat if self.heartbeat_bytes else None,
            heartbeat_bytes=self.heartbeat_bytes,
            max_duration=duration,
            send_timeout=self.send_timeout,
            close_timeout=self.close_timeout,
            recheck=self.recheck,
            may_continue=self._may_continue,
            goodbye=self.last_bytes,
            failure=self.failure_bytes,
            failure_note=self.failure_note,
            request=self.request,
            name=f"{type(self).__name__}.{self._generator}()",
            ends_with_server=self.ends_with_server,
        )

    def _items(self) -> AsyncIterator[Any]:
        items: Any = self.stream()
        if hasattr(items, "__aiter__"):
            return items.__aiter__()
        if hasattr(items, "close"):
            # Close a coroutine that nobody awaits, or a sync generator.
            items.close()
        name = self._generator
        raise TypeError(
            f"{type(self).__name__}.{name}() returned {items!r}, which is no async "
            f"iterator. The client gets an error page. Write `async def {name}(self)` "
            "with a `yield` in it."
        )

    def _with_headers(self, response: HttpResponseBase) -> HttpResponseBase:
        headers = response.headers
        headers["Content-Type"] = self.content_type
        headers.setdefault("Cache-Control", "no-store, no-transform")
        # Without this header, nginx buffers the parts.
        headers.setdefault("X-Accel-Buffering", "no")
        if (
            self._is_live
            and (6, 0) <= django.VERSION < (6, 1)
            and not isinstance(self.request, WSGIRequest)
        ):
            # Until Django 6.0 goes: its GZipMiddleware buffers the parts too, except in
            # a response with this header.
            headers.setdefault("Content-Encoding", "identity")
        return response


def _is_of_a_test(request: Any) -> bool:
    """Whether Django's RequestFactory, or a test client, made a request."""
    body = request.environ.get("wsgi.input")
    return type(body).__module__.startswith("django.test")


class ServerSentEventsView(AsyncStreamView):
    """
    Answer with server-sent events, which a browser reads with `EventSource`.

    Override `events()`. If the connection ends, the browser connects again by itself,
    and sends the id of the last event.
    """

    content_type = "text/event-stream"
    _generator = "events"
    heartbeat = 15
    heartbeat_bytes = HEARTBEAT
    overload: Literal["retry", "503"] = "retry"
    #: After how many milliseconds the browser connects again.
    retry: int = 3000

    @property
    def last_event_id(self) -> str | None:
        """
        The id of the last event that this client has. None if the client is new.

        The id comes from the header `Last-Event-ID`, or from the query parameter
        `last_event_id`.
        """
        return _last_event_id(self.request)

    def events(self) -> AsyncIterator[Any]:
        """
        Yield the events. Override this method with an async generator.

        Returns:
            An async iterator. Each item is an `Event`, a `Message` of a channel, text,
            or a value that becomes JSON.

        Runs on:
            The event loop, in one task from the first event to the last. No hop.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no events. Define `async def events(self)` "
            "with a `yield` in it."
        )

    def stream(self) -> AsyncIterator[Any]:
        """
        Yield what `events()` yields. Override `events()` instead.

        Returns:
            The async iterator of `events()`.

        Runs on:
            The event loop, without a hop.
        """
        return self.events()

    def encode(self, item: Any) -> bytes:
        """
        Return an event as bytes. A process encodes each `Message` once.

        Args:
            item: What `events()` yields.

        Returns:
            The bytes to send.

        Raises:
            TypeError: If the item cannot become JSON. The stream ends there.

        Runs on:
            The event loop, without a hop.
        """
        if isinstance(item, Message):
            return item.encoded(_encode_message)
        if isinstance(item, Reset):
            return _RESET
        return encode_event(item)

    def first_bytes(self) -> bytes:
        """
        Tell the browser when to connect again after an end.

        Returns:
            The bytes of `retry`.

        Runs on:
            The event loop, without a hop.
        """
        return encode_retry(self.retry)

    def last_bytes(self) -> bytes:
        """
        Have browsers connect again at different times.

        Returns:
            The bytes of a random time, one to three times `retry`.

        Runs on:
            The event loop, without a hop.
        """
        return encode_retry(_jittered(self.retry))

    def failure_bytes(self, error: BaseException) -> bytes | None:
        """
        Send the event `stream-error`, and have the browser wait for ten seconds.

        Args:
            error: What the generator raised. The client does not get it.

        Returns:
            The bytes of the event.

        Runs on:
            The event loop, without a hop.
        """
        return encode_fields(
            {"error": "Internal Server Error"},
            event="stream-error",
            retry=_AFTER_FAILURE,
        )

    def _overloaded(self) -> HttpResponseBase:
        if self.overload != "retry":
            return super()._overloaded()
        # EventSource connects again only after status 200.
        body = encode_retry(_jittered(_AFTER_FAILURE))
        return self._with_headers(HttpResponse(body))


def _encode_message(message: Message) -> bytes:
    check_id(message.id)
    return encode_fields(message.data, id=message.id, event=message.event)


# A browser fires no event without data.
_RESET = encode_fields({}, event="stream-reset")


class AsyncTopicsMixin(TopicsMixin, TwinMixin):
    """Choose the topics of a channel whose messages a client gets."""

    async def aget_topics(self) -> Sequence[str]: ...  # noqa: D102 - by hook()


class ChannelView(AsyncTopicsMixin, ServerSentEventsView):
    """
    Answer with the messages of a channel, each as a server-sent event.

    Set `channel` and `topics`. A browser that connects again gets what it missed. If
    the channel does not know that any more, the browser gets the event `stream-reset`.
    """

    #: Where the messages come from.
    channel: Channel | None = None
    # The subscription that was entered before the headers left, and its event loop.
    _begun: tuple[asyncio.AbstractEventLoop, Subscriber] | None = None
    # The subscription that events() reads.
    _messages: Subscription | None = None

    async def _before(self) -> None:
        if self.channel is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no channel, and sends nothing. Set it: "
                "`channel = LocalChannel()`."
            )
        topics = await self.aget_topics()
        if isinstance(topics, str):
            raise ImproperlyConfigured(
                f"{type(self).__name__} has the topics {topics!r}, of which each "
                "letter would be one. The client gets an error page. Give a list: "
                f"`topics = [{topics!r}]`."
            )
        self._topics = tuple(topics)
        if not self._topics:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no topics, and sends nothing. Set them, "
                'for example `topics = ["news"]`.'
            )
        messages = self._subscribe()
        if not isinstance(messages, Subscriber):
            return
        # A page loads its data when it gets the headers. It must get each message that
        # is published after them.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_JOIN):
                await messages.__aenter__()
            self._begun = asyncio.get_running_loop(), messages

    def _subscribe(self) -> Subscription:
        assert self.channel is not None
        return self.channel.subscribe(*self._topics, since=self.last_event_id)

    def first_bytes(self) -> bytes:
        """
        Tell a new browser the id to resume from, in case no event comes.

        Returns:
            The bytes of `retry` and of this id.

        Runs on:
            The event loop, without a hop.
        """
        first = super().first_bytes()
        if self._begun is None or self.last_event_id is not None:
            return first
        return first + encode_fields(id=self._begun[1].cursor)

    def encode(self, item: Any) -> bytes:
        """
        Return an event as bytes. The event `stream-reset` has the id to resume from.

        Args:
            item: What `events()` yields.

        Returns:
            The bytes to send.

        Runs on:
            The event loop, without a hop.
        """
        if isinstance(item, Reset):
            cursor = getattr(self._messages, "cursor", None)
            return encode_fields({}, event="stream-reset", id=cursor)
        return super().encode(item)

    async def events(self) -> AsyncIterator[Any]:
        """
        Yield the messages of the topics, from the last one that the client has.

        Returns:
            An async iterator of `Message` and `Reset`.

        Runs on:
            The event loop, without a hop.
        """
        messages: Subscription
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] is asyncio.get_running_loop():
            messages = begun[1]
        else:
            messages = self._subscribe()
        self._messages = messages
        async with contextlib.aclosing(messages):
            async for message in messages:
                yield message


def _last_event_id(request: HttpRequest) -> str | None:
    value = request.headers.get("Last-Event-ID")
    if value is None:
        value = request.GET.get("last_event_id", request.GET.get("Last-Event-ID", ""))
    else:
        # Browsers send UTF-8, and Django reads headers as Latin-1.
        with contextlib.suppress(UnicodeError):
            value = value.encode("latin-1").decode()
    return value if 0 < len(value) <= LONGEST_ID else None


@dataclass(frozen=True, slots=True)
class Polled:
    """
    What a long poll found.

    Attributes:
        data: What becomes JSON.
        cursor: What the client sends as `since` next, at most 255 characters of text.
    """

    data: Any
    cursor: Any = None


class LongPollView(_OpenView):
    """
    Answer as soon as there is something new, or with status 204 after a time.

    Override `poll()`. The client sends the cursor of the last answer as `since`.
    """

    http_method_names: Sequence[str] = ["get", "options"]

    #: After how many seconds the view answers with status 204.
    timeout: float = 25

    @property
    def since(self) -> str | None:
        """The query parameter `since`. None if the client is new."""
        value = self.request.GET.get("since", "")
        return value if 0 < len(value) <= LONGEST_ID else None

    async def poll(self, since: str | None) -> Polled:
        """
        Wait for something new. Override this method.

        Args:
            since: The cursor of the last answer. None if the client is new.

        Returns:
            `Polled(data, cursor)`.

        Raises:
            CancelledError: After `timeout` seconds, or when the client goes.
                Let it pass.

        Runs on:
            The event loop, without a hop. While it waits, the request has no thread.
        """
        raise NotImplementedError(
            f"{type(self).__name__} polls nothing. Define "
            "`async def poll(self, since)`, which returns Polled(data, cursor)."
        )

    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """
        Answer with what `poll()` returns, as JSON.

        Args:
            request: The request.
            *args: What the URL gives.
            **kwargs: What the URL gives.

        Returns:
            A `JsonResponse`. After `timeout` seconds, a response with status 204.

        Raises:
            TypeError: If `poll()` returns something else than `Polled`.
            ValueError: If the cursor is too long.

        Runs on:
            The event loop. No hop, or one if `limit_per_user` has to look up the user.
        """
        resting = resting_executor()
        slot = await self._take_slot()
        if slot is None:
            return self._overloaded()
        try:
            answer = await self._prepared()
            if answer is not None:
                return answer
            if resting is not None:
                resting.rest()
            found = await self._poll()
        finally:
            slot.release()
        if found is None:
            response: HttpResponseBase = HttpResponse(status=204)
        else:
            content = {"data": found.data, "cursor": found.cursor}
            # JSON.parse() of browsers raises an error for NaN.
            response = JsonResponse(content, json_dumps_params={"allow_nan": False})
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    async def _poll(self) -> Polled | None:
        ends_at = asyncio.get_running_loop().time() + self.timeout
        leaver = _Poll(asyncio.timeout_at(ends_at))
        try:
            async with leaver.timeout:
                leaver.enter(watches=self.ends_with_server)
                try:
                    found: Any = await self._given("poll", self.poll(self.since))
                finally:
                    leaver.exit()
        except TimeoutError:
            if not leaver.timeout.expired():
                raise
            return None
        if not isinstance(found, Polled):
            raise TypeError(
                f"{type(self).__name__}.poll() returned {found!r}. The client gets an "
                "error page. Return Polled(data, cursor)."
            )
        if len(str(found.cursor)) > LONGEST_ID:
            raise ValueError(
                f"{type(self).__name__}.poll() returned a cursor of more than "
                f"{LONGEST_ID} characters, which the view would not take back. The "
                "client gets an error page. Return a shorter cursor."
            )
        return found


class _Poll(Leaver):
    """A poll that waits, which the end of its server cuts short."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self.timeout = timeout

    def leave(self) -> None:
        if not self.timeout.expired():
            self.timeout.reschedule(self.loop.time())
