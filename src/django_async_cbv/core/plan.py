"""Work out what calls of twins come to in a class, by its MRO and the call graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from types import FunctionType, MappingProxyType
from typing import Any

from django.views.generic.base import View

from .foreign import reads_only_django
from .hooks import (
    HOOKS,
    SUPER,
    TWINS,
    Bridge,
    Definitions,
    Hook,
    handler_names,
    hooks_overridden_async,
    is_async_function,
    is_bridge,
    is_descriptor,
    is_of_a_framework,
    mark_at,
    slot,
)
from .marks import mark_of

__all__ = ["Choice", "Fingerprint", "Plan"]


class Choice:
    """What calls of one twin come to in one class."""

    __slots__ = (
        "_checks",
        "_is_djangos_alone",
        "asks",
        "called",
        "function",
        "in_worker",
        "is_sync",
        "is_wrapper",
        "lifted",
    )

    def __init__(
        self,
        function: Any,
        *,
        lifted: bool,
        is_wrapper: bool,
        in_worker: bool,
        checks: Sequence[Callable[[Any], bool]] | None,
        called: Sequence[tuple[Any, str]] = (),
        asks: Callable[[Any], bool] | None = None,
        is_djangos_alone: bool = False,
    ) -> None:
        self.function = function
        self._is_djangos_alone = is_djangos_alone
        # The values in the class for the hooks that a shared body names.
        self.called = called
        # Whether the body reads a property, or another descriptor, of the class.
        self.in_worker = in_worker
        # Known only for a plain function. Another callable is asked at each call.
        self.is_sync = type(function) is FunctionType and not is_async_function(
            function
        )
        self.lifted = lifted
        # Tells whether the body runs for a view.
        self.asks = asks
        # Whether an agent has replaced Django's function.
        self.is_wrapper = is_wrapper
        self._checks = checks

    def is_pure(self, view: Any) -> bool:
        """Whether the call does no I/O on this very view."""
        return (
            self._checks is not None
            and _has_no_hooks(view)
            and all(check(view) for check in self._checks)
        )

    def is_djangos_alone(self, view: Any) -> bool:
        """Whether the call runs none of the project's code on this very view."""
        return (
            self._is_djangos_alone and _has_no_hooks(view) and reads_only_django(view)
        )


# Attributes that each class has.
_OF_CLASSES = {"__annotate_func__", "__annotate__"}


def _has_no_hooks(view: Any) -> bool:
    """Whether none of the sync hooks of a view is an attribute of its own."""
    own = vars(view)
    return all(is_bridge(own[name]) for name in own.keys() & HOOKS)


class Plan:
    """
    What the twins of one class come to, and where its overrides stand.

    `own`: the names of twins that a view of this class has as attributes, nearer
    than any class.
    """

    def __init__(self, cls: type, own: frozenset[str] = frozenset()) -> None:
        self.cls = cls
        self.mro = cls.__mro__
        self.own = own
        self._by_own: dict[frozenset[str], Plan] = {}
        # Properties and other descriptors of the class. Reading one may do I/O, as an
        # override may.
        self.descriptors = frozenset(_descriptors(self.mro))
        self.definitions = Definitions(cls)
        self._choices: dict[Hook, Choice] = {}
        self._is_async: dict[tuple[str, int], bool] = {}
        self._awaits: dict[str, bool] = {}
        # Hooks with an async override. A sync function on an instance would be skipped.
        self.async_hooks = frozenset(hooks_overridden_async(cls))

    def with_own(self, names: frozenset[str]) -> Plan:
        """The plan for views that have twins of their own, as attributes."""
        if not names:
            return self
        if names not in self._by_own:
            self._by_own[names] = Plan(self.cls, names)
        return self._by_own[names]

    @cached_property
    def has_async_handler(self) -> bool:
        """Whether sync code gets a coroutine of the view, as of Django's: see View."""
        methods = {*getattr(self.cls, "http_method_names", ()), "dispatch"}
        return any(
            is_async_function(getattr(self.cls, name, None))
            for name in methods - {"options"}
        )

    @cached_property
    def is_untouched(self) -> bool:
        """Whether a project's classes bring no sync code, nor what runs some."""
        return not self.descriptors and all(
            name in _OF_CLASSES
            or mark_of(value) is not None
            or is_async_function(value)
            or not callable(getattr(value, "__func__", value))
            or isinstance(value, type)
            for klass in self.mro
            if not is_of_a_framework(klass)
            for name, value in vars(klass).items()
        )

    def awaits(self, method: str) -> bool:
        """Whether a request of this HTTP method may come to something to await."""
        found = self._awaits.get(method)
        if found is None:
            found = self._awaits[method] = self._finds_await(method.lower())
        return found

    def _finds_await(self, name: str) -> bool:
        if name == "head" and not hasattr(self.cls, name):
            name = "get"
        names: Sequence[str] = self.cls.http_method_names  # type: ignore[attr-defined]
        if name not in names or not hasattr(self.cls, name):
            name = "http_method_not_allowed"
        if any(
            is_async_function(getattr(self.cls, one, None))
            for one in ("dispatch", name)
        ):
            return True
        if not (self.async_hooks or self.own):
            return False
        for klass in self.mro:
            if klass is View:
                break
            hook = self.hook_at(klass, "dispatch")
            if not (hook is None or hook.calls is None):
                if any(self.is_async(one) for one in hook.calls if one != SUPER):
                    return True
            elif "dispatch" in vars(klass) and not is_of_a_framework(klass):
                # Nobody knows what the user's sync code calls.
                return True
        return bool(self.sync_overrides(name)) or self.is_async(name)

    def reads_descriptors(self, names: Iterable[str]) -> bool:
        """Whether any of these attributes is one that the class gives as a property."""
        return not self.descriptors.isdisjoint(names)

    def choice(self, hook: Hook) -> Choice:
        """What a call of a twin of this class comes to."""
        found = self._choices.get(hook)
        if found is None:
            function = self._nearest(hook)
            is_djangos = function is hook.standing()
            ours = is_djangos and not hook.is_wrapped()
            known = ours and hook.is_known
            if ours and not known and hook.unlifted is not None:
                function = hook.unlifted(function)
            checks = self._purity(hook) if known else None
            # On the event loop, Django's function would get a coroutine from the
            # handler that it calls.
            on_loop = checks is not None and _calls_handlers(hook)
            in_worker = self._reads_descriptors(hook)
            needed = on_loop or self.below_is_async(hook)
            always = None if needed or in_worker else hook.always
            found = self._choices[hook] = Choice(
                function,
                lifted=known and (needed or bool(hook.always)),
                asks=always if callable(always) else None,
                is_wrapper=is_djangos and not ours,
                in_worker=in_worker,
                checks=checks,
                called=list(self._called(hook)) if hook.is_shared else (),
                is_djangos_alone=ours and self.is_untouched,
            )
        return found

    def _called(self, hook: Hook) -> Iterator[tuple[Any, str]]:
        """The attributes by which sync code calls the hooks that a hook calls."""
        for called in hook.calls or ():
            name, start = called, 0
            if called == SUPER:
                name, start = hook.name, self.place(hook) + 1
            if name not in HOOKS:
                continue
            for klass in self.mro[start:]:
                value = vars(klass).get(name)
                if value is not None:
                    if isinstance(value, classmethod | staticmethod):
                        value = value.__func__
                    yield value, called
                    break

    def _reads_descriptors(self, hook: Hook) -> bool:
        names = hook.reads
        if hook.calls is None:
            # Only the request tells which handler.
            names = names.union(handler_names(self.cls))
        return self.reads_descriptors(names)

    def hook_for(self, value: Any) -> Hook | None:
        """The twin of a Django function that this class has the twin of."""
        # Not isinstance() and not `==`, because a proxy of wrapt passes for the
        # function behind it.
        hook = TWINS.get(value) if type(value) is FunctionType else None
        if hook is None or getattr(self.cls, hook.aname, None) is None:
            return None
        return hook if hook.home in self.mro else None

    def hook_at(self, klass: type, name: str) -> Hook | None:
        """As hook_for(), of what a class defines, also where that is a wrapper."""
        hook = slot(klass, name)
        if hook is not None and hook.owner is klass:
            return hook if hook.home in self.mro else None
        return self.hook_for(vars(klass).get(name))

    def async_overrides(self, name: str) -> list[type]:
        """The classes that override a hook under its twin's name, nearest first."""
        aname = HOOKS[name]
        return [
            klass
            for klass in self.definitions.of(aname)
            if mark_at(klass, aname) is None
        ]

    def sync_overrides(self, name: str) -> list[type]:
        """The classes that override a hook under its own name, nearest first."""
        return [
            klass
            for klass in self.definitions.of(name)
            if vars(klass)[name] is not None
            and mark_at(klass, name) is None
            and self.hook_at(klass, name) is None
        ]

    def _nearest(self, hook: Hook) -> Any:
        """
        The sync function that a call at this twin's level runs.

        Upwards from Django's own function to what has had its turn already:
        the level above, an async override (whose super() the call is), or, of a
        handler, the twin itself (a sync override above called it by super()).
        What is wrapped around a twin has had its turn, and is none of these.
        """
        function = hook.standing()
        for klass in reversed(self.mro[: self.place(hook)]):
            own = vars(klass)
            if hook.is_handler:
                if klass is hook.home or own.get(hook.name) is hook.wrapper:
                    break
            elif hook.aname in own and mark_at(klass, hook.aname) is None:
                break
            value = own.get(hook.name)
            if value is None or mark_at(klass, hook.name) is not None:
                continue
            if self.hook_at(klass, hook.name) is not None:
                break
            function = value
        return function

    def place(self, hook: Hook) -> int:
        """Where in the MRO the function is defined that a twin is of."""
        if hook.owner in self.mro:
            return self.mro.index(hook.owner)
        return len(self.mro)

    def below_is_async(self, hook: Hook) -> bool:
        """Whether anything that Django's function calls is overridden async."""
        if hook.calls is None:
            return True
        return any(
            self.is_async(hook.name, self.place(hook) + 1)
            if name == SUPER
            else self.is_async(name)
            for name in hook.calls
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
            self._is_async[key] = (
                not start and HOOKS.get(name) in self.own
            ) or self._finds_async(name, start)
        return self._is_async[key]

    def _finds_async(self, name: str, start: int) -> bool:
        aname = HOOKS.get(name)
        for klass in self.mro[start:]:
            own = vars(klass)
            if aname and aname in own and mark_of(own[aname]) is None:
                return True
            value = own.get(name)
            if aname is None and is_async_function(value):
                return True
            if value is None or isinstance(mark_at(klass, name), Hook | Bridge):
                continue
            hook = self.hook_for(value)
            # Without `calls`, only the request tells which handler.
            if hook is None or hook.calls is None:
                return hook is not None
            calls = hook.calls
            if any(self.is_async(called) for called in calls if called != SUPER):
                return True
            if SUPER not in calls:
                return False
        return False

    def _purity(self, hook: Hook) -> list[Callable[[Any], bool]] | None:
        """What has to hold for Django's function to do no I/O; None if nothing can."""
        checks: list[Callable[[Any], bool]] = []
        todo = [hook]
        seen = set()
        while todo:
            one = todo.pop()
            if one in seen:
                continue
            seen.add(one)
            if one.pure is False or not one.is_known or self._reads_descriptors(one):
                return None
            if callable(one.pure):
                checks.append(one.pure)
            for name in one.calls or ():
                if name == SUPER:
                    below = self._first(one.name, self.place(one) + 1)
                else:
                    below = self._first(name, 0)
                if below is None:
                    return None
                todo.append(below)
        return checks

    def _first(self, name: str, start: int) -> Hook | None:
        """The twin of the definition that a call meets, if that is Django's own."""
        if not start and HOOKS.get(name) in self.own:
            return None
        for klass in self.mro[start:]:
            own = vars(klass)
            aname = HOOKS.get(name)
            if aname and aname in own and mark_of(own[aname]) is None:
                return None
            value = own.get(name)
            if value is None or isinstance(mark_at(klass, name), Hook | Bridge):
                continue
            return self.hook_for(value)
        return None


def _descriptors(mro: tuple[type, ...]) -> Iterator[str]:
    """The names of attributes that users' classes give as descriptors."""
    for place, klass in enumerate(mro):
        if is_of_a_framework(klass):
            continue
        for name, value in vars(klass).items():
            if (
                is_descriptor(value)
                and mark_of(value) is None
                and name not in {"__dict__", "__weakref__"}
                and not any(name in vars(nearer) for nearer in mro[:place])
            ):
                yield name


def _calls_handlers(hook: Hook) -> bool:
    return hook.is_handler and any(name not in HOOKS for name in hook.calls or ())


class Fingerprint:
    """The class attributes that a plan was made from, to tell when they change."""

    def __init__(self, plan: Plan) -> None:
        self._mro = plan.mro
        definitions = plan.definitions
        found = [
            (vars(klass), name)
            for name in definitions.names()
            for klass in definitions.of(name)
        ]
        # A mock may replace any attribute with a property.
        names = {*definitions.names()}
        found += [
            (vars(klass), name)
            for klass in self._mro
            if not is_of_a_framework(klass)
            for name, value in vars(klass).items()
            if name not in names and not name.startswith("_") and not callable(value)
        ]
        # Separate lists for map(), because each request compares them.
        self._spaces = [vars(klass) for klass in self._mro]
        self._sizes = [*map(len, self._spaces)]
        self._places = [space for space, _ in found]
        self._names = [name for _, name in found]
        self._values = [space[name] for space, name in found]

    def changed(self, cls: type) -> bool:
        """Whether an attribute has been put on a class, taken off or replaced."""
        found = map(MappingProxyType.get, self._places, self._names)
        return (
            cls.__mro__ is not self._mro
            or not all(map(operator.eq, map(len, self._spaces), self._sizes))
            # Not `==`, because a proxy is equal to the object behind it.
            or not all(map(operator.is_, found, self._values))
        )
