"""
Guard the methods that decide who may see a view.

Django's access mixins, and those of other packages, ask a sync method, and Python
calls a coroutine true. So each view class of the user's has a guard in front of
such a method: what would have to be awaited raises ImproperlyConfigured instead of
letting everyone in.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import CoroutineType, FunctionType
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured

from .hooks import (
    GUARDED,
    HOOKS,
    NAMES_OF_MIXINS,
    VERDICTS,
    Bridge,
    StandIn,
    is_async_function,
    is_library,
)
from .marks import mark_of
from .threads import loop_is_running, wait_for

__all__ = [
    "MIXINS",
    "Guard",
    "add_guards",
    "checked",
    "has_unguarded",
    "import_auth_hooks",
    "is_passed_on",
    "pairs",
    "tests_of",
    "truth",
]

# The mixin of this package for each check of Django's access mixins.
MIXINS = {
    "test_func": "AsyncUserPassesTestMixin",
    "get_test_func": "AsyncUserPassesTestMixin",
    "has_permission": "AsyncPermissionRequiredMixin",
}


_TESTS = {"test_func", "atest_func"}


@dataclass(eq=False)
class _PassedOn(Bridge):
    """The mark of a guard that has no method of its own, but an inherited one."""


class Guard(StandIn):
    """
    Stand in a class for a method that says who may see the view, and check its result.

    `value`: the method that the class itself defines; without one, the guard passes
    on what the class inherits. A guard is a data descriptor, so that it also sees what
    as_view() and setup() put on the view itself. It checks what `super()` gives as
    well: `super().test_func() and ...` would hide a coroutine.
    """

    def __init__(self, owner: type, name: str, *value: Any) -> None:
        self._owner = owner
        self._name = name
        self.passes_on = not value
        if value:
            (self.value,) = value
            # Code that asks whether the method is async, or for its line, reads
            # __func__.
            self.__func__ = getattr(value[0], "__func__", value[0])
        else:
            self._twin = _PassedOn(self, name)

    @property
    def __isabstractmethod__(self) -> bool:
        return bool(getattr(self.value, "__isabstractmethod__", False))

    def __get__(self, view: Any, cls: type) -> Any:
        name = self._name
        if view is None:
            found = self._found(cls, None, cls)
            # Code may read a classmethod or a staticmethod from the class.
            is_method = isinstance(self.value, classmethod | staticmethod)
            return self._guarded(found, cls) if is_method else found
        cls = type(view)
        nearest = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
        is_own = nearest is self and name in vars(view)
        return self._guarded(
            vars(view)[name] if is_own else self._found(view, view, cls), view
        )

    def _guarded(self, found: Any, view: Any) -> Any:
        if not callable(found):
            return found
        gives_test = self._name == "get_test_func"
        owner = self._owner
        return _Guarded(found, view, self._name, owner=owner, gives_test=gives_test)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method, as what is in a class's namespace can be called."""
        return self.value(*args, **kwargs)

    def __set__(self, view: Any, value: Any) -> None:
        if hasattr(type(self.value), "__set__"):
            self.value.__set__(view, value)
        else:
            vars(view)[self._name] = value

    def __delete__(self, view: Any) -> None:
        if self._name not in vars(view):
            raise AttributeError(self._name)
        del vars(view)[self._name]

    def _found(self, of: Any, view: Any, cls: type) -> Any:
        """What the attribute would be without the guard, of a view or of its class."""
        if self.passes_on:
            return getattr(super(self._owner, of), self._name)
        get = getattr(type(self.value), "__get__", None)
        return self.value if get is None else get(self.value, view, cls)


class _Guarded:
    """A method whose result is checked; the method itself in all else."""

    def __init__(
        self,
        function: Any,
        view: Any,
        *names: str,
        owner: type | None = None,
        gives_test: bool = False,
    ) -> None:
        self._function = function
        self._names = names
        self._view = view
        self._owner = owner
        self._gives_test = gives_test
        if iscoroutinefunction(function):
            markcoroutinefunction(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return checked(
            self._function(*args, **kwargs),
            self._view,
            *self._names,
            owner=self._owner,
            gives_test=self._gives_test,
        )

    def __getattr__(self, name: str) -> Any:
        if name == "_function":  # of one that is being copied
            raise AttributeError(name)
        return getattr(self._function, name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Guarded):
            other = other._function
        return bool(self._function == other)

    def __hash__(self) -> int:
        return hash(self._function)

    def __repr__(self) -> str:
        return repr(self._function)


class _Unawaited(Coroutine[Any, Any, Any]):
    """A coroutine for who awaits it, and an error for who asks if it is true."""

    def __init__(
        self, verdict: Any, view: Any, *names: str, owner: type | None
    ) -> None:
        self.verdict, self.view, self.names, self.owner = verdict, view, names, owner
        is_coroutine = isinstance(verdict, Coroutine)
        self._coroutine = verdict if is_coroutine else _awaited(verdict)

    def __bool__(self) -> bool:
        raise _denied(self, self.view, *self.names)

    def __await__(self) -> Generator[Any, Any, Any]:
        result = yield from self._coroutine.__await__()
        return checked(result, self.view, *self.names, owner=self.owner)

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()


async def _awaited(verdict: Awaitable[Any]) -> Any:
    return await verdict


def checked(
    verdict: Any,
    view: Any,
    *names: str,
    owner: type | None = None,
    gives_test: bool = False,
) -> Any:
    """
    Return what a method of a view says, unless it has to be awaited.

    `names`: the methods that may have said it, the likeliest first. `owner`: the class
    whose method it is, or the first that may have it.

    Sync code gets ImproperlyConfigured in its place. Code on the event loop may
    still await it, and gets ImproperlyConfigured only when it asks for its truth.
    It has awaited aget_test_func() already.
    """
    if gives_test and callable(verdict):
        return _Guarded(verdict, view, *tests_of(view, verdict, *names))
    if not (gives_test and "aget_test_func" in names) and loop_is_running():
        if isinstance(verdict, _Unawaited):
            return verdict  # It knows who gave it.
        if isinstance(verdict, Awaitable):
            return _Unawaited(verdict, view, *names, owner=owner)
    if _has_to_be_awaited(verdict):
        raise _denied(verdict, view, *names, owner=owner, gives_test=gives_test)
    return verdict


def tests_of(view: Any, test: Any, *names: str) -> tuple[str, ...]:
    """
    The names by which a view has the function that get_test_func() gave.

    `names`: the hooks that may have given it, for a function that is no method.
    """
    if isinstance(test, functools.partial) and test.func is wait_for:
        (test,) = test.args  # of a generated get_test_func(), which waits for it
    name = getattr(test, "__name__", "")
    if name in _TESTS:
        # Either of the two methods may call the other.
        return name, *(_TESTS - {name})
    return (name,) if hasattr(type(view), name) else names


def truth(verdict: Any, view: Any, *names: str) -> bool:
    """
    Return whether a verdict grants; raise ImproperlyConfigured if it is none.

    `names`: the methods that may have said it, the async ones first.
    """
    if _has_to_be_awaited(verdict):
        raise _denied(verdict, view, *names)
    return bool(verdict)


def _has_to_be_awaited(verdict: Any) -> bool:
    """Whether a value is true to Python, whatever comes of it once it is awaited."""
    return (
        inspect.isawaitable(verdict)
        or hasattr(type(verdict), "__aiter__")
        or iscoroutinefunction(verdict)
        or inspect.isasyncgenfunction(verdict)
        or (callable(verdict) and iscoroutinefunction(type(verdict).__call__))
    )


def _denied(
    verdict: Any,
    view: Any,
    *names: str,
    owner: type | None = None,
    gives_test: bool = False,
) -> ImproperlyConfigured:
    if isinstance(verdict, _Unawaited):
        verdict.close()
        view, names, owner = verdict.view, verdict.names, verdict.owner
        verdict = verdict.verdict
    if isinstance(verdict, CoroutineType):
        verdict.close()
    cls = view if isinstance(view, type) else type(view)
    owner, name = _author(view, cls, names, owner)
    aname = HOOKS.get(name, name)
    expected = "True or False"
    if gives_test:
        expected = "a function"
    elif name.endswith("get_test_func") or aname not in {*GUARDED, *HOOKS.values()}:
        aname = HOOKS.get("test_func", aname)  # what get_test_func() returned
    fix = (
        f"Await it in `async def {aname}()`"
        if aname in HOOKS.values()
        else f"Wait for it with `async_to_sync()` in `def {name}()`"
    )
    return ImproperlyConfigured(
        f"{owner.__name__}.{name}() returned {verdict!r} instead of {expected}. "
        f"Access is denied. {fix} and return the result."
    )


def _author(
    view: Any, cls: type, names: tuple[str, ...], owner: type | None
) -> tuple[type, str]:
    """The class and name of the method that the user wrote, nearest first."""
    for name in names:
        if view is not cls and name in vars(view):
            return cls, name
    mro = cls.__mro__
    for base in mro[mro.index(owner) :] if owner in mro else mro:
        for name in names:
            value = vars(base).get(name)
            if value is not None and mark_of(value) is None and not is_library(base):
                return base, name
    return cls, names[-1]


def is_passed_on(value: Any) -> bool:
    """Whether a class attribute is a guard of an inherited method."""
    return isinstance(mark_of(value), _PassedOn)


def add_guards(cls: type) -> None:
    """Put a guard in front of each method of a view that says who may see the view."""
    for name, aname in _checks_of(cls):
        own = vars(cls).get(name)
        if not (isinstance(own, Guard) or isinstance(mark_of(own), Bridge)):
            guard = Guard(cls, name, own) if name in vars(cls) else Guard(cls, name)
            setattr(cls, name, guard)
        if _is_unguarded(function := vars(cls).get(aname)):
            setattr(cls, aname, _guarded(cls, aname, function))


def has_unguarded(cls: type) -> bool:
    """Whether a class has an async check that nobody has put a guard in front of."""
    return any(_is_unguarded(vars(cls).get(aname)) for _, aname in _checks_of(cls))


def _checks_of(cls: type) -> Iterator[tuple[str, str]]:
    """The names of the checks of a view, each with that of its async variant."""
    for name in GUARDED:
        if hasattr(cls, name) and (
            name not in NAMES_OF_MIXINS or _has_mixin(cls, name)
        ):
            yield name, HOOKS.get(name, f"a{name}")


def _is_unguarded(function: Any) -> bool:
    return (
        isinstance(function, FunctionType)
        and iscoroutinefunction(function)
        and mark_of(function) is None
        # functools.wraps() copies this attribute, so it counts only with the function
        # itself.
        and getattr(function, "_guarded", None) is not function
    )


def _guarded(cls: type, aname: str, function: Any) -> Any:
    """An async check whose awaited result is checked, for `super()` as well."""

    @functools.wraps(function)
    async def guarded(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = await function(self, *args, **kwargs)
        gives_test = aname == "aget_test_func"
        return checked(result, self, aname, owner=cls, gives_test=gives_test)

    guarded._guarded = guarded  # type: ignore[attr-defined]  # our mark
    return guarded


def pairs(cls: type) -> Iterator[tuple[str, str, type]]:
    """
    The checks that a mixin of another package has in both colors, and that mixin.

    django-guardian's has check_permissions() and acheck_permissions(). It asks the
    async one on the event loop, and that does not call the sync one. A mixin whose
    async one does call it skips nothing.
    """
    for name in GUARDED:
        aname = f"a{name}"
        if name in HOOKS or not hasattr(cls, aname):
            continue
        for klass in reversed(cls.__mro__):
            found: Any = vars(klass).get(aname)
            if (
                name in vars(klass)
                and is_async_function(found)
                and mark_of(found) is None
                and mark_of(vars(klass)[name]) is None
            ):
                function = inspect.unwrap(getattr(found, "__func__", found))
                code = getattr(function, "__code__", None)
                if code is None or name not in code.co_names:
                    yield name, aname, klass
                break


def _has_mixin(cls: type, name: str) -> bool:
    return any("dispatch" in vars(base) and hasattr(base, name) for base in cls.__mro__)


def import_auth_hooks(cls: type) -> None:
    """
    Import our access mixins for a class that has a hook of Django's.

    Only then is `async def ahas_permission()` known for an override, and awaited.
    """
    ours = f"{__package__.partition('.')[0]}.auth.mixins"
    if (
        ours not in sys.modules
        and "django.contrib.auth.views" in sys.modules
        and any(hasattr(cls, name) for name in VERDICTS)
    ):
        import_module(ours)
