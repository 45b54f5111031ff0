"""The pages as async views written by hand, in the best way that plain Django has.

Query and context are made in one hop, by a function that is wrapped once, at import.
The response is a `TemplateResponse`, which Django's handler renders in a thread, as it
does for every view that is compared. The context holds what a generic view's holds,
except the view.
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.core.paginator import InvalidPage, Paginator
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from benchmarks.models import Book
from benchmarks.upstream import aget_rate


@sync_to_async
def _list_context(request: HttpRequest) -> dict[str, Any]:
    books = Book.objects.select_related("author").order_by("-published", "pk")
    paginator = Paginator(books, 20)
    try:
        page = paginator.page(int(request.GET.get("page", "1")))
    except (ValueError, InvalidPage) as error:
        raise Http404(str(error)) from error
    # The rows are fetched here, while a thread is at hand.
    page.object_list = list(page.object_list)
    return {
        "paginator": paginator,
        "page_obj": page,
        "is_paginated": page.has_other_pages(),
        "object_list": page.object_list,
        "book_list": page.object_list,
    }


@sync_to_async
def _detail_context(pk: int) -> dict[str, Any]:
    book = get_object_or_404(Book.objects.select_related("author"), pk=pk)
    return {"object": book, "book": book}


async def book_list(request: HttpRequest) -> TemplateResponse:
    context = await _list_context(request)
    return TemplateResponse(request, "benchmarks/book_list.html", context)


async def book_detail(request: HttpRequest, pk: int) -> TemplateResponse:
    context = await _detail_context(pk)
    return TemplateResponse(request, "benchmarks/book_detail.html", context)


async def book_rates(request: HttpRequest) -> TemplateResponse:
    context = await _list_context(request)
    context["rate"] = await aget_rate()
    return TemplateResponse(request, "benchmarks/book_list.html", context)
