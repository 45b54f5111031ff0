"""Streams that say in the server's output when they end."""

import asyncio
import os
from typing import Any

from django.http import HttpResponse
from django.urls import path

from django_async_cbv.views.exports import CSVView, NDJSONView
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    LongPollView,
    ServerSentEventsView,
)


def said(word):
    print(word, flush=True)


class Idle(ServerSentEventsView):
    async def events(self):
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            said("ended idle")


class Busy(ServerSentEventsView):
    async def events(self):
        number = 0
        try:
            while True:
                yield str(number)
                number += 1
                await asyncio.sleep(0.001)
        finally:
            await asyncio.sleep(0.01)
            said("ended busy")


class Flood(AsyncStreamView):
    """Awaits nothing, and sends as much as its client takes."""

    send_timeout = float(os.environ.get("SEND_TIMEOUT", "60"))

    async def stream(self):
        try:
            while True:
                yield b"x" * 65536
        finally:
            await asyncio.sleep(0.01)
            said("ended flood")


class Failing(ServerSentEventsView):
    async def events(self):
        yield "first"
        raise ValueError("on purpose")


class Cut(AsyncStreamView):
    async def stream(self):
        yield "first"
        raise ValueError("on purpose")


def half():
    """Rows of which one fails."""
    for number in range(4):
        if number == 3:
            raise ValueError("on purpose")
        yield [f"row {number}"]


class HalfCSV(CSVView[Any]):
    batch_size = 1

    async def aget_rows(self):
        return half()


class HalfNDJSON(NDJSONView[Any]):
    batch_size = 1

    async def aget_rows(self):
        return half()


class Poll(LongPollView):
    async def poll(self, since):
        try:
            said("polls")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            said("ended poll")


async def ping(request):
    return HttpResponse("a page")


urlpatterns = [
    path("", ping),
    path("idle/", Idle.as_view()),
    path("busy/", Busy.as_view()),
    path("flood/", Flood.as_view()),
    path("failing/", Failing.as_view()),
    path("cut/", Cut.as_view()),
    path("half.csv", HalfCSV.as_view()),
    path("half.ndjson", HalfNDJSON.as_view()),
    path("poll/", Poll.as_view()),
]
