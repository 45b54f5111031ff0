"""Clients that leave a stream, and servers that cancel it, at each await of it."""

from __future__ import annotations

import asyncio

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncRequestFactory, override_settings
from django.urls import path

from django_async_cbv.channels import LocalChannel
from django_async_cbv.sync import iterate, run_sync
from django_async_cbv.views import _limits, _shutdown
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

# More suspensions than any whole request of these has.
MOST = 300


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


class StreamLeavesTests(ServedTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(few_objects())

    def setUp(self):
        Tag.objects.bulk_create([Tag(name=name) for name in ("art", "law")])

    def serve(self, view, n, *, late, leave):
        exchange = stop = None

        async def main():
            async with ThreadSensitiveContext():
                await asyncio.create_task(serve())
                if not leave:
                    # As Django leaves them for its own views.
                    await sync_to_async(forget_connections)()

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
                ASGIHandler()(exchange.scope, exchange.receive, exchange.send)
            )
            await asyncio.wait({app})
            if not app.cancelled() and app.exception():
                raise app.exception()

        patterns = (path("", view.as_view()),)
        with override_settings(ROOT_URLCONF=patterns, MIDDLEWARE=[]):
            self.assertEqual(leftovers_of(main), [])
        self.assertEqual(Counted.begun, Counted.ended, (n, late))
        self.assertEqual(Counted.twice, 0, (n, late))
        self.assertEqual(+_limits._taken, {})
        self.assertEqual(_shutdown._open, {})
        # Sent to nobody: then the channel forgets the loops that are closed.
        channel.publish("news", 0)
        self.assertEqual(channel._log._pumps, {})
        return stop

    def test_everywhere(self):
        for view in (Text, Events, Poll, News):
            for leave in (True, False):
                with self.subTest(view=view.__name__, leave=leave):
                    for n in range(1, MOST):
                        for late in (False, True):
                            stop = self.serve(view, n, late=late, leave=leave)
                        if not stop.fired:
                            break
                    self.assertGreater(n, 8)
                    self.assertLess(n, MOST - 1)
