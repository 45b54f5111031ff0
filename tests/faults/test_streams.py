"""
Clients that leave a stream, and servers that cancel it, at each await of it.

Each view does it on Django's handler and on this package's, whose pool is to have each
of its workers back.
"""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncRequestFactory, override_settings
from django.urls import path

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.channels import LocalChannel
from django_async_cbv.sync import iterate, run_sync
from django_async_cbv.views import _limits, _shutdown
from django_async_cbv.views.exports import CSVView, NDJSONView
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    ChannelView,
    LongPollView,
    Polled,
    ServerSentEventsView,
)
from tests.app.models import Tag
from tests.concurrency import ServedTestCase, forget_connections
from tests.faults.leaks import few_objects, leftovers_of
from tests.faults.stops import Stop
from tests.faults.visits import Exchange
from tests.serve.driving import Client

# More suspensions than any whole request of these has.
MOST = 300
# Until something is said to hang.
SECONDS = 20


class Counted:
    """Knows whether what was begun has come to its end."""

    begun = ended = twice = 0
    limit = 3

    async def prepare(self):
        await run_sync(Tag.objects.count)

    async def counted(self):
        Counted.begun += 1
        is_cancelled = False
        try:
            yield "first"
            async for tag in iterate(Tag.objects.all(), 1):
                yield tag.name
            await asyncio.sleep(0)
            yield "last"
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        finally:
            Counted.ended += 1
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                # Once is what any coroutine has to expect.
                Counted.twice += is_cancelled
                raise


class Text(Counted, AsyncStreamView):
    def stream(self):
        return self.counted()


class Events(Counted, ServerSentEventsView):
    def events(self):
        return self.counted()


class Poll(Counted, LongPollView):
    async def poll(self, since):
        return Polled([part async for part in self.counted()])


channel = LocalChannel()


class News(Counted, ChannelView):
    channel = channel
    topics = ("news",)
    max_duration = 0.01


class Export(Counted, CSVView[Tag]):
    model = Tag
    fields = ("name",)
    ordering = "pk"
    batch_size = 1


class Snapshot(Export):
    """Holds a cursor and a transaction between two batches."""

    snapshot = True


class Rows(Counted, NDJSONView[Any]):
    async def aget_rows(self):
        return ([name] async for name in self.counted())


VIEWS = (Text, Events, Poll, News, Export, Snapshot, Rows)


class StreamLeavesTests(ServedTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(few_objects())

    def setUp(self):
        Tag.objects.bulk_create([Tag(name=name) for name in ("art", "law")])

    def serve(self, make, view, n, *, late, leave):
        exchange = stop = None

        async def on_djangos_handler():
            async with ThreadSensitiveContext():
                await asyncio.create_task(serve())
                if not leave:
                    # As Django leaves them for its own views.
                    await sync_to_async(forget_connections)()

        async def on_a_pool():
            await asyncio.create_task(serve())
            client = Client(handler)
            async with asyncio.timeout(SECONDS):
                # What its thread still does is not waited for where a task is
                # cancelled.
                while handler.statistics().leased:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            self.assertEqual(handler.statistics().waiting, 0)
            # Ends its threads.
            await client.lifespan("shutdown")

        async def serve():
            nonlocal exchange, stop

            def go():
                if leave:
                    exchange.gone.set()
                else:
                    app.cancel()

            exchange = Exchange(AsyncRequestFactory().get("/"))
            stop = Stop(n, go, late=late)
            stop.watch()
            app = asyncio.create_task(
                handler(exchange.scope, exchange.receive, exchange.send)
            )
            await asyncio.wait({app})
            if not app.cancelled() and app.exception():
                raise app.exception()

        patterns = (path("", view.as_view()),)
        with override_settings(ROOT_URLCONF=patterns, MIDDLEWARE=[]):
            handler = make()
            main = on_djangos_handler if make is ASGIHandler else on_a_pool
            self.assertEqual(leftovers_of(main), [], (n, late))
        self.assertEqual(Counted.begun, Counted.ended, (n, late))
        self.assertEqual(Counted.twice, 0, (n, late))
        self.assertEqual(+_limits._taken, {})
        self.assertEqual(_shutdown._open, {})
        # Sent to nobody: then the channel forgets the loops that are closed.
        channel.publish("news", 0)
        self.assertEqual(channel._log._pumps, {})
        return stop

    def test_everywhere(self):
        makers = (ASGIHandler, get_asgi_application)
        for make, view, leave in product(makers, VIEWS, (True, False)):
            with self.subTest(make=make.__name__, view=view.__name__, leave=leave):
                for n in range(1, MOST):
                    for late in (False, True):
                        stop = self.serve(make, view, n, late=late, leave=leave)
                    if not stop.fired:
                        break
                self.assertGreater(n, 5)
                self.assertLess(n, MOST - 1)
