"""The header Server-Timing: who gets it, what it says, and where it stands."""

from __future__ import annotations

import asyncio
import re
from unittest import mock

from asgiref.sync import SyncToAsync
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from django_async_cbv import trace
from django_async_cbv._blocking import timing as module
from django_async_cbv._blocking.timing import _union
from django_async_cbv.blocking import BlockingMiddleware
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncView
from tests.concurrency import ServedTestCase, on_own_loop
from tests.serve.driving import serving


class Two(AsyncView):
    async def get(self, request):
        await run_sync(str)
        await run_sync(str)
        return HttpResponse("done")


class Sync(AsyncView):
    def get(self, request):
        return HttpResponse("done", headers={"Server-Timing": "mine;dur=1"})


class Streamed(AsyncView):
    async def get(self, request):
        async def parts():
            await run_sync(str)
            yield b"a part"

        return StreamingHttpResponse(parts())


def served(*classes, **options):
    urls = [path(f"{cls.__name__}/", cls.as_view()) for cls in classes]
    return serving(urls=urls, **options)


def asked_for(request):
    return "timing" in request.GET


def fails(request):
    raise ValueError("no")


NUMBER = r"[\d.]+"
METRICS = re.compile(
    rf'hops;desc="(\d+)";dur=({NUMBER}), wait;dur=({NUMBER}), run;dur=({NUMBER}), '
    rf"held;dur=({NUMBER}), loop;dur=({NUMBER})"
)


class TestServerTiming(ServedTestCase):
    def setUp(self):
        original = SyncToAsync.__call__
        # What ends with a process.
        self.addCleanup(lambda: self.assertIs(SyncToAsync.__call__, original))

    async def header_of(self, view, query="", **options):
        async with served(view, **options) as client:
            response = await client.get(f"/{view.__name__}/{query}")
            if client.app.timings is not None:
                client.app.timings.end()
        return response.headers.get("server-timing")

    @override_settings(ASYNC_CBV_SERVER_TIMING=True)
    @on_own_loop
    async def test_it_says_where_the_time_went(self):
        found = METRICS.fullmatch(await self.header_of(Two))
        hops, total, wait, run, held, _ = map(float, found.groups())
        assert (hops, held) == (2, 0)
        assert abs(total - wait - run) < 0.2

    @override_settings(ASYNC_CBV_SERVER_TIMING=True)
    @on_own_loop
    async def test_it_comes_after_what_is_there(self):
        header = await self.header_of(Sync)
        assert header.startswith('mine;dur=1, hops;desc="1";dur=')

    @override_settings(ASYNC_CBV_SERVER_TIMING=True)
    @on_own_loop
    async def test_of_a_stream_it_is_the_time_to_its_start(self):
        header = await self.header_of(Streamed)
        assert METRICS.fullmatch(header)[1] == "0"

    @on_own_loop
    async def test_by_default_it_is_for_debug_alone(self):
        with override_settings(DEBUG=True):
            assert METRICS.fullmatch(await self.header_of(Two))
        assert await self.header_of(Two) is None
        with override_settings(DEBUG=True, ASYNC_CBV_SERVER_TIMING=False):
            assert await self.header_of(Two) is None

    @on_own_loop
    async def test_a_function_decides(self):
        for decides in (asked_for, f"{__name__}.asked_for"):
            with override_settings(ASYNC_CBV_SERVER_TIMING=decides):
                assert await self.header_of(Two, "?timing")
                assert await self.header_of(Two) is None

    @override_settings(ASYNC_CBV_SERVER_TIMING=fails)
    @on_own_loop
    async def test_a_function_that_fails_adds_no_header(self):
        with self.assertLogs("django_async_cbv.blocking", "ERROR") as logs:
            assert await self.header_of(Two) is None
            assert await self.header_of(Two) is None
        assert len(logs.output) == 1

    @override_settings(ASYNC_CBV_SERVER_TIMING=True)
    @on_own_loop
    async def test_two_requests_at_once_count_apart(self):
        async with served(Two, Sync) as client:
            answers = await asyncio.gather(
                client.get("/Two/"), client.get("/Sync/"), client.get("/Two/")
            )
            client.app.timings.end()
        counts = [METRICS.search(one.headers["server-timing"])[1] for one in answers]
        assert counts == ["2", "1", "2"]

    @override_settings(ASYNC_CBV_SERVER_TIMING=True)
    @on_own_loop
    async def test_the_middleware_adds_none_to_that_of_the_entry_point(self):
        name = f"{BlockingMiddleware.__module__}.BlockingMiddleware"
        timings = []
        original = module.Timings.__init__

        def made(self, decides):
            original(self, decides)
            timings.append(self)

        with mock.patch.object(module.Timings, "__init__", made):
            async with served(Two, middleware=[name]) as client:
                response = await client.get("/Two/")
        for one in timings:
            one.end()
        assert response.headers["server-timing"].count("hops;") == 1
        # The entry point, and a middleware in each of its chains.
        assert len(timings) == 3

    def test_nothing_stays_installed(self):
        end = trace.keep_installed()
        assert trace._users
        end()


def test_times_that_overlap_count_once():
    assert _union([]) == 0
    assert _union([(1, 2), (4, 5)]) == 2
    assert _union([(1, 3), (2, 4)]) == 3
    assert _union([(2, 3), (1, 5)]) == 4
