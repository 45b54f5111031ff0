"""Which servers and entry points are measured, on which pages, and what is expected."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.contenders import Contender, Page

__all__ = ["CONTENDERS", "LIMITS", "OURS", "PAGES", "Limit"]

OURS = "ours"

CONTENDERS = {
    contender.key: contender
    for contender in (
        Contender(OURS, "our entry point, Uvicorn", "ours", "uvicorn-ours"),
        Contender(
            "ours_granian",
            "our entry point, Granian",
            "ours",
            "granian-ours",
            optional=True,
        ),
        Contender(
            "ours_django",
            "our entry point, Uvicorn, Django's sync views",
            "django_sync",
            "uvicorn-ours",
        ),
        Contender("stock", "Django's ASGI entry point, Uvicorn", "ours", "uvicorn"),
        Contender(
            "stock_granian",
            "Django's ASGI entry point, Granian",
            "ours",
            "granian",
            optional=True,
        ),
        Contender(
            "extensions",
            "Django's ASGI entry point, Uvicorn, django-async-extensions",
            "extensions",
            "uvicorn",
            optional=True,
        ),
        Contender(
            "gthread",
            "Django's sync views, Gunicorn gthread",
            "django_sync",
            "gunicorn",
        ),
        Contender(
            "granian_wsgi",
            "Django's sync views, Granian WSGI",
            "django_sync",
            "granian-wsgi",
            optional=True,
        ),
        Contender(
            "starlette",
            "no Django handler: Starlette, Uvicorn",
            "starlette",
            "starlette",
            optional=True,
        ),
        Contender(
            "bolt",
            "no Django handler: django-bolt's server",
            "bolt",
            "bolt",
            optional=True,
        ),
        Contender(
            "limit", "no server: Django's sync handler in a loop", "django_sync", "none"
        ),
    )
}

# Without Django's handler there is no CSRF token. The form views of
# django-async-extensions validate on the event loop: a form whose fields query the
# database raises SynchronousOnlyOperation.
_WITH_FORMS = tuple(
    key for key in CONTENDERS if key not in {"starlette", "bolt", "extensions"}
)
# Their view waits for a service elsewhere.
_WAITING = ("ours", "ours_granian", "stock", "stock_granian", "gthread", "granian_wsgi")

PAGES = {
    page.key: page
    for page in (
        Page(
            "plain",
            "A function that returns a few bytes",
            "plain/",
            tuple(key for key in CONTENDERS if key != "extensions"),
        ),
        Page("list", "List of 20 rows, paginated", "books/?page=7", tuple(CONTENDERS)),
        Page("detail", "Detail", "books/321/", tuple(CONTENDERS)),
        Page(
            "post",
            "A form is sent, with CSRF token, validated and saved",
            "reviews/add/",
            _WITH_FORMS,
            is_form=True,
        ),
        Page("calls", "Two calls of 100 ms to a service", "calls/", _WAITING),
        Page(
            "price", "One query, then one call of 100 ms", "books/321/price/", _WAITING
        ),
    )
}


@dataclass(frozen=True)
class Limit:
    """How many times better than another contender ours has to be, on one page."""

    page: str
    against: str
    # "processor": how many times more the other takes; "rate": how many times more
    # requests ours answers.
    measure: Literal["processor", "rate"]
    at_least: float
    # For this database, and this CONN_MAX_AGE, alone.
    engine: str | None = None
    age: int | None = None


LIMITS = (
    Limit("list", "gthread", "processor", 1.00, age=60),
    Limit("post", "gthread", "processor", 1.00, age=60),
    Limit("detail", "gthread", "processor", 1 / 0.92, age=60),
    Limit("list", "gthread", "rate", 1.00, age=60),
    Limit("post", "gthread", "rate", 1.00, age=60),
    Limit("detail", "gthread", "rate", 1.05, age=60),
    Limit("plain", "gthread", "processor", 1.5),
    Limit("list", "stock", "processor", 1.7, age=60),
    Limit("detail", "stock", "processor", 3.2, "sqlite3", 60),
    Limit("detail", "stock", "processor", 2.4, "postgresql", 60),
    Limit("plain", "stock", "processor", 7.5),
    Limit("detail", "stock", "rate", 4, "postgresql", 60),
    Limit("list", "stock", "rate", 2.5, "postgresql", 60),
    Limit("list", "limit", "processor", 0.90, age=60),
    Limit("detail", "limit", "processor", 0.85, "postgresql", 60),
    Limit("detail", "limit", "processor", 0.78, "sqlite3", 60),
)
