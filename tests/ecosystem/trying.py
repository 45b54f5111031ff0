"""Try a mixin on Django's view, on ours, and on ours with one async hook."""

from __future__ import annotations

import asyncio
import datetime
import functools
import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Any
from unittest import mock

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponseBase
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import generic

from django_async_cbv import views
from django_async_cbv.core import flow, twins
from django_async_cbv.testing import forbid_blocking
from tests.ecosystem import urls
from tests.ecosystem.models import Author, Book
from tests.hops import count_hops

__all__ = ["CASES", "Case", "Decorated", "Outcome", "Site", "measured", "tried"]


class Django:
    """The views as Django has them."""

    is_ours = False

    def __getattr__(self, name: str) -> type:
        return getattr(generic, name)


class Ours:
    """Our views, under Django's names."""

    is_ours = True

    def __getattr__(self, name: str) -> type:
        return getattr(views, f"Async{name}")


class Site:
    """People, books, and clients that keep what they were answered."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self.answers: list[tuple[Any, ...]] = []
        self.ann = User.objects.create_user("ann", "ann@example.com", "secret")
        self.bob = User.objects.create_user("bob", "bob@example.com", "secret")
        jane = Author.objects.create(name="Jane", slug="jane")
        bram = Author.objects.create(name="Bram", slug="bram")
        self.author = jane
        self.emma, self.persuasion, self.dracula = (
            Book.objects.create(
                title=title,
                slug=title.lower(),
                author=author,
                owner=owner,
                published=datetime.date(year, 5, 1),
            )
            for title, author, owner, year in [
                ("Emma", jane, "ann", 1815),
                ("Persuasion", jane, "bob", 1817),
                ("Dracula", bram, "ann", 1897),
            ]
        )

    def client(self, user: User | None = None, **options: Any) -> Visitor:
        """Somebody who comes by WSGI to Django's views and by ASGI to ours."""
        client: Any = AsyncClient(**options) if self.is_async else Client(**options)
        if user is not None:
            client.force_login(user, "django.contrib.auth.backends.ModelBackend")
        return Visitor(client, self.answers)


class Visitor:
    """A client for sync code, that keeps the answers to compare them."""

    def __init__(self, client: Any, answers: list[tuple[Any, ...]]) -> None:
        self.client = client
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        return async_to_sync(method) if iscoroutinefunction(method) else method

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._visit("get", *args, **kwargs)

    def head(self, *args: Any, **kwargs: Any) -> Any:
        return self._visit("head", *args, **kwargs)

    def post(self, *args: Any, **kwargs: Any) -> Any:
        return self._visit("post", *args, **kwargs)

    def put(self, *args: Any, **kwargs: Any) -> Any:
        return self._visit("put", *args, **kwargs)

    def options(self, *args: Any, **kwargs: Any) -> Any:
        return self._visit("options", *args, **kwargs)

    def _visit(self, method: str, *args: Any, **kwargs: Any) -> Any:
        response = self.__getattr__(method)(*args, **kwargs)
        self.answers.append((response.status_code, response.headers, response.content))
        return response


# Different with each answer, whoever gives it.
TIMES = {"Age", "Expires", "Last-Modified"}


class Case:
    """
    One row of the table: a mixin or decorator, a view that uses it, and visits to it.

    Each is tried on Django's view, on ours, and on ours with one async hook. The
    answers have to be the same, and what `visits()` asserts has to hold for each.
    """

    # The distribution; what of it; in the words of the docs.
    package = "Django"
    what = ""
    # Which hook of ours is async in the third of the views.
    hook = "aget_context_data"
    # What a user should know about it.
    note = ""
    # What the message says that refuses it, of as_view() or of each request.
    refused = ""
    # A middleware, whose hops are counted apart from the view's.
    middleware = ""
    # The function of the package that blocks the event loop.
    blocking = ""
    settings: dict[str, Any] = {}
    attributes: dict[str, Any] = {"model": Book, "template_name": "ecosystem/page.html"}

    def view(self, views: Any) -> Any:
        """A class of views that uses it; `views.ListView` may be Django's or ours."""
        raise NotImplementedError

    def route(self, cls: Any) -> Any:
        """The view that is put into the URLconf."""
        return cls.as_view()

    def visits(self, site: Site) -> None:
        """Ask for what it is for, and assert that it is given."""
        raise NotImplementedError

    def shown(self, headers: dict[str, str], content: bytes) -> Any:
        """What has to be the same in an answer of Django's view and one of ours."""
        kept = {name: value for name, value in headers.items() if name not in TIMES}
        return kept, content

    def __str__(self) -> str:
        return f"{self.package}: {self.what}"


class Decorated(Case):
    """A decorator, on dispatch() or (`in_urlconf`) around the view."""

    decorator: Callable[..., Any]
    base = "ListView"
    in_urlconf = False

    def view(self, views: Any) -> Any:
        cls = type("Page", (getattr(views, self.base),), dict(self.attributes))
        if not self.in_urlconf:
            cls = method_decorator(type(self).decorator, name="dispatch")(cls)
        return cls

    def route(self, cls: Any) -> Any:
        view = cls.as_view()
        return type(self).decorator(view) if self.in_urlconf else view


@dataclass
class Outcome:
    """What came of the visits to one view."""

    answers: list[Any] = field(default_factory=list)
    # The most of any request.
    hops: int = 0
    # Whether a worker has waited for what is async.
    held: bool = False
    awaited: int = 0
    # The hops that the case's middleware adds.
    added: int = 0
    # Whether as_view() has accepted the class.
    is_routed: bool = False
    error: str = ""


@contextmanager
def waiting(outcome: Outcome) -> Iterator[None]:
    """Notice when sync code waits in its thread for async code."""

    def noticed(original: Any) -> Any:
        def wait_for(*args: Any, **kwargs: Any) -> Any:
            outcome.held = True
            return original(*args, **kwargs)

        return wait_for

    with (
        mock.patch.object(flow, "wait_for", noticed(flow.wait_for)),
        mock.patch.object(twins, "wait_for", noticed(twins.wait_for)),
    ):
        yield


def counted(view: Any, outcome: Outcome) -> Any:
    """The view, with its hops counted, before the rendering's."""
    if not iscoroutinefunction(view):
        return view

    @functools.wraps(view)
    async def counting(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with count_hops() as hops:
            try:
                return await view(request, *args, **kwargs)
            finally:
                outcome.hops = max(outcome.hops, hops.count)

    return counting


def with_async(cls: Any, name: str, outcome: Outcome) -> Any:
    """The class with one hook more, which awaits before it goes on."""

    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        outcome.awaited += 1
        return await getattr(super(made, self), name)(*args, **kwargs)

    method.__name__ = name
    made = type(cls.__name__, (cls,), {name: method, "__module__": cls.__module__})
    return made


def outcome_of(case: Case, views: Any, *, hook: str = "") -> Outcome:
    """Visit one view, and leave nothing behind."""
    outcome = Outcome()
    urlconf: Any = ModuleType("urls")
    cache.clear()
    with transaction.atomic():
        site = Site(is_async=views.is_ours)
        try:
            cls = case.view(views)
            if hook:
                cls = with_async(cls, hook, outcome)
            view = case.route(cls)
            outcome.is_routed = True
            view = counted(view, outcome) if views.is_ours else view
            urlconf.urlpatterns = [
                path("", view, name="first"),
                *urls.urlpatterns,
                path("<slug:slug>/", view, name="one"),
                path("<int:pk>/<slug:slug>/", view, name="canonical"),
                path("month/<int:year>/<str:month>/", view, name="month"),
            ]
            own = override_settings(ROOT_URLCONF=urlconf, **case.settings)
            with own, waiting(outcome):
                case.visits(site)
        except AssertionError:
            raise
        except Exception as error:
            outcome.error = f"{type(error).__name__}: {error}"
            if not (case.refused and views.is_ours):
                raise
        transaction.set_rollback(True)
    outcome.answers = [
        (status, case.shown(dict(headers), content))
        for status, headers, content in site.answers
    ]
    return outcome


@contextmanager
def nothing_awaits() -> Iterator[None]:
    """Let a refused view leave behind a coroutine that was never begun."""
    # Else the records of the log keep it alive, with their tracebacks.
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited")
            yield
            gc.collect()
    finally:
        logging.disable(logging.NOTSET)


def added_by(case: Case) -> int:
    """How many hops the case's middleware adds to a whole request."""

    def whole(middleware: list[str]) -> int:
        chain = {**case.settings, "MIDDLEWARE": middleware}
        with override_settings(ROOT_URLCONF=urls, **chain), count_hops() as hops:
            assert async_to_sync(AsyncClient().get)("/plain/").status_code == 200
        return hops.count

    return whole([case.middleware]) - whole([])


def measured(case: Case, forbid_blocking: forbid_blocking) -> tuple[Outcome, Outcome]:
    """Try a case; return what came of it on our view, without and with async hook."""
    if case.blocking:
        forbid_blocking.allow(case.blocking)
    with nothing_awaits() if case.refused else nullcontext():
        theirs = outcome_of(case, Django())
        plain = outcome_of(case, Ours())
        awaiting = outcome_of(case, Ours(), hook=case.hook)
    assert theirs.answers
    for ours in (plain, awaiting):
        if case.refused:
            assert case.refused in ours.error, ours.error or "not refused"
        else:
            for ours_, theirs_ in zip(ours.answers, theirs.answers, strict=True):
                assert ours_ == theirs_, f"{ours_} != {theirs_}"
    assert case.refused or awaiting.awaited
    if case.middleware:
        plain.added = added_by(case)
    return plain, awaiting


CASES: list[Case] = []


def tried(cls: type[Case]) -> type[Case]:
    """Put a case into the table."""
    CASES.append(cls())
    return cls
