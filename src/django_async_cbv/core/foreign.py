"""Tell Django's own code from a project's, which may leave something in a thread."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db import router
from django.db.models import Manager, Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.signals import post_init, pre_init

__all__ = ["reads_only_django", "reads_plainly"]


def reads_plainly(rows: Any) -> bool:
    """Whether a read by a QuerySet of Django's runs nothing but Django's own code."""
    return not (
        # A router and a prefetch may run code of the project during the query.
        router.routers or rows._prefetch_related_lookups
    ) and (
        rows._iterable_class is not ModelIterable
        or _are_plain(rows.model, rows.query.select_related)
    )


def _are_plain(model: Any, related: Any) -> bool:
    """As _is_plain(), of a model and of those that select_related() takes along."""
    # None for a field that leads to no certain model, for which Django raises an error.
    if related is True or model is None or not _is_plain(model):
        return False
    try:
        return all(
            _are_plain(model._meta.get_field(name).related_model, more or False)
            for name, more in (related or {}).items()
        )
    except FieldDoesNotExist:  # a FilteredRelation, or a name that is wrong
        return False


def _is_plain(model: Any) -> bool:
    """Whether objects of a model are made by nothing but Django's code."""
    return (
        model.__init__ is Model.__init__
        and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
        and not (pre_init.has_listeners(model) or post_init.has_listeners(model))
    )


def reads_only_django(view: Any) -> bool:
    """
    Whether what a view reads is Django's own code at work, given that its class is.

    Forms are not: they validate, and save, by code of the project's.
    """
    if (
        hasattr(view, "get_form_class")
        or getattr(view, "paginator_class", Paginator) is not Paginator
    ):
        return False
    queryset = getattr(view, "queryset", None)
    if queryset is not None:
        return type(queryset) is QuerySet and reads_plainly(queryset)
    model = getattr(view, "model", None)
    if model is None:
        return True
    manager = model._default_manager
    return (
        type(manager) is Manager
        and manager._queryset_class is QuerySet  # type: ignore[attr-defined]
        and not router.routers
        and _is_plain(model)
    )
