"""No request sees the schema of another tenant, wherever it queries."""

from __future__ import annotations

import asyncio
import json
from unittest import mock

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.module_loading import import_string

from django_async_cbv.serve.middleware import swapped
from django_async_cbv.views import AsyncListView, AsyncView
from tests.concurrency import ServedTestCase
from tests.ecosystem.calls import noting, without_places
from tests.ecosystem.crowd import REQUESTS, WORKERS, Crowd
from tests.ecosystem.tenants.models import Domain, Tenant
from tests.ecosystem.tenants.notes.models import Note
from tests.serve.driving import Client, serving

# More than there are workers.
TENANTS = 6
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]


def make_tenants():
    connection.set_schema_to_public()
    for number in range(TENANTS):
        tenant = Tenant(schema_name=f"tenant{number}", number=number)
        tenant.save(verbosity=0)
        Domain.objects.create(domain=f"tenant{number}.example", tenant=tenant)
        connection.set_tenant(tenant)
        # Of a test before: its schema stays.
        Note.objects.all().delete()
        Note.objects.create(number=number)
        connection.set_schema_to_public()


def schema():
    """Which number the tenant has that the connection is of."""
    return int(connection.schema_name.removeprefix("tenant") or -1)


def host(number):
    """Where a tenant is, or would be: there are as many as TENANTS."""
    return f"tenant{number}.example"


def numbers():
    return list(Note.objects.values_list("number", flat=True))


class TenantsTestCase(ServedTestCase):
    def setUp(self):
        super().setUp()
        make_tenants()
        self.enterContext(
            mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=60)
        )


def views(crowd):
    """A name, a view, and whether it gives JSON or is a stream of lines."""

    def sync_view(request):
        return JsonResponse([*numbers(), schema(), *numbers()], safe=False)

    async def look():
        seen = [(await Note.objects.aget()).number]
        await crowd.meet()
        seen += [note.number async for note in Note.objects.all()]
        seen.append(await sync_to_async(schema)())
        await crowd.meet()
        return [*seen, (await Note.objects.afirst()).number]

    async def async_view(request):
        return JsonResponse(await look(), safe=False)

    async def gathering(request):
        seen = await asyncio.gather(look(), sync_to_async(schema)())
        return JsonResponse([*seen[0], seen[1]], safe=False)

    class AsyncHandler(AsyncView):
        async def get(self, request):
            return JsonResponse(await look(), safe=False)

    class Hooks(AsyncListView):
        """One hook is async, another sync, and the rest is the package's."""

        model = Note

        def get_queryset(self):
            self.seen = numbers()
            return super().get_queryset()

        async def aget_context_data(self, **kwargs):
            context = await super().aget_context_data(**kwargs)
            await crowd.meet()
            self.seen += [note.number async for note in context["object_list"]]
            self.seen += await look()
            return context

        async def arender_to_response(self, context, **kwargs):
            return JsonResponse(self.seen, safe=False)

    class OneHook(AsyncListView):
        """Its own sync code runs nowhere."""

        model = Note

        async def aget_context_data(self, **kwargs):
            before = await look()
            context = await super().aget_context_data(**kwargs)
            await crowd.meet()
            notes = [note.number async for note in context["object_list"]]
            self.seen = [*before, *notes]
            return context

        async def arender_to_response(self, context, **kwargs):
            return JsonResponse(self.seen, safe=False)

    yield "sync_view", sync_view
    yield "async_view", async_view
    yield "gathering", gathering
    for cls in (AsyncHandler, Hooks, OneHook):
        yield cls.__name__, cls.as_view()


class TestTenants(TenantsTestCase):
    """On the sync chain, and on the async chain with awaits between queries."""

    async def wrong(self, name, **options):
        """Have the view answer all requests; return what they have seen of others."""
        crowd = Crowd()
        urls = [path("", dict(views(crowd))[name])]
        async with serving(
            urls=urls, middleware=MIDDLEWARE, workers=WORKERS, **options
        ) as client:
            answers = await crowd.visit(
                REQUESTS,
                lambda number: client.begin("/", host=host(number % TENANTS)),
            )
            await client.idle()
            self.assertEqual(client.statistics.workers, WORKERS)
        return [
            (number % TENANTS, answer.text)
            for number, answer in enumerate(answers)
            if answer.status != 200
            or set(json.loads(answer.text)) != {number % TENANTS}
        ]

    async def check(self, **options):
        for name in dict(views(Crowd())):
            with self.subTest(name):
                self.assertEqual(await self.wrong(name, **options), [])

    async def test_by_default(self):
        await self.check()

    async def test_held_for_the_whole_request(self):
        await self.check(release="request")

    async def test_they_would_be_seen(self):
        """Given back whatever ran, a worker has the schema of the other request."""
        self.assertTrue(await self.wrong("AsyncHandler", release="always"))


class TestCalls(TenantsTestCase):
    """The middleware is called as under Django's own handler, and stays what it is."""

    async def visited(self, client, calls):
        given = []
        for where in ("sync_view", "AsyncHandler", "OneHook", "failing", "nowhere"):
            for number in (1, TENANTS, 2):
                calls.clear()
                answer = await client.get(f"/{where}/", host=host(number))
                given.append((where, number, answer.status, answer.text, [*calls]))
        return given

    async def test_the_same_calls_in_the_same_order(self):
        def failing(request):
            raise ValueError(numbers())

        urls = [path(f"{name}/", view) for name, view in views(Crowd())]
        urls.append(path("failing/", failing))
        chain = settings.MIDDLEWARE
        with noting(MIDDLEWARE) as calls:
            async with serving(urls=urls, middleware=chain, workers=WORKERS) as client:
                ours = await self.visited(client, calls)
                await client.idle()
                django = Client(await asyncio.to_thread(ASGIHandler))
                # Of each request there, no other would find a lasting connection.
                with mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=0):
                    djangos = await self.visited(django, calls)
        for given, expected in zip(ours, djangos, strict=True):
            with self.subTest(given[:2]):
                self.assertTrue(given[-1])
                if given[0] in {"AsyncHandler", "OneHook"}:
                    self.assertEqual(given, expected)
                else:
                    self.assertEqual(given[:-1], expected[:-1])
                    self.assertEqual(*map(without_places, (given[-1], expected[-1])))

    def test_it_is_not_swapped(self):
        cls = import_string(*MIDDLEWARE)
        self.assertIs(swapped(cls), cls)


class TestAfterTheMiddleware(TenantsTestCase):
    """What a request does once its response has left the last middleware."""

    async def served(self, views, **options):
        """Serve the views, one after the other; return what was wrong of each."""
        urls = [path(f"{name}/", view) for name, view in views.items()]
        wrong = {}
        async with serving(
            urls=urls, middleware=MIDDLEWARE, workers=WORKERS, **options
        ) as client:
            for name in views:
                with mock.patch("warnings.warn"):
                    answers = await Crowd().visit(
                        REQUESTS,
                        lambda number, name=name, client=client: client.begin(
                            f"/{name}/", host=host(number % TENANTS)
                        ),
                    )
                wrong[name] = [
                    (number % TENANTS, answer.text)
                    for number, answer in enumerate(answers)
                    if set(answer.text.split()) != {str(number % TENANTS)}
                ]
            await client.idle()
        return wrong

    async def test_streams(self):
        def lines():
            for _ in range(2):
                yield f"{numbers()[0]} {schema()} "

        async def alines():
            for _ in range(2):
                yield f"{(await Note.objects.aget()).number} "
                yield f"{await sync_to_async(schema)()} "
                await asyncio.sleep(0)

        def sync_view(request):
            return StreamingHttpResponse(lines())

        def sync_view_of_async_lines(request):
            return StreamingHttpResponse(alines())

        async def async_view(request):
            return StreamingHttpResponse(alines())

        async def async_view_of_sync_lines(request):
            return StreamingHttpResponse(lines())

        wrong = await self.served(
            {
                view.__name__: view
                for view in (
                    sync_view,
                    sync_view_of_async_lines,
                    async_view,
                    async_view_of_sync_lines,
                )
            }
        )
        self.assertEqual(wrong, {name: [] for name in wrong})

    async def test_tasks_and_receivers(self):
        """What comes last finds no schema at all, or that of its own tenant."""
        seen, tasks = [], set()

        def look(number):
            seen.append((number, connection.schema_name))

        async def late(number):
            await asyncio.sleep(0)
            for _ in range(2):
                await sync_to_async(look)(number)

        async def async_view(request):
            task = asyncio.create_task(late(request.tenant.number))
            tasks.add(task)
            return HttpResponse(str(request.tenant.number))

        def sync_view(request):
            response = HttpResponse(str(request.tenant.number))
            number = request.tenant.number
            response._resource_closers.append(lambda: look(number))
            return response

        wrong = await self.served({"async_view": async_view, "sync_view": sync_view})
        await asyncio.gather(*tasks)
        self.assertEqual(wrong, {"async_view": [], "sync_view": []})
        self.assertEqual(len(seen), 3 * REQUESTS)
        foreign = {
            (number, name)
            for number, name in seen
            if name not in {"public", f"tenant{number % TENANTS}"}
        }
        self.assertEqual(foreign, set())
