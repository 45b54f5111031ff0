"""What is logged of a blocked event loop, who is told, and what turns that on."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from types import SimpleNamespace
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import sync_only_middleware

from django_async_cbv import blocking
from django_async_cbv._blocking import watchdog
from django_async_cbv.blocking import (
    Block,
    BlockingMiddleware,
    on_block,
    watch_loop,
)
from django_async_cbv.core.naming import Place
from django_async_cbv.views import AsyncTemplateView, AsyncView
from tests.concurrency import ServedTestCase, on_own_loop
from tests.serve.driving import serving

SHORT = {"threshold": 0.03}
LOGGER = "django_async_cbv.blocking"
SECONDS = 60

HOOK = Place("BookList.aget_context_data", "/srv/books/views.py", 27)
BLOCK = Block(
    "blocked",
    0.3041,
    hook=HOOK,
    call=Place("time.sleep", "/srv/books/prices.py", 9),
    samples=19,
    looks=20,
    stack=(HOOK, Place("latest", "/srv/books/prices.py", 9)),
)


class BookList:
    """Stand for a view."""


def request(path="/books/", view=BookList, **options):
    """A request that was resolved, as a thread sees it."""
    made = RequestFactory().get(path)
    if view is not None:
        func = SimpleNamespace(view_class=view)
        made.resolver_match = SimpleNamespace(func=func, route="books/")
    return made


def logged(caplog, *blocks, repeat_after=60.0):
    report = blocking._Reporter(repeat_after)
    with caplog.at_level(logging.INFO, LOGGER):
        for block in blocks:
            report(block)
    return caplog.records


def replaced(block, **values):
    names = Block.__dataclass_fields__
    return Block(**{name: getattr(block, name) for name in names} | values)


class TestMessage:
    def test_a_block(self, caplog):
        [record] = logged(caplog, replaced(BLOCK, request=request()))
        assert record.levelname == "WARNING"
        assert record.getMessage() == (
            "BookList.aget_context_data (/srv/books/views.py:27) blocked the event "
            "loop for 304 ms, calling time.sleep in /srv/books/prices.py:9. "
            "method=GET path=/books/ view=tests.test_blocking.BookList samples=19/20"
        )

    def test_its_facts(self, caplog):
        [record] = logged(caplog, replaced(BLOCK, request=request()))
        facts = vars(record)
        assert facts["view"] == "tests.test_blocking.BookList"
        assert facts["hook"] == "BookList.aget_context_data"
        assert facts["route"] == "books/"
        assert (facts["file"], facts["line"]) == ("/srv/books/prices.py", 9)
        assert facts["duration"] == 0.3041
        assert facts["stack"] == [
            "/srv/books/views.py:27 BookList.aget_context_data",
            "/srv/books/prices.py:9 latest",
        ]

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (
                {"call": HOOK._replace(name="time.sleep")},
                "blocked the event loop for 304 ms, calling time.sleep. ",
            ),
            ({"call": HOOK._replace(name="")}, "blocked the event loop for 304 ms. "),
            (
                {"call": Place("", "/srv/books/prices.py", 9)},
                "for 304 ms, in /srv/books/prices.py:9. ",
            ),
            (
                {"hook": None, "call": None, "stack": ()},
                "A callback blocked the event loop for 304 ms. ",
            ),
        ],
    )
    def test_what_is_called(self, caplog, values, expected):
        [record] = logged(caplog, replaced(BLOCK, **values))
        assert expected in record.getMessage()

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("busy", "The event loop was 200 ms late. It ran many functions, "),
            ("starved", "The event loop was 200 ms late, because other threads or "),
            ("collected", "Python's garbage collector stopped the event loop for 200"),
            ("suspended", "The process was stopped for 200 ms, and its event loop "),
        ],
    )
    def test_what_is_nobodys_fault_is_no_warning(self, caplog, kind, expected):
        thread = Place("Report.run", "/srv/books/report.py", 3)
        [record] = logged(caplog, Block(kind, 0.2, looks=7, threads=(thread,)))
        assert record.levelname == "INFO"
        assert record.getMessage().startswith(expected)
        assert "busiest=Report.run, /srv/books/report.py:3" in record.getMessage()
        assert record.getMessage().endswith("samples=0/7")

    def test_a_path_cannot_make_a_line(self, caplog):
        made = request(view=None)
        made.path = "/books/\nWARNING forged"
        [record] = logged(caplog, replaced(BLOCK, request=made))
        assert "\n" not in record.getMessage()
        assert "path=/books/\\nWARNING forged" in record.getMessage()

    def test_a_request_that_is_not_resolved_yet(self, caplog):
        made = request(view=None)
        [record] = logged(caplog, replaced(BLOCK, request=made))
        assert (record.view, record.route) == (None, None)
        # The entry point has done so, to choose the chain.
        match = SimpleNamespace(func=SimpleNamespace(view_class=BookList), route="b/")
        made._known_match = made.path_info, match
        *_, record = logged(caplog, replaced(BLOCK, request=made))
        assert (record.view, record.route) == ("tests.test_blocking.BookList", "b/")

    def test_a_function_as_view(self, caplog):
        made = request()
        made.resolver_match.func = logged
        [record] = logged(caplog, replaced(BLOCK, request=made))
        assert record.view == "tests.test_blocking.logged"


class TestOnceAMinute:
    def test_each_line_is_logged_once(self, caplog):
        other = replaced(BLOCK, call=Place("time.sleep", "/srv/books/prices.py", 10))
        records = logged(caplog, BLOCK, BLOCK, other, BLOCK)
        assert [(record.line, record.withheld) for record in records] == [
            (9, 0),
            (10, 0),
        ]

    def test_what_was_withheld_is_counted(self, caplog):
        report = blocking._Reporter(60)
        with mock.patch.object(time, "monotonic") as now:
            for now.return_value in (1000, 1001, 1059, 1061):
                report(BLOCK)
        first, second = caplog.records
        assert (first.withheld, second.withheld) == (0, 2)
        assert second.getMessage().endswith("samples=19/20 withheld=2")

    def test_kinds_are_apart(self, caplog):
        records = logged(caplog, Block("starved", 0.2), Block("collected", 0.2), BLOCK)
        assert len(records) == 3


class TestCallbacks:
    def test_they_get_each_block(self, caplog):
        found = []
        stop = on_block(found.append)
        again = on_block(found.append)
        try:
            logged(caplog, BLOCK)
            again()
            again()
            logged(caplog, BLOCK)
        finally:
            stop()
        logged(caplog, BLOCK)
        assert found == [BLOCK] * 3

    def test_one_that_fails_is_logged_once(self, caplog, monkeypatch):
        monkeypatch.setattr(watchdog, "_failed", set())

        def fails(block):
            raise ValueError("no")

        found = []
        stops = [on_block(fails), on_block(found.append)]
        try:
            records = logged(caplog, BLOCK, BLOCK)
        finally:
            for stop in stops:
                stop()
        assert [record.levelname for record in records] == ["ERROR", "WARNING"]
        assert "A callback of on_block() failed: " in records[0].getMessage()
        assert "failed: fails, " in records[0].getMessage()
        assert found == [BLOCK] * 2


class TestWatchLoop:
    def test_it_logs_what_blocks(self, caplog, forbid_blocking):
        forbid_blocking.stop()
        found = []

        async def main():
            stop = watch_loop(threshold=0.03)
            rest()
            stop()

        stop = on_block(found.append)
        try:
            for _ in range(30):
                asyncio.run(main())
                if found[-1].hook:
                    break
                # Other processes kept the watchdog from the processor.
        finally:
            stop()
        assert [one.hook.name for one in found if one.hook] == ["main"]

    @pytest.mark.parametrize("name", ["threshold", "repeat_after"])
    @pytest.mark.parametrize("value", [0, -1, float("nan")])
    def test_a_number_that_makes_no_sense(self, name, value):
        with pytest.raises(ValueError, match=rf"watch_loop\({name}={value!r}\)"):
            watch_loop(None, **{name: value})

    def test_without_a_loop(self):
        with pytest.raises(RuntimeError, match="no running event loop"):
            watch_loop()


def rest():
    time.sleep(0.1)


class Blocked(AsyncView):
    async def get(self, request):
        rest()
        return HttpResponse("done")


class Hooked(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        rest()
        return await super().aget_context_data(**kwargs)


class Quick(AsyncView):
    async def get(self, request):
        return HttpResponse("done")


def blocking_middleware(get_response):
    async def middleware(request):
        rest()
        return await get_response(request)

    return middleware


blocking_middleware.sync_capable = False
blocking_middleware.async_capable = True


def served(*classes, **options):
    urls = [path(f"{cls.__name__}/", cls.as_view()) for cls in classes]
    return serving(urls=urls, **options)


@pytest.mark.usefixtures("loop_may_block")
class TestServed(ServedTestCase):
    """The entry point, and the middleware, watch the loop that serves."""

    async def blocks_of(self, client, where):
        """What is found in a request that rests on the loop."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Queue()

        def note(block):
            loop.call_soon_threadsafe(heard.put_nowait, block)

        stop = on_block(note)
        try:
            for _ in range(30):
                await client.get(where)
                async with asyncio.timeout(SECONDS):
                    block = await heard.get()
                if rest.__name__ in [one.name for one in block.stack]:
                    return block
                # Other processes kept the watchdog, or the loop, from the processor.
        finally:
            stop()
        raise AssertionError(block)

    def assert_named(self, block, hook, view):
        assert block.hook.name == hook
        assert blocking._view(blocking._match(block.request)) == (
            f"tests.test_blocking.{view}"
        )

    @override_settings(ASYNC_CBV_BLOCKING=SHORT)
    @on_own_loop
    async def test_the_setting(self):
        for view, hook in (
            (Blocked, "Blocked.get"),
            (Hooked, "Hooked.aget_context_data"),
        ):
            async with served(view) as client:
                block = await self.blocks_of(client, f"/{view.__name__}/")
            self.assert_named(block, hook, view.__name__)

    @override_settings(ASYNC_CBV_BLOCKING=SHORT)
    @on_own_loop
    async def test_a_middleware_that_blocks(self):
        async with served(
            Quick, middleware=[blocking_middleware], sync_chain=False
        ) as client:
            block = await self.blocks_of(client, "/Quick/")
        self.assert_named(block, "middleware", "Quick")

    @override_settings(ASYNC_CBV_BLOCKING=SHORT)
    @on_own_loop
    async def test_the_thread_ends_with_the_server(self):
        async with served(Quick) as client:
            await client.get("/Quick/")
            assert asyncio.get_running_loop() in blocking._watchdogs
        assert asyncio.get_running_loop() not in blocking._watchdogs

    @on_own_loop
    async def test_without_the_setting_there_is_nothing(self):
        threads = {thread.name for thread in threading.enumerate()}
        async with served(Quick) as client:
            await client.get("/Quick/")
            assert client.app._detector is None
            assert client.app.timings is None
            assert asyncio.get_running_loop() not in blocking._watchdogs
            names = {thread.name for thread in threading.enumerate()} - threads
        assert "django_async_cbv.blocking" not in names

    @override_settings(ASYNC_CBV_BLOCKING=SHORT)
    @on_own_loop
    async def test_the_middleware(self):
        name = f"{BlockingMiddleware.__module__}.BlockingMiddleware"
        async with served(Blocked, middleware=[name]) as client:
            application = await asyncio.to_thread(ASGIHandler)
            client.app, ours = application, client.app
            block = await self.blocks_of(client, "/Blocked/")
            client.app = ours
        self.assert_named(block, "Blocked.get", "Blocked")

    @override_settings(ASYNC_CBV_BLOCKING=SHORT)
    @on_own_loop
    async def test_the_middleware_outside_of_a_sync_one(self):
        name = f"{BlockingMiddleware.__module__}.BlockingMiddleware"
        sync_only = sync_only_middleware(lambda get_response: get_response)
        async with served(Blocked, middleware=[name, sync_only]) as client:
            application = await asyncio.to_thread(ASGIHandler)
            client.app, ours = application, client.app
            block = await self.blocks_of(client, "/Blocked/")
            client.app = ours
        self.assert_named(block, "Blocked.get", "Blocked")


class TestMiddleware:
    def test_it_answers_as_what_comes_after_it(self):
        middleware = BlockingMiddleware(lambda request: HttpResponse("sync"))
        assert middleware(RequestFactory().get("/")).content == b"sync"

        async def get_response(request):
            return HttpResponse("async")

        middleware = BlockingMiddleware(get_response)

        async def answer():
            response = await middleware(AsyncRequestFactory().get("/"))
            middleware.detector.end(asyncio.get_running_loop())
            return response

        assert async_to_sync(answer)().content == b"async"

    def test_under_wsgi_no_loop_is_watched(self):
        threads = threading.active_count()
        middleware = BlockingMiddleware(lambda request: HttpResponse())
        made = RequestFactory().get("/")
        assert isinstance(made, WSGIRequest)
        middleware(made)
        assert threading.active_count() == threads

    def test_an_exception_passes(self):
        def fails(request):
            raise ValueError("no")

        async def afails(request):
            raise ValueError("no")

        made = RequestFactory().get("/")
        for get_response in (fails, afails):
            with override_settings(ASYNC_CBV_SERVER_TIMING=True):
                middleware = BlockingMiddleware(get_response)
            call = middleware
            if get_response is afails:
                call = async_to_sync(functools.partial(_awaited, middleware))
            try:
                with pytest.raises(ValueError, match="no"):
                    call(made)
            finally:
                middleware.timings.end()
            del made._async_cbv_timing


async def _awaited(middleware, request):
    try:
        return await middleware(request)
    finally:
        middleware.detector.end(asyncio.get_running_loop())


@pytest.fixture
def loop_may_block(forbid_blocking):
    forbid_blocking.stop()
