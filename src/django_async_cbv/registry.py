"""What is known of each hook of Django's, and how ours are told from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partialmethod
from types import CodeType, FunctionType
from typing import Any

from asgiref.sync import iscoroutinefunction

from .flow import Call

__all__ = [
    "ANAMES",
    "HOOKS",
    "SUPER",
    "TWINS",
    "Bridge",
    "Hook",
    "Mark",
    "Override",
    "handler_names",
    "is_async_function",
    "is_bridge",
    "is_descriptor",
    "is_library",
    "mark_of",
    "names_read",
]

# In `calls`: that Django's function goes on to the next definition in the MRO.
SUPER = "super()"

# Django's functions that have a twin of ours, and the names of all hooks, each
# with its twin's (handlers are not among the names: they have one for both).
TWINS: dict[Any, Hook] = {}
HOOKS: dict[str, str] = {}
# The names of all twins, each with its hook's.
ANAMES: dict[str, str] = {}


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


def is_bridge(value: Any) -> bool:
    """Whether an attribute of a class or of a view is a bridge of ours."""
    return isinstance(mark_of(getattr(value, "__func__", value)), Bridge)


def is_descriptor(value: Any) -> bool:
    """Whether to read a class attribute runs code: a property, and its like."""
    return hasattr(type(value), "__get__") and not isinstance(
        value, FunctionType | classmethod | staticmethod | partialmethod | type
    )


def names_read(function: Any) -> set[str]:
    """The attributes that a function reads, with all that it calls of its module."""
    names: set[str] = set()
    todo = [getattr(function, "__code__", None)]
    space = getattr(function, "__globals__", {})
    module = getattr(function, "__module__", None)
    seen = set()
    while todo:
        code = todo.pop()
        if not isinstance(code, CodeType) or code in seen:
            continue
        seen.add(code)
        names.update(code.co_names)
        todo += code.co_consts
        for name in code.co_names:
            helpers = [space.get(name)]
            # Private methods, which are no hooks.
            helpers += [
                vars(one).get(name)
                for one in space.values()
                if isinstance(one, type) and one.__module__ == module
            ]
            todo += [
                one.__code__
                for one in helpers
                if isinstance(one, FunctionType)
                and one.__module__ == module
                and one not in TWINS
            ]
    return names


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

    @cached_property
    def reads(self) -> frozenset[str]:
        """The attributes that Django's function reads, or the body, or `pure`."""
        return frozenset().union(
            *map(names_read, (self.function, self.body, self.pure))
        )

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
