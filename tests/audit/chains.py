"""Middleware of each kind, and random chains of them."""

from __future__ import annotations

import itertools

from asgiref.sync import iscoroutinefunction
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import (
    async_only_middleware,
    sync_and_async_middleware,
    sync_only_middleware,
)
from django.utils.deprecation import MiddlewareMixin

DJANGOS = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
]
METHODS = {
    "process_request": lambda self, request: None,
    "process_response": lambda self, request, response: response,
    "process_view": lambda self, request, view, args, kwargs: None,
    "process_exception": lambda self, request, error: None,
    "process_template_response": lambda self, request, response: response,
}
THEIRS = []


def named(middleware, name):
    middleware.__name__ = middleware.__qualname__ = name
    middleware.__module__ = __name__
    globals()[name] = middleware
    THEIRS.append(f"{__name__}.{name}")


def mixed(methods, **attributes):
    return type("Mixed", (MiddlewareMixin,), {**methods, **attributes})


for _count in (1, 2, 5):
    for _number, _names in enumerate(itertools.combinations(METHODS, _count)):
        _methods = {name: METHODS[name] for name in _names}
        named(mixed(_methods), f"Both{_count}_{_number}")
named(mixed(METHODS, async_capable=False), "SyncOnlyMixin")
named(mixed(METHODS, sync_capable=False), "AsyncOnlyMixin")


class _Own:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)


named(type("Own", (_Own,), {}), "OwnSync")
named(
    type("Own", (_Own,), {name: METHODS[name] for name in [*METHODS][2:]}),
    "OwnSyncWithMethods",
)


async def _process_view(self, request, view, args, kwargs):
    return None


async def _process_template_response(self, request, response):
    return response


named(
    mixed(
        {
            "process_view": _process_view,
            "process_template_response": _process_template_response,
        }
    ),
    "BothWithAsyncMethods",
)


def _sync_function(get_response):
    def called(request):
        return get_response(request)

    return called


def _own_function(get_response):
    return _sync_function(get_response)


def _async_function(get_response):
    async def called(request):
        return await get_response(request)

    return called


def _both(get_response):
    made = _async_function if iscoroutinefunction(get_response) else _sync_function
    return made(get_response)


named(sync_only_middleware(_sync_function), "sync_function")
named(async_only_middleware(_async_function), "async_function")
named(sync_and_async_middleware(_both), "both_function")
named(_own_function, "plain_function")


async def awaited(request):
    return HttpResponse("awaited")


def plain(request):
    return HttpResponse("plain")


async def rendered(request):
    return TemplateResponse(request, engines["django"].from_string("rendered"))


urlpatterns = [
    path("awaited/", awaited),
    path("plain/", plain),
    path("rendered/", rendered),
]


def chain(random):
    """Up to eight of them, Django's session before what needs it."""
    found = random.sample([*DJANGOS, *THEIRS, *THEIRS[-9:]], random.randint(0, 8))
    if any("auth" in one or "messages" in one for one in found):
        session = DJANGOS[1]
        found = [session, *(one for one in found if one != session)]
    return found
