"""Tell what is plain Django, so that touching it on the event loop does no I/O."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from string import Formatter
from types import NoneType
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Manager, Model, QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext
from django.views.generic import edit

from ..core.flow import Calls, call
from ..core.hooks import HOOKS
from ..core.validation import is_sync_form

__all__ = [
    "has_plain_context",
    "has_plain_object",
    "has_plain_object_list",
    "has_plain_paginator",
    "has_plain_queryset",
    "has_plain_success_url",
    "has_plain_url",
    "is_plain_text",
    "may_await_for_a_form",
    "truth",
]

_PLAIN = (NoneType, bool, int, str, list, tuple, dict)


def truth(value: Any) -> Calls[bool]:
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


def has_plain_context(view: Any) -> bool:
    """Whether the view's `extra_context` is a dict, if it is there."""
    return type(view.extra_context) in (dict, NoneType)


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
    """Whether the view's success URL, and what it is filled in with, is plain text."""
    url = view.success_url
    # In this order, because `not url` evaluates a lazy text.
    if not is_plain_text(url) or not url:
        return False
    values = getattr(getattr(view, "object", None), "__dict__", {})
    try:
        fields = list(Formatter().parse(str(url)))
    except ValueError:  # Django says so
        return False
    return all(
        # A nested format may name other values.
        "{" not in (spec or "")
        and type(values.get(_FIRST.split(name or "", maxsplit=1)[0])) in _FORMATTED
        for _, name, spec, _ in fields
        if name is not None
    )


def may_await_for_a_form(view: Any) -> bool:
    """Whether post() of an edit view may come to something to await."""
    own, kind = vars(view), type(view)
    if not HOOKS.keys().isdisjoint(own) or any(
        getattr(getattr(kind, name, None), "__globals__", {}).get("__name__")
        != edit.__name__
        for name in ("get_form_class", "get_form", "form_valid", "get_success_url")
    ):
        return True
    # Otherwise Django calls get_absolute_url() of the model, which may return a
    # coroutine.
    if not view.success_url:
        return True
    instance, model = own.get("object"), getattr(view, "model", None)
    if view.form_class is None and model is None:
        if instance is None:
            return True
        model = type(instance)
    return not is_sync_form(view.form_class, model, instance)


def has_plain_url(view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a redirect view's URL, and what it is filled in with, is plain text."""
    return (view.url is None or is_plain_text(view.url)) and _is_plain_argument(
        (args, kwargs)
    )


# Splits the name of a value from its attributes and items in a format string.
_FIRST = re.compile(r"[.\[]")
# Types that format themselves without other code.
_FORMATTED = (NoneType, bool, int, float, str, Decimal, date, datetime, time, UUID)
# Functions behind lazy texts that run no code of the project.
_TEXTS = (reverse, gettext, pgettext)


def is_plain_text(value: Any) -> bool:
    """Whether to make text of a value runs none of the user's code."""
    if not isinstance(value, Promise):
        return type(value) is str
    # __reduce__() of a lazy object names its function and arguments.
    made: Any = value.__reduce__()[1]
    return made[0] in _TEXTS and all(map(_is_plain_argument, made[1:]))


def _is_plain_argument(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain_argument, value))
    if type(value) is dict:
        return all(map(_is_plain_argument, value.values()))
    return type(value) in _FORMATTED or isinstance(value, type)
