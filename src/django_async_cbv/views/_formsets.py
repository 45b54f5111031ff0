"""
Formset views as Django's own would be: the sync classes that ours are the twins of.

Names, attributes and hooks are those of django-extra-views.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.forms import all_valid
from django.forms.formsets import BaseFormSet, formset_factory
from django.forms.models import (
    BaseInlineFormSet,
    BaseModelFormSet,
    inlineformset_factory,
    modelformset_factory,
)
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.generic import detail, edit
from django.views.generic import list as django_list
from django.views.generic.base import ContextMixin, TemplateResponseMixin, View

from ._generic import _M, _ModelF, subscriptable
from ._saves import join_saves, save_formset

if TYPE_CHECKING:
    from django.db.models import Model
    from django.forms import BaseForm
    from django.utils.functional import _StrOrPromise
    from django.views.generic.detail import SingleObjectMixin
    from django.views.generic.edit import ModelFormMixin
    from django.views.generic.list import MultipleObjectMixin

else:
    MultipleObjectMixin = subscriptable(django_list.MultipleObjectMixin)
    SingleObjectMixin = subscriptable(detail.SingleObjectMixin)
    ModelFormMixin = subscriptable(edit.ModelFormMixin)

__all__ = [
    "BaseCreateWithInlinesView",
    "BaseFormSetFactory",
    "BaseFormSetView",
    "BaseInlineFormSetFactory",
    "BaseInlineFormSetView",
    "BaseModelFormSetView",
    "BaseUpdateWithInlinesView",
    "CreateWithInlinesView",
    "FormSetMixin",
    "FormSetView",
    "InlineFormSetFactory",
    "InlineFormSetMixin",
    "InlineFormSetView",
    "ModelFormSetMixin",
    "ModelFormSetView",
    "ModelFormWithInlinesMixin",
    "ProcessFormSetView",
    "ProcessFormWithInlinesView",
    "UpdateWithInlinesView",
    "require_fields",
    "require_form_class",
    "require_inline",
    "require_inline_model",
    "require_model",
]


def require(maker: Any, value: Any, what: str, attribute: str, hook: str) -> Any:
    """Return what a formset is made from, or say where to give it."""
    if value is None:
        name = type(maker).__name__
        raise ImproperlyConfigured(
            f"{name} is missing {what}. Define {name}.{attribute}, or override "
            f"{name}.{hook}()."
        )
    return value


def require_form_class(maker: Any, form_class: Any) -> Any:
    """Return the class of the forms of a formset."""
    return require(maker, form_class, "a form class", "form_class", "get_form_class")


def require_model(maker: Any, queryset: Any) -> Any:
    """Return the model of a queryset, which may be a list."""
    model = getattr(queryset, "model", None)
    return require(maker, model, "a model", "model", "get_formset")


def require_inline_model(maker: Any, model: Any) -> Any:
    """Return the model of the children."""
    # What stands beside a form has it as its own model.
    is_beside = isinstance(maker, InlineFormSetFactory)
    attribute = "model" if is_beside else "inline_model"
    return require(
        maker, model, "the model of the children", attribute, "get_inline_model"
    )


def require_fields(maker: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model formset's class, which have to name fields."""
    meta = getattr(kwargs.get("form"), "Meta", None)
    if (
        getattr(meta, "fields", kwargs["fields"]) is None
        and getattr(meta, "exclude", kwargs["exclude"]) is None
    ):
        require(maker, None, "the fields of its forms", "fields", "get_factory_kwargs")
    return kwargs


def require_inline(view: str, inline_class: Any) -> None:
    """Raise ImproperlyConfigured for what makes no formset among the inlines."""
    if not (
        isinstance(inline_class, type) and hasattr(inline_class, "construct_formset")
    ):
        name = getattr(inline_class, "__name__", None) or repr(inline_class)
        raise ImproperlyConfigured(
            f"{view} has {name} among its inlines, which makes no formset. Derive "
            f"a class from AsyncInlineFormSetFactory, and put that into "
            f"{view}.inlines."
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

    def construct_formset(self) -> BaseFormSet[Any]:
        """Return the formset."""
        formset_class = self.get_formset()
        return formset_class(**self.get_formset_kwargs())

    def get_initial(self) -> Sequence[dict[str, Any]]:
        """Return the initial data, a dict for each form."""
        return self.initial[:]

    def get_prefix(self) -> str | None:
        """Return the formset's prefix."""
        return self.prefix

    def get_formset_class(self) -> type[BaseFormSet[Any]] | None:
        """Return the class to derive the formset's from."""
        return self.formset_class

    def get_form_class(self) -> type[BaseForm] | None:
        """Return the class of each form."""
        return self.form_class

    def get_form_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make each form with."""
        return self.form_kwargs.copy()

    def get_formset(self) -> type[BaseFormSet[Any]]:
        """Return the formset's class."""
        form_class = require_form_class(self, self.get_form_class())
        return formset_factory(form_class, **self.get_factory_kwargs())

    def get_formset_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make the formset with."""
        kwargs = {
            **self.formset_kwargs,
            "initial": self.get_initial(),
            "prefix": self.get_prefix(),
        }
        kwargs["form_kwargs"] = {
            **kwargs.get("form_kwargs", {}),
            **self.get_form_kwargs(),
        }
        if self.request.method in ("POST", "PUT"):
            kwargs["data"] = self.request.POST.copy()
            kwargs["files"] = self.request.FILES
        return kwargs

    def get_factory_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make the formset's class with."""
        kwargs = self.factory_kwargs.copy()
        formset_class = self.get_formset_class()
        if formset_class:
            kwargs["formset"] = formset_class
        return kwargs


class FormSetMixin(BaseFormSetFactory, ContextMixin):
    """Provide a way to show and handle a formset."""

    success_url: _StrOrPromise | None = None

    if TYPE_CHECKING:

        def render_to_response(self, context: dict[str, Any]) -> HttpResponse: ...

    def get_success_url(self) -> str:
        """Return where to go after a valid formset: by default, to the same page."""
        if self.success_url:
            return str(self.success_url)
        return self.request.get_full_path()

    def formset_valid(self, formset: Any) -> HttpResponse:
        """If the formset is valid, redirect."""
        return HttpResponseRedirect(self.get_success_url())

    def formset_invalid(self, formset: Any) -> HttpResponse:
        """If the formset is invalid, show it again."""
        return self.render_to_response(self.get_context_data(formset=formset))


class ModelFormSetMixin(FormSetMixin, MultipleObjectMixin[_M]):
    """Provide a way to show and handle a formset of a model's objects."""

    exclude: Sequence[str] | None = None
    fields: Sequence[str] | str | None = None
    object_list: Any

    def __class_getitem__(cls, item: Any) -> type:
        """Allow a subscript at run time, where it means nothing."""
        return cls

    def get_formset_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make the formset with, the objects among them."""
        kwargs = super().get_formset_kwargs()
        kwargs["queryset"] = self.get_queryset()
        return kwargs

    def get_factory_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make the formset's class with."""
        kwargs = super().get_factory_kwargs()
        kwargs.setdefault("fields", self.fields)
        kwargs.setdefault("exclude", self.exclude)
        form_class = self.get_form_class()
        if form_class:
            kwargs["form"] = form_class
        return kwargs

    def get_formset(self) -> type[BaseModelFormSet[Any, Any]]:
        """Return the formset's class, by modelformset_factory()."""
        model: Any = self.model
        if model is None:
            model = require_model(self, self.get_queryset())
        kwargs = require_fields(self, self.get_factory_kwargs())
        return modelformset_factory(model, **kwargs)

    def formset_valid(self, formset: Any) -> HttpResponse:
        """If the formset is valid, save the objects."""
        self.object_list = save_formset(formset)
        return super().formset_valid(formset)


class BaseInlineFormSetFactory(BaseFormSetFactory):
    """Makes a formset of an object's children, by inlineformset_factory()."""

    model: Any = None
    inline_model: type[Model] | None = None
    exclude: Sequence[str] | None = None
    fields: Sequence[str] | str | None = None
    object: Any

    def get_inline_model(self) -> type[Model] | None:
        """Return the model of the children."""
        return self.inline_model

    def get_formset_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make the formset with, the parent among them."""
        kwargs = super().get_formset_kwargs()
        kwargs["instance"] = self.object
        return kwargs

    def get_factory_kwargs(self) -> dict[str, Any]:
        """Return the arguments to make the formset's class with."""
        kwargs = super().get_factory_kwargs()
        # Until Django 5.2 goes: its inline formset adds the foreign key to the list.
        kwargs.setdefault("fields", copy(self.fields))
        kwargs.setdefault("exclude", self.exclude)
        form_class = self.get_form_class()
        if form_class:
            kwargs["form"] = form_class
        return kwargs

    def get_formset(self) -> type[BaseInlineFormSet[Any, Any, Any]]:
        """Return the formset's class, by inlineformset_factory()."""
        parent: Any = self.model
        if parent is None:
            parent = type(self.object)
        model = require_inline_model(self, self.get_inline_model())
        kwargs = require_fields(self, self.get_factory_kwargs())
        return inlineformset_factory(parent, model, **kwargs)


class InlineFormSetMixin(BaseInlineFormSetFactory, SingleObjectMixin[_M], FormSetMixin):
    """Provide a way to show and handle a formset of an object's children."""

    object_list: Any

    def __class_getitem__(cls, item: Any) -> type:
        """Allow a subscript at run time, where it means nothing."""
        return cls

    def formset_valid(self, formset: Any) -> HttpResponse:
        """If the formset is valid, save the children."""
        self.object_list = save_formset(formset)
        return super().formset_valid(formset)


class ProcessFormSetView(View):
    """Show a formset on GET and process it on POST."""

    if TYPE_CHECKING:

        def construct_formset(self) -> BaseFormSet[Any]: ...
        def get_context_data(self, **kwargs: Any) -> dict[str, Any]: ...
        def render_to_response(self, context: dict[str, Any]) -> HttpResponse: ...
        def formset_valid(self, formset: Any) -> HttpResponse: ...
        def formset_invalid(self, formset: Any) -> HttpResponse: ...

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the page of the formset."""
        formset = self.construct_formset()
        return self.render_to_response(self.get_context_data(formset=formset))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make the formset of what is posted, validate it and act on it."""
        formset = self.construct_formset()
        if formset.is_valid():
            return self.formset_valid(formset)
        return self.formset_invalid(formset)

    def put(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Do as post() does."""
        return self.post(*args, **kwargs)


class BaseFormSetView(FormSetMixin, ProcessFormSetView):
    """A formset view without a response mixin."""


class FormSetView(TemplateResponseMixin, BaseFormSetView):
    """The page of a formset."""


class BaseModelFormSetView(ModelFormSetMixin[_M], ProcessFormSetView):
    """A model formset view without a response mixin."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the page of the formset."""
        self.object_list = self.get_queryset()
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Validate and save the formset."""
        self.object_list = self.get_queryset()
        return super().post(request, *args, **kwargs)


class BaseInlineFormSetView(InlineFormSetMixin[_M], ProcessFormSetView):
    """An inline formset view without a response mixin."""

    object: _M

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the page of the formset."""
        self.object = self.get_object()
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Validate and save the formset."""
        self.object = self.get_object()
        return super().post(request, *args, **kwargs)


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

    if TYPE_CHECKING:
        request: HttpRequest
        kwargs: Any
        object: Any

        def render_to_response(self, context: dict[str, Any]) -> HttpResponse: ...

    def __class_getitem__(cls, item: Any) -> type:
        """Allow a subscript at run time, where it means nothing."""
        return cls

    def get_inlines(self) -> Sequence[type[BaseInlineFormSetFactory]]:
        """Return the classes that make the inline formsets."""
        return self.inlines[:]

    def forms_valid(self, form: _ModelF, inlines: Sequence[Any]) -> HttpResponse:
        """If form and formsets are valid, save all of them or none."""
        joined = join_saves(form, inlines)
        response = self.form_valid(form)
        joined.finish()
        return response

    def forms_invalid(self, form: _ModelF, inlines: Sequence[Any]) -> HttpResponse:
        """If the form or a formset is invalid, show all of them again."""
        return self.render_to_response(
            self.get_context_data(form=form, inlines=inlines)
        )

    def construct_inlines(self) -> list[Any]:
        """Return the inline formsets."""
        model: Any = self.model
        if model is None and self.object is not None:
            model = type(self.object)
        elif model is None:
            model = require_model(self, self.get_queryset())
        formsets = []
        for inline_class in self.get_inlines():
            require_inline(type(self).__name__, inline_class)
            make: Any = inline_class
            inline = make(model, self.request, self.object, self.kwargs, self)
            formsets.append(inline.construct_formset())
        return formsets


class ProcessFormWithInlinesView(View):
    """Show a form with inline formsets on GET and process them on POST."""

    if TYPE_CHECKING:
        object: Any

        def get_form_class(self) -> type[Any]: ...
        def get_form(self, form_class: type[Any] | None = None) -> Any: ...
        def construct_inlines(self) -> list[Any]: ...
        def get_context_data(self, **kwargs: Any) -> dict[str, Any]: ...
        def render_to_response(self, context: dict[str, Any]) -> HttpResponse: ...
        def forms_valid(self, form: Any, inlines: Sequence[Any]) -> HttpResponse: ...
        def forms_invalid(self, form: Any, inlines: Sequence[Any]) -> HttpResponse: ...

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the page of the form and its inline formsets."""
        form = self.get_form(self.get_form_class())
        inlines = self.construct_inlines()
        return self.render_to_response(
            self.get_context_data(form=form, inlines=inlines, **kwargs)
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make form and formsets of what is posted, validate and act on them."""
        form = self.get_form(self.get_form_class())
        before = self.object
        is_valid = form.is_valid()
        if is_valid:
            # For the formsets, which belong to it.
            self.object = form.save(commit=False)
        inlines = self.construct_inlines()
        # The formsets first: all errors are to be shown.
        if all_valid(inlines) and is_valid:
            return self.forms_valid(form, inlines)
        self.object = before
        return self.forms_invalid(form, inlines)

    def put(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Do as post() does."""
        return self.post(*args, **kwargs)


class BaseCreateWithInlinesView(
    ModelFormWithInlinesMixin[_M, _ModelF], ProcessFormWithInlinesView
):
    """A create view with inline formsets, without a response mixin."""

    object: _M | None

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with a blank form."""
        self.object = None
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Validate and save."""
        self.object = None
        return super().post(request, *args, **kwargs)


class BaseUpdateWithInlinesView(
    ModelFormWithInlinesMixin[_M, _ModelF], ProcessFormWithInlinesView
):
    """An update view with inline formsets, without a response mixin."""

    object: _M

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the object's form."""
        self.object = self.get_object()
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Validate and save."""
        self.object = self.get_object()
        return super().post(request, *args, **kwargs)


class ModelFormSetView(
    django_list.MultipleObjectTemplateResponseMixin, BaseModelFormSetView[_M]
):
    """The page of a formset of a model's objects."""


class InlineFormSetView(
    detail.SingleObjectTemplateResponseMixin, BaseInlineFormSetView[_M]
):
    """The page of a formset of an object's children."""


class CreateWithInlinesView(
    detail.SingleObjectTemplateResponseMixin, BaseCreateWithInlinesView[_M, _ModelF]
):
    """The page that makes an object and its children."""

    template_name_suffix = "_form"


class UpdateWithInlinesView(
    detail.SingleObjectTemplateResponseMixin, BaseUpdateWithInlinesView[_M, _ModelF]
):
    """The page that changes an object and its children."""

    template_name_suffix = "_form"
