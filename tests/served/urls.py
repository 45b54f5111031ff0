"""A page, and one that never comes and says how it ended."""

import asyncio
import sys

from django.http import HttpResponse
from django.urls import path

from django_async_cbv.views import AsyncView


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Page(AsyncView):
    async def get(self, request):
        return HttpResponse("a page")


class Waiting(AsyncView):
    async def get(self, request):
        say("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("cancelled")
            raise


urlpatterns = [path("", Page.as_view()), path("waiting/", Waiting.as_view())]
