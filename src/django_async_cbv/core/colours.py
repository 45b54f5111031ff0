"""Tell whether a view has something to await, before it is called."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from asgiref.sync import iscoroutinefunction

__all__ = ["BothColours", "awaits", "both_colours"]


class BothColours:
    """A view that answers async callers with a coroutine, and sync ones as sync."""

    __slots__ = ()

    def awaits(self, method: str) -> bool:
        """
        Whether it may have something to await for requests of this method.

        Of a class that was changed since its last request, it is what held before.
        """
        raise NotImplementedError

    def as_sync(self) -> Callable[..., Any] | None:
        """A sync function for it, or None where sync callers get a coroutine too."""
        raise NotImplementedError

    async def answer(
        self,
        request: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        finish: Callable[[Any], Any] | None = None,
    ) -> Any:
        """
        Answer a request.

        `finish` is called with a response that is to be rendered, in the hop that the
        view is in at its end.
        """
        raise NotImplementedError


def both_colours(view: Any) -> BothColours | None:
    """The view of both colours that this is, or that an agent's proxy stands before."""
    kind = type(view)
    while not issubclass(kind, BothColours):
        # A function from functools.wraps() may do anything. A proxy of wrapt calls the
        # view.
        if kind is FunctionType or not hasattr(kind, "__wrapped__"):
            return None
        view = view.__wrapped__
        kind = type(view)
    return view  # type: ignore[no-any-return]  # one of those


def awaits(view: Any, method: str) -> bool:
    """Whether a view is to be called on the event loop for requests of this method."""
    found = both_colours(view)
    if found is not None:
        return found.awaits(method)
    return iscoroutinefunction(view)
