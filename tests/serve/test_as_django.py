"""What works behind Django's ASGI handler, and in which order, works behind ours."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from dataclasses import dataclass
from unittest import mock

import django
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished, request_started
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import Signal
from django.http import HttpResponse
from django.test import override_settings
from django.urls import URLPattern, path, register_converter, reverse
from django.urls.converters import REGISTERED_CONVERTERS, get_converters

from django_async_cbv.views import AsyncView
from tests.app.models import Author
from tests.serve.driving import PATIENCE, Client, PoolTestCase, happened, serving
from tests.serve.test_requests import PATHS, both

EVERY = (*PATHS, "/nowhere/")


# Until Django 6.0 goes: its handler runs a request in a task of its own.
RUNS_APART = django.VERSION < (6, 1)


def in_order(events):
    """Until Django 6.0 goes: there both kinds of receivers are called at once."""
    if not RUNS_APART:
        return events
    found = [*events]
    for place, (one, other) in enumerate(itertools.pairwise(events)):
        if one == f"async {other}":
            found[place : place + 2] = [other, one]
    return found


class AsDjangoTestCase(PoolTestCase):
    """Asks this handler and Django's, and compares what has happened."""

    def setUp(self):
        super().setUp()
        self.events = []

    def connect(self, signal, receiver):
        signal.connect(receiver, weak=False)
        self.addCleanup(signal.disconnect, receiver)

    def note(self, *signals):
        """Have a sync and an async receiver of each signal note that."""
        for signal, name in zip(signals, ("started", "finished"), strict=False):

            def sync_one(name=name, **named):
                self.events.append(name)

            async def async_one(name=name, **named):
                self.events.append(f"async {name}")

            self.connect(signal, sync_one)
            self.connect(signal, async_one)

    async def compare(self, client, *paths, around=None, alone=False, **options):
        """What happened for each path; the same with either handler, unless `alone`."""
        happened = {}
        for where in paths:
            for handler in (client.app,) if alone else (ASGIHandler(), client.app):
                self.events.clear()
                other = Client(around(handler) if around else handler)
                answer = await other.get(where, **options)
                found = [answer.status, answer.text, *in_order(self.events)]
                with self.subTest(path=where, method=options.get("method", "GET")):
                    self.assertEqual(happened.setdefault(where, found), found)
        return happened


class TestSignals(AsDjangoTestCase):
    async def test_sync_receivers_are_called_before_async_ones(self):
        self.note(request_started, request_finished)

        def view(request):
            self.events.append("view")
            return HttpResponse()

        async with serving(urls=both(view)) as client:
            happened = await self.compare(client, *EVERY)
        first, last = ["started", "async started"], ["finished", "async finished"]
        self.assertEqual(happened["/sync/"][2:], [*first, "view", *last])

    async def test_receivers_find_the_script_prefix(self):
        async def anote(**named):
            self.events.append(reverse("named"))

        def note(**named):
            self.events.append(reverse("named"))

        self.connect(request_started, anote)
        self.connect(request_started, note)
        named = path("named/", lambda request: HttpResponse(), name="named")
        urls = [*both(lambda request: HttpResponse(reverse("named"))), named]
        async with serving(urls=urls) as client:
            happened = await self.compare(client, *PATHS, root="/below")
        for found in happened.values():
            self.assertEqual(found[1:], ["/below/named/"] * 3)

    async def test_a_receiver_without_a_hash(self):
        @dataclass
        class Receiver:
            events: list

            def __call__(self, **named):
                self.events.append("heard")

        self.connect(request_started, Receiver(self.events))
        self.connect(request_finished, Receiver(self.events))
        async with serving(urls=both(lambda request: HttpResponse())) as client:
            happened = await self.compare(client, *EVERY)
        self.assertEqual(happened["/async/"][2:], ["heard"] * 2)

    async def test_wrapped_receivers_of_django_are_known(self):
        """A tracing agent puts a function around each that is asked for."""
        live = Signal._live_receivers

        def wrapped(receiver):
            def wrapper(*args, **named):
                return receiver(*args, **named)

            wrapper.__wrapped__ = receiver
            return wrapper

        def traced(signal, sender):
            found, asynchronous = live(signal, sender)
            return [wrapped(one) for one in found], asynchronous

        async def view(request):
            return HttpResponse()

        with mock.patch.object(Signal, "_live_receivers", traced):
            async with serving(view) as client:
                await client.get("/view/")
                self.assertEqual(client.statistics.jobs, 0)

    async def test_of_a_response_that_is_given_again(self):
        ever = HttpResponse("for everyone")
        self.note(request_started, request_finished)
        async with serving(urls=both(lambda request: ever)) as client:
            for _ in range(2):
                happened = await self.compare(client, *PATHS)
        self.assertEqual(happened["/sync/"].count("finished"), 1)

    async def test_of_a_response_that_its_view_has_closed(self):
        self.note(request_started, request_finished)

        def view(request):
            response = HttpResponse("closed")
            response.close()
            return response

        async with serving(urls=both(view)) as client:
            happened = await self.compare(client, *PATHS)
        self.assertEqual(happened["/sync/"].count("finished"), 2)

    async def test_who_is_refused_or_goes_is_heard_of_twice_or_not_at_all(self):
        self.note(request_started, request_finished)
        begun, may_end = threading.Event(), threading.Event()

        def held(request):
            begun.set()
            may_end.wait(PATIENCE)
            return HttpResponse()

        async def sync_hop(request):
            return HttpResponse(str(await Author.objects.acount()))

        for goes in (True, False):
            begun.clear()
            may_end.clear()
            self.events.clear()
            with self.subTest(goes=goes):
                timeout = 90 if goes else 0.01
                async with serving(
                    held, sync_hop, workers=1, queue=1, queue_timeout=timeout
                ) as client:
                    first = client.begin("/held/")
                    await happened(begun)
                    second = client.begin("/held/")
                    if goes:
                        await client.until(waiting=1)
                        refused = await client.get("/sync_hop/")
                        self.assertEqual(refused.status, 503)
                        second.gone.set()
                    # Neither waits for a worker, which is not to be had.
                    self.assertEqual((await second.answer()).sent == [], goes)
                    may_end.set()
                    await first.answer()
                    self.assertEqual((await client.get("/sync_hop/")).status, 200)
                self.assertEqual(self.events.count("started"), 2)
                self.assertEqual(self.events.count("finished"), 2)
                self.assertEqual(
                    self.events.count("async started"),
                    self.events.count("async finished"),
                )

    async def test_a_refusal_after_async_receivers_were_called_ends_with_others(self):
        async def anote(**named):
            self.events.append("started")

        async def anote_end(**named):
            self.events.append("finished")

        self.connect(request_started, anote)
        self.connect(request_finished, anote_end)
        begun, may_end = threading.Event(), threading.Event()

        def held(request):
            begun.set()
            may_end.wait(PATIENCE)
            return HttpResponse()

        async with serving(held, workers=1, queue=0) as client:
            first = client.begin("/held/")
            await happened(begun)
            self.assertEqual((await client.get("/held/")).status, 503)
            self.assertEqual(self.events, ["started", "started", "finished"])
            may_end.set()
            await first.answer()


class TestResponses(AsDjangoTestCase):
    async def test_what_a_response_does_when_it_is_closed(self):
        """Projects do there what is not to keep a client waiting; it may query."""
        events = self.events

        class Then(HttpResponse):
            def close(self):
                events.append(Author.objects.count())
                super().close()

        def around(handler):
            async def app(scope, receive, send):
                async def noted(message):
                    events.append(message["type"])
                    await send(message)

                await handler(scope, receive, noted)

            return app

        async with serving(urls=both(lambda request: Then("sent"))) as client:
            happened = await self.compare(client, *PATHS, around=around)
        self.assertEqual(happened["/sync/"][-2:], ["http.response.body", 0])


class TestSurroundings(AsDjangoTestCase):
    """What is around the application, and what it is in itself."""

    async def test_context_variables_flow_out_to_asgi_middleware(self):
        variable = contextvars.ContextVar("variable", default="not set")

        def view(request):
            variable.set("set")
            return HttpResponse()

        def around(handler):
            async def app(scope, receive, send):
                async def noted(message):
                    self.events.append(variable.get())
                    await send(message)

                await handler(scope, receive, noted)
                self.events.append(variable.get())

            return app

        async with serving(urls=both(view)) as client:
            happened = await self.compare(
                client, *PATHS, around=around, alone=RUNS_APART
            )
        for found in happened.values():
            self.assertEqual(found[2:], ["set"] * 3)

    async def test_agents_methods_in_the_place_of_django_s_are_called(self):
        def counted(cls, name):
            method = vars(cls)[name]

            async def wrapper(handler, *args):
                self.events.append(name)
                return await method(handler, *args)

            return mock.patch.object(cls, name, wrapper)

        with (
            counted(ASGIHandler, "__call__"),
            counted(BaseHandler, "get_response_async"),
        ):
            async with serving(urls=both(lambda request: HttpResponse())) as client:
                happened = await self.compare(client, "/async/", "/class/")
                await client.get("/sync/")
        for found in happened.values():
            self.assertEqual(found[2:], ["__call__", "get_response_async"])
        self.assertIn("__call__", self.events)

    async def test_a_request_inside_of_another(self):
        """Of sync code, which holds the worker, and of async code."""

        def inner(request):
            Author.objects.count()
            return HttpResponse("inner")

        class AsyncInner(AsyncView):
            async def get(self, request):
                return HttpResponse(f"inner {await Author.objects.acount()}")

        async def ask(request):
            messages, sent = [{"type": "http.request", "body": b""}], []

            async def receive():
                if messages:
                    return messages.pop()
                return await asyncio.Event().wait()

            async def send(message):
                sent.append(message)

            scope = {**request.scope, "path": request.GET["path"]}
            await app(scope, receive, send)
            return HttpResponse(b"in " + sent[1]["body"])

        def outer(request):
            before = threading.current_thread()
            response = async_to_sync(ask)(request)
            self.assertIs(threading.current_thread(), before)
            return response

        inners = [path("inner/", inner), path("ainner/", AsyncInner.as_view())]
        async with serving(
            urls=[*inners, *both(outer), path("ask/", ask)], workers=2
        ) as client:
            app = client.app
            for where in (*PATHS, "/ask/"):
                for inside, text in (("/inner/", "inner"), ("/ainner/", "inner 0")):
                    with self.subTest(outer=where, inner=inside):
                        answer = await client.get(f"{where}?path={inside}")
                        self.assertEqual(answer.text, f"in {text}")
            await client.idle()

    async def test_a_database_without_a_driver_that_nobody_uses(self):
        broken = {**connections.settings["default"], "ENGINE": "no.such.engine"}

        def view(request):
            return HttpResponse(str(Author.objects.count()))

        async with serving(urls=both(view)) as client:
            with mock.patch.dict(connections.settings, broken=broken):
                await self.compare(client, *EVERY)
                answer = await client.get("/sync/")
        self.assertEqual(answer.text, "0")

    async def test_a_connection_in_a_transaction_goes_back_to_its_pool(self):
        """A backend with a driver's pool gives it back in this way alone."""
        back = []
        close = BaseDatabaseWrapper._close

        def given_back(wrapper):
            if wrapper.in_atomic_block:
                back.append(wrapper)
            return close(wrapper)

        def view(request):
            transaction.atomic().__enter__()
            Author.objects.count()
            return HttpResponse()

        with mock.patch.object(type(connections["default"]), "_close", given_back):
            async with serving(urls=both(view), workers=1) as client:
                for number, where in enumerate(PATHS, 1):
                    self.assertEqual((await client.get(where)).status, 200)
                    await client.idle()
                    self.assertEqual(len(back), number)


class TestMatches(AsDjangoTestCase):
    """A path means what it means after the middleware, whoever asks it before."""

    def setUp(self):
        super().setUp()
        self.tenant = tenant = contextvars.ContextVar("tenant", default="nobody's")

        class OfTenant:
            regex = "[a-z]+"

            def to_python(self, value):
                return f"{value}, {tenant.get()}"

            def to_url(self, value):
                return value

        register_converter(OfTenant, "of_tenant")
        self.addCleanup(get_converters.cache_clear)
        self.addCleanup(REGISTERED_CONVERTERS.pop, "of_tenant")

        class OnlyForTenants(URLPattern):
            def resolve(self, where):
                return super().resolve(where) if tenant.get() != "nobody's" else None

        def middleware(get_response):
            def call(request):
                tenant.set("somebody's")
                return get_response(request)

            return call

        def view(request, page="for tenants"):
            return HttpResponse(page)

        async def aview(request, page="for tenants"):
            return HttpResponse(page)

        shown = path("only/", view)
        self.urls = [
            path("sync/<of_tenant:page>/", view),
            path("async/<of_tenant:page>/", aview),
            OnlyForTenants(shown.pattern, aview),
            path("only/", view, {"page": "for all"}),
        ]
        self.middleware = [middleware]

    async def test_what_a_converter_gives(self):
        async with serving(urls=self.urls, middleware=self.middleware) as client:
            happened = await self.compare(client, "/sync/page/", "/async/page/")
        for found in happened.values():
            self.assertEqual(found[1], "page, somebody's")

    async def test_a_pattern_of_another_class(self):
        async with serving(urls=self.urls, middleware=self.middleware) as client:
            happened = await self.compare(client, "/only/")
        self.assertEqual(happened["/only/"][1], "for tenants")

    async def test_a_match_that_is_sure_is_not_made_twice(self):
        made = []
        shown = path("page/<slug:page>/", lambda request, page: HttpResponse(page))
        resolve = URLPattern.resolve

        def counted(pattern, where):
            made.append(where)
            return resolve(pattern, where)

        with override_settings(USE_I18N=True):
            async with serving(urls=[shown]) as client:
                with mock.patch.object(URLPattern, "resolve", counted):
                    self.assertEqual((await client.get("/page/one/")).text, "one")
        self.assertEqual(len(made), 1)
