"""Formset views as Django's own would be, with the names of django-extra-views."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.forms import models
from django.forms.formsets import BaseFormSet, formset_factory
from django.http import HttpRequest
from django.views.generic.base import ContextMixin, TemplateResponseMixin, View
from django.views.generic.detail import SingleObjectTemplateResponseMixin
from django.views.generic.list import MultipleObjectTemplateResponseMixin

from ..core.flow import Answer, Calls, respond
from ..core.hooks import SUPER, hook_of
from ..core.twins import hook
from ..core.validation import call_and_await, saved, validate
from ._django import (
    _M,
    ModelFormMixin,
    MultipleObjectMixin,
    SingleObjectMixin,
    _ModelF,
    itself,
)
from ._plain import has_plain_success_url
from ._saves import join_saves, redirect, save_formset

if TYPE_CHECKING:
    from django.db.models import Model
    from django.forms import BaseForm
    from django.utils.functional import _StrOrPromise

# Hooks that handlers call.
_START = ("_start_formsets", "get_form_class", "get_form")
_PAGE = ("get_context_data", "render_to_response")
_ANSWERS = ("formset_valid", "formset_invalid")


def require(maker: Any, value: Any, what: str, attribute: str, hook: str) -> None:
    """Raise ImproperlyConfigured where a formset has nothing to be made from."""
    if value is None:
        name = type(maker).__name__
        raise ImproperlyConfigured(
            f"{name} is missing {what}. Define {name}.{attribute}, or override "
            f"{name}.{hook}()."
        )


def add_fields(maker: Any, kwargs: dict[str, Any], form_class: Any) -> dict[str, Any]:
    """Add to the arguments of a model formset's class what its forms are made of."""
    # Until Django 5.2 goes: its inline formset adds the foreign key to the list.
    kwargs.setdefault("fields", copy(maker.fields))
    kwargs.setdefault("exclude", maker.exclude)
    if form_class:
        kwargs["form"] = form_class
    return kwargs


def require_fields(maker: Any, kwargs: dict[str, Any]) -> None:
    """Look whether the arguments of a model formset's class name fields."""
    meta = getattr(kwargs.get("form"), "Meta", None)
    if (
        getattr(meta, "fields", kwargs["fields"]) is None
        and getattr(meta, "exclude", kwargs["exclude"]) is None
    ):
        require(maker, None, "the fields of its forms", "fields", "get_factory_kwargs")


def require_inline(view: str, inline_class: Any) -> None:
    """Raise ImproperlyConfigured for what makes no formset among the inlines."""
    if not (
        isinstance(inline_class, type) and hasattr(inline_class, "construct_formset")
    ):
        name = getattr(inline_class, "__name__", None) or repr(inline_class)
        raise ImproperlyConfigured(
            f"{view}.inlines has {name}, which makes no formset, so the view cannot "
            "show its page. Derive a class from AsyncInlineFormSetFactory, and put "
            f"this class into {view}.inlines."
        )


class BaseFormSetFactory:
    """Makes a formset from class attributes, by formset_factory()."""

    initial: Sequence[dict[str, Any]] = []
    form_class: type[BaseForm] | None = None
    formset_class: type[BaseFormSet[Any]] | None = None
    prefix: str | None = None
    formset_kwargs: dict[str, Any] = {}
    factory_kwargs: dict[str, Any] = {}
    form_kwargs: dict[str, Any] = {}
    request: HttpRequest

    # A formset may query when Django makes it.
    @hook(calls=("get_formset", "get_formset_kwargs"))
    def construct_formset(self) -> Calls[BaseFormSet[Any]]:
        """Return the formset."""
        formset_class = yield self.get_formset
        kwargs = yield self.get_formset_kwargs
        return (yield partial(formset_class, **kwargs))

    @hook(pure=lambda view: type(view.initial) in (list, tuple))
    def get_initial(self) -> Sequence[dict[str, Any]]:
        """Return the initial data, with a dict for each form."""
        return self.initial[:]

    @hook(pure=True)
    def get_prefix(self) -> str | None:
        """Return the formset's prefix."""
        return self.prefix

    @hook(pure=True)
    def get_formset_class(self) -> type[BaseFormSet[Any]] | None:
        """Return the base class of the formset class."""
        return self.formset_class

    @hook(pure=True)
    def get_form_class(self) -> type[BaseForm] | None:
        """Return the class of each form."""
        return self.form_class

    @hook(pure=lambda view: type(view.form_kwargs) is dict)
    def get_form_kwargs(self) -> dict[str, Any]:
        """Return the arguments of each form."""
        return self.form_kwargs.copy()

    @hook(calls=("get_form_class", "get_factory_kwargs"), pure=True)
    def get_formset(self) -> Calls[type[BaseFormSet[Any]]]:
        """Return the formset class."""
        form_class = yield self.get_form_class
        require(self, form_class, "a form class", "form_class", "get_form_class")
        kwargs = yield self.get_factory_kwargs
        return formset_factory(form_class, **kwargs)

    @hook(
        calls=("get_initial", "get_prefix", "get_form_kwargs"),
        # For POST, Django reads and parses the body, and may write files.
        pure=lambda view: (
            view.request.method not in ("POST", "PUT")
            and type(view.formset_kwargs) is dict
        ),
    )
    def get_formset_kwargs(self) -> Calls[dict[str, Any]]:
        """Return the arguments of the formset."""
        kwargs = {
            **self.formset_kwargs,
            "initial": (yield self.get_initial),
            "prefix": (yield self.get_prefix),
        }
        kwargs["form_kwargs"] = {
            **kwargs.get("form_kwargs", {}),
            **(yield self.get_form_kwargs),
        }
        if self.request.method in ("POST", "PUT"):
            kwargs["data"] = (yield partial(getattr, self.request, "POST")).copy()
            kwargs["files"] = yield partial(getattr, self.request, "FILES")
        return kwargs

    @hook(
        calls=("get_formset_class",),
        pure=lambda view: type(view.factory_kwargs) is dict,
    )
    def get_factory_kwargs(self) -> Calls[dict[str, Any]]:
        """Return the arguments of the function that makes the formset class."""
        kwargs = self.factory_kwargs.copy()
        formset_class = yield self.get_formset_class
        if formset_class:
            kwargs["formset"] = formset_class
        return kwargs


class FormSetMixin(BaseFormSetFactory, ContextMixin):
    """Provide a way to show and handle a formset."""

    success_url: _StrOrPromise | None = None

    @hook(pure=lambda view: view.success_url is None or has_plain_success_url(view))
    def get_success_url(self) -> str:
        """Return the URL to redirect to. The default is the URL of the page."""
        return str(self.success_url or self.request.get_full_path())

    # Always, because the URL may be an object of the project, whose str() may query.
    @hook(calls=("get_success_url",), pure=True, always=True)
    def formset_valid(self, formset: Any) -> Answer:
        """Answer to a valid formset with a redirect."""
        return (yield from redirect(self, (yield self.get_success_url)))

    @hook(calls=_PAGE)
    def formset_invalid(self: Any, formset: Any) -> Answer:
        """Answer to an invalid formset with its page."""
        context = yield partial(self.get_context_data, formset=formset)
        return (yield partial(self.render_to_response, context))


class ModelFormSetMixin(FormSetMixin, MultipleObjectMixin[_M]):
    """Provide a way to show and handle a formset of a model's objects."""

    exclude: Sequence[str] | None = None
    fields: Sequence[str] | str | None = None
    object_list: Any
    __class_getitem__ = itself

    @hook(calls=("get_queryset", SUPER))
    def get_formset_kwargs(self) -> Calls[dict[str, Any]]:
        """Return the arguments of the formset, with the objects."""
        kwargs: dict[str, Any] = yield super().get_formset_kwargs
        kwargs["queryset"] = yield self.get_queryset
        return kwargs

    @hook(calls=("get_form_class", SUPER), pure=True)
    def get_factory_kwargs(self) -> Calls[dict[str, Any]]:
        """Return the arguments of the function that makes the formset class."""
        kwargs: dict[str, Any] = yield super().get_factory_kwargs
        return add_fields(self, kwargs, (yield self.get_form_class))

    # Form fields may query when Django makes the class.
    @hook(calls=("get_queryset", "get_factory_kwargs"))
    def get_formset(self) -> Calls[type[models.BaseModelFormSet[Any, Any]]]:
        """Return the formset class, made with `modelformset_factory()`."""
        model: Any = self.model
        if model is None:
            model = getattr((yield self.get_queryset), "model", None)
            require(self, model, "a model", "model", "get_formset")
        kwargs = yield self.get_factory_kwargs
        require_fields(self, kwargs)
        return (yield partial(models.modelformset_factory, model, **kwargs))

    @hook(calls=(SUPER,))
    def formset_valid(self, formset: Any) -> Answer:
        """Save the objects, all or none, and redirect."""
        self.object_list = yield partial(save_formset, formset)
        return (yield partial(super().formset_valid, formset))


class BaseInlineFormSetFactory(BaseFormSetFactory):
    """Makes a formset of an object's children, by inlineformset_factory()."""

    model: Any = None
    inline_model: type[Model] | None = None
    exclude: Sequence[str] | None = None
    fields: Sequence[str] | str | None = None
    object: Any

    @hook(pure=True)
    def get_inline_model(self) -> type[Model] | None:
        """Return the model of the children."""
        return self.inline_model

    @hook(calls=(SUPER,), pure=True)
    def get_formset_kwargs(self) -> Calls[dict[str, Any]]:
        """Return the arguments of the formset, with the parent."""
        kwargs: dict[str, Any] = yield super().get_formset_kwargs
        kwargs["instance"] = self.object
        return kwargs

    @hook(calls=("get_form_class", SUPER), pure=True)
    def get_factory_kwargs(self) -> Calls[dict[str, Any]]:
        """Return the arguments of the function that makes the formset class."""
        kwargs: dict[str, Any] = yield super().get_factory_kwargs
        return add_fields(self, kwargs, (yield self.get_form_class))

    # Form fields may query when Django makes the class.
    @hook(calls=("get_inline_model", "get_factory_kwargs"))
    def get_formset(self) -> Calls[type[models.BaseInlineFormSet[Any, Any, Any]]]:
        """Return the formset class, made with `inlineformset_factory()`."""
        parent = type(self.object) if self.model is None else self.model
        model = yield self.get_inline_model
        # A factory beside a form names the children's model `model`.
        given = "model" if isinstance(self, InlineFormSetFactory) else "inline_model"
        require(self, model, "the model of the children", given, "get_inline_model")
        kwargs = yield self.get_factory_kwargs
        require_fields(self, kwargs)
        return (yield partial(models.inlineformset_factory, parent, model, **kwargs))


class InlineFormSetMixin(BaseInlineFormSetFactory, SingleObjectMixin[_M], FormSetMixin):
    """Provide a way to show and handle a formset of an object's children."""

    object_list: Any
    __class_getitem__ = itself

    @hook(calls=(SUPER,))
    def formset_valid(self, formset: Any) -> Answer:
        """Save the children, all or none, and redirect."""
        self.object_list = yield partial(save_formset, formset)
        return (yield partial(super().formset_valid, formset))


class ProcessFormSetView(View):
    """Show a formset on GET and process it on POST."""

    @hook(calls=("_start_formsets", "construct_formset", *_PAGE))
    def get(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of the formset."""
        if hasattr(self, "_start_formsets"):
            yield self._start_formsets
        formset = yield self.construct_formset
        context = yield partial(self.get_context_data, formset=formset)
        return (yield partial(self.render_to_response, context))

    # Always, because a form may have async validation.
    @hook(calls=("_start_formsets", "construct_formset", *_ANSWERS), always=True)
    def post(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Make the formset from the body, validate the formset, and act on it."""
        if hasattr(self, "_start_formsets"):
            yield self._start_formsets
        formset = yield self.construct_formset
        if (yield from validate(formset)):
            return (yield partial(self.formset_valid, formset))
        return (yield partial(self.formset_invalid, formset))

    @hook(calls=("post",), pure=True)
    def put(self: Any, *args: Any, **kwargs: Any) -> Answer:
        """Answer as `post()` does."""
        return (yield respond(self.post, *args, **kwargs))


class BaseFormSetView(FormSetMixin, ProcessFormSetView):
    """A formset view without a response mixin."""


class FormSetView(TemplateResponseMixin, BaseFormSetView):
    """The page of a formset."""


class BaseModelFormSetView(ModelFormSetMixin[_M], ProcessFormSetView):
    """A model formset view without a response mixin."""

    @hook(calls=("get_queryset",), pure=True)
    def _start_formsets(self) -> Calls[None]:
        """Fetch the objects."""
        self.object_list = yield self.get_queryset


class BaseInlineFormSetView(InlineFormSetMixin[_M], ProcessFormSetView):
    """An inline formset view without a response mixin."""

    object: _M

    @hook(calls=("get_object",))
    def _start_formsets(self) -> Calls[None]:
        """Fetch the parent."""
        self.object = yield self.get_object


class InlineFormSetFactory(BaseInlineFormSetFactory):
    """Makes one of the inline formsets beside a form; `model` is the children's."""

    def __init__(
        self,
        parent_model: type[Model],
        request: HttpRequest,
        instance: Model | None,
        view_kwargs: dict[str, Any] | None = None,
        view: Any = None,
    ) -> None:
        self.inline_model = self.model
        self.model = parent_model
        self.request = request
        self.object = instance
        self.kwargs = view_kwargs
        self.view = view


class ModelFormWithInlinesMixin(ModelFormMixin[_M, _ModelF]):
    """Provide a way to show and handle a model form with inline formsets."""

    inlines: Sequence[type[BaseInlineFormSetFactory]] = []
    __class_getitem__ = itself

    @hook(pure=True)
    def get_inlines(self) -> Sequence[type[BaseInlineFormSetFactory]]:
        """Return the classes that make the inline formsets."""
        return self.inlines[:]

    @hook(calls=("form_valid",))
    def forms_valid(self, form: _ModelF, inlines: Sequence[Any]) -> Answer:
        """Save the object and its children, all or none, and redirect."""
        # One call of form_valid() saves all. A cancellation cannot split one call.
        joined = join_saves(form, inlines)
        response = yield partial(self.form_valid, form)
        if joined.left:
            yield joined.save_rest
        return response

    @hook(calls=_PAGE)
    def forms_invalid(self: Any, form: _ModelF, inlines: Sequence[Any]) -> Answer:
        """Answer to an invalid form or formset with the page."""
        context = yield partial(self.get_context_data, form=form, inlines=inlines)
        return (yield partial(self.render_to_response, context))

    # Always, because the inlines may have async hooks of their own.
    @hook(calls=("get_queryset", "get_inlines"), always=True)
    def construct_inlines(self: Any) -> Calls[list[Any]]:
        """Return the inline formsets."""
        model: Any = self.model
        if model is None and self.object is not None:
            model = type(self.object)
        elif model is None:
            model = getattr((yield self.get_queryset), "model", None)
            require(self, model, "a model", "model", "get_formset")
        given = (model, self.request, self.object, self.kwargs, self)
        formsets = []
        for inline_class in (yield self.get_inlines):
            require_inline(type(self).__name__, inline_class)
            inline = yield partial(inline_class, *given)
            formsets.append((yield hook_of(inline, "construct_formset")))
        return formsets


class ProcessFormWithInlinesView(View):
    """Show a form with inline formsets on GET and process them on POST."""

    object: Any

    @hook(calls=(*_START, "construct_inlines", *_PAGE), always=True)
    def get(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of the form and its inline formsets."""
        if hasattr(self, "_start_formsets"):
            yield self._start_formsets
        form = yield partial(self.get_form, (yield self.get_form_class))
        inlines = yield self.construct_inlines
        context = yield partial(
            self.get_context_data, form=form, inlines=inlines, **kwargs
        )
        return (yield partial(self.render_to_response, context))

    @hook(
        calls=(*_START, "construct_inlines", "forms_valid", "forms_invalid"),
        always=True,
    )
    def post(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """
        Make form and formsets from the body, validate them, and act on them.

        The view awaits the async validation of a form after Django's validation of it.
        """
        if hasattr(self, "_start_formsets"):
            yield self._start_formsets
        form = yield partial(self.get_form, (yield self.get_form_class))
        before = self.object
        is_valid = yield from validate(form)
        if is_valid:
            # The formsets need their parent.
            self.object = yield from call_and_await(form.save, commit=False)
        inlines = yield self.construct_inlines
        # The view validates each formset, so that the page shows all errors.
        for formset in inlines:
            is_valid = (yield from validate(formset)) and is_valid
        if is_valid:
            valid = partial(self.forms_valid, form, inlines)
            return (yield from saved(self, form, valid))
        self.object = before
        return (yield partial(self.forms_invalid, form, inlines))

    @hook(calls=("post",), pure=True)
    def put(self: Any, *args: Any, **kwargs: Any) -> Answer:
        """Answer as `post()` does."""
        return (yield respond(self.post, *args, **kwargs))


class BaseCreateWithInlinesView(
    ModelFormWithInlinesMixin[_M, _ModelF], ProcessFormWithInlinesView
):
    """A create view with inline formsets, without a response mixin."""

    object: _M | None

    @hook(pure=True)
    def _start_formsets(self) -> None:
        """There is no object yet."""
        self.object = None


class BaseUpdateWithInlinesView(
    ModelFormWithInlinesMixin[_M, _ModelF], ProcessFormWithInlinesView
):
    """An update view with inline formsets, without a response mixin."""

    object: _M

    @hook(calls=("get_object",))
    def _start_formsets(self) -> Calls[None]:
        """Fetch the object."""
        self.object = yield self.get_object


class ModelFormSetView(MultipleObjectTemplateResponseMixin, BaseModelFormSetView[_M]):
    """The page of a formset of a model's objects."""


class InlineFormSetView(SingleObjectTemplateResponseMixin, BaseInlineFormSetView[_M]):
    """The page of a formset of an object's children."""


class CreateWithInlinesView(
    SingleObjectTemplateResponseMixin, BaseCreateWithInlinesView[_M, _ModelF]
):
    """The page that makes an object and its children."""

    template_name_suffix = "_form"


class UpdateWithInlinesView(
    SingleObjectTemplateResponseMixin, BaseUpdateWithInlinesView[_M, _ModelF]
):
    """The page that changes an object and its children."""

    template_name_suffix = "_form"
