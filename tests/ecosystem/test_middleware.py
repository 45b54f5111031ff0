"""Middleware of other packages under our entry point: called as under Django's."""

from __future__ import annotations

import asyncio
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from unittest import mock

from asgiref.sync import sync_to_async
from crum import get_current_request, get_current_user
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.http import Http404, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.test import Client as Browser
from django.test import override_settings
from django.urls import path
from django.utils.module_loading import import_string
from waffle import flag_is_active
from waffle.models import Flag

from django_async_cbv.serve.middleware import swapped
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncListView, AsyncView
from tests.ecosystem.calls import noting, without_places
from tests.ecosystem.crowd import REQUESTS, WORKERS, Crowd
from tests.ecosystem.models import Author
from tests.serve.driving import Client, PoolTestCase, serving
from tests.settings import MIDDLEWARE as USUAL

CORS = "corsheaders.middleware.CorsMiddleware"
CRUM = "crum.CurrentRequestUserMiddleware"
WAFFLE = "waffle.middleware.WaffleMiddleware"
WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
# Each at the place that its documentation asks for.
PLACES = {WHITENOISE: 1, CORS: 2, WAFFLE: len(USUAL), CRUM: len(USUAL)}

PACKAGES = (
    *("django-cors-headers", "django-crum", "django-tenants", "django-waffle"),
    "whitenoise",
)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "ecosystem.md"

USERS = 6


def chain(*added):
    made = list(USUAL)
    for one in sorted(added, key=PLACES.get, reverse=True):
        made.insert(PLACES[one], one)
    return made


WHOLE = chain(*PLACES)


class MiddlewareTestCase(PoolTestCase):
    def setUp(self):
        super().setUp()
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for number in range(USERS):
            (folder / f"{number}.txt").write_text(f"the text {number}")
        self.enterContext(override_settings(WHITENOISE_ROOT=folder))
        Flag.objects.create(name="beta", testing=True)
        Author.objects.create(name="Jane", slug="jane")
        self.users, self.cookies = [], []
        for number in range(USERS):
            user = User.objects.create_user(f"user{number}")
            browser = Browser()
            browser.force_login(user)
            self.users.append(user.pk)
            self.cookies.append(browser.cookies["sessionid"].value)

    def begin(self, client, where, number, method="GET", **headers):
        """Begin a request of one of the users, from a site of its own."""
        sent = {
            "cookie": f"sessionid={self.cookies[number % USERS]}",
            "origin": f"https://site{number}.example",
            **headers,
        }
        return client.begin(
            where,
            method,
            headers=[(name.encode(), value.encode()) for name, value in sent.items()],
        )


class Failed(Exception):
    pass


def sync_view(request):
    flag_is_active(request, "beta")
    return HttpResponse(str(request.user.pk))


async def async_view(request):
    await Author.objects.acount()
    user = await request.auser()
    await sync_to_async(flag_is_active)(request, "beta")
    return HttpResponse(str(user.pk))


def rendered(request):
    return TemplateResponse(request, "ecosystem/page.html")


async def arendered(request):
    return TemplateResponse(request, "ecosystem/page.html")


def failing(request):
    raise Failed("sync")


async def afailing(request):
    raise Failed("async")


def missing(request):
    raise Http404


class Page(AsyncListView):
    model = Author
    template_name = "ecosystem/page.html"


class AsyncPage(Page):
    async def aget_context_data(self, **kwargs):
        await asyncio.sleep(0)
        return await super().aget_context_data(**kwargs)


class Forbidden(AsyncView):
    async def get(self, request):
        await Author.objects.acount()
        return HttpResponse(status=403)


# With what our handler serves whole, in a worker.
SYNC = {
    "sync/": sync_view,
    "rendered/": rendered,
    "failing/": failing,
    "missing/": missing,
    "page/": Page.as_view(),
}
ASYNC = {
    "async/": async_view,
    "arendered/": arendered,
    "afailing/": afailing,
    "async-page/": AsyncPage.as_view(),
    "forbidden/": Forbidden.as_view(),
}
URLS = [path(where, view) for where, view in {**SYNC, **ASYNC}.items()]
# Which path, method and headers; the middleware alone answers the last of them.
REQUESTED = [
    *((f"/{where}?dwft_beta=1", "GET", {}) for where in (*SYNC, *ASYNC)),
    ("/nowhere/", "GET", {}),
    ("/async/", "OPTIONS", {"access-control-request-method": "GET"}),
    ("/sync/", "OPTIONS", {"access-control-request-method": "GET"}),
    ("/1.txt", "GET", {}),
]


class TestCalls(MiddlewareTestCase):
    """They see the same calls in the same order as under Django's own handler."""

    async def visited(self, client, calls):
        """Give each answer, and what was called for it."""
        given = []
        for where, method, sent in REQUESTED:
            calls.clear()
            with mock.patch("warnings.warn"):
                answer = await self.begin(client, where, 1, method, **sent).answer()
            headers = sorted(answer.sent[0]["headers"])
            given.append((where, method, answer.status, headers, answer.text, [*calls]))
        return given

    async def check(self, middleware, added, **options):
        with noting(added) as calls:
            async with serving(
                urls=URLS, middleware=middleware, workers=WORKERS, **options
            ) as client:
                ours = await self.visited(client, calls)
                await client.idle()
                django = Client(await asyncio.to_thread(ASGIHandler))
                djangos = await self.visited(django, calls)
        names = {told[0] for *_, called in ours for told in called}
        self.assertEqual(names, {one.rpartition(".")[2] for one in added})
        for given, expected in zip(ours, djangos, strict=True):
            where, *_, called = given
            with self.subTest(where, middleware=added, **options):
                self.assertEqual(given[:-1], expected[:-1])
                is_async = where.partition("?")[0][1:] in ASYNC
                if is_async or not options.get("sync_chain", True):
                    self.assertEqual(called, expected[-1])
                else:
                    # Called in the worker, the whole chain.
                    self.assertNotIn("on the loop", {told[-1] for told in called})
                    self.assertEqual(*map(without_places, (called, expected[-1])))

    async def test_each_alone(self):
        for one in PLACES:
            await self.check(chain(one), [one])

    async def test_each_in_each_place(self):
        for one in PLACES:
            for place in range(0, len(USUAL) + 1, 2):
                await self.check([*USUAL[:place], one, *USUAL[place:]], [one])

    async def test_all_of_them(self):
        await self.check(WHOLE, [*PLACES])
        await self.check(WHOLE, [*PLACES], sync_chain=False)
        await self.check(WHOLE, [*PLACES], release="request")

    def test_the_docs_name_these_versions(self):
        page = PAGE.read_text(encoding="utf-8")
        for package in PACKAGES:
            self.assertIn(f"| {package} | {version(package)} |", page)

    def test_none_is_swapped(self):
        for one in PLACES:
            cls = import_string(one)
            with self.subTest(one):
                self.assertIs(swapped(cls), cls)


class TestMixups(MiddlewareTestCase):
    """No request sees the user, the request, the flag or the origin of another."""

    def views(self, crowd):
        def seen(request):
            current = get_current_user()
            return [
                request.user.pk,
                current and current.pk,
                get_current_request() in {None, request},
                flag_is_active(request, "beta"),
            ]

        def sync_view(request):
            before = seen(request)
            Author.objects.count()
            return JsonResponse([before, seen(request)], safe=False)

        async def look(request):
            found = [await sync_to_async(seen)(request)]
            await Author.objects.acount()
            await crowd.meet()
            found.append(await run_sync(seen, request))
            await crowd.meet()
            await Author.objects.aget()
            return [*found, await sync_to_async(seen)(request)]

        async def async_view(request):
            return JsonResponse(await look(request), safe=False)

        class Handler(AsyncView):
            async def get(self, request):
                return JsonResponse(await look(request), safe=False)

        class Hooks(AsyncListView):
            """One hook is async, another sync, and both look."""

            model = Author

            def get_queryset(self):
                self.found = [seen(self.request)]
                return super().get_queryset()

            async def aget_context_data(self, **kwargs):
                context = await super().aget_context_data(**kwargs)
                await crowd.meet()
                self.found += [await run_sync(seen, self.request)]
                [_ async for _ in context["object_list"]]
                self.found += await look(self.request)
                return context

            async def arender_to_response(self, context, **kwargs):
                return JsonResponse(self.found, safe=False)

        return {
            "sync_view": sync_view,
            "async_view": async_view,
            "handler": Handler.as_view(),
            "hooks": Hooks.as_view(),
        }

    async def check(self, *added, **options):
        crowd = Crowd()
        views = self.views(crowd)
        urls = [path(f"{name}/", view) for name, view in views.items()]
        async with serving(
            urls=urls, middleware=chain(*added), workers=WORKERS, **options
        ) as client:
            for name in views:

                def begin(number, name=name):
                    if WHITENOISE in added and number % 5 == 4:
                        where = f"/{number % USERS}.txt"
                    else:
                        where = f"/{name}/?dwft_beta={number % 2}"
                    return self.begin(client, where, number)

                with self.subTest(name, middleware=added, **options):
                    with mock.patch("warnings.warn"):
                        answers = await crowd.visit(REQUESTS, begin)
                    wrong = [
                        (number, answer.status, answer.headers, answer.text)
                        for number, answer in enumerate(answers)
                        if not self.is_own(number, answer, added)
                    ]
                    self.assertEqual(wrong, [])
                    await client.idle()
            self.assertEqual(client.statistics.workers, WORKERS)

    def is_own(self, number, answer, added):
        headers = answer.headers
        origin = f"https://site{number}.example"
        if CORS in added and WHITENOISE not in added:
            if headers["access-control-allow-origin"] != origin:
                return False
        if WHITENOISE in added and number % 5 == 4:
            return answer.text == f"the text {number % USERS}"
        flag = bool(number % 2)
        if WAFFLE in added and f"dwft_beta={flag};" not in headers["set-cookie"]:
            return False
        user = self.users[number % USERS]
        current = user if CRUM in added else None
        found = json.loads(answer.text)
        return bool(found) and all(one == [user, current, True, flag] for one in found)

    async def test_each_alone(self):
        for one in PLACES:
            await self.check(one)
            await self.check(one, release="request")

    async def test_all_of_them(self):
        await self.check(*PLACES)
        await self.check(*PLACES, release="request")
