"""Streams on Django's handler have no thread and no connection while they wait."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections, transaction
from django.test import TestCase, override_settings
from django.urls import path

from django_async_cbv.asgi import get_asgi_application, hold_worker
from django_async_cbv.core import resting
from django_async_cbv.core.resting import RestingExecutor, resting_executor
from django_async_cbv.db import aatomic
from django_async_cbv.sync import iterate, run_sync, to_async
from django_async_cbv.views.streaming import AsyncStreamView, LongPollView, Polled
from tests.app.models import Tag
from tests.concurrency import ServedTestCase
from tests.serve.driving import Client

SECONDS = 10
SOON = 0.01


def query():
    """The thread of a query, and its connection."""
    Tag.objects.count()
    return threading.current_thread(), connections["default"]


async def gone(thread):
    await asyncio.to_thread(thread.join, SECONDS)
    return not thread.is_alive()


class Request:
    """A view's work, in a context as Django's handler makes it."""

    def __init__(self, pause=SOON):
        self.context = ThreadSensitiveContext()
        self.pause = mock.patch.object(resting, "PAUSE", pause)

    async def __aenter__(self):
        self.pause.start()
        await self.context.__aenter__()
        return resting_executor()

    async def __aexit__(self, *details):
        await self.context.__aexit__(*details)
        self.pause.stop()


class RestingTests(ServedTestCase):
    async def test_rest(self):
        async with Request() as executor:
            thread, connection = await run_sync(query)
            self.assertIsNotNone(connection.connection)
            executor.rest()
            self.assertTrue(await gone(thread))
            self.assertIsNone(connection.connection)
            self.assertFalse(executor.has_thread)

    async def test_nothing_keeps_a_thread_that_has_ended(self):
        """Each of thousands of streams would keep the object of its last thread."""
        async with Request() as executor:
            thread, _ = await run_sync(query)
            executor.rest()
            self.assertTrue(await gone(thread))
            freed = asyncio.Event()
            tell = asyncio.get_running_loop().call_soon_threadsafe
            weakref.finalize(thread, tell, freed.set)
            del thread
            gc.collect()
            # Whoever has joined it, in a thread too, lets it go in a moment.
            async with asyncio.timeout(SECONDS):
                await freed.wait()

    async def test_a_thread_from_before(self):
        """That of the middleware is taken over."""
        async with ThreadSensitiveContext():
            thread, connection = await sync_to_async(query)()
            resting_executor().rest()
            self.assertTrue(await gone(thread))
            self.assertIsNone(connection.connection)

    async def test_the_next_hop_begins_another_which_ends_after_a_pause(self):
        async with Request() as executor:
            executor.rest()
            threads = []
            for _ in range(3):
                thread, connection = await run_sync(query)
                self.assertTrue(await gone(thread))
                self.assertIsNone(connection.connection)
                threads.append(thread)
            self.assertEqual(len(set(threads)), 3)

    async def test_hops_one_after_the_other_share_a_thread(self):
        async with Request(pause=SECONDS) as executor:
            executor.rest()
            threads = {(await run_sync(query))[0] for _ in range(5)}
            self.assertEqual(len(threads), 1)

    async def stays(self, executor, thread, connection):
        """Whether a thread outlives rests, and its connection."""
        for _ in range(3):
            executor.rest()
            await asyncio.sleep(2 * SOON)
        return thread.is_alive() and connection.connection is not None

    async def test_a_transaction_keeps_it(self):
        async with Request() as executor:
            executor.rest()
            async with aatomic():
                thread, connection = await run_sync(query)
                self.assertTrue(await self.stays(executor, thread, connection))
            self.assertTrue(await gone(thread))
            self.assertIsNone(connection.connection)

    async def test_a_transaction_of_sync_code_keeps_it(self):
        async with Request() as executor:
            executor.rest()
            block = transaction.atomic()
            await run_sync(block.__enter__)
            thread, connection = await run_sync(query)
            self.assertTrue(await self.stays(executor, thread, connection))
            await run_sync(block.__exit__, None, None, None)
            self.assertTrue(await gone(thread))

    async def test_an_iteration_keeps_it(self):
        await sync_to_async(Tag.objects.create)(name="a")
        await sync_to_async(Tag.objects.create)(name="b")

        def generator():
            yield query()
            yield None

        for iterable in (Tag.objects.all(), generator()):
            async with Request() as executor:
                executor.rest()
                async with contextlib.aclosing(iterate(iterable, 1)) as items:
                    await anext(items)
                    thread, connection = await run_sync(query)
                    self.assertTrue(await self.stays(executor, thread, connection))
                self.assertTrue(await gone(thread))
                self.assertIsNone(connection.connection)

    async def test_a_cursor_keeps_it(self):
        await sync_to_async(Tag.objects.bulk_create)(
            [Tag(name=f"{number}") for number in range(5)]
        )
        async with Request() as executor:
            executor.rest()

            def begin():
                rows = Tag.objects.iterator(chunk_size=1)
                next(rows)
                return rows, *query()

            rows, thread, connection = await run_sync(begin)
            self.assertTrue(await self.stays(executor, thread, connection))
            await run_sync(rows.close)
            del rows
            self.assertTrue(await gone(thread))

    async def test_a_context_manager_keeps_it(self):
        @to_async
        @contextlib.contextmanager
        def entered():
            yield query()

        async with Request() as executor:
            executor.rest()
            async with entered() as (thread, connection):
                self.assertTrue(await self.stays(executor, thread, connection))
            self.assertTrue(await gone(thread))

    async def test_hold_worker_keeps_it(self):
        async with Request() as executor:
            executor.rest()
            async with hold_worker():
                thread, connection = await run_sync(query)
                self.assertTrue(await self.stays(executor, thread, connection))
            self.assertTrue(await gone(thread))

    async def test_a_hop_that_runs_keeps_it(self):
        started, ends = threading.Event(), threading.Event()

        def work():
            thread = query()
            started.set()
            ends.wait(SECONDS)
            return thread

        async with Request() as executor:
            executor.rest()
            task = asyncio.create_task(run_sync(work))
            await asyncio.to_thread(started.wait, SECONDS)
            executor.rest()
            ends.set()
            thread, connection = await task
            self.assertTrue(await gone(thread))
            self.assertIsNone(connection.connection)

    async def test_the_end_of_the_request_closes_connections(self):
        for age in (0, 600):
            with mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=age):
                async with Request(pause=SECONDS) as executor:
                    executor.rest()
                    thread, connection = await run_sync(query)
                self.assertTrue(await gone(thread))
                self.assertIsNone(connection.connection)

    async def test_executors_of_others_are_left(self):
        self.assertIsNone(resting_executor())

        with ThreadPoolExecutor(1) as own:
            try:
                context = ThreadSensitiveContext(executor=own)
            except TypeError:
                self.skipTest("asgiref takes no executor.")
            async with context:
                self.assertIsNone(resting_executor())

    async def test_a_hop_from_its_own_thread_is_refused(self):
        async with Request() as executor:
            executor.rest()

            def begin_a_loop():
                async def main():
                    return await run_sync(query)

                return asyncio.run(main())

            with self.assertRaisesMessage(
                RuntimeError, "would wait for its own thread"
            ):
                await run_sync(begin_a_loop)


class InATestTests(TestCase):
    async def test_nothing_is_closed(self):
        self.assertIsNone(resting_executor())
        await Tag.objects.acreate(name="kept")
        self.assertEqual(await Tag.objects.acount(), 1)


class View(AsyncStreamView):
    async def prepare(self):
        type(self).found = [await run_sync(query)]

    async def stream(self):
        yield "first"
        await self.goes_on.wait()
        type(self).found.append(await run_sync(query))
        yield "second"
        await self.ends.wait()


class Poll(LongPollView):
    async def prepare(self):
        type(self).found = [await run_sync(query)]
        self.polls.set()

    async def poll(self, since):
        await self.ends.wait()
        return Polled([])


class ServedTests(ServedTestCase):
    """Nothing is held by what a request does before its stream, nor by the stream."""

    def serving(self, view, handler):
        for name in ("goes_on", "ends", "polls"):
            setattr(view, name, asyncio.Event())
        patterns = (path("", view.as_view()),)
        stack = contextlib.ExitStack()
        stack.enter_context(override_settings(ROOT_URLCONF=patterns, MIDDLEWARE=[]))
        stack.enter_context(mock.patch.object(resting, "PAUSE", SOON))
        return stack, handler

    async def begun(self, request, part):
        async with asyncio.timeout(SECONDS):
            while part not in request.body:
                request.news.clear()
                await request.news.wait()

    async def test_on_djangos_handler(self):
        for options in ({}, {"CONN_MAX_AGE": 600}, {"ATOMIC_REQUESTS": True}):
            stack, make = self.serving(View, ASGIHandler)
            stack.enter_context(
                mock.patch.dict(connections.settings["default"], options)
            )
            with self.subTest(options), stack:
                request = Client(make()).begin("/")
                await self.begun(request, b"first")
                thread, connection = View.found[0]
                self.assertTrue(await gone(thread))
                self.assertIsNone(connection.connection)
                View.goes_on.set()
                await self.begun(request, b"second")
                thread, connection = View.found[1]
                self.assertTrue(await gone(thread))
                self.assertIsNone(connection.connection)
                View.ends.set()
                await request.answer()

    async def test_a_long_poll_on_djangos_handler(self):
        stack, make = self.serving(Poll, ASGIHandler)
        with stack:
            request = Client(make()).begin("/")
            await Poll.polls.wait()
            thread, connection = Poll.found[0]
            self.assertTrue(await gone(thread))
            self.assertIsNone(connection.connection)
            Poll.ends.set()
            self.assertEqual((await request.answer()).status, 200)

    async def test_on_this_packages_handler(self):
        """The pool's own rule gives the worker back."""
        stack, make = self.serving(View, get_asgi_application)
        with stack:
            app = make()
            request = Client(app).begin("/")
            await self.begun(request, b"first")
            await self.until_idle(app)
            View.goes_on.set()
            await self.begun(request, b"second")
            await self.until_idle(app)
            View.ends.set()
            await request.answer()

    async def until_idle(self, app):
        # A worker goes back after the job in which it ended.
        async with asyncio.timeout(SECONDS):
            while app.statistics().leased:  # noqa: ASYNC110
                await asyncio.sleep(SOON)


class RestingExecutorTests(ServedTestCase):
    async def test_it_counts_cancelled_hops(self):
        """A hop that is cancelled in the queue does not keep the thread."""
        started, ends = threading.Event(), threading.Event()

        def work():
            started.set()
            ends.wait(SECONDS)
            return query()

        async with Request() as executor:
            self.assertIsInstance(executor, RestingExecutor)
            executor.rest()
            first = asyncio.create_task(run_sync(work))
            await asyncio.to_thread(started.wait, SECONDS)
            second = asyncio.create_task(run_sync(query))
            await asyncio.sleep(0)
            second.cancel()
            ends.set()
            thread, _ = await first
            with contextlib.suppress(asyncio.CancelledError):
                await second
            self.assertTrue(await gone(thread))
