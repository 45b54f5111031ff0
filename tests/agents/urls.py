"""Each view of the catalogue, as it is, with async hooks, and behind mixins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib.auth import views as auth
from django.http import HttpResponse
from django.urls import path

from django_async_cbv import views
from django_async_cbv.auth import views as async_auth
from django_async_cbv.core.hooks import HOOKS
from tests.catalogue import CATALOGUE, Entry, Visit

# Who may log in.
CREDENTIALS = {"username": "ann", "password": "Ann's secret"}


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


class Awaiting(views.AsyncView):
    async def get(self, request):
        return HttpResponse("awaited")


def async_methods(names: dict[str, str]) -> type:
    """A mixin with an async override for each method, by the name of that."""

    def passing_on(aname: str) -> Any:
        async def method(self, *args, **kwargs):
            return await getattr(super(mixin, self), aname)(*args, **kwargs)

        method.__name__ = aname
        return method

    space = {aname: passing_on(aname) for aname in names.values()}
    mixin = type("AsyncMethods", (), space)
    return mixin


def bases(entry: Entry) -> Iterator[tuple[str, tuple[type, ...]]]:
    """What a view is derived from besides its own class, and a word for that."""
    yield "", ()
    yield "Sync", (SyncMixin,)
    yield "Async", (AsyncMixin,)
    hooks = {
        name: HOOKS[name]
        for name in entry.hooks()
        if name == "get_context_data" or name.endswith(("_valid", "_invalid"))
    }
    if hooks:
        yield "Hook", (async_methods(hooks),)
        yield "SyncHook", (SyncMixin, async_methods(hooks))
    if "post" in entry.handlers():
        handlers = {name: name for name in ("get", "post")}
        yield "Handler", (type("Handlers", (async_methods(handlers), entry.ours), {}),)


def visits(entry: Entry) -> tuple[Visit, ...]:
    """The visits of the catalogue; what it sends by PUT is also sent by POST."""
    by_post = [
        replace(one, method="POST") for one in entry.visits if one.method == "PUT"
    ]
    return (*entry.visits, *by_post)


def classes() -> Iterator[tuple[type, tuple[Visit, ...]]]:
    for entry in CATALOGUE:
        for word, mixins in bases(entry):
            namespace = {"__module__": __name__, **entry.attributes}
            name = f"{word}{entry.name}"
            yield type(name, (*mixins, entry.ours), namespace), visits(entry)
    refused = {**CREDENTIALS, "password": "guessed"}
    for name, posts in (
        ("LoginView", (CREDENTIALS, refused)),
        ("PasswordResetView", ({"email": "not an address"},)),
        ("PasswordChangeView", ()),
    ):
        ours = getattr(async_auth, f"Async{name}")
        assert issubclass(ours, getattr(auth, name))
        namespace = {
            "__module__": __name__,
            "template_name": "page.html",
            "success_url": "/done/",
        }
        cls = type(f"Its{name}", (ours,), namespace)
        yield cls, (Visit(), *(Visit("POST", data) for data in posts))
    yield Awaiting, (Visit(),)


def handing_over(cls: type) -> Any:
    """A function view that calls the view, as sync code of a project does."""

    def function(request, **kwargs):
        return cls.as_view()(request, **kwargs)

    function.__name__ = function.__qualname__ = f"via_{cls.__name__}"
    return function


CLASSES = {cls.__name__: (cls, visits) for cls, visits in classes()}
urlpatterns = [
    # Where a saved author says that its page is.
    path("author/<int:pk>/", lambda request, pk: HttpResponse(), name="author"),
    *(
        path(route, view, one.kwargs or {})
        for name, (cls, visits) in CLASSES.items()
        for place, one in enumerate(visits)
        for route, view in (
            (f"{name}/{place}/", cls.as_view()),
            (f"by-function/{name}/{place}/", handing_over(cls)),
        )
    ),
]
