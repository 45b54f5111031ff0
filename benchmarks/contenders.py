"""Who is measured, and on which pages."""

from dataclasses import dataclass

__all__ = ["BASELINE", "CONTENDERS", "OURS", "PAGES", "Contender", "Page"]


@dataclass(frozen=True)
class Contender:
    """One way to serve the pages."""

    key: str
    title: str
    # The module with the views.
    views: str
    # A key of `servers.COMMANDS`, or "none": the handler is called in a loop.
    server: str
    # One that may be missing, or fail to start, is left out, and the reason reported.
    optional: bool = False

    def path(self, page: "Page") -> str:
        """Return the path, and query, of a page of this contender's."""
        return f"/{self.views}/{page.path}"


@dataclass(frozen=True)
class Page:
    """One page that all, or some, contenders serve."""

    key: str
    title: str
    path: str
    contenders: tuple[str, ...]
    # A form, which is sent.
    is_form: bool = False


OURS = "ours"
BASELINE = "by_hand"

CONTENDERS = {
    contender.key: contender
    for contender in (
        Contender(OURS, "django-async-cbv", "ours", "uvicorn"),
        Contender(BASELINE, "async view by hand", "by_hand", "uvicorn"),
        Contender("sync_asgi", "Django's sync view, ASGI", "django_sync", "uvicorn"),
        Contender(
            "sync_wsgi", "Django's sync view, threaded WSGI", "django_sync", "gunicorn"
        ),
        Contender(
            "extensions",
            "django-async-extensions",
            "extensions",
            "uvicorn",
            optional=True,
        ),
        Contender("limit", "Django's sync handler, no server", "django_sync", "none"),
    )
}

PAGES = {
    page.key: page
    for page in (
        Page("list", "List of 20 rows, paginated", "books/?page=7", tuple(CONTENDERS)),
        Page("detail", "Detail", "books/321/", tuple(CONTENDERS)),
        Page(
            "rates",
            "The list, and 20 ms of waiting for an upstream service",
            "rates/?page=7",
            # Without a server there is nothing else to do while waiting.
            tuple(key for key in CONTENDERS if key != "limit"),
        ),
    )
}
