"""Async views of formsets: of plain forms, of a model's objects, of inlines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, HttpResponseBase
from django.utils.decorators import classonlymethod

from ..hooks import Twins, twin, twin_of
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
    from ._formsets import (
        InlineFormSetMixin,
        ModelFormSetMixin,
        ModelFormWithInlinesMixin,
    )

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
    InlineFormSetMixin = subscriptable(formsets.InlineFormSetMixin)
    ModelFormSetMixin = subscriptable(formsets.ModelFormSetMixin)
    ModelFormWithInlinesMixin = subscriptable(formsets.ModelFormWithInlinesMixin)
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

    aconstruct_formset = twin_of(formsets.BaseFormSetFactory.construct_formset)
    aget_initial = twin_of(formsets.BaseFormSetFactory.get_initial)
    aget_prefix = twin_of(formsets.BaseFormSetFactory.get_prefix)
    aget_formset_class = twin_of(formsets.BaseFormSetFactory.get_formset_class)
    aget_form_class = twin_of(formsets.BaseFormSetFactory.get_form_class)
    aget_form_kwargs = twin_of(formsets.BaseFormSetFactory.get_form_kwargs)
    aget_formset = twin_of(formsets.BaseFormSetFactory.get_formset)
    aget_formset_kwargs = twin_of(formsets.BaseFormSetFactory.get_formset_kwargs)
    aget_factory_kwargs = twin_of(formsets.BaseFormSetFactory.get_factory_kwargs)


class AsyncFormSetMixin(
    formsets.FormSetMixin, AsyncBaseFormSetFactory, AsyncContextMixin
):
    """Provides a way to show and handle a formset."""

    aget_success_url = twin_of(formsets.FormSetMixin.get_success_url)
    aformset_valid = twin_of(formsets.FormSetMixin.formset_valid)
    aformset_invalid = twin_of(formsets.FormSetMixin.formset_invalid)


class AsyncModelFormSetMixin(
    ModelFormSetMixin[_M], AsyncFormSetMixin, AsyncMultipleObjectMixin[_M]
):
    """Provides a way to show and handle a formset of a model's objects."""

    aget_formset_kwargs = twin_of(formsets.ModelFormSetMixin.get_formset_kwargs)
    aget_factory_kwargs = twin_of(formsets.ModelFormSetMixin.get_factory_kwargs)
    aget_formset = twin_of(formsets.ModelFormSetMixin.get_formset)
    aformset_valid = twin_of(formsets.ModelFormSetMixin.formset_valid)


class AsyncBaseInlineFormSetFactory(
    formsets.BaseInlineFormSetFactory, AsyncBaseFormSetFactory
):
    """The hooks that a formset of an object's children is made by."""

    aget_inline_model = twin_of(formsets.BaseInlineFormSetFactory.get_inline_model)
    aget_formset_kwargs = twin_of(formsets.BaseInlineFormSetFactory.get_formset_kwargs)
    aget_factory_kwargs = twin_of(formsets.BaseInlineFormSetFactory.get_factory_kwargs)
    aget_formset = twin_of(formsets.BaseInlineFormSetFactory.get_formset)


class AsyncInlineFormSetMixin(
    InlineFormSetMixin[_M],
    AsyncBaseInlineFormSetFactory,
    AsyncSingleObjectMixin[_M],
    AsyncFormSetMixin,
):
    """Provides a way to show and handle a formset of an object's children."""

    aformset_valid = twin_of(formsets.InlineFormSetMixin.formset_valid)


class AsyncProcessFormSetView(ProcessFormSetView, AsyncView):
    """Shows a formset on GET and processes it on POST."""

    get = handler.get_of(formsets.ProcessFormSetView.get)
    post = handler.post_of(formsets.ProcessFormSetView.post)
    put = handler.put_of(formsets.ProcessFormSetView.put)


class AsyncBaseFormSetView(BaseFormSetView, AsyncFormSetMixin, AsyncProcessFormSetView):
    """A formset view without a response mixin."""


class AsyncFormSetView(FormSetView, AsyncTemplateResponseMixin, AsyncBaseFormSetView):
    """The page of a formset, and what it is for."""


class AsyncBaseModelFormSetView(
    BaseModelFormSetView, AsyncModelFormSetMixin[_M], AsyncProcessFormSetView
):
    """A model formset view without a response mixin."""

    get = handler.get_of(formsets.BaseModelFormSetView.get)
    post = handler.post_of(formsets.BaseModelFormSetView.post)


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

    get = handler.get_of(formsets.BaseInlineFormSetView.get)
    post = handler.post_of(formsets.BaseInlineFormSetView.post)


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
    ModelFormWithInlinesMixin[_M, _ModelF], AsyncModelFormMixin[_M, _ModelF]
):
    """Provides a way to show and handle a model form with inline formsets."""

    aget_inlines = twin_of(formsets.ModelFormWithInlinesMixin.get_inlines)
    aforms_valid = twin_of(formsets.ModelFormWithInlinesMixin[_M, _ModelF].forms_valid)
    aforms_invalid = twin_of(
        formsets.ModelFormWithInlinesMixin[_M, _ModelF].forms_invalid
    )
    aconstruct_inlines = twin_of(formsets.ModelFormWithInlinesMixin.construct_inlines)


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

    get = handler.get_of(formsets.ProcessFormWithInlinesView.get)
    post = handler.post_of(formsets.ProcessFormWithInlinesView.post)
    put = handler.put_of(formsets.ProcessFormWithInlinesView.put)


class AsyncBaseCreateWithInlinesView(
    BaseCreateWithInlinesView,
    AsyncModelFormWithInlinesMixin[_M, _ModelF],
    AsyncProcessFormWithInlinesView,
):
    """A create view with inline formsets, without a response mixin."""

    object: _M | None

    get = handler.get_of(formsets.BaseCreateWithInlinesView.get)
    post = handler.post_of(formsets.BaseCreateWithInlinesView.post)


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

    get = handler.get_of(formsets.BaseUpdateWithInlinesView.get)
    post = handler.post_of(formsets.BaseUpdateWithInlinesView.post)


class AsyncUpdateWithInlinesView(
    UpdateWithInlinesView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseUpdateWithInlinesView[_M, _ModelF],
):
    """The page that changes an object and its children."""
