"""Tell Django's own code from a project's, which may leave something in a thread."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Manager, Model, QuerySet

__all__ = ["is_plain_model", "reads_only_django"]


def is_plain_model(model: Any) -> bool:
    """Whether rows of a model are made by Django's own code alone."""
    return (
        model.__init__ is Model.__init__
        and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
    )


def reads_only_django(view: Any) -> bool:
    """
    Whether what a view reads is Django's own code at work, given that its class is.

    Forms are not: they validate, and save, by code of the project's.
    """
    if hasattr(view, "get_form_class"):
        return False
    if getattr(view, "paginator_class", Paginator) is not Paginator:
        return False
    queryset = getattr(view, "queryset", None)
    if queryset is not None:
        return type(queryset) is QuerySet and is_plain_model(queryset.model)
    model = getattr(view, "model", None)
    if model is None:
        return True
    manager = model._default_manager
    return (
        type(manager) is Manager
        and manager._queryset_class is QuerySet  # type: ignore[attr-defined]
        and is_plain_model(model)
    )
