"""Tell Django's own receivers of the request signals from those of the project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal

__all__ = ["OWN", "Receivers"]

# Those that Django connects to request_started and request_finished. What they do is
# done where a worker is leased, and given back.
OWN = frozenset({close_caches, close_old_connections, reset_queries, reset_urlconf})

# What is connected to a signal where that is nothing else, as the signal has it, and as
# functions: to ask takes longer.
_own_alone: dict[Signal, tuple[list[Any], list[Callable[..., Any]]]] = {}


_NOTHING: tuple[list[Any], list[Callable[..., Any]]] = ([], [])


def _is_own(receiver: Any) -> bool:
    # Sentry's SDK puts a function around each receiver that is asked for.
    receiver = getattr(receiver, "__wrapped__", receiver)
    # One of the project's may have no hash.
    return any(receiver is own for own in OWN)


class Receivers:
    """
    Those who are to hear of a signal once, but for Django's own.

    `whole`: Django's own too, where no pool does what they do.
    """

    def __init__(self, signal: Signal, sender: type, *, whole: bool) -> None:
        self._signal = signal
        self._sender = sender
        self.sync: list[Callable[..., Any]] = []
        self.asynchronous: list[Callable[..., Any]] = []
        known, self.own = _own_alone.get(signal, _NOTHING)
        if not whole and signal.receivers == known:
            return
        found, self.asynchronous = signal._live_receivers(sender)
        theirs = [one for one in found if not _is_own(one)]
        self.sync = found if whole else theirs
        self.own = [one for one in found if _is_own(one)]
        if not theirs and len(found) == len(signal.receivers):
            _own_alone[signal] = [*signal.receivers], self.own

    def __bool__(self) -> bool:
        return bool(self.sync or self.asynchronous)

    def send_to_own(self, *, in_worker: bool) -> None:
        """Call Django's own, in this thread; a worker leaves its connections itself."""
        for receiver in self.own:
            if not (in_worker and receiver is close_old_connections):
                receiver(signal=self._signal, sender=self._sender)

    def send(self, **named: Any) -> None:
        """Call the sync ones, in this thread."""
        for receiver in self.sync:
            receiver(signal=self._signal, sender=self._sender, **named)

    async def asend(self, **named: Any) -> None:
        """Await the async ones, on the event loop."""
        for receiver in self.asynchronous:
            await receiver(signal=self._signal, sender=self._sender, **named)
