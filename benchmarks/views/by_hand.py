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


def list_context(number: str) -> dict[str, Any]:
    """Return what the template of the list needs, for one page of it."""
    books = Book.objects.select_related("author").order_by("-published", "pk")
    paginator = Paginator(books, 20)
    try:
        page = paginator.page(int(number))
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


def detail_context(pk: int) -> dict[str, Any]:
    """Return what the template of the detail page needs."""
    book = get_object_or_404(Book.objects.select_related("author"), pk=pk)
    return {"object": book, "book": book}


_alist_context = sync_to_async(list_context)
_adetail_context = sync_to_async(detail_context)


async def book_list(request: HttpRequest) -> TemplateResponse:
    context = await _alist_context(request.GET.get("page", "1"))
    return TemplateResponse(request, "benchmarks/book_list.html", context)


async def book_detail(request: HttpRequest, pk: int) -> TemplateResponse:
    context = await _adetail_context(pk)
    return TemplateResponse(request, "benchmarks/book_detail.html", context)


async def book_rates(request: HttpRequest) -> TemplateResponse:
    context = await _alist_context(request.GET.get("page", "1"))
    context["rate"] = await aget_rate()
    return TemplateResponse(request, "benchmarks/book_list.html", context)
