"""Login, logout and pages behind a login: of the async views, and of Django's own."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import mixins, views
from django.db.backends.signals import connection_created
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.views import View
from django.views.generic import TemplateView

from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
from django_async_cbv.auth.views import AsyncLoginView, AsyncLogoutView
from django_async_cbv.views import AsyncTemplateView, AsyncView

HOLD_SECONDS = 30


class Hold:
    """A request that waits in the server until it is released."""

    def __init__(self) -> None:
        self.entered, self.released = asyncio.Event(), asyncio.Event()


# Of the loop alone, as the events are.
holds: defaultdict[str, Hold] = defaultdict(Hold)


async def wait(name):
    holds[name].entered.set()
    await asyncio.wait_for(holds[name].released.wait(), HOLD_SECONDS)


async def until_entered(request, name):
    """Answer as soon as the request of this name waits."""
    await asyncio.wait_for(holds[name].entered.wait(), HOLD_SECONDS)
    return HttpResponse()


async def release(request, name):
    holds.pop(name).released.set()
    return HttpResponse()


# Each is kept while it is open, so that no garbage collector closes it for whoever
# forgot to.
connections: set[Any] = set()


def keep(connection, **kwargs):
    connections.add(connection)


connection_created.connect(keep)


async def status(request):
    """What there is in the server: this request's own task among it."""
    for connection in [it for it in connections if it.connection is None]:
        connections.remove(connection)
    # Those of the loop's own pool stay: Django answers to exceptions there.
    threads = [it for it in threading.enumerate() if not it.name.startswith("asyncio_")]
    return JsonResponse(
        {
            "tasks": len(asyncio.all_tasks()),
            "threads": len(threads),
            "connections": len(connections),
            "holds": len(holds),
        }
    )


class Login(AsyncLoginView):
    template_name = "login.html"

    async def aget_context_data(self, **kwargs):
        # So that there is a session before the login.
        if kept := self.request.GET.get("keep"):
            await self.request.session.aset("kept", kept)
        return await super().aget_context_data(**kwargs)


class AsyncSuccessUrl:
    """What follows a login or a logout is awaited, so that both are on the loop."""

    async def aget_success_url(self):
        await self.request.session.aget("kept")
        return await super().aget_success_url()


class LiftedLogin(AsyncSuccessUrl, Login):
    pass


class LiftedLogout(AsyncSuccessUrl, AsyncLogoutView):
    pass


class TheirLogin(views.LoginView):
    template_name = "login.html"

    def get_context_data(self, **kwargs):
        if kept := self.request.GET.get("keep"):
            self.request.session["kept"] = kept
        return super().get_context_data(**kwargs)


class SyncContext:
    template_name = "page.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            username=self.request.user.username,
            kept=self.request.session.get("kept"),
            request=self.request,
            **kwargs,
        )


class SyncPage(AsyncLoginRequiredMixin, SyncContext, AsyncTemplateView):
    """All of it in the worker."""


class AsyncContextPage(AsyncLoginRequiredMixin, AsyncTemplateView):
    """The user is looked up on the loop, and again in the worker."""

    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(
            username=(await self.request.auser()).username,
            kept=await self.request.session.aget("kept"),
            request=self.request,
            **kwargs,
        )


class AsyncPage(AsyncLoginRequiredMixin, AsyncView):
    """The handler is on the loop."""

    async def get(self, request):
        name = (await request.auser()).username
        kept = await request.session.aget("kept")
        return HttpResponse(f"{name} {name} {request.user.username} {kept}")


class TheirPage(mixins.LoginRequiredMixin, SyncContext, TemplateView):
    pass


class HeldOnLoop(AsyncLoginRequiredMixin, AsyncView):
    async def get(self, request, name):
        await wait(name)
        if "write" in request.GET:
            await request.session.aset("written", name)
        return HttpResponse((await request.auser()).username)


class HeldInWorker(AsyncLoginRequiredMixin, AsyncView):
    def get(self, request, name):
        async_to_sync(wait)(name)
        if "write" in request.GET:
            request.session["written"] = name
        return HttpResponse(request.user.username)


class TheirHeld(mixins.LoginRequiredMixin, View):
    def get(self, request, name):
        async_to_sync(wait)(name)
        if "write" in request.GET:
            request.session["written"] = name
        return HttpResponse(request.user.username)


OURS = [
    path("login/", Login.as_view(next_page="/")),
    path("logout/", AsyncLogoutView.as_view(next_page="/")),
    path("page/sync/", SyncPage.as_view(login_url="/ours/login/")),
    path("page/context/", AsyncContextPage.as_view(login_url="/ours/login/")),
    path("page/async/", AsyncPage.as_view(login_url="/ours/login/")),
    path("held/loop/<name>/", HeldOnLoop.as_view()),
    path("held/worker/<name>/", HeldInWorker.as_view()),
]
LIFTED = [
    path("login/", LiftedLogin.as_view(next_page="/")),
    path("logout/", LiftedLogout.as_view(next_page="/")),
]
THEIRS = [
    path("login/", TheirLogin.as_view(next_page="/")),
    path("logout/", views.LogoutView.as_view(next_page="/")),
    path("page/sync/", TheirPage.as_view(login_url="/theirs/login/")),
    path("held/worker/<name>/", TheirHeld.as_view()),
]
urlpatterns = [
    path("ours/", include(OURS)),
    path("lifted/", include(LIFTED)),
    path("theirs/", include(THEIRS)),
    path("entered/<name>/", until_entered),
    path("release/<name>/", release),
    path("status/", status),
]
