"""What the toolbar's panel shows: the hops of its request, as they are counted."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
import threading
from collections import Counter
from types import ModuleType
from unittest import mock

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.checks.registry import registry
from django.db import connections
from django.http import HttpResponse
from django.test import (
    AsyncClient,
    AsyncRequestFactory,
    Client,
    TestCase,
    override_settings,
)
from django.urls import include, path
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from django_async_cbv import blocking, trace
from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.blocking import Block
from django_async_cbv.core.naming import Place
from django_async_cbv.sync import run_sync, wait_for
from django_async_cbv.testing import count_hops
from django_async_cbv.views import AsyncListView
from tests.models import Author

debug_toolbar = pytest.importorskip(
    "debug_toolbar", reason="django-debug-toolbar is not installed"
)

PANELS = [
    "debug_toolbar.panels.history.HistoryPanel",
    "django_async_cbv.panels.HopsPanel",
    "debug_toolbar.panels.timer.TimerPanel",
    "debug_toolbar.panels.sql.SQLPanel",
    "debug_toolbar.panels.headers.HeadersPanel",
]
HERE = "tests.test_panels"


@pytest.fixture(autouse=True)
def rendering(forbid_blocking):
    """The toolbar reads templates on the event loop, and these tests the panel's."""
    forbid_blocking.allow(
        "debug_toolbar.middleware:*._postprocess", "django_async_cbv.panels:*.content"
    )


@sync_and_async_middleware
def counting(get_response):
    """Count what comes after it, where the panel records as well."""

    def shown(response, hops):
        response["X-Hops"] = str(hops.count)
        return response

    if iscoroutinefunction(get_response):

        async def middleware(request):
            with count_hops() as hops:
                response = await get_response(request)
            return shown(response, hops)

    else:

        def middleware(request):
            with count_hops() as hops:
                response = get_response(request)
            return shown(response, hops)

    return middleware


class Hooks(MiddlewareMixin):
    """Two hops, as Django's own middleware has them."""

    def process_request(self, request):
        pass

    def process_response(self, request, response):
        return response


def only_sync(get_response):
    """One hop around the view."""

    def middleware(request):
        return get_response(request)

    return middleware


def only_async(get_response):
    async def middleware(request):
        return await get_response(request)

    return middleware


only_async.async_capable = True
only_async.sync_capable = False


@sync_and_async_middleware
def with_a_job(get_response):
    """Asks for a hop itself."""

    async def middleware(request):
        await run_sync(plain)
        return await get_response(request)

    return middleware if iscoroutinefunction(get_response) else get_response


def plain():
    pass


def page(text="Hello."):
    return HttpResponse(f"<html><body>{text}</body></html>")


async def several(request, number):
    for _ in range(number):
        await run_sync(plain)
        await asyncio.sleep(0)
    return page()


def sync_view(request):
    return page()


async def fails(request):
    def fail():
        raise LookupError("a secret")

    with contextlib.suppress(LookupError):
        await run_sync(fail)
    return page()


async def raises(request):
    await run_sync(plain)
    raise LookupError


async def waits(request):
    async def awaited():
        await sync_to_async(plain)()

    def hook():
        wait_for(awaited)

    await run_sync(hook)
    await asyncio.to_thread(plain)
    await answered()
    await run_sync(plain)
    return page()


async def answered():
    await answers[-1]


answers = []


class Authors(AsyncListView):
    model = Author
    template_name = "authors.html"

    def render_to_response(self, context, **kwargs):
        return page(str(len(context["object_list"])))


class Secret:
    def __repr__(self):
        raise AssertionError("It was formatted.")

    __str__ = __repr__

    def method(self, *args):
        pass


async def secrets(request):
    await run_sync(Secret().method, Secret(), "a secret")
    return page()


urlpatterns = [
    path("several/<int:number>/", several),
    path("sync/", sync_view),
    path("fails/", fails),
    path("raises/", raises),
    path("waits/", waits),
    path("authors/", Authors.as_view()),
    path("secrets/", secrets),
]
CASES = ["several/0/", "several/3/", "several/7/", "sync/", "fails/", "authors/"]


@override_settings(
    # Here, as what the toolbar does at each change of its settings needs its app.
    INSTALLED_APPS=[*settings.INSTALLED_APPS, "debug_toolbar"],
    DEBUG=True,
    DEBUG_TOOLBAR_PANELS=PANELS,
    DEBUG_TOOLBAR_CONFIG={"IS_RUNNING_TESTS": False},
    INTERNAL_IPS=["127.0.0.1"],
    MIDDLEWARE=[
        "debug_toolbar.middleware.DebugToolbarMiddleware",
        f"{HERE}.counting",
    ],
)
class PanelTestCase(TestCase):
    @classmethod
    def setUpClass(cls):
        # The toolbar's app brings system checks, which no later test expects.
        checks = {*registry.get_checks()}
        cls.enterClassContext(mock.patch.object(registry, "registered_checks", checks))
        super().setUpClass()
        from debug_toolbar import toolbar, urls

        from django_async_cbv import panels

        cls.panels = panels
        cls.toolbar = toolbar.DebugToolbar
        root = ModuleType("tests.test_panels.root")
        root.urlpatterns = [*urlpatterns, path("__debug__/", include(urls))]
        cls.enterClassContext(override_settings(ROOT_URLCONF=root))
        cls.toolbar.get_panel_classes()
        # The wrappers stay in place for as long as the process runs, but not for tests.
        cls.addClassCleanup(cls.put_back)

    @classmethod
    def put_back(cls):
        if cls.panels._listen.cache_info().currsize:
            for stop in cls.panels._listen():
                stop()
            cls.panels._listen.cache_clear()
        cls.toolbar._panel_classes = cls.toolbar._urlpatterns = None
        # In async code the toolbar's panel of queries begins in this thread, and ends
        # in another. Each query of all later tests would look for its stack.
        for one in connections.all(initialized_only=True):
            vars(one)["_djdt_logger"] = None

    def panel(self, response):
        """The panel as the history has it: from the store."""
        found = self.toolbar.fetch(response["djdt-request-id"], "HopsPanel")
        return found.get_panel_by_id("HopsPanel")

    def stats(self, response):
        stats = self.panel(response).get_stats()
        assert json.loads(json.dumps(stats)) == stats
        return stats

    def names(self, response):
        return [row["function"]["name"] for row in self.stats(response)["rows"]]


class TestCounted(PanelTestCase):
    async def test_async_chain(self):
        for url in CASES:
            with self.subTest(url):
                response = await self.async_client.get(f"/{url}")
                stats = self.stats(response)
                self.assertEqual(str(stats["count"]), response["X-Hops"])
                self.assertIs(stats["in_worker"], False)

    def test_wsgi(self):
        for url in CASES:
            with self.subTest(url):
                response = self.client.get(f"/{url}")
                stats = self.stats(response)
                self.assertEqual(str(stats["count"]), response["X-Hops"])
                self.assertIs(stats["in_worker"], False)

    async def test_many_at_once(self):
        numbers = [*range(20)]
        responses = await asyncio.gather(
            *(AsyncClient().get(f"/several/{number}/") for number in numbers)
        )
        found = [self.stats(response)["count"] for response in responses]
        self.assertEqual(found, numbers)
        self.assertEqual([int(one["X-Hops"]) for one in responses], numbers)

    def test_many_threads_at_once(self):
        found = {}
        entered = threading.Barrier(20)

        def visit(number):
            entered.wait(20)
            found[number] = Client().get(f"/several/{number}/")

        threads = [threading.Thread(target=visit, args=[n]) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, response in found.items():
            self.assertEqual(self.stats(response)["count"], number)

    async def test_our_entry_point(self):
        application = get_asgi_application()
        # What adds Server-Timing in development leaves the wrappers in place as well.
        self.addCleanup(application.timings.end)
        for url in CASES:
            with self.subTest(url):
                response = await answer(application, f"/{url}")
                stats = self.stats(response)
                self.assertEqual(str(stats["count"]), response["X-Hops"])
                # A view with nothing to await is served whole in one hop.
                is_whole = url in {"sync/", "authors/"}
                self.assertIs(stats["in_worker"], is_whole)
                said = "ran in a worker thread" in self.panel(response).content
                self.assertIs(said, is_whole)


async def answer(application, url):
    """The headers that an application answers with."""
    scope = AsyncRequestFactory()._base_scope(path=url)
    messages = []
    asked = asyncio.Event()

    async def receive():
        if asked.is_set():
            await asyncio.get_running_loop().create_future()
        asked.set()
        return {"type": "http.request", "body": b""}

    async def send(message):
        messages.append(message)

    await application(scope, receive, send)
    return {
        {"djdt-request-id": "djdt-request-id", "x-hops": "X-Hops"}.get(
            key.decode().lower(), key.decode()
        ): value.decode()
        for key, value in messages[0]["headers"]
    }


class TestShown(PanelTestCase):
    async def test_who_asked_and_times(self):
        response = await self.async_client.get("/several/1/")
        stats = self.stats(response)
        (row,) = stats["rows"]
        self.assertEqual(row["function"]["name"], "plain")
        self.assertEqual(row["function"]["file"], __file__)
        self.assertEqual(row["asked_by"]["name"], "several")
        self.assertTrue(row["asked_by"]["where"].startswith("tests/test_panels.py:"))
        self.assertLessEqual(row["wait"] + row["run"] + row["at"], stats["total"])
        content = self.panel(response).content
        for text in ("plain", "several", row["asked_by"]["where"], "1 hop in"):
            self.assertIn(text, content)

    async def test_what_was_awaited_and_held(self):
        answers.append(asyncio.get_running_loop().create_future())

        found = []
        start = self.panels.Recording.start

        def started(recording):
            found.append(recording)
            start(recording)

        def is_seen():
            return found and "answered" in {
                span.function.name for span in found[0].awaited
            }

        async def give():
            while not is_seen():  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.001)
            answers.pop().set_result(None)

        with mock.patch.object(self.panels.Recording, "start", started):
            other = asyncio.create_task(give())
            response = await self.async_client.get("/waits/")
            await other
        kinds = [
            (row["kind"], row["function"]["name"])
            for row in self.stats(response)["rows"]
        ]
        # What is awaited is noted from the end of the hop before it.
        self.assertEqual(
            Counter(one for one in kinds if one != ("awaited", "waits")),
            Counter(
                [
                    ("hop", "hook"),
                    ("held", "awaited"),
                    ("hop", "plain"),
                    ("threads", "plain"),
                    ("awaited", "answered"),
                    ("hop", "plain"),
                ]
            ),
        )
        self.assertEqual(self.stats(response)["held"], 1)
        content = self.panel(response).content
        for text in (
            "awaited in",
            "thread of its own",
            "held its worker thread 1 time",
        ):
            self.assertIn(text, content)

    async def test_errors_are_named_and_not_shown(self):
        response = await self.async_client.get("/fails/")
        (row,) = self.stats(response)["rows"]
        self.assertEqual(row["error"], "LookupError")
        self.assertIn("LookupError", self.panel(response).content)

    async def test_repeated(self):
        response = await self.async_client.get("/several/6/")
        (one,) = self.stats(response)["repeated"]
        self.assertEqual((one["function"]["name"], one["count"]), ("plain", 6))
        self.assertIn("await run_sync(function)", self.panel(response).content)
        response = await self.async_client.get("/several/5/")
        self.assertEqual(self.stats(response)["repeated"], [])

    async def test_nothing_is_kept_of_what_crosses(self):
        response = await self.async_client.get("/secrets/")
        text = json.dumps(self.stats(response)) + self.panel(response).content
        self.assertIn("Secret.method", text)
        self.assertNotIn("a secret", text)

    async def test_nothing_needs_the_permission_of_a_policy(self):
        """Neither a style nor a script is in the page: a policy refuses none."""
        response = await self.async_client.get("/several/6/")
        content = self.panel(response).content
        for part in ("style=", "<style", "<script", "onclick", "javascript:"):
            self.assertNotIn(part, content)

    @override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True)
    async def test_numbers_are_those_of_svg_in_each_language(self):
        response = await self.async_client.get("/several/2/")
        content = self.panel(response).content
        self.assertRegex(content, r'x="\d+\.\d+"')
        self.assertNotRegex(content, r'(x|width)="\d+,\d+"')

    async def test_subtitle_and_header(self):
        response = await self.async_client.get("/several/2/")
        self.assertRegex(self.panel(response).nav_subtitle, r"^2 hops in \d+\.\d\d ms$")
        self.assertRegex(
            response["Server-Timing"], r'HopsPanel_hops;dur=[\d.]+;desc="2 hops"'
        )

    async def test_history(self):
        """Another page asks for it later."""
        first = await self.async_client.get("/several/2/")
        await self.async_client.get("/several/3/")
        shown = await self.async_client.get(
            "/__debug__/render_panel/",
            {"request_id": first["djdt-request-id"], "panel_id": "HopsPanel"},
        )
        self.assertIn("2 hops in", shown.json()["content"])

    async def test_a_request_that_fails_leaves_nothing_behind(self):
        with self.assertRaises(LookupError):
            await self.async_client.get("/raises/")
        with count_hops() as hops:
            await run_sync(plain)
        self.assertEqual(hops.count, 1)
        response = await self.async_client.get("/several/1/")
        self.assertEqual(self.stats(response)["count"], 1)


class TestMiddleware(PanelTestCase):
    """Hops of middleware are in a table of their own, one row for each."""

    async def grouped(self, *middleware, url="/several/1/"):
        with override_settings(
            MIDDLEWARE=["debug_toolbar.middleware.DebugToolbarMiddleware", *middleware]
        ):
            # Of its own: a client loads the middleware once.
            response = await AsyncClient().get(url)
            stats = self.stats(response)
            self.panel(response).content  # noqa: B018 - it is rendered
        return [
            (one["name"], [row["function"]["name"] for row in one["rows"]])
            for one in stats["middleware"]
        ], [row["function"]["name"] for row in stats["rows"] if row["kind"] == "hop"]

    async def test_each_kind(self):
        session = "django.contrib.sessions.middleware.SessionMiddleware"
        cases = {
            session: [
                "SessionMiddleware.process_request",
                "SessionMiddleware.process_response",
            ],
            f"{HERE}.Hooks": ["Hooks.process_request", "Hooks.process_response"],
            f"{HERE}.with_a_job": ["plain"],
        }
        for name, functions in cases.items():
            with self.subTest(name):
                grouped, view = await self.grouped(name)
                self.assertEqual(grouped, [(name, functions)])
                self.assertIn("plain", view)

    async def test_one_that_is_only_sync(self):
        """Its hop is here if what comes before it is async, and not the toolbar's."""
        name = f"{HERE}.only_sync"
        grouped, view = await self.grouped(f"{HERE}.only_async", name)
        self.assertEqual((grouped, view), ([(name, ["middleware"])], ["plain"]))
        grouped, view = await self.grouped(name)
        self.assertEqual((grouped, view), ([], ["plain"]))

    async def test_many(self):
        names = [
            "django.contrib.sessions.middleware.SessionMiddleware",
            f"{HERE}.Hooks",
        ]
        grouped, view = await self.grouped(*names)
        self.assertEqual([name for name, _ in grouped], names)
        self.assertEqual(view, ["plain"])

    async def test_one_that_cannot_be_imported(self):
        self.assertEqual(self.panels._middleware(("tests.nowhere.Missing",)), [])


class TestToolbarsOwn(PanelTestCase):
    async def test_its_hops_are_marked_and_not_counted(self):
        """The SQL panel begins in a thread, after this panel has begun."""
        response = await self.async_client.get("/several/2/")
        stats = self.stats(response)
        self.assertEqual(stats["count"], 2)
        self.assertTrue(stats["toolbar"])
        self.assertIn("own hops, not counted", self.panel(response).content)


def block_of(request, kind="blocked"):
    hook, call = Place("slow", __file__, 12), Place("time.sleep", __file__, 13)
    return Block(kind, 0.25, hook=hook, call=call, request=request)


class TestBlocked(PanelTestCase):
    """What the detector finds; it tells a thread of its own, after the block."""

    def tell(self, block):
        thread = threading.Thread(
            target=lambda: [callback(block) for callback in blocking._callbacks]
        )
        thread.start()
        return thread

    def shown(self, response):
        content = self.panel(response).content
        return (
            [one["function"]["name"] for one in self.stats(response)["blocked"]],
            "250 ms" in content and "time.sleep" in content,
        )

    async def test_while_the_request_is_served(self):
        def middleware(get_response):
            async def inner(request):
                await asyncio.to_thread(self.tell(block_of(request)).join)
                return await get_response(request)

            return markcoroutinefunction(inner)

        middleware.async_capable, middleware.sync_capable = True, False
        with (
            mock.patch(f"{HERE}.only_async", middleware),
            override_settings(
                MIDDLEWARE=[
                    "debug_toolbar.middleware.DebugToolbarMiddleware",
                    f"{HERE}.only_async",
                ]
            ),
        ):
            response = await AsyncClient().get("/several/1/")
        self.assertEqual(self.shown(response), (["slow"], True))

    async def test_after_the_response(self):
        response = await self.async_client.get("/several/1/")
        other = await self.async_client.get("/several/1/")
        self.assertEqual(self.shown(response), ([], False))
        for kind in ("blocked", "starved"):
            block = block_of(response.asgi_request, kind)
            await asyncio.to_thread(self.tell(block).join)
        self.assertEqual(self.shown(response), (["slow"], True))
        self.assertEqual(self.shown(other), ([], False))

    async def test_a_block_of_nobody(self):
        response = await self.async_client.get("/several/1/")
        await asyncio.to_thread(self.tell(block_of(None)).join)
        self.assertEqual(self.shown(response), ([], False))


class TestInstalled(PanelTestCase):
    """As often as others in this process have it installed, and once more."""

    def setUp(self):
        super().setUp()
        self.put_back()
        self.users = trace._users

    async def test_not_before_the_first_request(self):
        await self.async_client.get("/several/1/")
        self.assertEqual(trace._users, self.users + 1)

    async def test_not_where_the_panel_is_off(self):
        self.async_client.cookies["djdtHopsPanel"] = "off"
        await self.async_client.get("/several/1/")
        self.assertEqual(trace._users, self.users)

    @override_settings(DEBUG=False)
    async def test_not_where_the_toolbar_is_off(self):
        await self.async_client.get("/several/1/")
        self.assertEqual(trace._users, self.users)


def test_without_the_extra():
    name = "django_async_cbv.panels"
    here = sys.modules.pop(name, None)
    try:
        with (
            mock.patch.dict(sys.modules, {"debug_toolbar": None}),
            pytest.raises(ModuleNotFoundError) as caught,
        ):
            importlib.import_module(name)
    finally:
        sys.modules.pop(name, None)
        if here is not None:
            sys.modules[name] = here
    assert str(caught.value) == (
        "HopsPanel needs django-debug-toolbar. Run "
        "`pip install 'django-async-cbv[debug-toolbar]'`."
    )
