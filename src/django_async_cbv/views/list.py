"""Async variants of the views and mixins of a list of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from django.views.generic import list as django_list

from ..core import handlers as handler
from ..core.flow import Answer, Call, Calls, call
from ..core.hooks import SUPER
from ..core.naming import shows
from ..core.twins import twin, twin_or_hook
from . import _django
from ._django import _M
from ._plain import has_plain_object_list, has_plain_paginator, has_plain_queryset
from .base import AsyncContextMixin, AsyncTemplateResponseMixin, AsyncView

if TYPE_CHECKING:
    from django.core.paginator import _SupportsPagination
    from django.db.models.query import _OrderByFieldName

__all__ = [
    "AsyncBaseListView",
    "AsyncListView",
    "AsyncMultipleObjectMixin",
    "AsyncMultipleObjectTemplateResponseMixin",
]


class AsyncMultipleObjectMixin(_django.MultipleObjectMixin[_M], AsyncContextMixin):
    """Async variant of `MultipleObjectMixin`."""

    # The view's.
    request: HttpRequest
    kwargs: Any
    object_list: Any

    @twin(
        django_list.MultipleObjectMixin.get_queryset,
        calls=("get_ordering",),
        pure=has_plain_queryset,
    )
    def aget_queryset(self) -> Calls[QuerySet[_M]]:
        """
        Return the objects, as a lazy QuerySet.

        Async variant of `get_queryset()`.

        Runs on:
            The event loop, without a hop. A worker thread, in one hop, if the model has
            a manager or a QuerySet class of yours.
        """
        queryset: Any
        plain = has_plain_queryset(self)
        if self.queryset is not None:
            queryset = self.queryset
            if isinstance(queryset, QuerySet):
                queryset = yield Call(queryset.all, inline=plain)
        elif self.model is not None:
            queryset = yield Call(self.model._default_manager.all, inline=plain)
        else:
            name = type(self).__name__
            raise ImproperlyConfigured(
                f"{name} is missing a QuerySet. Define {name}.model, "
                f"{name}.queryset, or override {name}.get_queryset()."
            )
        ordering = yield call(self.aget_ordering)
        if ordering:
            if isinstance(ordering, str):
                ordering = (ordering,)
            queryset = yield Call(queryset.order_by, tuple(ordering), inline=plain)
        return queryset

    @twin(django_list.MultipleObjectMixin.get_ordering, pure=True)
    async def aget_ordering(self) -> str | Sequence[_OrderByFieldName] | None:
        """
        Return the field or fields to order by.

        Async variant of `get_ordering()`.
        """

    @twin(
        django_list.MultipleObjectMixin.paginate_queryset,
        calls=("get_paginator", "get_paginate_orphans", "get_allow_empty"),
    )
    def apaginate_queryset(
        self, queryset: _SupportsPagination[_M], page_size: int
    ) -> Calls[tuple[Paginator[Any], Page[Any], _SupportsPagination[_M], bool]]:
        """
        Return the paginator, the page, its objects, and whether there are other pages.

        Async variant of `paginate_queryset()`.

        Raises:
            Http404: If there is no such page.

        Runs on:
            A worker thread, in one hop, which counts and slices. The template fetches
            the rows.
        """
        paginator = yield call(
            self.aget_paginator,
            queryset,
            page_size,
            orphans=(yield call(self.aget_paginate_orphans)),
            allow_empty_first_page=(yield call(self.aget_allow_empty)),
        )
        wanted = (
            self.kwargs.get(self.page_kwarg)
            or self.request.GET.get(self.page_kwarg)
            or 1
        )
        return (yield call(_page_or_404, paginator, wanted))

    @twin(django_list.MultipleObjectMixin.get_paginate_by, pure=True)
    async def aget_paginate_by(self, queryset: QuerySet[_M]) -> int | None:
        """
        Return how many objects a page has. None makes no pages.

        Async variant of `get_paginate_by()`.
        """

    @twin(django_list.MultipleObjectMixin.get_paginator, pure=has_plain_paginator)
    async def aget_paginator(
        self,
        queryset: _SupportsPagination[_M],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
        **kwargs: Any,
    ) -> Paginator[Any]:
        """
        Return the paginator.

        Async variant of `get_paginator()`.
        """

    @twin(django_list.MultipleObjectMixin.get_paginate_orphans, pure=True)
    async def aget_paginate_orphans(self) -> int:
        """
        Return how many overflow objects the last page may contain.

        Async variant of `get_paginate_orphans()`.
        """

    @twin(django_list.MultipleObjectMixin.get_allow_empty, pure=True)
    async def aget_allow_empty(self) -> bool:
        """
        Return whether an empty list is a page instead of a 404.

        Async variant of `get_allow_empty()`.
        """

    @twin(
        django_list.MultipleObjectMixin.get_context_object_name,
        pure=has_plain_object_list,
    )
    async def aget_context_object_name(self, object_list: Any) -> str | None:
        """
        Return the name of the list in the context.

        Async variant of `get_context_object_name()`.
        """

    @twin(
        django_list.MultipleObjectMixin.get_context_data,
        calls=(
            "get_paginate_by",
            "get_context_object_name",
            "paginate_queryset",
            SUPER,
        ),
    )
    def aget_context_data(
        self, *, object_list: _SupportsPagination[_M] | None = None, **kwargs: Any
    ) -> Calls[dict[str, Any]]:
        """
        Return the template's context with the page.

        Async variant of `get_context_data()`.

        The rows stay lazy until the template, or your `async for`, reads them.
        """
        queryset: Any = self.object_list if object_list is None else object_list
        page_size = yield call(self.aget_paginate_by, queryset)
        name = yield call(self.aget_context_object_name, queryset)
        paginator, page, is_paginated = None, None, False
        if page_size:
            paginator, page, queryset, is_paginated = yield call(
                self.apaginate_queryset, queryset, page_size
            )
        context = {
            "paginator": paginator,
            "page_obj": page,
            "is_paginated": is_paginated,
            "object_list": queryset,
        }
        if name is not None:
            context[name] = queryset
        context.update(kwargs)
        result: dict[str, Any] = yield call(super().aget_context_data, **context)
        return result


@shows("Paginator.page")
def _page_or_404(paginator: Paginator[Any], wanted: Any) -> Any:
    try:
        number = int(wanted)
    except ValueError:
        if wanted != "last":
            raise Http404(
                _("Page is not “last”, nor can it be converted to an int.")
            ) from None
        number = paginator.num_pages
    try:
        page = paginator.page(number)
        return paginator, page, page.object_list, page.has_other_pages()
    except InvalidPage as error:
        raise Http404(
            _("Invalid page (%(page_number)s): %(message)s")
            % {"page_number": number, "message": str(error)}
        ) from error


class AsyncBaseListView(_django.BaseListView, AsyncMultipleObjectMixin[_M], AsyncView):
    """Async variant of `BaseListView`: a list view without a response mixin."""

    object_list: _SupportsPagination[_M]

    @handler.get(
        django_list.BaseListView.get,
        calls=(
            "get_queryset",
            "get_allow_empty",
            "get_paginate_by",
            "get_context_data",
            "render_to_response",
        ),
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of the list."""
        self.object_list = yield call(self.aget_queryset)
        if not (yield call(self.aget_allow_empty)):
            # As Django does: with pages, exists() loads no whole list.
            page_size = yield call(self.aget_paginate_by, self.object_list)
            if page_size is not None and hasattr(self.object_list, "exists"):
                is_empty = not (yield call(self.object_list.exists))
            else:
                is_empty = not (yield call(bool, self.object_list))
            if is_empty:
                raise Http404(
                    _("Empty list and “%(class_name)s.allow_empty” is False.")
                    % {"class_name": type(self).__name__}
                )
        context = yield call(self.aget_context_data)
        return (yield call(twin_or_hook(self, "render_to_response"), context))


class AsyncMultipleObjectTemplateResponseMixin(
    django_list.MultipleObjectTemplateResponseMixin, AsyncTemplateResponseMixin
):
    """Async variant of `MultipleObjectTemplateResponseMixin`."""

    @twin(
        django_list.MultipleObjectTemplateResponseMixin.get_template_names,
        calls=(SUPER,),
        pure=has_plain_object_list,
    )
    def aget_template_names(self) -> Calls[list[str]]:
        """
        Return the names of the templates to try.

        Async variant of `get_template_names()`.
        """
        try:
            names: list[str] = yield call(super().aget_template_names)
        except ImproperlyConfigured:
            names = []
        view: Any = self
        if hasattr(view.object_list, "model"):
            options = view.object_list.model._meta
            names.append(
                f"{options.app_label}/{options.model_name}"
                f"{self.template_name_suffix}.html"
            )
        elif not names:
            raise ImproperlyConfigured(
                f"{type(self).__name__} requires either a 'template_name' attribute "
                "or a get_queryset() method that returns a QuerySet."
            )
        return names


class AsyncListView(
    _django.ListView, AsyncMultipleObjectTemplateResponseMixin, AsyncBaseListView[_M]
):
    """Async variant of `ListView`: the page of a list of objects."""
