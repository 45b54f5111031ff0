"""A coroutine in the place of a value is refused, by an error that names its origin."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory, TestCase

from django_async_cbv.core.hooks import HOOKS
from django_async_cbv.sync import run_sync
from django_async_cbv.views import (
    AsyncContextMixin,
    AsyncListView,
    AsyncTemplateView,
    AsyncView,
)
from tests.catalogue import CATALOGUE, Entry, Visit, answer, make_rows
from tests.test_attributes import make, passed_on
from tests.test_overrides import Rollback


class Unawaited(TestCase):
    """The tests of one view; made for each below."""

    entry: Entry

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def test_an_async_hook_that_forgot_to_await_its_super(self):
        calls = []

        def forgetful(name):
            async def method(self, *args, **kwargs):
                calls.append(name)
                return getattr(super(method.owner, self), HOOKS[name])(*args, **kwargs)

            method.__name__ = HOOKS[name]
            return method

        seen = set()
        for name in self.entry.hooks():
            made = make(
                self.entry.ours, {**self.entry.attributes, HOOKS[name]: forgetful(name)}
            )
            for by_hand in (False, True):
                for visit in self.entry.visits:
                    calls.clear()
                    with self.subTest(name, visit=visit), transaction.atomic():
                        found = answer(made, visit, by_hand=by_hand)
                        transaction.set_rollback(True)
                        if not calls:
                            continue
                        seen.add(name)
                        self.assertEqual(found.get("raised"), "TypeError", found)
                        self.assertIn(
                            f"Made.{HOOKS[name]}() returned a coroutine",
                            found["message"],
                        )
                        self.assertIn("Await it", found["message"])
                        self.assertIn(f"{__file__}:", found["message"])
        self.assertTrue(seen)

    def test_a_sync_hook_that_gives_a_coroutine(self):
        """A body of ours says so; Django's own code does what it always does."""

        async def fetch():
            raise AssertionError("never begun")

        def giving(self, *args, **kwargs):
            given.append(fetch())
            return given[-1]

        given: list[Any] = []
        said = 0
        for name in self.entry.hooks():
            attributes = {**self.entry.attributes, name: giving}
            django = make(self.entry.django, attributes)
            others = [one for one in self.entry.hooks() if one != name]
            ours = make(
                self.entry.ours,
                {**attributes, **{HOOKS[other]: passed_on(other) for other in others}},
            )
            for visit in self.entry.visits:
                with self.subTest(name, visit=visit):
                    expected, found = (
                        self.answer(cls, visit) for cls in (django, ours)
                    )
                    for coroutine in given:
                        coroutine.close()
                    if "returned a coroutine" in found.get("message", ""):
                        said += 1
                    elif "raised" not in found:
                        self.assertEqual(found, expected)
        self.assertGreater(said, 0)

    def answer(self, cls: type, visit: Visit) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with suppress(Rollback), transaction.atomic():
            try:
                found = answer(cls, visit)
            # Of the response, which is none.
            except (AttributeError, TypeError) as error:
                found = {"raised": type(error).__name__, "message": str(error)}
            raise Rollback
        return found

    def test_an_async_function_as_a_sync_hook_of_one_view(self):
        async def hook(*args, **kwargs):
            raise AssertionError("never called")

        for name in self.entry.hooks():
            made = make(self.entry.ours, dict(self.entry.attributes))
            with self.subTest(name), self.assertRaises(ImproperlyConfigured) as raised:
                made.as_view(**{name: hook})
            message = str(raised.exception)
            self.assertIn(f"{name}() was set on a Made instance, and is async", message)
            self.assertIn(f"as_view({HOOKS[name]}=...)", message)
            self.assertIn(f"{__file__}:", message)

            def setup(self, request, *args, name=name, made=made, **kwargs):
                super(made, self).setup(request, *args, **kwargs)
                setattr(self, name, hook)

            made.setup = setup
            for visit in self.entry.visits:
                found = self.answer(made, visit)
                self.assertEqual(found.get("raised"), "ImproperlyConfigured", found)
                self.assertIn(f"{name}() was set on a Made", found["message"])

    def test_a_sync_function_as_an_async_hook_of_one_view(self):
        for name in self.entry.hooks():
            made = make(self.entry.ours, dict(self.entry.attributes))
            with self.subTest(name), self.assertRaises(ImproperlyConfigured) as raised:
                made.as_view(**{HOOKS[name]: lambda *args, **kwargs: None})
            self.assertIn("is not a coroutine function", str(raised.exception))


for _entry in CATALOGUE:
    _name = f"Test{_entry.name}"
    globals()[_name] = type(
        _name, (Unawaited,), {"entry": _entry, "__module__": __name__}
    )
del Unawaited


class TestHandlers(TestCase):
    factory = RequestFactory()

    async def test_an_async_handler_that_forgot_to_await_its_super(self):
        class Get(AsyncTemplateView):
            template_name = "page.html"

            async def get(self, request, *args, **kwargs):
                return super().get(request, *args, **kwargs)

        class Dispatch(AsyncView):
            async def dispatch(self, request, *args, **kwargs):
                return super().dispatch(request, *args, **kwargs)

            async def get(self, request):
                return HttpResponse()

        for cls, name in ((Get, "get"), (Dispatch, "dispatch")):
            with self.assertRaisesRegex(
                TypeError, rf"{name}\(\) returned a coroutine .*Await it"
            ):
                await cls.as_view()(self.factory.get("/"))

    async def test_a_hook_behind_a_generated_sync_method(self):
        class Context(AsyncContextMixin):
            async def aget_context_data(self, **kwargs):
                return super().aget_context_data(**kwargs)

        class InSyncCode(Context, AsyncTemplateView):
            template_name = "page.html"

            def get(self, request, *args, **kwargs):
                return self.render_to_response(self.get_context_data())

        with self.assertRaisesMessage(
            TypeError, "InSyncCode.aget_context_data() returned a coroutine"
        ):
            await InSyncCode.as_view()(self.factory.get("/"))


class TestGeneratedSyncMethod(TestCase):
    factory = RequestFactory()

    async def test_a_hook_that_calls_its_own(self):
        class L(AsyncListView):
            template_name = "page.html"

            async def aget_queryset(self):
                return await run_sync(self.get_queryset)

        with self.assertRaisesMessage(
            RuntimeError, "L.get_queryset() is the generated"
        ):
            await L.as_view()(self.factory.get("/"))

    async def test_tasks_of_one_request_may_call_it_at_the_same_time(self):
        # More than a call may come back to itself: a counter that the tasks share
        # would take them for one that does.
        calls = 9
        all_inside = threading.Barrier(calls)

        class L(AsyncListView):
            template_name = "page.html"

            async def aget_queryset(self):
                await in_thread(all_inside.wait, 10)
                return ["a book"]

            async def get(self, request):
                called = (in_thread(self.get_queryset) for _ in range(calls))
                return HttpResponse(str(await asyncio.gather(*called)))

        def in_thread(function, *args):
            job = functools.partial(copy_context().run, function, *args)
            return asyncio.get_running_loop().run_in_executor(pool, job)

        with ThreadPoolExecutor(2 * calls) as pool:
            response = await L.as_view()(self.factory.get("/"))
        self.assertEqual(response.content.decode(), str([["a book"]] * calls))


class TestOwnHooks(TestCase):
    """Async hooks that are attributes of a view: they make no class."""

    factory = RequestFactory()

    @classmethod
    def setUpTestData(cls):
        make_rows()

    async def test_a_class_is_made_once(self):
        made = []

        class Registered(AsyncListView):
            template_name = "page.html"

            def __init_subclass__(cls, *, tag, **kwargs):
                super().__init_subclass__(**kwargs)
                made.append(tag)

        class Listed(Registered, tag="list"):
            pass

        async def aget_queryset():
            return ["own"]

        view = Listed.as_view(aget_queryset=aget_queryset)
        for _ in range(50):
            response = await view(self.factory.get("/"))
            self.assertEqual(response.context_data["object_list"], ["own"])
            self.assertIs(type(response.context_data["view"]), Listed)
        self.assertEqual(made, ["list"])

    async def test_sync_code_gets_it_wherever_it_asks(self):
        async def aget_queryset():
            return ["own"]

        class Dispatching(AsyncListView):
            template_name = "page.html"

            def get_queryset(self):
                raise AssertionError("the view's own is nearer")

            def dispatch(self, request, *args, **kwargs):
                self.asked = self.get_queryset()
                return super().dispatch(request, *args, **kwargs)

        class Getting(Dispatching):
            def get(self, request, *args, **kwargs):
                return super().get(request, *args, **kwargs)

        for cls in (Dispatching, Getting):
            response = await cls.as_view(aget_queryset=aget_queryset)(
                self.factory.get("/")
            )
            self.assertEqual(response.context_data["object_list"], ["own"])
            self.assertEqual(response.context_data["view"].asked, ["own"])

    async def test_set_late(self):
        async def aget_context_data(**kwargs):
            return {"late": True}

        class Late(AsyncListView):
            template_name = "page.html"

            async def get(self, request, *args, **kwargs):
                self.aget_context_data = aget_context_data
                return await super().get(request, *args, **kwargs)

        response = await Late.as_view(queryset=[])(self.factory.get("/"))
        self.assertEqual(response.context_data, {"late": True})
