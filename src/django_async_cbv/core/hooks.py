"""What is known of each hook of Django's, and how ours are told from others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partialmethod
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from types import CodeType, FunctionType
from typing import Any, TypedDict

from asgiref.sync import iscoroutinefunction
from django.views.generic.base import View

from .flow import Call, Calls, as_call, in_worker
from .marks import Mark, is_bound, mark_of
from .naming import shows

__all__ = [
    "ANAMES",
    "DECLARED",
    "GUARDED",
    "HOOKS",
    "NAMES_OF_MIXINS",
    "SUPER",
    "TWINS",
    "VERDICTS",
    "Bridge",
    "Declared",
    "Definitions",
    "Hook",
    "HookOptions",
    "Override",
    "StandIn",
    "SyncAsked",
    "bind",
    "handler_names",
    "hook_of",
    "hooks_overridden_async",
    "is_async_function",
    "is_bridge",
    "is_descriptor",
    "is_library",
    "is_of_a_framework",
    "is_plainly_sync",
    "mark_at",
    "names_read",
    "pristine",
    "settle",
    "slot",
    "twin_or_hook",
]

# Django, django-guardian, django-braces and rules call these methods.
VERDICTS = ("test_func", "get_test_func", "has_permission", "check_permissions")
# Common names, guarded only on a mixin that has a dispatch() too. django-braces calls
# the first, django-allauth the second.
NAMES_OF_MIXINS = ("check_membership", "is_open")
# The methods that check whether a user may see a view.
GUARDED = (*VERDICTS, *NAMES_OF_MIXINS)

# In `calls`, this says that Django's function calls super().
SUPER = "super()"

# TWINS has Django's functions that have a twin. HOOKS has the name of each hook with
# the name of its twin. Handlers have one name for both, so HOOKS lacks them.
TWINS: dict[Any, Hook] = {}
HOOKS: dict[str, str] = {}
# The name of each twin with the name of its hook.
ANAMES: dict[str, str] = {}
# The declarations of the hooks of this package's sync views (see twins.hook()).
DECLARED: dict[Any, Declared] = {}


class StandIn:
    """What stands in a class for an attribute of the user's, and passes it on."""

    value: Any = None
    # Whether the class has no such attribute of its own, but inherits one.
    passes_on = False


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
            # Private methods that are not hooks.
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


class HookOptions(TypedDict, total=False):
    """What is declared of a function of Django's, beside the body for it."""

    # The hooks that Django's function calls on the view, also through private methods,
    # and SUPER. None if only a request tells, and then the body always runs.
    calls: Sequence[str] | None
    # Whether the function does no I/O if all that it calls is Django's. Then it may run
    # on the event loop.
    pure: bool | Callable[[Any], bool]
    # Whether the body runs even if it calls nothing async, because it does more than
    # Django's function. Or a function that tells this of a view.
    always: bool | Callable[[Any], bool]
    # Names in the function that look like hooks, but are methods of other objects.
    not_calls: Sequence[str]
    # Makes the function that runs if the body may not run (see Hook.unknown_calls).
    unlifted: Callable[[Any], Callable[..., Any]] | None


@dataclass(frozen=True)
class Declared:
    """What hook() is told of a function, for its sync and its async variant."""

    # A generator function, if the hook calls others.
    body: Callable[..., Any]
    options: HookOptions


@dataclass(eq=False)
class Hook(Mark):
    """A hook or handler at one level of Django's views, as its twin declares it."""

    wrapper: Callable[..., Any]
    function: Any
    body: Callable[..., Any]
    is_handler: bool
    # HookOptions.
    calls: Sequence[str] | None = ()
    pure: bool | Callable[[Any], bool] = False
    always: bool | Callable[[Any], bool] = False
    not_calls: Sequence[str] = ()
    unlifted: Callable[[Any], Callable[..., Any]] | None = None
    # Whether the sync function has the same body, which names the sync hooks.
    is_shared: bool = False
    # The classes that define the twin and the function, as soon as Python has made
    # them.
    home: type | None = None
    owner: type | None = None
    # A handler has Django's name as both.
    name: str = field(init=False)
    aname: str = field(init=False)

    def __post_init__(self) -> None:
        self.aname = self.wrapper.__name__
        # Not the __name__ of the function. If an agent replaced the function before
        # this package was imported, its wrapper may have any name.
        private, _, rest = self.aname.partition("a")
        self.name = self.aname if self.is_handler else private + rest

    @cached_property
    def reads(self) -> frozenset[str]:
        """The attributes that Django's function reads, or the body, or `pure`."""
        return frozenset().union(
            *map(names_read, (self.function, self.body, self.pure, self.always))
        )

    @cached_property
    def unknown_calls(self) -> frozenset[str]:
        """
        The methods of a view that Django's function calls, and that are not declared.

        A Django that is newer than the body beside its function may have some. Then
        the body does not run, as it would skip them: Django's function does.
        """
        if self.function.__module__.startswith(_OURS):
            return frozenset()
        declared = {self.name, *(self.calls or ()), *self.not_calls}
        if self.calls is None:
            declared.update(handler_names(View))
        methods = {
            name
            for klass in (self.owner or object).__mro__
            for name, value in vars(klass).items()
            if isinstance(value, FunctionType | classmethod | staticmethod)
            and not name.startswith("_")
        }
        named = names_read(self.function)
        return frozenset((named & (methods | HOOKS.keys())) - declared)

    @property
    def is_known(self) -> bool:
        """Whether the body may stand for Django's function."""
        return not self.unknown_calls

    def standing(self) -> Any:
        """What stands in the place of Django's function: that itself, or a wrapper."""
        return vars(self.owner).get(self.name, self.function)

    def is_wrapped(self) -> bool:
        """Whether a wrapper stands in the place of Django's function."""
        # If an agent replaced the function before this package was imported, its module
        # tells.
        return self.standing() is not self.function or (
            self.owner is not None and self.function.__module__ != self.owner.__module__
        )

    def resolve(
        self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call | Calls[Any]:
        """A body where the call has to be lifted, else the sync call."""
        choice = view._choice_of(self)
        if not self.is_handler:
            own = vars(view).get(self.name)
            if own is not None and not is_bridge(own):
                return Call(own, args, kwargs)
        if choice.lifted and (choice.asks is None or choice.asks(view)):
            body = self.body(view, *args, **kwargs)
            if self.is_shared:
                body = _ByTwins(body, view, self, choice.called)
            return in_worker(body) if choice.in_worker else body
        if is_descriptor(choice.function):
            return Call(
                _call_attribute,
                (choice.function, view, args, kwargs),
                response=self.is_handler,
                is_sync=True,
            )
        sync_call = Call(
            bind(choice.function, view),
            args,
            kwargs,
            choice=choice,
            response=self.is_handler,
            is_sync=choice.is_sync,
        )
        if choice.is_wrapper and self.is_handler:
            return self._by_wrapper(view, sync_call)
        return sync_call

    def resolve_around(self, method: Any, call: Call) -> Call:
        """A wrapper's call, if it stands where this twin was; else the user's call."""
        if is_bound(vars(self.home).get(self.aname), method):
            return self._by_wrapper(getattr(method, "__self__", None), call)
        return call

    def _by_wrapper(self, view: Any, call: Call) -> Call:
        """
        A wrapper's call, on the loop where it has to be given a coroutine.

        A twin gives one. So does the dispatch() of a view whose handler is async,
        to a wrapper that was written for Django's views. All others are given
        a response, in the worker, as by a sync view of Django's.
        """
        if self.is_handler and not (
            self.name == "dispatch" and _is_async_request(view, call)
        ):
            return call
        return Call(_awaited, (call,))


class _ByTwins(Generator[Call, Any, Any]):
    """A shared body in a flow: the hooks that it asks for are asked by their twins."""

    def __init__(
        self, body: Calls[Any], view: Any, hook: Hook, called: Sequence[tuple[Any, str]]
    ) -> None:
        self._body = body
        self._view = view
        self._hook = hook
        self._called = called

    def send(self, value: Any) -> Call:
        """Go on with a result."""
        return self._by_twin(self._body.send(value))

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> Call:
        """Go on with an error."""
        return self._by_twin(self._body.throw(error))

    def _by_twin(self, asked: Any) -> Call:
        if type(asked) is Call:
            return asked
        if type(asked) is hook_of:
            return Call(twin_or_hook(asked.owner, asked.name))
        step = as_call(asked)
        for value, name in self._called:
            if is_bound(value, asked):
                return Call(self._twin(name))
            if is_bound(value, step.func):
                step.func = self._twin(name)
                break
        return step

    def _twin(self, name: str) -> Any:
        if name == SUPER:
            return getattr(super(self._hook.home, self._view), self._hook.aname)
        return twin_or_hook(self._view, name)


class hook_of:  # noqa: N801 - reads as the function that it is
    """`yield hook_of(other, "get_form")`: a hook of another object than the view."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.name = name

    def __call__(self) -> Any:
        """Call it as sync code does."""
        return getattr(self.owner, self.name)()


def twin_or_hook(view: Any, name: str) -> Any:
    """
    The twin of a hook that another mixin is to bring, or the hook itself.

    A sync mixin that is not ours (a JSON response, say) brings no twin.
    """
    return getattr(view, HOOKS.get(name, name), None) or getattr(view, name)


@dataclass(eq=False)
class Override(Mark):
    """A user's own handler or dispatch(), made callable from both colours."""

    wrapper: Callable[..., Any]
    function: Callable[..., Any]

    def resolve(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The call of the user's function, of whichever colour it is."""
        return Call(bind(self.function, view), args, kwargs, response=True)


@dataclass(eq=False)
class Bridge(Mark):
    """A sync hook that waits for the async override of its twin."""

    wrapper: Callable[..., Any]
    aname: str
    function: None = None

    def resolve(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """In a body nothing has to wait: the call of the twin, which is awaited."""
        return Call(getattr(view, self.aname), args, kwargs)


@dataclass(eq=False)
class SyncAsked(Mark):
    """The async variant of an access check that runs a sync override of that."""

    wrapper: Callable[..., Any]
    function: None = None

    def resolve(self, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """It is awaited as any coroutine function is."""
        return Call(self.wrapper, (view, *args), kwargs)


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
        hook = mark_of(value)
        if isinstance(hook, Hook):
            hook.home = cls
            hook.owner = next(
                (base for base in cls.__mro__[1:] if hook.name in vars(base)), None
            )
            Mark.slots[cls, hook.aname] = hook
            if hook.owner is not None:
                Mark.slots[hook.owner, hook.name] = hook


def slot(klass: type, name: str) -> Hook | None:
    """The twin that a class defines under a name, or the function of which it does."""
    return Mark.slots.get((klass, name))


def mark_at(klass: type, name: str) -> Mark | None:
    """The mark of what a class defines, also where that is a wrapper of a twin."""
    value = vars(klass).get(name)
    mark = mark_of(value)
    if mark is None and value is not None:
        hook = slot(klass, name)
        return hook if hook is not None and hook.home is klass else None
    return mark


def handler_names(cls: type) -> list[str]:
    """The methods of a view that have one name for both colours."""
    methods = getattr(cls, "http_method_names", ())
    return [*methods, "http_method_not_allowed", "dispatch"]


class Definitions:
    """Which classes of an MRO define a hook, a handler or an access check."""

    def __init__(self, cls: type) -> None:
        self._by_name: dict[str, list[type]] = {}
        names = _names_in(cls)
        for klass in cls.__mro__:
            # Much faster than `&` of a keys view.
            for name in names.intersection(vars(klass)):
                self._by_name.setdefault(name, []).append(klass)

    def of(self, name: str) -> Sequence[type]:
        """The classes that define a name, in the order of the MRO."""
        return self._by_name.get(name, ())

    def names(self) -> Iterable[str]:
        """All names that are defined."""
        return self._by_name


def hooks_overridden_async(cls: type) -> list[str]:
    """The hooks that a class overrides under the name of the async variant."""
    found: dict[str, None] = {}
    for klass in cls.__mro__:
        if not is_library(klass):
            for aname in filter(ANAMES.__contains__, vars(klass)):
                if mark_at(klass, aname) is None:
                    found[ANAMES[aname]] = None
    return [*found]


# The key is the number of hooks, because each import of a module adds some.
_names: dict[int, frozenset[str]] = {}


def _names_in(cls: type) -> frozenset[str]:
    """The names that matter in a class: of hooks, handlers and access checks."""
    known = _names.get(len(HOOKS))
    if known is None:
        checks = {*GUARDED, *(f"a{name}" for name in GUARDED)}
        known = frozenset({*HOOKS, *ANAMES, *handler_names(View), *checks})
        _names[len(HOOKS)] = known
    handlers = handler_names(cls)
    return known if known.issuperset(handlers) else known.union(handlers)


_ASYNC = CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR


def is_plainly_sync(value: Any) -> bool:
    """Whether it takes no inspection to tell that an attribute is not async."""
    if type(value) is FunctionType:
        # Each mark of a function is in its `__dict__`.
        return not (value.__dict__ or value.__code__.co_flags & _ASYNC)
    return value is None or type(value) in (bool, int, str, list, tuple, dict)


def is_async_function(value: Any) -> bool:
    """Whether a class attribute is a coroutine function."""
    if is_plainly_sync(value):
        return False
    mark = mark_of(value)
    if isinstance(mark, Override):
        value = mark.function
    return iscoroutinefunction(getattr(value, "__func__", value))


_OURS = f"{__name__.partition('.')[0]}."


def is_library(cls: type) -> bool:
    """Whether a class is one of this package's own."""
    return cls.__module__.startswith(_OURS)


async def _awaited(call: Call) -> Any:
    value = call.func(*call.args, **call.kwargs)
    return await value if inspect.isawaitable(value) else value


def _is_async_request(view: Any, call: Call) -> bool:
    """Whether the handler that a call of dispatch() is going to choose is async."""
    request = call.args[0] if call.args else call.kwargs.get("request")
    name = (getattr(request, "method", None) or "").lower()
    return iscoroutinefunction(getattr(view, name, None))


def bind(function: Any, view: Any) -> Any:
    """What `view.name` would be, were `function` its class's attribute."""
    get = getattr(type(function), "__get__", None)
    return function if get is None else get(function, view, type(view))


@shows(lambda descriptor, *_: getattr(descriptor, "fget", descriptor))
def _call_attribute(
    descriptor: Any, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call what a property gives: to ask for it may be work as well."""
    return bind(descriptor, view)(*args, **kwargs)


_FRAMEWORKS = (_OURS, "django.")


def is_of_a_framework(cls: type) -> bool:
    """Whether a class is this package's, Django's or Python's, so nobody's own."""
    module = cls.__module__
    return module.startswith(_FRAMEWORKS) or module in {"builtins", "typing"}
