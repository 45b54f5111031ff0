"""Async variants of the views and mixins that show and process a form."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.forms import Form
from django.forms import models as model_forms
from django.http import HttpRequest
from django.views.generic import edit

from ..core import handlers as handler
from ..core.flow import Answer, Calls, call, respond
from ..core.hooks import SUPER
from ..core.twins import TwinMixin, django_super, twin, twin_or_hook
from ..core.validation import (
    call_and_await,
    deletion_is_waited_for,
    prepare_instance,
    saved,
    validate,
)
from . import _django
from ._django import _F, _M, _DeleteF, _ModelF
from ._newer import post_and_wait
from ._plain import has_plain_success_url, may_await_for_a_form
from ._saves import redirect
from .base import AsyncContextMixin, AsyncTemplateResponseMixin, AsyncView
from .detail import (
    AsyncBaseDetailView,
    AsyncSingleObjectMixin,
    AsyncSingleObjectTemplateResponseMixin,
)

__all__ = [
    "AsyncBaseCreateView",
    "AsyncBaseDeleteView",
    "AsyncBaseFormView",
    "AsyncBaseUpdateView",
    "AsyncCreateView",
    "AsyncDeleteView",
    "AsyncDeletionMixin",
    "AsyncFormMixin",
    "AsyncFormView",
    "AsyncModelFormMixin",
    "AsyncProcessFormView",
    "AsyncUpdateView",
]


class AsyncFormMixin(_django.FormMixin[_F], AsyncContextMixin):
    """Async variant of `FormMixin`."""

    # The view's.
    request: HttpRequest

    @twin(edit.FormMixin.get_initial, pure=lambda view: type(view.initial) is dict)
    async def aget_initial(self) -> dict[str, Any]:
        """
        Return the form's initial data.

        Async variant of `get_initial()`.
        """

    @twin(edit.FormMixin.get_prefix, pure=True)
    async def aget_prefix(self) -> str | None:
        """
        Return the form's prefix.

        Async variant of `get_prefix()`.
        """

    @twin(edit.FormMixin.get_form_class, pure=True)
    async def aget_form_class(self) -> type[_F]:
        """
        Return the class of the form.

        Async variant of `get_form_class()`.
        """

    @twin(edit.FormMixin.get_form, calls=("get_form_class", "get_form_kwargs"))
    def aget_form(self, form_class: type[_F] | None = None) -> Calls[_F]:
        """
        Return the form.

        Async variant of `get_form()`.

        Runs on:
            A worker thread, in one hop, because a form may query when you make it.
        """
        if form_class is None:
            form_class = yield call(self.aget_form_class)
        kwargs = yield call(self.aget_form_kwargs)
        assert form_class is not None
        form: _F = yield call(form_class, **kwargs)
        return form

    @twin(
        edit.FormMixin.get_form_kwargs,
        calls=("get_initial", "get_prefix"),
        # For POST, Django reads and parses the body, and may write files.
        pure=lambda view: view.request.method not in ("POST", "PUT"),
    )
    def aget_form_kwargs(self) -> Calls[dict[str, Any]]:
        """
        Return the arguments of the form class.

        Async variant of `get_form_kwargs()`.

        Runs on:
            The event loop, without a hop. For POST and PUT a worker thread, in one hop,
            which parses the body.
        """
        kwargs = {
            "initial": (yield call(self.aget_initial)),
            "prefix": (yield call(self.aget_prefix)),
        }
        if self.request.method in ("POST", "PUT"):
            kwargs["data"] = yield call(getattr, self.request, "POST")
            kwargs["files"] = yield call(getattr, self.request, "FILES")
        return kwargs

    @twin(edit.FormMixin.get_success_url, pure=has_plain_success_url)
    async def aget_success_url(self) -> str:
        """
        Return the URL to redirect to after a valid form.

        Async variant of `get_success_url()`.
        """

    @twin(
        edit.FormMixin.form_valid,
        calls=("get_success_url",),
        pure=True,
        # Django calls str() of the URL, which may be an object of the project.
        always=True,
    )
    def aform_valid(self, form: _F) -> Answer:
        """
        Answer to a valid form with a redirect.

        Async variant of `form_valid()`.
        """
        return (yield from redirect(self, (yield call(self.aget_success_url))))

    @twin(
        edit.FormMixin.form_invalid,
        calls=("get_context_data", "render_to_response"),
    )
    def aform_invalid(self, form: _F) -> Answer:
        """
        Answer to an invalid form with its page.

        Async variant of `form_invalid()`.
        """
        context = yield call(self.aget_context_data, form=form)
        return (yield call(twin_or_hook(self, "render_to_response"), context))

    @twin(edit.FormMixin.get_context_data, calls=("get_form", SUPER))
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """
        Return the template's context with the form.

        Async variant of `get_context_data()`.
        """
        if "form" not in kwargs:
            kwargs["form"] = yield call(self.aget_form)
        result: dict[str, Any] = yield call(super().aget_context_data, **kwargs)
        return result


class AsyncModelFormMixin(
    _django.ModelFormMixin[_M, _ModelF],
    AsyncFormMixin[_ModelF],
    AsyncSingleObjectMixin[_M],
):
    """Async variant of `ModelFormMixin`."""

    @twin(
        edit.ModelFormMixin.get_form_class,
        calls=("get_queryset",),
        # Otherwise Django makes a class, and form fields may query for it.
        pure=lambda view: view.fields is None and view.form_class is not None,
    )
    def aget_form_class(self) -> Calls[type[_ModelF]]:
        """
        Return the class of the form.

        Async variant of `get_form_class()`.

        Runs on:
            The event loop, without a hop, if you set `form_class`. A worker thread, in
            one hop, if Django makes the class from `fields`.
        """
        if self.fields is not None and self.form_class:
            raise ImproperlyConfigured(
                "Specifying both 'fields' and 'form_class' is not permitted."
            )
        if self.form_class:
            return self.form_class
        model: Any
        if self.model is not None:
            model = self.model
        elif getattr(self, "object", None) is not None:
            model = type(self.object)
        else:
            model = (yield call(self.aget_queryset)).model
        if self.fields is None:
            raise ImproperlyConfigured(
                f"Using ModelFormMixin (base class of {type(self).__name__}) "
                "without the 'fields' attribute is prohibited."
            )
        return (yield call(model_forms.modelform_factory, model, fields=self.fields))

    @twin(edit.ModelFormMixin.get_form_kwargs, calls=(SUPER,), pure=True)
    def aget_form_kwargs(self) -> Calls[dict[str, Any]]:
        """
        Return the form's arguments with the instance.

        Async variant of `get_form_kwargs()`.
        """
        kwargs: dict[str, Any] = yield call(super().aget_form_kwargs)
        if hasattr(self, "object"):
            kwargs["instance"] = self.object
        return kwargs

    @twin(
        edit.ModelFormMixin.get_success_url,
        # Otherwise Django calls get_absolute_url() of the model, which may query.
        pure=has_plain_success_url,
    )
    async def aget_success_url(self) -> str:
        """
        Return the URL to redirect to after the save.

        Async variant of `get_success_url()`.

        Runs on:
            The event loop, without a hop, if you set `success_url`. A worker thread, in
            one hop, for `get_absolute_url()` of the model.
        """

    # Only the form tells whether its save() is async.
    @twin(edit.ModelFormMixin.form_valid, calls=(SUPER,), always=True)
    def aform_valid(self, form: _ModelF) -> Answer:
        """
        Save the object and redirect.

        Async variant of `form_valid()`.

        One hop saves the object and its many-to-many relations. A cancellation cannot
        split the save.
        """
        self.object = yield from call_and_await(form.save)
        prepare_instance(self.object)
        return (yield call(super().aform_valid, form))


class AsyncProcessFormView(_django.ProcessFormView, AsyncView):
    """Async variant of `ProcessFormView`."""

    @handler.get(
        edit.ProcessFormView.get, calls=("get_context_data", "render_to_response")
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of a blank form."""
        context = yield call(twin_or_hook(self, "get_context_data"))
        return (yield call(twin_or_hook(self, "render_to_response"), context))

    @handler.post(
        edit.ProcessFormView.post,
        calls=("get_form", "form_valid", "form_invalid"),
        always=may_await_for_a_form,
        unlifted=post_and_wait,
    )
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """
        Parse and validate the form, and act on it.

        If the form has async validation, the view awaits it before
        `aform_valid()`.

        Runs on:
            A worker thread, in one hop. Async validation runs on the event loop, and
            adds a hop.
        """
        form = yield call(twin_or_hook(self, "get_form"))
        if (yield from validate(form)):
            valid = call(twin_or_hook(self, "form_valid"), form)
            return (yield from saved(self, form, valid))
        return (yield call(twin_or_hook(self, "form_invalid"), form))

    @handler.put(edit.ProcessFormView.put, calls=("post",), pure=True)
    def put(self, *args: Any, **kwargs: Any) -> Answer:
        """Answer as `post()` does."""
        return (yield respond(self.post, *args, **kwargs))


class AsyncBaseFormView(_django.BaseFormView, AsyncFormMixin[_F], AsyncProcessFormView):
    """Async variant of `BaseFormView`: a form view without a response mixin."""


class AsyncFormView(
    _django.FormView, AsyncTemplateResponseMixin, AsyncBaseFormView[_F]
):
    """Async variant of `FormView`: the page of a form, and what it is for."""


class AsyncBaseCreateView(
    _django.BaseCreateView, AsyncModelFormMixin[_M, _ModelF], AsyncProcessFormView
):
    """Async variant of `BaseCreateView`: a create view without a response mixin."""

    object: _M | None

    @handler.get(edit.BaseCreateView.get, calls=(SUPER,), pure=True)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of a blank form."""
        self.object = None
        below = django_super(_django.BaseCreateView, self)
        return (yield respond(below.get, request, *args, **kwargs))

    @handler.post(edit.BaseCreateView.post, calls=(SUPER,), pure=True)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Parse and validate the form, save the object, and redirect."""
        self.object = None
        below = django_super(_django.BaseCreateView, self)
        return (yield respond(below.post, request, *args, **kwargs))


class AsyncCreateView(
    _django.CreateView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseCreateView[_M, _ModelF],
):
    """Async variant of `CreateView`: the page that makes an object."""


class AsyncBaseUpdateView(
    _django.BaseUpdateView, AsyncModelFormMixin[_M, _ModelF], AsyncProcessFormView
):
    """Async variant of `BaseUpdateView`: an update view without a response mixin."""

    object: _M

    @handler.get(edit.BaseUpdateView.get, calls=("get_object", SUPER))
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of the object's form."""
        self.object = yield call(self.aget_object)
        below = django_super(_django.BaseUpdateView, self)
        return (yield respond(below.get, request, *args, **kwargs))

    @handler.post(edit.BaseUpdateView.post, calls=("get_object", SUPER))
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Fetch the object, parse and validate the form, save, and redirect."""
        self.object = yield call(self.aget_object)
        below = django_super(_django.BaseUpdateView, self)
        return (yield respond(below.post, request, *args, **kwargs))


class AsyncUpdateView(
    _django.UpdateView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseUpdateView[_M, _ModelF],
):
    """Async variant of `UpdateView`: the page that changes an object."""


class AsyncDeletionMixin(_django.DeletionMixin[_M], TwinMixin):
    """Async variant of `DeletionMixin`."""

    @handler.delete(
        edit.DeletionMixin.delete,
        calls=("get_object", "get_success_url"),
        # The model's delete() may be async.
        always=True,
        unlifted=post_and_wait,
    )
    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Delete the object, and redirect."""
        self.object = yield call(twin_or_hook(self, "get_object"))
        success_url = yield call(self.aget_success_url)
        yield from call_and_await(self.object.delete)
        return (yield from redirect(self, success_url))

    @handler.post(edit.DeletionMixin.post, calls=("delete",), pure=True)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer as `delete()` does, because browsers send no DELETE."""
        return (yield respond(self.delete, request, *args, **kwargs))

    @twin(edit.DeletionMixin.get_success_url, pure=has_plain_success_url)
    async def aget_success_url(self) -> str:
        """
        Return the URL to redirect to after the deletion.

        Async variant of `get_success_url()`.
        """


class AsyncBaseDeleteView(
    _django.BaseDeleteView,
    AsyncDeletionMixin[_M],
    AsyncFormMixin[_DeleteF],
    AsyncBaseDetailView[_M],
):
    """Async variant of `BaseDeleteView`: a delete view without a response mixin."""

    form_class: type[_DeleteF] | None = Form  # type: ignore[assignment]  # its default

    @handler.post(
        edit.BaseDeleteView.post,
        calls=("get_object", "get_form", "form_valid", "form_invalid"),
        always=True,
        unlifted=post_and_wait,
    )
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Validate the form, delete the object, and redirect."""
        self.object = yield call(self.aget_object)
        prepare_instance(self.object)
        form = yield call(self.aget_form)
        if (yield from validate(form)):
            with deletion_is_waited_for(self.object):
                return (yield call(self.aform_valid, form))
        return (yield call(self.aform_invalid, form))

    @twin(
        edit.BaseDeleteView.form_valid,
        calls=("get_success_url",),
        always=True,
        not_calls=("delete",),
    )
    def aform_valid(self, form: _DeleteF) -> Answer:
        """
        Delete the object and redirect.

        Async variant of `form_valid()`.
        """
        success_url = yield call(self.aget_success_url)
        yield from call_and_await(self.object.delete)
        return (yield from redirect(self, success_url))


class AsyncDeleteView(
    _django.DeleteView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseDeleteView[_M, _DeleteF],
):
    """Async variant of `DeleteView`: the page that asks, then deletes."""
