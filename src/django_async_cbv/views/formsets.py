"""Async views of formsets: of plain forms, of a model's objects, of inlines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.forms import BaseForm
from django.forms.formsets import BaseFormSet, formset_factory
from django.forms.models import (
    BaseInlineFormSet,
    BaseModelFormSet,
    inlineformset_factory,
    modelformset_factory,
)
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
)
from django.utils.decorators import classonlymethod

from ..core import handlers as handler
from ..core.flow import Body, call, respond
from ..core.hooks import SUPER, is_descriptor
from ..core.problems import refuse
from ..core.twins import Twins, after, twin, twin_or_hook
from ..core.validation import call_and_await, saved, validate
from . import _formsets as formsets
from ._generic import _M, _ModelF, subscriptable
from ._plain import has_plain_success_url
from ._saves import join_saves, redirect, save_formset
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

    @twin(
        formsets.BaseFormSetFactory.construct_formset,
        calls=("get_formset", "get_formset_kwargs"),
    )
    def aconstruct_formset(self) -> Body[BaseFormSet[Any]]:
        """
        Return the formset; twin of construct_formset().

        Made in the worker, in one hop, as making a formset may query.
        """
        formset_class = yield call(self.aget_formset)
        kwargs = yield call(self.aget_formset_kwargs)
        return (yield call(formset_class, **kwargs))

    @twin(
        formsets.BaseFormSetFactory.get_initial,
        pure=lambda view: type(view.initial) in (list, tuple),
    )
    async def aget_initial(self) -> Sequence[dict[str, Any]]:
        """Return the initial data, a dict for each form; twin of get_initial()."""

    @twin(formsets.BaseFormSetFactory.get_prefix, pure=True)
    async def aget_prefix(self) -> str | None:
        """Return the formset's prefix; twin of get_prefix()."""

    @twin(formsets.BaseFormSetFactory.get_formset_class, pure=True)
    async def aget_formset_class(self) -> type[BaseFormSet[Any]] | None:
        """Return the class to derive the formset's from; twin of its namesake."""

    @twin(formsets.BaseFormSetFactory.get_form_class, pure=True)
    async def aget_form_class(self) -> type[BaseForm] | None:
        """Return the class of each form; twin of get_form_class()."""

    @twin(
        formsets.BaseFormSetFactory.get_form_kwargs,
        pure=lambda view: type(view.form_kwargs) is dict,
    )
    async def aget_form_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make each form with; twin of get_form_kwargs()."""

    @twin(
        formsets.BaseFormSetFactory.get_formset,
        calls=("get_form_class", "get_factory_kwargs"),
        pure=True,
    )
    def aget_formset(self) -> Body[type[BaseFormSet[Any]]]:
        """Return the formset's class; twin of get_formset()."""
        form_class = yield call(self.aget_form_class)
        formsets.require_form_class(self, form_class)
        kwargs = yield call(self.aget_factory_kwargs)
        return formset_factory(form_class, **kwargs)

    @twin(
        formsets.BaseFormSetFactory.get_formset_kwargs,
        calls=("get_initial", "get_prefix", "get_form_kwargs"),
        # The body of a POST is read and parsed, perhaps to files.
        pure=lambda view: (
            view.request.method not in ("POST", "PUT")
            and type(view.formset_kwargs) is dict
        ),
    )
    def aget_formset_kwargs(self) -> Body[dict[str, Any]]:
        """
        Return the arguments to make the formset with; twin of get_formset_kwargs().

        The body of a POST or PUT is parsed in the worker, in one hop.
        """
        kwargs = {
            **self.formset_kwargs,
            "initial": (yield call(self.aget_initial)),
            "prefix": (yield call(self.aget_prefix)),
        }
        kwargs["form_kwargs"] = {
            **kwargs.get("form_kwargs", {}),
            **(yield call(self.aget_form_kwargs)),
        }
        if self.request.method in ("POST", "PUT"):
            posted = yield call(getattr, self.request, "POST")
            kwargs["data"] = posted.copy()
            kwargs["files"] = yield call(getattr, self.request, "FILES")
        return kwargs

    @twin(
        formsets.BaseFormSetFactory.get_factory_kwargs,
        calls=("get_formset_class",),
        pure=lambda view: type(view.factory_kwargs) is dict,
    )
    def aget_factory_kwargs(self) -> Body[dict[str, Any]]:
        """Return the arguments to make its class with; twin of get_factory_kwargs()."""
        kwargs = self.factory_kwargs.copy()
        formset_class = yield call(self.aget_formset_class)
        if formset_class:
            kwargs["formset"] = formset_class
        return kwargs


class AsyncFormSetMixin(
    formsets.FormSetMixin, AsyncBaseFormSetFactory, AsyncContextMixin
):
    """Provides a way to show and handle a formset."""

    @twin(
        formsets.FormSetMixin.get_success_url,
        pure=lambda view: view.success_url is None or has_plain_success_url(view),
    )
    async def aget_success_url(self) -> str:
        """
        Return where to go after a valid formset; twin of get_success_url().

        By default to the same page.
        """

    @twin(
        formsets.FormSetMixin.formset_valid,
        calls=("get_success_url",),
        pure=True,
        # The URL may be an object of the project's, which is made text of.
        always=True,
    )
    def aformset_valid(self, formset: Any) -> Body[HttpResponse]:
        """Answer to a valid formset with a redirect; twin of formset_valid()."""
        return (yield from redirect(self, (yield call(self.aget_success_url))))

    @twin(
        formsets.FormSetMixin.formset_invalid,
        calls=("get_context_data", "render_to_response"),
    )
    def aformset_invalid(self, formset: Any) -> Body[HttpResponse]:
        """Answer to an invalid formset with its page; twin of formset_invalid()."""
        context = yield call(self.aget_context_data, formset=formset)
        return (yield call(twin_or_hook(self, "render_to_response"), context))


class AsyncModelFormSetMixin(
    ModelFormSetMixin[_M], AsyncFormSetMixin, AsyncMultipleObjectMixin[_M]
):
    """Provides a way to show and handle a formset of a model's objects."""

    @twin(formsets.ModelFormSetMixin.get_formset_kwargs, calls=("get_queryset", SUPER))
    def aget_formset_kwargs(self) -> Body[dict[str, Any]]:
        """Return the arguments, with the objects; twin of get_formset_kwargs()."""
        kwargs: dict[str, Any] = yield call(super().aget_formset_kwargs)
        kwargs["queryset"] = yield call(self.aget_queryset)
        return kwargs

    @twin(
        formsets.ModelFormSetMixin.get_factory_kwargs,
        calls=("get_form_class", SUPER),
        pure=True,
    )
    def aget_factory_kwargs(self) -> Body[dict[str, Any]]:
        """Return the arguments to make its class with; twin of get_factory_kwargs()."""
        kwargs: dict[str, Any] = yield call(super().aget_factory_kwargs)
        kwargs.setdefault("fields", self.fields)
        kwargs.setdefault("exclude", self.exclude)
        form_class = yield call(self.aget_form_class)
        if form_class:
            kwargs["form"] = form_class
        return kwargs

    @twin(
        formsets.ModelFormSetMixin.get_formset,
        calls=("get_queryset", "get_factory_kwargs"),
    )
    def aget_formset(self) -> Body[type[BaseModelFormSet[Any, Any]]]:
        """
        Return the formset's class, by modelformset_factory(); twin of get_formset().

        In one hop, as form fields may ask the database.
        """
        model: Any = self.model
        if model is None:
            model = formsets.require_model(self, (yield call(self.aget_queryset)))
        kwargs = yield call(self.aget_factory_kwargs)
        formsets.require_fields(self, kwargs)
        return (yield call(modelformset_factory, model, **kwargs))

    @twin(formsets.ModelFormSetMixin.formset_valid, calls=(SUPER,))
    def aformset_valid(self, formset: Any) -> Body[HttpResponse]:
        """
        Save the objects and redirect; twin of formset_valid().

        All forms are saved in one call in one hop, which a cancellation can't
        split, and in one transaction: all of them or none.
        """
        self.object_list = yield call(save_formset, formset)
        return (yield call(super().aformset_valid, formset))


class AsyncBaseInlineFormSetFactory(
    formsets.BaseInlineFormSetFactory, AsyncBaseFormSetFactory
):
    """The hooks that a formset of an object's children is made by."""

    @twin(formsets.BaseInlineFormSetFactory.get_inline_model, pure=True)
    async def aget_inline_model(self) -> type[Model] | None:
        """Return the model of the children; twin of get_inline_model()."""

    @twin(
        formsets.BaseInlineFormSetFactory.get_formset_kwargs,
        calls=(SUPER,),
        pure=True,
    )
    def aget_formset_kwargs(self) -> Body[dict[str, Any]]:
        """Return the arguments, with the parent; twin of get_formset_kwargs()."""
        kwargs: dict[str, Any] = yield call(super().aget_formset_kwargs)
        kwargs["instance"] = self.object
        return kwargs

    @twin(
        formsets.BaseInlineFormSetFactory.get_factory_kwargs,
        calls=("get_form_class", SUPER),
        pure=True,
    )
    def aget_factory_kwargs(self) -> Body[dict[str, Any]]:
        """Return the arguments to make its class with; twin of get_factory_kwargs()."""
        kwargs: dict[str, Any] = yield call(super().aget_factory_kwargs)
        # Until Django 5.2 goes: its inline formset adds the foreign key to the list.
        kwargs.setdefault("fields", copy(self.fields))
        kwargs.setdefault("exclude", self.exclude)
        form_class = yield call(self.aget_form_class)
        if form_class:
            kwargs["form"] = form_class
        return kwargs

    @twin(
        formsets.BaseInlineFormSetFactory.get_formset,
        calls=("get_inline_model", "get_factory_kwargs"),
    )
    def aget_formset(self) -> Body[type[BaseInlineFormSet[Any, Any, Any]]]:
        """
        Return the formset's class, by inlineformset_factory(); twin of get_formset().

        In one hop, as form fields may ask the database.
        """
        parent: Any = self.model
        if parent is None:
            parent = type(self.object)
        model = yield call(self.aget_inline_model)
        formsets.require_inline_model(self, model)
        kwargs = yield call(self.aget_factory_kwargs)
        formsets.require_fields(self, kwargs)
        return (yield call(inlineformset_factory, parent, model, **kwargs))


class AsyncInlineFormSetMixin(
    InlineFormSetMixin[_M],
    AsyncBaseInlineFormSetFactory,
    AsyncSingleObjectMixin[_M],
    AsyncFormSetMixin,
):
    """Provides a way to show and handle a formset of an object's children."""

    @twin(formsets.InlineFormSetMixin.formset_valid, calls=(SUPER,))
    def aformset_valid(self, formset: Any) -> Body[HttpResponse]:
        """
        Save the children and redirect; twin of formset_valid().

        All forms are saved in one call in one hop, which a cancellation can't
        split, and in one transaction: all of them or none.
        """
        self.object_list = yield call(save_formset, formset)
        return (yield call(super().aformset_valid, formset))


class AsyncProcessFormSetView(ProcessFormSetView, AsyncView):
    """Shows a formset on GET and processes it on POST."""

    @handler.get(
        formsets.ProcessFormSetView.get,
        calls=("construct_formset", "get_context_data", "render_to_response"),
    )
    def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Answer with the page of the formset; one hop before the rendering's."""
        formset = yield call(twin_or_hook(self, "construct_formset"))
        context = yield call(twin_or_hook(self, "get_context_data"), formset=formset)
        return (yield call(twin_or_hook(self, "render_to_response"), context))

    @handler.post(
        formsets.ProcessFormSetView.post,
        calls=("construct_formset", "formset_valid", "formset_invalid"),
        always=True,
    )
    def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """
        Parse, validate and act on the formset: one hop for all of it.

        Then, before it is acted on, what its forms and it have of async validation.
        """
        formset = yield call(twin_or_hook(self, "construct_formset"))
        if (yield from validate(formset)):
            return (yield call(twin_or_hook(self, "formset_valid"), formset))
        return (yield call(twin_or_hook(self, "formset_invalid"), formset))

    @handler.put(formsets.ProcessFormSetView.put, calls=("post",), pure=True)
    def put(self, *args: Any, **kwargs: Any) -> Body[HttpResponse]:
        """Do as post() does."""
        return (yield respond(self.post, *args, **kwargs))


class AsyncBaseFormSetView(BaseFormSetView, AsyncFormSetMixin, AsyncProcessFormSetView):
    """A formset view without a response mixin."""


class AsyncFormSetView(FormSetView, AsyncTemplateResponseMixin, AsyncBaseFormSetView):
    """The page of a formset, and what it is for."""


class AsyncBaseModelFormSetView(
    BaseModelFormSetView, AsyncModelFormSetMixin[_M], AsyncProcessFormSetView
):
    """A model formset view without a response mixin."""

    @handler.get(
        formsets.BaseModelFormSetView.get, calls=("get_queryset", SUPER), pure=True
    )
    def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Answer with the page of the formset; one hop before the rendering's."""
        self.object_list = yield call(self.aget_queryset)
        return (
            yield respond(
                after(BaseModelFormSetView, self, "get"), request, *args, **kwargs
            )
        )

    @handler.post(
        formsets.BaseModelFormSetView.post, calls=("get_queryset", SUPER), pure=True
    )
    def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Parse, validate, save, redirect: one hop."""
        self.object_list = yield call(self.aget_queryset)
        return (
            yield respond(
                after(BaseModelFormSetView, self, "post"), request, *args, **kwargs
            )
        )


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

    @handler.get(formsets.BaseInlineFormSetView.get, calls=("get_object", SUPER))
    def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Answer with the page of the formset; one hop before the rendering's."""
        self.object = yield call(self.aget_object)
        return (
            yield respond(
                after(BaseInlineFormSetView, self, "get"), request, *args, **kwargs
            )
        )

    @handler.post(formsets.BaseInlineFormSetView.post, calls=("get_object", SUPER))
    def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Fetch the parent, parse, validate, save, redirect: one hop."""
        self.object = yield call(self.aget_object)
        return (
            yield respond(
                after(BaseInlineFormSetView, self, "post"), request, *args, **kwargs
            )
        )


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

    @twin(formsets.ModelFormWithInlinesMixin.get_inlines, pure=True)
    async def aget_inlines(
        self,
    ) -> Sequence[type[formsets.BaseInlineFormSetFactory]]:
        """Return the classes that make the inline formsets; twin of get_inlines()."""

    @twin(formsets.ModelFormWithInlinesMixin.forms_valid, calls=("form_valid",))
    def aforms_valid(self, form: _ModelF, inlines: Sequence[Any]) -> Body[HttpResponse]:
        """
        Save the object and its children and redirect; twin of forms_valid().

        All are saved by form_valid(), in one call in one hop, which a cancellation
        can't split, and in one transaction: all of them or none.
        """
        joined = join_saves(form, inlines)
        response = yield call(self.aform_valid, form)
        if joined.left:
            yield call(joined.finish)
        return response

    @twin(
        formsets.ModelFormWithInlinesMixin.forms_invalid,
        calls=("get_context_data", "render_to_response"),
    )
    def aforms_invalid(
        self, form: _ModelF, inlines: Sequence[Any]
    ) -> Body[HttpResponse]:
        """Answer with the page of form and formsets; twin of forms_invalid()."""
        context = yield call(self.aget_context_data, form=form, inlines=inlines)
        return (yield call(twin_or_hook(self, "render_to_response"), context))

    @twin(
        formsets.ModelFormWithInlinesMixin.construct_inlines,
        calls=("get_queryset", "get_inlines"),
        # The inlines have hooks too, and may have async ones.
        always=True,
    )
    def aconstruct_inlines(self) -> Body[list[Any]]:
        """
        Return the inline formsets; twin of construct_inlines().

        Made in the worker, in one hop, save for what their classes override async.
        """
        model: Any = self.model
        if model is None and self.object is not None:
            model = type(self.object)
        elif model is None:
            model = formsets.require_model(self, (yield call(self.aget_queryset)))
        made = []
        for inline_class in (yield call(self.aget_inlines)):
            formsets.require_inline(type(self).__name__, inline_class)
            inline = yield call(
                inline_class, model, self.request, self.object, self.kwargs, self
            )
            made.append((yield call(twin_or_hook(inline, "construct_formset"))))
        return made


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

    @handler.get(
        formsets.ProcessFormWithInlinesView.get,
        calls=(
            "get_form_class",
            "get_form",
            "construct_inlines",
            "get_context_data",
            "render_to_response",
        ),
        always=True,
    )
    def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Answer with the form and its inlines; one hop before the rendering's."""
        form_class = yield call(twin_or_hook(self, "get_form_class"))
        form = yield call(twin_or_hook(self, "get_form"), form_class)
        inlines = yield call(twin_or_hook(self, "construct_inlines"))
        context = yield call(
            twin_or_hook(self, "get_context_data"), form=form, inlines=inlines, **kwargs
        )
        return (yield call(twin_or_hook(self, "render_to_response"), context))

    @handler.post(
        formsets.ProcessFormWithInlinesView.post,
        calls=(
            "get_form_class",
            "get_form",
            "construct_inlines",
            "forms_valid",
            "forms_invalid",
        ),
        always=True,
    )
    def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """
        Parse, validate and act on the form and its inlines: one hop for all of it.

        Async validation of each comes right after Django's own of it.
        """
        form_class = yield call(twin_or_hook(self, "get_form_class"))
        form = yield call(twin_or_hook(self, "get_form"), form_class)
        before = self.object
        is_valid = yield from validate(form)
        if is_valid:
            # For the formsets, which belong to it.
            self.object = yield from call_and_await(form.save, commit=False)
        inlines = yield call(twin_or_hook(self, "construct_inlines"))
        # Each of them: all errors are to be shown.
        for formset in inlines:
            is_valid = (yield from validate(formset)) and is_valid
        if is_valid:
            valid = call(twin_or_hook(self, "forms_valid"), form, inlines)
            return (yield from saved(self, form, valid))
        self.object = before
        return (yield call(twin_or_hook(self, "forms_invalid"), form, inlines))

    @handler.put(formsets.ProcessFormWithInlinesView.put, calls=("post",), pure=True)
    def put(self, *args: Any, **kwargs: Any) -> Body[HttpResponse]:
        """Do as post() does."""
        return (yield respond(self.post, *args, **kwargs))


class AsyncBaseCreateWithInlinesView(
    BaseCreateWithInlinesView,
    AsyncModelFormWithInlinesMixin[_M, _ModelF],
    AsyncProcessFormWithInlinesView,
):
    """A create view with inline formsets, without a response mixin."""

    object: _M | None

    @handler.get(formsets.BaseCreateWithInlinesView.get, calls=(SUPER,), pure=True)
    def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Answer with blank forms; one hop before the rendering's."""
        self.object = None
        return (
            yield respond(
                after(BaseCreateWithInlinesView, self, "get"), request, *args, **kwargs
            )
        )

    @handler.post(formsets.BaseCreateWithInlinesView.post, calls=(SUPER,), pure=True)
    def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Parse, validate, save, redirect: one hop."""
        self.object = None
        return (
            yield respond(
                after(BaseCreateWithInlinesView, self, "post"), request, *args, **kwargs
            )
        )


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

    @handler.get(
        formsets.BaseUpdateWithInlinesView.get,
        calls=("get_object", SUPER),
    )
    def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Answer with the forms of the object and its children; one hop."""
        self.object = yield call(self.aget_object)
        return (
            yield respond(
                after(BaseUpdateWithInlinesView, self, "get"), request, *args, **kwargs
            )
        )

    @handler.post(
        formsets.BaseUpdateWithInlinesView.post,
        calls=("get_object", SUPER),
    )
    def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Body[HttpResponse]:
        """Fetch, parse, validate, save, redirect: one hop."""
        self.object = yield call(self.aget_object)
        return (
            yield respond(
                after(BaseUpdateWithInlinesView, self, "post"), request, *args, **kwargs
            )
        )


class AsyncUpdateWithInlinesView(
    UpdateWithInlinesView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseUpdateWithInlinesView[_M, _ModelF],
):
    """The page that changes an object and its children."""
