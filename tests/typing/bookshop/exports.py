"""Exports, as users of the package write them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils.translation import gettext_lazy as _

from django_async_cbv.auth.mixins import AsyncPermissionRequiredMixin
from django_async_cbv.views.exports import CSVView, NDJSONView
from tests.typing.bookshop.models import Book


class BookCSV(AsyncPermissionRequiredMixin, CSVView[Book]):
    model = Book
    fields = ["id", "title", ("author__name", "Author"), ("published", _("Date"))]
    filename = "books.csv"
    dialect = "excel-tab"
    batch_size = 500
    permission_required = "bookshop.view_book"

    def get_queryset(self) -> QuerySet[Book]:
        return super().get_queryset().filter(title__gt="A")

    async def prepare(self) -> HttpResponseBase | None:
        self.filename = f"{self.kwargs['year']}.csv"
        return await super().prepare()


class Titles(CSVView[Book]):
    queryset = Book.objects.all()
    fields = ("title", "length")

    def get_row(self, obj: Book) -> Sequence[Any]:
        return [obj.title, len(obj.title)]


class BookNDJSON(NDJSONView[Book]):
    model = Book
    fields = ["id", "title"]

    async def aget_queryset(self) -> QuerySet[Book]:
        return (await super().aget_queryset()).order_by("pk")

    async def aget_rows(self) -> Any:
        return await super().aget_rows()


class Numbers(NDJSONView[Any]):
    async def aget_rows(self) -> Iterable[int]:
        return range(9)


class Later(NDJSONView[Any]):
    fields = ["number"]

    async def aget_rows(self) -> AsyncIterator[list[int]]:
        async def rows() -> AsyncIterator[list[int]]:
            yield [1]

        return rows()


views = [view.as_view() for view in (BookCSV, Titles, BookNDJSON, Numbers, Later)]
views.append(BookCSV.as_view(snapshot=True, bom=True))
