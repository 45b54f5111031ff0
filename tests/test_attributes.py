"""
Class attributes that are properties, and may query: no view reads them on the loop.

Django's own view with the same attribute is the measure.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory, TestCase
from django.utils.functional import cached_property

from django_async_cbv.auth.mixins import (
    AsyncLoginRequiredMixin,
    AsyncPermissionRequiredMixin,
)
from django_async_cbv.core.hooks import HOOKS
from django_async_cbv.messages import AsyncSuccessMessageMixin
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncListView,
    AsyncTemplateView,
    AsyncView,
)
from tests.catalogue import CATALOGUE, Entry, answer, make_rows
from tests.hops import count_hops
from tests.models import Author
from tests.test_overrides import Rollback


class Descriptor:
    """A descriptor of the project's own, which can't be set."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __get__(self, view: Any, owner: type) -> Any:
        return self if view is None else self.function(view)

    def __set__(self, view: Any, value: Any) -> None:
        raise AttributeError("can't be set")


KINDS = [property, cached_property, Descriptor]


def queried(kind: Any, value: Any) -> Any:
    """An attribute that queries before it gives its value."""

    def read(view: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return value

    return kind(read)


def attributes(entry: Entry) -> dict[str, Any]:
    """The attributes by which Django's view is configured, with their values."""
    names = {
        name
        for klass in entry.django.__mro__
        if klass is not object
        for name, value in vars(klass).items()
        if not name.startswith("_")
        and not isinstance(value, FunctionType | classmethod | staticmethod)
        and (isinstance(value, type) or not hasattr(type(value), "__get__"))
    }
    # Django's as_view() reads this off the class.
    names.discard("http_method_names")
    return {
        name: entry.attributes.get(name, getattr(entry.django, name))
        for name in sorted(names)
    }


def passed_on(name: str) -> Callable[..., Any]:
    async def method(self, *args, **kwargs):
        return await getattr(super(method.owner, self), HOOKS[name])(*args, **kwargs)

    method.__name__ = HOOKS[name]
    return method


def make(base: type, space: dict[str, Any]) -> type:
    made = type("Made", (base,), {"__module__": __name__, **space})
    for name, value in space.items():
        if isinstance(value, FunctionType):
            value.owner = made
        if isinstance(value, cached_property):
            value.__set_name__(made, name)
    return made


class Attributes(TestCase):
    """The tests of one view; made for each below."""

    entry: Entry

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def answers(self, cls: type) -> list[Any]:
        found = []
        for visit in self.entry.visits:
            try:
                with transaction.atomic():
                    found.append(answer(cls, visit))
                    raise Rollback
            except Rollback:
                pass
        return found

    def test_each_is_read_where_it_may_query(self):
        given = attributes(self.entry)
        self.assertGreater(len(given), 2)
        hooks = self.entry.hooks()
        for name, value in given.items():
            for kind in KINDS:
                space = {**self.entry.attributes, name: queried(kind, value)}
                expected = self.answers(make(self.entry.django, space))
                for lifted in ([], hooks):
                    ours = {**space, **{HOOKS[one]: passed_on(one) for one in lifted}}
                    with self.subTest(name, kind=kind.__name__, lifted=len(lifted)):
                        self.assertEqual(
                            self.answers(make(self.entry.ours, ours)), expected
                        )


for _entry in CATALOGUE:
    _name = f"Test{_entry.name}"
    globals()[_name] = type(
        _name, (Attributes,), {"entry": _entry, "__module__": __name__}
    )
del Attributes


class Named(AsyncTemplateView):
    template_name = "page.html"
    title: Any = "plain"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class TestMore(TestCase):
    factory = RequestFactory()

    async def test_mixins(self):
        """Those of access and messages, whose attributes are in no generic view."""

        class Guarded(AsyncLoginRequiredMixin, Named):
            login_url = queried(property, "/in/")
            redirect_field_name = queried(property, "then")
            raise_exception = queried(property, value=False)

            async def aget_login_url(self):
                return await super().aget_login_url()

        class Permitted(AsyncPermissionRequiredMixin, Named):
            permission_required = queried(property, ["app.look"])
            login_url = queried(property, "/in/")

            async def ahas_permission(self):
                return await super().ahas_permission()

        class Saying(AsyncSuccessMessageMixin, AsyncCreateView):
            model = Author
            fields = ("name", "slug")
            success_url = "/done/"
            success_message = queried(property, "%(name)s is saved")

            async def aget_success_url(self):
                return await super().aget_success_url()

        for view in (Guarded, Permitted):
            request = self.factory.get("/page/")
            request.user = mock.Mock(is_authenticated=False, has_perms=lambda _: False)
            response = await view.as_view()(request)
            self.assertEqual(response.status_code, 302)
            self.assertTrue(response.url.startswith("/in/?"), response.url)
        with mock.patch("django_async_cbv.messages.success") as success:
            request = self.factory.post("/", {"name": "Eve", "slug": "eve"})
            await Saying.as_view()(request)
        self.assertEqual(success.call_args.args[1], "Eve is saved")

    async def test_a_hook_that_a_property_gives(self):
        class Given(AsyncListView):
            template_name = "page.html"

            @property
            def get_queryset(self):
                return queried(property, Author.objects.all).__get__(self)

        class Awaiting(Given):
            async def aget_context_data(self, **kwargs):
                return await super().aget_context_data(**kwargs)

        for cls in (Given, Awaiting):
            response = await cls.as_view()(self.factory.get("/"))
            self.assertEqual(response.context_data["object_list"].model, Author)

    async def test_one_that_a_mock_puts_there(self):
        view = Named.as_view()
        await view(self.factory.get("/"))
        with mock.patch.object(Named, "extra_context", queried(property, {"n": 1})):
            response = await view(self.factory.get("/"))
        self.assertEqual(response.context_data["n"], 1)
        with mock.patch.object(Named, "template_name", queried(property, "page.html")):
            response = await view(self.factory.get("/"))
        self.assertEqual(response.template_name, ["page.html"])

    async def test_one_that_as_view_sets(self):
        class Set(AsyncView):
            @property
            def limit(self):
                return self._limit

            @limit.setter
            def limit(self, value):
                self._limit = value + Author.objects.count()

            async def get(self, request):
                return HttpResponse(str(self.limit))

        response = await Set.as_view(limit=2)(self.factory.get("/"))
        self.assertEqual(response.content, b"2")

    async def test_what_is_no_property_costs_no_hop(self):
        with count_hops() as hops:
            await Named.as_view()(self.factory.get("/"))
        self.assertEqual(hops.count, 0)

    def test_one_that_is_missing_is_said_as_django_says_it(self):
        class Bare(AsyncListView):
            queryset = property(lambda self: None)

        with self.assertRaisesMessage(
            ImproperlyConfigured, "Bare is missing a QuerySet."
        ):
            Bare.as_view()(self.factory.get("/"))
