"""What is known of each hook of Django's, and how ours are told from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partialmethod
from types import CodeType, FunctionType
from typing import Any

from asgiref.sync import iscoroutinefunction

from .flow import Call, Mark

__all__ = [
    "ANAMES",
    "DECLARED",
    "HOOKS",
    "SUPER",
    "TWINS",
    "Bridge",
    "Declared",
    "Hook",
    "Mark",
    "Override",
    "StandIn",
    "SyncAsked",
    "handler_names",
    "is_async_function",
    "is_bridge",
    "is_descriptor",
    "is_library",
    "mark_at",
    "mark_of",
    "names_read",
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
# The names of all twins, each with its hook's.
ANAMES: dict[str, str] = {}
# What the hooks of this package's own sync views declare: see hooks.hook().
DECLARED: dict[Any, Declared] = {}


def mark_of(function: Any) -> Mark | None:
    """The mark of a function that is ours, None for all others."""
    mark = getattr(function, "_twin", None)
    # functools.wraps() copies attributes: a decorated twin is not a twin.
    return mark if isinstance(mark, Mark) and mark.entry is function else None


class StandIn:
    """What stands in a class for an attribute of the user's, and passes it on."""

    value: Any = None


def is_bridge(value: Any) -> bool:
    """Whether an attribute of a class or of a view is a bridge of ours."""
    return isinstance(mark_of(getattr(value, "__func__", value)), Bridge)


def is_descriptor(value: Any) -> bool:
    """Whether to read a class attribute runs code: a property, and its like."""
    if isinstance(value, StandIn):
        value = value.value
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


@dataclass(frozen=True)
class Declared:
    """What is said of a hook once, for its sync and its async variant."""

    # A generator where the hook calls others.
    body: Callable[..., Any]
    calls: Sequence[str] | None
    pure: bool | Callable[[Any], bool]
    always: bool


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
    # Whether the body is the sync function's too, and names the sync hooks.
    is_shared: bool = False
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

    @cached_property
    def reads(self) -> frozenset[str]:
        """The attributes that Django's function reads, or the body, or `pure`."""
        return frozenset().union(
            *map(names_read, (self.function, self.body, self.pure))
        )

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


@dataclass(eq=False)
class SyncAsked(Mark):
    """The async variant of an access check that runs a sync override of that."""

    entry: Callable[..., Any]
    function: None = None

    def step(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """It is awaited as any coroutine function is."""
        return Call(self.entry, (view, *args), kwargs)


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
            Mark.slots[cls, made.aname] = made
            if made.owner is not None:
                Mark.slots[made.owner, made.name] = made


def slot(klass: type, name: str) -> Hook | None:
    """The twin that a class defines under a name, or the function of which it does."""
    return Mark.slots.get((klass, name))


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
