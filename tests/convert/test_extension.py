"""From django-async-extensions: its views, hooks and forms."""

from __future__ import annotations

import pytest

from django_async_cbv.convert import tables
from django_async_cbv.convert.report import message
from tests.convert.converting import Project, codes, dedented

CONVERTED = {
    "a view with access and hooks": (
        """
        from django_async_extensions.contrib.auth.mixins import AsyncLoginRequiredMixin
        from django_async_extensions.views.generic import AsyncListView

        class Books(AsyncLoginRequiredMixin, AsyncListView):
            async def get(self, request, *args, **kwargs):  # a handler
                return await super().get(request, *args, **kwargs)

            async def get_queryset(self):
                queryset = await super().get_queryset()
                return queryset.order_by(self.get_ordering())

            def get_ordering(self):
                return "title"

            async def get_context_data(self, **kwargs):
                def inner():
                    return 1
                return await super(Books, self).get_context_data(
                    books=await self.get_queryset(), **kwargs
                )
        """,
        """
        from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
        from django_async_cbv.views import AsyncListView

        class Books(AsyncLoginRequiredMixin, AsyncListView):
            async def get(self, request, *args, **kwargs):  # a handler
                return await super().get(request, *args, **kwargs)

            async def aget_queryset(self):
                queryset = await super().aget_queryset()
                return queryset.order_by(self.get_ordering())

            def get_ordering(self):
                return "title"

            async def aget_context_data(self, **kwargs):
                def inner():
                    return 1
                return await super(Books, self).aget_context_data(
                    books=await self.aget_queryset(), **kwargs
                )
        """,
    ),
    "a subclass and a plain mixin": (
        """
        from django_async_extensions.views.generic import AsyncDetailView

        class Mixin:
            async def get_object(self, queryset=None):
                return await super().get_object(queryset)

        class Book(Mixin, AsyncDetailView): ...

        class Other(Book):
            async def render_to_response(self, context):
                return await super().render_to_response(context)
        """,
        """
        from django_async_cbv.views import AsyncDetailView

        class Mixin:
            async def aget_object(self, queryset=None):
                return await super().aget_object(queryset)

        class Book(Mixin, AsyncDetailView): ...

        class Other(Book):
            async def arender_to_response(self, context):
                return await super().arender_to_response(context)
        """,
    ),
    "a form": (
        """
        from django_async_extensions.forms import AsyncModelForm
        from django_async_extensions.views.generic import AsyncFormView

        class BookForm(AsyncModelForm):
            title = None

        class Edit(AsyncFormView):
            async def post(self, request):
                form = await self.get_form()
                if await form.ais_valid():
                    return await self.form_valid(form)
                return await self.form_invalid(form)

        is_view = issubclass(Edit, AsyncFormView)
        """,
        """
        from django.forms import ModelForm
        from django_async_cbv.forms import ais_valid
        from django_async_cbv.views import AsyncFormView

        class BookForm(ModelForm):
            title = None

        class Edit(AsyncFormView):
            async def post(self, request):
                form = await self.aget_form()
                if await ais_valid(form):
                    return await self.aform_valid(form)
                return await self.aform_invalid(form)

        is_view = issubclass(Edit, AsyncFormView)
        """,
    ),
    "access checks": (
        """
        from django_async_extensions.contrib.auth import mixins
        from django_async_extensions.views import generic

        class Page(mixins.AsyncUserPassesTestMixin, generic.AsyncTemplateView):
            async def test_func(self):
                return (await self.request.auser()).is_staff
        """,
        """
        from django_async_cbv.auth.mixins import AsyncUserPassesTestMixin
        from django_async_cbv.views import AsyncTemplateView

        class Page(AsyncUserPassesTestMixin, AsyncTemplateView):
            async def atest_func(self):
                return (await self.request.auser()).is_staff
        """,
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_converted(tmp_path, name):
    before, after = CONVERTED[name]
    project = Project(tmp_path, {"views.py": before})
    result = project.convert()
    assert codes(result) == [], [*map(message, result.findings)]
    [change] = result.changes
    assert change.after.decode() == dedented(after)
    change.source.path.write_bytes(change.after)
    assert project.convert().changes == []


HEAD = """
from django_async_extensions.core.paginator import AsyncPaginator
from django_async_extensions.forms import AsyncModelForm
from django_async_extensions.views import generic
"""
LEFT = {
    "extension-paginator": "paginator_class = AsyncPaginator",
    "extension-test-func": "def get_test_func(self): return self.check",
    "extension-loose": "async def get(self, r): await gather(self.get_queryset(), x)",
    "extension-hook": "async def uses_datetime_field(self): ...",
    "extension-sync": "def get_queryset(self): return super().get_queryset()",
    "taken": "async def aget_queryset(self): ...",
}


@pytest.mark.parametrize("code", LEFT)
def test_left(tmp_path, code):
    text = f"{HEAD}class V(generic.AsyncListView):\n    {LEFT[code]}\n"
    project = Project(tmp_path, {"views.py": text})
    result = project.convert()
    assert code in codes(result)
    assert result.changes == []


class TestFamily:
    def test_what_shares_hooks_stays_together(self, tmp_path):
        text = f"""{HEAD}
class V(generic.AsyncListView):
    async def get_queryset(self): ...

class W(V):
    paginator_class = AsyncPaginator

class X(generic.AsyncListView): ...

is_view = issubclass(V, generic.AsyncListView)
"""
        result = Project(tmp_path, {"views.py": text}).convert()
        assert "family" in codes(result)
        [change] = result.changes
        assert b"class V(generic.AsyncListView)" in change.after
        assert b"async def get_queryset" in change.after
        assert b"class X(AsyncListView)" in change.after
        assert "extension-name" in codes(result)

    def test_a_mixin_that_another_view_shares(self, tmp_path):
        text = f"""{HEAD}
from django.views.generic import View
from nowhere import ShopView

class Mixin:
    async def get_queryset(self): ...

class V(Mixin, generic.AsyncListView): ...
class W(Mixin, ShopView, View): ...
"""
        result = Project(tmp_path, {"views.py": text}).convert()
        assert "shared-mixin" in codes(result)
        [change] = result.changes
        assert b"async def get_queryset" in change.after

    def test_what_is_said_besides(self, tmp_path):
        text = f"""{HEAD}
async def page(form, view):
    await form.asave()
    await form.ais_valid()
    await view.get_context_data()
"""
        result = Project(tmp_path, {"views.py": text}).convert()
        assert result.changes == []
        found = {(one.code, one.name) for one in result.findings}
        assert found == {
            ("extension-import", "AsyncPaginator"),
            ("form-method", "asave"),
            ("form-method", "ais_valid"),
            ("awaited-elsewhere", "get_context_data"),
        }


def test_each_of_its_async_hooks_has_a_variant_here():
    without = tables.theirs_async() - tables.hooks()
    assert without == {"uses_datetime_field"}
    assert len(tables.theirs_async()) == 24
