"""The pages as this package's views."""

from typing import Any

from benchmarks.models import Book
from benchmarks.upstream import aget_rate
from django_async_cbv.views import AsyncDetailView, AsyncListView

BOOKS = Book.objects.select_related("author")


class BookList(AsyncListView[Book]):
    queryset = BOOKS
    ordering = ["-published", "pk"]
    paginate_by = 20


class BookDetail(AsyncDetailView[Book]):
    queryset = BOOKS


class BookRates(BookList):
    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().aget_context_data(**kwargs)
        context["rate"] = await aget_rate()
        return context


book_list = BookList.as_view()
book_detail = BookDetail.as_view()
book_rates = BookRates.as_view()
