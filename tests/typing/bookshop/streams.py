"""Views that stream, as their users write them."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from django.http import HttpResponseBase, HttpResponseRedirect

from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
from django_async_cbv.channels import LocalChannel
from django_async_cbv.testing import open_stream
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    ChannelView,
    Event,
    LongPollView,
    Polled,
    ServerSentEventsView,
)

news = LocalChannel()


class Lines(AsyncStreamView):
    limit = 5
    heartbeat = 1.5
    max_duration = 60

    async def prepare(self) -> HttpResponseBase | None:
        return HttpResponseRedirect("/") if self.request.GET else None

    async def stream(self) -> AsyncIterator[str | bytes]:
        yield "a"
        yield b"b"


class Prices(AsyncLoginRequiredMixin, ServerSentEventsView):
    http_method_names = ["post"]

    async def events(self) -> AsyncGenerator[Event | str, None]:
        yield Event({"a": 1}, event="price", id=self.last_event_id)
        yield "text"

    async def may_continue(self) -> bool:
        return False


class News(ChannelView):
    channel = news
    topics = ["news"]

    def get_topics(self) -> Sequence[str]:
        return [*super().get_topics(), "more"]


class Changes(LongPollView):
    timeout = 5

    async def poll(self, since: str | None) -> Polled:
        return Polled([since], 1)


async def read(response: Any) -> bytes:
    async with open_stream(response, timeout=1) as stream:
        async for event in stream.events():
            print(event.data.upper(), stream.retry)
        return await stream.read()
