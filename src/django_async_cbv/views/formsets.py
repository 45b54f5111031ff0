"""Async views of formsets: of plain forms, of a model's objects, of inlines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import classonlymethod

from ..core import handlers as handler
from ..core.hooks import is_descriptor
from ..core.problems import refuse
from ..core.twins import TwinMixin
from . import _formsets as sync
from ._django import _M, _ModelF
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

    BaseModelFormSetView = BaseFormSetView
    ModelFormSetView = FormSetView
    BaseInlineFormSetView = BaseFormSetView
    InlineFormSetView = FormSetView
    ProcessFormWithInlinesView = ProcessFormSetView
    BaseCreateWithInlinesView = BaseFormSetView
    CreateWithInlinesView = FormSetView
    BaseUpdateWithInlinesView = BaseFormSetView
    UpdateWithInlinesView = FormSetView
else:
    ProcessFormSetView = sync.ProcessFormSetView
    BaseFormSetView = sync.BaseFormSetView
    FormSetView = sync.FormSetView
    BaseModelFormSetView = sync.BaseModelFormSetView
    ModelFormSetView = sync.ModelFormSetView
    BaseInlineFormSetView = sync.BaseInlineFormSetView
    InlineFormSetView = sync.InlineFormSetView
    ProcessFormWithInlinesView = sync.ProcessFormWithInlinesView
    BaseCreateWithInlinesView = sync.BaseCreateWithInlinesView
    CreateWithInlinesView = sync.CreateWithInlinesView
    BaseUpdateWithInlinesView = sync.BaseUpdateWithInlinesView
    UpdateWithInlinesView = sync.UpdateWithInlinesView

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


class AsyncBaseFormSetFactory(sync.BaseFormSetFactory, TwinMixin):
    """Make a formset from class attributes."""

    async def aconstruct_formset(self) -> BaseFormSet[Any]: ...
    async def aget_initial(self) -> Sequence[dict[str, Any]]: ...
    async def aget_prefix(self) -> str | None: ...
    async def aget_formset_class(self) -> type[BaseFormSet[Any]] | None: ...
    async def aget_form_class(self) -> type[BaseForm] | None: ...
    async def aget_form_kwargs(self) -> dict[str, Any]: ...
    async def aget_formset(self) -> type[BaseFormSet[Any]]: ...
    async def aget_formset_kwargs(self) -> dict[str, Any]: ...
    async def aget_factory_kwargs(self) -> dict[str, Any]: ...


class AsyncFormSetMixin(sync.FormSetMixin, AsyncBaseFormSetFactory, AsyncContextMixin):
    """Show and process a formset."""

    async def aget_success_url(self) -> str: ...
    async def aformset_valid(self, formset: Any) -> HttpResponse: ...
    async def aformset_invalid(self, formset: Any) -> HttpResponse: ...


class AsyncModelFormSetMixin(
    sync.ModelFormSetMixin[_M], AsyncFormSetMixin, AsyncMultipleObjectMixin[_M]
):
    """Show and process a formset of the objects of a model."""

    async def aget_formset_kwargs(self) -> dict[str, Any]: ...
    async def aget_factory_kwargs(self) -> dict[str, Any]: ...
    async def aget_formset(self) -> type[BaseModelFormSet[Any, Any]]: ...
    async def aformset_valid(self, formset: Any) -> HttpResponse: ...


class AsyncBaseInlineFormSetFactory(
    sync.BaseInlineFormSetFactory, AsyncBaseFormSetFactory
):
    """Make a formset of the children of an object."""

    async def aget_inline_model(self) -> type[Model] | None: ...
    async def aget_formset_kwargs(self) -> dict[str, Any]: ...
    async def aget_factory_kwargs(self) -> dict[str, Any]: ...
    async def aget_formset(self) -> type[BaseInlineFormSet[Any, Any, Any]]: ...


class AsyncInlineFormSetMixin(
    sync.InlineFormSetMixin[_M],
    AsyncBaseInlineFormSetFactory,
    AsyncSingleObjectMixin[_M],
    AsyncFormSetMixin,
):
    """Show and process a formset of the children of an object."""

    async def aformset_valid(self, formset: Any) -> HttpResponse: ...


class AsyncProcessFormSetView(ProcessFormSetView, AsyncView):
    """Show a formset on GET, and process it on POST."""

    @handler.get(sync.ProcessFormSetView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(sync.ProcessFormSetView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.put(sync.ProcessFormSetView.put)
    def put(self, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncBaseFormSetView(BaseFormSetView, AsyncFormSetMixin, AsyncProcessFormSetView):
    """A formset view without a response mixin."""


class AsyncFormSetView(FormSetView, AsyncTemplateResponseMixin, AsyncBaseFormSetView):
    """The page of a formset of plain forms."""


class AsyncBaseModelFormSetView(
    BaseModelFormSetView, AsyncModelFormSetMixin[_M], AsyncProcessFormSetView
):
    """A model formset view without a response mixin."""


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


class AsyncInlineFormSetView(
    InlineFormSetView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseInlineFormSetView[_M],
):
    """The page that adds, changes and deletes the children of an object."""


class AsyncInlineFormSetFactory(
    sync.InlineFormSetFactory, AsyncBaseInlineFormSetFactory
):
    """
    Make an inline formset beside a form. `model` is the model of the children.

    List your subclasses in `inlines` of a create or update view with inlines. The view
    makes an instance for each request, with `request`, `kwargs`, `view` and the parent
    `object`. In a create view, `object` is None until the form is valid.
    """


class AsyncModelFormWithInlinesMixin(
    sync.ModelFormWithInlinesMixin[_M, _ModelF], AsyncModelFormMixin[_M, _ModelF]
):
    """Show and process a model form with inline formsets."""

    async def aget_inlines(
        self,
    ) -> Sequence[type[sync.BaseInlineFormSetFactory]]: ...
    async def aforms_valid(
        self, form: _ModelF, inlines: Sequence[Any]
    ) -> HttpResponse: ...
    async def aforms_invalid(
        self, form: _ModelF, inlines: Sequence[Any]
    ) -> HttpResponse: ...
    async def aconstruct_inlines(self) -> list[Any]: ...


class AsyncProcessFormWithInlinesView(ProcessFormWithInlinesView, AsyncView):
    """Show a form with inline formsets on GET, and process them on POST."""

    object: Any

    @classonlymethod
    def as_view(
        cls, **initkwargs: Any
    ) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
        """
        Return the view function for your URLconf.

        Args:
            **initkwargs: Attributes for each instance of the view.

        Returns:
            The view function.

        Raises:
            ImproperlyConfigured: If the view or a class of `inlines` would skip one of
                your overrides, or if such a class makes no formset.

        Runs on:
            The thread that imports your URLconf. No hop.
        """
        inlines = initkwargs.get("inlines", getattr(cls, "inlines", ()))
        # Only an instance of the view can tell what a property returns.
        for inline_class in () if is_descriptor(inlines) else inlines:
            sync.require_inline(cls.__name__, inline_class)
            if issubclass(inline_class, TwinMixin):
                refuse(inline_class)
        return super().as_view(**initkwargs)

    @handler.get(sync.ProcessFormWithInlinesView.get)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.post(sync.ProcessFormWithInlinesView.post)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    @handler.put(sync.ProcessFormWithInlinesView.put)
    def put(self, *args: Any, **kwargs: Any) -> HttpResponse: ...


class AsyncBaseCreateWithInlinesView(
    BaseCreateWithInlinesView,
    AsyncModelFormWithInlinesMixin[_M, _ModelF],
    AsyncProcessFormWithInlinesView,
):
    """A create view with inline formsets, without a response mixin."""

    object: _M | None


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


class AsyncUpdateWithInlinesView(
    UpdateWithInlinesView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseUpdateWithInlinesView[_M, _ModelF],
):
    """The page that changes an object and its children."""
