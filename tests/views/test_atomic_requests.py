"""ATOMIC_REQUESTS on our views: a transaction for each request."""

from __future__ import annotations

import asyncio

from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpResponse
from django.test import RequestFactory, TestCase, override_settings
from django.urls import path
from django.utils.decorators import method_decorator

from django_async_cbv.core import transactions
from django_async_cbv.db import aatomic
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncCreateView, AsyncListView, AsyncView
from tests.app.models import Author
from tests.hops import count_hops


class Failed(Exception):
    pass


class Writing(AsyncView):
    fails = False

    async def get(self, request):
        await Author.objects.acreate(name="Ann", slug="ann")
        await asyncio.sleep(0)
        depth = await run_sync(lambda: len(connection.savepoint_ids))
        if self.fails:
            raise Failed
        return HttpResponse(str(depth))


class WritingSync(AsyncView):
    def get(self, request):
        Author.objects.create(name="Ann", slug="ann")
        raise Failed


class Create(AsyncCreateView):
    model = Author
    fields = ("name", "slug")
    success_url = "/"


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class Exempt(Writing):
    fails = True


urlpatterns = [
    path("", Writing.as_view()),
    path("fails/", Writing.as_view(fails=True)),
    path("fails-sync/", WritingSync.as_view()),
    path("exempt/", Exempt.as_view()),
    path("exempt-view/", transaction.non_atomic_requests(Writing.as_view(fails=True))),
    path(
        "other/", transaction.non_atomic_requests("other")(Writing.as_view(fails=True))
    ),
    path("create/", Create.as_view()),
    path("list/", AsyncListView.as_view(model=Author, template_name="page.html")),
]


@override_settings(ROOT_URLCONF=__name__)
class TestAtomicRequests(TestCase):
    def setUp(self):
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        self.addCleanup(connection.settings_dict.update, ATOMIC_REQUESTS=False)

    async def test_the_request_is_a_transaction(self):
        depth = await run_sync(lambda: len(connection.savepoint_ids))
        response = await self.async_client.get("/")
        self.assertEqual(int(response.content), depth + 1)
        self.assertEqual(await Author.objects.acount(), 1)

    async def test_an_exception_rolls_back(self):
        for url in ("/fails/", "/fails-sync/", "/other/"):
            with self.subTest(url=url), self.assertRaises(Failed):
                await self.async_client.get(url)
            self.assertEqual(await Author.objects.acount(), 0)

    async def test_views_can_opt_out(self):
        for url in ("/exempt/", "/exempt-view/"):
            async with aatomic():
                with self.subTest(url=url), self.assertRaises(Failed):
                    await self.async_client.get(url)
                self.assertEqual(await Author.objects.acount(), 1)
                await run_sync(transaction.set_rollback, True)

    def test_through_the_sync_client(self):
        with self.assertRaises(Failed):
            self.client.get("/fails/")
        self.assertEqual(Author.objects.count(), 0)
        self.assertEqual(self.client.get("/").status_code, 200)
        self.assertEqual(Author.objects.count(), 1)

    async def test_it_costs_no_hop_of_its_own(self):
        view = Create.as_view()
        with count_hops() as hops:
            response = await view(
                RequestFactory().post("/", {"name": "Ann", "slug": "ann"})
            )
        self.assertEqual(response.status_code, 302)
        self.assertEqual(hops.count, 1)

    async def test_a_cancelled_request_rolls_back(self):
        waiting = asyncio.Event()

        class Waiting(AsyncView):
            async def get(self, request):
                await Author.objects.acreate(name="Ann", slug="ann")
                waiting.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(Waiting.as_view()(RequestFactory().get("/")))
        await waiting.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(await Author.objects.acount(), 0)

    async def test_a_view_of_its_own_at_once_is_refused(self):
        """Their savepoints would interleave, and one would take the other's rows."""

        class Gathering(AsyncView):
            async def get(self, request):
                views = [Writing.as_view(fails=fails) for fails in (True, False)]
                results = await asyncio.gather(
                    *[view(request) for view in views], return_exceptions=True
                )
                return HttpResponse(", ".join(type(one).__name__ for one in results))

        response = await Gathering.as_view()(RequestFactory().get("/"))
        self.assertEqual(
            response.content,
            b"TransactionManagementError, TransactionManagementError",
        )

    async def test_a_task_from_before_the_request_is_refused(self):
        inside, done = asyncio.Event(), asyncio.Event()

        async def audit():
            await inside.wait()
            try:
                await Author.objects.acount()
            finally:
                done.set()

        class View(AsyncView):
            async def get(self, request):
                await Author.objects.acreate(name="Ann", slug="ann")
                inside.set()
                await done.wait()
                return HttpResponse()

        task = asyncio.create_task(audit())
        await View.as_view()(RequestFactory().get("/"))
        with self.assertRaisesMessage(
            TransactionManagementError, "its task started outside"
        ):
            await task
        self.assertEqual(await Author.objects.acount(), 1)

    async def test_the_blocks_of_a_request_end_with_it(self):
        await Writing.as_view()(RequestFactory().get("/"))
        self.assertEqual(transactions.blocks.get(), ())
        await Author.objects.all().adelete()
        with self.assertRaises(Failed):
            await Writing.as_view(fails=True)(RequestFactory().get("/"))
        self.assertEqual(transactions.blocks.get(), ())

    async def test_generator_exit_rolls_back(self):
        class Exiting(AsyncView):
            def get(self, request):
                Author.objects.create(name="Ann", slug="ann")
                raise GeneratorExit

        depth = await run_sync(lambda: len(connection.savepoint_ids))
        with self.assertRaisesMessage(RuntimeError, "raised GeneratorExit"):
            await Exiting.as_view()(RequestFactory().get("/"))
        self.assertEqual(await Author.objects.acount(), 0)
        self.assertEqual(await run_sync(lambda: len(connection.savepoint_ids)), depth)
