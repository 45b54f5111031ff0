"""What is recorded of a hop: its name, who asked, its times; and nothing is asked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import operator
import sqlite3
import threading
import weakref
from typing import ClassVar
from unittest import mock

import pytest
from asgiref.sync import SyncToAsync, async_to_sync, sync_to_async
from django.core.handlers.base import BaseHandler
from django.db.models import QuerySet
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django.urls import path
from django.utils.functional import SimpleLazyObject

from django_async_cbv import trace
from django_async_cbv.core.naming import place_of
from django_async_cbv.db import aatomic, agather
from django_async_cbv.sync import iterate, run_sync, to_async, wait_for
from django_async_cbv.testing import count_hops
from django_async_cbv.trace import keep_installed, on_hop
from django_async_cbv.views import AsyncDetailView, AsyncListView, AsyncView
from tests.catalogue import make_rows
from tests.models import Author

HERE = __file__


def line_of(function):
    return function.__code__.co_firstlineno


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Secret:
    """Nobody may format it."""

    def __repr__(self):
        raise AssertionError("It was formatted.")

    __str__ = __format__ = __repr__

    def method(self, *args):
        pass

    @classmethod
    def of_class(cls, *args):
        pass

    @staticmethod
    def static(*args):
        pass

    @decorated
    def decorated_method(self, *args):
        pass

    def __call__(self, *args):
        pass


class Heir(Secret):
    pass


class Built:
    def __init__(self, *args):
        pass


def plain(*args):
    pass


@decorated
def wrapped(*args):
    pass


@functools.lru_cache
def cached(*args):
    pass


def make_local():
    def local(*args):
        pass

    return local


class Lazy(Secret):
    """A proxy that fails as soon as anything but its type is asked."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for.")

    __class__ = property(lambda self: self.asked)


def own(name, function):
    return name, HERE, line_of(function)


secret = Secret()
# What crosses, and its name, file and line.
NAMED = {
    "function": (plain, own("plain", plain)),
    "lambda": (unnamed := lambda *args: None, own("<lambda>", unnamed)),
    "local function": (local := make_local(), own("local", local)),
    "decorated function": (wrapped, own("wrapped", wrapped.__wrapped__)),
    "cached function": (cached, own("cached", cached.__wrapped__)),
    "bound method": (secret.method, own("Secret.method", Secret.method)),
    "inherited method": (Heir().method, own("Heir.method", Secret.method)),
    "class method": (Heir.of_class, own("Heir.of_class", Secret.of_class.__func__)),
    "static method": (Secret.static, own("Secret.static", Secret.static)),
    "decorated method": (
        secret.decorated_method,
        own("Secret.decorated_method", Secret.decorated_method.__wrapped__),
    ),
    "callable object": (secret, own("Secret", Secret.__call__)),
    "class": (Built, own("Built", Built.__init__)),
    "partial": (functools.partial(plain, secret), own("plain", plain)),
    "partial of partial of a method": (
        functools.partial(functools.partial(secret.method, secret), secret),
        own("Secret.method", Secret.method),
    ),
    "async_to_sync": (
        async_to_sync(awaited := asyncio.sleep),
        ("sleep", asyncio.sleep.__code__.co_filename, line_of(awaited)),
    ),
    "builtin": (len, ("len", None, None)),
    "method of a builtin": ([].append, ("list.append", None, None)),
    "method in C": (
        sqlite3.connect(":memory:", check_same_thread=False).execute,
        ("Connection.execute", None, None),
    ),
    "builtin class": (bool, ("bool(Secret)", None, None)),
    "operator": (operator.attrgetter("x"), ("attrgetter", None, None)),
    "method of a QuerySet": (
        QuerySet(Author).count,
        (
            "QuerySet.count",
            QuerySet.count.__code__.co_filename,
            line_of(QuerySet.count),
        ),
    ),
    "mock": (mock.Mock(), None),
}


@pytest.mark.parametrize(
    "make", [Lazy, lambda: SimpleLazyObject(Lazy), lambda: Lazy], ids=range(3)
)
def test_a_proxy_is_not_asked_what_it_stands_for(make):
    proxy = make()
    name = (proxy if type(proxy) is type else type(proxy)).__name__
    assert place_of(proxy).name == name
    assert place_of(functools.partial(bool, proxy)).name == f"bool({name})"


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("via", ["sync_to_async", "run_sync"])
class TestNames:
    """Twenty kinds of functions: named right, and none is called or formatted."""

    def test_it_is_named_as_its_author_knows_it(self, kind, via):
        function, expected = NAMED[kind]

        async def cross():
            with count_hops() as hops, contextlib.suppress(Exception):
                if via == "run_sync":
                    await run_sync(function, secret)
                else:
                    await sync_to_async(function)(secret)
            return hops

        hops = asyncio.run(cross())
        (hop,) = hops.hops
        if expected is not None:
            assert tuple(hop.function) == expected
            assert str(hop.function).startswith(expected[0])
        assert hop.function.name in str(hops)
        assert hop.asked_by.name == "cross"
        assert hop.asked_by.file == HERE


class TestJobsOfOurOwn(TestCase):
    """What this package brings to a worker thread is named as what it does there."""

    @classmethod
    def setUpTestData(cls):
        make_rows()

    async def names(self, coroutine):
        with count_hops() as hops:
            await coroutine
        return [hop.function.name for hop in hops.hops]

    async def test_views(self):
        class Authors(AsyncListView):
            model = Author

            def get_queryset(self):
                return Author.objects.all()

            async def aget_context_data(self, **kwargs):
                await Author.objects.acount()
                return await super().aget_context_data(**kwargs)

        class One(AsyncDetailView):
            model = Author

            async def aget_queryset(self):
                return Author.objects.all()

        request = RequestFactory().get("/")
        self.assertEqual(
            await self.names(Authors.as_view()(request)),
            ["Authors.get_queryset", "QuerySet.count", "Authors.get_context_data"],
        )
        author = await Author.objects.afirst()
        self.assertEqual(
            await self.names(One.as_view()(request, pk=author.pk)), ["QuerySet.get"]
        )

    async def test_helpers(self):
        async def all_of(iterator):
            async for _ in iterator:
                pass

        @contextlib.contextmanager
        def opened():
            yield

        def numbers():
            yield 1

        async def enter(manager):
            async with manager:
                pass

        cases = [
            (all_of(iterate(Author.objects.all())), {"QuerySet.iterator"}),
            (all_of(iterate([1])), {"list"}),
            (all_of(to_async(numbers)()), {"numbers"}),
            (enter(to_async(opened)()), {"opened"}),
            (enter(to_async(contextlib.ExitStack())), {"ExitStack"}),
            (enter(aatomic()), {"aatomic"}),
            (to_async(plain)(), {"plain"}),
            (agather(plain, in_transaction="serial"), {"agather"}),
        ]
        for coroutine, expected in cases:
            with self.subTest(expected):
                self.assertEqual({*await self.names(coroutine)}, expected)


class TestRecorded(SimpleTestCase):
    async def test_times_and_thread(self):
        with count_hops() as hops:
            await sync_to_async(plain)()
        (hop,) = hops.hops
        self.assertLessEqual(hop.asked, hop.begun)
        self.assertLessEqual(hop.begun, hop.ended)
        self.assertLessEqual(hop.ended, hop.resumed)
        self.assertEqual(hop.resumed - hop.asked, hop.wait + hop.run + hop.resume)
        self.assertEqual(hop.thread, threading.main_thread().name)
        self.assertEqual((hop.error, hop.cancelled), (None, False))

    async def test_an_error(self):
        def fail():
            raise LookupError(secret)

        with count_hops() as hops, self.assertRaises(LookupError):
            await sync_to_async(fail)()
        self.assertEqual(hops.hops[0].error, "LookupError")
        self.assertIn("raised LookupError", str(hops))

    async def test_a_cancellation(self):
        begun, goes_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def work():
            loop.call_soon_threadsafe(begun.set)
            goes_on.wait(20)

        with count_hops() as hops:
            task = asyncio.create_task(sync_to_async(work, thread_sensitive=False)())
            await begun.wait()
            task.cancel()
            goes_on.set()
            with self.assertRaises(asyncio.CancelledError):
                await task
        self.assertIs(hops.hops[0].cancelled, True)
        self.assertIn("cancelled", str(hops))

    async def test_what_is_awaited_between_hops(self):
        async def service():
            await answer

        async def give_answer():
            while not hops.awaited:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)
            answer.set_result(None)

        answer = asyncio.get_running_loop().create_future()
        with count_hops() as hops:
            await sync_to_async(plain)()
            other = asyncio.create_task(give_answer())
            await service()
            await sync_to_async(plain)()
            await other
        self.assertEqual(hops.count, 2)
        (span,) = hops.awaited
        self.assertEqual(span.function.name, "service")
        self.assertEqual(span.function.file, HERE)
        self.assertIsNotNone(span.seconds)
        self.assertIn("in service", str(hops))

    async def test_what_is_awaited_is_noted_only_if_that_is_asked_for(self):
        """By one timer for all tasks, as each wakes the event loop."""
        loop = asyncio.get_running_loop()

        async def hops():
            for _ in range(3):
                await sync_to_async(plain)()

        for awaits in (False, True):
            recording = trace.Recording(awaits=awaits)
            with (
                mock.patch.object(trace, "_looks", trace._LooksHere()),
                mock.patch.object(trace, "_AFTER", 60),
                mock.patch.object(loop, "call_later", wraps=loop.call_later) as timers,
            ):
                recording.start()
                try:
                    await asyncio.gather(*(hops() for _ in range(10)))
                finally:
                    recording.stop()
            self.assertEqual(recording.count, 30)
            # Who looks for what blocks has timers, too.
            callbacks = [call.args[1] for call in timers.call_args_list]
            own = [one for one in callbacks if one.__module__ == trace.__name__]
            self.assertEqual(len(own), int(awaits))

    async def test_a_hop_is_not_noted_as_awaited(self):
        """Nor if a look comes late, from before the hop."""

        async def hop():
            await sync_to_async(work, thread_sensitive=False)()

        begun, goes_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def work():
            loop.call_soon_threadsafe(begun.set)
            goes_on.wait(20)

        with count_hops() as hops:
            task = asyncio.create_task(hop())
            await begun.wait()
            trace._look(task, (hops,), 0)
            goes_on.set()
            await task
        self.assertNotIn(0, [span.began for span in hops.awaited])

    async def test_a_hop_keeps_nothing_alive(self):
        one = Secret()
        alive = weakref.ref(one)
        with count_hops() as hops:
            await sync_to_async(one.method)(Secret())
            await run_sync(functools.partial(one.method, one))
        del one
        gc.collect()
        self.assertIsNone(alive())
        self.assertEqual(
            [hop.function.name for hop in hops.hops], ["Secret.method"] * 2
        )

    async def test_threads_are_listed_and_no_hops(self):
        with count_hops() as hops:
            await asyncio.to_thread(plain)
            await asyncio.get_running_loop().run_in_executor(None, len, ())
            await sync_to_async(plain, thread_sensitive=False)()
        self.assertEqual(hops.count, 1)
        self.assertEqual([one.function.name for one in hops.threads], ["plain", "len"])
        self.assertTrue(all(one.seconds is not None for one in hops.threads))

    async def test_a_worker_thread_that_waits(self):
        async def awaited():
            await sync_to_async(plain)()

        def hook():
            wait_for(awaited)

        def other():
            async_to_sync(awaited)()

        with count_hops() as hops:
            await run_sync(hook)
            await run_sync(other)
        self.assertEqual(
            [one.function.name for one in hops.hops],
            ["hook", "plain", "other", "plain"],
        )
        self.assertEqual(
            [(one.function.name, one.asked_by.name) for one in hops.held],
            [("awaited", "hook"), ("awaited", "other")],
        )
        self.assertIn("waited", str(hops))

    def test_the_thread_of_a_test_is_no_worker(self):
        async def awaited():
            await sync_to_async(plain)()

        with count_hops() as hops:
            async_to_sync(awaited)()
        self.assertEqual((hops.count, hops.held), (1, []))

    async def test_who_asked(self):
        class Authors(AsyncView):
            async def get(self, request):
                await self.load()
                return HttpResponse()

            async def load(self):
                await run_sync(plain)

        with count_hops() as hops:
            await Authors.as_view()(RequestFactory().get("/"))
        self.assertEqual(hops.hops[0].asked_by.name, "Authors.load")

    async def test_nobody_asked_for_what_a_handler_does(self):
        """Not the client's caller, nor middleware around, which only passes it on."""

        def view(request):
            return HttpResponse()

        def middleware(get_response):
            async def passed_on(request):
                return await get_response(request)

            return passed_on

        middleware.async_capable = True
        middleware.sync_capable = False
        urls = mock.Mock(urlpatterns=[path("", view)], spec=["urlpatterns"])
        with (
            mock.patch(
                "django.core.handlers.base.import_string", return_value=middleware
            ),
            override_settings(ROOT_URLCONF=urls, MIDDLEWARE=["middleware"]),
            count_hops() as hops,
        ):
            await self.async_client.get("/")
        views = [hop for hop in hops.hops if hop.function.name == "view"]
        self.assertEqual([hop.asked_by for hop in views], [None])

    async def test_requests_have_numbers(self):
        async def view(request):
            await run_sync(plain)
            return HttpResponse()

        urls = mock.Mock(urlpatterns=[path("", view)], spec=["urlpatterns"])
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]), count_hops() as hops:
            for _ in range(2):
                await self.async_client.get("/")
            await run_sync(plain)
        first, second, none = (
            hop.request for hop in hops.hops if hop.function.name == "plain"
        )
        self.assertNotEqual(first, second)
        self.assertIsNone(none)

    async def test_two_at_once_count_apart(self):
        entered = asyncio.Barrier(2)

        async def count(number):
            with count_hops() as hops:
                await entered.wait()
                for _ in range(number):
                    await run_sync(plain)
                await entered.wait()
            return hops.count

        self.assertEqual(await asyncio.gather(count(1), count(3)), [1, 3])

    async def test_tasks_that_begin_in_a_block_belong_to_it_until_it_ends(self):
        goes_on = asyncio.Event()

        async def later():
            await run_sync(plain)
            await goes_on.wait()
            await run_sync(plain)

        with count_hops() as outer:
            with count_hops() as inner:
                task = asyncio.create_task(later())
                await run_sync(plain)
                while inner.count < 2:
                    await run_sync(plain)
                counted = inner.count
            goes_on.set()
            await task
        self.assertEqual(inner.count, counted)
        self.assertEqual(outer.count, counted + 1)

    def test_everywhere(self):
        def in_a_thread():
            asyncio.run(run_sync_plain())

        async def run_sync_plain():
            await sync_to_async(plain)()

        with count_hops() as here, count_hops(everywhere=True) as everywhere:
            thread = threading.Thread(target=in_a_thread)
            thread.start()
            thread.join()
        self.assertEqual((here.count, everywhere.count), (0, 1))


class TestInstalled(SimpleTestCase):
    """The wrappers are there while somebody records, and at no other time."""

    places: ClassVar = [
        *((cls, name) for cls, name, _ in trace._watched),
    ]

    def setUp(self):
        super().setUp()
        if trace._users:
            # What others have made in this process ends with them.
            gc.collect()
        self.assertEqual(trace._users, 0)

    def there(self):
        return [vars(cls)[name] for cls, name in self.places]

    async def test_nothing_is_there_before_and_after(self):
        before = self.there()
        with count_hops(), count_hops():
            for one, other in zip(before, self.there(), strict=True):
                self.assertIsNot(one, other)
        self.assertEqual(self.there(), before)
        stop = on_hop(plain)
        self.assertNotEqual(self.there(), before)
        stop()
        stop()
        self.assertEqual(self.there(), before)

    async def test_what_others_wrapped_since_is_left(self):
        original = SyncToAsync.__call__
        recorded = count_hops()
        recorded.start()
        ours = SyncToAsync.__call__

        async def theirs(self, *args, **kwargs):
            return await ours(self, *args, **kwargs)

        SyncToAsync.__call__ = theirs
        try:
            recorded.stop()
            self.assertIs(SyncToAsync.__call__, theirs)
            # With what is left in it, each hop is one all the same.
            with count_hops() as hops:
                await sync_to_async(plain)()
            self.assertEqual(hops.count, 1)
            self.assertIs(SyncToAsync.__call__, theirs)
        finally:
            SyncToAsync.__call__ = original

    async def test_they_stay_between_recordings_if_that_is_asked_for(self):
        before = self.there()
        stop = keep_installed()
        kept = self.there()
        self.assertNotEqual(kept, before)
        with count_hops():
            self.assertEqual(self.there(), kept)
        self.assertEqual(self.there(), kept)
        stop()
        stop()
        self.assertEqual(self.there(), before)

    async def test_a_class_that_comes_later(self):
        class Late(BaseHandler):
            async def get_response_async(self, request):
                return trace._request.get()

        with count_hops(), mock.patch.object(trace, "_watched", [*trace._watched]):
            trace.watch(Late)
            self.assertIsNotNone(await Late().get_response_async(None))
        self.assertIsNone(await Late().get_response_async(None))

    async def test_a_hop_that_nobody_records_asks_one_variable(self):
        """While somebody else does."""
        asked = []

        class Variable:
            def get(self):
                asked.append(1)
                return ()

        with count_hops(), mock.patch.object(trace, "_recordings", Variable()):
            await sync_to_async(plain)()
            crossings = len(asked)
        # One for the hop, and one for run_in_executor() in it.
        self.assertLessEqual(crossings, 2)


class TestOnHop(SimpleTestCase):
    async def test_it_is_called_with_each_hop_until_it_is_stopped(self):
        heard = []
        stop = on_hop(heard.append)
        try:
            await run_sync(plain)
            await run_sync(len, ())
        finally:
            stop()
        await run_sync(plain)
        self.assertEqual([hop.function.name for hop in heard], ["plain", "len"])
        self.assertTrue(all(hop.resumed for hop in heard))

    async def test_what_it_raises_is_logged_once(self):
        def fail(hop):
            raise LookupError

        stop = on_hop(fail)
        try:
            with self.assertLogs("django_async_cbv.trace", "ERROR") as logs:
                await run_sync(plain)
                self.assertEqual(await run_sync(len, ()), 0)
        finally:
            stop()
        (record,) = logs.records
        self.assertIn("fail", record.getMessage())
        self.assertIs(record.exc_info[0], LookupError)

    async def test_a_recorder_that_fails_fails_no_request(self):
        with (
            mock.patch.object(trace, "_failed", set()),
            mock.patch.object(trace, "place_of", side_effect=LookupError),
            self.assertLogs("django_async_cbv.trace", "ERROR") as logs,
            count_hops() as hops,
        ):
            self.assertEqual(await run_sync(len, ()), 0)
            self.assertEqual(await run_sync(len, ()), 0)
        self.assertEqual(hops.count, 2)
        self.assertEqual(len(logs.records), 1)
