"""A stream for who is logged in, which queries before it begins and while it runs."""

import asyncio
import threading

from django.contrib.auth.models import User
from django.db.transaction import non_atomic_requests
from django.http import HttpResponse
from django.urls import path

from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
from django_async_cbv.views.streaming import ServerSentEventsView
from tests.streams.urls import ping, said

# Whose turn it is. On Django's handler each that queries has a connection of its own.
turns = asyncio.Semaphore(0)


class Members(AsyncLoginRequiredMixin, ServerSentEventsView):
    async def prepare(self):
        self.count = await User.objects.acount()

    async def events(self):
        try:
            yield f"{self.count} users"
            await turns.acquire()
            yield f"{await User.objects.acount()} users again"
            await asyncio.Event().wait()
        finally:
            said("ended")


async def query(request):
    """Have some streams query."""
    for _ in range(int(request.GET["streams"])):
        turns.release()
    return HttpResponse("asked")


async def threads(request):
    return HttpResponse(f"{threading.active_count()} threads")


# Django refuses others that are async, with ATOMIC_REQUESTS.
ping, query, threads = map(non_atomic_requests, (ping, query, threads))
urlpatterns = [
    path("", ping),
    path("members/", Members.as_view()),
    path("query/", query),
    path("threads/", threads),
]
