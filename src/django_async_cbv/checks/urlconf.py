"""Check the views of the project, and what leads to them: URLs, sites, middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from asgiref.sync import iscoroutinefunction
from django import get_version
from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ViewDoesNotExist
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.urls import URLPattern, URLResolver, get_callable, get_resolver
from django.utils.module_loading import import_string
from django.views.generic.base import View

from ..core.address import link_to
from ..core.callers import is_installed
from ..core.hooks import TWINS, is_library
from ..core.problems import (
    Problem,
    problems,
    uncalled_methods,
    waiting_overrides,
    where_written,
)
from ..core.twins import TwinMixin
from ..views import AsyncView
from .views import skipped_validation, uncalled_checks, unguarded, unvalidated

__all__ = ["check_imported_views", "check_views", "imported_views", "messages"]


@checks.register(checks.Tags.urls)
def check_views(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """
    Report each view class of the URLconf that would skip an override.

    as_view() raises ImproperlyConfigured for most of them when Django imports the
    URLconf. This check finds what a decorator or an assignment did to a class later. It
    warns of sync overrides in which a worker thread waits, and of async methods that
    nothing calls, also on Django's views.

    For Django's views, the check reports access that is open to everyone, requests that
    fail, and async validation that nothing awaits. If the project has async views, it
    warns of sync middleware.
    """
    found: list[checks.CheckMessage] = []
    callbacks = _callbacks()
    for cls in _view_classes(callbacks):
        is_ours = issubclass(cls, TwinMixin)
        wrong = [*(problems(cls) if is_ours else ()), *_access_problems(cls)]
        doubtful = [*(waiting_overrides(cls) if is_ours else ())]
        doubtful += uncalled_methods(cls)
        found += messages(checks.Error, cls, wrong)
        found += messages(checks.Warning, cls, doubtful)
    found += messages(checks.Warning, None, unvalidated_by_admin())
    skipped = [(one.view_class, each) for one in callbacks for each in unvalidated(one)]
    # Two URLs may have the same class.
    for cls, problem in dict.fromkeys(skipped):
        found += messages(checks.Error, cls, [problem])
    for callback in callbacks:
        if (refused := not_atomic(callback)) is not None:
            found += messages(checks.Error, callback, [refused])
    if getattr(settings, "ROOT_URLCONF", None):
        found += messages(checks.Error, None, called_by_sync_code())
    if any(issubclass(cls, TwinMixin) for cls in _view_classes(callbacks)):
        found += messages(checks.Warning, None, newer_hooks())
    if any(map(iscoroutinefunction, callbacks)):
        found += messages(checks.Warning, None, sync_middleware())
    return found


@checks.register(checks.Tags.urls)
def check_imported_views(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """
    Report view classes that are open to everyone, and that ROOT_URLCONF does not have.

    Another URLconf may have them, for example one of a subdomain.
    """
    routed = set(_view_classes(_callbacks()))
    found: list[checks.CheckMessage] = []
    for cls in imported_views():
        if cls in routed or not _may_be_served(cls):
            continue
        wrong = _access_problems(cls)
        mended = {
            problem.id
            for problem in wrong
            for derived in _derived(cls)
            if problem.id not in {one.id for one in _access_problems(derived)}
        }
        unmended = (
            replace(
                problem,
                message=f"{problem.message}. No URL of ROOT_URLCONF leads to "
                f"{cls.__name__}, but another URLconf may",
            )
            for problem in wrong
            # If a subclass has no such problem, the class is only a base.
            if problem.id not in mended
        )
        found += messages(checks.Error, cls, unmended)
    return found


def imported_views() -> list[type]:
    """The view classes of the project, whatever URLconf leads to them."""
    found: dict[type, None] = {}
    todo: list[Any] = [View]
    while todo:
        cls: type
        for cls in todo.pop().__subclasses__():
            if cls not in found:
                found[cls] = None
                todo.append(cls)
    return [cls for cls in found if not is_library(cls) and not is_installed(cls)]


def _derived(cls: Any) -> list[type]:
    return [*cls.__subclasses__()]


def _may_be_served(cls: Any) -> bool:
    """Whether a view class has a handler, and so is more than a base of others."""
    return any(hasattr(cls, name) for name in {*cls.http_method_names} - {"options"})


def _access_problems(cls: type) -> list[Problem]:
    """What is wrong with how a view says who may see it."""
    # A mixin of this package does not make a class an AsyncView.
    return [*(uncalled_checks(cls) if issubclass(cls, AsyncView) else unguarded(cls))]


def messages(
    kind: type[checks.Error | checks.Warning | checks.Info],
    what: Any,
    found: Iterable[Problem],
) -> list[checks.CheckMessage]:
    """What Django reports of these problems."""
    return [
        kind(f"{one.message} ({places}).", hint=hint, obj=what, id=one.id)
        for one in found
        for places in [", ".join(one.places)]
        for hint in [f"{one.hint}{link_to(one.id)}"]
    ]


def _callbacks() -> list[Any]:
    """The views that the URLconf routes to, each once."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    patterns = _patterns(get_resolver().url_patterns)
    return list(dict.fromkeys(pattern.callback for pattern in patterns))


def _view_classes(callbacks: list[Any]) -> list[type]:
    """The classes of those views that have one, each once."""
    classes = (getattr(callback, "view_class", None) for callback in callbacks)
    return list(dict.fromkeys(cls for cls in classes if isinstance(cls, type)))


def _patterns(
    patterns: Sequence[URLPattern | URLResolver],
) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        # Django's check reports what is neither.
        elif isinstance(pattern, URLPattern):
            yield pattern


def unvalidated_by_admin() -> Iterator[Problem]:
    """Async validation of the forms of the admin, which does not await it."""
    if not apps.is_installed("django.contrib.admin"):
        return
    for site in import_module("django.contrib.admin.sites").all_sites:
        for admin in site._registry.values():
            for used in (admin, *admin.inlines):
                name = getattr(used, "__name__", type(used).__name__)
                fields = [field.name for field in used.model._meta.get_fields()]
                for form_class in (used.form, getattr(used, "formset", None)):
                    yield from skipped_validation(
                        "async_cbv.W005", name, form_class, fields
                    )


def not_atomic(callback: Callable[..., Any]) -> Problem | None:
    """What Django refuses at each request of an async view under ATOMIC_REQUESTS."""
    try:
        BaseHandler().make_view_atomic(callback)
    except RuntimeError:
        pass
    else:
        return None
    aliases = [
        alias
        for alias, options in connections.settings.items()
        if options["ATOMIC_REQUESTS"]
    ]
    named = getattr(callback, "view_class", callback)
    name = getattr(named, "__qualname__", repr(callback))
    if _wraps_ours(callback):
        hint = (
            f"Put `@functools.wraps(view)` on {name}, so that Django finds the "
            "transaction settings of the view."
        )
    else:
        hint = (
            "Make it an AsyncView. Or decorate it with "
            "`@transaction.non_atomic_requests`, and write in `async with aatomic():`."
        )
    return Problem(
        "async_cbv.E009",
        f"{name} is async, and ATOMIC_REQUESTS is on for {', '.join(aliases)}. "
        "Django raises RuntimeError in each request",
        hint,
        (where_written(callback),),
    )


def _wraps_ours(callback: Any) -> bool:
    """Whether a function view has a view of ours in its closure."""
    cells = getattr(callback, "__closure__", None) or ()
    return any(
        isinstance(getattr(view, "view_class", None), type)
        and issubclass(view.view_class, AsyncView)
        for view in (cell.cell_contents for cell in cells)
    )


def called_by_sync_code() -> Iterator[Problem]:
    """Views that Django calls from sync code, and that give it a coroutine."""
    resolver = get_resolver()
    named: dict[str, Any] = {}
    # Django reports a view that it can't import.
    for code in (400, 403, 404, 500):
        with suppress(ImportError, ViewDoesNotExist):
            named[f"handler{code}"] = resolver.resolve_error_handler(code)
    with suppress(ImportError, ViewDoesNotExist):
        named["CSRF_FAILURE_VIEW"] = get_callable(settings.CSRF_FAILURE_VIEW)
    for name, view in named.items():
        if not iscoroutinefunction(view) or getattr(view, "is_async", True) is False:
            continue
        cls = getattr(view, "view_class", None)
        yield Problem(
            "async_cbv.E014",
            f"{name} is async: {getattr(cls, '__name__', None) or view.__qualname__}. "
            "Django calls it from sync code and does not await it, so users get a "
            "server error",
            "Use an async hook instead of the `async def` handler, for example "
            "`async def aget_context_data()`."
            if isinstance(cls, type) and issubclass(cls, AsyncView)
            else f"Make it sync: `def {view.__name__}()`.",
            (f"module {view.__module__}",),
        )


def sync_middleware() -> Iterator[Problem]:
    """Middleware that has each request, of async views too, go through a thread."""
    for path in settings.MIDDLEWARE:
        try:
            middleware = import_string(path)
        except ImportError:  # Django says so itself
            continue
        if not getattr(middleware, "async_capable", False):
            yield Problem(
                "async_cbv.W004",
                f"{path} is sync. Under ASGI, a worker thread waits in it for each "
                "request until the async view has answered",
                "If it is yours, derive it from MiddlewareMixin, or decorate it with "
                "`@sync_and_async_middleware`. If it is of another package, wrap it in "
                "a function with this decorator, or remove it from MIDDLEWARE.",
                (f"module {middleware.__module__}",),
            )


def newer_hooks() -> Iterator[Problem]:
    """Django's functions that call a method which this version does not know of."""
    for hook in TWINS.values():
        if hook.unknown_calls:
            called = " and ".join(f"{name}()" for name in sorted(hook.unknown_calls))
            yield Problem(
                "async_cbv.W009",
                f"{hook.function.__qualname__}() of Django {get_version()} calls "
                f"{called}, which this version of django-async-cbv does not know. "
                "A worker thread runs it, and waits there for your async overrides",
                "Install a version of django-async-cbv that supports Django "
                f"{get_version()}.",
                (where_written(hook.function),),
            )
