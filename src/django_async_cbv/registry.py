"""What is known of each hook of Django's, and how ours are told from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction

from .flow import Call

__all__ = [
    "HOOKS",
    "SUPER",
    "TWINS",
    "Bridge",
    "Hook",
    "Mark",
    "Override",
    "handler_names",
    "is_async_function",
    "is_library",
    "mark_of",
]

# In `calls`: that Django's function goes on to the next definition in the MRO.
SUPER = "super()"

# Django's functions that have a twin of ours, and the names of all hooks, each
# with its twin's (handlers are not among the names: they have one for both).
TWINS: dict[Any, Hook] = {}
HOOKS: dict[str, str] = {}


class Mark:
    """What our functions carry as `_twin`, to be known by, and known again."""

    entry: Callable[..., Any]
    # What it stands for: Django's, or the user's.
    function: Any


def mark_of(function: Any) -> Mark | None:
    """The mark of a function that is ours, None for all others."""
    mark = getattr(function, "_twin", None)
    # functools.wraps() copies attributes: a decorated twin is not a twin.
    return mark if isinstance(mark, Mark) and mark.entry is function else None


@dataclass(eq=False)
class Hook(Mark):
    """A hook or handler at one level of Django's views, as its twin declares it."""

    entry: Callable[..., Any]
    function: Any
    body: Callable[..., Any]
    calls: Sequence[str] | None
    pure: bool | Callable[[Any], bool]
    is_handler: bool
    # Whether the body runs even where nothing that it calls is async.
    always: bool = False

    @property
    def name(self) -> str:
        """Django's name of the hook."""
        return str(self.function.__name__)

    @property
    def aname(self) -> str:
        """The twin's own name; a handler's is Django's."""
        return self.name if self.is_handler else self.entry.__name__


@dataclass(eq=False)
class Override(Mark):
    """A user's own handler or dispatch(), made callable from both colours."""

    entry: Callable[..., Any]
    function: Callable[..., Any]


@dataclass(eq=False)
class Bridge(Mark):
    """A sync hook that waits for the async override of its twin."""

    entry: Callable[..., Any]
    aname: str
    function: None = None

    def step(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """In a body nothing has to wait: the call of the twin, which is awaited."""
        return Call(getattr(view, self.aname), args, kwargs)


def handler_names(cls: type) -> list[str]:
    """The methods of a view that have one name for both colours."""
    methods = getattr(cls, "http_method_names", ())
    return [*methods, "http_method_not_allowed", "dispatch"]


def is_async_function(value: Any) -> bool:
    """Whether a class attribute is a coroutine function."""
    mark = mark_of(value)
    if isinstance(mark, Override):
        value = mark.function
    return iscoroutinefunction(getattr(value, "__func__", value))


def is_library(cls: type) -> bool:
    """Whether a class is one of this package's own."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]
