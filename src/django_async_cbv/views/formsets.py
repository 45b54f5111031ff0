"""Async views of formsets: of plain forms, of a model's objects, of inlines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import classonlymethod

from ..hooks import Twins
from ..refusals import refuse
from ..registry import is_descriptor
from . import _formsets as formsets
from . import _handlers as handler
from ._generic import _M, _ModelF, subscriptable
from .base import AsyncContextMixin, AsyncTemplateResponseMixin, AsyncView
from .detail import AsyncSingleObjectMixin, AsyncSingleObjectTemplateResponseMixin
from .edit import AsyncModelFormMixin
from .list import AsyncMultipleObjectMixin, AsyncMultipleObjectTemplateResponseMixin

if TYPE_CHECKING:
    from django.db.models import Model
    from django.forms import BaseForm, BaseFormSet, BaseInlineFormSet, BaseModelFormSet

    # Their sync handlers are not for checkers to see: see base.py.
    class ProcessFormSetView: ...

    class BaseFormSetView: ...

    class FormSetView: ...

    class BaseModelFormSetView: ...

    class ModelFormSetView: ...

    class BaseInlineFormSetView: ...

    class InlineFormSetView: ...

    class ProcessFormWithInlinesView: ...

    class BaseCreateWithInlinesView: ...

    class CreateWithInlinesView: ...

    class BaseUpdateWithInlinesView: ...

    class UpdateWithInlinesView: ...

else:
    ProcessFormSetView = formsets.ProcessFormSetView
    BaseFormSetView = formsets.BaseFormSetView
    FormSetView = formsets.FormSetView
    BaseModelFormSetView = formsets.BaseModelFormSetView
    ModelFormSetView = formsets.ModelFormSetView
    BaseInlineFormSetView = formsets.BaseInlineFormSetView
    InlineFormSetView = formsets.InlineFormSetView
    ProcessFormWithInlinesView = formsets.ProcessFormWithInlinesView
    BaseCreateWithInlinesView = formsets.BaseCreateWithInlinesView
    CreateWithInlinesView = formsets.CreateWithInlinesView
    BaseUpdateWithInlinesView = formsets.BaseUpdateWithInlinesView
    UpdateWithInlinesView = formsets.UpdateWithInlinesView

__all__ = [
    "AsyncBaseCreateWithInlinesView",
    "AsyncBaseFormSetFactory",
    "AsyncBaseFormSetView",
    "AsyncBaseInlineFormSetFactory",
    "AsyncBaseInlineFormSetView",
    "AsyncBaseModelFormSetView",
    "AsyncBaseUpdateWithInlinesView",
    "AsyncCreateWithInlinesView",
    "AsyncFormSetMixin",
    "AsyncFormSetView",
    "AsyncInlineFormSetFactory",
    "AsyncInlineFormSetMixin",
    "AsyncInlineFormSetView",
    "AsyncModelFormSetMixin",
    "AsyncModelFormSetView",
    "AsyncModelFormWithInlinesMixin",
    "AsyncProcessFormSetView",
    "AsyncProcessFormWithInlinesView",
    "AsyncUpdateWithInlinesView",
]


class AsyncBaseFormSetFactory(formsets.BaseFormSetFactory, Twins):
    """What all formset views have: the hooks that a formset is made by."""

    async def aconstruct_formset(self) -> BaseFormSet[Any]: ...
    async def aget_initial(self) -> Sequence[dict[str, Any]]: ...
    async def aget_prefix(self) -> str | None: ...
    async def aget_formset_class(self) -> type[BaseFormSet[Any]] | None: ...
    async def aget_form_class(self) -> type[BaseForm] | None: ...
    async def aget_form_kwargs(self) -> dict[str, Any]: ...
    async def aget_formset(self) -> type[BaseFormSet[Any]]: ...
    async def aget_formset_kwargs(self) -> dict[str, Any]: ...
    async def aget_factory_kwargs(self) -> dict[str, Any]: ...


class AsyncFormSetMixin(
    formsets.FormSetMixin, AsyncBaseFormSetFactory, AsyncContextMixin
):
    """Provides a way to show and handle a formset."""

    async def aget_success_url(self) -> str: ...
    async def aformset_valid(self, formset: Any) -> HttpResponse: ...
    async def aformset_invalid(self, formset: Any) -> HttpResponse: ...


class AsyncModelFormSetMixin(
    formsets.ModelFormSetMixin[_M], AsyncFormSetMixin, AsyncMultipleObjectMixin[_M]
):
    """Provides a way to show and handle a formset of a model's objects."""

    async def aget_formset_kwargs(self) -> dict[str, Any]: ...
    async def aget_factory_kwargs(self) -> dict[str, Any]: ...
    async def aget_formset(self) -> type[BaseModelFormSet[Any, Any]]: ...
    async def aformset_valid(self, formset: Any) -> HttpResponse: ...


class AsyncBaseInlineFormSetFactory(
    formsets.BaseInlineFormSetFactory, AsyncBaseFormSetFactory
):
    """The hooks that a formset of an object's children is made by."""

    async def aget_inline_model(self) -> type[Model] | None: ...
    async def aget_formset_kwargs(self) -> dict[str, Any]: ...
    async def aget_factory_kwargs(self) -> dict[str, Any]: ...
    async def aget_formset(self) -> type[BaseInlineFormSet[Any, Any, Any]]: ...


class AsyncInlineFormSetMixin(
    formsets.InlineFormSetMixin[_M],
    AsyncBaseInlineFormSetFactory,
    AsyncSingleObjectMixin[_M],
    AsyncFormSetMixin,
):
    """Provides a way to show and handle a formset of an object's children."""

    async def aformset_valid(self, formset: Any) -> HttpResponse: ...


class AsyncProcessFormSetView(ProcessFormSetView, AsyncView):
    """Shows a formset on GET and processes it on POST."""

    @handler.get(formsets.ProcessFormSetView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(formsets.ProcessFormSetView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.put(formsets.ProcessFormSetView.put)
    def put(self, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncBaseFormSetView(BaseFormSetView, AsyncFormSetMixin, AsyncProcessFormSetView):
    """A formset view without a response mixin."""


class AsyncFormSetView(FormSetView, AsyncTemplateResponseMixin, AsyncBaseFormSetView):
    """The page of a formset, and what it is for."""


class AsyncBaseModelFormSetView(
    BaseModelFormSetView, AsyncModelFormSetMixin[_M], AsyncProcessFormSetView
):
    """A model formset view without a response mixin."""

    @handler.get(formsets.BaseModelFormSetView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(formsets.BaseModelFormSetView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncModelFormSetView(
    ModelFormSetView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseModelFormSetView[_M],
):
    """The page that adds, changes and deletes objects of a model."""


class AsyncBaseInlineFormSetView(
    BaseInlineFormSetView, AsyncInlineFormSetMixin[_M], AsyncProcessFormSetView
):
    """An inline formset view without a response mixin."""

    object: _M

    @handler.get(formsets.BaseInlineFormSetView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(formsets.BaseInlineFormSetView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncInlineFormSetView(
    InlineFormSetView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseInlineFormSetView[_M],
):
    """The page that adds, changes and deletes the children of an object."""


class AsyncInlineFormSetFactory(
    formsets.InlineFormSetFactory, AsyncBaseInlineFormSetFactory
):
    """
    Makes one of the inline formsets beside a form; `model` is the children's.

    Subclasses are listed in the `inlines` of a create or update view with inlines,
    which makes one for each request: with `request`, `kwargs`, the parent `object`
    (None while it is being created and not valid yet) and the `view` itself.
    """


class AsyncModelFormWithInlinesMixin(
    formsets.ModelFormWithInlinesMixin[_M, _ModelF], AsyncModelFormMixin[_M, _ModelF]
):
    """Provides a way to show and handle a model form with inline formsets."""

    async def aget_inlines(
        self,
    ) -> Sequence[type[formsets.BaseInlineFormSetFactory]]: ...
    async def aforms_valid(
        self, form: _ModelF, inlines: Sequence[Any]
    ) -> HttpResponse: ...
    async def aforms_invalid(
        self, form: _ModelF, inlines: Sequence[Any]
    ) -> HttpResponse: ...
    async def aconstruct_inlines(self) -> list[Any]: ...


class AsyncProcessFormWithInlinesView(ProcessFormWithInlinesView, AsyncView):
    """Shows a form with inline formsets on GET and processes them on POST."""

    object: Any

    @classonlymethod
    def as_view(
        cls, **initkwargs: Any
    ) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
        """
        Return the view, as AsyncView does.

        Raise ImproperlyConfigured for a class among its `inlines`, too, in which an
        override would be skipped.
        """
        inlines = initkwargs.get("inlines", getattr(cls, "inlines", ()))
        # What a property gives is known of a view, not of its class.
        for inline_class in () if is_descriptor(inlines) else inlines:
            formsets.require_inline(cls.__name__, inline_class)
            if issubclass(inline_class, Twins):
                refuse(inline_class)
        return super().as_view(**initkwargs)

    @handler.get(formsets.ProcessFormWithInlinesView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(formsets.ProcessFormWithInlinesView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.put(formsets.ProcessFormWithInlinesView.put)
    def put(self, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncBaseCreateWithInlinesView(
    BaseCreateWithInlinesView,
    AsyncModelFormWithInlinesMixin[_M, _ModelF],
    AsyncProcessFormWithInlinesView,
):
    """A create view with inline formsets, without a response mixin."""

    object: _M | None

    @handler.get(formsets.BaseCreateWithInlinesView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(formsets.BaseCreateWithInlinesView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncCreateWithInlinesView(
    CreateWithInlinesView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseCreateWithInlinesView[_M, _ModelF],
):
    """The page that makes an object and its children."""


class AsyncBaseUpdateWithInlinesView(
    BaseUpdateWithInlinesView,
    AsyncModelFormWithInlinesMixin[_M, _ModelF],
    AsyncProcessFormWithInlinesView,
):
    """An update view with inline formsets, without a response mixin."""

    object: _M

    @handler.get(formsets.BaseUpdateWithInlinesView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(formsets.BaseUpdateWithInlinesView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncUpdateWithInlinesView(
    UpdateWithInlinesView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseUpdateWithInlinesView[_M, _ModelF],
):
    """The page that changes an object and its children."""
