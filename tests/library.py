"""What hidden blocks of the docs use: the project in docs/library, and its shop.

The shop answers at once. `tests.documentation` has what needs no models.
"""

from __future__ import annotations

import datetime
import threading
from contextlib import AbstractContextManager
from http.server import ThreadingHTTPServer
from typing import Any

import shop
from django.urls import include, path
from library import services, urls
from library.models import Author, Book, Tag

from tests.documentation import (
    Site,
    answer,
    checked,
    hops_of,
    raised,
    refusal,
    run_tests,
)
from tests.documentation import routed as routed_alone

__all__ = [
    "answer",
    "checked",
    "hops_of",
    "make_books",
    "raised",
    "refusal",
    "routed",
    "run_tests",
]

TITLES = ["Bleak House", "Emma", "Persuasion"]


class QuickShop(shop.Shop):
    def log_message(self, *args: object) -> None:
        pass


shop.DELAY = 0
server = ThreadingHTTPServer(("127.0.0.1", 0), QuickShop)
threading.Thread(target=server.serve_forever, daemon=True).start()
services.SHOP = f"http://127.0.0.1:{server.server_port}"


def routed(urlpatterns: list[Any], **settings: Any) -> AbstractContextManager[Site]:
    """Serve the URLs to a client; the pages of the project are below `/library/`."""
    project = path("library/", include(urls.urlpatterns))
    return routed_alone([*urlpatterns, project], **settings)


def make_books(number: int = 3) -> list[Book]:
    """Books of one author with a tag each: those that the shop has, then `Book 4`."""
    author = Author.objects.create(name="Ann", slug="ann")
    tag = Tag.objects.create(name="read")
    titles = [*TITLES, *(f"Book {i}" for i in range(4, number + 1))][:number]
    books = [
        Book.objects.create(
            title=title,
            isbn=f"{i:013}",
            author=author,
            published=datetime.date(2020, 1, 1) + datetime.timedelta(days=i),
        )
        for i, title in enumerate(titles, 1)
    ]
    for book in books:
        book.tags.add(tag)
    return books
