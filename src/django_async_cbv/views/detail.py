"""Async variants of the views and mixins of a single object."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from django.views.generic import detail

from ..core import handlers as handler
from ..core.flow import Answer, Calls, call
from ..core.hooks import SUPER
from ..core.naming import shows
from ..core.twins import twin, twin_or_hook
from . import _django
from ._django import _M
from ._plain import has_plain_object, has_plain_queryset, truth
from .base import AsyncContextMixin, AsyncTemplateResponseMixin, AsyncView

__all__ = [
    "AsyncBaseDetailView",
    "AsyncDetailView",
    "AsyncSingleObjectMixin",
    "AsyncSingleObjectTemplateResponseMixin",
]


class AsyncSingleObjectMixin(_django.SingleObjectMixin[_M], AsyncContextMixin):
    """Async variant of `SingleObjectMixin`."""

    # The view's.
    kwargs: Any
    object: Any

    @twin(detail.SingleObjectMixin.get_object, calls=("get_queryset", "get_slug_field"))
    def aget_object(self, queryset: QuerySet[_M] | None = None) -> Calls[_M]:
        """
        Return the object of the view.

        Async variant of `get_object()`.

        Raises:
            Http404: If there is no such object.
            AttributeError: If the URL has neither a primary key nor a slug.
        """
        if queryset is None:
            queryset = yield call(self.aget_queryset)
        pk = self.kwargs.get(self.pk_url_kwarg)
        slug = self.kwargs.get(self.slug_url_kwarg)
        lookups: list[dict[str, Any]] = []
        if pk is not None:
            lookups.append({"pk": pk})
        if slug is not None and (pk is None or self.query_pk_and_slug):
            lookups.append({(yield call(self.aget_slug_field)): slug})
        if pk is None and slug is None:
            raise AttributeError(
                f"Generic detail view {type(self).__name__} must be called with "
                "either an object pk or a slug in the URLconf."
            )
        found: _M = yield call(_get_or_404, queryset, lookups)
        return found

    @twin(detail.SingleObjectMixin.get_queryset, pure=has_plain_queryset)
    async def aget_queryset(self) -> QuerySet[_M]:
        """
        Return the lazy QuerySet that has the object.

        Async variant of `get_queryset()`.

        Runs on:
            The event loop, without a hop. A worker thread, in one hop, if the model has
            a manager or a QuerySet class of yours.
        """

    @twin(detail.SingleObjectMixin.get_slug_field, pure=True)
    async def aget_slug_field(self) -> str:
        """
        Return the name of the field that has the slug.

        Async variant of `get_slug_field()`.
        """

    @twin(detail.SingleObjectMixin.get_context_object_name, pure=has_plain_object)
    async def aget_context_object_name(self, obj: Any) -> str | None:
        """
        Return the name of the object in the context.

        Async variant of `get_context_object_name()`.
        """

    @twin(
        detail.SingleObjectMixin.get_context_data,
        calls=("get_context_object_name", SUPER),
        pure=has_plain_object,
    )
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """
        Return the template's context with the object.

        Async variant of `get_context_data()`.

        Set `self.object` before the call.

        Runs on:
            The event loop, without a hop. A worker thread, in one hop, if your model
            has a `__bool__()`, which may query.
        """
        context = {}
        if (yield from truth(self.object)):
            context["object"] = self.object
            name = yield call(self.aget_context_object_name, self.object)
            if name:
                context[name] = self.object
        context.update(kwargs)
        result: dict[str, Any] = yield call(super().aget_context_data, **context)
        return result


@shows("QuerySet.get")
def _get_or_404(queryset: QuerySet[Any], lookups: list[dict[str, Any]]) -> Any:
    for lookup in lookups:
        queryset = queryset.filter(**lookup)
    try:
        return queryset.get()
    except queryset.model.DoesNotExist:
        raise Http404(
            _("No %(verbose_name)s found matching the query")
            % {"verbose_name": queryset.model._meta.verbose_name}
        ) from None


class AsyncBaseDetailView(
    _django.BaseDetailView, AsyncSingleObjectMixin[_M], AsyncView
):
    """Async variant of `BaseDetailView`: a detail view without a response mixin."""

    object: _M

    @handler.get(
        detail.BaseDetailView.get,
        calls=("get_object", "get_context_data", "render_to_response"),
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of the object."""
        self.object = yield call(self.aget_object)
        context = yield call(self.aget_context_data, object=self.object)
        return (yield call(twin_or_hook(self, "render_to_response"), context))


class _Nameless(detail.SingleObjectTemplateResponseMixin):
    """A view to ask for template names when no `template_name` is given."""


class AsyncSingleObjectTemplateResponseMixin(
    detail.SingleObjectTemplateResponseMixin, AsyncTemplateResponseMixin
):
    """Async variant of `SingleObjectTemplateResponseMixin`."""

    @twin(
        detail.SingleObjectTemplateResponseMixin.get_template_names,
        calls=(SUPER,),
        pure=lambda view: (
            has_plain_object(view)
            # A deferred field is a query.
            and (
                not view.template_name_field
                or view.template_name_field in vars(view.object or view)
            )
        ),
    )
    def aget_template_names(self) -> Calls[list[str]]:
        """
        Return the names of the templates to try.

        Async variant of `get_template_names()`.
        """
        try:
            names: list[str] = yield call(super().aget_template_names)
        except ImproperlyConfigured:
            # Django's method reads only these four attributes. On this stand-in its
            # super() finds no template_name either, so it goes on with the model.
            view: Any = self
            stand_in: Any = _Nameless()
            stand_in.object = view.object
            stand_in.model = getattr(view, "model", None)
            stand_in.template_name_field = view.template_name_field
            stand_in.template_name_suffix = view.template_name_suffix
            names = yield call(stand_in.get_template_names)
        return names


class AsyncDetailView(
    _django.DetailView, AsyncSingleObjectTemplateResponseMixin, AsyncBaseDetailView[_M]
):
    """Async variant of `DetailView`: the page of one object."""
