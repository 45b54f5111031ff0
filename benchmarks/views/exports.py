"""A file of all books: ours, the recipe of Django's documentation, one in batches."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, StreamingHttpResponse

from benchmarks.models import Book
from django_async_cbv.views.exports import CSVView, NDJSONView

__all__ = ["FIELDS", "VIEWS"]

FIELDS = ["id", "title", "author__name", "published", "pages", "price"]
BATCH = 2000


class _BookCSV(CSVView[Book]):
    model = Book
    fields = FIELDS


class _BookNDJSON(NDJSONView[Book]):
    model = Book
    fields = FIELDS


class _Echo:
    """As in Django's documentation: gives back what it is to write."""

    def write(self, value: str) -> str:
        return value


def _objects() -> Iterator[list[Any]]:
    books = Book.objects.select_related("author").order_by("pk").iterator()
    for book in books:
        yield [
            *(book.pk, book.title, book.author.name),
            *(book.published, book.pages, book.price),
        ]


def _tuples() -> Iterator[tuple[Any, ...]]:
    return Book.objects.order_by("pk").values_list(*FIELDS).iterator()


def _csv(rows: Iterable[Any]) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(FIELDS)
    for row in rows:
        yield writer.writerow(row)


def _csv_in_batches(rows: Iterable[Any]) -> Iterator[str]:
    for batch in _batches(itertools.chain([FIELDS], rows)):
        written = io.StringIO(newline="")
        csv.writer(written).writerows(batch)
        yield written.getvalue()


def _ndjson(rows: Iterable[Any]) -> Iterator[str]:
    for row in rows:
        line = dict(zip(FIELDS, row, strict=True))
        yield json.dumps(line, cls=DjangoJSONEncoder) + "\n"


def _ndjson_in_batches(rows: Iterable[Any]) -> Iterator[str]:
    for batch in _batches(rows):
        yield "".join(_ndjson(batch))


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    # Python 3.11 has no itertools.batched().
    iterator = iter(rows)
    while batch := [*itertools.islice(iterator, BATCH)]:
        yield batch


def _recipe(encode: Any, rows: Any, kind: str) -> Any:
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(encode(rows()), content_type=kind)

    return view


def _views(ours: Any, by_row: Any, in_batches: Any, kind: str) -> dict[str, Any]:
    return {
        "ours": ours.as_view(),
        "ours_snapshot": ours.as_view(snapshot=True),
        "recipe": _recipe(by_row, _objects, kind),
        "recipe_tuples": _recipe(by_row, _tuples, kind),
        "recipe_batches": _recipe(in_batches, _tuples, kind),
    }


# By format, and by what makes the file.
VIEWS = {
    "csv": _views(_BookCSV, _csv, _csv_in_batches, "text/csv"),
    "ndjson": _views(_BookNDJSON, _ndjson, _ndjson_in_batches, "application/x-ndjson"),
}
