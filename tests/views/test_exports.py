"""Exports: what is in the file, in how many hops, and how it ends."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, date, datetime
from email.message import Message
from unittest import mock

from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import (
    FieldError,
    ImproperlyConfigured,
    PermissionDenied,
    RequestAborted,
)
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.db.models import F, Value
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.test import (
    AsyncRequestFactory,
    RequestFactory,
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
    override_settings,
)
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.auth.mixins import (
    AsyncLoginRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.sync import run_sync
from django_async_cbv.views import exports
from django_async_cbv.views.exports import CSVView, NDJSONView
from tests.app.models import Article, Author, Book, Tag
from tests.hops import count_hops
from tests.serve.driving import Client

BOOKS = 25
FIELDS = ["id", "title", ("author__name", "Author"), "published", "updated"]


def make_books():
    author = Author.objects.create(name="=Ann", slug="ann")
    tag = Tag.objects.create(name="old")
    for number in range(BOOKS):
        book = Book.objects.create(
            title=f"{'=' if number % 5 == 0 else ''}Book {number}",
            isbn=f"{number:013}",
            author=author,
            published=date(2026, 1, number + 1),
            updated=datetime(2026, 7, 1, 12, tzinfo=UTC) if number % 2 else None,
        )
        book.tags.add(tag)


class BookCSV(CSVView[Book]):
    model = Book
    ordering = "pk"
    fields = FIELDS
    batch_size = 10


class BookNDJSON(NDJSONView[Book]):
    model = Book
    ordering = "pk"
    fields = FIELDS
    batch_size = 10


def read_csv(body):
    return [*csv.reader(io.StringIO(body.decode(), newline=""))]


def read_ndjson(body):
    return [json.loads(line) for line in body.splitlines()]


def body_of(response):
    return b"".join(response.streaming_content)


async def abody_of(response):
    return b"".join([part async for part in response])


class ExportTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_books()

    async def get(self, view, /, **options):
        """The response of a view, its body, and its hops."""
        request = self.async_request_factory.get("/")
        for name, value in options.pop("on_request", {}).items():
            setattr(request, name, value)
        with count_hops() as hops:
            response = await view.as_view(**options)(request)
            body = await abody_of(response) if response.streaming else response.content
        return response, body, hops.count

    @property
    def async_request_factory(self):
        return AsyncRequestFactory()

    def get_sync(self, view, **options):
        response = async_to_sync(view.as_view(**options))(RequestFactory().get("/"))
        return response, body_of(response)


class TestFiles(ExportTestCase):
    def expected(self):
        return [
            [
                str(book.pk),
                f"'{book.title}" if book.title.startswith("=") else book.title,
                "'=Ann",
                book.published.isoformat(),
                book.updated.isoformat() if book.updated else "",
            ]
            for book in Book.objects.order_by("pk").iterator()
        ]

    async def test_csv(self):
        response, body, hops = await self.get(BookCSV)
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "Content-Disposition" not in response.headers
        assert hops == 3
        expected = await run_sync(self.expected)
        header = ["id", "title", "Author", "published", "updated"]
        assert read_csv(body) == [header, *expected]

    async def test_ndjson(self):
        response, body, hops = await self.get(BookNDJSON)
        assert response.headers["Content-Type"] == "application/x-ndjson"
        assert hops == 3
        rows = read_ndjson(body)
        assert len(rows) == BOOKS
        assert rows[1] == {
            "id": rows[0]["id"] + 1,
            "title": "Book 1",
            "Author": "=Ann",
            "published": "2026-01-02",
            "updated": "2026-07-01T12:00:00Z",
        }

    def test_in_sync_code(self):
        """What WSGI servers and the sync test client get is the same file."""
        for view in (BookCSV, BookNDJSON):
            response, body = self.get_sync(view)
            assert not response.is_async
            assert body == async_to_sync(self.get)(view)[1]
            assert len(body.splitlines()) == BOOKS + (view is BookCSV)

    async def test_a_hop_for_each_batch(self):
        for view in (BookCSV, BookNDJSON):
            for size, hops in ((1, 25), (10, 3), (24, 2), (25, 1), (2000, 1)):
                for options in ({}, {"snapshot": True}, {"ordering": "title"}):
                    _, body, found = await self.get(view, batch_size=size, **options)
                    assert found == hops
                    assert len(body.splitlines()) == BOOKS + (view is BookCSV)

    async def test_no_rows(self):
        for view, expected in (
            (BookCSV, b"id,title,Author,published,updated\r\n"),
            (BookNDJSON, b""),
        ):
            for options in ({}, {"snapshot": True}):
                queryset = Book.objects.none()
                _, body, hops = await self.get(view, queryset=queryset, **options)
                assert (body, hops) == (expected, 1)

    async def test_bom_dialect_and_formulas(self):
        _, body, _ = await self.get(
            BookCSV, bom=True, dialect="excel-tab", escape_formulas=False
        )
        assert body.startswith(b"\xef\xbb\xbfid\ttitle\tAuthor")
        assert body.count(b"\xef\xbb\xbf") == 1
        assert b"\t=Ann\t" in body

    async def test_headers_are_guarded(self):
        _, body, _ = await self.get(BookCSV, fields=[("id", "=1+1"), ("title", "@x")])
        assert read_csv(body)[0] == ["'=1+1", "'@x"]

    def test_the_time_zone_and_language_of_the_view(self):
        """Those of a middleware hold, though it is left before the stream begins."""

        class View(BookCSV):
            fields = ["published", "updated", ("language", gettext_lazy("Monday"))]

            def get_row(self, obj):
                return [obj.published, obj.updated, translation.get_language()]

        for factory, read in (
            (AsyncRequestFactory, async_to_sync(abody_of)),
            (RequestFactory, body_of),
        ):
            with timezone.override("Europe/Berlin"), translation.override("de"):
                response = async_to_sync(View.as_view())(factory().get("/"))
            body = read(response)
            assert b"published,updated,Montag\r\n" in body
            assert b"2026-01-02,2026-07-01T14:00:00+02:00,de\r\n" in body

    async def test_names_that_are_translated(self):
        fields = ["id", ("title", gettext_lazy("Monday"))]
        _, body, _ = await self.get(BookNDJSON, fields=fields)
        assert [*read_ndjson(body)[0]] == ["id", "Monday"]

    async def test_a_queryset_method_of_either_colour(self):
        class Sync(BookCSV):
            def get_queryset(self):
                return super().get_queryset().filter(title="Book 1")

        class Async(BookCSV):
            async def aget_queryset(self):
                return (await super().aget_queryset()).filter(title="Book 1")

        for view, expected in ((Sync, 2), (Async, 1)):
            _, body, hops = await self.get(view)
            assert len(read_csv(body)) == 2
            assert hops == expected

    async def test_a_queryset_class_of_the_projects(self):
        _, body, _ = await self.get(BookCSV, model=Article, fields=["title"])
        assert body == b"title\r\n"

    def test_related_rows_take_no_query_for_each(self):
        with CaptureQueriesContext(connection) as queries:
            self.get_sync(BookCSV, queryset=Book.objects.select_related("author"))
        assert len(queries) == 3


class TestRows(ExportTestCase):
    async def test_get_row(self):
        class Titles(BookCSV):
            fields = ["id", ("title", "Title"), ("tags", "Tags")]
            queryset = Book.objects.prefetch_related("tags")

            def get_row(self, obj):
                # In the worker, so it may query.
                obj.author.refresh_from_db()
                return [obj.pk, obj.title, " ".join(map(str, obj.tags.all()))]

        _, body, hops = await self.get(Titles)
        assert hops == 3
        rows = read_csv(body)
        assert rows[0] == ["id", "Title", "Tags"]
        assert rows[2][1:] == ["Book 1", "old"]

    async def test_super_of_get_row(self):
        class Shouting(BookNDJSON):
            fields = ["title", ("author__name", "by"), ("author__slug", "slug")]

            def get_row(self, obj):
                title, *rest = super().get_row(obj)
                return [title.upper(), *rest]

        _, body, _ = await self.get(Shouting)
        assert read_ndjson(body)[1] == {"title": "BOOK 1", "by": "=Ann", "slug": "ann"}

    async def test_get_row_without_fields(self):
        class Pairs(BookNDJSON):
            fields = None

            def get_row(self, obj):
                return {"title": obj.title, "year": obj.published.year}

        _, body, _ = await self.get(Pairs)
        assert read_ndjson(body)[1] == {"title": "Book 1", "year": 2026}

        class Bare(BookCSV):
            fields = None

            def get_row(self, obj):
                return obj.title, obj.published.year

        _, body, _ = await self.get(Bare)
        assert read_csv(body)[:2] == [["'=Book 0", "2026"], ["Book 1", "2026"]]

    async def test_a_mapping_by_the_names_of_the_fields(self):
        class Pairs:
            def get_row(self, obj):
                return {"year": obj.published.year, "title": obj.title, "more": 1}

        class AsCSV(Pairs, BookCSV):
            fields = ["title", ("year", "Year")]

        class AsNDJSON(Pairs, BookNDJSON):
            fields = ["title", ("year", "Year")]

        assert read_csv((await self.get(AsCSV))[1])[2] == ["Book 1", "2026"]
        rows = read_ndjson((await self.get(AsNDJSON))[1])
        assert rows[1] == {"title": "Book 1", "Year": 2026}

    async def test_iterables(self):
        async def some():
            for number in range(25):
                yield number, "=x"

        async def mappings():
            for number in range(25):
                yield {"b": "=x", "a": number}

        for make in (
            some,
            mappings,
            lambda: [(number, "=x") for number in range(25)],
            lambda: ({"a": number, "b": "=x"} for number in range(25)),
            lambda: Book.objects.order_by("pk").annotate(a=1 * F("pk"), b=Value("=x")),
        ):

            class View(BookCSV):
                fields = ["a", ("b", "B")]

                async def aget_rows(self, make=make):
                    return make()

            _, body, hops = await self.get(View)
            rows = read_csv(body)
            assert hops == 3
            assert rows[0] == ["a", "B"]
            assert [row[1] for row in rows[1:]] == ["'=x"] * 25

    async def test_an_async_generator_method(self):
        class View(BookNDJSON):
            fields = None

            async def aget_rows(self):
                for number in range(3):
                    yield number

        _, body, hops = await self.get(View)
        assert (body, hops) == (b"0\n1\n2\n", 1)

    async def test_objects_of_an_iterable(self):
        class Point:
            def __init__(self, x):
                self.x = x

        class View(BookCSV):
            fields = ["x"]

            async def aget_rows(self):
                return [Point(1), {"x": 2}, [3]]

        assert (await self.get(View))[1] == b"x\r\n1\r\n2\r\n3\r\n"

    async def test_raw(self):
        class View(BookCSV):
            async def aget_rows(self):
                return Book.objects.raw("SELECT * FROM app_book ORDER BY id")

        _, body, _ = await self.get(View, fields=["title"])
        assert read_csv(body)[2] == ["Book 1"]

    async def test_what_is_no_row(self):
        for row, text in (
            (None, "View got None, which is no row"),
            (iter([1, 2]), "which is no row"),
            ({"id": 1}, "View got a row without 'title': {'id': 1}"),
        ):

            class View(BookCSV):
                fields = ["id", "title"]

                def get_row(self, obj, row=row):
                    return row

            with (
                self.assertLogs("django.request", "ERROR") as logs,
                self.assertRaises(RequestAborted),
            ):
                await self.get(View)
            assert text in logs.output[0]

    async def test_what_has_no_cells(self):
        """csv.writer() would write the keys of a mapping, and the letters of a text."""
        for row, text in (
            ({"a": 1}, "View has no fields, and got the mapping {'a': 1}"),
            ("text", "View got 'text', which is no row"),
            (b"bytes", "View got b'bytes', which is no row"),
            (1, "View got 1, which is no row"),
            (iter([1, 2]), "which is no row"),
        ):

            class View(BookCSV):
                fields = None

                async def aget_rows(self, row=row):
                    return [row]

            with (
                self.assertLogs("django.request", "ERROR") as logs,
                self.assertRaises(RequestAborted),
            ):
                await self.get(View)
            assert text in logs.output[0]

    async def test_the_letters_of_a_text_are_no_row(self):
        class View(BookCSV):
            fields = ["a", "b"]

            def get_row(self, obj):
                return "ab"

        with (
            self.assertLogs("django.request", "ERROR") as logs,
            self.assertRaises(RequestAborted),
        ):
            await self.get(View)
        assert "View got 'ab', which is no row" in logs.output[0]

    async def test_a_one_to_one_relation_without_an_object(self):
        class View(BookCSV):
            fields = ["title", "novel__pk"]

        class Objects(View):
            async def aget_rows(self):
                return Book.objects.raw("SELECT * FROM app_book ORDER BY id")

        (_, body, _), (_, same, _) = await self.get(View), await self.get(Objects)
        assert read_csv(body)[2] == ["Book 1", ""]
        assert body == same

    async def test_an_async_iterator_is_closed(self):
        closed = []

        class Rows:
            def __aiter__(self):
                return self

            async def __anext__(self):
                raise ValueError

            async def aclose(self):
                closed.append(self)

        class View(BookNDJSON):
            async def aget_rows(self):
                return Rows()

        with self.assertLogs("django.request", "ERROR"):
            await self.get(View)
        assert len(closed) == 1

    async def test_bytes_are_base64(self):
        class View(BookCSV):
            fields = ["a", "b", "c"]

            async def aget_rows(self):
                return [[b"\x00\xff", bytearray(b"="), memoryview(b"-")]]

        _, body, _ = await self.get(View)
        assert read_csv(body)[1] == ["AP8=", "PQ==", "LQ=="]

    def test_an_async_iterable_needs_the_event_loop(self):
        class View(BookCSV):
            async def aget_rows(self):
                yield 1, 2

        request = RequestFactory().get("/")
        request.environ["wsgi.input"] = io.BytesIO()
        with self.assertRaisesMessage(ImproperlyConfigured, "View cannot stream"):
            async_to_sync(View.as_view())(request)
        # A sync test client gets the response, and says so when it is read.
        response = async_to_sync(View.as_view())(RequestFactory().get("/"))
        with self.assertRaisesMessage(ImproperlyConfigured, "View cannot stream"):
            response.getvalue()


class TestObjects(ExportTestCase):
    """A queryset of objects gives a row for each, whatever columns are exported."""

    async def titles(self, rows, **options):
        class View(BookCSV):
            fields = ["author__name"]

            def get_queryset(self):
                return rows

        _, body, _ = await self.get(View, **options)
        return read_csv(body)[1:]

    async def test_who_are_compared_by_their_values(self):
        """All books have one author, which would be one row."""
        # Until Django 6.0 goes: parts of a union must not be sorted.
        every = Book.objects.order_by()
        books = every.filter(tags__name="old")
        number = await books.acount()
        assert number > 1
        for rows in (
            books.distinct(),
            books.order_by("author__name").distinct(),
            books.union(books),
            books.union(books).order_by("-title", "pk"),
            books.prefetch_related("tags").union(every.filter(pk=0), books),
            every.intersection(books),
            books.difference(every.filter(pk=0)),
        ):
            for snapshot in (False, True):
                found = await self.titles(rows, snapshot=snapshot)
                assert found == [["'=Ann"]] * number, rows.query

    async def test_values_are_compared_as_they_are(self):
        books = Book.objects.order_by()
        for rows in (
            books.values("author__name").distinct(),
            books.values("author__name").union(books.values("author__name")).order_by(),
        ):
            assert await self.titles(rows) == [["'=Ann"]]


class TestBefore(ExportTestCase):
    """What is wrong is said before the headers leave, so that it is an error page."""

    async def test_no_fields(self):
        for view in (BookCSV, BookNDJSON):
            for options in ({}, {"snapshot": True}):
                for fields in (None, [], ()):
                    # An empty list is all columns to values_list().
                    with self.assertRaisesMessage(
                        ImproperlyConfigured, "has no fields"
                    ):
                        await self.get(view, fields=fields, **options)

    async def test_fields_that_are_none(self):
        for view in (BookCSV, BookNDJSON):
            for fields in ("id", [F("id")], [("id", "a", "b")], [("id",)], [1], [None]):
                with self.assertRaisesMessage(
                    ImproperlyConfigured, f"{view.__name__}.fields is {fields!r}"
                ):
                    await self.get(view, fields=fields)

    async def test_two_values_for_one_name(self):
        """An object has one of them; a file of columns has both."""
        fields = ["title", ("pk", "title")]
        with self.assertRaisesMessage(ImproperlyConfigured, "'title' more than once"):
            await self.get(BookNDJSON, fields=fields)
        _, body, _ = await self.get(BookCSV, fields=fields)
        assert read_csv(body)[0] == ["title", "title"]

    async def test_what_has_no_rows(self):
        for given in (None, Book, Book.objects, "text", b"text", {"id": 1}, 5):

            class View(BookCSV):
                async def aget_rows(self, given=given):
                    return given

            with self.assertRaisesMessage(TypeError, "View.aget_rows() returned"):
                await self.get(View)

    async def test_a_sync_aget_rows(self):
        class View(BookCSV):
            def aget_rows(self):
                return [[1]]

        with self.assertRaisesMessage(TypeError, "Write `async def aget_rows()`"):
            await self.get(View)

    async def test_a_lookup_that_is_none(self):
        with self.assertRaisesMessage(FieldError, "Cannot resolve keyword 'colour'"):
            await self.get(BookCSV, fields=["colour"])

    async def test_a_dialect_that_is_none(self):
        with self.assertRaisesMessage(csv.Error, "unknown dialect"):
            await self.get(BookCSV, dialect="exel")

    async def test_a_batch_of_none(self):
        with self.assertRaisesMessage(ImproperlyConfigured, "batch_size is 0"):
            await self.get(BookCSV, batch_size=0)

    async def test_prepare(self):
        class NotFound(BookCSV):
            async def prepare(self):
                raise Http404

        class Elsewhere(BookCSV):
            async def prepare(self):
                return HttpResponseRedirect("/elsewhere/")

        with self.assertRaises(Http404):
            await self.get(NotFound)
        response, _, hops = await self.get(Elsewhere)
        assert (response.status_code, hops) == (302, 0)

    def test_an_async_get_row(self):
        class View(BookCSV):
            async def get_row(self, obj):
                return [1]

        with self.assertRaisesMessage(ImproperlyConfigured, "get_row"):
            View.as_view()

    async def test_head(self):
        with count_hops() as hops:
            view = BookCSV.as_view(filename="a.csv")
            response = await view(self.async_request_factory.head("/"))
            assert await abody_of(response) == b""
        assert hops.count == 0
        assert response.headers["Content-Disposition"] == 'attachment; filename="a.csv"'

    async def test_access(self):
        class OfUsers(AsyncLoginRequiredMixin, BookCSV):
            pass

        class OfSome(AsyncUserPassesTestMixin, BookCSV):
            raise_exception = True

            async def atest_func(self):
                return False

        anonymous = {"user": AnonymousUser()}
        response, _, _ = await self.get(OfUsers, on_request=anonymous)
        assert response.status_code == 302
        user = {"user": User(pk=1)}
        response, body, _ = await self.get(OfUsers, on_request=user)
        assert len(read_csv(body)) == BOOKS + 1
        with self.assertRaises(PermissionDenied):
            await self.get(OfSome, on_request=user)


class TestFilename(SimpleTestCase):
    def disposition(self, name):
        view = BookCSV(filename=name)
        view.request = RequestFactory().get("/")
        return view._with_headers(HttpResponse()).headers["Content-Disposition"]

    def test_names(self):
        for name, expected in (
            ("books.csv", "books.csv"),
            ("my books.csv", "my books.csv"),
            ('a"b\\c.csv', 'a"b_c.csv'),
            ("bücher.csv", "bücher.csv"),
            ("書籍.csv", "書籍.csv"),
            ("a\r\nSet-Cookie: x=1.csv", "a__Set-Cookie: x=1.csv"),
            ("a.csv\n", "a.csv_"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("a\u202evsc.exe", "a_vsc.exe"),
            ("a\ud83d.csv", "a_.csv"),
            ("a\0b.csv", "a_b.csv"),
        ):
            with self.subTest(name=name):
                disposition = self.disposition(name)
                assert "\r" not in disposition
                assert "\n" not in disposition
                message = Message()
                message["Content-Disposition"] = disposition
                assert message.get_content_disposition() == "attachment"
                assert message.get_filename() == expected


class TestFailure(ExportTestCase):
    def failing(self, base):
        class Failing(base):
            def get_row(self, obj):
                if obj.title == "Book 12":
                    raise LookupError("secret")
                return super().get_row(obj)

        return Failing

    async def test_csv_is_cut_off(self):
        with (
            self.assertLogs("django.request", "ERROR") as logs,
            self.assertRaises(RequestAborted),
        ):
            await self.get(self.failing(BookCSV))
        assert len(logs.records) == 1
        assert logs.records[0].request.path == "/"
        assert isinstance(logs.records[0].exc_info[1], LookupError)

    async def test_csv_says_so_where_nobody_sees_a_cut(self):
        with (
            self.assertLogs("django.request", "ERROR"),
            mock.patch.object(exports, "_hides_a_cut", return_value=True),
        ):
            _, body, _ = await self.get(self.failing(BookCSV))
        rows = read_csv(body)
        assert len(rows) == 12
        assert rows[-1] == ["ERROR: The export failed. Rows are missing in this file."]
        assert b"secret" not in body

    async def test_ndjson_says_so(self):
        with self.assertLogs("django.request", "ERROR") as logs:
            _, body, _ = await self.get(self.failing(BookNDJSON))
        rows = read_ndjson(body)
        assert len(rows) == 11
        assert rows[-1] == {
            "error": "The export failed. Rows are missing in this file."
        }
        assert len(logs.records) == 1

    def test_in_sync_code(self):
        with (
            self.assertLogs("django.request", "ERROR") as logs,
            self.assertRaisesMessage(LookupError, "secret"),
        ):
            self.get_sync(self.failing(BookCSV))
        assert len(logs.records) == 1
        with self.assertLogs("django.request", "ERROR"):
            _, body = self.get_sync(self.failing(BookNDJSON))
        assert [*read_ndjson(body)[-1]] == ["error"]

    async def test_a_row_that_lacks_a_value(self):
        class Short(BookNDJSON):
            def get_row(self, obj):
                return [1]

        with self.assertLogs("django.request", "ERROR") as logs:
            await self.get(Short)
        assert "5 fields, and got a row of 1 values" in str(logs.records[0].exc_info[1])

    async def test_the_last_row_is_not_the_last_where_the_view_ends(self):
        """A file that a time-out ends is not to look like a whole one."""
        for view, error in ((BookCSV, RequestAborted), (BookNDJSON, None)):
            response = await view.as_view(batch_size=1, max_duration=-1)(
                self.async_request_factory.get("/")
            )
            if error is None:
                assert b'"error"' in await abody_of(response)
            else:
                with self.assertRaises(error):
                    await abody_of(response)

    async def test_middleware_may_compress_it(self):
        for view in (BookCSV, BookNDJSON):
            response = await view.as_view()(self.async_request_factory.get("/"))
            assert not response.has_header("Content-Encoding")
            response.close()

    def test_which_servers_hide_a_cut(self):
        request = RequestFactory().get("/")
        assert not exports._hides_a_cut(request)
        request.META["SERVER_SOFTWARE"] = "WSGIServer/0.2"
        assert exports._hides_a_cut(request)
        request.META["SERVER_SOFTWARE"] = "gunicorn/27"
        with mock.patch.object(exports, "cuts_off", return_value=False):
            assert exports._hides_a_cut(request)


PATTERNS = (
    path("csv/", BookCSV.as_view()),
    path("snapshot/", BookCSV.as_view(snapshot=True)),
)


@override_settings(ROOT_URLCONF=PATTERNS, MIDDLEWARE=[])
class TestHandlers(TransactionTestCase):
    databases = {"default", "other"}

    def setUp(self):
        make_books()

    def on_each(self, main):
        for make in (ASGIHandler, get_asgi_application):
            with self.subTest(handler=make):
                asyncio.run(main(Client(make())))

    def test_clients(self):
        for name in ("csv", "snapshot"):
            body = body_of(self.client.get(f"/{name}/"))
            assert len(read_csv(body)) == BOOKS + 1

    def test_atomic_requests(self):
        """The transaction of the request has ended when the stream begins."""
        seen = []

        class Looking(BookCSV):
            async def prepare(self):
                seen.append(await run_sync(lambda: connection.in_atomic_block))

            def get_row(self, obj):
                seen.append(connection.in_atomic_block)
                return super().get_row(obj)

        connection.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            with override_settings(ROOT_URLCONF=(path("", Looking.as_view()),)):
                response = async_to_sync(self.async_client.get)("/")
                async_to_sync(abody_of)(response)
        finally:
            connection.settings_dict["ATOMIC_REQUESTS"] = False
        assert seen == [True] + [False] * BOOKS

    def test_another_database(self):
        Tag.objects.using("other").create(name="there")

        class Tags(CSVView[Tag]):
            queryset = Tag.objects.using("other")
            fields = ["name"]

        for options in ({}, {"snapshot": True}):
            with override_settings(ROOT_URLCONF=(path("", Tags.as_view(**options)),)):
                body = body_of(self.client.get("/"))
            assert body == b"name\r\nthere\r\n"

    def test_closed_early_in_sync_code(self):
        response = self.client.get("/snapshot/")
        next(iter(response))
        assert connection.in_atomic_block
        response.close()
        assert not connection.in_atomic_block
