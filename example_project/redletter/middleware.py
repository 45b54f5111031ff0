"""A page for "405 Method Not Allowed", which Django itself leaves blank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils.decorators import sync_and_async_middleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


def _page(request: HttpRequest, response: HttpResponseNotAllowed) -> HttpResponse:
    """The site's page for `response`, with its status and its Allow header."""
    allowed = response.headers["Allow"]
    page = render(
        request, "405.html", {"allowed": allowed}, status=response.status_code
    )
    page.headers["Allow"] = allowed
    return page


@sync_and_async_middleware
def method_not_allowed_page(
    get_response: Callable[
        [HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]
    ],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    """Give an empty 405 response a body; async under ASGI, so nothing hops for it."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            if isinstance(response, HttpResponseNotAllowed) and not response.content:
                return await sync_to_async(_page)(request, response)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            return _page(request, response)
        return response  # type: ignore[return-value]

    return middleware
