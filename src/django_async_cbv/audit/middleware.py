"""Tell what each middleware costs, by Django's rules of how a chain is adapted."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core import signals
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string

from ..serve.handler import can_be_sync
from ..serve.middleware import Inline, swapped

__all__ = ["Chain", "Layer", "Middleware", "chain_of", "djangos_hops", "middleware"]


@dataclass(frozen=True)
class Middleware:
    """An entry of MIDDLEWARE: its factory, or why there is none."""

    path: str
    factory: Any = None
    problem: str = ""


@dataclass(frozen=True)
class Layer:
    """A middleware in its place in a chain, and its hops in each request."""

    path: str
    # "sync only", "async only" or "both". "unknown" if the import fails.
    kind: str
    # Whether the middleware runs on the event loop in this chain.
    is_async: bool
    # 1 if the middleware is sync and the one around it runs on the event loop, else 0.
    adapted: int
    # How many of process_request(), process_response() and process_view() it has.
    methods: int
    # 1 if it has process_template_response(), which runs for responses to be rendered,
    # else 0.
    rendered: int
    # Whether a thread waits in it for async code behind it.
    holds: bool
    # Whether the entry point of this package runs it on the event loop.
    is_inline: bool = False
    # Whether it is async code whose hops nobody knows.
    is_own: bool = False

    @property
    def hops(self) -> int:
        """The hops in each request."""
        return self.adapted + self.methods


@dataclass(frozen=True)
class Chain:
    """All middleware around the views, and what a request costs with it."""

    # In the order of the setting.
    layers: Sequence[Layer]
    # Whether a request for a sync view is one hop, with all of its middleware.
    has_sync_chain: bool = False

    @property
    def hops(self) -> int:
        """The hops of the middleware, around an async view."""
        return sum(layer.hops for layer in self.layers)

    @property
    def rendered(self) -> int:
        """The hops more for a response to be rendered, without the rendering itself."""
        return sum(layer.rendered for layer in self.layers)

    @property
    def holds(self) -> bool:
        """Whether a thread waits in it for each async view."""
        return any(layer.holds for layer in self.layers)

    def around_sync_view(self) -> int:
        """The hops with the one in which a sync view runs."""
        return 1 if self.has_sync_chain else self.hops + 1


def middleware(paths: Sequence[str] | None = None) -> list[Middleware]:
    """Import the middleware of the settings; a failure is noted, and not raised."""
    found = []
    for path in settings.MIDDLEWARE if paths is None else paths:
        try:
            found.append(Middleware(path, import_string(path)))
        except Exception as error:  # noqa: BLE001 - whatever a module of theirs raises
            found.append(Middleware(path, problem=f"{type(error).__name__}: {error}"))
    return found


def chain_of(found: Sequence[Middleware], *, is_ours: bool = False) -> Chain:
    """
    Lay out the chain as Django's load_middleware() does, from the view outwards.

    `is_ours`: as the entry point of this package does it, for views that await.
    """
    layers = []
    is_async = True
    for one in reversed(found):
        if one.problem:
            layers.append(Layer(one.path, "unknown", is_async, 0, 0, 0, holds=False))
            continue
        factory = swapped(one.factory) if is_ours else one.factory
        can_sync = getattr(factory, "sync_capable", True)
        can_async = getattr(factory, "async_capable", False)
        behind_is_async = is_async
        is_async = False if not behind_is_async and can_sync else can_async
        methods, is_own = _methods(factory, is_async=is_async)
        layers.append(
            Layer(
                path=one.path,
                kind=_kind(can_sync, can_async),
                is_async=is_async,
                # Adapts only what comes after it. The one before it adapts this one.
                adapted=int(is_async and not behind_is_async),
                methods=methods,
                rendered=_calls(factory, "process_template_response"),
                holds=behind_is_async and not is_async,
                is_inline=is_async and _is_inline(factory),
                is_own=is_own,
            )
        )
    layers.reverse()
    if layers and not is_async:
        # Django's handler is async, and adapts the first middleware.
        first = layers[0]
        layers[0] = Layer(**{**vars(first), "adapted": first.adapted + 1})
    is_known = not any(one.problem for one in found)
    return Chain(
        layers,
        has_sync_chain=is_ours
        and is_known
        and can_be_sync([one.factory for one in found]),
    )


def djangos_hops() -> int:
    """The hops of Django's own handler: receivers of a signal, and the end."""
    return 1 + any(not one[-1] for one in signals.request_started.receivers)


def _kind(can_sync: bool, can_async: bool) -> str:
    if can_sync and can_async:
        return "both"
    return "async only" if can_async else "sync only"


def _is_inline(factory: Any) -> bool:
    return isinstance(factory, type) and issubclass(factory, Inline)


def _methods(factory: Any, *, is_async: bool) -> tuple[int, bool]:
    """The hops of a middleware's methods, and whether it may make others."""
    if is_async and _is_inline(factory):
        return 0, False
    hops = _calls(factory, "process_view")
    if not is_async:
        return hops, False
    if not isinstance(factory, type) or not issubclass(factory, MiddlewareMixin):
        return hops, True
    is_own = (
        inspect.getattr_static(factory, "__acall__")
        is not vars(MiddlewareMixin)["__acall__"]
        or inspect.getattr_static(factory, "__call__")
        is not vars(MiddlewareMixin)["__call__"]
    )
    if is_own:
        return hops, True
    around = ("process_request", "process_response")
    return hops + sum(hasattr(factory, name) for name in around), False


def _calls(factory: Any, name: str) -> int:
    """The hop in which Django's async handler calls a sync method."""
    method = getattr(factory, name, None) if isinstance(factory, type) else None
    return int(method is not None and not iscoroutinefunction(method))
