"""A Django that calls more hooks than this version knows: no override is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django import forms
from django.test import RequestFactory, TestCase, override_settings
from django.urls import path
from django.views.generic import base, edit
from django.views.generic import list as generic_list

from django_async_cbv import views
from django_async_cbv.checks import check_views
from django_async_cbv.core.hooks import TWINS
from tests.catalogue import CATALOGUE, Entry
from tests.models import Author, Book
from tests.test_overrides import Ran, make, make_rows, override, refusal, visit_all

urlpatterns = [path("books/", views.AsyncListView.as_view(model=Book))]


def newer(function: Any, hook: str) -> Callable[..., Any]:
    """The next release of a function of Django's: it calls one hook more, first."""
    # The code names the hook and reads no variable: so any function can have it.
    namespace: dict[str, Any] = {}
    exec(
        f"def newer(self, *args, **kwargs):\n"
        f"    self.{hook}()\n"
        f"    return self._as_before_{function.__name__}(*args, **kwargs)\n",
        namespace,
    )
    made: Callable[..., Any] = namespace["newer"]
    return made


@contextmanager
def released(owner: type, name: str, hook: str) -> Iterator[None]:
    """Let Django's function be that of a newer release, for us and all others."""
    function = vars(owner)[name]
    twin = TWINS[function]
    code = function.__code__
    before = type(function)(
        code, function.__globals__, name, function.__defaults__, function.__closure__
    )
    before.__kwdefaults__ = function.__kwdefaults__
    setattr(owner, f"_as_before_{name}", before)
    defaults = function.__defaults__
    function.__code__ = newer(function, hook).__code__
    function.__defaults__ = None
    vars(twin).pop("unknown_calls", None)
    vars(twin).pop("reads", None)
    try:
        yield
    finally:
        function.__code__ = code
        function.__defaults__ = defaults
        delattr(owner, f"_as_before_{name}")
        vars(twin).pop("unknown_calls", None)
        vars(twin).pop("reads", None)


# Where Django's function is, and the hook that its next release calls as well.
RELEASES = [
    (generic_list.MultipleObjectMixin, "get_queryset", "get_allow_empty"),
    (generic_list.MultipleObjectMixin, "paginate_queryset", "get_ordering"),
    (edit.FormMixin, "get_form_kwargs", "get_success_url"),
    (base.TemplateResponseMixin, "get_template_names", "get_context_data"),
]


class TestNewerDjango(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_rows()

    def entries(self, owner: type, hook: str) -> list[Entry]:
        return [
            entry
            for entry in CATALOGUE
            if issubclass(entry.django, owner)
            and hasattr(entry.django, hook)
            and entry.django.__module__.startswith("django.")
        ]

    def test_no_override_of_a_hook_that_is_called_now_is_skipped(self):
        for owner, name, hook in RELEASES:
            with released(owner, name, hook):
                twin = TWINS[vars(owner)[name]]
                self.assertEqual(twin.unknown_calls, {hook})
                tried = 0
                for entry in self.entries(owner, hook):
                    for colour in ("sync", "async"):
                        ran, measured = Ran(), Ran()
                        ours = make(
                            (entry.ours,),
                            override(hook, colour, ran),
                            **entry.attributes,
                        )
                        django = make(
                            (entry.django,),
                            override(hook, "sync", measured),
                            **entry.attributes,
                        )
                        with self.subTest(view=entry.name, hook=hook, colour=colour):
                            self.assertIsNone(refusal(ours))
                            expected = visit_all(django, entry, measured)
                            self.assertEqual(visit_all(ours, entry, ran), expected)
                            self.assertGreater(measured.calls[hook], 0)
                            self.assertEqual(ran.wrong, set())
                            tried += 1
                self.assertGreater(tried, 1, owner)

    def test_a_hook_that_is_new_altogether(self):
        """A sync override of it runs: Django's function does, and not our body."""
        mixin = generic_list.MultipleObjectMixin
        mixin.get_newer = lambda self: None
        self.addCleanup(delattr, mixin, "get_newer")
        with released(mixin, "get_queryset", "get_newer"):
            self.assertEqual(TWINS[mixin.get_queryset].unknown_calls, {"get_newer"})
            ran = []
            entry = next(one for one in CATALOGUE if one.name == "ListView")

            class BookList(views.AsyncListView):
                def get_newer(self):
                    ran.append(self)

                async def aget_ordering(self):
                    return ["pk"]

            for name, value in entry.attributes.items():
                setattr(BookList, name, value)
            visit_all(BookList, entry, Ran())
            self.assertTrue(ran)

    @override_settings(ROOT_URLCONF=__name__)
    def test_the_check_says_so(self):
        self.assertNotIn("async_cbv.W009", [one.id for one in check_views()])
        owner, name, hook = RELEASES[0]
        with released(owner, name, hook):
            [warning] = [one for one in check_views() if one.id == "async_cbv.W009"]
        self.assertIn("MultipleObjectMixin.get_queryset() of Django", warning.msg)
        self.assertIn(f"calls {hook}(), which", warning.msg)

    def test_of_the_djangos_that_are_tested_all_is_known(self):
        self.assertEqual(
            [twin.function for twin in TWINS.values() if twin.unknown_calls], []
        )


@pytest.mark.generated
class TestWithoutBodies(TestCase):
    """Where no body may stand for Django's function, no override is skipped either."""

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def test_each_hook(self):
        of_django = [
            twin
            for twin in TWINS.values()
            if twin.function.__module__.startswith("django.")
        ]
        for twin in of_django:
            vars(twin)["unknown_calls"] = frozenset({"get_newer"})
            self.addCleanup(vars(twin).pop, "unknown_calls")
        for entry in CATALOGUE:
            if not entry.django.__module__.startswith("django."):
                continue
            for name in entry.hooks():
                ran, measured = Ran(), Ran()
                ours = make(
                    (entry.ours,), override(name, "async", ran), **entry.attributes
                )
                django = make(
                    (entry.django,),
                    override(name, "sync", measured),
                    **entry.attributes,
                )
                with self.subTest(view=entry.name, hook=name):
                    expected = visit_all(django, entry, measured)
                    self.assertEqual(visit_all(ours, entry, ran), expected)
                    self.assertEqual(ran.wrong, set())

    def test_what_forms_await(self):
        """Django's own post() waits for the validation and for the save of a form."""
        for twin in TWINS.values():
            if twin.function.__module__.startswith("django."):
                vars(twin)["unknown_calls"] = frozenset({"get_newer"})
                self.addCleanup(vars(twin).pop, "unknown_calls")

        class AuthorForm(forms.ModelForm):
            class Meta:
                model = Author
                fields = ("name", "slug")

            async def aclean_name(self):
                if self.cleaned_data["name"] == "nobody":
                    raise forms.ValidationError("Nobody is no author.")
                return self.cleaned_data["name"]

            def save(self, commit=True):
                async def save():
                    return await sync_to_async(super(AuthorForm, self).save)(commit)

                return save()

        for async_hook in ({}, {"aget_success_url": said}):
            view = type(
                "Create",
                (views.AsyncCreateView,),
                {"model": Author, "form_class": AuthorForm, "success_url": "/done/"}
                | {"template_name": "tests/page.html"}
                | async_hook,
            )
            name = f"Jane {len(async_hook)}"
            for posted, status in ((name, 302), ("nobody", 200)):
                data = {"name": posted, "slug": f"jane-{len(async_hook)}"}
                request = RequestFactory().post("/", data)
                response = async_to_sync(view.as_view())(request)
                self.assertEqual(response.status_code, status)
            self.assertTrue(Author.objects.filter(name=name).exists())
        self.assertFalse(Author.objects.filter(name="nobody").exists())


async def said(self):
    return "/done/"
