"""
Twins of Django's hooks: what a call of each comes to in a class, and which classes are refused.

A hook `get_queryset()` has an async twin `aget_queryset()`, and a class may
override either. What a call of the twin comes to is worked out once a class,
from the MRO and from the call graph of Django's hooks that is declared beside
each twin:

- the twin is overridden: Python's own lookup finds that override first;
- nothing that the call would reach is async: the nearest sync definition, the
  user's or Django's own, runs in the worker with all that it calls, or inline
  where all of it is known to do no I/O;
- only something below it is async: the twin's *lifted* body runs. It says what
  Django's says, and calls the twins of what Django's calls.

Handlers and dispatch() have one name for both colours. Called in sync code they
give a response, on the event loop a coroutine.

No override is skipped: a class with an async override also gets a sync hook
that waits for it (a bridge), for Django's and others' sync code; and a class
in which one override would hide another of the other colour is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from .flow import Body, Call, finish
from .sync import loop_is_running, wait_for

if TYPE_CHECKING:
    from ._types import TwinDecorator

__all__ = ["Twin", "Twins", "handler", "plan_of", "prepare", "twin"]

# In `calls`: that Django's function goes on to the next definition in the MRO.
SUPER = "super()"

# Django's functions that have a twin of ours, and the names of all hooks, each
# with its twin's (handlers are not among the names: they have one for both).
TWINS: dict[Any, Twin] = {}
HOOKS: dict[str, str] = {}
_ANAMES: set[str] = set()


class Mark:
    """What our functions carry as `_twin`, to be known by, and known again."""

    entry: Callable[..., Any]
    # What it stands for: Django's, or the user's.
    function: Any

    def step(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call of the function on `view` comes to: a Call or a body."""
        raise NotImplementedError


def mark_of(function: Any) -> Mark | None:
    """The mark of a function that is ours, None for all others."""
    mark = getattr(function, "_twin", None)
    # functools.wraps() copies attributes: a decorated twin is not a twin.
    return mark if isinstance(mark, Mark) and mark.entry is function else None


@dataclass(eq=False)
class Twin(Mark):
    """A hook or handler at one level of Django's views, and our twin of it."""

    entry: Callable[..., Any]
    function: Any
    body: Callable[..., Any]
    calls: Sequence[str] | None
    pure: bool | Callable[[Any], bool]
    is_handler: bool

    @property
    def name(self) -> str:
        """Django's name of the hook."""
        return str(self.function.__name__)

    @property
    def aname(self) -> str:
        """The twin's own name; a handler's is Django's."""
        return self.name if self.is_handler else self.entry.__name__

    def step(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A body where the call has to be lifted, else the sync call."""
        if awaited := vars(view).keys() & _ANAMES:
            _adopt(view, awaited)
        if not self.is_handler:
            own = vars(view).get(self.name)
            if own is not None:
                return Call(own, args, kwargs)
        choice = plan_of(type(view)).choice(self)
        if choice.lifted:
            return self.body(view, *args, **kwargs)
        return Call(
            bind(choice.function, view),
            args,
            kwargs,
            inline=choice.is_pure(view),
            response=self.is_handler,
        )


@dataclass(eq=False)
class Override(Mark):
    """A user's own handler or dispatch(), made callable from both colours."""

    entry: Callable[..., Any]
    function: Callable[..., Any]

    def step(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call of the user's function, of whichever colour it is."""
        return Call(bind(self.function, view), args, kwargs, response=True)


@dataclass(eq=False)
class Bridge(Mark):
    """A sync hook that waits for the async override of its twin."""

    entry: Callable[..., Any]
    function: None = None


def bind(function: Any, view: Any) -> Any:
    """What `view.name` would be, were `function` its class's attribute."""
    get = getattr(type(function), "__get__", None)
    return function if get is None else get(function, view, type(view))


def twin_or_hook(view: Any, name: str) -> Any:
    """
    The twin of a hook that another mixin is to bring, or the hook itself.

    A sync mixin that is not ours (a JSON response, say) brings no twin.
    """
    return getattr(view, HOOKS.get(name, name), None) or getattr(view, name)


def after(level: type, view: Any, name: str) -> Any:
    """
    What `super()` meets in the class `level` of Django's, from our twin of it.

    Django's class stands behind ours in the MRO, with a handler of the same
    name: a plain super() in ours would do its work over again.
    """
    return getattr(super(level, view), name)


def twin(
    function: Callable[..., Any],
    *,
    calls: Sequence[str] = (),
    pure: bool | Callable[[Any], bool] = False,
) -> TwinDecorator:
    """
    Make a method the async twin of Django's hook `function`.

    The method is the lifted body, a generator of calls (see flow.call), for
    when something that the hook calls is overridden async. Where Django's hook
    calls no other, there is nothing to lift: then it is an `async def` without
    a body, for its signature and docstring.

    `calls`: the hooks that Django's function calls on self, through private
    methods too, and SUPER. `pure`: whether Django's function does no I/O, so
    that it may run on the event loop, given that all it calls is Django's own.
    """

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        async def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await finish(Call(bind(entry, self), args, kwargs))

        _register(Twin(entry, function, method, calls, pure, is_handler=False))
        return entry

    return decorate


def handler(
    function: Callable[..., Any],
    *,
    calls: Sequence[str] | None = (),
    pure: bool | Callable[[Any], bool] = False,
) -> Any:
    """
    Make a method stand for Django's handler `function` in both colours.

    As twin(), under Django's own name: on the event loop a call gives a
    coroutine, in sync code (the `super().get()` of a sync override, Django's
    View.dispatch()) it gives the response. `calls` is None where what is called
    is known at run time only: then the body always runs. What a type checker
    sees of it is said in views/_handlers.py, for each name.
    """

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return finish(Call(bind(entry, self), args, kwargs, response=True))

        _register(Twin(entry, function, method, calls, pure, is_handler=True))
        return entry

    return decorate


def _register(made: Twin) -> None:
    made.entry._twin = made  # type: ignore[attr-defined]
    TWINS[made.function] = made
    if not made.is_handler:
        HOOKS[made.name] = made.aname
        _ANAMES.add(made.aname)


def _adopt(view: Any, names: set[str]) -> None:
    """
    Give a view with async hooks of its own a class that has them.

    as_view(aget_queryset=...), setup() or a mock may have put them there. With
    a class they are in the plan and have bridges, as any override.
    """
    cls = type(view)
    hooks = {name: vars(view)[name] for name in names}
    has = {name: getattr(vars(cls).get(name), "__func__", None) for name in names}
    if has != hooks:
        namespace = {name: staticmethod(hook) for name, hook in hooks.items()}
        made = type(cls.__name__, (cls,), {"__module__": cls.__module__, **namespace})
        view.__class__ = made


class Choice:
    """What calls of one twin come to in one class."""

    __slots__ = ("_checks", "function", "lifted")

    def __init__(
        self,
        function: Any,
        *,
        lifted: bool,
        checks: Sequence[Callable[[Any], bool]] | None,
    ) -> None:
        self.function = function
        self.lifted = lifted
        self._checks = checks

    def is_pure(self, view: Any) -> bool:
        """Whether the call does no I/O on this very view."""
        return (
            self._checks is not None
            and not (vars(view).keys() & HOOKS.keys())
            and all(check(view) for check in self._checks)
        )


class Plan:
    """What the twins of one class come to, and where its overrides stand."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.mro = cls.__mro__
        self._choices: dict[Twin, Choice] = {}
        self._is_async: dict[tuple[str, int], bool] = {}
        # Hooks with an async override: no sync one may be put on an instance.
        self.async_hooks = frozenset(
            name for name in HOOKS if self.async_overrides(name)
        )

    def choice(self, made: Twin) -> Choice:
        """What a call of a twin of this class comes to."""
        found = self._choices.get(made)
        if found is None:
            function = self._nearest(made)
            ours = function is made.function
            found = self._choices[made] = Choice(
                function,
                lifted=ours and self._below_is_async(made),
                checks=self._purity(made) if ours else None,
            )
        return found

    def level(self, value: Any) -> Twin | None:
        """The twin of a Django function that this class has the twin of."""
        made = TWINS.get(value) if isinstance(value, FunctionType) else None
        if made is None or getattr(self.cls, made.aname, None) is None:
            return None
        has = any(vars(klass).get(made.aname) is made.entry for klass in self.mro)
        return made if has else None

    def async_overrides(self, name: str) -> list[type]:
        """The classes that override a hook under its twin's name, nearest first."""
        aname = HOOKS[name]
        return [
            klass
            for klass in self.mro
            if aname in vars(klass) and mark_of(vars(klass)[aname]) is None
        ]

    def sync_overrides(self, name: str) -> list[type]:
        """The classes that override a hook under its own name, nearest first."""
        return [
            klass
            for klass in self.mro
            if (value := vars(klass).get(name)) is not None
            and mark_of(value) is None
            and self.level(value) is None
        ]

    def _nearest(self, made: Twin) -> Any:
        """
        The sync function that a call at this twin's level runs.

        Upwards from Django's own function to what has had its turn already:
        the level above, an async override (whose super() the call is), or, of a
        handler, the twin itself (a sync override above called it by super()).
        """
        function = made.function
        for klass in reversed(self.mro[: self._place(made.name, made.function)]):
            own = vars(klass)
            if made.is_handler:
                if own.get(made.name) is made.entry:
                    break
            elif made.aname in own and mark_of(own[made.aname]) is None:
                break
            value = own.get(made.name)
            if value is None or mark_of(value) is not None:
                continue
            if self.level(value) is not None:
                break
            function = value
        return function

    def _place(self, name: str, function: Any) -> int:
        """Where in the MRO a function is defined."""
        for place, klass in enumerate(self.mro):
            if vars(klass).get(name) is function:
                return place
        return len(self.mro)

    def _below_is_async(self, made: Twin) -> bool:
        """Whether anything that Django's function calls is overridden async."""
        if made.calls is None:
            return True
        return any(
            self.is_async(made.name, self._place(made.name, made.function) + 1)
            if name == SUPER
            else self.is_async(name)
            for name in made.calls
        )

    def is_async(self, name: str, start: int = 0) -> bool:
        """
        Whether a call of a hook reaches an async override by way of Django's code.

        Behind a sync override it does not: that one is called in a worker
        whatever it calls, and meets async overrides by their bridges.
        """
        key = (name, start)
        if key not in self._is_async:
            self._is_async[key] = False  # for a call graph that comes round
            self._is_async[key] = self._finds_async(name, start)
        return self._is_async[key]

    def _finds_async(self, name: str, start: int) -> bool:
        aname = HOOKS.get(name)
        for klass in self.mro[start:]:
            own = vars(klass)
            if aname and aname in own and mark_of(own[aname]) is None:
                return True
            value = own.get(name)
            mark = mark_of(value)
            if value is None or isinstance(mark, Twin | Bridge):
                continue
            made = self.level(value)
            if made is None:
                return aname is None and is_async_function(value)
            calls = made.calls or ()
            if any(self.is_async(called) for called in calls if called != SUPER):
                return True
            if SUPER not in calls:
                return False
        return False

    def _purity(self, made: Twin) -> list[Callable[[Any], bool]] | None:
        """What has to hold for Django's function to do no I/O; None if nothing can."""
        checks: list[Callable[[Any], bool]] = []
        todo = [made]
        seen = set()
        while todo:
            one = todo.pop()
            if one in seen:
                continue
            seen.add(one)
            if one.pure is False:
                return None
            if callable(one.pure):
                checks.append(one.pure)
            for name in one.calls or ():
                if name == SUPER:
                    start = self._place(one.name, one.function) + 1
                    below = self._first(one.name, start)
                else:
                    below = self._first(name, 0)
                if below is None:
                    return None
                todo.append(below)
        return checks

    def _first(self, name: str, start: int) -> Twin | None:
        """The twin of the definition that a call meets, if that is Django's own."""
        for klass in self.mro[start:]:
            own = vars(klass)
            aname = HOOKS.get(name)
            if aname and aname in own and mark_of(own[aname]) is None:
                return None
            value = own.get(name)
            if value is None or isinstance(mark_of(value), Twin | Bridge):
                continue
            return self.level(value)
        return None


class Sources:
    """The class attributes that a plan was made from, to see them change."""

    def __init__(self, cls: type) -> None:
        self._mro = cls.__mro__
        names = {*HOOKS, *HOOKS.values(), *handler_names(cls)}
        self._spaces = [vars(klass) for klass in self._mro]
        self._found = [
            (space, name) for space in self._spaces for name in names & space.keys()
        ]
        self._state = self._look()

    def _look(self) -> tuple[list[int], list[Any]]:
        return (
            [len(space) for space in self._spaces],
            [space.get(name) for space, name in self._found],
        )

    def changed(self, cls: type) -> bool:
        """Whether an attribute has been put on a class, taken off or replaced."""
        return cls.__mro__ is not self._mro or self._look() != self._state


def plan_of(cls: type, *, verify: bool = False) -> Plan:
    """
    The plan of a class, made at its first use and kept on it.

    `verify`: make it anew if an attribute that it was made from has changed
    since, as a decorator or mock.patch() on a class does.
    """
    found: tuple[Plan, Sources] | None = vars(cls).get("_plan")
    if found is None or (verify and found[1].changed(cls)):
        prepare(cls)
        # On the class and not in a table of ours, so that both go together.
        cls._plan = None  # type: ignore[attr-defined]
        found = cls._plan = (Plan(cls), Sources(cls))  # type: ignore[attr-defined]
    return found[0]


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


def prepare(cls: type) -> None:
    """Give a user's class its bridges, and its own handlers both colours."""
    if is_library(cls):
        return
    for base in cls.__bases__:
        # A class decorator puts its dispatch() on a class that is made already.
        if issubclass(base, Twins):
            prepare(base)
    for name, aname in HOOKS.items():
        for klass in cls.__mro__:
            own = vars(klass)
            if name in own:
                break  # both colours, a bridge already, or sync above async
            if aname in own and mark_of(own[aname]) is None:
                if hasattr(cls, name):
                    setattr(cls, name, _bridge(name, aname))
                break
    if hasattr(cls, "as_view"):
        for name in handler_names(cls):
            owner = next((base for base in cls.__mro__ if name in vars(base)), None)
            value = vars(owner).get(name) if owner is not None else None
            if not isinstance(value, FunctionType) or mark_of(value) is not None:
                continue
            if owner is cls:
                setattr(cls, name, _override(value))
            elif value not in TWINS:
                # A plain mixin's: what is derived from `cls` meets it in both
                # colours too.
                setattr(cls, name, _override(_passing_on(cls, name, value)))


def _bridge(name: str, aname: str) -> Callable[..., Any]:
    def bridge(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if loop_is_running():
            view = type(self).__qualname__
            raise RuntimeError(
                f"{view}.{name}() was called on the event loop, and its override "
                f"{aname}() is async; await self.{aname}() instead."
            )
        return wait_for(getattr(self, aname), *args, **kwargs)

    bridge.__name__ = name
    bridge.__doc__ = f"Wait for `{aname}()`, which this class overrides."
    bridge._twin = Bridge(bridge)  # type: ignore[attr-defined]
    return bridge


def _override(function: Callable[..., Any]) -> Callable[..., Any]:
    is_async = iscoroutinefunction(function)

    @functools.wraps(function)
    def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not is_async and not loop_is_running():
            return function(self, *args, **kwargs)
        return finish(
            Call(bind(function, self), args, kwargs, response=True),
            as_coroutine=is_async,
        )

    if is_async:
        markcoroutinefunction(entry)
    entry._twin = Override(entry, function)  # type: ignore[attr-defined]
    return entry


def _passing_on(
    cls: type, name: str, function: Callable[..., Any]
) -> Callable[..., Any]:
    """A method of `cls` that is what it inherits."""
    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def inherited(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await getattr(super(cls, self), name)(*args, **kwargs)

    else:

        @functools.wraps(function)
        def inherited(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            # By a name, so that it is known for a tail call (see tail.py).
            method = getattr(super(cls, self), name)
            return method(*args, **kwargs)

    return inherited


class Twins:
    """The base of all our mixins and views: prepares the classes made from them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        prepare(cls)

    def __class_getitem__(cls, item: Any) -> type:
        """Allow `AsyncListView[Book]` at run time, where it means nothing."""
        return cls
