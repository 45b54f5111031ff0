"""The pages without Django's handler and middleware: its ORM and templates alone."""

import functools
import os
from collections.abc import Callable
from typing import ParamSpec

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
# Before the models are imported.
django.setup()

from django.db import close_old_connections, reset_queries  # noqa: E402
from django.template.loader import render_to_string  # noqa: E402

from benchmarks.views.by_hand import detail_context, list_context  # noqa: E402

__all__ = ["book_detail", "book_list", "with_connection"]

_P = ParamSpec("_P")


def with_connection(page: Callable[_P, str]) -> Callable[_P, str]:
    """Treat the connections of the thread as Django does at both ends of a request."""

    @functools.wraps(page)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> str:
        reset_queries()
        close_old_connections()
        try:
            return page(*args, **kwargs)
        finally:
            close_old_connections()

    return wrapper


def book_list(number: str) -> str:
    return render_to_string("benchmarks/book_list.html", list_context(number))


def book_detail(pk: int) -> str:
    return render_to_string("benchmarks/book_detail.html", detail_context(pk))
