"""Streams for a browser, and the page that reads them."""

import asyncio
import os
from pathlib import Path

from asgiref.sync import markcoroutinefunction
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.gzip import gzip_page

from django_async_cbv.auth.mixins import (
    AsyncLoginRequiredMixin,
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.channels.postgres import PostgresChannel
from django_async_cbv.channels.redis import RedisChannel
from django_async_cbv.views import streaming
from django_async_cbv.views.streaming import (
    AsyncStreamView,
    ChannelView,
    Event,
    ServerSentEventsView,
)
from tests.browser.cases import IDS, ITEMS, STREAMS
from tests.streams.urls import said

PAGE = Path(__file__).with_name("page.html").read_text()

# A browser waits ten seconds after a failure, and up to thirty for a full view. Here it
# waits this many milliseconds, so that a test may wait with it.
streaming._AFTER_FAILURE = AFTER_FAILURE = 300

redis_channel = RedisChannel(os.environ.get("BROWSER_REDIS", "unix:///nowhere"))
postgres_channel = PostgresChannel()


def named_by_a_cookie(get_response):
    """Take the user of a request from a cookie: no test here is about sessions."""

    async def middleware(request):
        name = request.COOKIES.get("user")
        request.user = User(pk=1, username=name) if name else AnonymousUser()
        request.auser = lambda: asyncio.sleep(0, request.user)
        return await get_response(request)

    return markcoroutinefunction(middleware)


named_by_a_cookie.sync_capable, named_by_a_cookie.async_capable = False, True


@ensure_csrf_cookie
async def page(request):
    return HttpResponse(PAGE)


async def login(request):
    said("login page")
    return HttpResponse("Who are you?")


class Stream(AsyncStreamView):
    content_type = "text/event-stream"

    async def stream(self):
        yield STREAMS[self.kwargs["number"]]


class Item(ServerSentEventsView):
    async def events(self):
        yield ITEMS[self.kwargs["number"]]
        yield Event("the last", event="last")

    def encode(self, item):
        return item if isinstance(item, bytes) else super().encode(item)


class Id(ServerSentEventsView):
    """Says which id the browser came with, and gives it one."""

    retry = 1

    async def events(self):
        yield Event([self.last_event_id], id=IDS[self.kwargs["number"]])


class Retry(ServerSentEventsView):
    async def events(self):
        yield Event("", retry=self.kwargs["number"])


class Idle(ServerSentEventsView):
    retry = 50

    async def events(self):
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            said("ended idle")


class Limited(Idle):
    limit = 1


class LimitedPerUser(Idle):
    limit_per_user = 1


class Unavailable(Limited):
    """Answers 503, which is what a browser does not come back from."""

    overload = "503"


class Failing(ServerSentEventsView):
    """Fails as often as it has numbers to send, which the browser resumes."""

    retry = 1

    async def events(self):
        number = int(self.last_event_id or "0") + 1
        yield Event(number, id=str(number))
        if number < 4:
            raise ValueError("on purpose")
        await asyncio.Event().wait()


class Tokens(ServerSentEventsView):
    http_method_names = ["post", "options"]

    async def events(self):
        try:
            yield self.request.POST["prompt"]
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            said("ended tokens")


class Rechecked(AsyncLoginRequiredMixin, Idle):
    """Ends for who has lost the permission, which a second request does."""

    recheck = 0.05
    lost = set()

    async def may_continue(self):
        return self.request.user.username not in self.lost


class LoginRequired(AsyncLoginRequiredMixin, Idle):
    pass


class DjangoLoginRequired(LoginRequiredMixin, Idle):
    pass


class PermissionRequired(AsyncPermissionRequiredMixin, Idle):
    permission_required = "auth.view_user"


class UserPassesTest(AsyncUserPassesTestMixin, Idle):
    async def atest_func(self):
        return self.request.user.is_authenticated


@method_decorator(login_required, name="dispatch")
class DispatchDecorated(Idle):
    pass


async def lose(request):
    Rechecked.lost.add(request.user.username)
    return HttpResponse("lost")


class Redis(ChannelView):
    channel = redis_channel
    topics = ["numbers"]
    retry = 100


class Postgres(ChannelView):
    channel = postgres_channel
    topics = ["numbers"]
    retry = 100


urlpatterns = [
    path("", page),
    path("login/", login),
    path("stream/<int:number>/", Stream.as_view()),
    path("item/<int:number>/", Item.as_view()),
    path("id/<int:number>/", Id.as_view()),
    path("retry/<int:number>/", Retry.as_view()),
    path("idle/", Idle.as_view()),
    path("zipped/", gzip_page(Idle.as_view())),
    path("limited/", Limited.as_view()),
    path("limited-per-user/", LimitedPerUser.as_view()),
    path("unavailable/", Unavailable.as_view()),
    path("failing/", Failing.as_view()),
    path("tokens/", Tokens.as_view()),
    path("lose/", lose),
    path("rechecked/", Rechecked.as_view()),
    path("private/mixin/", LoginRequired.as_view()),
    path("private/django-mixin/", DjangoLoginRequired.as_view()),
    path("private/permission/", PermissionRequired.as_view()),
    path("private/test/", UserPassesTest.as_view()),
    path("private/dispatch/", DispatchDecorated.as_view()),
    path("private/decorator/", login_required(Idle.as_view())),
    path("redis/", Redis.as_view()),
    path("postgres/", Postgres.as_view()),
]
