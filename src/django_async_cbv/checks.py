"""System checks: what as_view() refuses, and what holds a worker, of routed views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.urls import URLPattern, URLResolver, get_resolver

from .hooks import Twins
from .refusals import Problem, overlooked, problems, waits

__all__ = ["check_views"]


@checks.register(checks.Tags.urls)
def check_views(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """
    Report each view class of the URLconf whose overrides would be skipped.

    Most of these have been refused by as_view() before, as the URLconf was
    imported; what a decorator or an assignment did to the class since is found
    here. Warns of sync overrides that hold a worker while they wait, and of
    async methods, of Django's own generic views too, that nothing calls.
    """
    found: list[checks.CheckMessage] = []
    for cls in _view_classes():
        is_ours = issubclass(cls, Twins)
        wrong = problems(cls) if is_ours else ()
        doubtful = [*(waits(cls) if is_ours else ()), *overlooked(cls)]
        found += [_as_message(checks.Error, cls, problem) for problem in wrong]
        found += [_as_message(checks.Warning, cls, problem) for problem in doubtful]
    return found


def _as_message(
    kind: type[checks.Error | checks.Warning], cls: type, problem: Problem
) -> checks.CheckMessage:
    places = ", ".join(problem.places)
    return kind(
        f"{problem.message} ({places}).", hint=problem.hint, obj=cls, id=problem.id
    )


def _view_classes() -> list[type]:
    """The view classes that the URLconf routes to, each once."""
    classes: dict[type, None] = {}
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    for pattern in _patterns(get_resolver().url_patterns):
        cls = getattr(pattern.callback, "view_class", None)
        if isinstance(cls, type):
            classes[cls] = None
    return list(classes)


def _patterns(
    patterns: Sequence[URLPattern | URLResolver],
) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern
