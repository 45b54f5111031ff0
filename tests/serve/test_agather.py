"""agather() under the ASGI entry point: it takes workers that have nothing to do."""

from __future__ import annotations

import asyncio
import threading

from django.db import DatabaseError, connection
from django.http import HttpResponse

from django_async_cbv.db import agather
from django_async_cbv.sync import run_sync
from django_async_cbv.testing import forbid_repeated_hops
from tests.app.models import Tag
from tests.serve.driving import PATIENCE, PoolTestCase, serving


def thread():
    return threading.current_thread().name


class TestAgather(PoolTestCase):
    async def test_queries_run_at_once_in_workers_of_the_pool(self):
        meet = threading.Barrier(3, timeout=PATIENCE)

        def together():
            meet.wait()
            return thread()

        async def view(request):
            return HttpResponse(" ".join(await agather(together, together, together)))

        async with serving(view, workers=4) as client:
            names = (await client.get("/view/")).text.split()
            self.assertEqual(len(set(names)), 3)
            self.assertTrue(all(one.startswith("django-async-cbv-") for one in names))
            await client.idle()
            self.assertLessEqual(client.statistics.workers, 4)

    async def test_without_an_idle_worker_they_run_in_the_requests_own(self):
        async def view(request):
            own = await run_sync(thread)
            rows = await agather(thread, thread, Tag.objects.all())
            return HttpResponse(f"{[own, own, []] == rows}")

        async with serving(view, workers=1) as client:
            self.assertEqual((await client.get("/view/")).text, "True")

    async def test_its_queries_are_no_repeated_hops(self):
        """In workers of the pool, in the request's own, and without a pool."""
        queries = [Tag.objects.all()] * 8

        async def view(request):
            await run_sync(Tag.objects.count)
            await agather(*queries)
            return HttpResponse()

        for workers in (1, 8):
            async with serving(view, workers=workers) as client:
                with forbid_repeated_hops(everywhere=True) as hops:
                    self.assertEqual((await client.get("/view/")).status, 200)
            self.assertGreater(hops.count, len(queries))
        with forbid_repeated_hops() as hops:
            await agather(*queries)
        self.assertGreater(hops.count, len(queries))

    async def test_never_more_than_the_limit(self):
        counts, lock = [0, 0], threading.Lock()

        def counted():
            with lock:
                counts[0] += 1
                counts[1] = max(counts)
            Tag.objects.count()
            with lock:
                counts[0] -= 1

        async def view(request):
            await agather(*[counted] * 12, limit=2)
            return HttpResponse()

        async with serving(view, workers=8) as client:
            await client.get("/view/")
        self.assertLessEqual(counts[1], 2)

    async def test_more_requests_than_workers_all_end(self):
        async def view(request):
            await run_sync(thread)
            queries = [Tag.objects.all() for _ in range(3)]
            return HttpResponse(str(await agather(*queries)))

        async with serving(view, workers=2) as client:
            requests = [client.begin("/view/") for _ in range(8)]
            for request in requests:
                self.assertEqual((await request.answer()).text, "[[], [], []]")
            await client.idle()
            self.assertEqual(client.statistics.leased, 0)

    async def test_a_prepared_connection_serves_no_other_request(self):
        def prepare(connection):
            with connection.cursor() as cursor:
                cursor.execute("CREATE TEMP TABLE IF NOT EXISTS prepared (id int)")

        async def prepared(request):
            found = await agather(is_prepared, is_prepared, prepare=prepare)
            return HttpResponse(str(found))

        def plain(request):
            return HttpResponse(str(is_prepared()))

        async with serving(prepared, plain, workers=3) as client:
            self.assertEqual((await client.get("/prepared/")).text, "[True, True]")
            requests = [client.begin("/plain/") for _ in range(6)]
            for request in requests:
                self.assertEqual((await request.answer()).text, "False")

    async def test_a_cancelled_request_gives_them_all_back(self):
        begun, may_end = threading.Semaphore(0), threading.Event()

        def held():
            begun.release()
            may_end.wait(PATIENCE)

        async def view(request):
            await agather(held, held)
            return HttpResponse()

        async with serving(view, workers=3) as client:
            request = client.begin("/view/")
            for _ in range(2):
                await asyncio.to_thread(begun.acquire, timeout=PATIENCE)
            request.gone.set()
            may_end.set()
            await request.answer()
            await client.idle()
            self.assertEqual(client.statistics.leased, 0)


def is_prepared():
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT 1 FROM prepared")
        except DatabaseError:
            return False
    return True
