"""What a request meets on its way through the handler, on both chains."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from unittest import mock

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import (
    got_request_exception,
    request_finished,
    request_started,
)
from django.db import connection
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import SimpleTestCase, TestCase, override_settings
from django.urls import path

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncCreateView, AsyncListView, AsyncView
from tests.app.models import Author, Tag
from tests.serve.driving import PATIENCE, Client, PoolTestCase, happened, serving


class Failed(Exception):
    pass


def both(function):
    """A sync view of a function, and an async one that awaits before."""

    def sync_view(request):
        return function(request)

    async def async_view(request):
        await asyncio.sleep(0)
        return await sync_to_async(function)(request)

    class ClassView(AsyncView):
        async def get(self, request):
            await asyncio.sleep(0)
            return await run_sync(function, request)

    return [
        path("sync/", sync_view),
        path("async/", async_view),
        path("class/", ClassView.as_view()),
    ]


PATHS = ("/sync/", "/async/", "/class/")


def fail(*args, **kwargs):
    raise Failed


def failing(method):
    """Middleware, sync and async, of which one method raises."""

    class Middleware:
        sync_capable = True
        async_capable = True

        def __init__(self, get_response):
            from asgiref.sync import iscoroutinefunction, markcoroutinefunction

            self.get_response = get_response
            if iscoroutinefunction(get_response):
                markcoroutinefunction(self)
                self.call = self.acall

        def __call__(self, request):
            return self.call(request)

        def call(self, request):
            if method == "request":
                raise Failed
            response = self.get_response(request)
            if method == "response":
                raise Failed
            return response

        async def acall(self, request):
            if method == "request":
                raise Failed
            response = await self.get_response(request)
            if method == "response":
                raise Failed
            return response

    if method.startswith("process"):
        setattr(Middleware, method, fail)
    return Middleware


class TestErrors(PoolTestCase):
    """Wherever something fails: one answer, one signal, and a worker that goes on."""

    def setUp(self):
        super().setUp()
        self.errors = []
        got_request_exception.connect(self.note)
        self.addCleanup(got_request_exception.disconnect, self.note)

    def note(self, **kwargs):
        self.errors.append(kwargs)

    async def check(self, function, middleware=(), *, status=500, signals=1):
        for where in PATHS:
            with self.subTest(path=where):
                self.errors.clear()
                async with serving(
                    urls=both(function), middleware=middleware, workers=1
                ) as client:
                    for _ in range(2):
                        self.assertEqual((await client.get(where)).status, status)
                        await client.idle()
                    self.assertEqual(len(self.errors), 2 * signals)
                    self.assertLessEqual(client.statistics.workers, 1)

    async def test_the_view(self):
        await self.check(fail)

    async def test_each_method_of_middleware(self):
        for method in ("request", "response", "process_view"):
            with self.subTest(method=method):
                await self.check(lambda request: HttpResponse(), [failing(method)])

    async def test_process_exception(self):
        await self.check(fail, [failing("process_exception")])

    async def test_process_template_response(self):
        await self.check(
            lambda request: TemplateResponse(request, self.template("text")),
            [failing("process_template_response")],
        )

    async def test_rendering(self):
        await self.check(
            lambda request: TemplateResponse(
                request, self.template("{{ fails }}"), {"fails": fail}
            )
        )

    def template(self, text):
        return engines["django"].from_string(text)

    async def test_a_view_without_a_response(self):
        await self.check(lambda request: None)

    async def test_a_receiver_of_the_first_signal(self):
        request_started.connect(fail)
        self.addCleanup(request_started.disconnect, fail)
        async with serving(urls=both(lambda request: HttpResponse())) as client:
            for where in PATHS:
                with self.subTest(path=where):
                    # As of Django's handler: no chain has begun, which would answer.
                    with self.assertRaises(Failed):
                        await client.get(where)
                    await client.idle()

    async def test_a_receiver_of_the_last_signal(self):
        request_finished.connect(fail)
        self.addCleanup(request_finished.disconnect, fail)
        async with serving(urls=both(lambda request: HttpResponse("sent"))) as client:
            for where in PATHS:
                with self.subTest(path=where):
                    request = client.begin(where)
                    with self.assertRaises(Failed):
                        await request.answer()
                    self.assertEqual(request.text, "sent")
                    await client.idle()

    async def test_a_closer(self):
        """Django catches what a closer raises, and goes on to the next."""
        closed = []

        def view(request):
            response = HttpResponse("sent")
            response._resource_closers.append(fail)
            response._resource_closers.append(lambda: closed.append(1))
            return response

        async with serving(urls=both(view)) as client:
            for where in PATHS:
                with self.subTest(path=where):
                    closed.clear()
                    self.assertEqual((await client.get(where)).text, "sent")
                    self.assertEqual(closed, [1])
                    await client.idle()

    async def test_a_page_that_is_not_there(self):
        async with serving(urls=both(fail), workers=2) as client:
            for _ in range(6):
                self.assertEqual((await client.get("/nowhere/")).status, 404)
            self.assertEqual(client.statistics.workers, 1)
            self.assertEqual(client.statistics.jobs, 6)

    async def test_debug_pages(self):
        with override_settings(DEBUG=True):
            async with serving(urls=both(fail), workers=1) as client:
                for where in PATHS:
                    answer = await client.get(where)
                    self.assertEqual(answer.status, 500)
                    self.assertIn("Failed", answer.text)
                    self.assertIn("raise Failed", answer.text)
                answer = await client.get("/nowhere/")
                self.assertEqual(answer.status, 404)
                self.assertIn("Using the URLconf", answer.text)


class TestRefusals(PoolTestCase):
    """What Django answers before there is a request."""

    async def test_what_is_no_request_is_answered_when_no_worker_is_free(self):
        begun, may_end = threading.Event(), threading.Event()

        def held(request):
            begun.set()
            may_end.wait(PATIENCE)
            return HttpResponse()

        async with serving(held, workers=1, queue=0) as client:
            first = client.begin("/held/")
            await happened(begun)
            with mock.patch.object(
                client.app, "create_request", return_value=(None, HttpResponse("no"))
            ):
                other = client.begin("/held/")
                await other.begun()
                may_end.set()
                self.assertEqual((await other.answer()).text, "no")
            await first.answer()


class TestBodies(PoolTestCase):
    @pytest.fixture(autouse=True)
    def django_writes_large_bodies_to_files(self, forbid_blocking):
        forbid_blocking.allow("django.core.handlers.asgi:ASGIHandler.read_body")

    def upload(self, size):
        boundary = b"boundary"
        head = (
            b'Content-Disposition: form-data; name="file"; filename="f"\r\n'
            b"Content-Type: text/plain\r\n\r\n"
        )
        body = b"--%b\r\n%b%b\r\n--%b--\r\n" % (boundary, head, b"x" * size, boundary)
        kind = b"multipart/form-data; boundary=" + boundary
        return body, [(b"content-type", kind), (b"content-length", b"%d" % len(body))]

    async def test_uploads_below_and_above_the_memory_limit(self):
        kinds = []

        def view(request):
            file = request.FILES["file"]
            kinds.append(type(file) is TemporaryUploadedFile)
            return HttpResponse(f"{file.size} {len(file.read())}")

        with override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=10_000):
            async with serving(urls=both(view)) as client:
                for where in PATHS[:2]:
                    for size in (10, 9_000, 200_000):
                        for number in (1, 7):
                            body, headers = self.upload(size)
                            step = -(-len(body) // number)
                            parts = [
                                body[at : at + step] for at in range(0, len(body), step)
                            ]
                            with self.subTest(path=where, size=size, parts=number):
                                answer = await client.get(
                                    where, "POST", headers=headers, parts=parts
                                )
                                self.assertEqual(answer.text, f"{size} {size}")
                                self.assertEqual(kinds.pop(), size > 10_000)
                                await client.idle()

    async def test_no_worker_is_leased_before_the_body_is_there(self):
        def view(request):
            return HttpResponse(request.body)

        async with serving(view) as client:
            request = client.begin("/view/", "POST", parts=[b"a", b"b"])
            arrives = asyncio.Event()
            # Its second part is late.
            task = request.task
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            first = [{"type": "http.request", "body": b"a", "more_body": True}]

            async def receive():
                if first:
                    return first.pop()
                await arrives.wait()
                arrives.clear()
                return {"type": "http.request", "body": b"b"}

            sent = []

            async def send(message):
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/view/",
                "query_string": b"",
                "headers": [(b"host", b"testserver"), (b"content-length", b"2")],
            }
            serving_it = asyncio.create_task(client.app(scope, receive, send))
            for _ in range(10):
                await asyncio.sleep(0)
            self.assertEqual(client.statistics.workers, 0)
            arrives.set()
            await serving_it
            self.assertEqual(sent[1]["body"], b"ab")

    async def test_a_file(self):
        closed = []
        file = self.media / "file"
        await asyncio.to_thread(file.write_bytes, b"x" * 200_000)

        def view(request):
            opened = file.open("rb")
            response = FileResponse(opened)
            response._resource_closers.append(lambda: closed.append(opened.closed))
            return response

        async with serving(urls=both(view), workers=1) as client:
            for where in PATHS:
                with self.subTest(path=where), mock.patch("warnings.warn"):
                    answer = await client.get(where)
                    self.assertEqual(len(answer.body), 200_000)
                    self.assertEqual(closed.pop(), True)
                    await client.idle()

    async def test_a_stream_with_a_sync_iterator(self):
        async def rows():
            return [Tag(name=f"{number:03}") for number in range(300)]

        await Tag.objects.abulk_create(await rows())

        def view(request):
            return StreamingHttpResponse(
                tag.name for tag in Tag.objects.iterator(chunk_size=10)
            )

        async with serving(urls=both(view), workers=1) as client:
            for where in PATHS:
                # Django warns that it consumes the iterator at once.
                with self.subTest(path=where), mock.patch("warnings.warn"):
                    requests = [client.begin(where) for _ in range(5)]
                    for request in requests:
                        self.assertEqual(len((await request.answer()).body), 900)
                    await client.idle()


class TestSignals(PoolTestCase):
    async def test_receivers_are_told_by_the_sender_of_django(self):
        heard = []

        def note(signal, sender, **kwargs):
            heard.append((signal is request_started, sender))

        async def anote(signal, sender, **kwargs):
            heard.append((signal is request_started, sender))

        for signal in (request_started, request_finished):
            for receiver in (note, anote):
                signal.connect(receiver, sender=ASGIHandler)
                self.addCleanup(signal.disconnect, receiver, sender=ASGIHandler)
        async with serving(urls=both(lambda request: HttpResponse())) as client:
            for where in (*PATHS, "/nowhere/"):
                with self.subTest(path=where):
                    heard.clear()
                    await client.get(where)
                    self.assertEqual(
                        heard, [(True, ASGIHandler)] * 2 + [(False, ASGIHandler)] * 2
                    )

    async def test_closers_are_called_in_the_requests_worker_after_the_last_byte(self):
        order = []

        def view(request):
            response = HttpResponse("sent")
            response._resource_closers.append(
                lambda: order.append(("closed", [*connection.queries_log]))
            )
            return response

        async with serving(urls=both(view), workers=1) as client:
            for where in PATHS:
                with self.subTest(path=where):
                    order.clear()
                    request = client.begin(where, reads=False)
                    await request.begun()
                    self.assertEqual(order, [])
                    request.reads.set()
                    await request.answer()
                    self.assertEqual(len(order), 1)


class TestInTestCase(TestCase):
    """
    With a client of ASGI, all work is done in the transaction of the test.

    If the client lets a request inherit the test's context. Of a task without it
    nobody could tell what it belongs to, and Django gives it a thread of its own.
    """

    def setUp(self):
        Tag.objects.create(name="of the test")

    async def test_in_an_async_test(self):
        async def aview(request):
            await Tag.objects.acreate(name="async")
            return HttpResponse(str(await Tag.objects.acount()))

        def view(request):
            Tag.objects.create(name="sync")
            return HttpResponse(str(Tag.objects.count()))

        async with serving(view, aview) as client:
            client.context = contextvars.copy_context
            self.assertEqual((await client.get("/view/")).text, "2")
            self.assertEqual((await client.get("/aview/")).text, "3")
            self.assertEqual(client.statistics.workers, 0)
        self.assertEqual(await Tag.objects.acount(), 3)

    def test_in_a_sync_test(self):
        def view(request):
            Tag.objects.create(name="sync")
            return HttpResponse(str(Tag.objects.count()))

        class List(AsyncListView):
            model = Tag

            async def arender_to_response(self, context, **kwargs):
                rows = [row async for row in context["object_list"]]
                return HttpResponse(str(len(rows)))

        urls = type(
            "Urls",
            (),
            {"urlpatterns": [path("view/", view), path("list/", List.as_view())]},
        )
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
            client = Client(get_asgi_application())
            client.context = contextvars.copy_context
            for where, text in (("/view/", "2"), ("/list/", "2")):
                answer = async_to_sync(client.get)(where)
                self.assertEqual(answer.text, text)
        self.assertEqual(Tag.objects.count(), 2)


class TestHops(PoolTestCase):
    """A request whose view awaits nothing is one job, and no other."""

    async def test_jobs(self):
        class List(AsyncListView):
            model = Tag
            template_name = "app/author_list.html"

        class Create(AsyncCreateView):
            model = Author
            fields = ("name", "slug")
            success_url = "/"

        async def plain(request):
            return HttpResponse()

        def sync_view(request):
            return HttpResponse(str(Tag.objects.count()))

        urls = [
            path("list/", List.as_view()),
            path("create/", Create.as_view()),
            path("plain/", plain),
            path("sync/", sync_view),
        ]
        form = [(b"content-type", b"application/x-www-form-urlencoded")]
        async with serving(urls=urls) as client:
            for where, method, body, jobs in (
                ("/list/", "GET", b"", 1),
                ("/sync/", "GET", b"", 1),
                ("/nowhere/", "GET", b"", 1),
                ("/create/", "POST", b"name=A&slug=a", 1),
                ("/plain/", "GET", b"", 0),
            ):
                with self.subTest(path=where):
                    before = client.statistics.jobs
                    answer = await client.get(
                        where, method, body=body, headers=form if body else ()
                    )
                    self.assertIn(answer.status, {200, 302, 404})
                    self.assertEqual(client.statistics.jobs - before, jobs)


class TestOptions(SimpleTestCase):
    def test_where_a_middleware_is_async_only_there_is_no_sync_chain(self):
        def middleware(get_response):
            return get_response

        middleware.sync_capable = False
        middleware.async_capable = True
        module = mock.Mock(middleware=middleware)
        with (
            mock.patch.dict("sys.modules", only_async=module),
            override_settings(MIDDLEWARE=["only_async.middleware"]),
        ):
            self.assertIsNone(get_asgi_application()._sync_chain)
        with override_settings(MIDDLEWARE=[]):
            self.assertIsNotNone(get_asgi_application()._sync_chain)
            self.assertIsNone(get_asgi_application(sync_chain=False)._sync_chain)
