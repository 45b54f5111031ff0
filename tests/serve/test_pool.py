"""The pool of workers: who has one, for how long, and what comes of a job."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path
from unittest import mock

from asgiref.local import Local
from asgiref.sync import async_to_sync, sync_to_async
from django import urls
from django.core.signals import got_request_exception
from django.db import connection, connections, transaction
from django.db.models import FilteredRelation, Q
from django.db.models.signals import post_init
from django.http import HttpResponse, StreamingHttpResponse
from django.test import SimpleTestCase, override_settings
from django.utils import timezone, translation
from django.views import View

from django_async_cbv.asgi import get_asgi_application, hold_worker, release_worker
from django_async_cbv.core.connections import Cursors
from django_async_cbv.core.executors import leased_executor
from django_async_cbv.core.flow import Flow, call
from django_async_cbv.db import aatomic
from django_async_cbv.serve import pool as module
from django_async_cbv.sync import iterate, run_sync, to_async, wait_for
from django_async_cbv.views import AsyncView
from tests.app.models import Article, Author, Book, Tag
from tests.serve.driving import PATIENCE, Client, PoolTestCase, happened, serving


def thread():
    return threading.current_thread().name


async def submitted(function, *args):
    """As third parties cross: by asgiref."""
    return await sync_to_async(function)(*args)


CROSSINGS = (run_sync, submitted)


class Gate:
    """Sync code that says when it has begun, and does not end before it may."""

    def __init__(self):
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, *args, **kwargs):
        self.begun.set()
        if not self.may_end.wait(PATIENCE):
            raise AssertionError("Nobody has opened the gate.")
        return HttpResponse(thread())


def here(request):
    return HttpResponse(thread())


class RequestTestCase(PoolTestCase):
    """Tests what code does in a request."""

    async def in_request(self, act, *args, **options):
        """Await a coroutine function in an async view; what it gives or raises."""
        outcome = []

        async def view(request):
            try:
                outcome.append(await act(*args))
            except BaseException as error:
                outcome.append(error)
            return HttpResponse()

        async with serving(view, **options) as client:
            self.client_of_request = client
            response = await client.get("/view/")
            self.assertEqual(response.status, 200)
            await client.idle()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    @property
    def leased(self):
        return self.client_of_request.statistics.leased


class TestWorkers(PoolTestCase):
    async def test_a_thread_is_begun_when_a_request_needs_one(self):
        async with serving(here) as client:
            self.assertEqual(client.statistics.workers, 0)
            names = {(await client.get("/here/")).text for _ in range(5)}
            self.assertEqual(names, {"django-async-cbv-1"})
            self.assertEqual(client.statistics.workers, 1)

    async def test_there_are_never_more_than_workers(self):
        gate = Gate()

        def held(request):
            return gate()

        async with serving(held, workers=2) as client:
            requests = [client.begin("/held/") for _ in range(5)]
            await happened(gate.begun)
            self.assertEqual(client.statistics.leased, 2)
            self.assertEqual(client.statistics.waiting, 3)
            gate.may_end.set()
            names = {(await request.answer()).text for request in requests}
            self.assertLessEqual(len(names), 2)
            self.assertEqual(client.statistics.workers, 2)
            self.assertEqual(client.statistics.waiting, 0)
            self.assertGreater(client.statistics.longest_wait, 0)

    async def test_requests_are_served_first_in_first_out(self):
        gate, order = Gate(), []

        def held(request):
            return gate()

        def noted(request):
            order.append(request.GET["number"])
            return HttpResponse()

        async with serving(held, noted, workers=1) as client:
            first = client.begin("/held/")
            await happened(gate.begun)
            others = [client.begin(f"/noted/?number={number}") for number in range(6)]
            gate.may_end.set()
            for request in (first, *others):
                self.assertEqual((await request.answer()).status, 200)
            self.assertEqual(order, list("012345"))

    async def test_the_worker_that_was_used_last_is_used_next(self):
        gates = [Gate() for _ in range(3)]

        def held(request, number):
            return gates[int(number)]()

        def by_number(request):
            return held(request, request.GET["number"])

        async with serving(by_number, here) as client:
            requests = []
            for number, gate in enumerate(gates):
                requests.append(client.begin(f"/by_number/?number={number}"))
                await happened(gate.begun)
            last = {}
            for number in (2, 0, 1):
                gates[number].may_end.set()
                last = (await requests[number].answer()).text
            self.assertEqual(
                {(await client.get("/here/")).text for _ in range(5)}, {last}
            )

    def test_a_second_loop_has_workers_of_its_own(self):
        with override_settings(ROOT_URLCONF=urls_of(here), MIDDLEWARE=[]):
            app = get_asgi_application()
            workers = []

            async def get():
                response = await Client(app).get("/here/")
                workers.append(app.pool.workers[0])
                return response.status

            self.assertEqual(asyncio.run(get()), 200)
            self.assertEqual(asyncio.run(get()), 200)
            # No thread stays for a loop that is closed.
            workers[0].join(PATIENCE)
            self.assertEqual([one.is_alive() for one in workers], [False, True])
            self.assertEqual(app.statistics().workers, 1)
            for pool in app._pools.values():
                pool.close()

    async def test_the_threads_end_with_the_server(self):
        async with serving(here) as client:
            self.assertEqual(
                await client.lifespan("startup", "shutdown"),
                ["lifespan.startup.complete", "lifespan.shutdown.complete"],
            )
            await client.get("/here/")
            (worker,) = client.app.pool.workers
            self.assertTrue(worker.is_alive())
            await client.lifespan("shutdown")
            self.assertFalse(worker.is_alive())
            # A server that goes on all the same, a test's for example, gets new ones.
            self.assertEqual((await client.get("/here/")).status, 200)

    async def test_requests_that_wait_are_told_of_the_end(self):
        gate = Gate()

        def held(request):
            return gate()

        async with serving(held, workers=1) as client:
            first, second = client.begin("/held/"), client.begin("/held/")
            await happened(gate.begun)
            await client.until(waiting=1)
            end = asyncio.create_task(client.lifespan("shutdown"))
            with self.assertRaisesMessage(RuntimeError, "shutting down"):
                await second.answer()
            gate.may_end.set()
            self.assertEqual((await first.answer()).status, 200)
            await end

    async def test_a_system_without_more_threads(self):
        gate = Gate()

        def held(request):
            return gate()

        with mock.patch.object(
            module._Worker, "start", side_effect=RuntimeError("can't start new thread")
        ):
            async with serving(here) as client:
                with self.assertRaisesMessage(RuntimeError, "can't start"):
                    await client.get("/here/")
        async with serving(held, here) as client:
            first = client.begin("/held/")
            await happened(gate.begun)
            with mock.patch.object(
                module._Worker, "start", side_effect=RuntimeError("can't start")
            ):
                second = client.begin("/here/")
                await client.until(waiting=1)
            gate.may_end.set()
            await first.answer()
            self.assertEqual((await second.answer()).status, 200)


def urls_of(*views):
    from django.urls import path

    patterns = [path(f"{view.__name__}/", view) for view in views]
    return type("Urls", (), {"urlpatterns": patterns})


class TestCrossing(RequestTestCase):
    async def test_context_variables_and_locals_go_there_and_come_back(self):
        variable = contextvars.ContextVar("variable", default=0)
        local = Local()

        def change():
            seen = variable.get(), local.value, translation.get_language()
            variable.set(2)
            local.value = "there"
            translation.activate("de")
            timezone.activate("Europe/Berlin")
            return seen

        async def act(cross):
            variable.set(1)
            local.value = "here"
            # Both are read from files, once.
            await cross(translation.activate, "fr")
            await cross(timezone.get_default_timezone)
            seen = await cross(change)
            zone = timezone.get_current_timezone_name()
            return (
                *seen,
                *(variable.get(), local.value, translation.get_language(), zone),
            )

        for cross in CROSSINGS:
            with self.subTest(cross=cross.__name__):
                self.assertEqual(
                    await self.in_request(act, cross),
                    (1, "here", "fr", 2, "there", "de", "Europe/Berlin"),
                )

    async def test_what_a_job_raises_goes_to_its_waiter_and_the_worker_lives(self):
        class Own(BaseException):
            pass

        def fail(error):
            raise error

        async def act(cross, error):
            before = await cross(thread)
            try:
                await cross(fail, error)
            except BaseException as raised:
                self.assertIs(raised, error)
                names = [one.tb_frame.f_code.co_name for one in frames(raised)]
                self.assertEqual(names[-1], "fail")
            return before, await cross(thread)

        for cross in CROSSINGS:
            for error in (ValueError("x"), Own("y")):
                with self.subTest(cross=cross.__name__, error=error):
                    before, after = await self.in_request(act, cross, error)
                    self.assertEqual(before, after)

    async def test_stop_iteration(self):
        with self.assertRaisesMessage(RuntimeError, "raised StopIteration"):
            await self.in_request(run_sync, next, iter(()))

    async def test_an_exception_in_hand_is_there_too(self):
        async def act(cross):
            try:
                raise LookupError("in hand")
            except LookupError:
                return await cross(sys.exc_info)

        for cross in CROSSINGS:
            with self.subTest(cross=cross.__name__):
                kind, *_ = await self.in_request(act, cross)
                self.assertIs(kind, LookupError)

    async def test_async_to_sync_in_a_worker_and_sync_to_async_below_it(self):
        loops_thread = thread()
        seen = []

        async def below(depth):
            self.assertEqual(thread(), loops_thread)
            seen.append(await sync_to_async(thread)())
            if depth:
                await sync_to_async(down)(depth - 1)
                await asyncio.create_task(below(0))
                await asyncio.gather(below(0), below(0))

        def down(depth):
            seen.append(thread())
            async_to_sync(below)(depth)
            wait_for(below, 0)

        for cross in CROSSINGS:
            with self.subTest(cross=cross.__name__):
                seen.clear()
                await self.in_request(cross, down, 3)
                self.assertGreater(len(seen), 10)
                self.assertEqual(len(set(seen)), 1)
                self.assertNotEqual(seen[0], loops_thread)

    async def test_gathered_calls_are_made_one_after_the_other(self):
        inside = threading.Lock()

        def alone():
            if not inside.acquire(blocking=False):
                raise AssertionError("Two at once.")
            try:
                return thread()
            finally:
                inside.release()

        async def act():
            return await asyncio.gather(
                *(cross(alone) for cross in CROSSINGS for _ in range(20))
            )

        self.assertEqual(len(set(await self.in_request(act))), 1)

    async def test_a_job_that_would_wait_for_its_own_thread_is_refused(self):
        def wait_for_itself(cross):
            return asyncio.run(cross(thread))

        async def act(cross):
            with self.assertRaisesMessage(
                RuntimeError, "would wait for its own thread"
            ):
                await run_sync(wait_for_itself, cross)
            return await cross(thread)

        for cross in CROSSINGS:
            with self.subTest(cross=cross.__name__):
                self.assertTrue(await self.in_request(act, cross))

    async def test_asyncio_run_in_a_sync_view_is_refused(self):
        def view(request):
            with self.assertRaisesMessage(
                RuntimeError, "would wait for its own thread"
            ):
                asyncio.run(sync_to_async(thread)())
            return HttpResponse("refused")

        async with serving(view, workers=1) as client:
            self.assertEqual(await client.texts("/view/", "/view/"), ["refused"] * 2)

    async def test_code_that_is_not_thread_sensitive(self):
        async def below():
            return await sync_to_async(thread)()

        async def act():
            own = await sync_to_async(thread)()
            other = await sync_to_async(thread, thread_sensitive=False)()
            waits, back = await sync_to_async(wait, thread_sensitive=False)()
            return own, other, waits, back

        def wait():
            return thread(), async_to_sync(below)()

        own, other, waits, back = await self.in_request(act)
        self.assertNotEqual(own, other)
        self.assertNotEqual(own, waits)
        # By asgiref's rule it comes back to the thread that waits for it.
        self.assertEqual(back, waits)

    async def test_nothing_of_a_request_is_left_to_the_collector(self):
        class Thing:
            pass

        kept = []

        async def view(request):
            thing = Thing()
            kept.append(weakref.ref(thing))
            kept.append(weakref.ref(leased_executor()))
            request.thing = thing
            variable.set(thing)
            for cross in CROSSINGS:
                await cross(lambda: thing)
            # What passes through asgiref's own frames, it leaves to the collector.
            with contextlib.suppress(ZeroDivisionError):
                await run_sync(lambda: thing and 1 / 0)
            return HttpResponse()

        variable = contextvars.ContextVar("variable")
        async with serving(view) as client:
            await client.get("/view/")
            kept.clear()
            gc.collect()
            gc.disable()
            try:
                await client.get("/view/")
                await client.idle()
                # What the loop and the worker have in hand is of this request.
                await asyncio.sleep(0)
                await client.get("/view/")
                await client.idle()
                self.assertEqual([one() for one in kept[:2]], [None, None])
            finally:
                gc.enable()


def frames(error):
    one = error.__traceback__
    while one is not None:
        yield one
        one = one.tb_next


class TestOutliving(PoolTestCase):
    async def test_a_task_that_outlives_its_request_may_query(self):
        tasks, go = [], asyncio.Event()

        async def later():
            await go.wait()
            await Tag.objects.acreate(name="late")
            return await sync_to_async(Tag.objects.count)(), await run_sync(thread)

        async def view(request):
            tasks.append(asyncio.create_task(later()))
            return HttpResponse(str(await Tag.objects.acount()))

        async with serving(view, workers=1) as client:
            self.assertEqual((await client.get("/view/")).text, "0")
            await client.idle()
            go.set()
            count, name = await tasks[0]
            self.assertEqual(count, 1)
            self.assertTrue(name.startswith("django-async-cbv"))
            await client.idle()

    async def test_a_task_of_a_wait_does_its_work_in_no_other_request(self):
        """A worker waits for another request by then: that one's thread-locals."""
        tenant = threading.local()
        tasks, go = [], asyncio.Event()

        async def later():
            await go.wait()
            return await sync_to_async(lambda: getattr(tenant, "name", None))()

        async def start():
            tasks.append(asyncio.create_task(later()))

        def first(request):
            wait_for(start)
            return HttpResponse(thread())

        async def waits():
            go.set()
            return await asyncio.wait_for(asyncio.shield(tasks[0]), PATIENCE)

        def second(request):
            tenant.name = "second"
            return HttpResponse(f"{thread()} {wait_for(waits)}")

        async with serving(first, second, workers=2) as client:
            name = (await client.get("/first/")).text
            self.assertEqual((await client.get("/second/")).text, f"{name} None")

    async def test_what_a_task_leaves_open_when_it_ends_is_dropped(self):
        go = asyncio.Event()
        tasks = []

        def leave_open():
            transaction.atomic().__enter__()
            Tag.objects.create(name="lost")
            return thread()

        async def later():
            await go.wait()
            return await run_sync(leave_open)

        async def view(request):
            tasks.append(asyncio.create_task(later()))
            return HttpResponse()

        async with serving(view, here, workers=1) as client:
            await client.get("/view/")
            go.set()
            await tasks.pop()
            self.assertEqual((await client.get("/here/")).status, 200)
            await client.idle()
        self.assertEqual(await Tag.objects.acount(), 0)


class TestCancellation(PoolTestCase):
    async def test_while_it_waits_for_a_worker(self):
        """No job begins, and the place in the queue is free at once."""
        gate, served = Gate(), []

        def held(request):
            return gate()

        def never(request):
            served.append("sync")
            return HttpResponse()

        async def asynchronous(request):
            served.append("async")
            return HttpResponse()

        @middleware
        async def crosses(request, get_response):
            await sync_to_async(lambda: None)()
            return await get_response(request)

        for path, parts in (("/never/", ()), ("/asynchronous/", (crosses,))):
            with self.subTest(path=path):
                gate.__init__()
                async with serving(
                    *(held, never, asynchronous), middleware=parts, workers=1
                ) as client:
                    first = client.begin("/held/")
                    await happened(gate.begun)
                    second = client.begin(path)
                    await client.until(waiting=1)
                    second.gone.set()
                    await second.answer()
                    self.assertEqual(client.statistics.waiting, 0)
                    self.assertEqual(second.sent, [])
                    gate.may_end.set()
                    self.assertEqual((await first.answer()).status, 200)
                    await client.idle()
                    self.assertEqual(served, [])

    async def test_while_a_sync_view_runs(self):
        gate, ended = Gate(), threading.Event()

        def held(request):
            gate()
            ended.set()
            return HttpResponse()

        async with serving(held) as client:
            request = client.begin("/held/")
            await happened(gate.begun)
            request.gone.set()
            gate.may_end.set()
            await request.answer()
            self.assertTrue(ended.is_set())
            self.assertEqual(request.sent, [])
            await client.idle()

    async def test_while_a_job_of_an_async_view_runs(self):
        gate, order = Gate(), []

        async def view(request):
            try:
                await run_sync(gate)
            except asyncio.CancelledError:
                order.append("cancelled")
                self.assertTrue(gate.may_end.is_set())
                raise

        async with serving(view) as client:
            request = client.begin("/view/")
            await happened(gate.begun)
            for _ in range(2):
                request.task.cancel()
                await asyncio.sleep(0)
            self.assertEqual(order, [])
            gate.may_end.set()
            with self.assertRaises(asyncio.CancelledError):
                await request.answer()
            self.assertEqual(order, ["cancelled"])
            await client.idle()

    async def test_what_a_job_awaits_is_cancelled(self):
        awaits, order = asyncio.Event(), []

        async def for_ever():
            awaits.set()
            try:
                await asyncio.Event().wait()
            finally:
                order.append("cancelled")

        async def clean_up():
            await asyncio.sleep(0)
            order.append("cleaned up")

        for wait in (lambda coroutine: async_to_sync(coroutine)(), wait_for):
            for view in self.views_that(wait, for_ever, clean_up):
                with self.subTest(wait=wait, view=view):
                    order.clear()
                    awaits.clear()
                    async with serving(view) as client:
                        request = client.begin("/view/")
                        async with asyncio.timeout(PATIENCE):
                            await awaits.wait()
                        request.gone.set()
                        await request.answer()
                        await client.idle()
                    cleaned = [] if wait is wait_for else ["cleaned up"]
                    self.assertEqual(order, ["cancelled", *cleaned])

    def views_that(self, wait, act, clean_up):
        def job():
            try:
                wait(act)
            finally:
                if wait is not wait_for:
                    wait(clean_up)

        def sync_view(request):
            job()

        async def async_view(request):
            await run_sync(job)

        for view in (sync_view, async_view):
            view.__name__ = "view"
            yield view

    async def test_before_a_job_awaits_something(self):
        """It is found out at its first await, or before that by wait_for()."""
        order = []

        async def act():
            order.append("called")
            await asyncio.Event().wait()

        for wait, called in (
            (async_to_sync(act), ["called"]),
            (lambda: wait_for(act), []),
        ):
            gate = Gate()

            def job(gate=gate, wait=wait):
                gate()
                with self.assertRaises(asyncio.CancelledError):
                    wait()
                order.append("raised")

            async def view(request, job=job):
                await run_sync(job)

            with self.subTest(called=called):
                order.clear()
                async with serving(view) as client:
                    request = client.begin("/view/")
                    await happened(gate.begun)
                    request.task.cancel()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    gate.may_end.set()
                    with self.assertRaises(asyncio.CancelledError):
                        await request.answer()
                    self.assertEqual(order, [*called, "raised"])

    async def test_a_flow_ends_the_call_that_it_is_in_and_begins_no_other(self):
        gate, order = Gate(), []

        def body():
            yield call(gate)
            order.append("went on")
            yield call(order.append, "second")

        async def view(request):
            return await Flow(body()).run()

        async with serving(view) as client:
            request = client.begin("/view/")
            await happened(gate.begun)
            request.task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gate.may_end.set()
            with self.assertRaises(asyncio.CancelledError):
                await request.answer()
            self.assertEqual(order, [])
            await client.idle()


def middleware(function):
    """Async middleware of a function of the request and what comes next."""
    from asgiref.sync import markcoroutinefunction

    class Middleware:
        sync_capable = False
        async_capable = True

        def __init__(self, get_response):
            self.get_response = get_response
            markcoroutinefunction(self)

        async def __call__(self, request):
            return await function(request, self.get_response)

    return Middleware


class TestOverload(PoolTestCase):
    async def test_a_full_queue(self):
        gate, errors = Gate(), []

        def held(request):
            return gate()

        def note(**kwargs):
            errors.append(kwargs)

        got_request_exception.connect(note)
        self.addCleanup(got_request_exception.disconnect, note)
        async with serving(held, workers=1, queue=1, queue_timeout=90) as client:
            served = [client.begin("/held/")]
            await happened(gate.begun)
            served.append(client.begin("/held/"))
            await client.until(waiting=1)
            refused = await client.get("/held/")
            self.assertEqual(refused.status, 503)
            self.assertEqual(refused.headers["retry-after"], "90")
            self.assertEqual(client.statistics.refused, 1)
            gate.may_end.set()
            for request in served:
                self.assertEqual((await request.answer()).status, 200)
        self.assertEqual(errors, [])

    async def test_no_middleware_takes_it_for_an_error(self):
        gate, seen = Gate(), []

        def held(request):
            return gate()

        async def view(request):
            return HttpResponse()

        class Sees:
            sync_capable = True
            async_capable = True

            def __init__(self, get_response):
                from asgiref.sync import iscoroutinefunction, markcoroutinefunction

                self.get_response = get_response
                self.is_async = iscoroutinefunction(get_response)
                if self.is_async:
                    markcoroutinefunction(self)

            def __call__(self, request):
                if self.is_async:
                    return self.acall(request)
                return self.get_response(request)

            async def acall(self, request):
                try:
                    await sync_to_async(lambda: None)()
                    return await self.get_response(request)
                except Exception as error:
                    seen.append(error)
                    raise

            def process_exception(self, request, exception):
                seen.append(exception)

        async with serving(
            *(held, view), middleware=[Sees, Sees], workers=1, queue=0
        ) as client:
            first = client.begin("/held/")
            await happened(gate.begun)
            for path in ("/held/", "/view/"):
                refused = await client.get(path)
                self.assertEqual(refused.status, 503)
            gate.may_end.set()
            self.assertEqual((await first.answer()).status, 200)
        self.assertEqual(seen, [])

    async def test_it_has_waited_too_long(self):
        gate, served = Gate(), []

        def held(request):
            return gate()

        def never(request):
            served.append(request)
            return HttpResponse()

        async with serving(held, never, workers=1, queue_timeout=0.01) as client:
            first = client.begin("/held/")
            await happened(gate.begun)
            for _ in range(2):
                refused = await asyncio.gather(*(client.get("/never/") for _ in "abc"))
                self.assertEqual({one.status for one in refused}, {503})
                self.assertEqual(refused[0].headers["retry-after"], "1")
            self.assertEqual(client.statistics.waiting, 0)
            gate.may_end.set()
            self.assertEqual((await first.answer()).status, 200)
            self.assertEqual(served, [])
            self.assertEqual(client.statistics.refused, 6)

    async def test_a_view_that_has_begun_is_never_refused(self):
        for cross in CROSSINGS:
            gate, begun = Gate(), asyncio.Event()

            def held(request, gate=gate):
                return gate()

            async def charges(request, begun=begun, cross=cross):
                begun.set()
                return HttpResponse(await cross(thread))

            with self.subTest(cross=cross.__name__):
                async with serving(
                    held, charges, workers=1, queue=1, queue_timeout=0.01
                ) as client:
                    first = client.begin("/held/")
                    await happened(gate.begun)
                    # One in the queue, and one where there is no place left.
                    served = [client.begin("/charges/") for _ in range(2)]
                    await client.until(waiting=2)
                    # And longer than another one may wait.
                    self.assertEqual((await client.get("/held/")).status, 503)
                    self.assertEqual(client.statistics.waiting, 2)
                    gate.may_end.set()
                    for request in (first, *served):
                        self.assertEqual((await request.answer()).status, 200)


def touch():
    """Run code of a project's."""


def start_by_hand():
    connection.cursor().execute("BEGIN")


def end_by_hand():
    connection.cursor().execute("COMMIT")


class Rows:
    """An iterator() that somebody has begun and not ended."""

    def begin(self):
        self.rows = Tag.objects.iterator(chunk_size=1)
        next(self.rows)

    def end(self):
        self.rows.close()


def _with_filtered_relation():
    relation = FilteredRelation("author", condition=Q(author__name="A"))
    return Book.objects.annotate(known=relation).select_related("known")


class TestRelease(RequestTestCase):
    """Whether a worker is given back between two jobs of a request."""

    def setUp(self):
        super().setUp()
        Tag.objects.bulk_create(Tag(name=name) for name in "abc")
        author = Author.objects.create(name="A", slug="a")
        Book.objects.create(title="B", author=author, published="2024-01-01")

    async def held_after(self, act, **options):
        async def held():
            await act()
            return self.leased

        return bool(await self.in_request(held, **options))

    async def test_reads_by_django_alone_leave_nothing_behind(self):
        async def objects():
            return [tag async for tag in Tag.objects.all()]

        for act in (
            Tag.objects.acount,
            Tag.objects.aexists,
            Tag.objects.filter(name="a").afirst,
            lambda: Tag.objects.aget(name="a"),
            Tag.objects.ain_bulk,
            Tag.objects.order_by("name").values_list("name").alast,
            Tag.objects.aaggregate,
            Tag.objects.all().aexplain,
            objects,
            Book.objects.select_related("author").afirst,
        ):
            with self.subTest(act=act):
                self.assertFalse(await self.held_after(act))
                self.assertTrue(await self.held_after(act, release="request"))

    async def test_what_may_run_code_of_the_project_keeps_the_worker(self):
        class Routes:
            def db_for_read(self, model, **hints):
                return None

        def hears(**kwargs):
            pass

        @contextlib.contextmanager
        def listening():
            for model in (Tag, Author):
                post_init.connect(hears, sender=model)
            try:
                yield
            finally:
                for model in (Tag, Author):
                    post_init.disconnect(hears, sender=model)

        async def objects(rows):
            return [one async for one in rows]

        nothing = contextlib.nullcontext
        for act, around in (
            (lambda: run_sync(touch), nothing),
            (sync_to_async(touch), nothing),
            (to_async(touch), nothing),
            (lambda: Tag.objects.acreate(name="d"), nothing),
            (lambda: Tag.objects.filter(name="d").aupdate(name="e"), nothing),
            (lambda: Tag.objects.filter(name="e").adelete(), nothing),
            (lambda: Tag(name="f").asave(), nothing),
            (Article.objects.acount, nothing),
            (lambda: objects(Book.objects.select_related("author")), listening),
            (lambda: objects(_with_filtered_relation()), nothing),
            (lambda: objects(Book.objects.prefetch_related("author")), nothing),
            (lambda: objects(Tag.objects.all()), listening),
            (
                Tag.objects.acount,
                lambda: override_settings(DATABASE_ROUTERS=[Routes()]),
            ),
        ):
            with self.subTest(act=act), around():
                self.assertTrue(await self.held_after(act))
                await Tag.objects.filter(name__in="def").adelete()
                self.assertFalse(await self.held_after(act, release="always"))
                await Tag.objects.filter(name__in="def").adelete()

    async def test_a_database_engine_that_is_not_djangos(self):
        foreign = {"ENGINE": "tests.tenants"}
        with mock.patch.dict(connections.settings["other"], foreign):
            self.assertTrue(await self.held_after(Tag.objects.acount))
            with override_settings(ASYNC_CBV_STATELESS_ENGINES=["tests.tenants"]):
                self.assertFalse(await self.held_after(Tag.objects.acount))

    async def test_hold_worker(self):
        async def act():
            held = []
            async with hold_worker():
                for _ in range(2):
                    await Tag.objects.acount()
                    held.append(self.leased)
                async with hold_worker():
                    pass
                held.append(self.leased)
            await self.client_of_request.idle()
            return held

        for release in ("between", "always"):
            with self.subTest(release=release):
                self.assertEqual(await self.in_request(act, release=release), [1, 1, 1])

    async def test_hold_worker_in_a_task_that_sync_code_has_begun(self):
        async def act():
            tasks = []

            async def later():
                async with hold_worker():
                    await sync_to_async(touch)()
                    return self.leased

            async def start():
                tasks.append(asyncio.create_task(later()))

            await run_sync(wait_for, start)
            return await tasks[0]

        self.assertEqual(await self.in_request(act, release="always"), 1)

    async def test_release_worker(self):
        async def act():
            held = []
            await run_sync(touch)
            held.append(self.leased)
            async with release_worker():
                await self.client_of_request.idle()
                await run_sync(touch)
                held.append(self.leased)
            await run_sync(touch)
            held.append(self.leased)
            return held

        self.assertEqual(await self.in_request(act), [1, 0, 1])

    async def test_release_worker_does_not_end_what_is_open(self):
        async def act():
            async with aatomic(), release_worker():
                await Tag.objects.acreate(name="d")
                held = [self.leased]
            async with hold_worker(), release_worker():
                await run_sync(touch)
                held.append(self.leased)
            return held

        self.assertEqual(await self.in_request(act), [1, 1])

    async def test_they_do_nothing_where_there_is_no_pool(self):
        async with hold_worker(), release_worker():
            self.assertIsNone(leased_executor())
            await sync_to_async(touch)()

        async def below():
            async with hold_worker(), release_worker():
                return await sync_to_async(thread)()

        self.assertEqual(
            await sync_to_async(lambda: (async_to_sync(below)(), thread()))(),
            (await sync_to_async(thread)(),) * 2,
        )

    async def test_what_is_open_keeps_the_worker_whatever_the_mode(self):
        rows = Rows()
        manager = transaction.atomic()

        def leave():
            manager.__exit__(None, None, None)

        for name, begin, end in (
            ("atomic", manager.__enter__, leave),
            ("by hand", start_by_hand, end_by_hand),
            (
                "autocommit",
                lambda: transaction.set_autocommit(False),
                lambda: transaction.set_autocommit(True),
            ),
            ("iterator", rows.begin, rows.end),
        ):

            async def act(begin=begin, end=end):
                held = []
                await sync_to_async(begin)()
                held.append(self.leased)
                await sync_to_async(touch)()
                held.append(self.leased)
                await sync_to_async(end)()
                held.append(self.leased)
                return held

            with self.subTest(name):
                self.assertEqual(
                    await self.in_request(act, release="always"), [1, 1, 0]
                )

    async def test_what_this_package_has_open_keeps_the_worker(self):
        @contextlib.contextmanager
        def context():
            name = thread()
            yield name
            self.assertEqual(thread(), name)

        @contextlib.contextmanager
        def fails():
            raise ZeroDivisionError
            yield

        async def iterated():
            held = [self.leased async for _ in iterate(range(4), chunk_size=1)]
            await self.client_of_request.idle()
            return held

        async def left_early():
            async with contextlib.aclosing(iterate(range(4), chunk_size=1)) as items:
                async for _ in items:
                    held = [self.leased]
                    break
            await self.client_of_request.idle()
            return held

        async def generated():
            items = to_async(lambda: (yield from range(3)), chunk_size=1)()
            held = [self.leased async for _ in items]
            await self.client_of_request.idle()
            return held

        async def entered():
            async with to_async(context)():
                held = [self.leased]
            await self.client_of_request.idle()
            return held

        async def not_entered():
            with contextlib.suppress(ZeroDivisionError):
                async with to_async(fails)():
                    pass
            await self.client_of_request.idle()
            return [1]

        async def atomic():
            async with aatomic():
                held = [self.leased]
            await self.client_of_request.idle()
            return held

        for act in (iterated, left_early, generated, entered, not_entered, atomic):
            with self.subTest(act=act.__name__):
                held = await self.in_request(act, release="always")
                self.assertEqual(set(held), {1})

    async def test_context_managers_of_many_requests(self):
        @contextlib.contextmanager
        def context():
            name = thread()
            yield
            if thread() != name:
                raise AssertionError("Left in another thread.")

        async def view(request):
            async with to_async(context)():
                await asyncio.sleep(0)
            return HttpResponse()

        async with serving(view, workers=4) as client:
            requests = [client.begin("/view/") for _ in range(40)]
            statuses = {(await request.answer()).status for request in requests}
            self.assertEqual(statuses, {200})

    async def test_once_the_response_has_left_only_what_is_open_counts(self):
        held, parts = [], asyncio.Event()

        async def stream():
            for _ in range(2):
                await sync_to_async(touch)()
                held.append(leased_executor().worker is not None)
                yield b"part"
            await parts.wait()

        async def view(request):
            await sync_to_async(touch)()
            held.append(leased_executor().worker is not None)
            return StreamingHttpResponse(stream())

        async with serving(view, here, workers=1) as client:
            request = client.begin("/view/")
            await request.begun()
            # It is idle, and others are served.
            self.assertEqual((await client.get("/here/")).status, 200)
            parts.set()
            self.assertEqual((await request.answer()).text, "partpart")
            self.assertEqual(held, [True, False, False])

    async def test_idle_streams_behind_hybrid_middleware_keep_nobody_waiting(self):
        from asgiref.sync import iscoroutinefunction
        from django.utils.decorators import sync_and_async_middleware

        @sync_and_async_middleware
        def hybrid(get_response):
            if iscoroutinefunction(get_response):

                async def acall(request):
                    await sync_to_async(touch)()
                    return await get_response(request)

                return acall
            return get_response

        go = asyncio.Event()

        async def stream():
            yield b"part"
            await go.wait()

        async def view(request):
            return StreamingHttpResponse(stream())

        async with serving(view, here, middleware=[hybrid], workers=4) as client:
            streams = [client.begin("/view/") for _ in range(4)]
            for request in streams:
                await request.begun()
            self.assertEqual((await client.get("/here/")).status, 200)
            await client.idle()
            go.set()
            for request in streams:
                self.assertEqual((await request.answer()).text, "part")

    async def test_streams_of_queries_on_few_workers(self):
        """A live cursor keeps its worker; without that all of these fail."""

        async def aiterator():
            async for tag in Tag.objects.aiterator(chunk_size=1):
                yield tag.name.encode()

        async def iterated():
            async for tag in iterate(Tag.objects.all(), chunk_size=1):
                yield tag.name.encode()

        def synchronous():
            for tag in Tag.objects.iterator(chunk_size=1):
                yield tag.name.encode()

        for source in (aiterator, iterated, synchronous):

            async def view(request, source=source):
                await Tag.objects.acount()
                return StreamingHttpResponse(source())

            with self.subTest(source=source.__name__):
                ignored = mock.patch("warnings.warn")
                async with serving(view, workers=2) as client:
                    with ignored if source is synchronous else contextlib.nullcontext():
                        requests = [client.begin("/view/") for _ in range(20)]
                        texts = {(await request.answer()).text for request in requests}
                    self.assertEqual(texts, {"abc"})
                    await client.idle()

    async def test_a_client_that_reads_slowly_keeps_no_worker(self):
        async def asynchronous(request):
            await sync_to_async(touch)()
            return HttpResponse("late")

        def synchronous(request):
            return HttpResponse("late")

        async with serving(asynchronous, synchronous, here, workers=1) as client:
            for path in ("/asynchronous/", "/synchronous/"):
                with self.subTest(path=path):
                    request = client.begin(path, reads=False)
                    await request.begun()
                    self.assertEqual((await client.get("/here/")).status, 200)
                    await client.idle()
                    request.reads.set()
                    self.assertEqual((await request.answer()).text, "late")


class TestConnections(PoolTestCase):
    async def test_a_lasting_connection_is_used_again(self):
        for age, number in ((60, 1), (0, 3)):
            raw = []

            def view(request, raw=raw):
                Tag.objects.count()
                raw.append(connection.connection)
                return HttpResponse()

            async def aview(request, raw=raw):
                await sync_to_async(view)(request)
                return HttpResponse()

            with self.subTest(age=age):
                settings = connections.settings["default"]
                with mock.patch.dict(settings, CONN_MAX_AGE=age):
                    async with serving(view, aview) as client:
                        for path in ("/view/", "/aview/", "/view/"):
                            self.assertEqual((await client.get(path)).status, 200)
                            await client.idle()
                # All are kept here, so none has the place of another.
                self.assertEqual(len({id(one) for one in raw if one}), number)

    async def test_what_a_request_has_left_open_is_no_other_ones(self):
        kept = []

        def atomic():
            transaction.atomic().__enter__()
            Tag.objects.create(name="lost")

        def by_hand():
            start_by_hand()
            Tag.objects.create(name="lost")

        def autocommit():
            transaction.set_autocommit(False)
            Tag.objects.create(name="lost")

        def unfinished():
            rows = Author.objects.iterator(chunk_size=1)
            next(rows)
            kept.append(rows)

        def looks(request):
            # Python tells of the cursor, which is closed, where nobody can catch it.
            with mock.patch.object(sys, "unraisablehook"):
                kept.clear()
            Tag.objects.create(name="kept")
            Tag.objects.all().delete()
            return HttpResponse(
                f"{connection.in_atomic_block} {connection.get_autocommit()} "
                f"{Tag.objects.count()} {connection.connection.in_transaction}"
                if connection.vendor == "sqlite"
                else f"False True {Tag.objects.count()} False"
            )

        await Author.objects.abulk_create(
            Author(name=name, slug=name) for name in "abc"
        )
        for leave in (atomic, by_hand, autocommit, unfinished):

            def view(request, leave=leave):
                leave()
                return HttpResponse()

            async def aview(request, leave=leave):
                await sync_to_async(leave)()
                return HttpResponse()

            for path in ("/view/", "/aview/"):
                for release in ("between", "request", "always"):
                    with self.subTest(leave=leave.__name__, path=path, release=release):
                        async with serving(
                            *(view, aview, looks), workers=1, release=release
                        ) as client:
                            self.assertEqual((await client.get(path)).status, 200)
                            self.assertEqual(
                                (await client.get("/looks/")).text, "False True 0 False"
                            )
                            await client.idle()

    async def test_a_cursor_that_is_freed_late_gives_the_worker_back(self):
        """As of a frame that a watchdog looks at in its own thread."""
        kept, goes_on = [], asyncio.Event()
        note = Cursors.__call__

        def noted(cursors, execute, sql, params, many, context):
            kept.append(context["cursor"])
            return note(cursors, execute, sql, params, many, context)

        async def view(request):
            await Tag.objects.acount()
            await goes_on.wait()
            return HttpResponse()

        async with serving(view) as client:
            with mock.patch.object(Cursors, "__call__", noted):
                request = client.begin("/view/")
                async with asyncio.timeout(PATIENCE):
                    # The worker is held before the query as well, for a moment. On
                    # PostgreSQL a cursor that was closed keeps none.
                    while not (  # noqa: ASYNC110 - it is silent
                        kept
                        and (client.statistics.held or not client.statistics.leased)
                    ):
                        await asyncio.sleep(0)
            kept.clear()
            # While the view waits.
            await client.idle()
            goes_on.set()
            self.assertEqual((await request.answer()).status, 200)

    async def test_a_cursor_is_closed_before_its_connection(self):
        """As another thread may be at that, which waits for the connection."""
        kept, order = [], []

        def noted(name, thing):
            close = thing.close

            def call():
                order.append(name)
                close()

            thing.close = call

        def view(request):
            Tag.objects.create(name="red")
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {Tag._meta.db_table}")
            noted("cursor", cursor)
            noted("connection", connections["default"])
            kept.append(cursor)
            return HttpResponse()

        async with serving(view, workers=1) as client:
            await client.get("/view/")
            await client.idle()
        # The worker closes it once more at its end.
        self.assertEqual(order[:2], ["cursor", "connection"])

    async def test_the_queries_of_each_request_are_its_own(self):
        def view(request):
            Tag.objects.count()
            return HttpResponse(str(len(connection.queries)))

        async def aview(request):
            await sync_to_async(Tag.objects.count)()
            return HttpResponse(
                str(await sync_to_async(lambda: len(connection.queries))())
            )

        with override_settings(DEBUG=True):
            async with serving(view, aview, workers=1) as client:
                self.assertEqual(
                    await client.texts("/view/", "/aview/", "/view/"), ["1", "1", "1"]
                )

    async def test_a_connection_that_can_not_be_closed_is_given_up(self):
        def view(request):
            Tag.objects.count()
            broken = mock.Mock(side_effect=OSError("gone"))
            connection.close_if_unusable_or_obsolete = broken
            return HttpResponse(thread())

        def after(request):
            return HttpResponse(f"{thread()} {Tag.objects.count()}")

        async with serving(view, after) as client:
            with self.assertLogs("django_async_cbv.pool", "ERROR") as logs:
                name = (await client.get("/view/")).text
            self.assertIn("A connection was given up: alias='default'", logs.output[0])
            self.assertEqual((await client.get("/after/")).text, f"{name} 0")

    async def test_a_driver_that_has_lost_its_connection_holds_nothing(self):
        class Info:
            transaction_status = 4  # unknown

        class Raw:
            info = Info()

            def close(self):
                pass

        class Raises:
            @property
            def in_transaction(self):
                raise OSError("gone")

            def close(self):
                pass

        from django_async_cbv.core.connections import is_in_transaction

        for raw in (Raw(), Raises()):
            wrapper = mock.Mock(connection=raw, in_atomic_block=False, autocommit=True)
            self.assertFalse(is_in_transaction(wrapper))
        for status in (1, 2, 3):
            raw = mock.Mock(in_transaction=False)
            raw.info.transaction_status = status
            wrapper = mock.Mock(connection=raw, in_atomic_block=False, autocommit=True)
            self.assertTrue(is_in_transaction(wrapper))


class TestStatistics(PoolTestCase):
    async def test_it_tells_who_holds_a_worker_and_why(self):
        go = asyncio.Event()
        begun = asyncio.Queue()

        async def foreign(request):
            await sync_to_async(touch)()
            begun.put_nowait(None)
            await go.wait()
            return HttpResponse()

        async def holds(request):
            async with hold_worker():
                await sync_to_async(Tag.objects.count)()
                begun.put_nowait(None)
                await go.wait()
            return HttpResponse()

        async def opens(request):
            async with aatomic():
                begun.put_nowait(None)
                await go.wait()
            return HttpResponse()

        reasons = []
        async with serving(foreign, holds, opens) as client:
            requests = [client.begin(f"/{name}/") for name in ("foreign", "holds")]
            for _ in requests:
                await begun.get()
            reasons = [one.rpartition(".")[2] for one in client.statistics.held]
            go.set()
            for request in requests:
                await request.answer()
            await client.idle()
            self.assertGreater(client.statistics.held_seconds, 0)
            self.assertEqual(client.statistics.held, ())
        self.assertCountEqual(
            reasons,
            [
                "foreign: code that is not Django's ran there",
                "holds: a block of hold_worker(), aatomic() or to_async() is open",
            ],
        )

    async def test_a_view_that_holds_an_idle_worker_while_others_wait_is_named(self):
        go, begun = asyncio.Event(), asyncio.Event()

        async def holding(request):
            await sync_to_async(touch)()
            begun.set()
            await go.wait()
            return HttpResponse()

        for long, is_named in ((0.0, True), (1000.0, False)):
            go.clear()
            begun.clear()
            with self.subTest(long=long), mock.patch.object(module, "_LONG", long):
                async with serving(holding, here, workers=1) as client:
                    first = client.begin("/holding/")
                    await begun.wait()
                    second = client.begin("/here/")
                    await client.until(waiting=1)
                    expect = self.assertLogs if is_named else self.assertNoLogs
                    with expect("django_async_cbv.pool", "WARNING") as logs:
                        go.set()
                        await first.answer()
                        await second.answer()
                        await client.idle()
                    if is_named:
                        self.assertIn("holding held an idle worker", logs.output[0])
                        self.assertIn("release_worker()", logs.output[0])

    async def test_the_warning_says_what_gives_back_a_worker_that_is_held_thus(self):
        go, begun = asyncio.Event(), asyncio.Event()

        async def wait():
            begun.set()
            await go.wait()

        async def in_a_block(request):
            async with hold_worker():
                await sync_to_async(touch)()
                await wait()
            return HttpResponse()

        async def in_a_transaction(request):
            await sync_to_async(transaction.set_autocommit)(False)
            await wait()
            await sync_to_async(transaction.set_autocommit)(True)
            return HttpResponse()

        async def to_its_end(request):
            await sync_to_async(touch)()
            async with release_worker():
                await wait()
            return HttpResponse()

        for view, release, reason, fix in (
            (in_a_block, "always", "a block of hold_worker()", "before that block"),
            (in_a_transaction, "always", "a transaction", "End the transaction"),
            (to_its_end, "request", 'release="request"', 'release="between"'),
        ):
            go.clear()
            begun.clear()
            with self.subTest(view=view), mock.patch.object(module, "_LONG", 0.0):
                async with serving(view, here, workers=1, release=release) as client:
                    first = client.begin(f"/{view.__name__}/")
                    await begun.wait()
                    second = client.begin("/here/")
                    await client.until(waiting=1)
                    [held] = client.statistics.held
                    self.assertIn(f"{view.__name__}: {reason}", held)
                    with self.assertLogs("django_async_cbv.pool", "WARNING") as logs:
                        go.set()
                        self.assertEqual((await first.answer()).status, 200)
                        await second.answer()
                        await client.idle()
                    self.assertIn(f"for one: {reason}", logs.output[0])
                    self.assertIn(fix, logs.output[0])
                    self.assertNotIn("release_worker()", logs.output[0])

    async def test_a_view_has_the_name_of_its_class_or_function(self):
        go, begun = asyncio.Event(), asyncio.Queue()

        async def waits(self, request):
            await sync_to_async(touch)()
            begun.put_nowait(None)
            await go.wait()
            return HttpResponse()

        theirs = type("Theirs", (View,), {"get": waits})
        ours = type("Ours", (AsyncView,), {"get": waits})
        function = functools.partial(waits, None)
        written = functools.update_wrapper(functools.partial(waits, None), waits)
        views = {
            theirs.as_view(): f"{__name__}.Theirs",
            ours.as_view(): f"{__name__}.Ours",
            written: f"{__name__}.{waits.__qualname__}",
            function: repr(function),
        }
        routes = [urls.path(f"{number}/", view) for number, view in enumerate(views)]
        async with serving(urls=routes) as client:
            requests = [client.begin(f"/{number}/") for number in range(len(views))]
            for _ in requests:
                await begun.get()
            await client.until(idle=0)
            held = [one.partition(": code")[0] for one in client.statistics.held]
            go.set()
            for request in requests:
                await request.answer()
        self.assertCountEqual(held, views.values())

    async def test_it_may_be_asked_in_a_worker(self):
        seen = []

        def view(request):
            seen.append(client.statistics)
            return HttpResponse()

        async with serving(view) as client:
            await client.get("/view/")
        self.assertEqual((seen[0].leased, seen[0].workers, seen[0].jobs), (1, 1, 1))


class TestSystemExit(SimpleTestCase):
    databases = "__all__"

    def test_it_ends_the_server(self):
        for error in (SystemExit(3), KeyboardInterrupt()):

            def view(request, error=error):
                raise error

            async def aview(request, error=error):
                await sync_to_async(view)(request)

            for path in ("/view/", "/aview/"):
                with (
                    self.subTest(error=error, path=path),
                    override_settings(ROOT_URLCONF=urls_of(view, aview), MIDDLEWARE=[]),
                    asyncio.Runner() as runner,
                ):
                    app = get_asgi_application()
                    with self.assertRaises(type(error)):
                        runner.run(Client(app).get(path))
                    for pool in app._pools.values():
                        pool.close()


PREFACE = """
import asyncio, atexit, os, sys, threading
from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 60, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
from django.http import HttpResponse
from django.urls import path
from django_async_cbv.asgi import get_asgi_application
from tests.serve.driving import Client
def view(request):
    return HttpResponse(str(os.getpid()))
urlpatterns = [path("view/", view)]
async def get():
    text = (await Client(application).get("/view/")).text
    assert text == str(os.getpid()), text
def child(run):
    pid = os.fork()
    if pid == 0:
        try:
            run()
        except BaseException as error:
            print(error)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


class TestProcess(SimpleTestCase):
    """What a process does, from its first line to its end."""

    def run_script(self, script):
        return subprocess.run(
            [sys.executable, "-c", PREFACE + textwrap.dedent(script)],
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": ":".join(["src", *sys.path])},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def check(self, script, returncode=0, stdout=""):
        done = self.run_script(script)
        self.assertEqual(
            (done.returncode, done.stdout.strip()), (returncode, stdout), done.stderr
        )
        return done

    def test_a_fork_after_import_and_construction_and_use(self):
        self.check(
            """
            def make():
                global application
                application = get_asgi_application()
            child(lambda: (make(), asyncio.run(get())))
            make()
            assert threading.active_count() == 1
            child(lambda: asyncio.run(get()))
            asyncio.run(get())
            child(lambda: asyncio.run(get()))
            asyncio.run(get())
            """
        )

    def test_a_fork_on_a_running_loop(self):
        self.check(
            """
            application = get_asgi_application()
            async def main():
                await get()
                # The child leaves this loop to its parent.
                def again():
                    asyncio._set_running_loop(None)
                    asyncio.run(get())
                child(again)
                await get()
            asyncio.run(main())
            """
        )

    def test_an_exit_waits_for_the_job_that_runs(self):
        for code in (0, 3):  # 3 is what tells Django's autoreload to start again
            with self.subTest(code=code):
                self.check(
                    f"""
                    begun, may_end = threading.Event(), threading.Event()
                    def view(request):
                        begun.set()
                        may_end.wait(60)
                        print("done", flush=True)
                        return HttpResponse()
                    urlpatterns = [path("view/", view)]
                    application = get_asgi_application()
                    # Is called before the pool's own.
                    atexit.register(may_end.set)
                    async def main():
                        Client(application).begin("/view/")
                        await asyncio.to_thread(begun.wait, 60)
                        sys.exit({code})
                    # Not closed, as after a signal: no lifespan, no clean end.
                    loop = asyncio.new_event_loop()
                    try:
                        loop.run_until_complete(main())
                    finally:
                        for task in asyncio.all_tasks(loop):
                            task._log_destroy_pending = False
                    """,
                    returncode=code,
                    stdout="done",
                )

    def test_an_exit_does_not_wait_for_ever(self):
        self.check(
            """
            from django_async_cbv.serve.pool import Pool
            Pool.close.__defaults__ = (0.1,)
            begun = threading.Event()
            def view(request):
                begun.set()
                threading.Event().wait()
            urlpatterns = [path("view/", view)]
            application = get_asgi_application()
            async def main():
                Client(application).begin("/view/")
                await asyncio.to_thread(begun.wait, 60)
                os.write(1, b"end")
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main())
            for task in asyncio.all_tasks(loop):
                task._log_destroy_pending = False
            """,
            stdout="end",
        )

    def test_it_may_be_imported_before_the_apps_are_ready(self):
        self.check(
            """
            from django.apps import apps
            import django_async_cbv.asgi
            assert not apps.ready
            """
        )
