"""The pages as Django's own generic views, which are sync."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.generic import CreateView, DetailView, ListView

from benchmarks.forms import ReviewForm
from benchmarks.models import Book, Review
from benchmarks.upstream import call, get_rate

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


class ReviewCreate(CreateView):
    model = Review
    form_class = ReviewForm
    success_url = "/"


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello.")


def calls(request: HttpRequest) -> HttpResponse:
    # One after the other: this is what sync code does.
    return HttpResponse(f"{call()} {call()}")


def book_price(request: HttpRequest, pk: int) -> HttpResponse:
    book = Book.objects.get(pk=pk)
    return HttpResponse(f"{book.price} {call()}")


class BookOffer(DetailView):
    model = Book
    template_name = "benchmarks/book_detail.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["rate"] = call()
        return context


book_list = BookList.as_view()
book_detail = BookDetail.as_view()
book_rates = BookRates.as_view()
review_create = ReviewCreate.as_view()
book_offer = BookOffer.as_view()
