"""Tell what is plain Django, so that touching it on the event loop does no I/O."""

from __future__ import annotations

from types import NoneType
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Manager, Model, QuerySet
from django.utils.functional import Promise

from ..flow import Body, call

__all__ = [
    "has_plain_object",
    "has_plain_object_list",
    "has_plain_paginator",
    "has_plain_queryset",
    "has_plain_success_url",
    "truth",
]

_PLAIN = (NoneType, bool, int, str, list, tuple, dict)


def truth(value: Any) -> Body[bool]:
    """Whether `value` is true; asked in the worker where asking may query."""
    if _is_plain(value):
        return bool(value)
    return (yield call(bool, value))


def _is_plain(value: Any) -> bool:
    """Whether the truth of a value is known without running the user's code."""
    kind = type(value)
    if issubclass(kind, Model):
        return not hasattr(kind, "__bool__") and not hasattr(kind, "__len__")
    return kind in _PLAIN


def has_plain_object(view: Any) -> bool:
    """Whether `view.object` can be looked at: no query of its own, not lazy."""
    return _is_plain(getattr(view, "object", None))


def has_plain_object_list(view: Any) -> bool:
    """Whether `view.object_list` is there and is what it seems, not lazy."""
    kind = type(getattr(view, "object_list", None))
    return kind is not NoneType and issubclass(kind, QuerySet | list | tuple)


def has_plain_queryset(view: Any) -> bool:
    """Whether the view's queryset or model brings no manager or queryset of its own."""
    if view.queryset is not None:
        return type(view.queryset) in (QuerySet, list, tuple)
    if view.model is None:
        return True
    manager = view.model._default_manager
    return type(manager) is Manager and (
        manager._queryset_class is QuerySet  # type: ignore[attr-defined]  # no stub
    )


def has_plain_paginator(view: Any) -> bool:
    """Whether the view paginates with Django's own class."""
    return view.paginator_class is Paginator


def has_plain_success_url(view: Any) -> bool:
    """Whether the view is given its success URL, as text or by reverse_lazy()."""
    return isinstance(view.success_url, str | Promise) and bool(view.success_url)
