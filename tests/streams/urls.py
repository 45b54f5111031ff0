"""Streams that say in the server's output when they end."""

import asyncio
import os
from typing import Any

import httpx
from django.http import HttpResponse
from django.urls import path

from django_async_cbv.views.exports import CSVView, NDJSONView
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    Event,
    LongPollView,
    ServerSentEventsView,
)


def said(word):
    # One write a line, at the end of the file: no other process, and no log of the
    # server's, can come between.
    report = os.open(os.environ["REPORT"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(report, f"{word}\n".encode())
    finally:
        os.close(report)


class Idle(ServerSentEventsView):
    name = "idle"

    async def events(self):
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            said(f"ended {self.name}")


class Beating(Idle):
    name = "beating"
    heartbeat = 0.5


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

    name = "flood"

    async def stream(self):
        try:
            while True:
                yield b"x" * 65536
        finally:
            await asyncio.sleep(0.01)
            said(f"ended {self.name}")


class Unread(Flood):
    send_timeout = 2
    name = "unread"


class Upstream(ServerSentEventsView):
    """Sends on what another server streams."""

    async def events(self):
        port = int(self.request.GET["port"])
        async with (
            httpx.AsyncClient(timeout=None, trust_env=False) as client,
            client.stream("GET", f"http://127.0.0.1:{port}/") as response,
        ):
            async for line in response.aiter_lines():
                yield line


class Resumed(ServerSentEventsView):
    """Says from which event on the client asks for more."""

    async def events(self):
        yield Event([self.last_event_id])


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


def endless():
    """Rows without an end, of which a batch is under way at each time."""
    number = 0
    try:
        while True:
            yield [f"row {number}"]
            number += 1
    finally:
        said("ended export")


class Export(CSVView[Any]):
    async def aget_rows(self):
        return endless()


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
    return HttpResponse(f"a page of {request.get_host()}")


urlpatterns = [
    path("", ping),
    path("beating/", Beating.as_view()),
    path("idle/", Idle.as_view()),
    path("busy/", Busy.as_view()),
    path("flood/", Flood.as_view()),
    path("unread/", Unread.as_view()),
    path("upstream/", Upstream.as_view()),
    path("export.csv", Export.as_view()),
    path("resumed/", Resumed.as_view()),
    path("failing/", Failing.as_view()),
    path("cut/", Cut.as_view()),
    path("half.csv", HalfCSV.as_view()),
    path("half.ndjson", HalfNDJSON.as_view()),
    path("poll/", Poll.as_view()),
]
