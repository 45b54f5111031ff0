"""Streaming views, each on Django's ASGI handler and on this package's."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import gzip
import inspect
import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
import weakref
import zlib
from unittest import mock

import django
from django.conf import settings
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import connection
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.test import (
    AsyncClient,
    RequestFactory,
    SimpleTestCase,
    TestCase,
    override_settings,
)
from django.urls import path
from django.utils.decorators import async_only_middleware, method_decorator
from django.utils.functional import lazystr
from django.views.decorators.http import condition

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.auth.mixins import (
    AsyncLoginRequiredMixin,
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.channels import LocalChannel, Message
from django_async_cbv.sync import run_sync
from django_async_cbv.testing import open_stream
from django_async_cbv.views import _limits, _shutdown, _stream_response, streaming
from django_async_cbv.views.exports import CSVView, NDJSONView
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    ChannelView,
    Event,
    LongPollView,
    Polled,
    ServerSentEventsView,
    StreamResponse,
    end_streams,
)
from tests.clock import ClockLoop, pass_time
from tests.hops import count_hops
from tests.serve.driving import Client

SECONDS = 30
# For what has to happen some time; nothing may depend on what happens before.
SOON = 0.02
# For what a test lets pass: no stall of the machine is as long.
LATER = 4
# Until long after each test.
NEVER = 1000
# Until Django 6.0 goes: its GZipMiddleware does not flush parts, so that none are
# compressed there.
COMPRESSES = not (6, 0) <= django.VERSION < (6, 1)


async def forever():
    await asyncio.get_running_loop().create_future()


async def turns(count=20):
    """Let all other tasks go on for a while."""
    for _ in range(count):
        await asyncio.sleep(0)


class Ending:
    """Says when a generator has ended, with an `await` in its `finally`."""

    @classmethod
    @contextlib.asynccontextmanager
    async def noted(cls):
        cls.ended = asyncio.Event()
        try:
            yield
        finally:
            await asyncio.sleep(0)
            cls.ended.set()


class Events(Ending, ServerSentEventsView):
    """Sends one event, and waits."""

    retry = 7

    async def events(self):
        async with self.noted():
            yield "first"
            await forever()


class Text(Ending, AsyncStreamView):
    """The same as text."""

    async def stream(self):
        async with self.noted():
            yield "first"
            await forever()


class Silent(Ending, AsyncStreamView):
    """Sends nothing."""

    async def stream(self):
        async with self.noted():
            await forever()
            yield "never"


def of(*parts, base=AsyncStreamView, **attributes):
    """A view that streams these, of which it raises exceptions."""

    async def stream(self):
        for part in parts:
            if isinstance(part, BaseException):
                raise part
            yield part

    name = "events" if issubclass(base, ServerSentEventsView) else "stream"
    return type("Parts", (base,), {name: stream, **attributes})


async def until_sent(request, part):
    async with asyncio.timeout(SECONDS):
        while part not in request.body:
            request.news.clear()
            await request.news.wait()


def handles_in_tasks(client):
    """
    Whether the handler makes one task more, for a request and its response.

    Until Django 6.0 goes: Django's own handler does. It leaves that task alone if a
    server cancels the handler while it waits for it.
    """
    return django.VERSION < (6, 1) and type(client.app) is ASGIHandler


def members(body):
    """
    Decompress what has come of a gzip body so far.

    Until Django 5.2 goes: there each part is a member of its own.
    """
    text = b""
    while body:
        decompressor = zlib.decompressobj(31)
        text += decompressor.decompress(body)
        body = decompressor.unused_data
    return text


def is_gzip(request):
    return request.headers["content-encoding"] == "gzip"


def plain(request):
    return members(request.body) if is_gzip(request) else request.body


@async_only_middleware
def read_first(get_response):
    """Middleware that answers with the first parts, and closes nothing."""

    async def answer(request):
        response = await get_response(request)
        left = int(request.GET["parts"])
        body = b""
        if left:
            async for part in response.streaming_content:
                body += part
                left -= 1
                if not left:
                    break
        return HttpResponse(body)

    return answer


@async_only_middleware
def put_other_parts(get_response):
    """Middleware that reads none of the parts, and gives others."""

    async def answer(request):
        response = await get_response(request)
        response.streaming_content = ["other"]
        return response

    return answer


class StreamTestCase(SimpleTestCase):
    """Serves a view at / on both handlers, each on an event loop of its own."""

    def serve(self, view, main, **settings):
        patterns = (path("", view.as_view() if isinstance(view, type) else view),)
        settings = {"MIDDLEWARE": [], **settings}
        for make in (ASGIHandler, get_asgi_application):
            with (
                self.subTest(handler=make.__name__),
                override_settings(ROOT_URLCONF=patterns, **settings),
                asyncio.Runner(loop_factory=ClockLoop) as runner,
            ):
                runner.run(self.watched(main, Client(make())))
            self.assertEqual(+_limits._taken, {})

    async def watched(self, main, client):
        async with asyncio.timeout(SECONDS):
            await main(client)
            # Who has listened for the client is cancelled, and ends in the next turn.
            await asyncio.sleep(0)
        # Nothing is left but this, and what the loop's own executors do.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        self.assertEqual(left, set())
        self.assertEqual(_shutdown._open.get(asyncio.get_running_loop()), None)

    def assertAnswers(self, view, body, **options):
        async def main(client):
            request = await client.get("/", **options)
            self.assertEqual(request.body, body)

        self.serve(view, main)


class PartsTests(StreamTestCase):
    def test_kinds_of_parts(self):
        parts = ["ä", b"\xff", bytearray(b"a"), memoryview(b"b"), "", "end"]
        self.assertAnswers(of(*parts), b"\xc3\xa4\xffabend")

    def test_what_encode_takes(self):
        view = of(1, 2, encode=lambda self, item: b"%d;" % item)
        self.assertAnswers(view, b"1;2;")

    def test_text_that_is_translated_lazily(self):
        self.assertAnswers(of(lazystr("text")), b"text")
        self.assertAnswers(
            of(
                lazystr("text"),
                Event(lazystr("data"), comment=lazystr("comment")),
                base=ServerSentEventsView,
                retry=5,
            ),
            b"retry: 5\n\ndata: text\n\n: comment\ndata: data\n\n",
        )

    def test_what_encode_has_to_return(self):
        """Django would send nothing for None, and the text of a bytearray."""

        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                request = await client.get("/")
            self.assertEqual(request.body, b"")
            self.assertIn("Parts.encode() returned", logs.output[0])

        for wrong in (None, bytearray(b"a"), "a", 1):
            self.serve(of(1, encode=lambda self, item, wrong=wrong: wrong), main)

    def test_events(self):
        parts = ["text", {"a": 1}, Event("x", id="1", event="e"), None]
        self.assertAnswers(
            of(*parts, base=ServerSentEventsView, retry=5),
            b'retry: 5\n\ndata: text\n\ndata: {"a": 1}\n\n'
            b"event: e\nid: 1\ndata: x\n\ndata: null\n\n",
        )

    def test_headers(self):
        async def main(client):
            for method in ("GET", "HEAD"):
                request = await client.get("/", method)
                headers = request.headers
                self.assertEqual(headers["content-type"], "text/event-stream")
                self.assertEqual(headers["cache-control"], "no-store, no-transform")
                self.assertEqual(headers["x-accel-buffering"], "no")
                self.assertNotIn("connection", headers)
                self.assertNotIn("content-length", headers)

        self.serve(of("x", base=ServerSentEventsView), main)

    def test_head_begins_nothing(self):
        class View(Events):
            async def events(self):
                raise AssertionError("It was begun.")
                yield

        async def main(client):
            self.assertEqual((await client.get("/", "HEAD")).body, b"")

        self.serve(View, main)

    def test_methods(self):
        async def main(client):
            self.assertEqual((await client.get("/", "POST")).status, 405)
            options = await client.get("/", "OPTIONS")
            self.assertEqual(options.headers["allow"], "GET, HEAD, OPTIONS")

        self.serve(of("x"), main)

        async def posts(client):
            self.assertEqual((await client.get("/", "POST")).body, b"x")
            self.assertEqual((await client.get("/")).status, 405)

        self.serve(of("x", http_method_names=["post"]), posts)

    def test_a_post_needs_its_csrf_token(self):
        async def main(client):
            request = await client.get("/", "POST", body=b"a=1")
            self.assertEqual(request.status, 403)

        middleware = ["django.middleware.csrf.CsrfViewMiddleware"]
        view = of("x", http_method_names=["post"])
        self.serve(view, main, MIDDLEWARE=middleware)

    def test_prepare(self):
        for answer, status in (
            (Http404(), 404),
            (PermissionDenied(), 403),
            (HttpResponseRedirect("/x/"), 302),
            (HttpResponse("whole"), 200),
        ):

            class View(Events):
                async def prepare(self, answer=answer):
                    if isinstance(answer, Exception):
                        raise answer
                    return answer

            async def main(client, status=status):
                for method in ("GET", "HEAD"):
                    self.assertEqual((await client.get("/", method)).status, status)

            self.serve(View, main)

    def test_what_is_no_async_generator(self):
        async def coroutine(self):
            return []

        def generator(self):
            yield "x"

        for function in (coroutine, generator, lambda self: None):
            view = type("View", (AsyncStreamView,), {"stream": function})
            with warnings.catch_warnings():
                warnings.simplefilter("error")

                async def main(client):
                    self.assertEqual((await client.get("/")).status, 500)

                with self.assertLogs("django.request", "ERROR") as logs:
                    self.serve(view, main)
            self.assertIn("Write `async def stream(self)`", logs.output[0])

    def test_one_part_ahead(self):
        made = []

        class View(AsyncStreamView):
            async def stream(self):
                for number in range(5):
                    made.append(number)
                    yield str(number)

        async def main(client):
            made.clear()
            request = client.begin("/", reads=False)
            await request.begun()
            await turns()
            self.assertEqual(made, [])
            request.reads.set()
            await request.answer()
            self.assertEqual(request.body, b"01234")

        self.serve(View, main)

    def test_one_that_awaits_nothing_lets_others_in(self):
        class View(AsyncStreamView):
            async def stream(self):
                while True:
                    yield "x"

        class Nothing(AsyncStreamView):
            async def stream(self):
                while True:
                    yield ""

        async def main(client):
            request = client.begin("/")
            await request.begun()
            await turns(50)
            request.gone.set()
            await request.answer()

        self.serve(View, main)
        self.serve(Nothing, main)


class PiecesTests(SimpleTestCase):
    """What a server gets at once stays below what it may send without waiting."""

    LARGEST = 65_535

    def pieces(self, part):
        return [*_stream_response._pieces(part)]

    def test_each_size(self):
        largest = _stream_response._LARGEST
        self.assertLessEqual(largest, self.LARGEST)
        for size in (0, 1, largest - 1, largest, largest + 1, 3 * largest, 200_001):
            with self.subTest(size=size):
                part = bytes(number % 251 for number in range(size))
                pieces = self.pieces(part)
                self.assertEqual(b"".join(pieces), part)
                self.assertLessEqual(max(map(len, pieces)), largest)

    async def test_of_a_response(self):
        class View(AsyncStreamView):
            async def stream(self):
                yield b"x" * 200_000
                yield b"y"

        with override_settings(ROOT_URLCONF=(path("", View.as_view()),)):
            response = await self.async_client.get("/")
            pieces = [piece async for piece in aiter(response)]
        self.assertEqual(b"".join(pieces), b"x" * 200_000 + b"y")
        self.assertLessEqual(max(map(len, pieces)), self.LARGEST)


class OneTaskTests(StreamTestCase):
    def test_context_variables(self):
        variable = contextvars.ContextVar("variable")

        class View(AsyncStreamView):
            async def stream(self):
                token = variable.set("mine")
                yield "a"
                await asyncio.sleep(0)
                yield variable.get()
                variable.reset(token)

        self.assertAnswers(View, b"amine")

    def test_one_task_for_all_parts(self):
        class View(AsyncStreamView):
            async def stream(self):
                tasks = set()
                for _ in range(10):
                    tasks.add(asyncio.current_task())
                    yield ""
                    await asyncio.sleep(0)
                yield str(len(tasks))

        self.assertAnswers(View, b"1")

    def test_a_timeout_where_it_awaits(self):
        class View(AsyncStreamView):
            async def stream(self):
                try:
                    async with asyncio.timeout(SOON):
                        yield "a"
                        await forever()
                except TimeoutError:
                    yield "timeout"

        self.assertAnswers(View, b"atimeout")

    def test_a_timeout_while_its_client_does_not_read(self):
        class View(AsyncStreamView):
            async def stream(self):
                try:
                    async with asyncio.timeout(SOON):
                        while True:
                            yield "a"
                except TimeoutError:
                    yield "timeout"

        async def main(client):
            request = client.begin("/", reads=False)
            await request.begun()
            await asyncio.sleep(2 * SOON)
            request.reads.set()
            await request.answer()
            self.assertTrue(request.body.endswith(b"timeout"))

        self.serve(View, main)

    def test_a_task_group(self):
        class View(AsyncStreamView):
            async def stream(self):
                async def fail():
                    await asyncio.sleep(0)
                    raise ValueError

                try:
                    async with asyncio.TaskGroup() as group:
                        yield "a"
                        group.create_task(fail())
                        await forever()
                except* ValueError:
                    pass
                yield "caught"

        self.assertAnswers(View, b"acaught")

    def test_tasks_of_a_client(self):
        async def main(client):
            before = len(asyncio.all_tasks())
            request = client.begin("/")
            await until_sent(request, b"first")
            # The request, its listener, the generator.
            tasks = 3
            if handles_in_tasks(client):
                tasks += 1
            self.assertEqual(len(asyncio.all_tasks()) - before, tasks)
            request.gone.set()
            await request.answer()

        self.serve(Events, main)


class GoneTests(StreamTestCase):
    def test_while_it_waits(self):
        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"first")
            request.gone.set()
            await request.answer()
            self.assertTrue(Events.ended.is_set())

        self.serve(Events, main)

    def test_while_the_client_does_not_read(self):
        async def main(client):
            request = client.begin("/", reads=False)
            await request.begun()
            request.sent.clear()
            request.reads.set()
            request.reads.clear()
            await request.news.wait()
            request.gone.set()
            await request.answer()

        self.serve(Events, main)

    def test_a_second_cancellation_waits(self):
        """As of Daphne, which cancels what has begun to end."""

        class View(AsyncStreamView):
            async def stream(self):
                try:
                    yield "first"
                    await forever()
                finally:
                    View.ends.set()
                    await View.may_end.wait()
                    View.ended = True

        async def main(client):
            View.ends, View.may_end, View.ended = asyncio.Event(), asyncio.Event(), 0
            request = client.begin("/")
            await until_sent(request, b"first")
            if handles_in_tasks(client):
                request.gone.set()
            else:
                request.task.cancel()
            await View.ends.wait()
            for _ in range(3):
                request.task.cancel()
                await asyncio.sleep(0)
            self.assertFalse(request.task.done())
            View.may_end.set()
            with contextlib.suppress(asyncio.CancelledError):
                await request.task
            self.assertTrue(View.ended)

        self.serve(View, main)

    def test_what_it_awaits_is_cancelled(self):
        class View(ServerSentEventsView):
            async def events(self):
                try:
                    yield "first"
                    await forever()
                except asyncio.CancelledError:
                    View.cancelled = True
                    raise

        async def main(client):
            View.cancelled = False
            request = client.begin("/")
            await until_sent(request, b"first")
            request.gone.set()
            await request.answer()
            self.assertTrue(View.cancelled)

        self.serve(View, main)

    def test_one_that_does_not_end(self):
        class View(AsyncStreamView):
            close_timeout = SOON

            async def stream(self):
                yield "first"
                while not View.may_end.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await View.may_end.wait()

        async def main(client):
            View.may_end = asyncio.Event()
            request = client.begin("/")
            await until_sent(request, b"first")
            request.gone.set()
            with self.assertLogs("django.request", "ERROR") as logs:
                await request.answer()
            self.assertIn("View.stream() did not end in 0.02 s", logs.output[0])
            View.may_end.set()
            await turns()

        self.serve(View, main)

    def test_one_that_yields_when_it_is_cancelled(self):
        class View(AsyncStreamView):
            async def stream(self):
                try:
                    yield "first"
                    yield "second"
                finally:
                    yield "never"

        async def main(client):
            request = client.begin("/", reads=False)
            await request.begun()
            request.sent.clear()
            request.gone.set()
            await request.answer()

        self.serve(View, main)

    def test_one_that_yields_where_it_is_cancelled(self):
        class View(Ending, AsyncStreamView):
            async def stream(self):
                async with self.noted():
                    yield "first"
                    yield "second"
                    View.waits.set()
                    with contextlib.suppress(asyncio.CancelledError):
                        await forever()
                    yield "never"
                    await forever()

        async def main(client):
            View.waits = asyncio.Event()
            # The second part waits for the client.
            request = client.begin("/", reads=False)
            await request.begun()
            request.reads.set()
            request.reads.clear()
            await View.waits.wait()
            request.gone.set()
            with self.assertNoLogs("django.request", "ERROR"):
                await request.answer()
            self.assertTrue(View.ended.is_set())

        self.serve(View, main)

    def test_an_iterator_that_is_no_generator_is_closed(self):
        class Parts:
            def __init__(self):
                self.parts = ["first"]
                View.ended = asyncio.Event()

            def __aiter__(self):
                return self

            async def __anext__(self):
                if self.parts:
                    return self.parts.pop()
                return await forever()

            async def aclose(self):
                await asyncio.sleep(0)
                View.ended.set()

        class View(AsyncStreamView):
            def stream(self):
                return Parts()

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"first")
            request.gone.set()
            await request.answer()
            self.assertTrue(View.ended.is_set())

        self.serve(View, main)

    def test_one_that_fails_at_its_end(self):
        class View(AsyncStreamView):
            async def stream(self):
                try:
                    yield "first"
                    await forever()
                finally:
                    raise ValueError("at the end")

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"first")
            request.gone.set()
            with self.assertLogs("django.request", "ERROR") as logs:
                await request.answer()
            self.assertEqual(len(logs.records), 1)

        self.serve(View, main)

    def test_send_timeout(self):
        class View(Text):
            send_timeout = SOON

        async def main(client):
            request = client.begin("/", reads=False)
            # The start of the response is read, the first part is not.
            await request.begun()
            request.reads.set()
            request.reads.clear()
            request.news.clear()
            await request.news.wait()
            await request.answer()
            self.assertTrue(View.ended.is_set())
            # So the server cuts it off.
            self.assertNotIn({"type": "http.response.body"}, request.sent)

        self.serve(View, main)

    def test_a_client_that_reads_a_large_part_slowly(self):
        size = 4 * _stream_response._LARGEST

        async def main(client):
            request = client.begin("/", reads=False)
            await request.begun()
            for _ in range(4):
                request.reads.set()
                request.reads.clear()
                await turns()
                pass_time(1.5 * LATER)
                await turns()
            request.reads.set()
            await request.answer()
            self.assertEqual(len(request.body), size)
            self.assertEqual(request.sent[-1], {"type": "http.response.body"})

        self.serve(of(b"x" * size, send_timeout=2.5 * LATER), main)

    def test_a_response_that_nobody_reads(self):
        view = Events.as_view()

        async def main():
            response = await view(RequestFactory().get("/"))
            found = weakref.ref(response)
            del response
            gc.collect()
            self.assertIsNone(found())
            response = await view(RequestFactory().get("/"))
            response.close()
            self.assertEqual(+_limits._taken, {})

        asyncio.run(main())

    def test_a_response_in_whose_place_a_middleware_gives_another(self):
        view = of("a", "b", limit=5)

        async def main(client):
            for parts, body in ((0, b""), (1, b"a"), (2, b"ab"), (3, b"ab")):
                request = await client.get(f"/?parts={parts}")
                self.assertEqual(request.body, body)
                del request
                gc.collect()
                await turns()
                self.assertEqual(+_limits._taken, {})

        self.serve(view, main, MIDDLEWARE=[f"{__name__}.read_first"])

    def test_a_response_to_which_a_middleware_gives_other_parts(self):
        async def main(client):
            request = await client.get("/")
            self.assertEqual(request.body, b"other")
            self.assertEqual(request.sent[-1], {"type": "http.response.body"})

        view = of("a", limit=5)
        self.serve(view, main, MIDDLEWARE=[f"{__name__}.put_other_parts"])

    def test_a_response_whose_event_loop_has_ended(self):
        view = of("a", "b", limit=5)
        responses = []

        async def read_one():
            responses.append(await view.as_view()(RequestFactory().get("/")))
            self.assertEqual(await anext(responses[0].streaming_content), b"a")

        asyncio.run(read_one())
        self.assertEqual(len(_shutdown._open), 1)
        responses.clear()
        gc.collect()
        self.assertEqual(_shutdown._open, {})
        self.assertEqual(+_limits._taken, {})

    def test_a_response_that_is_closed_by_the_test_client(self):
        async def main(client):
            response = await self.async_client.get("/")
            async for _ in response.streaming_content:
                break
            del response
            for _ in range(3):
                await turns()
                gc.collect()
            await turns()

        self.serve(Events, main)


class TimesTests(StreamTestCase):
    def test_heartbeat(self):
        class View(Events):
            heartbeat = SOON

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"data: first\n\n:\n\n:\n\n")
            request.gone.set()
            await request.answer()

        self.serve(View, main)

    def test_no_heartbeat_without_bytes(self):
        class View(Text):
            heartbeat = LATER

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"first")
            sent = [*request.sent]
            pass_time(LATER)
            await turns()
            # Nor a part of no bytes.
            self.assertEqual(request.sent, sent)
            request.gone.set()
            await request.answer()

        self.serve(View, main)

    def test_max_duration(self):
        class View(Events):
            max_duration = LATER

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"first")
            await turns()
            self.assertFalse(View.ended.is_set())
            # It may take 10 % more.
            pass_time(1.1 * LATER)
            await request.answer()
            self.assertTrue(View.ended.is_set())
            first, last = request.text.split("data: first\n\n")
            self.assertEqual(first, "retry: 7\n\n")
            self.assertRegex(last, r"^retry: \d+\n\n$")
            self.assertEqual(request.sent[-1], {"type": "http.response.body"})

        self.serve(View, main)

    def test_max_duration_of_one_that_is_busy(self):
        class View(AsyncStreamView):
            max_duration = SOON

            async def stream(self):
                while True:
                    yield "x"

        async def main(client):
            await client.get("/")

        self.serve(View, main)

    def test_may_continue(self):
        for verdict in (False, None, "yes"):

            class View(Events):
                recheck = LATER

                async def may_continue(self, verdict=verdict):
                    await asyncio.sleep(0)
                    View.asked += 1
                    return True if View.asked < 3 else verdict

            async def main(client):
                View.asked = 0
                request = client.begin("/")
                await until_sent(request, b"first")
                for asked in range(1, 4):
                    pass_time(LATER)
                    await turns()
                    self.assertEqual(View.asked, asked)
                await request.answer()
                self.assertNotIn("stream-error", request.text)

            self.serve(View, main)

    def test_may_continue_fails(self):
        class View(Events):
            recheck = SOON

            async def may_continue(self):
                raise ValueError

        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                request = await client.get("/")
            self.assertEqual(len(logs.records), 1)
            self.assertIn("stream-error", request.text)

        self.serve(View, main)

    def test_may_continue_that_is_sync(self):
        """Nobody stays by what nobody has awaited."""

        class View(Events):
            recheck = SOON

            def may_continue(self):
                return True

        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                request = await client.get("/")
            self.assertIn("async def may_continue()", logs.output[0])
            self.assertIn("stream-error", request.text)

        self.serve(View, main)

    def test_may_continue_of_one_that_is_busy(self):
        class View(AsyncStreamView):
            recheck = SOON

            async def may_continue(self):
                return False

            async def stream(self):
                while True:
                    yield "x"

        async def main(client):
            await client.get("/")

        self.serve(View, main)


class FailureTests(StreamTestCase):
    def test_events(self):
        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                request = await client.get("/")
            (record,) = logs.records
            self.assertEqual(record.status_code, 500)
            self.assertEqual(record.request.path, "/")
            self.assertIs(record.exc_info[0], ValueError)
            self.assertTrue(
                request.text.endswith(
                    "event: stream-error\nretry: 10000\n"
                    'data: {"error": "Internal Server Error"}\n\n'
                )
            )
            self.assertEqual(request.sent[-1], {"type": "http.response.body"})

        self.serve(of("first", ValueError(), base=ServerSentEventsView), main)

    def test_others_are_cut_off(self):
        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                request = await client.get("/")
            self.assertEqual(len(logs.records), 1)
            self.assertEqual(request.body, b"first")
            self.assertTrue(request.sent[-1]["more_body"])

        for error in (ValueError(), TimeoutError(), asyncio.CancelledError()):
            self.serve(of("first", error), main)
        # What cannot be encoded.
        self.serve(of("first", 1), main)

    def test_what_is_no_exception_is_logged_once(self):
        class Stop(BaseException):
            """Of a library, for example."""

        class View(AsyncStreamView):
            async def stream(self):
                yield "first"
                raise Stop

        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                request = await client.get("/")
            self.assertEqual(len(logs.records), 1)
            self.assertTrue(request.sent[-1]["more_body"])

        # asyncio logs an error that nobody takes from its task, when that is collected.
        with self.assertNoLogs("asyncio"):
            self.serve(View, main)
            gc.collect()

    def test_what_is_cut_off_is_closed(self):
        finished = []

        def note(**kwargs):
            finished.append(kwargs)

        async def main(client):
            finished.clear()
            with self.assertLogs("django.request", "ERROR"):
                await client.get("/")
            self.assertEqual(len(finished), 1)

        request_finished.connect(note)
        self.addCleanup(request_finished.disconnect, note)
        self.serve(of("first", ValueError()), main)

    def test_before_the_first_part(self):
        async def main(client):
            with self.assertLogs("django.request", "ERROR"):
                request = await client.get("/")
            self.assertEqual(request.body, b"")

        self.serve(of(ValueError()), main)

    def test_it_is_logged_off_the_event_loop(self):
        threads = []

        class Handler(logging.Handler):
            def emit(self, record):
                threads.append(threading.current_thread())

        async def main(client):
            logger, handler = logging.getLogger("django.request"), Handler()
            logger.addHandler(handler)
            self.addCleanup(logger.removeHandler, handler)
            await client.get("/")
            self.assertNotIn(threading.current_thread(), threads)
            self.assertEqual(len(threads), 1)
            threads.clear()

        self.serve(of(ValueError(), base=ServerSentEventsView), main)

    def test_where_the_server_does_not_cut(self):
        async def main(client):
            with self.assertLogs("django.request", "ERROR"):
                request = await client.get("/")
            self.assertEqual(request.body, b"first, and no more")
            self.assertEqual(request.sent[-1], {"type": "http.response.body"})

        with mock.patch("django_async_cbv.views._pump.cuts_off", return_value=False):
            view = of("first", ValueError(), failure_note=b", and no more")
            self.serve(view, main)


def _exit_with_a_stream(watches):
    """The main thread of a process whose server has a stream open."""
    import asyncio
    import sys
    import threading

    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.urls import path

    from django_async_cbv.sync import run_sync
    from django_async_cbv.views.streaming import AsyncStreamView
    from tests.serve.driving import Client

    class View(AsyncStreamView):
        ends_with_server = watches

        async def stream(self):
            try:
                yield "first"
                await asyncio.Event().wait()
            finally:
                # At the exit itself, no thread may begin any more.
                await run_sync(print, "closed in a worker thread")

    begun = threading.Event()

    async def serve():
        client = Client(ASGIHandler())
        request = client.begin("/")
        while b"first" not in request.body:
            request.news.clear()
            await request.news.wait()
        begun.set()
        while request.sent[-1] != {"type": "http.response.body"}:
            request.news.clear()
            await request.news.wait()
        print("the last chunk", flush=True)
        await asyncio.Event().wait()

    settings.configure(
        SECRET_KEY="of a process that exits",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=(path("", View.as_view()),),
    )
    django.setup()
    threading.Thread(target=asyncio.run, args=[serve()], daemon=True).start()
    begun.wait()
    sys.exit(3)


class EndOfServerTests(StreamTestCase):
    async def ends(self, client, end):
        requests = [client.begin("/") for _ in range(5)]
        for request in requests:
            await until_sent(request, b"first")
        end()
        for request in requests:
            await request.answer()
            self.assertEqual(request.sent[-1], {"type": "http.response.body"})
        return requests

    def test_end_streams(self):
        async def main(client):
            for request in await self.ends(client, end_streams):
                last = request.text.partition("data: first\n\n")[2]
                self.assertRegex(last, r"^retry: (7|8|9|1\d|2[01])\n\n$")
            # Others may begin.
            request = client.begin("/")
            await until_sent(request, b"first")
            request.gone.set()
            await request.answer()

        self.serve(Events, main)

    def test_end_streams_in_another_thread(self):
        async def main(client):
            await self.ends(client, threading.Thread(target=end_streams).start)

        self.serve(Text, main)

    def test_a_signal(self):
        heard = []

        async def main(client):
            before = signal.signal(signal.SIGTERM, lambda *_: heard.append("signal"))
            try:
                await self.ends(client, lambda: signal.raise_signal(signal.SIGTERM))
                self.assertEqual(heard, ["signal"])
                heard.clear()
                # What begins now ends at once.
                request = await client.get("/")
                self.assertRegex(request.text, r"^retry: \d+\n\n$")
            finally:
                signal.signal(signal.SIGTERM, before)

        self.serve(Events, main)

    def test_a_signal_of_the_loop(self):
        heard = []

        async def main(client):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, heard.append, "signal")
            try:
                await self.ends(client, lambda: signal.raise_signal(signal.SIGTERM))
                self.assertEqual(heard, ["signal"])
                heard.clear()
            finally:
                loop.remove_signal_handler(signal.SIGTERM)

        self.serve(Events, main)

    def test_handlers_are_chained_once(self):
        async def main(client):
            def handler(*_):
                pass

            before = signal.signal(signal.SIGTERM, handler)
            try:
                await client.get("/")
                await client.get("/")
                self.assertIs(signal.getsignal(signal.SIGTERM).before, handler)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                await client.get("/")
                self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)
            finally:
                signal.signal(signal.SIGTERM, before)

        self.serve(of("x"), main)

    def test_it_can_be_turned_off(self):
        async def main(client):
            def handler(*_):
                pass

            before = signal.signal(signal.SIGTERM, handler)
            try:
                await client.get("/")
                self.assertIs(signal.getsignal(signal.SIGTERM), handler)
            finally:
                signal.signal(signal.SIGTERM, before)

        self.serve(of("x", ends_with_server=False), main)

    def test_a_signal_ends_no_stream_that_has_it_turned_off(self):
        """Also not where another stream of the process hears the signal."""

        class Stays(Text):
            ends_with_server = False

        async def view(request):
            cls = Stays if request.GET else Text
            return await cls.as_view()(request)

        async def main(client):
            before = signal.signal(signal.SIGTERM, lambda *_: None)
            try:
                stays = client.begin("/?stays")
                await until_sent(stays, b"first")
                await self.ends(client, lambda: signal.raise_signal(signal.SIGTERM))
                late = client.begin("/?stays")
                await until_sent(late, b"first")
                await turns()
                for request in (stays, late):
                    self.assertFalse(request.task.done())
            finally:
                signal.signal(signal.SIGTERM, before)
            end_streams()
            for request in (stays, late):
                await request.answer()

        self.serve(view, main)

    def test_a_process_that_exits(self):
        """Its server runs in a daemon thread, as that of `runserver` does."""
        # Also a stream that a server would wait for: nobody waits here.
        for watches in (True, False):
            source = inspect.getsource(_exit_with_a_stream)
            run = subprocess.run(
                [sys.executable, "-c", f"{source}\n_exit_with_a_stream({watches})"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            with self.subTest(watches=watches):
                self.assertEqual(run.stderr, "")
                self.assertEqual(run.returncode, 3)
                said = ["closed in a worker thread", "the last chunk"]
                self.assertEqual(run.stdout.splitlines(), said)

    def test_the_exit_of_a_process_that_was_forked(self):
        """The streams are those of the process that it comes from."""

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"first")
            _shutdown._end_at_exit(os.getpid() + 1)
            await turns()
            self.assertFalse(request.task.done())
            end_streams()
            await request.answer()

        self.serve(Text, main)

    def test_a_client_that_does_not_read(self):

        async def main(client):
            request = client.begin("/", reads=False)
            await request.begun()
            request.reads.set()
            request.reads.clear()
            request.news.clear()
            await request.news.wait()
            end_streams()
            await request.answer()

        with mock.patch("django_async_cbv.views._pump._LAST", SOON):
            self.serve(Text, main)


class LimitTests(StreamTestCase):
    def test_events_over_the_limit(self):
        class View(Events):
            limit = 1

        async def main(client):
            first = client.begin("/")
            await until_sent(first, b"first")
            second = await client.get("/")
            self.assertEqual(second.status, 200)
            self.assertRegex(second.text, r"^retry: \d{5}\n\n$")
            first.gone.set()
            await first.answer()
            third = client.begin("/")
            await until_sent(third, b"first")
            third.gone.set()
            await third.answer()

        self.serve(View, main)

    def test_others_over_the_limit(self):
        class View(Text):
            limit = 1

        class Retry(Events):
            limit = 1
            overload = "503"

        async def main(client):
            first = client.begin("/")
            await until_sent(first, b"first")
            second = await client.get("/")
            self.assertEqual(second.status, 503)
            self.assertIn(int(second.headers["retry-after"]), range(5, 16))
            first.gone.set()
            await first.answer()

        self.serve(View, main)
        self.serve(Retry, main)

    def test_limit_per_user(self):
        class View(Events):
            limit_per_user = 1

            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                request.user = User(pk=int(request.GET["user"]))

        async def main(client):
            one = client.begin("/?user=1")
            await until_sent(one, b"first")
            self.assertNotIn("first", (await client.get("/?user=1")).text)
            other = client.begin("/?user=2")
            await until_sent(other, b"first")
            for request in (one, other):
                request.gone.set()
                await request.answer()

        self.serve(View, main)

    def test_a_process_that_was_forked_has_no_streams(self):
        view = of("a", limit=1).as_view()

        async def main():
            responses = [await view(RequestFactory().get("/"))]
            with mock.patch("os.getpid", return_value=os.getpid() + 1):
                responses.append(await view(RequestFactory().get("/")))
                responses.append(await view(RequestFactory().get("/")))
            self.assertEqual([one.status_code for one in responses], [200, 200, 503])

        asyncio.run(main())
        gc.collect()
        self.assertEqual(+_limits._taken, {})

    def test_it_is_freed_however_a_stream_ends(self):
        async def main(client):
            for _ in range(3):
                await client.get("/")

        for view in (
            of("x"),
            of(ValueError(), base=ServerSentEventsView),
            of("x", ValueError()),
            of("x", max_duration=0),
        ):
            view.limit = view.limit_per_user = 1
            with contextlib.suppress(AssertionError), self.assertLogs("django.request"):
                self.serve(view, main)


class RefusedTests(TestCase):
    """Of each kind of access control, a refused browser gets 403 from a stream."""

    class Ours(AsyncLoginRequiredMixin, Events):
        pass

    class Permission(AsyncPermissionRequiredMixin, Events):
        permission_required = "auth.nothing"

    class Passes(AsyncUserPassesTestMixin, Events):
        async def atest_func(self):
            return False

    class Djangos(LoginRequiredMixin, Events):
        pass

    @method_decorator(login_required, name="dispatch")
    class Decorated(Events):
        pass

    @method_decorator(login_required(redirect_field_name="back"), name="dispatch")
    class Named(Events):
        pass

    VIEWS = (Ours, Permission, Passes, Djangos, Decorated, Named)
    STREAM = {"headers": {"Accept": "text/event-stream"}}

    async def test_anonymous_users(self):
        for view in self.VIEWS:
            with (
                self.subTest(view=view),
                override_settings(ROOT_URLCONF=(path("", view.as_view()),)),
            ):
                response = await self.async_client.get("/?a=1", **self.STREAM)
                self.assertEqual(response.status_code, 403)
                # A page, as before.
                response = await self.async_client.get("/?a=1")
                self.assertEqual(response.status_code, 302)

    async def test_users(self):
        user = await User.objects.acreate(username="ann")
        await self.async_client.aforce_login(user)
        for view in (self.Ours, self.Djangos, self.Decorated):
            with (
                self.subTest(view=view),
                override_settings(ROOT_URLCONF=(path("", view.as_view()),)),
            ):
                response = await self.async_client.get("/", **self.STREAM)
                async with open_stream(response) as stream:
                    event = await anext(stream.events())
                self.assertEqual(event.data, "first")

    async def test_redirects_before_the_view(self):
        """The view is not called, and cannot say that it is a stream."""
        outside = login_required(Events.as_view())
        middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
        for view, more in ((outside, []), (Events.as_view(), [middleware])):
            with (
                self.subTest(more),
                override_settings(
                    ROOT_URLCONF=(path("", view),),
                    MIDDLEWARE=[*settings.MIDDLEWARE, *more],
                ),
            ):
                # A new one, as a client keeps its middleware.
                response = await AsyncClient().get("/", **self.STREAM)
                self.assertEqual(response.status_code, 302)

    async def test_a_mixin_in_place_of_the_middleware(self):
        view = method_decorator(login_not_required, name="dispatch")(self.Ours)
        with override_settings(
            ROOT_URLCONF=(path("", view.as_view()),),
            MIDDLEWARE=[
                *settings.MIDDLEWARE,
                "django.contrib.auth.middleware.LoginRequiredMiddleware",
            ],
        ):
            response = await self.async_client.get("/", **self.STREAM)
            self.assertEqual(response.status_code, 403)

    async def test_redirects_elsewhere_stay(self):
        class View(Events):
            async def prepare(self):
                return HttpResponseRedirect("/other/?next=/third/")

        with override_settings(ROOT_URLCONF=(path("", View.as_view()),)):
            response = await self.async_client.get("/", **self.STREAM)
            self.assertEqual(response.status_code, 302)


class ConditionalTests(StreamTestCase):
    """The client has this already: no generator begins, and no place is taken."""

    MIDDLEWARE = ("django.middleware.http.ConditionalGetMiddleware",)
    TAG = '"7"'
    HAS = ((b"if-none-match", TAG.encode()),)

    class Never:
        limit = 1

        async def stream(self):
            raise AssertionError("It was begun.")
            yield

        events = aget_rows = stream

    class Whole:
        limit = 1

        async def stream(self):
            yield "first"

        events = stream

        async def aget_rows(self):
            return [["first"]]

    VIEWS = (AsyncStreamView, ServerSentEventsView, CSVView, NDJSONView)

    def is_answered(self, decorate, methods=("GET", "HEAD", "GET"), **settings):
        for base in self.VIEWS:
            has = type("Has", (self.Never, base), {})
            has_not = type("HasNot", (self.Whole, base), {})

            async def not_modified(client):
                for method in methods:
                    request = await client.get("/", method, headers=self.HAS)
                    self.assertEqual(request.status, 304)
                    self.assertEqual(request.headers["etag"], self.TAG)
                    self.assertEqual(request.body, b"")

            async def modified(client):
                for tag in (b'"6"', b""):
                    headers = [(b"if-none-match", tag)] if tag else []
                    request = await client.get("/", headers=headers)
                    self.assertEqual(request.status, 200)
                    self.assertEqual(request.headers["etag"], self.TAG)
                    self.assertIn(b"first", request.body)

            with self.subTest(base=base):
                self.serve(decorate(has), not_modified, **settings)
                self.serve(decorate(has_not), modified, **settings)

    def test_condition(self):
        def etag_of(request):
            return self.TAG

        decorator = condition(etag_func=etag_of)
        self.is_answered(lambda view: decorator(view.as_view()))
        self.is_answered(method_decorator(decorator, name="dispatch"))

    def test_the_middleware(self):
        def decorate(view):
            async def tagged(request):
                response = await view.as_view()(request)
                response["ETag"] = self.TAG
                return response

            return tagged

        # It looks at no other method.
        self.is_answered(decorate, ["GET", "GET"], MIDDLEWARE=self.MIDDLEWARE)

    def test_the_middleware_leaves_streams_as_they_are(self):
        for base in self.VIEWS:

            async def main(client):
                request = await client.get("/", headers=self.HAS)
                self.assertEqual(request.status, 200)
                self.assertNotIn("etag", request.headers)
                self.assertIn(b"first", request.body)

            with self.subTest(base=base):
                view = type("Plain", (self.Whole, base), {})
                self.serve(view, main, MIDDLEWARE=self.MIDDLEWARE)


class GZipTests(StreamTestCase):
    MIDDLEWARE = ("django.middleware.gzip.GZipMiddleware",)
    HEADERS = ((b"accept-encoding", b"gzip"),)

    def test_each_part_is_flushed_and_the_end_is_heard(self):

        async def main(client):
            request = client.begin("/", headers=self.HEADERS)
            async with asyncio.timeout(SECONDS):
                text = b""
                while b"first" not in text:
                    request.news.clear()
                    await request.news.wait()
                    text = plain(request)
            self.assertEqual(is_gzip(request), COMPRESSES)
            request.gone.set()
            await request.answer()
            self.assertTrue(Events.ended.is_set())

        self.serve(Events, main, MIDDLEWARE=self.MIDDLEWARE)

    def test_whole(self):
        async def main(client):
            request = await client.get("/", headers=self.HEADERS)
            self.assertEqual(plain(request), b"abc")
            self.assertEqual(is_gzip(request), COMPRESSES)

        self.serve(of("a", "b", "c"), main, MIDDLEWARE=self.MIDDLEWARE)

    def test_a_client_that_does_not_read(self):
        async def main(client):
            request = client.begin("/", headers=self.HEADERS, reads=False)
            await request.begun()
            for _ in range(3):
                request.reads.set()
                await asyncio.sleep(0)
                request.reads.clear()
                await asyncio.sleep(0)
            request.gone.set()
            await request.answer()

        class View(Ending, AsyncStreamView):
            async def stream(self):
                async with self.noted():
                    while True:
                        yield "x" * 100

        self.serve(View, main, MIDDLEWARE=self.MIDDLEWARE)


class SyncCodeTests(TestCase):
    class Both(AsyncStreamView):
        async def stream(self):
            yield "async"

        def sync_stream(self):
            yield "sync"

    def test_what_only_streams_in_async_code_is_refused(self):
        with override_settings(ROOT_URLCONF=(path("", Events.as_view()),)):
            response = self.client.get("/")
            with self.assertRaisesMessage(ImproperlyConfigured, "uvicorn"):
                list(response)

    def test_under_wsgi_before_the_headers_leave(self):

        environ = RequestFactory().get("/").environ
        environ["wsgi.input"] = io.BytesIO()
        statuses = []
        with (
            override_settings(ROOT_URLCONF=(path("", Events.as_view()),)),
            self.assertLogs("django.request", "ERROR") as logs,
        ):
            response = WSGIHandler()(environ, lambda *args: statuses.append(args[0]))
            response.close()
        self.assertEqual(statuses, ["500 Internal Server Error"])
        self.assertIn('put "daphne" first', logs.output[0])

    def test_what_streams_in_both(self):
        for middleware in ([], ["django.middleware.gzip.GZipMiddleware"]):
            with override_settings(
                ROOT_URLCONF=(path("", self.Both.as_view()),), MIDDLEWARE=middleware
            ):
                headers = {"Accept-Encoding": "gzip"}
                response = self.client_class().get("/", headers=headers)
                body = b"".join(response)
                if middleware:
                    body = gzip.decompress(body)
                self.assertEqual(body, b"sync")

    async def test_what_streams_in_both_is_async_in_async_code(self):
        response = await self.Both.as_view()(RequestFactory().get("/"))
        self.assertIsInstance(response, StreamResponse)
        async with open_stream(response) as stream:
            self.assertEqual(await stream.read(), b"async")

    def test_head(self):
        with override_settings(ROOT_URLCONF=(path("", Events.as_view()),)):
            response = self.client.head("/")
            self.assertEqual(response["Content-Type"], "text/event-stream")


class LastEventIdTests(SimpleTestCase):
    def found(self, url="/", **headers):
        view = Events()
        view.setup(RequestFactory().get(url, headers=headers))
        return view.last_event_id

    def test_last_event_id(self):
        self.assertIsNone(self.found())
        self.assertEqual(self.found(**{"Last-Event-ID": "7"}), "7")
        self.assertEqual(self.found("/?last_event_id=8"), "8")
        self.assertEqual(self.found("/?last_event_id=8", **{"Last-Event-ID": "7"}), "7")
        latin = "ä".encode().decode("latin-1")
        self.assertEqual(self.found(**{"Last-Event-ID": latin}), "ä")
        self.assertIsNone(self.found(**{"Last-Event-ID": ""}))
        self.assertEqual(self.found(**{"Last-Event-ID": "x" * 255}), "x" * 255)
        self.assertIsNone(self.found(**{"Last-Event-ID": "x" * 256}))


class ChannelTests(StreamTestCase):
    def view(self, **attributes):
        channel = LocalChannel()
        attributes = {"channel": channel, "topics": ["news"], **attributes}
        return channel, type("View", (ChannelView,), attributes)

    def test_messages(self):
        channel, view = self.view()

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"retry")
            await turns()
            channel.publish("other", "not this")
            mark = channel.publish("news", {"a": 1}, event="update")
            await until_sent(
                request, f'event: update\nid: {mark}\ndata: {{"a": 1}}\n\n'.encode()
            )
            self.assertNotIn(b"not this", request.body)
            request.gone.set()
            await request.answer()

        self.serve(view, main)

    def test_resume_and_reset(self):
        channel, view = self.view()
        first = channel.publish("news", 1)
        last = channel.publish("news", 2)

        async def main(client):
            request = client.begin("/", headers=[(b"last-event-id", first.encode())])
            await until_sent(request, b"data: 2\n\n")
            self.assertNotIn(b"data: 1\n\n", request.body)
            request.gone.set()
            await request.answer()
            request = client.begin("/", headers=[(b"last-event-id", b"garbage")])
            reset = f"event: stream-reset\nid: {last}\ndata: {{}}\n\n"
            await until_sent(request, reset.encode())
            request.gone.set()
            await request.answer()

        self.serve(view, main)

    async def test_what_is_published_before_the_first_read_is_sent(self):
        """A page has the headers, and loads its data: no message may fall between."""
        channel, view = self.view()
        response = await view.as_view()(RequestFactory().get("/"))
        channel.publish("news", 1)
        async with open_stream(response) as stream:
            event = await anext(stream.events())
        self.assertEqual(event.data, "1")
        self.assertFalse(channel._log._pumps)

    async def test_a_browser_resumes_that_has_got_no_event(self):
        channel, view = self.view()
        channel.publish("news", "before")
        response = await view.as_view()(RequestFactory().get("/"))
        async with open_stream(response) as stream:
            [first] = re.findall(rb"id: (.+)\n\n", await anext(stream))
        channel.publish("news", "meanwhile")
        request = RequestFactory().get("/", headers={"Last-Event-ID": first.decode()})
        response = await view.as_view()(request)
        async with open_stream(response) as stream:
            # It knows where it is.
            self.assertNotIn(b"id:", await anext(stream))
            self.assertIn(b"data: meanwhile\n", await anext(stream))

    async def test_the_headers_do_not_wait_for_a_channel_that_is_away(self):
        """A proxy would give up, and its status would make the browser give up."""
        channel, view = self.view()
        is_back = asyncio.Event()
        join = channel._log.join

        async def join_later(mailbox, since):
            await is_back.wait()
            await join(mailbox, since)

        with (
            mock.patch.object(channel._log, "join", join_later),
            mock.patch.object(streaming, "_LONGEST_JOIN", 0),
        ):
            response = await view.as_view()(RequestFactory().get("/"))
            async with open_stream(response) as stream:
                self.assertEqual(await anext(stream), b"retry: 3000\n\n")
                is_back.set()
                await turns()
                channel.publish("news", 1)
                event = await anext(stream.events())
        self.assertEqual(event.data, "1")
        self.assertFalse(channel._log._pumps)

    async def test_a_response_that_is_never_read_leaves_no_subscription(self):
        channel, view = self.view()
        for method in ("get", "head"):
            response = await view.as_view()(getattr(RequestFactory(), method)("/"))
            self.assertEqual(bool(channel._log._pumps), method == "get")
            response.close()
            del response
            gc.collect()
            await turns()
            self.assertFalse(channel._log._pumps)

    async def test_a_channel_of_another_kind(self):
        """What subscribe() returns may be an async generator."""

        class Numbers:
            async def subscribe(self, *topics, since=None):
                yield Message("1", *topics, since)

        _, view = self.view(channel=Numbers())
        response = await view.as_view()(RequestFactory().get("/"))
        async with open_stream(response) as stream:
            self.assertEqual(
                await stream.read(), b"retry: 3000\n\nid: 1\ndata: null\n\n"
            )

    def test_topics(self):
        def get_topics(self):
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop()
                raise AssertionError("On the event loop.")
            return ["sync"]

        async def aget_topics(self):
            return [*await ChannelView.aget_topics(self), "async"]

        async def main(client):
            request = client.begin("/")
            await until_sent(request, b"retry")
            await turns()
            channel.publish(topic, "x")
            await until_sent(request, b"data: x\n\n")
            request.gone.set()
            await request.answer()

        for topic, attributes in (  # noqa: B007 - main() uses it
            ("sync", {"get_topics": get_topics}),
            ("async", {"aget_topics": aget_topics}),
        ):
            channel, view = self.view(**attributes)
            self.serve(view, main)

    def test_topics_that_would_be_skipped_are_refused(self):
        """A mixin that narrows the topics stands before who adds some."""

        class Narrow:
            def get_topics(self):
                return ["mine"]

        async def aget_topics(self):
            return ["all"]

        _, view = self.view(aget_topics=aget_topics)
        narrowed = type("Narrowed", (Narrow, view), {})
        with self.assertRaisesMessage(ImproperlyConfigured, "would be skipped"):
            narrowed.as_view()

    def test_what_is_missing(self):
        async def main(client):
            self.assertEqual((await client.get("/")).status, 500)

        for attributes, text in (
            ({"channel": None}, "has no channel"),
            ({"topics": []}, "has no topics"),
            ({"topics": "news"}, "Give a list: `topics = ['news']`"),
            ({"get_topics": lambda self: "news"}, "Give a list"),
            ({"topics": ["a\nb"]}, "printable"),
        ):
            with self.assertLogs("django.request", "ERROR") as logs:
                self.serve(self.view(**attributes)[1], main)
            self.assertIn(text, logs.output[0])


class Waits(Ending, LongPollView):
    async def poll(self, since):
        async with self.noted():
            await forever()


class MistakesTests(SimpleTestCase):
    """What cannot work fails before the headers leave, and says what to write."""

    def assertFails(self, view, kind, text):
        with self.assertRaisesMessage(kind, text):
            asyncio.run(view.as_view()(RequestFactory().get("/")))

    def test_the_method_that_is_wrong_is_named(self):
        def sync(self):
            yield "x"

        async def returns(self):
            return ["x"]

        for base, name in ((AsyncStreamView, "stream"), (Events, "events")):
            for method in (sync, returns, lambda self: None):
                view = type("View", (base,), {name: method})
                self.assertFails(view, TypeError, f"View.{name}() returned ")
                self.assertFails(view, TypeError, f"Write `async def {name}(self)`")

    def test_prepare_returns_a_response_or_none(self):
        async def prepare(self):
            return "text"

        for base in (Text, LongPollView):
            view = type("View", (base,), {"prepare": prepare})
            self.assertFails(view, TypeError, "View.prepare() returned 'text'")

    def test_seconds_that_would_leave_no_time(self):
        for name in ("heartbeat", "recheck"):
            for value in (0, -1):
                view = type("View", (Events,), {name: value})
                text = f"View.{name} is {value}. The client"
                self.assertFails(view, ImproperlyConfigured, text)
            type("View", (Events,), {name: 0.1}).as_view()

    def test_a_cursor_that_would_not_come_back(self):
        async def poll(self, since):
            return Polled(1, "x" * 256)

        view = type("View", (LongPollView,), {"poll": poll})
        self.assertFails(view, ValueError, "a cursor of more than 255 characters")

    def test_what_a_browser_cannot_parse(self):
        async def poll(self, since):
            return Polled(float("nan"))

        view = type("View", (LongPollView,), {"poll": poll})
        self.assertFails(view, ValueError, "not JSON compliant")


class RecheckTests(SimpleTestCase):
    def test_who_gets_no_answer_does_not_stay(self):
        class View(Text):
            recheck = LATER

            async def may_continue(self):
                # What it may take.
                pass_time(LATER)
                await forever()

        async def main():
            response = await View.as_view()(RequestFactory().get("/"))
            async with open_stream(response) as stream:
                self.assertEqual(await anext(stream), b"first")
                pass_time(LATER)
                with self.assertRaises(TimeoutError) as raised:
                    await stream.read()
            self.assertNotIn("open_stream()", str(raised.exception))
            self.assertTrue(View.ended.is_set())

        with (
            self.assertLogs("django.request", "ERROR"),
            asyncio.Runner(loop_factory=ClockLoop) as runner,
        ):
            runner.run(main())


class ReadersTests(SimpleTestCase):
    async def test_two_tasks_do_not_wait_for_one_stream(self):
        response = await Silent.as_view()(RequestFactory().get("/"))
        first = asyncio.create_task(anext(aiter(response)))
        await turns()
        with self.assertRaisesMessage(RuntimeError, "Two tasks read Silent.stream"):
            await anext(aiter(response))
        # That closed the stream, also for who waits.
        async with asyncio.timeout(SECONDS):
            with self.assertRaises(StopAsyncIteration):
                await first
        self.assertTrue(Silent.ended.is_set())


class LongPollTests(StreamTestCase):
    def test_something_new(self):
        class View(LongPollView):
            async def poll(self, since):
                return Polled([since], "c2")

        async def main(client):
            request = await client.get("/?since=c1")
            self.assertEqual(request.text, '{"data": ["c1"], "cursor": "c2"}')
            self.assertEqual(request.headers["cache-control"], "no-store")
            self.assertEqual((await client.get("/", "HEAD")).status, 405)

        self.serve(View, main)

    def test_nothing_new(self):
        class View(Waits):
            timeout = SOON

        async def main(client):
            self.assertEqual((await client.get("/")).status, 204)
            self.assertTrue(View.ended.is_set())

        self.serve(View, main)

    def test_gone(self):
        async def main(client):
            request = client.begin("/")
            await turns()
            request.gone.set()
            await request.answer()
            self.assertTrue(Waits.ended.is_set())

        self.serve(Waits, main)

    def test_end_of_the_server(self):
        async def main(client):
            request = client.begin("/")
            await turns()
            end_streams()
            self.assertEqual((await request.answer()).status, 204)

        self.serve(Waits, main)

    def test_limit(self):
        class View(Waits):
            limit = 1

        async def main(client):
            request = client.begin("/")
            await turns()
            self.assertEqual((await client.get("/")).status, 503)
            request.gone.set()
            await request.answer()

        self.serve(View, main)

    def test_failures(self):
        async def main(client):
            with self.assertLogs("django.request", "ERROR") as logs:
                self.assertEqual((await client.get("/")).status, 500)
            self.assertEqual(len(logs.records), 1)

        async def wrong(self, since):
            return ["no cursor"]

        async def fails(self, since):
            raise TimeoutError

        for poll in (wrong, fails):
            self.serve(type("View", (LongPollView,), {"poll": poll}), main)


class HopTests(TestCase):
    async def test_a_stream_costs_no_hop(self):
        with count_hops() as hops:
            response = await of("x").as_view()(RequestFactory().get("/"))
            async with open_stream(response) as stream:
                await stream.read()
        self.assertEqual(hops.count, 0)

    async def test_the_user_of_an_access_mixin_is_not_looked_up_again(self):
        class Plain(AsyncLoginRequiredMixin, of("x")):
            pass

        class Limited(Plain):
            limit_per_user = 1

        user = await User.objects.acreate(username="ann")
        await self.async_client.aforce_login(user)
        counts = []
        for view in (Plain, Limited):
            with override_settings(ROOT_URLCONF=(path("", view.as_view()),)):
                with count_hops() as hops:
                    response = await self.async_client.get("/")
                async with open_stream(response) as stream:
                    self.assertEqual(await stream.read(), b"x")
            counts.append(hops.count)
        self.assertEqual(counts[0], counts[1])


class AtomicRequestsTests(TestCase):
    async def test_the_stream_is_outside_of_the_transaction(self):
        blocks = []

        def depth():
            return len(connection.savepoint_ids)

        class View(AsyncStreamView):
            async def prepare(self):
                from django_async_cbv.sync import run_sync

                blocks.append(await run_sync(depth))

            async def stream(self):
                from django_async_cbv.sync import run_sync

                blocks.append(await run_sync(depth))
                yield "x"

        outside = await run_sync(depth)
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            response = await View.as_view()(RequestFactory().get("/"))
            async with open_stream(response) as stream:
                await stream.read()
        finally:
            connection.settings_dict["ATOMIC_REQUESTS"] = False
        self.assertEqual(blocks, [outside + 1, outside])
