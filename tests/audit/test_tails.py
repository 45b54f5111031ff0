"""Who keeps a worker thread: what is predicted, and what a request shows."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback

from asgiref.sync import AsyncToSync, sync_to_async
from django.test import RequestFactory, TestCase

from django_async_cbv.audit.hops import predict
from django_async_cbv.views import AsyncTemplateView
from tests.audit import dispatches
from tests.concurrency import forget_connections

_WAITS = AsyncToSync.__call__.__code__


def waiting_threads():
    """How many threads wait in sync code for something async."""
    found = 0
    for frame in sys._current_frames().values():
        codes = [one.f_code for one, _ in traceback.walk_stack(frame)]
        found += _WAITS in codes
    return found


class View(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        self.request.waiting = waiting_threads()
        return await super().aget_context_data(**kwargs)

    async def aget_template_names(self):
        self.request.waiting = waiting_threads()
        return await super().aget_template_names()


def is_held(cls):
    request = RequestFactory().get("/")
    request.user = dispatches.user()

    async def respond():
        try:
            await cls.as_view()(request)
        finally:
            # asgiref's thread outlives the test.
            await sync_to_async(forget_connections)()

    # In a thread of its own: no sync code waits further out for this loop.
    thread = threading.Thread(target=asyncio.run, args=[respond()])
    thread.start()
    thread.join()
    return bool(request.waiting)


class TestTable(TestCase):
    def test_who_keeps_the_thread(self):
        self.assertGreaterEqual(len(dispatches.TABLE), 25)
        for mixin, held in dispatches.TABLE:
            with self.subTest(mixin=mixin.__name__):
                cls = type("Page", (mixin, View), {})
                self.assertEqual(is_held(cls), held)
                self.assertEqual(bool(predict(cls, "GET").waits), held)
