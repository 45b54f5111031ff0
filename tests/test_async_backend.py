"""aatomic() and the views on django-async-backend, the real package, on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from unittest import mock

import django
import pytest
from asgiref.sync import ThreadSensitiveContext
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.db.utils import InterfaceError, OperationalError
from django.http import HttpResponseRedirect
from django.test import RequestFactory

from django_async_cbv.db import aatomic, agather
from django_async_cbv.sync import iterate, run_sync
from django_async_cbv.views import AsyncCreateView, AsyncDetailView, AsyncListView
from tests.app.models import Tag
from tests.concurrency import ServedTestCase, forget_connections
from tests.hops import count_hops

ABSENT = ""
if connection.vendor != "postgresql":
    ABSENT = "SQLite: that package is for PostgreSQL"
elif django.VERSION < (6, 1):
    ABSENT = "Django 6.1 and later: that package follows it"
else:
    from django_async_backend.db import async_connections
    from django_async_backend.db.models.patch import _patch_model

# Not of the whole module: a report names the reason of each test's skip alone.
pytestmark = pytest.mark.skipif(bool(ABSENT), reason=ABSENT)
PATIENCE = 10  # seconds, until a deadlock is called one
ENGINE = "django_async_backend.db.backends.postgresql"


class Failed(Exception):
    pass


async def write(name):
    await Tag.async_objects.acreate(name=name)


async def names():
    return [tag.name async for tag in Tag.async_objects.order_by("pk")]


class BackendTestCase(ServedTestCase):
    databases = {"default", "other"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # What its AppConfig does: every model gets `async_objects`.
        _patch_model()
        cls.enterClassContext(
            mock.patch.dict(connections.settings["default"], ENGINE=ENGINE)
        )
        cls.enterClassContext(
            mock.patch.dict(async_connections.settings["default"], ENGINE=ENGINE)
        )
        cls.addClassCleanup(connections["default"].close)

    def run_async(self, main):
        async def request():
            async with ThreadSensitiveContext(), asyncio.timeout(PATIENCE):
                try:
                    return await main()
                finally:
                    await async_connections["default"].close()
                    await run_sync(forget_connections)

        return asyncio.run(request())


class TestAtomic(BackendTestCase):
    def test_commit_and_rollback_without_a_hop(self):
        async def main():
            with count_hops() as hops:
                async with aatomic():
                    await write("a")
                with contextlib.suppress(Failed):
                    async with aatomic():
                        await write("b")
                        raise Failed
                self.assertEqual(await names(), ["a"])
            self.assertEqual(hops.count, 0)

        self.run_async(main)
        self.assertEqual([tag.name for tag in Tag.objects.all()], ["a"])

    def test_savepoints_and_durable(self):
        async def main():
            async with aatomic():
                await write("a")
                with contextlib.suppress(Failed):
                    async with aatomic():
                        await write("b")
                        raise Failed
                with self.assertRaisesMessage(RuntimeError, "durable"):
                    async with aatomic(durable=True):
                        self.fail()
                await write("c")
            self.assertEqual(await names(), ["a", "c"])

        self.run_async(main)

    def test_as_a_decorator(self):
        @aatomic
        async def work(name):
            await write(name)
            if name == "b":
                raise Failed

        async def main():
            await work("a")
            with self.assertRaises(Failed):
                await work("b")
            self.assertEqual(await names(), ["a"])

        self.run_async(main)

    def test_on_commit(self):
        done = []

        async def callback():
            done.append(async_connections["default"].in_atomic_block)

        async def main():
            async with aatomic():
                await async_connections["default"].on_commit(callback)
                self.assertEqual(done, [])
            self.assertEqual(done, [False])

        self.run_async(main)

    def test_cancelled_in_the_block(self):
        async def main():
            inside = asyncio.Event()

            async def work():
                try:
                    async with aatomic():
                        await write("a")
                        inside.set()
                        await asyncio.Event().wait()
                finally:
                    await async_connections["default"].close()

            task = asyncio.create_task(work())
            await inside.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(await names(), [])

        self.run_async(main)

    def cancel_in(self, method):
        """Cancel a block while the connection is in one of its methods."""

        async def main():
            begun, let_go = asyncio.Event(), asyncio.Event()

            async def work():
                wrapper = async_connections["default"]
                original = getattr(wrapper, method)

                async def held(*args, **kwargs):
                    begun.set()
                    await let_go.wait()
                    return await original(*args, **kwargs)

                try:
                    with mock.patch.object(wrapper, method, held):
                        async with aatomic():
                            await write("a")
                finally:
                    self.assertFalse(wrapper.in_atomic_block)
                    await wrapper.close()

            task = asyncio.create_task(work())
            await begun.wait()
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0)
            self.assertFalse(task.done())
            let_go.set()
            with self.assertRaises(asyncio.CancelledError):
                await task
            return await names()

        return self.run_async(main)

    def test_cancelled_in_the_commit_it_is_committed(self):
        self.assertEqual(self.cancel_in("commit"), ["a"])

    def test_cancelled_in_the_begin_it_is_rolled_back(self):
        self.assertEqual(self.cancel_in("set_autocommit"), [])

    def test_a_task_begun_inside_is_refused_by_the_backend(self):
        async def main():
            async with aatomic():
                await write("a")
                for work in (names(), self.nested()):
                    with self.assertRaisesMessage(RuntimeError, "only be used by the"):
                        await asyncio.create_task(work)
            self.assertEqual(await names(), ["a"])

        self.run_async(main)

    async def nested(self):
        async with aatomic():
            self.fail()

    def test_django_s_own_orm_is_refused_in_the_block(self):
        async def main():
            async with aatomic():
                await write("a")
                with self.assertRaisesMessage(
                    TransactionManagementError, "Use `async_objects` and"
                ):
                    await Tag.objects.acount()
                with self.assertRaisesMessage(TransactionManagementError, "can't see"):
                    await agather(Tag.objects.all())
            self.assertEqual(await Tag.objects.acount(), 1)
            self.assertEqual(len((await agather(Tag.objects.all()))[0]), 1)

        self.run_async(main)

    def test_sync_transactions_are_what_they_were(self):
        def sync():
            with transaction.atomic():
                Tag.objects.create(name="a")
                transaction.set_rollback(True)

        async def main():
            await run_sync(sync)
            self.assertEqual(await Tag.objects.acount(), 0)

        self.run_async(main)

    def test_a_lost_connection_is_told_and_forgotten(self):
        async def main():
            with self.assertRaises((OperationalError, InterfaceError)):
                async with aatomic():
                    await write("a")
                    pid = async_connections["default"].connection.info.backend_pid
                    await run_sync(terminate, pid)
                    await write("b")
            await async_connections["default"].close()
            async with aatomic():
                await write("c")
            self.assertEqual(await names(), ["c"])

        def terminate(pid):
            # On a connection of its own: not one of the block's database.
            with connections["other"].cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

        self.run_async(main)


class TestViews(BackendTestCase):
    """They are Django's own ORM's, and take the async connection where hooks say so."""

    def ask(self, view, method="get", **kwargs):
        request = getattr(RequestFactory(), method)("/", **kwargs)

        async def main():
            response = await view(request, pk=kwargs.get("pk"))
            if hasattr(response, "render"):
                await run_sync(response.render)
            return response

        return self.run_async(main)

    def test_as_they_are(self):
        create = AsyncCreateView.as_view(model=Tag, fields=["name"], success_url="/")
        response = self.ask(create, "post", data={"name": "a"})
        self.assertEqual(response.status_code, 302)
        listed = self.ask(AsyncListView.as_view(model=Tag, template_name="page.html"))
        self.assertEqual(
            [tag.name for tag in listed.context_data["object_list"]], ["a"]
        )

    def test_hooks_that_use_the_async_connection(self):
        class TagList(AsyncListView):
            model = Tag
            template_name = "page.html"

            async def aget_queryset(self):
                return [tag async for tag in Tag.async_objects.all()]

        class TagDetail(AsyncDetailView):
            model = Tag
            template_name = "page.html"

            async def aget_object(self, queryset=None):
                return await Tag.async_objects.aget(name="a")

        class TagCreate(AsyncCreateView):
            model = Tag
            fields = ["name"]
            success_url = "/"

            async def aform_valid(self, form):
                async with aatomic():
                    self.object = form.save(commit=False)
                    await self.object.async_save()
                    if self.object.name == "bad":
                        raise Failed
                return HttpResponseRedirect(await self.aget_success_url())

        create = TagCreate.as_view()
        self.assertEqual(self.ask(create, "post", data={"name": "a"}).status_code, 302)
        with self.assertRaises(Failed):
            self.ask(create, "post", data={"name": "bad"})
        self.assertEqual(Tag.objects.count(), 1)
        for view, name in ((TagList, "object_list"), (TagDetail, "object")):
            found = self.ask(view.as_view()).context_data[name]
            self.assertIn("a", str(found))

    def test_iterate_takes_its_querysets(self):
        async def main():
            await write("a")
            with count_hops() as hops:
                found = [tag.name async for tag in iterate(Tag.async_objects.all())]
            self.assertEqual((found, hops.count), (["a"], 0))

        self.run_async(main)
        self.assertFalse(connection.in_atomic_block)
