"""Serve one request, in a transaction that is rolled back, and count its hops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections, connections, transaction
from django.test import Client
from django.urls import Resolver404, get_resolver

from .._testing.hops import count_hops
from .middleware import chain_of, djangos_hops, middleware
from .report import Entry, Report, Row

__all__ = ["CantMeasure", "Measured", "measure"]

# The most seconds for a response, because a stream may not end.
_SECONDS = 30
_TOKEN = "a" * 32


class CantMeasure(Exception):  # noqa: N818 - it reads as what it is
    """Why no request is made, and what to do."""


@dataclass(frozen=True)
class Measured:
    """A request that was served: its hops, and the prediction."""

    url: str
    method: str
    status: int
    hops: int
    # The table of the hops.
    table: str
    # The fewest and the most hops that were predicted, with middleware and rendering.
    low: int | None
    high: int | None
    # The route of the URL, if the report has it.
    row: Row | None = None


def measure(report: Report, url: str, method: str, user: str | None) -> Measured:
    """
    Serve a request by Django's ASGI handler; raise CantMeasure if it may not be.

    All that it writes to the databases is rolled back. What else it does, it does.
    """
    for alias in connections:
        if not connections[alias].features.supports_transactions:
            raise CantMeasure(
                f"the database {alias!r} can't roll back, so the writes of the view "
                "would stay. Measure with another database."
            )
    hops = count_hops()
    with ExitStack() as blocks:
        for alias in connections:
            blocks.enter_context(transaction.atomic(using=alias))
        cookies = {settings.CSRF_COOKIE_NAME: _TOKEN}
        if user is not None:
            cookies[settings.SESSION_COOKIE_NAME] = _session_of(user)
        blocks.enter_context(_open_connections())
        status = _served(url, method, cookies, hops)
        for alias in connections:
            transaction.set_rollback(True, using=alias)
    row = _row(report, url)
    low, high = _whole(_entry(row, method))
    return Measured(url, method, status, hops.count, str(hops), low, high, row)


@contextmanager
def _open_connections() -> Iterator[None]:
    """Keep Django from closing the connections that have the open transactions."""
    ends = (signals.request_started, signals.request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in ends:
            signal.connect(close_old_connections)


def _session_of(name: str) -> str:
    model: Any = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise CantMeasure(f"there is no user {name}. Name another user.") from None
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _served(url: str, method: str, cookies: dict[str, str], hops: count_hops) -> int:
    """The status of the answer. The sync work is done in this thread."""
    parts = urlsplit(url)
    host = parts.netloc or next(
        (one for one in settings.ALLOWED_HOSTS if "*" not in one), "localhost"
    )
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = {"host": host.lstrip("."), "cookie": cookie, "x-csrftoken": _TOKEN}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": unquote(parts.path) or "/",
        "query_string": parts.query.encode(),
        "scheme": parts.scheme or "http",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    app: Any = ASGIHandler()
    found: list[int] = []

    async def serve() -> None:
        asked = iter([{"type": "http.request", "body": b""}])

        async def receive() -> dict[str, Any]:
            for message in asked:
                return message
            await asyncio.Event().wait()  # The client stays.
            return {}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        async with asyncio.timeout(_SECONDS):
            with hops:
                await app(scope, receive, send)

    async_to_sync(serve)()
    return found[0]


def _row(report: Report, url: str) -> Row | None:
    """The route of a URL of ROOT_URLCONF."""
    try:
        match = get_resolver().resolve(unquote(urlsplit(url).path) or "/")
    except Resolver404:
        return None
    for row in report.rows:
        if row.route == match.route and row.urlconf == _root():
            return row
    return None


def _entry(row: Row | None, method: str) -> Entry | None:
    """What was predicted for a method of a route."""
    for entry in () if row is None else row.entries:
        if method in entry.methods or entry.methods == ("any",):
            return entry
    return None


def _root() -> str:
    root: Any = settings.ROOT_URLCONF
    return root if isinstance(root, str) else str(root.__name__)


def _whole(entry: Entry | None) -> tuple[int | None, int | None]:
    """The hops of a request with those around the view."""
    if entry is None or entry.low is None:
        return None, None
    chain = chain_of(middleware())
    around = chain.hops + djangos_hops()
    if entry.high is None or entry.own:
        return entry.low + around, None
    # The response is rendered after the view.
    return entry.low + around, entry.high + around + chain.rendered + 1
