"""What every template knows besides the page's own context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest

GENERIC_VIEWS = {
    *(
        f"django_async_cbv.views.{name}"
        for name in ("base", "dates", "detail", "edit", "formsets", "list")
    ),
    "django_async_cbv.auth.views",
}


def served_by(request: HttpRequest) -> dict[str, Any]:
    """Name the page's view and the generic view under it, for the line in the footer.

    Runs where the template is rendered, in the request's worker; no I/O.
    """
    match = request.resolver_match
    view = getattr(match.func, "view_class", None) if match else None
    generic = (
        next((base for base in view.__mro__ if base.__module__ in GENERIC_VIEWS), None)
        if view
        else None
    )
    return {
        "view_name": view.__name__ if view else None,
        "generic_name": generic.__name__ if generic and generic is not view else None,
        "debug": settings.DEBUG,
    }
