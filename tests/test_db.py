"""aatomic() and agather(): whose transaction, which connection, what is left."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import os
import threading
from unittest import mock, skipUnless

from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, call_command
from django.db import (
    DatabaseError,
    IntegrityError,
    close_old_connections,
    connection,
    connections,
    transaction,
)
from django.db.transaction import TransactionManagementError
from django.http import HttpResponse
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path

import tests.tenants.base  # noqa: F401 - of the ENGINE that is configured now
from django_async_cbv import db
from django_async_cbv.db import aatomic, agather
from django_async_cbv.sync import run_sync, wait_for
from django_async_cbv.views import AsyncListView
from tests.app.models import Loan, Tag
from tests.concurrency import (
    ServedTestCase,
    browser,
    forget_connections,
    own_threads_of_agather,
)
from tests.hops import count_hops

PATIENCE = 10  # seconds, until a deadlock is called one


class Failed(Exception):
    pass


async def write(name, using="default"):
    await Tag.objects.using(using).acreate(name=name)


async def names(using="default"):
    tags = Tag.objects.using(using).order_by("pk")
    return [tag.name async for tag in tags]


async def depth():
    return await run_sync(lambda: len(connection.savepoint_ids))


class request(contextlib.AbstractAsyncContextManager):  # noqa: N801 - it reads so
    """As Django's handler: a thread for all sync work, and at the end no connection."""

    async def __aenter__(self):
        self.context = ThreadSensitiveContext()
        await self.context.__aenter__()

    async def __aexit__(self, *error):
        await sync_to_async(forget_connections)()
        await self.context.__aexit__(*error)


def lose_connection():
    """Close it as the other end would: Django knows nothing of it."""
    connection.connection.close()


class TestInATestCase(TestCase):
    """What is the same wherever it runs, in the transaction of a test."""

    databases = {"default", "other"}

    async def test_it_commits(self):
        with count_hops() as hops:
            async with aatomic() as value:
                pass
        self.assertIsNone(value)
        self.assertEqual(hops.count, 2)
        async with aatomic():
            await write("a")
        self.assertEqual(await names(), ["a"])

    async def test_an_exception_rolls_back(self):
        with self.assertRaises(Failed) as caught:
            async with aatomic():
                await write("a")
                raise Failed
        self.assertIsNone(caught.exception.__context__)
        self.assertEqual(await names(), [])

    async def test_a_nested_block_is_a_savepoint(self):
        async with aatomic():
            await write("a")
            outer = await depth()
            with contextlib.suppress(Failed):
                async with aatomic():
                    self.assertEqual(await depth(), outer + 1)
                    await write("b")
                    raise Failed
            async with aatomic():
                await write("c")
        self.assertEqual(await names(), ["a", "c"])

    async def test_without_a_savepoint_the_outer_block_rolls_back(self):
        with self.assertRaises(TransactionManagementError):
            async with aatomic():
                await write("a")
                with contextlib.suppress(Failed):
                    async with aatomic(savepoint=False):
                        raise Failed
                await write("b")
        self.assertEqual(await names(), [])

    async def test_durable(self):
        async with aatomic(durable=True):
            await write("a")
        async with aatomic():
            with self.assertRaisesMessage(RuntimeError, "durable atomic block"):
                async with aatomic(durable=True):
                    self.fail()
            await write("b")
        self.assertEqual(await names(), ["a", "b"])

    async def test_each_database_by_itself(self):
        async with aatomic():
            await write("a")
            with contextlib.suppress(Failed):
                async with aatomic(using="other"):
                    await write("b", "other")
                    raise Failed
            async with aatomic("other"):
                await write("c", "other")
        self.assertEqual((await names(), await names("other")), (["a"], ["c"]))

    async def test_set_rollback(self):
        async with aatomic():
            await write("a")
            await run_sync(transaction.set_rollback, True)
        self.assertEqual(await names(), [])

    async def test_as_a_decorator(self):
        @aatomic
        async def plain(name, *, fails=False):
            """What it says."""
            await write(name)
            if fails:
                raise Failed
            return await depth()

        @aatomic("other", durable=True)
        async def other(name):
            await write(name, "other")

        self.assertEqual(plain.__doc__, "What it says.")
        inside = await plain("a")
        self.assertEqual(inside, await depth() + 1)
        with self.assertRaises(Failed):
            await plain("b", fails=True)
        await asyncio.gather(other("c"))
        self.assertEqual((await names(), await names("other")), (["a"], ["c"]))

    async def test_what_it_can_not_decorate(self):
        def sync():
            pass

        async def generator():
            yield

        for function in (sync, generator):
            for decorator in (aatomic, aatomic()):
                with self.assertRaisesMessage(TypeError, "is not a coroutine function"):
                    decorator(function)

    async def test_one_object_serves_many(self):
        atomic = aatomic()
        async with atomic:
            await write("a")
            with contextlib.suppress(Failed):
                async with atomic:
                    await write("b")
                    raise Failed
        async with atomic:
            await write("c")
        self.assertEqual(await names(), ["a", "c"])

    async def test_inside_of_a_sync_block(self):
        async def inner(name, *, fails):
            async with aatomic():
                await write(name)
                if fails:
                    raise Failed

        def outer(bridge, rolls_back):
            with transaction.atomic():
                Tag.objects.create(name="outer")
                with contextlib.suppress(Failed):
                    bridge("a", fails=True)
                bridge("b", fails=False)
                transaction.set_rollback(rolls_back)

        for bridge in (async_to_sync(inner), functools.partial(wait_for, inner)):
            for rolls_back, expected in ((True, []), (False, ["outer", "b"])):
                await run_sync(outer, bridge, rolls_back)
                self.assertEqual(await names(), expected)
            await Tag.objects.all().adelete()

    async def test_around_sync_blocks(self):
        def sync(name, *, fails=False):
            with transaction.atomic():
                Tag.objects.create(name=name)
                if fails:
                    raise Failed

        with contextlib.suppress(Failed):
            async with aatomic():
                await run_sync(sync, "a")
                raise Failed
        async with aatomic():
            await run_sync(sync, "b")
            with contextlib.suppress(Failed):
                await run_sync(sync, "c", fails=True)
        self.assertEqual(await names(), ["b"])

    async def test_in_sync_code_of_its_own_task(self):
        """The task waits for it meanwhile, so nothing interleaves."""

        async def inner():
            async with aatomic():
                await write("b")

        def sync():
            Tag.objects.create(name="a")
            async_to_sync(inner)()

        async with aatomic():
            await run_sync(sync)
        self.assertEqual(await names(), ["a", "b"])

    async def test_a_generator_that_is_closed_rolls_back(self):
        async def generator():
            async with aatomic():
                await write("a")
                yield

        items = generator()
        await anext(items)
        await items.aclose()
        self.assertEqual(await names(), [])
        async with aatomic():
            await write("b")
        self.assertEqual(await names(), ["b"])

    async def test_cancelled_in_the_block_it_rolls_back(self):
        inside = asyncio.Event()

        async def work():
            async with aatomic():
                await write("a")
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(await names(), [])

    async def test_an_error_of_the_database_in_the_block(self):
        await write("a")
        async with aatomic():
            with self.assertRaises(IntegrityError):
                async with aatomic():
                    await write("a")
            await write("b")
        self.assertEqual(await names(), ["a", "b"])


class TestTasks(TestCase):
    """A block belongs to the task that entered it."""

    async def test_tasks_begun_inside_take_part(self):
        with contextlib.suppress(Failed):
            async with aatomic():
                await asyncio.gather(write("a"), write("b"), write("c"))
                self.assertEqual(len(await names()), 3)
                raise Failed
        self.assertEqual(await names(), [])

    async def outsider(self, does):
        """A task that is begun before a block, and does something in it."""
        inside, done = asyncio.Event(), asyncio.Event()

        async def work():
            await inside.wait()
            try:
                await does()
            finally:
                done.set()

        task = asyncio.create_task(work())
        return inside, done, task

    async def test_a_query_of_a_task_begun_outside_is_refused(self):
        inside, done, task = await self.outsider(names)
        async with aatomic():
            await write("a")
            inside.set()
            await done.wait()
            await write("b")
        with self.assertRaisesMessage(
            TransactionManagementError, "its task started outside"
        ):
            await task
        self.assertEqual(await names(), ["a", "b"])

    async def test_what_it_would_save_spoils_the_block_aloud(self):
        inside, done, task = await self.outsider(lambda: write("stray"))
        with self.assertRaisesMessage(
            TransactionManagementError, "was rolled back, because a task from outside"
        ) as caught:
            async with aatomic():
                await write("a")
                inside.set()
                await done.wait()
        with self.assertRaisesMessage(
            TransactionManagementError, "its task started outside"
        ):
            await task
        self.assertIs(caught.exception.__cause__, task.exception())
        self.assertEqual(await names(), [])

    async def test_a_transaction_of_a_task_begun_outside_is_refused(self):
        async def nested():
            async with aatomic(savepoint=False):
                self.fail()

        inside, done, task = await self.outsider(nested)
        async with aatomic():
            await write("a")
            inside.set()
            await done.wait()
        with self.assertRaisesMessage(
            TransactionManagementError, "while another task has a block open"
        ):
            await task
        self.assertEqual(await names(), ["a"])

    async def test_of_two_at_once_one_is_refused(self):
        async def work(name):
            async with aatomic():
                await write(name)
                await asyncio.sleep(0)

        results = await asyncio.gather(work("a"), work("b"), return_exceptions=True)
        self.assertEqual([type(result) for result in results].count(type(None)), 1)
        self.assertEqual(
            [type(result) for result in results].count(TransactionManagementError), 1
        )
        self.assertEqual(len(await names()), 1)

    async def test_a_block_of_a_task_begun_inside_is_refused(self):
        async def nested():
            async with aatomic():
                self.fail()

        async with aatomic():
            await write("a")
            with self.assertRaisesMessage(
                TransactionManagementError, "started inside of another aatomic() block"
            ):
                await asyncio.create_task(nested())
        self.assertEqual(await names(), ["a"])

    async def test_a_task_that_outlives_its_block_is_free(self):
        go_on = asyncio.Event()

        async def work():
            await go_on.wait()
            async with aatomic():
                await write("later")

        async with aatomic():
            task = asyncio.create_task(work())
            await write("a")
        go_on.set()
        await task
        self.assertEqual(await names(), ["a", "later"])

    async def test_a_task_that_outlives_a_rollback_is_refused(self):
        go_on = asyncio.Event()

        async def sibling():
            await go_on.wait()
            await names()

        async def fails():
            raise Failed

        async with aatomic():
            with contextlib.suppress(Failed):
                async with aatomic():
                    task = asyncio.create_task(sibling())
                    await asyncio.gather(fails(), task)
            go_on.set()
            with self.assertRaisesMessage(
                TransactionManagementError, "that was rolled back"
            ):
                await task
            await write("a")
        self.assertEqual(await names(), ["a"])
        # However many are rolled back, one wrapper looks out for them.
        for _ in range(10):
            with contextlib.suppress(Failed):
                async with aatomic():
                    raise Failed
        wrappers = await run_sync(lambda: connection.execute_wrappers)
        self.assertEqual(len(wrappers), 1)

    async def test_a_block_of_a_task_that_is_over(self):
        """As enterAsyncContext() of a test case's setup leaves one open."""
        atomic = aatomic()
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        await loop.create_task(atomic.__aenter__(), context=context)

        async def work():
            async with aatomic():
                await write("a")

        await loop.create_task(work(), context=context)
        leaving = atomic.__aexit__(None, None, None)
        await loop.create_task(leaving, context=context)
        self.assertEqual(await names(), ["a"])

    async def test_it_is_not_left_by_who_has_not_entered_it(self):
        atomic = aatomic()
        with self.assertRaisesMessage(RuntimeError, "had not entered it"):
            await atomic.__aexit__(None, None, None)

    async def test_a_task_begun_between_two_blocks_is_outside_of_the_inner_one(self):
        inside, done = asyncio.Event(), asyncio.Event()

        async def work():
            await write("b")
            await inside.wait()
            try:
                await names()
            finally:
                done.set()

        async with aatomic():
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            async with aatomic():
                inside.set()
                await done.wait()
        with self.assertRaises(TransactionManagementError):
            await task


class TestOnItsOwn(ServedTestCase):
    """Without a request around: it brings a thread and connections, and closes them."""

    async def opened(self):
        """What connections the threads that are not this test's have."""
        return await run_sync(
            lambda: [one.alias for one in connections.all() if one.connection]
        )

    async def test_it_has_a_thread_of_its_own(self):
        outside = await run_sync(threading.get_ident)
        async with aatomic():
            inside = await run_sync(threading.get_ident)
            async with aatomic():
                self.assertEqual(await run_sync(threading.get_ident), inside)
        self.assertNotEqual(outside, inside)
        self.assertEqual(await run_sync(threading.get_ident), outside)

    async def test_its_connections_are_closed(self):
        async with aatomic():
            await write("a")
            wrapper = await run_sync(lambda: connections["default"])
            self.assertIsNotNone(wrapper.connection)
        self.assertIsNone(wrapper.connection)
        self.assertEqual(await names(), ["a"])

    async def test_it_is_left_when_it_can_not_be_entered(self):
        before = threading.active_count()
        with (
            mock.patch.object(transaction.Atomic, "__enter__", side_effect=Failed),
            self.assertRaises(Failed),
        ):
            async with aatomic():
                self.fail()
        self.assertLessEqual(threading.active_count(), before + 1)
        async with aatomic():
            await write("a")
        self.assertEqual(await names(), ["a"])

    async def test_several_at_once_are_several_transactions(self):
        both = asyncio.Barrier(2)

        async def work(name, error):
            async with aatomic():
                # To SQLite only one can write at a time, but both can be open.
                found = await names()
                await both.wait()
                if error:
                    raise error
                return found

        with mock.patch.dict(
            connections.settings["default"]["OPTIONS"]
            if connection.vendor == "sqlite"
            else {},
            {"transaction_mode": "DEFERRED"} if connection.vendor == "sqlite" else {},
        ):
            results = await asyncio.gather(
                work("a", None), work("b", Failed()), return_exceptions=True
            )
        self.assertEqual(results[0], [])
        self.assertIsInstance(results[1], Failed)

    async def outlive(self, block):
        """A block goes on after its request; what is left, and what is raised."""
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def transfer():
            async with block():
                await write("debit")
                inside.set()
                await go_on.wait()
                await write("credit")

        async with ThreadSensitiveContext():
            task = asyncio.create_task(transfer())
            await inside.wait()
            wrapper = await run_sync(lambda: connections["default"])
        # As the collector does, its thread being gone.
        await asyncio.to_thread(wrapper.connection.close)
        go_on.set()
        await asyncio.wait([task])
        return task.exception(), await names()

    async def test_a_block_that_outlives_its_request_is_lost_whole(self):
        error, left = await self.outlive(aatomic)
        self.assertIsInstance(error, TransactionManagementError)
        self.assertIn("outlived its request", str(error))
        self.assertEqual(left, [])

    async def test_left_in_another_task(self):
        before = await run_sync(threading.get_ident)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(aatomic())
            await write("a")
            await asyncio.create_task(stack.aclose())
        self.assertEqual(await names(), ["a"])
        async with aatomic():
            await write("b")
            inside = await run_sync(threading.get_ident)
        self.assertNotEqual(inside, before)
        self.assertEqual(await names(), ["a", "b"])

    @skipUnless(connection.vendor == "postgresql", "SQLite: has one writer at a time")
    async def test_a_finalizer_leaves_no_block_of_another_task(self):
        shared = aatomic()
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def generator():
            async with shared:
                yield

        async def abandoning():
            items = generator()
            await anext(items)

        async def transfer():
            async with shared:
                await write("debit")
                inside.set()
                await go_on.wait()
                await write("credit")

        task = asyncio.create_task(transfer())
        await inside.wait()
        await asyncio.create_task(abandoning())
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)
        go_on.set()
        await task
        self.assertEqual(await names(), ["debit", "credit"])

    async def test_an_abandoned_generator_rolls_back(self):
        async def generator():
            async with aatomic():
                await write("a")
                yield await run_sync(lambda: connections["default"])

        held = [generator()]
        wrapper = await anext(held[0])
        tasks = asyncio.all_tasks()
        # As the garbage collector does, while who knows what runs.
        contextvars.Context().run(held.clear)
        gc.collect()
        await asyncio.sleep(0)
        closing = asyncio.all_tasks() - tasks
        self.assertEqual(len(closing), 1)
        await asyncio.wait(closing, timeout=PATIENCE)
        self.assertIsNone(wrapper.connection)
        self.assertEqual(await names(), [])

    def test_in_a_management_command(self):
        class Command(BaseCommand):
            def handle(self, **options):
                with contextlib.suppress(Failed):
                    async_to_sync(self.work)("a", fails=True)
                asyncio.run(self.work("b", fails=False))
                async_to_sync(self.work)("c", fails=False)

            async def work(self, name, *, fails):
                async with aatomic():
                    await write(name)
                    if fails:
                        raise Failed

        call_command(Command())
        self.assertEqual(async_to_sync(names)(), ["b", "c"])

    async def test_on_commit(self):
        done = []

        def remember(what):
            transaction.on_commit(
                lambda: done.append((what, connection.in_atomic_block))
            )

        async with request():
            async with aatomic():
                await run_sync(remember, "outer")
                with contextlib.suppress(Failed):
                    async with aatomic():
                        await run_sync(remember, "rolled back")
                        raise Failed
                async with aatomic():
                    await run_sync(remember, "inner")
                await run_sync(remember, "last")
                self.assertEqual(done, [])
            self.assertEqual(
                done, [("outer", False), ("inner", False), ("last", False)]
            )
            done.clear()
            with contextlib.suppress(Failed):
                async with aatomic():
                    await run_sync(remember, "never")
                    raise Failed
            self.assertEqual(done, [])

    async def test_what_on_commit_raises_comes_out_and_the_commit_stands(self):
        def fails():
            raise Failed

        async with request():
            with self.assertRaises(Failed):
                async with aatomic():
                    await write("a")
                    await run_sync(transaction.on_commit, fails)
            self.assertEqual(await names(), ["a"])
            async with aatomic():
                await write("b")
            self.assertEqual(await names(), ["a", "b"])

    async def test_an_async_block_in_a_callback(self):
        async def later():
            async with aatomic():
                await write("b")

        async with request():
            async with aatomic():
                await write("a")
                await run_sync(transaction.on_commit, async_to_sync(later))
            self.assertEqual(await names(), ["a", "b"])

    async def test_an_error_in_the_commit(self):
        """A constraint that is looked at only then."""
        async with request():
            with self.assertRaises(IntegrityError):
                async with aatomic():
                    await write("a")
                    await Loan.objects.acreate(book_id=404, reader="nobody")
            self.assertEqual(await names(), [])
            async with aatomic():
                await write("b")
            self.assertEqual(await names(), ["b"])

    async def hold(self, method):
        """Hold a method of this request's connection; say when it has begun."""
        begun, let_go = threading.Event(), threading.Event()

        def held(original):
            def call(*args):
                begun.set()
                if not let_go.wait(PATIENCE):
                    raise TimeoutError
                return original(*args)

            return call

        def patch():
            wrapper = connections["default"]
            patched = mock.patch.object(wrapper, method, held(getattr(wrapper, method)))
            patched.start()
            return patched

        return await run_sync(patch), begun, let_go

    async def test_cancelled_in_the_commit_it_is_committed(self):
        async with request():
            patched, begun, let_go = await self.hold("commit")

            async def work():
                async with aatomic():
                    await write("a")

            task = asyncio.create_task(work())
            await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            await asyncio.sleep(0)
            self.assertFalse(task.done())
            let_go.set()
            with self.assertRaises(asyncio.CancelledError):
                await task
            patched.stop()
            self.assertEqual(await names(), ["a"])
            self.assertFalse(await run_sync(lambda: connection.in_atomic_block))

    async def test_cancelled_in_the_begin_it_is_rolled_back(self):
        async with request():
            patched, begun, let_go = await self.hold("set_autocommit")

            async def work():
                async with aatomic():
                    self.fail("It was cancelled.")

            task = asyncio.create_task(work())
            await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            await asyncio.sleep(0)
            let_go.set()
            with self.assertRaises(asyncio.CancelledError):
                await task
            patched.stop()
            self.assertFalse(await run_sync(lambda: connection.in_atomic_block))
            self.assertEqual(await run_sync(lambda: connection.execute_wrappers), [])

    async def test_a_lost_connection_is_told_and_forgotten(self):
        async with request():
            with self.assertRaises(DatabaseError):
                async with aatomic():
                    await write("a")
                    await run_sync(lose_connection)
                    await write("b")
            await run_sync(close_old_connections)
            async with aatomic():
                await write("c")
            self.assertEqual(await names(), ["c"])


async def writing(request, name):
    async with aatomic():
        await write(name)
        if name == "fails":
            raise Failed
    return HttpResponse(name)


urlpatterns = [path("<name>/", writing)]


@override_settings(ROOT_URLCONF=__name__)
class TestUnderBothHandlers(TransactionTestCase):
    def test_wsgi(self):
        with self.assertRaises(Failed):
            self.client.get("/fails/")
        self.client.get("/a/")
        self.assertEqual([tag.name for tag in Tag.objects.all()], ["a"])

    async def test_asgi(self):
        with self.assertRaises(Failed):
            await self.async_client.get("/fails/")
        await self.async_client.get("/a/")
        self.assertEqual(await names(), ["a"])


class TestGather(ServedTestCase):
    def setUp(self):
        Tag.objects.bulk_create(Tag(name=name) for name in "abc")

    async def test_results_in_order(self):
        results = await agather(
            Tag.objects.filter(name="a"),
            Tag.objects.count,
            lambda: Tag.objects.exclude(name="a"),
            lambda: 4,
        )
        self.assertEqual([[tag.name for tag in results[0]], results[1]], [["a"], 3])
        self.assertEqual([tag.name for tag in results[2]], ["b", "c"])
        self.assertIsInstance(results[2], list)
        self.assertEqual(results[3], 4)
        self.assertEqual(await agather(), [])

    async def test_they_run_at_once(self):
        barrier = threading.Barrier(4, timeout=PATIENCE)
        threads = await agather(
            *[lambda: (barrier.wait(), threading.get_ident())[1] for _ in range(4)]
        )
        self.assertEqual(len(set(threads)), 4)

    async def test_no_more_than_the_limit_run_for_all_callers(self):
        running, most, lock = 0, 0, threading.Lock()

        def job():
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            Tag.objects.count()
            with lock:
                running -= 1
            return threading.get_ident()

        found = await asyncio.gather(*[agather(job, job, limit=3) for _ in range(30)])
        self.assertLessEqual(most, 3)
        self.assertLessEqual(len({thread for pair in found for thread in pair}), 3)

    async def test_hops(self):
        with count_hops() as hops:
            await agather(int, int, int)
        self.assertEqual(hops.count, 4)

    async def test_connections_are_closed_or_kept(self):
        for age, closed in ((0, True), (None, False), (600, False)):
            wrappers = []

            def job(wrappers=wrappers):
                Tag.objects.count()
                wrappers.append(connections["default"])

            settings = {**connections.settings["default"], "CONN_MAX_AGE": age}
            with (
                mock.patch.dict(connections.settings, {"default": settings}),
                # Threads that have made their connection before keep its settings.
                mock.patch.dict(db._pools, clear=True),
            ):
                await agather(job, limit=1)
                self.assertEqual(wrappers[0].connection is None, closed, age)
                await agather(forget_connections, limit=1)
                await asyncio.to_thread(db._pools[1, False].shutdown)

    async def test_the_first_error_is_raised_and_what_has_not_begun_never_does(self):
        begun, let_go = threading.Event(), threading.Event()
        calls = []

        def fails():
            raise Failed

        def waits():
            begun.set()
            let_go.wait(PATIENCE)

        with mock.patch.dict(db._pools, clear=True):
            # The second thread is held, the first one fails.
            with self.assertRaises(Failed):
                await agather(
                    waits,
                    lambda: (begun.wait(PATIENCE), fails()),
                    *[lambda: (let_go.wait(PATIENCE), calls.append(1))] * 9,
                    limit=2,
                )
            let_go.set()
            await asyncio.to_thread(db._pools[2, False].shutdown)
        self.assertLessEqual(len(calls), 1)

    async def test_errors_among_the_results(self):
        def fails():
            raise Failed

        results = await agather(int, fails, str, return_exceptions=True)
        self.assertEqual((results[0], results[2]), (0, ""))
        self.assertIsInstance(results[1], Failed)

    async def test_cancelled(self):
        begun, let_go = threading.Event(), threading.Event()
        calls = []

        def waits():
            begun.set()
            let_go.wait(PATIENCE)
            Tag.objects.count()

        with mock.patch.dict(db._pools, clear=True):
            task = asyncio.create_task(agather(waits, lambda: calls.append(1), limit=1))
            await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            let_go.set()
            self.assertEqual(await agather(Tag.objects.count, limit=1), [3])
            await asyncio.to_thread(db._pools[1, False].shutdown)
        self.assertEqual(calls, [])

    async def test_what_it_refuses(self):
        async def query():
            pass

        with self.assertRaisesMessage(TypeError, "agather(manager.all())"):
            await agather(Tag.objects)
        for one in (query, 1, query()):
            with self.assertRaisesMessage(TypeError, "QuerySets and sync functions"):
                await agather(one)
            if asyncio.iscoroutine(one):
                one.close()
        with self.assertRaisesMessage(TypeError, "QuerySets and sync functions"):
            await agather(functools.partial(Tag.objects.acount))
        for many in (
            [Tag.objects.all(), Tag.objects.count],
            (Tag.objects.count,),
            {Tag.objects.count},
            {"tags": Tag.objects.count}.values(),
            (query for query in [Tag.objects.count]),
            map(functools.partial, [Tag.objects.count]),
        ):
            with self.assertRaisesMessage(TypeError, "Unpack it: `agather(*queries)`."):
                await agather(many)
            with self.assertRaisesMessage(TypeError, f"got a {type(many).__name__}, "):
                await agather(Tag.objects.count, many)
        for one in ("tags", b"tags", {"tags": Tag.objects.count}):
            with self.assertRaisesMessage(TypeError, "QuerySets and sync functions"):
                await agather(one)
        with self.assertRaisesMessage(ValueError, "Pass 1 or more"):
            await agather(int, limit=0)
        with self.assertRaisesMessage(ValueError, 'Pass "error" or "serial"'):
            await agather(int, in_transaction="never")

    async def test_context_variables_reach_them(self):
        variable = contextvars.ContextVar("variable", default=0)
        variable.set(1)
        self.assertEqual(await agather(variable.get), [1])

    def test_after_a_fork_there_are_new_threads(self):
        async def gather():
            # asgiref's one thread without a request does not survive a fork either.
            async with ThreadSensitiveContext(), asyncio.timeout(PATIENCE):
                return await agather(lambda: 7)

        asyncio.run(gather())
        read, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write_end, str(asyncio.run(gather())).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write_end)
        self.assertEqual(os.read(read, 100), b"[7]")
        os.close(read)


class TestGatherTenants(ServedTestCase):
    """Connections that lack what the request's has must not read in its place."""

    def setUp(self):
        Tag.objects.bulk_create(Tag(name=name) for name in "abc")
        self.enterContext(own_threads_of_agather())

    def queries(self):
        return (
            Tag.objects.all(),
            Tag.objects.count,
            lambda: Tag.objects.filter(name="a"),
            lambda: Tag.objects.update(name="b"),
            self.catches,
        )

    def catches(self):
        with contextlib.suppress(Exception):
            return Tag.objects.count()

    async def expect_refused(self, lacks):
        for query in self.queries():
            for options in ({}, {"return_exceptions": True}):
                with self.assertRaisesMessage(ImproperlyConfigured, lacks):
                    await agather(query, **options)
        await run_sync(self.assertEqual, set("abc"), await run_sync(self.names))

    def names(self):
        return {tag.name for tag in Tag.objects.all()}

    def engine(self, name):
        settings = {**connections.settings["default"], "ENGINE": name}
        return mock.patch.dict(connections.settings, {"default": settings})

    async def test_an_engine_that_is_not_djangos(self):
        with self.engine("tests.tenants"):
            await self.expect_refused("lacks what the ENGINE 'tests.tenants' keeps")
            # What does not query needs no database.
            self.assertEqual(await agather(int), [0])
            tenants = []

            def set_tenant(connection):
                if connection.alias == "default":
                    connection.set_tenant("acme")

            def tenant():
                tenants.append(connections["default"].tenant)
                return Tag.objects.count()

            found = await agather(tenant, Tag.objects.count, prepare=set_tenant)
            self.assertEqual((found, tenants), ([3, 3], ["acme"]))

    async def test_execute_wrappers_of_the_request(self):
        def wrapper(execute, sql, params, many, context):
            return execute(sql, params, many, context)

        def install():
            connections["default"].execute_wrappers.append(wrapper)

        def remove():
            connections["default"].execute_wrappers.remove(wrapper)

        await run_sync(install)
        try:
            await self.expect_refused("lacks the execute_wrappers of the request's")
            found = await agather(Tag.objects.count, prepare=lambda connection: None)
        finally:
            await run_sync(remove)
        self.assertEqual(found, [3])
        self.assertEqual(await agather(Tag.objects.count), [3])

    async def test_blocks_that_are_over_do_not_count(self):
        async with aatomic():
            await Tag.objects.acount()
        with contextlib.suppress(Failed):
            async with aatomic():
                raise Failed
        self.assertEqual(await agather(Tag.objects.count), [3])

    async def test_prepare_is_called_before_each_query(self):
        calls = []

        def prepare(connection):
            calls.append((connection.alias, threading.get_ident()))

        with mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=None):
            with count_hops() as hops:
                threads = await agather(
                    *[threading.get_ident] * 3, prepare=prepare, limit=1
                )
            self.assertEqual(hops.count, 4)
            expected = [(alias, threads[0]) for _ in range(3) for alias in connections]
            self.assertEqual(calls, expected)
            # No other query comes to the connections that it has prepared.
            (other,) = await agather(threading.get_ident, limit=1)
            self.assertNotIn(other, threads)
            self.assertEqual(len(calls), len(expected))

    async def test_a_transaction_that_a_query_does_not_end_is_lost_alone(self):
        def write():
            Tag.objects.create(name="lost")

        def left_open():
            transaction.atomic().__enter__()
            write()

        def prepare_open(connection):
            if connection.alias == "default":
                transaction.atomic().__enter__()

        for query, prepare in ((left_open, None), (write, prepare_open)):
            with self.assertRaisesMessage(
                TransactionManagementError, "opened a transaction on 'default'"
            ):
                await agather(query, prepare=prepare, limit=1)
            sane = prepare and (lambda connection: None)
            self.assertEqual(
                await agather(Tag.objects.count, prepare=sane, limit=1), [3]
            )

    async def test_an_error_of_prepare(self):
        calls = []

        def prepare(connection):
            raise Failed

        with self.assertRaises(Failed):
            await agather(lambda: calls.append(1), prepare=prepare)
        (error,) = await agather(
            lambda: calls.append(1), prepare=prepare, return_exceptions=True
        )
        self.assertIsInstance(error, Failed)
        self.assertEqual(calls, [])

    async def test_an_async_prepare_is_refused(self):
        async def prepare(connection):
            pass

        def gives_a_coroutine(connection):
            return prepare(connection)

        for function in (prepare, gives_a_coroutine):
            with self.assertRaisesMessage(TypeError, "Pass a sync function"):
                await agather(int, prepare=function)


class Reports(AsyncListView):
    """Begins a count behind a generated sync method, and awaits it in the handler."""

    model = Tag

    async def aget_queryset(self):
        self.sign = asyncio.Event()
        self.task = asyncio.create_task(self.count())
        return Tag.objects.all()

    async def count(self):
        await self.sign.wait()
        return (
            await Tag.objects.acount(),
            await run_sync(threading.get_ident),
            await run_sync(lambda: connection.in_atomic_block),
        )

    def get_context_data(self, **kwargs):
        self.thread = threading.get_ident()
        self.object_list = self.get_queryset()
        return super().get_context_data(**kwargs)

    async def get(self, request):
        await run_sync(self.get_context_data)
        self.sign.set()
        return self.answer(*await self.task)

    def answer(self, count, thread, in_block):
        return HttpResponse(f"{count} {thread == self.thread} {in_block}")


class BlockedReports(Reports):
    """Opens a block of which the task does not know, and waits inside of it."""

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        with transaction.atomic():
            wait_for(self.give_it_time)
        return context

    async def give_it_time(self):
        self.sign.set()
        # It submits its work in its next step, so before this one goes on.
        for _ in range(3):
            await asyncio.sleep(0)
        assert not self.task.done()


urlpatterns = [
    path("reports/", Reports.as_view()),
    path("blocked/", BlockedReports.as_view()),
    *urlpatterns,
]


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[])
class TestWhatOutlivesAHook(ServedTestCase):
    """A task that an async hook begins, behind a sync override of a sync method."""

    def setUp(self):
        Tag.objects.bulk_create(Tag(name=name) for name in "abc")

    async def test_under_asgi(self):
        async with asyncio.timeout(PATIENCE), browser() as client:
            for url in ("/reports/", "/blocked/"):
                response = await client.get(url)
                self.assertEqual(response.text, "3 True False")

    def test_under_wsgi(self):
        self.assertEqual(self.client.get("/reports/").content, b"3 True False")
        self.assertEqual(self.client.get("/blocked/").content, b"3 True False")

    async def test_a_transaction_without_a_request(self):
        """Its block brings a thread of its own, as that of any other task."""

        async def begin():
            return asyncio.create_task(waits())

        async def waits():
            await sign.wait()
            async with aatomic():
                return await run_sync(threading.get_ident)

        sign = asyncio.Event()
        task = await run_sync(wait_for, begin)
        sign.set()
        self.assertNotEqual(await task, await run_sync(threading.get_ident))


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[])
class TestWhatOutlivesAHookInATestCase(TestCase):
    async def test_it_sees_the_tests_transaction(self):
        await Tag.objects.acreate(name="a")
        response = await self.async_client.get("/reports/")
        self.assertEqual(response.content, b"1 True True")

    def test_with_the_sync_client(self):
        Tag.objects.create(name="a")
        response = self.client.get("/reports/")
        self.assertEqual(response.content, b"1 True True")


@skipUnless(connection.vendor == "postgresql", "SQLite: has no such state")
class TestGatherSessions(ServedTestCase):
    """Tenants that are a search_path, a role or a row-level policy of PostgreSQL."""

    setUp = TestGatherTenants.setUp

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Here, since roles and schemas outlive the rows of a test.
        cls.execute(
            "CREATE SCHEMA tenant",
            "CREATE TABLE tenant.app_tag (LIKE public.app_tag INCLUDING ALL)",
            "INSERT INTO tenant.app_tag (id, name) VALUES (1, 'theirs')",
            "CREATE ROLE tenant_role",
            "GRANT SELECT ON public.app_tag TO tenant_role",
        )
        cls.addClassCleanup(
            cls.execute,
            "DROP SCHEMA tenant CASCADE",
            "DROP OWNED BY tenant_role",
            "DROP ROLE tenant_role",
        )

    @staticmethod
    def execute(*statements):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    async def test_a_search_path(self):
        await run_sync(self.execute, "SET search_path TO tenant")
        self.assertEqual(await run_sync(Tag.objects.count), 1)
        for query in (Tag.objects.all(), Tag.objects.count):
            with self.assertRaisesMessage(
                ImproperlyConfigured, "lacks the search_path"
            ):
                await agather(query)

        def prepare(connection):
            if connection.alias == "default":
                with connection.cursor() as cursor:
                    cursor.execute("SET search_path TO tenant")

        self.assertEqual(await agather(Tag.objects.count, prepare=prepare), [1])
        await run_sync(self.execute, "RESET search_path")
        self.assertEqual(await agather(Tag.objects.count), [3])

    async def test_what_a_query_left_on_a_kept_connection(self):
        with mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=None):
            await run_sync(Tag.objects.count)

            def leaves():
                self.execute("SET search_path TO tenant")

            await agather(leaves, limit=1)
            with self.assertRaisesMessage(
                ImproperlyConfigured, "lacks the search_path"
            ):
                await agather(Tag.objects.count, limit=1)

    async def test_a_role(self):
        await run_sync(self.execute, "SET ROLE tenant_role")
        with self.assertRaisesMessage(ImproperlyConfigured, "lacks the search_path or"):
            await agather(Tag.objects.count)
        await run_sync(self.execute, "RESET ROLE")
        self.assertEqual(await agather(Tag.objects.count), [3])

    async def test_row_level_security(self):
        """What a policy asks for (a setting of one's own) can't be listed."""
        await run_sync(
            self.execute,
            "ALTER TABLE public.app_tag ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON public.app_tag"
            " USING (name = current_setting('app.tenant', true))",
        )
        try:
            # The policies are not for those who may see all.
            self.assertEqual(await agather(Tag.objects.count), [3])
            await run_sync(
                self.execute, "SET ROLE tenant_role", "SET app.tenant TO 'a'"
            )
            self.assertEqual(await run_sync(Tag.objects.count), 1)
            with self.assertRaisesMessage(ImproperlyConfigured, "row-level security"):
                await agather(Tag.objects.count)

            def prepare(connection):
                if connection.alias == "default":
                    self.execute("SET ROLE tenant_role", "SET app.tenant TO 'b'")
                    self.execute("SET app.tenant TO 'a'")

            found = await agather(
                lambda: list(Tag.objects.values_list("name", flat=True)),
                prepare=prepare,
            )
            self.assertEqual(found, [["a"]])
        finally:
            await run_sync(
                self.execute,
                "RESET ROLE",
                "DROP POLICY own ON public.app_tag",
                "ALTER TABLE public.app_tag DISABLE ROW LEVEL SECURITY",
            )

    async def test_a_connection_that_the_server_has_closed(self):
        await run_sync(Tag.objects.count)
        pid = await run_sync(lambda: connection.connection.info.backend_pid)
        await agather(
            lambda: self.execute(f"SELECT pg_terminate_backend({pid})"),
            prepare=lambda connection: None,
        )
        self.assertEqual(await agather(Tag.objects.count), [3])

    async def test_what_it_asks_is_none_of_the_users_queries(self):
        def captured(function):
            with CaptureQueriesContext(connection) as queries:
                function()
            return len(queries)

        await run_sync(Tag.objects.count)
        self.assertEqual(await run_sync(captured, async_to_sync(self.count_two)), 0)

    async def count_two(self):
        await agather(Tag.objects.count, Tag.objects.count)


class TestGatherInATransaction(TestCase):
    async def test_it_is_refused(self):
        await write("a")
        with self.assertRaisesMessage(TransactionManagementError, "serial"):
            await agather(Tag.objects.all())
        async with aatomic():
            with self.assertRaisesMessage(TransactionManagementError, "can't see"):
                await agather(Tag.objects.all())

    async def test_serial(self):
        await write("a")
        with count_hops() as hops:
            results = await agather(
                Tag.objects.all(), Tag.objects.count, in_transaction="serial"
            )
        self.assertEqual([[tag.name for tag in results[0]], results[1]], [["a"], 1])
        self.assertEqual(hops.count, 2)

    async def test_serial_errors(self):
        await write("a")

        def fails():
            Tag.objects.create(name="a")

        with self.assertRaises(IntegrityError):
            async with aatomic():
                await agather(fails, in_transaction="serial")
        results = await agather(
            fails,
            Tag.objects.count,
            in_transaction="serial",
            return_exceptions=True,
        )
        self.assertIsInstance(results[0], IntegrityError)
        self.assertEqual(results[1], 1)
