"""What is known of each hook of Django's, and how ours are told from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from asgiref.sync import iscoroutinefunction

from .flow import Call, Mark

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
    "mark_at",
    "mark_of",
    "pristine",
    "settle",
    "slot",
]

# In `calls`: that Django's function goes on to the next definition in the MRO.
SUPER = "super()"

# Django's functions that have a twin of ours, and the names of all hooks, each
# with its twin's (handlers are not among the names: they have one for both).
TWINS: dict[Any, Hook] = {}
HOOKS: dict[str, str] = {}

# Where each twin is defined, and where the function of Django's that it is of: what is
# found there later, and is neither, is a wrapper that an agent or a spy has put there.
_SLOTS: dict[tuple[type, str], Hook] = {}


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
    # The classes that define the twin and the function, once they are made.
    home: type | None = None
    owner: type | None = None
    # Of a handler, both are Django's.
    name: str = field(init=False)
    aname: str = field(init=False)

    def __post_init__(self) -> None:
        self.aname = self.entry.__name__
        # Not the function's own: a wrapper that stood in its place before this
        # package was imported may have any.
        private, _, rest = self.aname.partition("a")
        self.name = self.aname if self.is_handler else private + rest

    def standing(self) -> Any:
        """What stands in the place of Django's function: that itself, or a wrapper."""
        return vars(self.owner).get(self.name, self.function)

    def is_wrapped(self) -> bool:
        """Whether a wrapper stands in the place of Django's function."""
        # One that hid the function before this package was imported is known by
        # the module that it is from.
        return self.standing() is not self.function or (
            self.owner is not None and self.function.__module__ != self.owner.__module__
        )


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


def pristine(function: Any) -> Any:
    """The function that Django wrote, under what was wrapped around it."""
    while (
        type(function) is not FunctionType
        or function.__globals__.get("__name__") != function.__module__
    ) and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def settle(cls: type) -> None:
    """Note where the twins of a class of this package are, and what they are of."""
    for value in vars(cls).values():
        made = mark_of(value)
        if isinstance(made, Hook):
            made.home = cls
            made.owner = next(
                (base for base in cls.__mro__[1:] if made.name in vars(base)), None
            )
            _SLOTS[cls, made.aname] = made
            if made.owner is not None:
                _SLOTS[made.owner, made.name] = made


def slot(klass: type, name: str) -> Hook | None:
    """The twin that a class defines under a name, or the function of which it does."""
    return _SLOTS.get((klass, name))


def mark_at(klass: type, name: str) -> Mark | None:
    """The mark of what a class defines, also where that is a wrapper of a twin."""
    value = vars(klass).get(name)
    mark = mark_of(value)
    if mark is None and value is not None:
        made = slot(klass, name)
        return made if made is not None and made.home is klass else None
    return mark


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
