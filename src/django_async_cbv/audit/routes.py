"""Find what the URLs of a project lead to, behind decorators as well."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from types import FunctionType, MethodType
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern
from django.views.generic.base import View

__all__ = ["Route", "routes", "unwrapped", "urlconfs"]

# How many decorators the search goes through.
_DEPTH = 25
_HANDLERS = (400, 403, 404, 500)


@dataclass(frozen=True)
class Route:
    """A URL pattern, or an error handler, and the view that it leads to."""

    urlconf: str
    path: str
    # The name with its namespaces.
    name: str = ""
    # The names of the arguments from the URL.
    kwargs: tuple[str, ...] = ()
    # The function that Django calls. None if the import of the URLconf fails.
    callback: Any = None
    # The class of the view, or the function.
    view: Any = None
    initkwargs: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_decorated(self) -> bool:
        """Whether there is something around the view of a class."""
        return getattr(self.callback, "view_class", None) is not self.view or (
            isinstance(self.callback, FunctionType)
            and hasattr(self.callback, "__wrapped__")
        )


def urlconfs(more: Sequence[str] = ()) -> list[Any]:
    """The URLconfs of the settings, those of subdomains and of hosts, and others."""
    found: list[Any] = [getattr(settings, "ROOT_URLCONF", None), *more]
    found += [*dict(getattr(settings, "SUBDOMAIN_URLCONFS", None) or {}).values()]
    if hosts := getattr(settings, "ROOT_HOSTCONF", None):
        # django-hosts reports a failed import itself.
        with suppress(Exception):
            patterns = getattr(import_module(hosts), "host_patterns", ())
            found += [getattr(one, "urlconf", None) for one in patterns]
    return list(dict.fromkeys(one for one in found if one))


def routes(given: Iterable[Any]) -> list[Route]:
    """All routes of these URLconfs. One that can't be imported is a route as well."""
    found: list[Route] = []
    for one in given:
        # A setting may be a module.
        urlconf = one if isinstance(one, str) else one.__name__
        try:
            resolver = get_resolver(one)
            patterns = resolver.url_patterns
        except Exception as error:  # noqa: BLE001 - whatever a module of theirs raises
            found.append(Route(urlconf, f"({urlconf})", problem=_said(error)))
            continue
        found += _patterns(urlconf, patterns, "", (), ())
        found += _handlers(urlconf, resolver)
    return found


def _patterns(
    urlconf: str,
    patterns: Iterable[Any],
    before: str,
    spaces: tuple[str, ...],
    kwargs: tuple[str, ...],
) -> Iterator[Route]:
    for one in patterns:
        if not isinstance(one, URLPattern | URLResolver):
            problem = f"TypeError: {one!r} is neither path() nor include()"
            yield Route(urlconf, before, problem=problem)
            continue
        path = before + _text(one.pattern)
        names = (*kwargs, *_names(one.pattern))
        if isinstance(one, URLResolver):
            inside = (*spaces, one.namespace) if one.namespace else spaces
            names = (*names, *one.default_kwargs)
            try:
                inner = one.url_patterns
            except Exception as error:  # noqa: BLE001 - as in routes()
                yield Route(urlconf, path, problem=_said(error))
            else:
                yield from _patterns(urlconf, inner, path, inside, names)
            continue
        names = (*names, *one.default_args)
        name = ":".join((*spaces, one.name)) if one.name else ""
        yield _route(urlconf, path, name, names, one.callback)


def _route(
    urlconf: str, path: str, name: str, kwargs: tuple[str, ...], callback: Any
) -> Route:
    view, initkwargs = unwrapped(callback)
    return Route(urlconf, path, name, kwargs, callback, view, initkwargs)


def _handlers(urlconf: str, resolver: URLResolver) -> Iterator[Route]:
    """The error handlers, but for Django's."""
    for code in _HANDLERS:
        path = f"handler{code}"
        try:
            callback: Any = resolver.resolve_error_handler(code)
        except Exception as error:  # noqa: BLE001 - as in routes()
            yield Route(urlconf, path, problem=_said(error))
            continue
        if getattr(callback, "__module__", "") != "django.views.defaults":
            yield _route(urlconf, path, "", (), callback)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _text(pattern: Any) -> str:
    text = str(pattern)
    if isinstance(pattern, RegexPattern):
        return text.removeprefix("^").removesuffix("$").removesuffix(r"\Z")
    return text


def _names(pattern: Any) -> Iterable[str]:
    if isinstance(pattern, RoutePattern):
        return pattern.converters
    regex = getattr(pattern, "regex", None)
    return getattr(regex, "groupindex", ())


def unwrapped(callback: Any) -> tuple[Any, dict[str, Any]]:
    """
    The class of a view, or its function, and what as_view() was given.

    It is looked for behind decorators: by their attributes, by `__wrapped__`, in a
    partial() and in closures. Where there is none, the callable itself is the view.
    """
    found = callback
    todo = [callback]
    seen: set[int] = set()
    while todo and len(seen) < _DEPTH:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        cls = _class_of(one)
        if cls is not None:
            given = getattr(one, "view_initkwargs", None)
            return cls, dict(given or getattr(one, "initkwargs", None) or {})
        inner = _directly_behind(one)
        if inner is not None:
            if one is found:
                found = inner
            todo.insert(0, inner)
        else:
            todo += _in_closure(one)
    return found, {}


def _class_of(callback: Any) -> type | None:
    # REST framework names the attribute `cls`.
    for name in ("view_class", "cls"):
        cls = inspect.getattr_static(callback, name, None)
        if isinstance(cls, type) and issubclass(cls, View):
            return cls
    return None


def _directly_behind(callback: Any) -> Any:
    if isinstance(callback, functools.partial):
        return callback.func
    if isinstance(callback, MethodType):
        return None
    found = inspect.getattr_static(callback, "__wrapped__", None)
    return found if callable(found) else None


def _in_closure(callback: Any) -> Iterator[Any]:
    """What a decorator without functools.wraps() may call."""
    for cell in getattr(callback, "__closure__", None) or ():
        with suppress(ValueError):  # it is empty
            inside = cell.cell_contents
            if callable(inside) and not isinstance(inside, type):
                yield inside
