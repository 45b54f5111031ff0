"""Requests that run at once, more than there are workers, see nothing of each other."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import threading
from unittest import mock

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.db import connection, connections
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import get_script_prefix, get_urlconf, path, set_urlconf
from django.utils import timezone, translation
from django.utils.deprecation import MiddlewareMixin

from django_async_cbv.asgi import release_worker
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncListView, AsyncView
from tests.app.models import Author, Tag
from tests.serve.driving import PoolTestCase, happened, serving

# CI runs few of them. The more there are, the rarer is what they find.
REQUESTS = int(os.environ.get("TEST_MIXUP_REQUESTS", "200"))
# Of these there are many kinds.
TENANTS = max(REQUESTS // 4, 20)
WORKERS = 4

number_of = contextvars.ContextVar("number_of", default=None)
LANGUAGES = ("de", "fr", "es")
ZONES = ("Europe/Berlin", "Asia/Tokyo", "America/Lima")


def state():
    """What a request has set, or found."""
    return {
        "language": translation.get_language(),
        "zone": timezone.get_current_timezone_name(),
        "number": number_of.get(),
        "urlconf": get_urlconf(),
        "atomic": [
            connections[alias].in_atomic_block for alias in ("default", "other")
        ],
        "queries": [len(connections[alias].queries) for alias in ("default", "other")],
        "prefix": get_script_prefix(),
    }


def change(number):
    translation.activate(LANGUAGES[number % 3])
    timezone.activate(ZONES[number % 3])
    number_of.set(number)
    set_urlconf(f"urlconf{number}")


def write(number):
    Tag.objects.create(name=str(number))
    Author.objects.using("other").create(name=str(number), slug=str(number))


class Failed(Exception):
    pass


class TestState(PoolTestCase):
    """Language, time zone, URLconf, prefix, variables, transactions and queries."""

    def expected(self, number, atomic, queries):
        return {
            "language": LANGUAGES[number % 3],
            "zone": ZONES[number % 3],
            "number": number,
            "urlconf": f"urlconf{number}",
            "atomic": [atomic, atomic],
            "queries": queries,
            "prefix": f"/prefix{number}/",
        }

    async def check(self, atomic, **options):
        seen = {}
        own = {}

        def sync_view(request, number):
            seen[number] = state()
            change(number)
            write(number)
            own[number] = state()
            if number % 7 == 0:
                raise Failed
            return HttpResponse()

        async def async_view(request, number):
            seen[number] = await sync_to_async(state)()
            await run_sync(change, number)
            await asyncio.sleep(0)
            await sync_to_async(write)(number)
            await asyncio.sleep(0)
            own[number] = await run_sync(state)
            if number % 7 == 0:
                raise Failed
            return HttpResponse()

        class ClassView(AsyncView):
            async def get(self, request, number):
                return await async_view(request, number)

        views = [sync_view, async_view, ClassView.as_view()]
        if atomic:
            # Django refuses async functions under ATOMIC_REQUESTS.
            views[1] = views[2]
        urls = [path(f"{i}/<int:number>/", view) for i, view in enumerate(views)]
        with contextlib.ExitStack() as stack:
            for alias in ("default", "other"):
                stack.enter_context(
                    mock.patch.dict(
                        connections.settings[alias],
                        ATOMIC_REQUESTS=atomic,
                        CONN_MAX_AGE=60,
                    )
                )
            # connection.queries are kept.
            stack.enter_context(override_settings(DEBUG=True))
            async with serving(urls=urls, workers=WORKERS, **options) as client:
                requests = [
                    client.begin(f"/{number % 3}/{number}/", root=f"/prefix{number}")
                    for number in range(REQUESTS)
                ]
                for number, request in enumerate(requests):
                    status = (await request.answer()).status
                    self.assertEqual(status, 500 if number % 7 == 0 else 200)
                await client.idle()
                self.assertLessEqual(client.statistics.workers, WORKERS)
                urlconf = settings.ROOT_URLCONF
        for number in range(REQUESTS):
            self.assertEqual(
                seen[number],
                {
                    "language": settings.LANGUAGE_CODE,
                    "zone": settings.TIME_ZONE,
                    "number": None,
                    "urlconf": urlconf,
                    "atomic": [atomic, atomic],
                    "queries": seen[number]["queries"],
                    "prefix": f"/prefix{number}/",
                },
            )
            found = own[number]
            self.assertEqual(found, self.expected(number, atomic, found["queries"]))
            # Those of others would be more: its own write and what begins a block.
            before, after = seen[number]["queries"], found["queries"]
            self.assertEqual(
                [b - a for a, b in zip(before, after, strict=True)], [1, 1]
            )
            self.assertLessEqual(max(before), int(atomic))
        kept = {
            str(number)
            for number in range(REQUESTS)
            if not (atomic and number % 7 == 0)
        }
        self.assertEqual(await sync_to_async(names)(), kept)
        self.assertEqual(await sync_to_async(other_names)(), kept)

    async def test_without_atomic_requests(self):
        await self.check(atomic=False)

    async def test_with_atomic_requests(self):
        await self.check(atomic=True)

    async def test_held_for_the_whole_request(self):
        await self.check(atomic=False, release="request")

    async def test_on_the_async_chain_alone(self):
        await self.check(atomic=True, sync_chain=False)


def names():
    return {tag.name for tag in Tag.objects.all()}


def other_names():
    return {author.name for author in Author.objects.using("other").all()}


class InThread:
    """A tenant in a thread-local."""

    def __init__(self):
        self.local = threading.local()

    def set(self, number):
        self.local.tenant = number

    def get(self):
        return getattr(self.local, "tenant", None)


class InSession:
    """A tenant in the session of the database, set by Django's cursor."""

    def set(self, number):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT set_config('app.tenant', %s, false)", [str(number)]
                )
            else:
                # Kept for this connection, and by it alone.
                cursor.execute(f"PRAGMA cache_size = {10_000 + number}")

    def get(self):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT current_setting('app.tenant', true)")
                return int(cursor.fetchone()[0] or -1)
            cursor.execute("PRAGMA cache_size")
            return cursor.fetchone()[0] - 10_000


class InDriver(InSession):
    """The same, set where Django does not see it."""

    def set(self, number):
        connection.ensure_connection()
        with contextlib.closing(connection.connection.cursor()) as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT set_config('app.tenant', %s, false)", [str(number)]
                )
            else:
                cursor.execute(f"PRAGMA cache_size = {10_000 + number}")


def async_middleware(set_tenant):
    class Middleware:
        sync_capable = False
        async_capable = True

        def __init__(self, get_response):
            self.get_response = get_response
            markcoroutinefunction(self)

        async def __call__(self, request):
            await sync_to_async(set_tenant)(int(request.GET["number"]))
            return await self.get_response(request)

    return Middleware


def sync_middleware(set_tenant):
    def middleware(get_response):
        def call(request):
            set_tenant(int(request.GET["number"]))
            return get_response(request)

        return call

    return middleware


def hybrid_middleware(set_tenant):
    class Middleware:
        sync_capable = True
        async_capable = True

        def __init__(self, get_response):
            self.get_response = get_response
            if iscoroutinefunction(get_response):
                markcoroutinefunction(self)

        def __call__(self, request):
            if iscoroutinefunction(self.get_response):
                return self.acall(request)
            set_tenant(int(request.GET["number"]))
            return self.get_response(request)

        async def acall(self, request):
            await run_sync(set_tenant, int(request.GET["number"]))
            return await self.get_response(request)

    return Middleware


class TestTenants(PoolTestCase):
    """Each request sets its tenant anew, and reads none but that."""

    def views(self, tenant):
        """Where a tenant is set: by whom, and which view looks for it."""

        async def look():
            seen = []
            for cross in (lambda f: sync_to_async(f)(), run_sync):
                seen.append(await cross(tenant.get))
                # What Django's code alone does, and would give the worker back.
                await Tag.objects.acount()
                await asyncio.sleep(0)
            return seen

        async def answered(request):
            return JsonResponse(await look(), safe=False)

        async def by_view(request):
            await sync_to_async(tenant.set)(int(request.GET["number"]))
            return await answered(request)

        class ByDispatch(AsyncView):
            def dispatch(self, request, *args, **kwargs):
                tenant.set(int(request.GET["number"]))
                return super().dispatch(request, *args, **kwargs)

            async def get(self, request):
                return await answered(request)

        class BySetup(AsyncView):
            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                tenant.set(int(request.GET["number"]))

            async def get(self, request):
                return await answered(request)

        class ByHook(AsyncListView):
            model = Tag

            def get_queryset(self):
                tenant.set(int(self.request.GET["number"]))
                return super().get_queryset()

            async def arender_to_response(self, context, **kwargs):
                return await answered(self.request)

        def by_sync_view(request):
            tenant.set(int(request.GET["number"]))
            return JsonResponse([tenant.get()], safe=False)

        yield "view", by_view, ()
        yield "dispatch", ByDispatch.as_view(), ()
        yield "setup", BySetup.as_view(), ()
        yield "hook", ByHook.as_view(), ()
        yield "sync view", by_sync_view, ()
        for make in (async_middleware, sync_middleware, hybrid_middleware):
            yield make.__name__, answered, (make(tenant.set),)

    async def check(self, tenant, **options):
        age = mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=60)
        for name, view, middleware in self.views(tenant):
            with self.subTest(name), age:
                async with serving(
                    urls=[path("", view)],
                    middleware=middleware,
                    workers=WORKERS,
                    **options,
                ) as client:
                    requests = [
                        client.begin(f"/?number={number}") for number in range(TENANTS)
                    ]
                    wrong = []
                    for number, request in enumerate(requests):
                        seen = json.loads((await request.answer()).text)
                        if set(seen) != {number}:
                            wrong.append((number, seen))
                    self.assertEqual(wrong, [])
                    self.assertLessEqual(client.statistics.workers, WORKERS)

    async def test_in_a_thread_local(self):
        await self.check(InThread())
        await self.check(InThread(), release="request")

    async def test_in_the_session(self):
        await self.check(InSession())
        await self.check(InSession(), release="request")

    async def test_in_the_session_by_the_driver(self):
        await self.check(InDriver())
        await self.check(InDriver(), release="request")

    async def test_it_would_be_seen(self):
        """Given back whatever ran, a worker has the tenant of the other request."""
        tenant, gate = InThread(), asyncio.Event()

        async def view(request):
            await sync_to_async(tenant.set)(1)
            await gate.wait()
            return HttpResponse(str(await sync_to_async(tenant.get)()))

        def other(request):
            tenant.set(2)
            done.set()
            return HttpResponse()

        for release, seen in (("always", "2"), ("between", "1")):
            gate.clear()
            done = threading.Event()
            with self.subTest(release=release):
                async with serving(view, other, workers=1, release=release) as client:
                    first = client.begin("/view/")
                    second = client.begin("/other/")
                    if release == "always":
                        await happened(done)
                    gate.set()
                    self.assertEqual((await first.answer()).text, seen)
                    await second.answer()


class TestStreams(PoolTestCase):
    """A sync iterator runs in the thread of its request, to its end."""

    async def check(self, tenant, **options):
        def parts():
            for _ in range(3):
                # With a query, which has others go on meanwhile.
                Tag.objects.count()
                yield f"{tenant.get()} "

        def sync_view(request):
            tenant.set(int(request.GET["number"]))
            return StreamingHttpResponse(parts())

        async def async_view(request):
            await sync_to_async(tenant.set)(int(request.GET["number"]))
            return StreamingHttpResponse(parts())

        class Dispatched(AsyncView):
            def dispatch(self, request, *args, **kwargs):
                tenant.set(int(request.GET["number"]))
                return super().dispatch(request, *args, **kwargs)

            async def get(self, request):
                return StreamingHttpResponse(parts())

        age = mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=60)
        for view in (sync_view, async_view, Dispatched.as_view()):
            # Django warns that it consumes the iterator at once.
            with self.subTest(view), age, mock.patch("warnings.warn") as warned:
                urls = [path("", view)]
                async with serving(urls=urls, workers=WORKERS, **options) as client:
                    texts = await client.texts(*(f"/?number={n}" for n in range(50)))
                    self.assertEqual(texts, [f"{n} " * 3 for n in range(50)])
                    self.assertEqual(warned.call_count, 50)
                    await client.idle()

    async def test_of_a_thread(self):
        await self.check(InThread())
        await self.check(InThread(), release="request")

    async def test_of_a_session(self):
        await self.check(InSession())
        await self.check(InDriver(), release="request")

    async def test_an_iterator_that_fails(self):
        """Where it fails, the status was sent, as under Django's handler."""

        def parts():
            yield "part"
            raise Failed

        def sync_view(request):
            return StreamingHttpResponse(parts())

        async def async_view(request):
            await sync_to_async(touch)()
            return StreamingHttpResponse(parts())

        async with serving(sync_view, async_view, workers=1) as client:
            for where in ("/sync_view/", "/async_view/"):
                with self.subTest(where), mock.patch("warnings.warn"):
                    request = client.begin(where)
                    with self.assertRaises(Failed):
                        await request.answer()
                    self.assertEqual((request.status, request.body), (200, b""))
                    await client.idle()

    async def test_a_client_that_reads_slowly_keeps_no_worker(self):
        def sync_view(request):
            return StreamingHttpResponse(iter(["late"]))

        async def async_view(request):
            await sync_to_async(touch)()
            return StreamingHttpResponse(iter(["late"]))

        with mock.patch.dict(connections.settings["other"], ENGINE="tests.tenants"):
            async with serving(sync_view, async_view, workers=1) as client:
                for where in ("/sync_view/", "/async_view/"):
                    with self.subTest(where), mock.patch("warnings.warn"):
                        request = client.begin(where, reads=False)
                        await request.begun()
                        await client.idle()
                        request.reads.set()
                        self.assertEqual((await request.answer()).text, "late")


def touch():
    pass


def tenant_of_engine():
    return connections["other"].tenant


class TenantMiddleware(MiddlewareMixin):
    def process_request(self, request):
        connections["other"].set_tenant(request.GET["number"])


class TestEngine(PoolTestCase):
    """An ENGINE keeps the tenant of a request on its connection."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(
            mock.patch.dict(
                connections.settings["other"], ENGINE="tests.tenants", CONN_MAX_AGE=60
            )
        )

    def serving(self, *views, **options):
        return serving(*views, middleware=[TenantMiddleware], **options)

    async def parts(self):
        for _ in range(3):
            yield f"{await sync_to_async(tenant_of_engine)()} "
            await asyncio.sleep(0)

    async def test_a_stream_has_its_own_tenant(self):
        async def async_view(request):
            return StreamingHttpResponse(self.parts())

        def sync_view(request):
            return StreamingHttpResponse(self.parts())

        for release in ("between", "request"):
            async with self.serving(
                async_view, sync_view, workers=WORKERS, release=release
            ) as client:
                for name in ("async_view", "sync_view"):
                    with self.subTest(name, release=release):
                        paths = [f"/{name}/?number={n}" for n in range(50)]
                        texts = await client.texts(*paths)
                        self.assertEqual(texts, [f"{n} " * 3 for n in range(50)])
                        await client.idle()

    async def test_a_stream_that_gives_its_worker_back(self):
        go = asyncio.Event()

        async def gives():
            yield "part"
            async with release_worker():
                await go.wait()

        async def keeps():
            yield "part"
            await go.wait()

        async def giving(request):
            return StreamingHttpResponse(gives())

        async def keeping(request):
            return StreamingHttpResponse(keeps())

        def sync_view(request):
            return HttpResponse()

        for name, release in (("giving", "between"), ("keeping", "always")):
            go.clear()
            async with self.serving(
                giving, keeping, sync_view, workers=1, release=release
            ) as client:
                request = client.begin(f"/{name}/?number=1")
                await request.begun()
                await client.get("/sync_view/?number=2")
                go.set()
                await request.answer()
        go.clear()
        async with self.serving(keeping, workers=1) as client:
            request = client.begin("/keeping/?number=1")
            await request.begun()
            await client.until(leased=1)
            go.set()
            await request.answer()
            await client.idle()

    async def test_a_client_that_leaves_its_stream(self):
        async def endless():
            while True:
                yield str(await sync_to_async(tenant_of_engine)())

        async def view(request):
            return StreamingHttpResponse(endless())

        async with self.serving(view, workers=1) as client:
            for _ in range(3):
                request = client.begin("/view/?number=1")
                await request.begun()
                request.gone.set()
                await request.answer()
                await client.idle()

    async def test_what_comes_late_finds_no_tenant(self):
        """Tasks that go on, and closers: their worker may have served others."""
        late, tasks, go = [], [], asyncio.Event()

        def look():
            other = connections["other"]
            other.ensure_connection()
            late.append((other.tenant, other))

        async def task():
            await go.wait()
            await sync_to_async(look)()

        async def async_view(request):
            tasks.append(asyncio.create_task(task()))
            response = HttpResponse()
            response._resource_closers.append(look)
            return response

        def sync_view(request):
            response = HttpResponse()
            response._resource_closers.append(look)
            return response

        def usual(request):
            connections["other"].ensure_connection()
            return HttpResponse(str(id(connections["other"].connection)))

        async with self.serving(async_view, sync_view, usual, workers=1) as client:
            before = (await client.get("/usual/?number=3")).text
            await client.get("/async_view/?number=1")
            await client.get("/sync_view/?number=1")
            self.assertEqual((await client.get("/usual/?number=2")).text, before)
            go.set()
            await asyncio.gather(*tasks)
            await client.idle()
            self.assertEqual(len(late), 3)
            # The worker may have been there yet, with what the request has set.
            self.assertLessEqual({tenant for tenant, _ in late[:2]}, {None, "1"})
            self.assertIsNone(late[2][0])
            closed = {one.connection for tenant, one in late if tenant is None}
            self.assertEqual(closed, {None})
            # The connection of the worker is there again, and lasts.
            self.assertEqual((await client.get("/usual/?number=2")).text, before)

    async def test_a_late_transaction_that_is_left_open(self):
        tasks, go = [], asyncio.Event()

        def begin():
            connections["other"].set_autocommit(False)

        async def view(request):
            async def task():
                await go.wait()
                await sync_to_async(begin)()

            tasks.append(asyncio.create_task(task()))
            return HttpResponse()

        def usual(request):
            other = connections["other"]
            other.ensure_connection()
            return HttpResponse(f"{id(other.connection)} {other.get_autocommit()}")

        async with self.serving(view, usual, workers=1) as client:
            before = (await client.get("/usual/?number=1")).text
            self.assertTrue(before.endswith("True"))
            await client.get("/view/?number=1")
            await client.idle()
            go.set()
            await asyncio.gather(*tasks)
            await client.idle()
            self.assertEqual((await client.get("/usual/?number=1")).text, before)
