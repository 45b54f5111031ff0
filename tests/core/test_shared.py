"""Hooks that are this package's own: one body runs in sync code and in a flow."""

from __future__ import annotations

import functools
import inspect
import threading
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase

from django_async_cbv import views
from django_async_cbv.core.flow import call, respond, run_in_sync_code
from django_async_cbv.core.hooks import DECLARED, HOOKS, TWINS
from django_async_cbv.views import _formsets
from tests.catalogue import (
    CATALOGUE,
    BookInline,
    Entry,
    NameForm,
    answer,
    make_rows,
)
from tests.hops import count_hops
from tests.models import Author


async def double(number: int) -> int:
    return 2 * number


def raising(error: BaseException) -> Any:
    raise error


def forgetting(number: int) -> Any:
    return double(number)


class TestRunInSyncCode(SimpleTestCase):
    def test_it_calls_what_the_body_asks_for_in_the_same_thread(self):
        def body():
            thread = yield threading.get_ident
            return thread, (yield partial(divmod, 7, 2))

        with count_hops() as hops:
            given = run_in_sync_code(body())
        self.assertEqual(given, (threading.get_ident(), (3, 1)))
        self.assertEqual(hops.count, 0)

    def test_the_body_handles_errors(self):
        def body(ask):
            try:
                yield ask
            except (KeyError, GeneratorExit) as error:
                return (yield partial(repr, error))

        for error in (KeyError("no"), GeneratorExit()):
            given = run_in_sync_code(body(partial(raising, error)))
            self.assertEqual(given, repr(error))
        # By a flow.
        given = run_in_sync_code(body(call(raising, KeyError("no"))))
        self.assertEqual(given, "KeyError('no')")

    def test_errors_that_the_body_does_not_handle(self):
        def body(error):
            yield partial(raising, error)

        with self.assertRaisesMessage(KeyError, "no"):
            run_in_sync_code(body(KeyError("no")))
        # It is no result.
        with self.assertRaises(RuntimeError):
            run_in_sync_code(body(StopIteration(1)))

    def test_it_waits_for_what_is_async(self):
        def body():
            first = yield call(double, 2)
            return first + (yield partial(int, "1"))

        self.assertEqual(run_in_sync_code(body()), 5)

    def test_a_coroutine_that_nobody_awaits_is_refused(self):
        def body():
            return (yield call(forgetting, 2))

        with self.assertRaisesMessage(TypeError, "forgetting() returned a coroutine"):
            run_in_sync_code(body())

    def test_a_response_may_come_last_or_not(self):
        def body():
            response = yield respond(partial(HttpResponse, "page"))
            response["X-Seen"] = yield partial(str, 1)
            return response

        self.assertEqual(run_in_sync_code(body())["X-Seen"], "1")


@pytest.mark.parametrize("function", DECLARED, ids=lambda one: one.__qualname__)
class TestDeclared:
    def test_it_has_an_async_variant_in_the_class_before(self, function):
        twin = TWINS[function]
        assert twin.is_shared
        assert twin.home.__name__ == f"Async{twin.owner.__name__}"
        assert twin.body is DECLARED[function].body

    def test_the_docstring_says_where_it_runs(self, function):
        twin = TWINS[function]
        said = inspect.getdoc(twin.wrapper)
        first, *_ = inspect.getdoc(function).splitlines()
        assert said.startswith(first)
        assert (f"Async variant of `{twin.name}()`." in said) != twin.is_handler
        assert "\n\nRuns on:\n    " in said

    def test_it_is_annotated_with_what_it_returns(self, function):
        returns = function.__annotations__["return"]
        assert "Calls" not in str(returns)
        assert "Answer" not in str(returns)
        assert inspect.signature(function).parameters.keys() == (
            inspect.signature(TWINS[function].body).parameters.keys()
        )


def formset_hooks(entry: Entry) -> list[str]:
    """The hooks that bodies of ours call, in one view, and those bodies' own."""
    ours = [
        TWINS[function]
        for function in DECLARED
        if TWINS[function].home in entry.ours.__mro__
    ]
    names = {twin.name for twin in ours}
    names |= {name for twin in ours for name in twin.calls or ()}
    return sorted(name for name in names if name in HOOKS and name[0] != "_")


class TestBothColours(TestCase):
    """A class with a hook in both colours: async code runs the async one, only."""

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def made(self, entry: Entry, name: str, kind: Any, ran: list[str]) -> type:
        async def awaited(view, *args, **kwargs):
            ran.append("async")
            return await getattr(super(made, view), HOOKS[name])(*args, **kwargs)

        def hook(*args, **kwargs):
            ran.append("sync")
            raise AssertionError("The async one is there.")

        if kind is functools.partialmethod:
            space = {name: functools.partialmethod(hook)}
        else:
            space = {name: kind(hook)}
        made = type("Made", (entry.ours,), {**entry.attributes, **space})
        setattr(made, HOOKS[name], awaited)
        return made

    def test_each_hook(self):
        tried = 0
        for entry in CATALOGUE:
            if not hasattr(_formsets, entry.name):
                continue
            plain = entry.visits[0]
            expected = answer(type("Made", (entry.ours,), entry.attributes), plain)
            for name in formset_hooks(entry):
                for kind in (lambda f: f, staticmethod, functools.partialmethod):
                    ran: list[str] = []
                    with self.subTest(view=entry.name, hook=name, kind=kind):
                        given = answer(self.made(entry, name, kind, ran), plain)
                        self.assertEqual(given, expected)
                        self.assertNotIn("sync", ran)
                    tried += bool(ran)
        # Each visit calls a part of the hooks.
        self.assertGreater(tried, 50)

    async def test_of_an_inline(self):
        ran = []

        class Inline(BookInline):
            def construct_formset(self):
                ran.append("sync")
                return super().construct_formset()

            async def aconstruct_formset(self):
                ran.append("async")
                return await super().aconstruct_formset()

        class View(views.AsyncCreateWithInlinesView):
            model = Author
            fields = ["name", "slug"]
            template_name = "page.html"
            inlines = [Inline]

        request = RequestFactory().get("/")
        await View.as_view()(request)
        self.assertEqual(ran, ["async"])

        # In sync code, the one that is sync.
        def construct():
            view = View()
            view.setup(request)
            view.object = None
            return view.construct_inlines()

        await sync_to_async(construct)()
        self.assertEqual(ran, ["async", "sync"])


class TestSyncCode(SimpleTestCase):
    """A sync hook calls by super() what is sync, in its own thread."""

    def test_no_hop_and_no_loop(self):
        threads = []

        class View(views.AsyncFormSetView):
            form_class = NameForm
            template_name = "page.html"

            def get_factory_kwargs(self):
                threads.append(threading.get_ident())
                return super().get_factory_kwargs()

            def get_initial(self):
                threads.append(threading.get_ident())
                return [*super().get_initial(), {"name": "Jane"}]

        view = View()
        view.setup(RequestFactory().get("/"))
        with count_hops() as hops:
            formset = view.construct_formset()
        self.assertEqual(formset.initial, [{"name": "Jane"}])
        self.assertEqual(threads, [threading.get_ident()] * 2)
        self.assertEqual(hops.count, 0)

    async def test_a_sync_hook_waits_for_an_async_one_below(self):
        class View(views.AsyncFormSetView):
            form_class = NameForm
            template_name = "page.html"

            def construct_formset(self):
                return super().construct_formset()

            async def aget_initial(self):
                return [{"name": "Jane"}]

        response = await View.as_view()(RequestFactory().get("/"))
        formset = response.context_data["formset"]
        self.assertEqual(formset.initial, [{"name": "Jane"}])
