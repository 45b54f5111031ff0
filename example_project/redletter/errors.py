"""Error pages that show who is logged in."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from django.db import connection
from django.views import defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    ErrorView = Callable[[HttpRequest, Exception], HttpResponse]


def closing(view: ErrorView) -> ErrorView:
    """Close the connection that `view` opens.

    Under ASGI, Django renders these pages in a thread that no request owns, so
    `request_finished` does not close the connection of that thread.
    """

    @wraps(view)
    def page(request: HttpRequest, exception: Exception) -> HttpResponse:
        was_open = connection.connection is not None
        try:
            return view(request, exception)
        finally:
            if not was_open:
                connection.close()

    return page


permission_denied = closing(defaults.permission_denied)
page_not_found = closing(defaults.page_not_found)
