"""The requests that are cancelled, what is on their way, and what is to be whole."""

from __future__ import annotations

import asyncio
import datetime
import threading

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.http import HttpResponse

from django_async_cbv.core.hooks import HOOKS
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncDeleteView,
    AsyncDetailView,
    AsyncListView,
    AsyncUpdateView,
)
from tests.app.forms import BookForm
from tests.app.models import Author, Book, Tag
from tests.comparison import rows, stored_files
from tests.concurrency import ServedTestCase
from tests.faults.leaks import few_objects


async def pause():
    """Suspend once, for a future, as an await of I/O does."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(lambda: future.done() or future.set_result(None))
    await future


def pausing(*names):
    """A mixin that awaits before and after each of these hooks."""

    def override(aname):
        async def atwin(self, *args, **kwargs):
            self.called.add(aname)
            await pause()
            result = await getattr(super(mixin, self), aname)(*args, **kwargs)
            await pause()
            return result

        return atwin

    anames = [HOOKS[name] for name in names]
    mixin = type(f"Pausing{names}", (), {aname: override(aname) for aname in anames})
    mixin.called = set()
    return mixin


class Tail:
    """Gives its thread back: nothing is left to do after the call."""

    def dispatch(self, request, *args, **kwargs):
        if not request.path:
            return HttpResponse(status=403)
        return super().dispatch(request, *args, **kwargs)


class Header:
    """Has something to do to the response."""

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Seen"] = "yes"
        return response


class Atomic:
    """Holds a transaction around the call."""

    def dispatch(self, request, *args, **kwargs):
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)


class Locked:
    """Holds a lock around the call."""

    lock = threading.Lock()

    def dispatch(self, request, *args, **kwargs):
        if not self.lock.acquire(timeout=10):
            raise TimeoutError
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.lock.release()


class Catching:
    """Makes an answer of every error; a cancellation is none."""

    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        except Exception as error:
            return HttpResponse(f"{error!r}", status=500)


class AsyncDispatch:
    async def dispatch(self, request, *args, **kwargs):
        await pause()
        response = await super().dispatch(request, *args, **kwargs)
        await pause()
        return response


class SyncHandlers:
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        response["X-Seen"] = "yes"
        return response


class AsyncHandlers:
    async def get(self, request, *args, **kwargs):
        await pause()
        return await super().get(request, *args, **kwargs)

    async def post(self, request, *args, **kwargs):
        await pause()
        response = await super().post(request, *args, **kwargs)
        await pause()
        return response


class SyncSetup:
    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.books = Book.objects.count()


DISPATCHES = [Tail, Header, Atomic, Locked, Catching]


class Visit:
    """A request to a view, and what the database may hold after it was cancelled."""

    attributes = {"model": Book, "template_name": "app/brief.html"}
    status = 200
    # That the request reaches.
    hooks = ["get_context_data", "get_template_names", "render_to_response"]

    def view(self, *mixins):
        attributes = {"success_url": "/{isbn}/", **self.attributes}
        return type("View", (*mixins, self.base), attributes).as_view()

    def request(self, factory, test):
        """A request of a test client's factory; the view's only argument is `pk`."""
        return factory.get(f"/{test.book.pk}/")

    def done(self, test, before):
        """What is in the database once the request has been answered."""
        return before

    def check(self, test, response):
        test.assertEqual(response.status_code, self.status)
        test.assertIn("Tides", response.rendered_content)


class List(Visit):
    base = AsyncListView
    attributes = {
        "model": Book,
        "template_name": "app/list.html",
        "paginate_by": 5,
        "allow_empty": False,
    }
    hooks = [
        *Visit.hooks,
        "get_queryset",
        "get_ordering",
        "get_allow_empty",
        "get_paginate_by",
        "get_paginate_orphans",
        "get_paginator",
        "paginate_queryset",
        "get_context_object_name",
    ]


class Detail(Visit):
    base = AsyncDetailView
    attributes = {"model": Book, "template_name": "app/detail.html"}
    hooks = [*Visit.hooks, "get_object", "get_queryset", "get_context_object_name"]


class Saving(Visit):
    status = 302
    hooks = [
        "get_form",
        "get_form_class",
        "get_form_kwargs",
        "get_initial",
        "get_prefix",
        "get_success_url",
        "form_valid",
    ]

    def request(self, factory, test):
        data = {
            "title": "waves",
            "isbn": "999",
            "author": test.author.pk,
            "tags": [tag.pk for tag in test.tags[1:]],
            "published": "2024-02-29",
            "scan": SimpleUploadedFile("scan.bin", b"scanned"),
        }
        return factory.post(f"/{test.book.pk}/", data)

    def done(self, test, before):
        return before | {
            "999": ("Waves", [tag.pk for tag in test.tags[1:]], b"scanned")
        }

    def check(self, test, response):
        test.assertEqual((response.status_code, response.url), (self.status, "/999/"))


class Create(Saving):
    base = AsyncCreateView
    attributes = {"model": Book, "form_class": BookForm}


class Update(Saving):
    base = AsyncUpdateView
    attributes = {"model": Book, "form_class": BookForm}
    hooks = [*Saving.hooks, "get_object", "get_queryset"]

    def done(self, test, before):
        return {"999": super().done(test, {})["999"]}


class Invalid(Create):
    """As Create, of a number that is taken: the form is shown again."""

    status = 200
    attributes = {**Create.attributes, "template_name": "app/brief.html"}
    hooks = [*Saving.hooks[:-2], "form_invalid", *Visit.hooks]

    def request(self, factory, test):
        return factory.post(f"/{test.book.pk}/", {"isbn": "111"})

    def done(self, test, before):
        return before

    def check(self, test, response):
        test.assertEqual(response.status_code, self.status)
        test.assertIn("already exists", response.rendered_content)


class Delete(Visit):
    status = 302
    base = AsyncDeleteView
    attributes = {"model": Book}
    hooks = [
        "get_object",
        "get_queryset",
        "get_form",
        "get_form_class",
        "get_form_kwargs",
        "get_success_url",
        "form_valid",
    ]

    def request(self, factory, test):
        return factory.post(f"/{test.book.pk}/")

    def done(self, test, before):
        return {}

    def check(self, test, response):
        test.assertEqual((response.status_code, response.url), (self.status, "/111/"))


VISITS = [List, Detail, Create, Update, Invalid, Delete]


class Exchange:
    """One request, as a server gives it to an app, and what the app sends."""

    def __init__(self, request):
        self.scope = request.scope
        self.body = request.read()
        self.sent = []
        self.gone = asyncio.Event()

    async def receive(self):
        if self.body is not None:
            body, self.body = self.body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"] if self.sent else None


class ShelfTestCase(ServedTestCase):
    """One book, by one author, under two of three tags."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(few_objects())

    def setUp(self):
        self.author = Author.objects.create(name="Ada", slug="ada")
        self.tags = [Tag.objects.create(name=name) for name in ("art", "law", "sea")]
        self.restore()

    def restore(self):
        """Put the book back, and nothing else."""
        Book.objects.all().delete()
        for scan in self.media.rglob("*.bin"):
            scan.unlink()
        self.book = Book.objects.create(
            title="Tides",
            isbn="111",
            author=self.author,
            published=datetime.date(2020, 2, 29),
        )
        self.book.tags.set(self.tags[:2])
        self.before = self.books()

    def books(self, *, all_files=True):
        """
        What there is of each book: its row, its tags, its file.

        A transaction that is rolled back leaves the files that were stored in it
        (`all_files`: none of those), as in Django's own views.
        """
        found = rows()
        files = stored_files(self.media)
        books = {
            book["isbn"]: (
                book["title"],
                # Django writes them in the order of a set.
                sorted(
                    row["tag_id"]
                    for row in found["app.Book_tags"]
                    if row["book_id"] == book["id"]
                ),
                # Without its file it would be half of a book.
                files.pop(book["scan"]) if book["scan"] else None,
            )
            for book in found["app.Book"]
        }
        if all_files:
            self.assertEqual(files, {}, "A file without a book.")
        tagged = {row["book_id"] for row in found["app.Book_tags"]}
        self.assertLessEqual(tagged, {book["id"] for book in found["app.Book"]})
        return books
