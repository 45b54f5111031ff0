"""Streaming views on Django's ASGI handler, on ours, and by themselves."""

from __future__ import annotations

import asyncio

from django.core.handlers.asgi import ASGIHandler
from django.test import SimpleTestCase, override_settings
from django.urls import path

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    ServerSentEventsView,
)
from tests.serve.driving import Client


class Words(AsyncStreamView):
    async def stream(self):
        for word in ("one", "two", "three"):
            yield word


class Endless(ServerSentEventsView):
    ended = None

    async def events(self):
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            Endless.ended.set()


PATTERNS = (path("words/", Words.as_view()), path("endless/", Endless.as_view()))


@override_settings(ROOT_URLCONF=PATTERNS, MIDDLEWARE=[])
class StreamTests(SimpleTestCase):
    def run_on_each(self, main):
        for make in (ASGIHandler, get_asgi_application):
            with self.subTest(handler=make):
                asyncio.run(main(Client(make())))

    def test_words(self):
        async def main(client):
            request = client.begin("/words/")
            await request.answer()
            self.assertEqual(request.text, "onetwothree")
            self.assertEqual(request.headers["x-accel-buffering"], "no")

        self.run_on_each(main)

    def test_gone(self):
        async def main(client):
            Endless.ended = asyncio.Event()
            request = client.begin("/endless/")
            async with asyncio.timeout(5):
                while b"first" not in request.body:
                    request.news.clear()
                    await request.news.wait()
            request.gone.set()
            await request.answer()
            self.assertTrue(Endless.ended.is_set())

        self.run_on_each(main)
