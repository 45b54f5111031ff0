"""What the handler does of its own where Django's does nothing, or something else."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import textwrap
import threading

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.core import signals
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers import base, exception
from django.core.signals import request_finished
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.test import SimpleTestCase
from django.urls import path

from django_async_cbv.serve import handler as module
from django_async_cbv.serve import middleware
from tests.serve.driving import PATIENCE, PoolTestCase, happened, serving


def thread():
    return threading.current_thread().name


def in_worker(name):
    return name.startswith("django-async-cbv-")


def without_insensitive_threads(function):
    """The statements of a function, but for `thread_sensitive=False`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [
                one for one in node.keywords if one.arg != "thread_sensitive"
            ]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            if ast.get_docstring(node) is not None:
                del node.body[0]
    return tree.body[0].body


class TestOptions(SimpleTestCase):
    def test_what_can_not_work_is_refused_with_what_to_pass(self):
        number = 'int(os.environ["{}"])'
        for wrong, example in (
            ({"workers": "40"}, number.format("WORKERS")),
            ({"workers": 0}, number.format("WORKERS")),
            ({"workers": 2.5}, number.format("WORKERS")),
            ({"workers": None}, number.format("WORKERS")),
            ({"queue": "1000"}, number.format("QUEUE")),
            ({"queue": -1}, number.format("QUEUE")),
            ({"queue_timeout": "30"}, "float"),
            ({"queue_timeout": -1}, "float"),
            ({"queue_timeout": float("nan")}, "float"),
            ({"queue_timeout": float("inf")}, "float"),
            ({"release": "never"}, '"between"'),
            ({"release": None}, '"between"'),
        ):
            [(name, value)] = wrong.items()
            with (
                self.subTest(wrong=wrong),
                self.assertRaises(ImproperlyConfigured) as context,
            ):
                module.Handler(**wrong)
            said = str(context.exception)
            self.assertIn(f"get_asgi_application() got {name}={value!r}", said)
            self.assertIn(f"Pass for example `{name}={example}", said)

    def test_others_are_taken(self):
        for right in (
            {"workers": 1, "queue": 0, "queue_timeout": 0},
            {"queue_timeout": 0.5},
            *({"release": one} for one in ("between", "request", "always")),
        ):
            with self.subTest(right=right):
                module.Handler(**right)


class TestCopies(SimpleTestCase):
    """Code that is Django's, but for the thread that it is run in."""

    def assert_same(self, ours, djangos):
        self.assertEqual([*map(ast.dump, ours)], [*map(ast.dump, djangos)])

    def test_get_response_async(self):
        ours = without_insensitive_threads(module.Handler._answer_and_log)
        djangos = without_insensitive_threads(base.BaseHandler.get_response_async)
        ours_if = next(line for line in ours if isinstance(line, ast.If))
        # Before a hop that would find the response logged already.
        ours_if.test = ours_if.test.values[0]
        # What is logged stands in a function of its own.
        (logged,) = without_insensitive_threads(module._log)
        (awaited,) = ours_if.body
        awaited.value.value.func.args[0].id = "log_response"
        awaited.value.value.args = logged.value.args
        awaited.value.value.keywords = logged.value.keywords
        self.assert_same(ours, djangos)

    def test_convert_exception_to_response(self):
        ours = without_insensitive_threads(middleware.answering_exceptions)
        djangos = without_insensitive_threads(exception.convert_exception_to_response)
        choice = djangos[0]
        self.assertIsInstance(choice, ast.If)
        made, returned = choice.body
        # It may be imported with the module, or by name.
        made.decorator_list = ours[2].decorator_list
        # Before that come the sync handler, and a row of inline middleware.
        self.assert_same(ours[2:], [made, returned])


class TestClosed(PoolTestCase):
    """A response whose end nobody of the project hears of is what Django leaves."""

    def test_djangos_close_does_no_more_than_is_done_without_its_signal(self):
        def close(self):
            for closer in self._resource_closers:
                try:  # noqa: SIM105 - as it is written there
                    closer()
                except Exception:
                    pass
            self._resource_closers.clear()
            self.closed = True
            signals.request_finished.send(sender=self._handler_class)

        known, djangos = (
            [ast.dump(one) for one in without_insensitive_threads(function)]
            for function in (close, HttpResponseBase.close)
        )
        self.assertEqual(known, djangos)

    async def test_the_state_is_that_of_djangos_close(self):
        made = {}

        def direct(request):
            made[request.path] = HttpResponse("text"), request
            return made[request.path][0]

        async def awaited(request):
            return direct(request)

        async with serving(direct, awaited) as client:
            await client.get("/direct/")
            await client.get("/awaited/")
        expected = HttpResponse("text")
        expected._resource_closers.append(lambda: None)
        expected.close()
        self.assertEqual([*made], ["/direct/", "/awaited/"])
        for name, (response, request) in made.items():
            with self.subTest(name):
                self.assertIs(response.closed, expected.closed)
                self.assertEqual(response._resource_closers, expected._resource_closers)
                self.assertTrue(request._stream.closed)


class TestThreads(PoolTestCase):
    """All sync work of a request is done in workers, whatever Django does with it."""

    async def test_error_pages_are_made_and_logged_in_the_worker(self):
        made, logged = [], []

        def page(request, exception=None):
            made.append(thread())
            return HttpResponse("missing", status=404)

        async def missing(request):
            raise Http404

        class Recorder(logging.Handler):
            def emit(self, record):
                logged.append(thread())

        logger, recorder = logging.getLogger("django.request"), Recorder()
        self.addCleanup(logger.removeHandler, recorder)
        async with serving(missing) as client:
            # Django's setup(), which the application calls, takes handlers off.
            logger.addHandler(recorder)
            settings.ROOT_URLCONF.handler404 = staticmethod(page)
            answers = [
                await client.get("/missing/"),
                await client.get("/unknown/"),
            ]

        self.assertEqual([one.text for one in answers], ["missing"] * 2)
        self.assertEqual((len(made), len(logged)), (2, 2))
        self.assertTrue(all(map(in_worker, [*made, *logged])), (made, logged))


class TestEnd(PoolTestCase):
    async def test_a_body_is_closed_after_the_job_that_reads_it(self):
        begun, may_read, outcome = threading.Event(), threading.Event(), []

        @sync_to_async
        def reading(request):
            begun.set()
            if not may_read.wait(PATIENCE):
                raise AssertionError
            try:
                outcome.append(request.body)
            except BaseException as error:
                outcome.append(error)
            return HttpResponse()

        for parts in ([b"whole"], [b"who", b"le"]):
            with self.subTest(parts=len(parts)):
                begun.clear()
                may_read.clear()
                outcome.clear()
                async with serving(urls=[path("reading/", reading)]) as client:
                    request = client.begin("/reading/", "POST", parts=parts)
                    await happened(begun)
                    request.gone.set()
                    # Until the handler has heard of it, and has got as far as it can.
                    for _ in range(50):
                        await asyncio.sleep(0)
                    may_read.set()
                    await request.answer()
                self.assertEqual(outcome, [b"whole"])
                self.assertEqual(request.sent, [])

    async def test_a_response_is_closed_in_the_worker_that_the_request_had(self):
        """Also when that was another request's meanwhile; others are idle."""
        threads, closed = {}, {}
        begun, may_end = threading.Event(), threading.Event()

        def first(request):
            threads["first"] = thread()
            return HttpResponse()

        def second(request):
            threads["second"] = thread()
            begun.set()
            if not may_end.wait(PATIENCE):
                raise AssertionError
            closed["while the second ran"] = [*closed]
            return HttpResponse()

        def finished(**named):
            closed[len(closed)] = thread()

        request_finished.connect(finished)
        self.addCleanup(request_finished.disconnect, finished)
        async with serving(first, second, workers=2) as client:
            slow = client.begin("/first/", reads=False)
            await slow.begun()
            other = client.begin("/second/")
            await happened(begun)
            self.assertEqual(threads["first"], threads["second"])
            slow.reads.set()
            for _ in range(50):
                await asyncio.sleep(0)
            may_end.set()
            await slow.answer()
            await other.answer()

        self.assertEqual(closed.pop("while the second ran"), [])
        self.assertEqual({*closed.values()}, {threads["first"]})

    async def test_cancelled_before_it_comes_back(self):
        """Nothing is left to wait for the worker then."""
        begun, may_end = threading.Event(), threading.Event()

        def first(request):
            return HttpResponse()

        def second(request):
            begun.set()
            if not may_end.wait(PATIENCE):
                raise AssertionError
            return HttpResponse(thread())

        def finished(**named):
            pass

        request_finished.connect(finished)
        self.addCleanup(request_finished.disconnect, finished)
        async with serving(first, second, workers=1) as client:
            slow = client.begin("/first/", reads=False)
            await slow.begun()
            other = client.begin("/second/")
            await happened(begun)
            slow.reads.set()
            for _ in range(50):
                await asyncio.sleep(0)
            slow.task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await slow.task
            may_end.set()
            await other.answer()
            self.assertEqual((await client.get("/first/")).status, 200)


class TestChoice(PoolTestCase):
    async def test_middleware_with_a_hook_that_is_async_has_no_sync_mode(self):
        seen = []

        class Async(RemoteUserMiddleware):
            async def aprocess_request(self, request):
                seen.append(request.path)

        def view(request):
            return HttpResponse(thread())

        sessions = "django.contrib.sessions.middleware.SessionMiddleware"
        users = "django.contrib.auth.middleware.AuthenticationMiddleware"
        async with serving(view, middleware=[sessions, users, Async]) as client:
            answer = await client.get("/view/")

        self.assertEqual(seen, ["/view/"])
        self.assertTrue(in_worker(answer.text))
