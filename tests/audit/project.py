"""URLs and views of each kind, for the command to look at."""

from __future__ import annotations

import functools
import time

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.views import generic
from django.views.decorators.cache import never_cache

from django_async_cbv.core.threads import run_sync
from django_async_cbv.views import AsyncListView, AsyncTemplateView, AsyncView
from tests.models import Author


class Authors(AsyncListView):
    model = Author

    def get_queryset(self):
        return super().get_queryset().exclude(name="")


class Ordered(AsyncListView):
    model = Author

    async def aget_ordering(self):
        return "name"


class Held(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Held"] = "1"
        return response


class Own(AsyncView):
    async def get(self, request):
        for _ in range(3):
            await Author.objects.acount()
        await run_sync(time.time)
        return HttpResponse()


class Djangos(generic.ListView):
    model = Author


class DjangosAsync(generic.View):
    async def get(self, request):
        return HttpResponse(await Author.objects.acount())


class Rest:
    """As REST framework's as_view() does it: the class is called `cls`."""

    @classmethod
    def as_view(cls):
        def view(request):
            return HttpResponse()

        view.cls = Djangos
        view.initkwargs = {}
        return view


def monthly(request):
    time.sleep(0)
    return HttpResponse()


async def awaited(request):
    return HttpResponse()


def bare(view):
    """A decorator that knows nothing of functools.wraps()."""

    def inner(request, *args, **kwargs):
        return view(request, *args, **kwargs)

    return inner


class Feed:
    def __call__(self, request):
        return HttpResponse()


def page_not_found(request, exception):
    return HttpResponse(status=404)


shop = (
    [
        path("held/", Held.as_view(), name="held"),
        path("ordered/<int:number>/", Ordered.as_view(), name="ordered"),
    ],
    "shop",
)

urlpatterns = [
    path("", Authors.as_view(), name="authors"),
    path("shop/", include(shop)),
    path("own/", Own.as_view()),
    path("login/", login_required(Authors.as_view())),
    path("cached/", never_cache(login_required(Ordered.as_view()))),
    path("bare/", bare(Ordered.as_view())),
    path("partial/", functools.partial(Authors.as_view())),
    path("given/", Authors.as_view(paginate_by=2)),
    path("djangos/", Djangos.as_view()),
    path("djangos-async/", DjangosAsync.as_view()),
    path("rest/", Rest.as_view()),
    path("monthly/", monthly),
    path("awaited/", awaited),
    re_path(r"^years/(?P<year>\d{4})/$", monthly),
    path("feed/", Feed()),
]
handler404 = page_not_found
