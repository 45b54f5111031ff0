"""The pages as Django's own generic views, which are sync."""

from typing import Any

from django.views.generic import DetailView, ListView

from benchmarks.models import Book
from benchmarks.upstream import get_rate

BOOKS = Book.objects.select_related("author")


class BookList(ListView):
    queryset = BOOKS
    ordering = ["-published", "pk"]
    paginate_by = 20


class BookDetail(DetailView):
    queryset = BOOKS


class BookRates(BookList):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["rate"] = get_rate()
        return context


book_list = BookList.as_view()
book_detail = BookDetail.as_view()
book_rates = BookRates.as_view()
