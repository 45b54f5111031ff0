"""How many hops streams and exports cost, beside a view that answers at once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.core.resting import RestingExecutor
from django_async_cbv.views import AsyncView
from django_async_cbv.views.exports import CSVView, NDJSONView
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    LongPollView,
    Polled,
    ServerSentEventsView,
)
from tests.app.models import Tag
from tests.concurrency import ServedTestCase
from tests.serve.test_hops import Visit

DOCS_TABLE = Path(__file__).parents[2] / "docs" / "reference" / "stream-hop-table.md"
ROWS, BATCH = 25, 10


class Plain(AsyncView):
    async def get(self, request):
        return HttpResponse("x")


class QueryingPlain(AsyncView):
    async def get(self, request):
        return HttpResponse(str(await Tag.objects.acount()))


class Stream(AsyncStreamView):
    async def stream(self):
        yield "x"
        yield "y"


class QueryingStream(Stream):
    async def prepare(self):
        self.count = await Tag.objects.acount()


class Events(ServerSentEventsView):
    async def events(self):
        yield "x"
        yield "y"


class QueryingEvents(Events):
    async def prepare(self):
        self.count = await Tag.objects.acount()


class Poll(LongPollView):
    async def poll(self, since):
        return Polled("x", "1")


class QueryingPoll(LongPollView):
    async def poll(self, since):
        return Polled(await Tag.objects.acount(), "1")


class CSV(CSVView[Tag]):
    model = Tag
    fields = ["id", "name"]
    batch_size = BATCH


class NDJSON(NDJSONView[Tag]):
    model = Tag
    fields = ["id", "name"]
    batch_size = BATCH


class Stock(ASGIHandler):
    """Django's, which has no pool, and so counts no jobs."""

    pool = SimpleNamespace(statistics=lambda: SimpleNamespace(jobs=0))


VIEWS = {
    "a view that answers at once": Plain,
    "the same, after a query": QueryingPlain,
    "`AsyncStreamView`": Stream,
    "the same, with a query in `prepare()`": QueryingStream,
    "`ServerSentEventsView`": Events,
    "the same, with a query in `prepare()` ": QueryingEvents,
    "`LongPollView`": Poll,
    "the same, with a query in `poll()`": QueryingPoll,
    f"`CSVView`, {ROWS} rows in batches of {BATCH}": CSV,
    f"`NDJSONView`, {ROWS} rows in batches of {BATCH}": NDJSON,
}


def in_the_docs(table):
    """The table of the docs, after it was written if that is asked for."""
    if os.environ.get("HOP_TABLE") == "write":
        DOCS_TABLE.write_text(table, encoding="utf-8")
    return DOCS_TABLE.read_text(encoding="utf-8")


class TestTable(ServedTestCase):
    async def hops(self, app, view):
        """The hops of a view, and how often it had its thread end."""
        ends = []
        original = RestingExecutor._let_go

        def noted(executor):
            ends.append(executor)
            return original(executor)

        RestingExecutor._let_go = noted
        try:
            with override_settings(
                ROOT_URLCONF=(path("", view.as_view()),), MIDDLEWARE=[]
            ):
                visit = await Visit("/").to(app)
        finally:
            RestingExecutor._let_go = original
        assert visit.status == 200
        return visit.hops, len(ends)

    async def test_hops(self):
        """Written anew with HOP_TABLE=write in the environment."""
        await Tag.objects.abulk_create(Tag(name=str(n)) for n in range(ROWS))
        with override_settings(MIDDLEWARE=[]):
            ours, stock = get_asgi_application(), Stock()
        rows = [
            "| view | entry point of this package | Django's ASGI handler |",
            "|---|--:|--:|",
        ]
        found = {}
        for name, view in VIEWS.items():
            found[name] = [await self.hops(app, view) for app in (ours, stock)]
            cells = [str(hops + ends) for hops, ends in found[name]]
            rows.append(f"| {name.strip()} | {' | '.join(cells)} |")
        table = "\n".join(rows) + "\n"
        assert await asyncio.to_thread(in_the_docs, table) == table
