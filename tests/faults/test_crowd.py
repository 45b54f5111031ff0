"""Five hundred requests of all kinds at once are answered, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import datetime

from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.test import AsyncRequestFactory, override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from django_async_cbv.views import (
    AsyncCreateView,
    AsyncDeleteView,
    AsyncDetailView,
    AsyncListView,
    AsyncUpdateView,
)
from tests.app.forms import BookForm
from tests.app.models import Author, Book, Tag
from tests.concurrency import ServedTestCase, browser
from tests.faults.leaks import leftovers_of
from tests.faults.stops import Stop
from tests.faults.visits import AsyncHandlers, Exchange, Header, Tail, pausing

CROWD = 500
# Each request of Django's ASGI handler has its own connection, and a server of
# PostgreSQL's lets in so many.
CONNECTIONS = 100

COLOURS = [
    [],
    [Tail],
    [Header],
    [AsyncHandlers],
    [pausing("get_context_data", "get_object", "form_valid", "get_queryset")],
    [Header, pausing("get_context_data", "get_object", "form_valid")],
    [Tail, pausing("render_to_response", "get_form", "get_form_kwargs")],
]


def patterns():
    """Each kind of page in each colour, at `/<colour>/<kind>/`."""
    book = {"model": Book, "form_class": BookForm, "template_name": "app/brief.html"}
    page = {"model": Book, "template_name": "app/list.html", "paginate_by": 3}
    one = {"model": Book, "template_name": "app/detail.html"}
    kinds = [
        ("list/", AsyncListView, page),
        ("<int:pk>/", AsyncDetailView, one),
        ("add/", AsyncCreateView, {**book, "success_url": "/{isbn}/"}),
        ("<int:pk>/edit/", AsyncUpdateView, {**book, "success_url": "/{title}/"}),
        ("<int:pk>/delete/", AsyncDeleteView, {"model": Book, "success_url": "/"}),
    ]
    return tuple(
        path(
            f"{colour}/{route}",
            csrf_exempt(type("View", (*mixins, base), dict(attributes)).as_view()),
        )
        for colour, mixins in enumerate(COLOURS)
        for route, base, attributes in kinds
    )


class CrowdTests(ServedTestCase):
    def setUp(self):
        self.author = Author.objects.create(name="Ada", slug="ada")
        self.tags = [Tag.objects.create(name=name) for name in ("art", "law")]
        # "A" comes first in the list, whatever else is written meanwhile.
        self.fixed = self.new_book("A fixed one")

    def new_book(self, title):
        book = Book.objects.create(
            title=title,
            isbn=f"n{Book.objects.count()}",
            author=self.author,
            published=datetime.date(2020, 2, 29),
        )
        book.tags.set(self.tags)
        return book

    def posted(self, title, isbn):
        return {
            "title": title,
            "isbn": isbn,
            "author": self.author.pk,
            "tags": [tag.pk for tag in self.tags],
            "published": "2024-02-29",
        }

    def visits(self):
        """Method, path, data, and what the answer has to be, of each request."""
        made = []
        for number in range(CROWD // 10):
            at = f"/{number % len(COLOURS)}"
            fixed = f"{self.fixed.pk}/"
            edited, deleted = self.new_book("Old"), self.new_book("Gone")
            mine = f"mine{number}"
            taken = self.posted("Taken", self.fixed.isbn)
            edit = self.posted(f"Edited{number}", edited.isbn)
            made += [
                ("GET", f"{at}/list/", None, (200, "A fixed one by Ada")),
                ("GET", f"{at}/list/?page=1", None, (200, "page 1 of ")),
                ("GET", f"{at}/list/?page=999", None, (404, "Not Found")),
                ("GET", f"{at}/{fixed}", None, (200, "Ada: art law")),
                ("GET", f"{at}/99999999/", None, (404, "Not Found")),
                ("GET", f"{at}/add/", None, (200, "Isbn:")),
                ("POST", f"{at}/add/", self.posted("new", mine), (302, f"/{mine}/")),
                ("POST", f"{at}/add/", taken, (200, "already exists")),
                ("POST", f"{at}/{edited.pk}/edit/", edit, (302, f"/Edited{number}/")),
                ("POST", f"{at}/{deleted.pk}/delete/", {}, (302, "/")),
            ]
        return made

    def test_all_are_answered(self):
        visits = self.visits()
        wrong = []

        async def ask(client, limit, method, url, data, expected):
            async with limit:
                answer = await client.request(method, url, data=data)
            status, told = expected
            if answer.status_code != status or (
                told != answer.headers["Location"]
                if status == 302
                else told not in answer.text
            ):
                wrong.append((method, url, answer.status_code, answer.text))

        async def main():
            limit = crowd_limit()
            async with browser() as client:
                await asyncio.gather(*[ask(client, limit, *visit) for visit in visits])

        with override_settings(ROOT_URLCONF=patterns()):
            self.assertEqual(leftovers_of(main), [])
        self.assertEqual(wrong, [])
        many = CROWD // 10
        self.assertEqual(Book.objects.filter(title="Old").count(), 0)
        self.assertEqual(Book.objects.filter(title="Gone").count(), 0)
        self.assertEqual(Book.objects.filter(title__startswith="Edited").count(), many)
        self.assertEqual(Book.objects.filter(isbn__startswith="mine").count(), many)
        self.assertTaggedAll()

    def test_some_leave_on_the_way(self):
        """Each at another await; what the others get is none the worse."""
        visits = self.visits()[::2]
        handler = ASGIHandler()
        answered = []

        async def ask(number, limit, method, url, data, expected):
            request = AsyncRequestFactory().generic(method, url)
            if data:
                request = AsyncRequestFactory().post(url, data)
            exchange = Exchange(request)
            # Up to twice as many as there are: those stay to the end.
            Stop(number % 40 + 1, exchange.gone.set, late=number % 3 == 0).watch()
            async with limit:
                await asyncio.create_task(
                    handler(exchange.scope, exchange.receive, exchange.send)
                )
            if exchange.status is not None:
                answered.append(exchange.status == expected[0])

        async def main():
            limit = crowd_limit()
            tasks = [
                asyncio.create_task(ask(number, limit, *visit))
                for number, visit in enumerate(visits)
            ]
            await asyncio.gather(*tasks)

        with override_settings(ROOT_URLCONF=patterns()):
            self.assertEqual(leftovers_of(main), [])
        self.assertEqual(set(answered), {True})
        self.assertGreater(len(answered), len(visits) // 4)
        self.assertLess(len(answered), len(visits))
        self.assertTaggedAll()

    def assertTaggedAll(self):
        """No book has but some of its tags, and no tag a book that is gone."""
        books = Book.objects.count()
        self.assertEqual(Book.tags.through.objects.count(), 2 * books)


def crowd_limit():
    if connection.vendor == "postgresql":
        return asyncio.Semaphore(CONNECTIONS)
    return contextlib.nullcontext()
