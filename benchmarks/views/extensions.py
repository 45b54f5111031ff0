"""The pages as the views of django-async-extensions."""

from typing import Any

from django_async_extensions.views.generic.detail import AsyncDetailView
from django_async_extensions.views.generic.list import AsyncListView

from benchmarks.models import Book
from benchmarks.upstream import aget_rate

BOOKS = Book.objects.select_related("author")


class BookList(AsyncListView):
    queryset = BOOKS
    ordering = ["-published", "pk"]
    paginate_by = 20

    async def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().get_context_data(**kwargs)
        # A template can't await what this page and paginator have to say, so it is
        # given the answers. They cost no query: the paginator has counted already.
        page, paginator = context["page_obj"], context["paginator"]
        context["page_obj"] = answers = {
            "number": page.number,
            "has_previous": await page.ahas_previous(),
            "has_next": await page.ahas_next(),
            "paginator": {
                "num_pages": await paginator.anum_pages(),
                "count": await paginator.acount(),
            },
        }
        if answers["has_previous"]:
            answers["previous_page_number"] = await page.aprevious_page_number()
        if answers["has_next"]:
            answers["next_page_number"] = await page.anext_page_number()
        return context


class BookDetail(AsyncDetailView):
    queryset = BOOKS


class BookRates(BookList):
    async def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().get_context_data(**kwargs)
        context["rate"] = await aget_rate()
        return context


book_list = BookList.as_view()
book_detail = BookDetail.as_view()
book_rates = BookRates.as_view()
