"""Pages that make as many hops as they are told, and say how many were counted."""

import asyncio
import time

from asgiref.sync import iscoroutinefunction
from debug_toolbar.toolbar import debug_toolbar_urls
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import sync_and_async_middleware

from django_async_cbv.sync import run_sync
from django_async_cbv.testing import count_hops
from tests.browser.panel_settings import TOGETHER

NONCE = "a-nonce"
POLICY = (
    f"default-src 'none'; img-src 'self'; connect-src 'self'; "
    f"style-src 'nonce-{NONCE}'; script-src 'nonce-{NONCE}' 'strict-dynamic'"
)
# The requests that are here, of those that are made at once.
_inside = []


@sync_and_async_middleware
def strict_policy(get_response):
    def begun(request):
        request.csp_nonce = NONCE

    def ended(response):
        response["Content-Security-Policy"] = POLICY
        return response

    if iscoroutinefunction(get_response):

        async def middleware(request):
            begun(request)
            return ended(await get_response(request))

    else:

        def middleware(request):
            begun(request)
            return ended(get_response(request))

    return middleware


@sync_and_async_middleware
def counting(get_response):
    """Count what comes after it, where the panel records as well."""

    def ended(response, hops):
        response["X-Hops"] = str(hops.count)
        return response

    if iscoroutinefunction(get_response):

        async def middleware(request):
            with count_hops() as hops:
                response = await get_response(request)
            return ended(response, hops)

    else:

        def middleware(request):
            with count_hops() as hops:
                response = get_response(request)
            return ended(response, hops)

    return middleware


def page(text):
    return HttpResponse(f"<!doctype html><html><body>{text}</body></html>")


def work():
    time.sleep(0.002)


async def several(request, number):
    for _ in range(number):
        await run_sync(work)
    return page("several")


async def together(request, number):
    """Begin when as many requests are here as the test makes at once."""
    _inside.append(number)
    while len(_inside) < TOGETHER:  # noqa: ASYNC110 - some are in other threads
        await asyncio.sleep(0.01)
    return await several(request, number)


def together_in_sync(request):
    _inside.append(0)
    while len(_inside) < TOGETHER:
        time.sleep(0.01)
    return page("sync")


async def blocks(request):
    time.sleep(0.4)  # noqa: ASYNC251
    return await several(request, 1)


urlpatterns = [
    path("blocks/", blocks),
    path("several/<int:number>/", several),
    path("together/<int:number>/", together),
    path("together/", together_in_sync),
    path("", lambda request: page("sync")),
    *debug_toolbar_urls(),
    *staticfiles_urlpatterns(),
]
