"""The tools for tests: they count, they fail tests that should fail, and say why."""

from __future__ import annotations

import asyncio
import gc
import warnings
from unittest import mock
from urllib.request import urlopen

from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpResponse
from django.test import (
    LiveServerTestCase,
    RequestFactory,
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
    override_settings,
)
from django.urls import path

from django_async_cbv.sync import run_sync
from django_async_cbv.testing import (
    HopAssertionsMixin,
    count_hops,
    forbid_dropped_coroutines,
    forbid_repeated_hops,
)
from django_async_cbv.views import AsyncListView, AsyncView
from tests.catalogue import make_rows
from tests.models import Author


def plain(*args):
    pass


class Authors(AsyncListView):
    model = Author
    template_name = "page.html"


class Counted(HopAssertionsMixin):
    """What holds in each kind of test case of Django's."""

    async def hop(self, number=1):
        for _ in range(number):
            await run_sync(plain)

    async def test_in_an_async_test(self):
        request = RequestFactory().get("/")
        async with self.assertNumHops(1) as hops:
            await Authors.as_view()(request)
        self.assertEqual(hops.hops[0].function.name, "Authors.get")
        with self.assertMaxHops(1), self.assertMaxHops(2):
            await Authors.as_view()(request)

    def test_in_a_sync_test(self):
        request = RequestFactory().get("/")
        with self.assertNumHops(1):
            async_to_sync(Authors.as_view())(request)
        with self.assertNumHops(0):
            # As a view of Django's, in this very thread.
            Authors.as_view()(request)

    async def test_too_many(self):
        limit = self.assertMaxHops(2, info="See the hops page.")
        with self.assertRaises(AssertionError) as raised, limit:
            await self.hop(3)
        lines = str(raised.exception).splitlines()
        self.assertEqual(lines[0], "3 hops, at most 2 allowed.")
        self.assertRegex(
            lines[1],
            r"^  1\. plain  tests/test_testing\.py:\d+  waited [\d.]+ ms, ran [\d.]+",
        )
        self.assertRegex(
            lines[2], r"^       asked for by Counted\.hop, tests/test_testing\.py:\d+$"
        )
        self.assertEqual(lines[-1], "See the hops page.")

    async def test_too_few(self):
        expected = self.assertRaisesMessage(AssertionError, "1 hop, 2 expected.")
        with expected, self.assertNumHops(2):
            await self.hop()

    async def test_an_error_in_the_block_is_not_hidden(self):
        with self.assertRaises(LookupError), self.assertMaxHops(0):
            await self.hop()
            raise LookupError

    def test_a_limit_below_none(self):
        with self.assertRaisesMessage(ValueError, "-1 is not a number of hops"):
            self.assertMaxHops(-1)


class TestInTestCase(Counted, TestCase):
    @classmethod
    def setUpTestData(cls):
        make_rows()


class TestInTransactionTestCase(Counted, TransactionTestCase):
    pass


class TestLiveServer(LiveServerTestCase):
    def test_hops_of_its_threads(self):
        async def view(request):
            await run_sync(plain)
            return HttpResponse()

        urls = mock.Mock(urlpatterns=[path("", view)], spec=["urlpatterns"])
        with (
            override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]),
            count_hops() as here,
            count_hops(everywhere=True) as everywhere,
            urlopen(self.live_server_url) as response,
        ):
            self.assertEqual(response.status, 200)
        self.assertEqual(here.count, 0)
        self.assertEqual([hop.function.name for hop in everywhere.hops], ["plain"])


class TestDecorator(SimpleTestCase):
    async def test_coroutine_functions_and_functions(self):
        counted = count_hops()

        @counted
        async def work(number):
            for _ in range(number):
                await run_sync(plain)
            return number

        @counted
        def sync_work():
            pass

        self.assertEqual(await asyncio.gather(work(1), work(2)), [1, 2])
        sync_work()
        self.assertEqual(counted.count, 3)

    async def test_a_limit_holds_for_each_call(self):
        limit = HopAssertionsMixin().assertMaxHops(1)

        @limit
        async def work(number):
            for _ in range(number):
                await run_sync(plain)

        await asyncio.gather(work(1), work(1))
        with self.assertRaises(AssertionError):
            await work(2)

    def test_generators_are_refused(self):
        async def agenerator():
            yield

        def generator():
            yield

        for function in (agenerator, generator):
            with self.assertRaisesMessage(TypeError, "is a generator"):
                count_hops()(function)


class TestRepeatedHops(SimpleTestCase):
    async def loop(self, number=6):
        for _ in range(number):
            await run_sync(plain)

    async def test_a_loop_around_a_hop(self):
        with self.assertRaises(AssertionError) as raised:
            async with forbid_repeated_hops():
                await self.loop()
        text = str(raised.exception)
        self.assertTrue(text.startswith("plain made 6 hops, asked for by "), text)
        for remedy in ("run_sync(", "iterate(", "agather("):
            self.assertIn(remedy, text)

    async def test_five_are_none(self):
        with forbid_repeated_hops():
            await self.loop(5)
            # Another line.
            await self.loop.__func__(self, 0)
            for _ in range(5):
                await run_sync(plain)
        with self.assertRaises(AssertionError), forbid_repeated_hops(times=1):
            await self.loop(2)

    async def test_what_is_allowed(self):
        with forbid_repeated_hops(allow=["plain"]):
            await self.loop()
        with forbid_repeated_hops() as hops:
            hops.allow("TestRepeatedHops.*")
            await self.loop()

    async def test_tasks_of_their_own(self):
        with self.assertRaises(AssertionError), forbid_repeated_hops():
            await asyncio.gather(*(sync_to_async(plain)() for _ in range(6)))

    async def test_each_request_counts_apart(self):
        async def view(request):
            await run_sync(plain)
            return HttpResponse()

        urls = mock.Mock(urlpatterns=[path("", view)], spec=["urlpatterns"])
        with override_settings(ROOT_URLCONF=urls), forbid_repeated_hops():
            for _ in range(6):
                await self.async_client.get("/")

    async def test_the_table_says_so_too(self):
        with count_hops() as hops:
            await self.loop()
        self.assertIn("plain made 6 hops", str(hops))


async def fetch():
    pass


def sync_decorator(function):
    def wrapper(*args, **kwargs):
        function(*args, **kwargs)
        return HttpResponse()

    return wrapper


def lost():
    """A line that is no project's view, but this file's."""
    fetch()


class TestDroppedCoroutines(TestCase):
    """Each way to lose a coroutine, and the line that made it."""

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def view(self, **methods):
        return type("Lost", (Authors,), methods).as_view()

    async def found(self, begin, *args):
        """The names and lines that a block which begins it complains of."""
        with self.assertRaises(AssertionError) as raised:
            async with forbid_dropped_coroutines() as block:
                await begin(*args)
        text = str(raised.exception)
        for name, place in block.dropped:
            self.assertEqual(place.file, __file__, text)
            self.assertIn(f"{name}() was called by {place}", text)
        return [name for name, place in block.dropped], [
            place.name for _, place in block.dropped
        ]

    async def in_a_hook(self, name, hook):
        request = RequestFactory().get("/")

        async def visit():
            await self.view(**{name: hook})(request)

        return await self.found(visit)

    async def test_in_each_hook(self):
        async def aget_queryset(self):
            fetch()
            return Author.objects.all()

        async def aget_context_data(self, **kwargs):
            fetch()
            return await super(Authors, self).aget_context_data(**kwargs)

        async def aget_ordering(self):
            fetch()

        async def aget_template_names(self):
            fetch()
            return ["page.html"]

        async def get(self, request):
            fetch()
            return HttpResponse()

        async def dispatch(self, request):
            fetch()
            return HttpResponse()

        def get_queryset(self):
            # In a worker thread.
            fetch()
            return Author.objects.all()

        hooks = [
            aget_queryset,
            aget_context_data,
            aget_ordering,
            aget_template_names,
            get,
            dispatch,
            get_queryset,
        ]
        for hook in hooks:
            with self.subTest(hook.__name__):
                names, makers = await self.in_a_hook(hook.__name__, hook)
                self.assertEqual(names, ["fetch"])
                self.assertEqual(makers, [hook.__name__])

    async def test_super(self):
        async def aget_context_data(self, **kwargs):
            super(Authors, self).aget_context_data(**kwargs)
            return {}

        names, makers = await self.in_a_hook("aget_context_data", aget_context_data)
        self.assertEqual(makers, ["aget_context_data"])
        self.assertEqual(len(names), 1)

    async def test_in_gather(self):
        async def forgotten():
            both = [fetch(), fetch()]
            await asyncio.gather(both[0])

        self.assertEqual(await self.found(forgotten), (["fetch"], ["forgotten"]))

    async def test_in_a_sync_decorator(self):
        async def get(self, request):
            return HttpResponse()

        class View(AsyncView):
            @sync_decorator
            async def get(self, request):
                return HttpResponse()

        async def visit():
            await View.as_view()(RequestFactory().get("/"))

        names, makers = await self.found(visit)
        self.assertEqual([name.rpartition(".")[2] for name in names], ["get"])
        self.assertEqual(makers, ["wrapper"])

    async def test_in_a_thread_and_in_a_loop_of_its_own(self):
        async def in_a_thread():
            await asyncio.to_thread(lost)

        async def in_a_loop():
            async def other():
                lost()

            await asyncio.to_thread(asyncio.run, other())

        for begin in (in_a_thread, in_a_loop):
            self.assertEqual(await self.found(begin), (["fetch"], ["lost"]))

    async def test_in_a_reference_cycle(self):
        async def cycle():
            held = [fetch()]
            held.append(held)

        self.assertEqual(await self.found(cycle), (["fetch"], ["cycle"]))

    async def test_what_is_awaited_or_closed_is_none(self):
        with forbid_dropped_coroutines():
            await fetch()
            fetch().close()
            await asyncio.gather(fetch(), fetch())
            await Authors.as_view()(RequestFactory().get("/"))

    async def test_what_was_dropped_before_is_not_of_the_block(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = [fetch()]
            held.append(held)
            del held
            with forbid_dropped_coroutines():
                pass

    def test_afterwards_python_warns_again(self):
        with forbid_dropped_coroutines():
            pass
        with self.assertWarnsRegex(RuntimeWarning, "was never awaited"):
            fetch()
            gc.collect()

    def test_as_a_decorator(self):
        with self.assertRaises(AssertionError):
            forbid_dropped_coroutines()(lost)()
