"""The pages as this package's views."""

import asyncio
from typing import Any

from django.http import HttpRequest, HttpResponse

from benchmarks.forms import ReviewForm
from benchmarks.models import Book, Review
from benchmarks.upstream import acall, aget_rate
from django_async_cbv.views import AsyncCreateView, AsyncDetailView, AsyncListView

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


class ReviewCreate(AsyncCreateView[Review, ReviewForm]):
    model = Review
    form_class = ReviewForm
    success_url = "/"


async def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello.")


async def calls(request: HttpRequest) -> HttpResponse:
    answers = await asyncio.gather(acall(), acall())
    return HttpResponse(" ".join(answers))


async def book_price(request: HttpRequest, pk: int) -> HttpResponse:
    book = await Book.objects.aget(pk=pk)
    return HttpResponse(f"{book.price} {await acall()}")


class BookOffer(AsyncDetailView[Book]):
    model = Book
    template_name = "benchmarks/book_detail.html"

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().aget_context_data(**kwargs)
        context["rate"] = await acall()
        return context


class BookOfferRelated(BookOffer):
    """The same, with a queryset that makes objects of two models."""

    queryset = BOOKS


class BookOfferByHook(BookOffer):
    """The same, with a sync hook that is not Django's."""

    def get_queryset(self) -> Any:
        return super().get_queryset()


book_list = BookList.as_view()
book_detail = BookDetail.as_view()
book_rates = BookRates.as_view()
review_create = ReviewCreate.as_view()
book_offer = BookOffer.as_view()
book_offer_related = BookOfferRelated.as_view()
book_offer_by_hook = BookOfferByHook.as_view()
