"""Edit views: whatever is posted, the answer, the rows and the files are Django's."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import operator
import threading
from pathlib import Path
from unittest import mock

import pytest
from asgiref.sync import sync_to_async
from django import forms
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.core.handlers.wsgi import WSGIRequest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.http import HttpResponse, HttpResponseRedirect, UnreadablePostError
from django.test import RequestFactory, override_settings
from django.test.client import BOUNDARY, encode_multipart
from django.urls import include, path, reverse_lazy
from django.views.generic.edit import ModelFormMixin

from django_async_cbv.testing import forbid_blocking
from django_async_cbv.views import AsyncCreateView
from django_async_cbv.views.edit import AsyncModelFormMixin
from tests.app.forms import BookForm, ConfirmForm, LoanForm
from tests.app.models import Article, Author, Book, Loan, Novel, Tag
from tests.comparison import ComparisonTestCase, Sent, rolled_back, variants
from tests.concurrency import ServedTestCase, browser

UTC = datetime.UTC


class LibraryTestCase(ComparisonTestCase):
    """Two authors, three tags, a book, a lent book, a novel, two articles."""

    @classmethod
    def setUpTestData(cls):
        cls.ada = Author.objects.create(name="Ada", slug="ada")
        cls.ben = Author.objects.create(name="Ben", slug="ben")
        cls.tags = [Tag.objects.create(name=name) for name in ("art", "law", "sea")]
        cls.book = Book.objects.create(
            title="Tides",
            isbn="111",
            author=cls.ada,
            published=datetime.date(2020, 2, 29),
            updated=datetime.datetime(2021, 3, 4, 5, 6, tzinfo=UTC),
        )
        cls.book.tags.set(cls.tags[:2])
        cls.lent = Book.objects.create(
            title="Laws",
            isbn="222",
            author=cls.ben,
            published=datetime.date(2019, 1, 1),
        )
        Loan.objects.create(book=cls.lent, reader="Cy")
        cls.novel = Novel.objects.create(
            title="Ships",
            isbn="333",
            author=cls.ada,
            published=datetime.date(2018, 1, 1),
            genre="adventure",
        )
        cls.novel.tags.set(cls.tags[2:])
        Article.objects.create(
            title="Out", slug="out", published=datetime.datetime(2024, 1, 1, tzinfo=UTC)
        )
        Article.objects.create(title="Draft", slug="draft")

    def posted(self, **changes):
        """A valid form of a book; a change to None leaves a field out."""
        data = {
            "title": "waves",
            "isbn": "999",
            "author": self.ben.pk,
            "tags": [self.tags[0].pk, self.tags[2].pk],
            "published": "2024-02-29",
            "updated": "2024-03-01 12:30",
        }
        data.update(changes)
        return {name: value for name, value in data.items() if value is not None}

    def tags_of(self, outcome, pk):
        through = outcome.of(Book.tags.through)
        return sorted(row["tag_id"] for row in through if row["book_id"] == pk)


def creating(**attributes):
    return variants("CreateView", model=Book, form_class=BookForm, **attributes)


def updating(**attributes):
    return variants("UpdateView", model=Book, form_class=BookForm, **attributes)


class CreateTests(LibraryTestCase):
    async def test_blank_form(self):
        outcome = await self.assertSame(creating(), Sent())
        self.assertEqual(outcome.status, 200)
        # The choices of both model choice fields were queried, off the loop.
        self.assertIn(">Ada</option>", outcome.content)
        self.assertIn(">sea</option>", outcome.content)

    async def test_saves_row_and_many_to_many(self):
        outcome = await self.assertSame(creating(), Sent("post", self.posted()))
        made = outcome.of(Book)[-1]
        self.assertEqual((outcome.status, made["title"]), (302, "Waves"))
        self.assertEqual(outcome.headers["Location"], f"/books/{made['id']}/")
        self.assertEqual(
            self.tags_of(outcome, made["id"]), [self.tags[0].pk, self.tags[2].pk]
        )

    async def test_fields_in_place_of_a_form_class(self):
        views = variants("CreateView", model=Book, fields=["title", "isbn", "tags"])
        for sent in (Sent(), Sent("post", self.posted())):
            outcome = await self.assertSame(views, sent)
        # The author is missing, and only the database knows.
        self.assertIs(outcome.error[0], IntegrityError)

    async def test_invalid_forms_are_shown_again(self):
        invalid = {
            "missing": self.posted(title=None, published=None),
            "unique": self.posted(isbn=self.book.isbn),
            "of a parent": self.posted(isbn=self.novel.isbn),
            "across fields": self.posted(title="777", isbn="777"),
            "no such author": self.posted(author=12345),
            "no such tag": self.posted(tags=[self.tags[0].pk, 12345]),
            "no date": self.posted(published="yesterday"),
            "nothing": {},
        }
        before = None
        for name, data in invalid.items():
            with self.subTest(name):
                outcome = await self.assertSame(creating(), Sent("post", data))
                self.assertEqual(outcome.status, 200)
                self.assertIn("errorlist", outcome.content)
                before = before or outcome.rows
                self.assertEqual(outcome.rows, before)

    async def test_unique_violation_is_an_error_of_the_form(self):
        outcome = await self.assertSame(
            creating(), Sent("post", self.posted(isbn=self.book.isbn))
        )
        self.assertEqual(outcome.status, 200)
        self.assertIn("Book with this Isbn already exists.", outcome.content)

    async def test_unique_violation_that_no_form_sees(self):
        """Only the database knows of the constraint: an error, as Django's."""

        class Careless(BookForm):
            def validate_unique(self):
                pass

        outcome = await self.assertSame(
            variants("CreateView", model=Book, form_class=Careless),
            Sent("post", self.posted(isbn=self.book.isbn)),
        )
        self.assertIs(outcome.error[0], IntegrityError)

    async def test_a_manager_and_a_queryset_of_the_projects_own(self):
        views = variants("CreateView", model=Article, fields="__all__", success_url="/")
        data = {"title": "New", "slug": "new", "published": ""}
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.status, 302)
        self.assertEqual(outcome.of(Article)[-1]["title"], "New")
        # The form asks the manager, which hides the draft that has the slug.
        outcome = await self.assertSame(views, Sent("post", data | {"slug": "draft"}))
        self.assertIs(outcome.error[0], IntegrityError)

    async def test_the_name_of_a_template(self):
        class Named:
            template_name = "app/detail.html"

        await self.assertSame(
            variants("CreateView", Named, model=Book, form_class=BookForm),
            Sent("post", {}),
        )


class InheritedTests(LibraryTestCase):
    def posted(self, **changes):
        return super().posted(genre="saga", **changes)

    def views(self, name):
        return variants(
            name, model=Novel, fields="__all__", success_url="/novels/{id}/"
        )

    async def test_create_writes_both_tables(self):
        outcome = await self.assertSame(
            self.views("CreateView"), Sent("post", self.posted())
        )
        parent, child = outcome.of(Book)[-1], outcome.of(Novel)[-1]
        self.assertEqual(parent["id"], child["book_ptr_id"])
        self.assertEqual((parent["isbn"], child["genre"]), ("999", "saga"))
        self.assertEqual(len(self.tags_of(outcome, parent["id"])), 2)
        self.assertEqual(outcome.headers["Location"], f"/novels/{parent['id']}/")

    async def test_unique_over_the_parents_rows(self):
        outcome = await self.assertSame(
            self.views("CreateView"), Sent("post", self.posted(isbn=self.book.isbn))
        )
        self.assertIn("already exists", outcome.content)

    async def test_update(self):
        views = self.views("UpdateView")
        await self.assertSame(views, Sent(pk=self.novel.pk))
        outcome = await self.assertSame(
            views, Sent("post", self.posted(), pk=self.novel.pk)
        )
        self.assertEqual(outcome.of(Novel)[0]["genre"], "saga")
        outcome = await self.assertSame(
            views, Sent("post", self.posted(isbn=self.book.isbn), pk=self.novel.pk)
        )
        self.assertIn("already exists", outcome.content)
        # A book that is no novel.
        outcome = await self.assertSame(views, Sent(pk=self.book.pk))
        self.assertEqual(outcome.status, 404)

    async def test_delete_deletes_both(self):
        views = variants("DeleteView", model=Novel, success_url="/")
        outcome = await self.assertSame(views, Sent("post", pk=self.novel.pk))
        self.assertEqual(outcome.of(Novel), [])
        self.assertNotIn(self.novel.pk, [row["id"] for row in outcome.of(Book)])


class UpdateTests(LibraryTestCase):
    async def test_page(self):
        outcome = await self.assertSame(updating(), Sent(pk=self.book.pk))
        self.assertIn('value="Tides"', outcome.content)
        outcome = await self.assertSame(updating(), Sent(pk=12345))
        self.assertEqual(outcome.status, 404)

    async def test_saves(self):
        outcome = await self.assertSame(
            updating(), Sent("post", self.posted(tags=[]), pk=self.book.pk)
        )
        self.assertEqual(outcome.status, 302)
        self.assertEqual(outcome.of(Book)[0]["isbn"], "999")
        self.assertEqual(self.tags_of(outcome, self.book.pk), [])

    async def test_its_own_unique_value_is_no_violation(self):
        data = self.posted(isbn=self.book.isbn)
        outcome = await self.assertSame(updating(), Sent("post", data, pk=self.book.pk))
        self.assertEqual(outcome.status, 302)

    async def test_another_ones_unique_value_is(self):
        data = self.posted(isbn=self.lent.isbn)
        outcome = await self.assertSame(updating(), Sent("post", data, pk=self.book.pk))
        self.assertEqual(outcome.status, 200)
        self.assertIn("already exists", outcome.content)
        self.assertEqual(outcome.of(Book)[0]["isbn"], "111")

    async def test_invalid_form_shows_the_object_as_posted(self):
        """Django's, too: is_valid() has already written to `object`."""
        outcome = await self.assertSame(
            updating(), Sent("post", self.posted(published=""), pk=self.book.pk)
        )
        self.assertTrue(outcome.content.startswith("Waves"))

    async def test_by_slug(self):
        views = variants("UpdateView", model=Author, fields=["name"])
        for sent in (Sent(pk="ada"), Sent("post", {"name": "Eve"}, pk="ada")):
            outcome = await self.assertSame(views, sent)
        self.assertEqual(outcome.headers["Location"], "/authors/ada/")

    async def test_a_manager_that_hides_rows(self):
        views = variants(
            "UpdateView", model=Article, fields=["title"], success_url="/{slug}/"
        )
        outcome = await self.assertSame(views, Sent(pk="draft"))
        self.assertEqual(outcome.status, 404)
        outcome = await self.assertSame(views, Sent("post", {"title": "B"}, pk="out"))
        self.assertEqual(outcome.headers["Location"], "/out/")

    async def test_without_a_primary_key(self):
        outcome = await self.assertSame(updating(), Sent("post", self.posted()))
        self.assertIs(outcome.error[0], AttributeError)


class DeleteTests(LibraryTestCase):
    def views(self, **attributes):
        attributes.setdefault("success_url", reverse_lazy("book-list"))
        return variants("DeleteView", model=Book, **attributes)

    async def test_page(self):
        outcome = await self.assertSame(self.views(), Sent(pk=self.book.pk))
        self.assertIn("Delete Tides?", outcome.content)
        outcome = await self.assertSame(self.views(), Sent("post", pk=12345))
        self.assertEqual(outcome.status, 404)

    async def test_deletes(self):
        for method in ("post", "delete"):
            with self.subTest(method):
                outcome = await self.assertSame(
                    self.views(), Sent(method, pk=self.book.pk)
                )
                self.assertEqual(outcome.headers["Location"], "/books/")
                self.assertEqual(len(outcome.of(Book)), 2)
                self.assertEqual(self.tags_of(outcome, self.book.pk), [])

    async def test_success_url_is_made_before_the_row_is_gone(self):
        views = self.views(success_url="/gone/{id}/{isbn}/")
        outcome = await self.assertSame(views, Sent("post", pk=self.book.pk))
        self.assertEqual(outcome.headers["Location"], f"/gone/{self.book.pk}/111/")

    async def test_protected(self):
        for method in ("post", "delete"):
            with self.subTest(method):
                outcome = await self.assertSame(
                    self.views(), Sent(method, pk=self.lent.pk)
                )
                self.assertIs(outcome.error[0], ProtectedError)

    async def test_protected_and_told_so(self):
        """What projects do about it, with both colours of form_valid()."""

        class Told:
            def form_valid(self, form):
                try:
                    return super().form_valid(form)
                except ProtectedError:
                    form.add_error(None, "It is lent.")
                    return self.form_invalid(form)

        class AsyncTold:
            async def aform_valid(self, form):
                try:
                    return await super().aform_valid(form)
                except ProtectedError:
                    form.add_error(None, "It is lent.")
                    return await self.aform_invalid(form)

        views = variants("DeleteView", Told, AsyncTold, model=Book, success_url="/")
        outcome = await self.assertSame(views, Sent("post", pk=self.lent.pk))
        self.assertIn("It is lent.", outcome.content)
        outcome = await self.assertSame(views, Sent("post", pk=self.book.pk))
        self.assertEqual(outcome.status, 302)

    async def test_form_of_its_own(self):
        views = self.views(form_class=ConfirmForm)
        outcome = await self.assertSame(views, Sent("post", {}, pk=self.book.pk))
        self.assertIn("This field is required.", outcome.content)
        self.assertEqual(len(outcome.of(Book)), 3)
        outcome = await self.assertSame(
            views, Sent("post", {"sure": "on"}, pk=self.book.pk)
        )
        self.assertEqual(len(outcome.of(Book)), 2)

    async def test_no_success_url(self):
        outcome = await self.assertSame(
            variants("DeleteView", model=Book), Sent("post", pk=self.book.pk)
        )
        self.assertIs(outcome.error[0], ImproperlyConfigured)


class SuccessUrlTests(LibraryTestCase):
    async def location(self, views, **data):
        outcome = await self.assertSame(views, Sent("post", self.posted(**data)))
        return outcome.headers["Location"]

    async def test_with_fields(self):
        views = creating(success_url="/{isbn}/{title}/{author_id}/")
        location = await self.location(views)
        self.assertEqual(location, f"/999/Waves/{self.ben.pk}/")

    async def test_with_what_is_no_ascii(self):
        views = creating(success_url="/{title}/?q=%25&r=a+b")
        location = await self.location(views, title="Čas")
        self.assertEqual(location, "/%C4%8Cas/?q=%25&r=a+b")

    async def test_reverse_lazy(self):
        location = await self.location(creating(success_url=reverse_lazy("book-list")))
        self.assertEqual(location, "/books/")

    async def test_a_field_that_there_is_not(self):
        outcome = await self.assertSame(
            creating(success_url="/{shelf}/"), Sent("post", self.posted())
        )
        self.assertIs(outcome.error[0], KeyError)

    async def test_none_at_all(self):
        views = variants("CreateView", model=Tag, fields=["name"])
        outcome = await self.assertSame(views, Sent("post", {"name": "new"}))
        self.assertIs(outcome.error[0], ImproperlyConfigured)
        views = variants("FormView", form_class=ConfirmForm)
        outcome = await self.assertSame(views, Sent("post", {"sure": "on"}))
        self.assertIs(outcome.error[0], ImproperlyConfigured)

    async def test_unsafe_scheme(self):
        outcome = await self.assertSame(
            creating(success_url="javascript:{isbn}"), Sent("post", self.posted())
        )
        self.assertEqual(outcome.status, 400)


class MethodTests(LibraryTestCase):
    async def test_put(self):
        """Django parses only the body of a POST: a PUT's form has no data."""
        body = json.dumps({"title": "waves"})
        attributes = {"model": Book, "form_class": BookForm}
        pair = Overrides.GetPrefix, Overrides.AsyncGetPrefix
        for views, pk in (
            (creating(), None),
            (updating(), self.book.pk),
            (variants("CreateView", *pair, **attributes), None),
            (variants("UpdateView", *pair, **attributes), self.book.pk),
        ):
            for data in (self.posted(tags="1"), body, ""):
                with self.subTest(pk=pk, data=data):
                    sent = Sent(
                        "put", data, pk, options={"content_type": "application/json"}
                    )
                    outcome = await self.assertSame(views, sent)
                    self.assertEqual(outcome.status, 200)
                    self.assertIn("This field is required.", outcome.content)

    async def test_put_read_by_the_form(self):
        """JSON over PUT, as projects do it, with both colours of the hook."""

        class FromBody:
            def get_form_kwargs(self):
                kwargs = super().get_form_kwargs()
                return kwargs | {"data": json.loads(self.request.body)}

        class AsyncFromBody:
            async def aget_form_kwargs(self):
                kwargs = await super().aget_form_kwargs()
                return kwargs | {"data": json.loads(self.request.body)}

        views = variants(
            "UpdateView", FromBody, AsyncFromBody, model=Book, form_class=BookForm
        )
        sent = Sent("put", self.posted(), self.book.pk)
        sent.options["content_type"] = "application/json"
        outcome = await self.assertSame(views, sent)
        self.assertEqual(outcome.status, 302)
        self.assertEqual(outcome.of(Book)[0]["title"], "Waves")

    async def test_other_methods(self):
        deleting = variants("DeleteView", model=Book, success_url="/")
        for views in (creating(), updating(), deleting):
            for method in ("patch", "delete", "options", "head", "trace"):
                if views is deleting and method == "delete":
                    continue
                with self.subTest(view=views[0], method=method):
                    sent = Sent(method, None, pk=self.book.pk)
                    outcome = await self.assertSame(views, sent)
                    right = 200 if method in {"options", "head"} else 405
                    self.assertEqual(outcome.status, right)

    async def test_bodies_that_are_no_form(self):
        bodies = [
            ("application/json", b'{"title": "waves"}'),
            ("text/plain", b"title=waves"),
            ("application/x-www-form-urlencoded", b"title=waves&isbn=9"),
            ("application/x-www-form-urlencoded", b"%ff=%00&title="),
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=x", b"--x\r\nno headers"),
            ("multipart/form-data; boundary=x", b""),
        ]
        for content_type, body in bodies:
            with self.subTest(content_type=content_type, body=body):
                sent = Sent("post", body, options={"content_type": content_type})
                await self.assertSame(creating(), sent)

    async def test_too_much_data(self):
        with override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=3):
            outcome = await self.assertSame(creating(), Sent("post", self.posted()))
        self.assertEqual(outcome.status, 400)


class FormViewTests(LibraryTestCase):
    def views(self, *mixins, **attributes):
        attributes = {
            "form_class": LoanForm,
            "template_name": "app/form.html",
            "success_url": "/lent/",
            **attributes,
        }
        return variants("FormView", *mixins, **attributes)

    def loan(self, **changes):
        return {"reader": "Di", "author": self.ada.pk, "tags": [], **changes}

    async def test_choices_are_rows(self):
        outcome = await self.assertSame(self.views(), Sent())
        self.assertIn(">Ben</option>", outcome.content)
        outcome = await self.assertSame(self.views(), Sent("post", self.loan()))
        self.assertEqual(outcome.headers["Location"], "/lent/")
        outcome = await self.assertSame(
            self.views(), Sent("post", self.loan(author=12345))
        )
        self.assertIn("Select a valid choice.", outcome.content)

    async def test_prefix_and_initial(self):
        views = self.views(prefix="loan", initial={"reader": "Flo", "author": 1})
        outcome = await self.assertSame(views, Sent())
        self.assertIn('name="loan-reader" value="Flo"', outcome.content)
        data = {f"loan-{name}": value for name, value in self.loan().items()}
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.status, 302)
        outcome = await self.assertSame(views, Sent("post", self.loan()))
        self.assertEqual(outcome.status, 200)

    async def test_form_valid_writes(self):
        class Lends:
            def form_valid(self, form):
                book = form.cleaned_data["author"].books.first()
                Loan.objects.create(book=book, reader=form.cleaned_data["reader"])
                return super().form_valid(form)

        class AsyncLends:
            async def aform_valid(self, form):
                book = await form.cleaned_data["author"].books.afirst()
                reader = form.cleaned_data["reader"]
                await Loan.objects.acreate(book=book, reader=reader)
                return await super().aform_valid(form)

        views = self.views(Lends, AsyncLends)
        outcome = await self.assertSame(views, Sent("post", self.loan()))
        self.assertEqual(outcome.of(Loan)[-1]["reader"], "Di")


def sized(size):
    return SimpleUploadedFile("scan.bin", bytes(range(256)) * (size // 256))


class Kind:
    """Tells in a header what kind of upload the form was given."""

    def form_valid(self, form):
        scan = form.cleaned_data["scan"]
        response = super().form_valid(form)
        response["X-Kind"] = type(getattr(scan, "file", scan)).__name__
        response["X-Scan"] = str(self.object.scan)
        return response


class AsyncKind:
    async def aform_valid(self, form):
        scan = form.cleaned_data["scan"]
        response = await super().aform_valid(form)
        response["X-Kind"] = type(getattr(scan, "file", scan)).__name__
        response["X-Scan"] = str(self.object.scan)
        return response


class UploadTests(LibraryTestCase):
    """FILE_UPLOAD_MAX_MEMORY_SIZE decides between memory and a temporary file."""

    async def upload(self, views, size, **changes):
        data = self.posted(scan=sized(size), **changes)
        return await self.assertSame(views, Sent("post", data))

    def views(self, name="CreateView"):
        return variants(name, Kind, AsyncKind, model=Book, form_class=BookForm)

    async def test_in_memory(self):
        outcome = await self.upload(self.views(), 2560)
        self.assertEqual(outcome.headers["X-Kind"], "BytesIO")
        self.assertEqual(outcome.files, {"scans/scan.bin": bytes(range(256)) * 10})

    async def test_larger_than_memory_may_hold(self):
        size = 3 * 2**20
        self.assertGreater(size, settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
        outcome = await self.upload(self.views(), size)
        self.assertIn("TemporaryFile", outcome.headers["X-Kind"])
        self.assertEqual(len(outcome.files["scans/scan.bin"]), size)
        self.assertEqual(outcome.of(Book)[-1]["scan"], "scans/scan.bin")

    @override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=1000)
    async def test_with_an_invalid_form(self):
        outcome = await self.upload(self.views(), 2560, isbn=self.lent.isbn)
        self.assertEqual((outcome.status, outcome.files), (200, {}))

    @override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=1000)
    async def test_update(self):
        for size in (256, 2560):
            data = self.posted(scan=sized(size))
            sent = Sent("post", data, pk=self.book.pk)
            outcome = await self.assertSame(self.views("UpdateView"), sent)
            self.assertEqual(len(outcome.files["scans/scan.bin"]), size)
        # Kept without an upload, gone when asked, and not both.
        await Book.objects.filter(pk=self.book.pk).aupdate(scan="scans/old.bin")
        views = updating()
        outcome = await self.assertSame(
            views, Sent("post", self.posted(), pk=self.book.pk)
        )
        self.assertEqual(outcome.of(Book)[0]["scan"], "scans/old.bin")
        cleared = self.posted(**{"scan-clear": "on"})
        outcome = await self.assertSame(views, Sent("post", cleared, pk=self.book.pk))
        self.assertEqual(outcome.of(Book)[0]["scan"], "")
        sent = Sent("post", cleared | {"scan": sized(2560)}, pk=self.book.pk)
        outcome = await self.assertSame(views, sent)
        self.assertIn("not both", outcome.content)

    async def test_upload_handlers_of_the_views_own(self):
        class Handled:
            def dispatch(self, request, *args, **kwargs):
                handler = TemporaryFileUploadHandler(request)
                request.upload_handlers.insert(0, handler)
                return super().dispatch(request, *args, **kwargs)

        views = variants(
            "CreateView",
            type("Both", (Handled, Kind), {}),
            type("AsyncBoth", (Handled, AsyncKind), {}),
            model=Book,
            form_class=BookForm,
        )
        outcome = await self.upload(views, 2560)
        self.assertIn("TemporaryFile", outcome.headers["X-Kind"])


class BodyTests(LibraryTestCase):
    """A request's body is a stream that may block: it is read off the loop."""

    def request(self, stream):
        body = encode_multipart(BOUNDARY, self.posted(scan=sized(2560)))
        stream.seek(0)
        stream.write(body)
        stream.seek(0)
        environ = RequestFactory().post("/").environ
        environ |= {"CONTENT_LENGTH": len(body), "wsgi.input": stream}
        return WSGIRequest(environ)

    async def test_read_in_a_worker(self):
        class Watched(io.BytesIO):
            def read(self, *args):
                readers.append(threading.current_thread())
                return super().read(*args)

        for amixin in (None, *ASYNC_OVERRIDES):
            if amixin is Overrides.AsyncPost:
                # Reads the body itself, where it is.
                continue
            with self.subTest(amixin=amixin):
                view = variants(
                    "CreateView", None, amixin, model=Book, form_class=BookForm
                )[-1].as_view()
                readers = []
                async with rolled_back():
                    response = await view(self.request(Watched()))
                self.assertIn(response.status_code, (200, 302))
                self.assertTrue(readers)
                self.assertNotIn(threading.current_thread(), readers)

    async def test_cut_short(self):
        """The client is gone before all was sent."""

        class Cut(io.BytesIO):
            def read(self, *args):
                if self.tell():
                    raise OSError("connection reset")
                return super().read(100)

        django, ours, lifted = variants(
            "CreateView",
            Overrides.GetSuccessUrl,
            Overrides.AsyncGetSuccessUrl,
            model=Book,
            form_class=BookForm,
        )
        with self.assertRaises(UnreadablePostError):
            await sync_to_async(django.as_view())(self.request(Cut()))
        for view in (ours, lifted):
            with self.assertRaises(UnreadablePostError):
                await view.as_view()(self.request(Cut()))
        self.assertEqual(await Book.objects.acount(), 3)


class CommitTests(LibraryTestCase):
    """Patterns of projects around the save."""

    async def saved(self, mixin, amixin, **attributes):
        attributes = {"form_class": BookForm, **attributes}
        outcome = await self.assertSame(
            variants("CreateView", mixin, amixin, model=Book, **attributes),
            Sent("post", self.posted()),
        )
        made = outcome.of(Book)[-1]
        self.assertEqual(outcome.headers["Location"], f"/books/{made['id']}/")
        return outcome, made

    async def test_commit_false(self):
        class Owned:
            def form_valid(self, form):
                self.object = form.save(commit=False)
                self.object.author = Author.objects.get(slug="ada")
                self.object.save()
                form.save_m2m()
                return HttpResponseRedirect(self.get_success_url())

        class AsyncOwned:
            async def aform_valid(self, form):
                self.object = form.save(commit=False)
                self.object.author = await Author.objects.aget(slug="ada")
                await self.object.asave()
                await sync_to_async(form.save_m2m)()
                return HttpResponseRedirect(await self.aget_success_url())

        outcome, made = await self.saved(Owned, AsyncOwned)
        self.assertEqual(made["author_id"], self.ada.pk)
        self.assertEqual(len(self.tags_of(outcome, made["id"])), 2)

    async def test_commit_false_and_forgotten_many_to_many(self):
        class Forgot:
            def form_valid(self, form):
                self.object = form.save(commit=False)
                self.object.save()
                return super(ModelFormMixin, self).form_valid(form)

        class AsyncForgot:
            async def aform_valid(self, form):
                self.object = form.save(commit=False)
                await self.object.asave()
                return await super(AsyncModelFormMixin, self).aform_valid(form)

        outcome, made = await self.saved(Forgot, AsyncForgot)
        self.assertEqual(self.tags_of(outcome, made["id"]), [])

    async def test_written_to_the_instance(self):
        class Owned:
            def form_valid(self, form):
                form.instance.author = Author.objects.get(slug="ada")
                return super().form_valid(form)

        class AsyncOwned:
            async def aform_valid(self, form):
                form.instance.author = await Author.objects.aget(slug="ada")
                return await super().aform_valid(form)

        _, made = await self.saved(Owned, AsyncOwned)
        self.assertEqual(made["author_id"], self.ada.pk)

    async def test_in_a_transaction_that_fails(self):
        """The row is gone with the transaction, and the form says why."""

        class Checked:
            def form_valid(self, form):
                try:
                    with transaction.atomic():
                        super().form_valid(form)
                        Tag.objects.create(name="art")
                except IntegrityError:
                    form.add_error(None, f"not {self.object}")
                return self.form_invalid(form)

        class AsyncChecked:
            # A transaction has to begin and end in one hop.
            async def aform_valid(self, form):
                try:
                    await sync_to_async(self.save_with_tag)(form)
                except IntegrityError:
                    form.add_error(None, f"not {self.object}")
                return await self.aform_invalid(form)

            def save_with_tag(self, form):
                with transaction.atomic():
                    self.object = form.save()
                    Tag.objects.create(name="art")

        outcome = await self.assertSame(
            variants(
                "CreateView", Checked, AsyncChecked, model=Book, form_class=BookForm
            ),
            Sent("post", self.posted()),
        )
        self.assertIn("not Waves", outcome.content)
        self.assertEqual(len(outcome.of(Book)), 3)

    async def test_a_form_that_queries_wherever_it_can(self):
        class Curious(BookForm):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.fields["title"].help_text = f"like {Book.objects.first()}"

            def clean(self):
                if Book.objects.filter(title=self.cleaned_data.get("title")).exists():
                    self.add_error("title", "have it")
                return super().clean()

            def save(self, commit=True):
                saved = super().save(commit)
                Tag.objects.create(name=f"of {Book.objects.count()}")
                return saved

        for amixin in (None, *ASYNC_OVERRIDES):
            mixin = amixin and getattr(Overrides, amixin.__name__.removeprefix("Async"))
            with self.subTest(amixin=amixin):
                views = variants(
                    "CreateView", mixin, amixin, model=Book, form_class=Curious
                )
                await self.assertSame(views, Sent("post", self.posted()))
                await self.assertSame(views, Sent("post", self.posted(title="tides")))

    async def test_get_absolute_url_that_queries(self):
        def get_absolute_url(self):
            return f"/by/{Author.objects.get(pk=self.author_id).slug}/"

        with mock.patch.object(Book, "get_absolute_url", get_absolute_url):
            outcome = await self.assertSame(
                variants(
                    "CreateView",
                    Overrides.GetSuccessUrl,
                    Overrides.AsyncGetSuccessUrl,
                    model=Book,
                    form_class=BookForm,
                ),
                Sent("post", self.posted()),
            )
        self.assertEqual(outcome.headers["Location"], "/by/ben/?of=4")


class FormsetTests(LibraryTestCase):
    async def test_a_formset_in_a_forms_place(self):
        formset = forms.formset_factory(LoanForm, extra=2)
        views = variants(
            "FormView",
            form_class=formset,
            template_name="app/form.html",
            success_url="/",
        )
        outcome = await self.assertSame(views, Sent())
        self.assertIn('name="form-1-reader"', outcome.content)
        data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 0, "form-0-reader": "Di"}
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.status, 200)
        data["form-0-author"] = self.ada.pk
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.status, 302)

    async def test_a_formset_of_a_model(self):
        formset = forms.modelformset_factory(Tag, fields=["name"], extra=1)

        class Saved:
            def form_valid(self, form):
                form.save()
                return super().form_valid(form)

        class AsyncSaved:
            async def aform_valid(self, form):
                await sync_to_async(form.save)()
                return await super().aform_valid(form)

        views = variants(
            "FormView",
            Saved,
            AsyncSaved,
            form_class=formset,
            template_name="app/form.html",
            success_url="/",
        )
        data = {
            "form-TOTAL_FORMS": 2,
            "form-INITIAL_FORMS": 1,
            "form-0-id": self.tags[0].pk,
            "form-0-name": "arts",
            "form-1-name": "new",
        }
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.status, 302)
        names = [row["name"] for row in outcome.of(Tag)]
        self.assertEqual(names, ["arts", "law", "sea", "new"])


class DetectionTests(LibraryTestCase):
    """The rest of this module proves something only while blocking is detected."""

    @pytest.fixture(autouse=True)
    def of_the_test(self, forbid_blocking):
        self.forbid_blocking = forbid_blocking

    async def post(self, mixin):
        view = type("View", (mixin, AsyncCreateView), self.attributes).as_view()
        return await view(RequestFactory().post("/", self.posted()))

    attributes = {"model": Book, "form_class": BookForm, "success_url": "/"}

    async def test_the_orm_on_the_loop(self):
        class Query:
            async def aform_valid(self, form):
                Book.objects.count()

        with self.assertRaises(SynchronousOnlyOperation):
            await self.post(Query)

    async def test_a_save_on_the_loop(self):
        class Save:
            async def aform_valid(self, form):
                form.save()

        with self.assertRaises(SynchronousOnlyOperation):
            await self.post(Save)

    async def test_a_file_on_the_loop(self):
        class File:
            async def aget_success_url(self):
                Path(__file__).read_text()  # noqa: ASYNC240 - caught at it
                return "/"

        with (
            self.assertRaisesMessage(AssertionError, "File.aget_success_url, tests"),
            forbid_blocking(),
        ):
            await self.post(File)
        # Not once more.
        self.forbid_blocking.allow("*:File.aget_success_url")


class Overrides:
    """Pairs of mixins that say the same, sync and async."""

    class GetInitial:
        def get_initial(self):
            return {
                **super().get_initial(),
                "author": Author.objects.get(slug="ben").pk,
            }

    class AsyncGetInitial:
        async def aget_initial(self):
            ben = await Author.objects.aget(slug="ben")
            return {**await super().aget_initial(), "author": ben.pk}

    class GetPrefix:
        def get_prefix(self):
            return f"p{Tag.objects.count()}"

    class AsyncGetPrefix:
        async def aget_prefix(self):
            return f"p{await Tag.objects.acount()}"

    class GetFormKwargs:
        def get_form_kwargs(self):
            kwargs = super().get_form_kwargs()
            return kwargs | {"label_suffix": f" ({Tag.objects.count()}):"}

    class AsyncGetFormKwargs:
        async def aget_form_kwargs(self):
            kwargs = await super().aget_form_kwargs()
            return kwargs | {"label_suffix": f" ({await Tag.objects.acount()}):"}

    class GetFormClass:
        def get_form_class(self):
            first = Author.objects.first().name

            class Renamed(super().get_form_class()):
                prefix = first

            return Renamed

    class AsyncGetFormClass:
        async def aget_form_class(self):
            first = (await Author.objects.afirst()).name

            class Renamed(await super().aget_form_class()):
                prefix = first

            return Renamed

    class GetForm:
        def get_form(self, form_class=None):
            form = super().get_form(form_class)
            form.fields["author"] = forms.ModelChoiceField(
                Author.objects.filter(slug="ben"), initial=Book.objects.count()
            )
            return form

    class AsyncGetForm:
        async def aget_form(self, form_class=None):
            form = await super().aget_form(form_class)
            form.fields["author"] = forms.ModelChoiceField(
                Author.objects.filter(slug="ben"), initial=await Book.objects.acount()
            )
            return form

    class GetObject:
        def get_object(self, queryset=None):
            found = super().get_object(queryset)
            found.title += f" by {found.author}"
            return found

    class AsyncGetObject:
        async def aget_object(self, queryset=None):
            found = await super().aget_object(queryset)
            author = await Author.objects.aget(pk=found.author_id)
            found.title += f" by {author}"
            return found

    class GetQueryset:
        def get_queryset(self):
            ada = Author.objects.get(slug="ada")
            return super().get_queryset().filter(author=ada)

    class AsyncGetQueryset:
        async def aget_queryset(self):
            ada = await Author.objects.aget(slug="ada")
            return (await super().aget_queryset()).filter(author=ada)

    class GetContextData:
        def get_context_data(self, **kwargs):
            kwargs["object"] = f"{Book.objects.count()} books"
            return super().get_context_data(**kwargs)

    class AsyncGetContextData:
        async def aget_context_data(self, **kwargs):
            kwargs["object"] = f"{await Book.objects.acount()} books"
            return await super().aget_context_data(**kwargs)

    class FormValid:
        def form_valid(self, form):
            Tag.objects.create(name=f"before {Book.objects.count()}")
            response = super().form_valid(form)
            Tag.objects.create(name=f"after {Book.objects.count()} {self.object}")
            response["X-Saved"] = str(self.object.pk)
            return response

    class AsyncFormValid:
        async def aform_valid(self, form):
            await Tag.objects.acreate(name=f"before {await Book.objects.acount()}")
            response = await super().aform_valid(form)
            count = await Book.objects.acount()
            await Tag.objects.acreate(name=f"after {count} {self.object}")
            response["X-Saved"] = str(self.object.pk)
            return response

    class FormInvalid:
        def form_invalid(self, form):
            form.add_error(None, f"One of {Book.objects.count()}.")
            response = super().form_invalid(form)
            response.status_code = 422
            return response

    class AsyncFormInvalid:
        async def aform_invalid(self, form):
            form.add_error(None, f"One of {await Book.objects.acount()}.")
            response = await super().aform_invalid(form)
            response.status_code = 422
            return response

    class GetSuccessUrl:
        def get_success_url(self):
            url = super().get_success_url()
            return f"{url}?of={Book.objects.count()}"

    class AsyncGetSuccessUrl:
        async def aget_success_url(self):
            url = await super().aget_success_url()
            return f"{url}?of={await Book.objects.acount()}"

    class GetTemplateNames:
        def get_template_names(self):
            return ["app/form.html"][: Tag.objects.count()]

    class AsyncGetTemplateNames:
        async def aget_template_names(self):
            return ["app/form.html"][: await Tag.objects.acount()]

    class RenderToResponse:
        def render_to_response(self, context, **kwargs):
            kwargs.setdefault("headers", {"X-Books": Book.objects.count()})
            return super().render_to_response(context, **kwargs)

    class AsyncRenderToResponse:
        async def arender_to_response(self, context, **kwargs):
            kwargs.setdefault("headers", {"X-Books": await Book.objects.acount()})
            return await super().arender_to_response(context, **kwargs)

    class Get:
        def get(self, request, *args, **kwargs):
            response = super().get(request, *args, **kwargs)
            response["X-Books"] = Book.objects.count()
            return response

    class AsyncGet:
        async def get(self, request, *args, **kwargs):
            response = await super().get(request, *args, **kwargs)
            response["X-Books"] = await Book.objects.acount()
            return response

    class Post:
        def post(self, request, *args, **kwargs):
            if Book.objects.filter(isbn=request.POST.get("isbn")).exists():
                return HttpResponse("have it", status=409)
            return super().post(request, *args, **kwargs)

    class AsyncPost:
        async def post(self, request, *args, **kwargs):
            isbn = request.POST.get("isbn")
            if await Book.objects.filter(isbn=isbn).aexists():
                return HttpResponse("have it", status=409)
            return await super().post(request, *args, **kwargs)

    class Dispatch:
        def dispatch(self, request, *args, **kwargs):
            response = super().dispatch(request, *args, **kwargs)
            response["X-Books"] = Book.objects.count()
            return response

    class AsyncDispatch:
        async def dispatch(self, request, *args, **kwargs):
            response = await super().dispatch(request, *args, **kwargs)
            response["X-Books"] = await Book.objects.acount()
            return response


PAIRS = [name for name in vars(Overrides) if hasattr(Overrides, f"Async{name}")]
ASYNC_OVERRIDES = [getattr(Overrides, f"Async{name}") for name in PAIRS]
# What they change is nothing that the view asks for.
NO_MATTER = {
    "CreateView": {"GetObject", "GetQueryset"},
    "UpdateView": set(),
    "DeleteView": {"GetInitial"},
}


@pytest.mark.generated
class OverrideTests(LibraryTestCase):
    """Each hook of the pipeline, overridden in both colours, on each view."""

    async def try_each(self, name, requests, **attributes):
        attributes["template_name"] = "app/brief.html"
        plain, _ = variants(name, **attributes)
        without = [await self.ask(plain, sent, asynchronous=False) for sent in requests]
        for pair in PAIRS:
            with self.subTest(pair):
                views = variants(
                    name,
                    getattr(Overrides, pair),
                    getattr(Overrides, f"Async{pair}"),
                    **attributes,
                )
                outcomes = [await self.assertSame(views, sent) for sent in requests]
                # An override that changes nothing would prove nothing.
                self.assertEqual(outcomes != without, pair not in NO_MATTER[name])

    async def test_create(self):
        await self.try_each(
            "CreateView",
            [
                Sent(),
                Sent("post", self.posted()),
                Sent("post", self.posted(isbn=self.lent.isbn)),
            ],
            model=Book,
            form_class=BookForm,
        )

    async def test_update(self):
        await self.try_each(
            "UpdateView",
            [
                Sent(pk=self.book.pk),
                Sent(pk=self.lent.pk),
                Sent("post", self.posted(), pk=self.book.pk),
                Sent("post", self.posted(isbn=self.lent.isbn), pk=self.book.pk),
            ],
            model=Book,
            form_class=BookForm,
        )

    async def test_delete(self):
        await self.try_each(
            "DeleteView",
            [
                Sent(pk=self.book.pk),
                Sent(pk=self.lent.pk),
                Sent("post", {"sure": "on", "isbn": "111"}, pk=self.book.pk),
                Sent("post", {}, pk=self.book.pk),
                Sent("delete", pk=self.book.pk),
            ],
            model=Book,
            form_class=ConfirmForm,
            success_url="/{title}/",
        )


class DoubleSubmitTests(ServedTestCase):
    """
    Two requests for the same unique value, both valid before either is saved.

    Django's sync view is in the same race under the same handler.
    """

    def setUp(self):
        self.author = Author.objects.create(name="Ada", slug="ada")
        self.tag = Tag.objects.create(name="art")

    async def race(self, view):
        """Return the statuses, in order, and how often each page was sent."""
        both_valid = threading.Barrier(2, timeout=30)

        class Raced(BookForm):
            def is_valid(self):
                valid = super().is_valid()
                both_valid.wait()
                return valid

        patterns = (
            path("", view.as_view(form_class=Raced)),
            path("", include("tests.app.urls")),
        )
        data = {
            "title": "waves",
            "isbn": "999",
            "author": self.author.pk,
            "tags": [self.tag.pk],
            "published": "2024-02-29",
        }
        with override_settings(ROOT_URLCONF=patterns):
            async with browser() as client:
                answers = await asyncio.gather(
                    *[client.post("/", data=data) for _ in range(2)]
                )
        self.assertEqual(await Book.objects.filter(isbn="999").acount(), 1)
        self.assertEqual(await Book.tags.through.objects.acount(), 1)
        await Book.objects.all().adelete()
        return sorted((answer.status_code, answer.text) for answer in answers)

    async def test_one_wins_and_one_fails(self):
        amixins = [Overrides.AsyncGetFormKwargs, Overrides.AsyncGetSuccessUrl]
        django, *ours = variants("CreateView", model=Book, success_url="/")
        ours += [
            type("View", (amixin, AsyncCreateView), {"model": Book, "success_url": "/"})
            for amixin in amixins
        ]
        expected = await self.race(django)
        self.assertEqual([status for status, _ in expected], [302, 500])
        for view in ours:
            self.assertEqual(await self.race(view), expected)

    async def test_one_wins_and_one_is_told(self):
        """As a project would mend it."""

        class Told:
            def form_valid(self, form):
                try:
                    with transaction.atomic():
                        return super().form_valid(form)
                except IntegrityError:
                    form.add_error("isbn", "Somebody was faster.")
                    return self.form_invalid(form)

        class AsyncTold:
            async def aform_valid(self, form):
                try:
                    return await super().aform_valid(form)
                except IntegrityError:
                    form.add_error("isbn", "Somebody was faster.")
                    return await self.aform_invalid(form)

        django, *ours = variants("CreateView", Told, AsyncTold, model=Book)
        expected = await self.race(django)
        self.assertEqual([status for status, _ in expected], [200, 302])
        self.assertIn("Somebody was faster.", expected[0][1])
        for view in ours:
            got = await self.race(view)
            self.assertEqual(got[0], expected[0])


class ServedUploadTests(ServedTestCase):
    """Through Django's ASGIHandler, which itself writes a large body to a file."""

    @pytest.fixture(autouse=True)
    def let_the_handler_block(self, forbid_blocking):
        forbid_blocking.allow("django.core.handlers.asgi:ASGIHandler.read_body")

    async def test_larger_than_memory_may_hold(self):
        author = await Author.objects.acreate(name="Ada", slug="ada")
        content = bytes(range(256)) * (3 * 2**20 // 256)
        data = {"title": "waves", "author": author.pk, "published": "2024-02-29"}
        expected, *others = [
            await self.upload(view, data | {"isbn": str(number)}, content)
            for number, view in enumerate(
                variants("CreateView", Kind, AsyncKind, model=Book, form_class=BookForm)
            )
        ]
        self.assertEqual(expected[:2], (302, "_TemporaryFileWrapper"))
        self.assertEqual(others, [expected] * 2)

    async def upload(self, view, data, content):
        patterns = (path("", view.as_view()), path("", include("tests.app.urls")))
        with override_settings(ROOT_URLCONF=patterns):
            async with browser() as client:
                answer = await client.post(
                    "/", data=data, files={"scan": ("scan.bin", content, "image/png")}
                )
        book = await Book.objects.aget(isbn=data["isbn"])
        # To get its read() opens the file, too.
        stored = await sync_to_async(operator.methodcaller("read"))(book.scan)
        await sync_to_async(book.scan.delete)()
        return answer.status_code, answer.headers["X-Kind"], stored == content
