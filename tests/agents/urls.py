"""Each view of the catalogue, as it is, with async hooks, and behind mixins."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth import views as auth
from django.http import HttpResponse
from django.urls import path

from django_async_cbv import views
from django_async_cbv.auth import views as async_auth
from tests.catalogue import CATALOGUE, Visit

VISITS: dict[str, tuple[Visit, ...]] = {}


class SyncMixin:
    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Mixin"] = "sync"
        return response


class AsyncMixin(views.AsyncView):
    async def dispatch(self, request, *args, **kwargs):
        response = await super().dispatch(request, *args, **kwargs)
        response["X-Mixin"] = "async"
        return response


class AsyncHook:
    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class Awaiting(views.AsyncView):
    async def get(self, request):
        return HttpResponse("awaited")


def classes() -> Iterator[tuple[type, tuple[Visit, ...]]]:
    for entry in CATALOGUE:
        has_context = "get_context_data" in entry.hooks()
        for word, bases in (
            ("", ()),
            ("Sync", (SyncMixin,)),
            ("Async", (AsyncMixin,)),
            *([("Hook", (AsyncHook,))] if has_context else []),
            *([("SyncHook", (SyncMixin, AsyncHook))] if has_context else []),
        ):
            namespace = {"__module__": __name__, **entry.attributes}
            name = f"{word}{entry.name}"
            yield type(name, (*bases, entry.ours), namespace), entry.visits
    for name in ("LoginView", "PasswordResetView", "PasswordChangeView"):
        ours = getattr(async_auth, f"Async{name}")
        assert issubclass(ours, getattr(auth, name))
        namespace = {"__module__": __name__, "template_name": "page.html"}
        yield type(f"Its{name}", (ours,), namespace), (Visit(),)
    yield Awaiting, (Visit(),)


CLASSES = {cls.__name__: (cls, visits) for cls, visits in classes()}
urlpatterns = [
    path(f"{name}/{place}/", cls.as_view(), one.kwargs or {}, name=f"{name}-{place}")
    for name, (cls, visits) in CLASSES.items()
    for place, one in enumerate(visits)
]
