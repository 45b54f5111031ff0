"""
Twins of Django's hooks, and bridges back: a call has the colour of what it meets.

A hook `get_queryset()` has an async twin `aget_queryset()`, and a class may
override either. What a call of the twin comes to is worked out for a class,
from the MRO and from the call graph of Django's hooks that is declared beside
each twin. That is kept, and each request verifies that the class has not changed
since, which takes some 9 µs (`python -m benchmarks.startup`):

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
import inspect
import re
from collections.abc import Callable, Generator
from contextvars import ContextVar
from types import CoroutineType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Unpack, get_args, get_origin, get_type_hints

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from .flow import Call, refuse_coroutine, run_call, run_in_sync_code
from .guards import (
    add_guards,
    checked,
    has_unguarded,
    import_auth_hooks,
    is_passed_on,
    pairs,
)
from .hooks import (
    ANAMES,
    DECLARED,
    GUARDED,
    HOOKS,
    TWINS,
    Bridge,
    Declared,
    Definitions,
    Hook,
    HookOptions,
    Override,
    StandIn,
    SyncAsked,
    bind,
    handler_names,
    hooks_overridden_async,
    is_library,
    mark_at,
    pristine,
    settle,
    slot,
    twin_or_hook,
)
from .marks import mark_of
from .plan import Choice, Fingerprint, Plan
from .threads import loop_is_running, wait_for

if TYPE_CHECKING:
    from .typing import HookDecorator, TwinDecorator

__all__ = [
    "TwinMixin",
    "adopt",
    "django_super",
    "handler",
    "hook",
    "plan_of",
    "prepare",
    "twin",
    "twin_or_hook",
]

_NONE: frozenset[str] = frozenset()
# The generated sync methods that wait in this context, each with the id of its view.
_waiting: ContextVar[tuple[tuple[int, str], ...]] = ContextVar("waiting", default=())
# An override may call its sync method and still end. No request nests that often.
_TOO_DEEP = 8


def django_super(cls: type, view: Any) -> Any:
    """
    What super() gives in a method of Django's class `cls`, for our twin of the method.

    Django's class stands behind ours in the MRO, with a handler of the same
    name: a plain super() in ours would do its work over again.
    """
    return super(cls, view)


def hook(**options: Unpack[HookOptions]) -> HookDecorator:
    """
    Declare a hook, or a handler, of this package's own sync views.

    Where it calls no other it is a plain function, and stays that. Else it is a
    generator, the body of the hook and of its async variant. It yields what is to be
    called, under the names of sync code: `form_class = yield self.get_form_class`,
    `form = yield partial(self.get_form, form_class)`. The sync hook, which is made
    here, calls just that. In the async variant the hooks' own async variants take
    their place. `options`: see HookOptions.
    """

    def decorate(method: Any) -> Any:
        function = method
        if inspect.isgeneratorfunction(method):

            @functools.wraps(method)
            def function(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                return run_in_sync_code(method(self, *args, **kwargs))

            function.__annotations__ = _for_callers(method)
        DECLARED[function] = Declared(method, options)
        return function

    return decorate


def _add_variants(cls: type) -> None:
    """
    Make the async variants of the hooks that the sync class behind declares.

    The class lists them, as users override them, but for the private ones.
    """
    for function in [*vars(cls.__mro__[1]).values()]:
        if not isinstance(function, FunctionType) or function not in DECLARED:
            continue
        aname = re.sub("^(_?)", r"\1a", function.__name__)
        listed = vars(cls).get(aname)
        if listed is None and aname.startswith("_"):
            listed = functools.wraps(function)(lambda _: None)
            listed.__name__ = aname
        if listed is not None:
            setattr(cls, aname, twin(function)(listed))


def _doc(function: Any, declared: Declared, *, is_handler: bool) -> str:
    """The docstring of an async variant, and where it runs without overrides."""
    said = inspect.cleandoc(function.__doc__)
    if not is_handler:
        said += f"\n\nAsync variant of `{function.__name__}()`."
    pure = declared.options.get("pure")
    if not pure:
        where = "A worker thread. One hop."
    elif pure is True and not declared.options.get("calls"):
        where = "The event loop, without a hop."
    else:
        where = (
            "The event loop, without a hop, if only Django's code runs. Otherwise a "
            "worker thread, in one hop."
        )
    return f"{said}\n\nRuns on:\n    {where}\n"


def twin(function: Callable[..., Any], **options: Unpack[HookOptions]) -> TwinDecorator:
    """
    Make a method the async twin of Django's hook `function`.

    The method is the lifted body, a generator of calls (see flow.call), for
    when something that the hook calls is overridden async. Where Django's hook
    calls no other, there is nothing to lift: then it is an `async def` without
    a body, for its signature and docstring. A hook that hook() declares has said
    all there: it needs no arguments here, and no docstring.

    `options`: see HookOptions.
    """

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        async def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await run_call(Call(bind(wrapper, self), args, kwargs))

        _register(wrapper, function, method, options, is_handler=False)
        return wrapper

    return decorate


def handler(function: Callable[..., Any], **options: Unpack[HookOptions]) -> Any:
    """
    Make a method stand for Django's handler `function` in both colours.

    As twin(), under Django's own name: on the event loop a call gives a
    coroutine, in sync code (the `super().get()` of a sync override, Django's
    View.dispatch()) it gives the response. What a type checker sees of it is said in
    handlers.py, for each name.
    """

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return run_call(Call(bind(wrapper, self), args, kwargs, response=True))

        _register(wrapper, function, method, options, is_handler=True)
        return wrapper

    return decorate


def _register(
    wrapper: Any, function: Any, body: Any, options: HookOptions, *, is_handler: bool
) -> None:
    declared = DECLARED.get(function)
    if declared is None:
        hook = Hook(wrapper, pristine(function), body, is_handler, **options)
    else:
        body, options = declared.body, declared.options
        hook = Hook(wrapper, function, body, is_handler, is_shared=True, **options)
        wrapper.__doc__ = _doc(function, declared, is_handler=is_handler)
    wrapper.__annotations__ = _for_callers(wrapper)
    if is_handler:
        # as_view() copies the annotations to a function of another module, which lacks
        # their names.
        wrapper.__annotations__ = get_type_hints(wrapper)
    wrapper._twin = hook
    TWINS[hook.function] = hook
    if not is_handler:
        HOOKS[hook.name] = hook.aname
        ANAMES[hook.aname] = hook.name


def _for_callers(function: Any) -> dict[str, Any]:
    """The annotations of a body's function: what a caller gets, not how it is run."""
    # From Python 3.14 on, functools.wraps() leaves out annotations that were assigned.
    function = inspect.unwrap(function)
    annotations = dict(function.__annotations__)
    returns = str(annotations.get("return"))
    names = function.__globals__
    if returns.startswith("Calls["):
        annotations["return"] = returns.removeprefix("Calls[").removesuffix("]")
    elif get_origin(alias := names.get(returns)) is Generator:
        *_, annotations["return"] = get_args(alias)
    return annotations


def adopt(view: Any) -> frozenset[str]:
    """
    Give a view with async hooks of its own the bridges to them; their names.

    as_view(aget_queryset=...), setup() or a mock may have put them there.
    """
    names = vars(view).keys() & ANAMES.keys()
    if not names:
        return _NONE
    for aname in names:
        name = ANAMES[aname]
        if name not in vars(view) and hasattr(type(view), name):
            setattr(view, name, MethodType(_bridge(name, aname, None), view))
    return frozenset(names)


def plan_of(cls: type, *, verify: bool = False) -> Plan:
    """
    The plan of a class, made at its first use and kept on it.

    `verify`: make it anew if an attribute that it was made from has changed
    since, as a decorator or mock.patch() on a class does.
    """
    found: tuple[Plan, Fingerprint] | None = vars(cls).get("_plan")
    if found is None or (verify and found[1].changed(cls)):
        prepare(cls)
        # An attribute of the class, so that the plan is freed with the class.
        cls._plan = None  # type: ignore[attr-defined]  # ours
        plan = Plan(cls)
        found = cls._plan = (plan, Fingerprint(plan))  # type: ignore[attr-defined]  # ours
    return found[0]


def prepare(cls: type) -> None:
    """Give a user's class its bridges, and handlers that are not ours both colours."""
    if not is_library(cls):
        for base in cls.__mro__[:0:-1]:
            # A class decorator replaces dispatch() after Python has made the class.
            if issubclass(base, TwinMixin) and not (
                is_library(base) or _is_prepared(base)
            ):
                prepare(base)
        import_auth_hooks(cls)
        _add_bridges(cls)
        if hasattr(cls, "as_view"):
            _add_sync_asked(cls)
            add_guards(cls)
    if hasattr(cls, "as_view"):
        _wrap_handlers(cls)


def _is_prepared(cls: type) -> bool:
    """Whether nothing was put on a class since that has to be looked at."""
    own = vars(cls)
    names = {*GUARDED, *handler_names(cls)}.intersection(own)
    return not has_unguarded(cls) and all(
        isinstance(own[name], StandIn) or mark_of(own[name]) is not None
        for name in names
    )


def _add_bridges(cls: type) -> None:
    names = {name: HOOKS[name] for name in hooks_overridden_async(cls)}
    names.update({name: aname for name, aname, _ in pairs(cls)})
    for name, aname in names.items():
        for klass in cls.__mro__:
            own = vars(klass)
            if name in own and not is_passed_on(own[name]):
                break  # both colours, a bridge already, or sync above async
            if aname in own and mark_at(klass, aname) is None:
                if hasattr(cls, name):
                    setattr(cls, name, _bridge(name, aname, cls))
                break


def _add_sync_asked(cls: type) -> None:
    """Have a sync access check asked that overrides one with an async variant."""
    for name, aname, _ in pairs(cls):
        if aname not in vars(cls):
            setattr(cls, aname, _sync_asked(cls, name, aname))


def _sync_asked(cls: type, name: str, aname: str) -> Callable[..., Any]:
    async def asked(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        function = vars(self).get(name) or _sync_override(type(self), cls, name, aname)
        if function is None:
            return await getattr(super(cls, self), aname)(*args, **kwargs)

        def ask() -> Any:
            method = function if name in vars(self) else bind(function, self)
            return checked(method(*args, **kwargs), self, name)

        # Traces and messages show the name of the wrapped function.
        ask.__wrapped__ = function  # type: ignore[attr-defined]
        return await run_call(Call(ask, is_sync=True))

    asked.__name__ = aname
    asked.__doc__ = f"Run a sync `{name}()` in the worker, if that is the nearer one."
    asked._twin = SyncAsked(asked)  # type: ignore[attr-defined]  # our mark
    return asked


def _sync_override(cls: type, start: type, name: str, aname: str) -> Any:
    """The sync override that stands before each async one, from a class on."""
    for klass in cls.__mro__[cls.__mro__.index(start) :]:
        own = vars(klass)
        if aname in own and mark_at(klass, aname) is None:
            return None
        if name in own and mark_at(klass, name) is None:
            return own[name]
    return None


def _wrap_handlers(cls: type) -> None:
    definitions = Definitions(cls)
    for name in handler_names(cls):
        owner = next(iter(definitions.of(name)), cls)
        value: Any = vars(owner).get(name)
        # isinstance() takes a proxy of wrapt for a function too.
        if not isinstance(value, FunctionType):
            continue
        if mark_at(owner, name) is not None or _is_proxy_of_wrapper(value):
            continue
        if owner is cls:
            setattr(cls, name, _override(value))
        elif slot(owner, name) is None and value not in TWINS:
            # The method of a plain mixin. Subclasses of `cls` call it from sync and
            # async code.
            setattr(cls, name, _override(_passing_on(cls, name, value)))


def _is_proxy_of_wrapper(value: Any) -> bool:
    """Whether an agent's proxy stands before a wrapper, and looks for itself there."""
    return type(value) is not FunctionType and isinstance(
        getattr(value, "_twin", None), Override
    )


def _bridge(name: str, aname: str, owner: type | None) -> Callable[..., Any]:
    def bridge(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if loop_is_running():
            view = type(self).__name__
            raise RuntimeError(
                f"{view}.{name}() was called on the event loop, but its override "
                f"{aname}() is async. The request fails. Write `await self.{aname}()` "
                "instead."
            )
        around = _waiting.get()
        if around.count((id(self), name)) >= _TOO_DEEP:
            raise RuntimeError(_calls_itself(type(self), name, aname))
        token = _waiting.set((*around, (id(self), name)))
        hook = _bridged(self, name, aname, owner)
        try:
            result = wait_for(hook, *args, **kwargs)
        finally:
            _waiting.reset(token)
        gives_test = name == "get_test_func"
        if iscoroutinefunction(result) and (gives_test or name not in GUARDED):
            # Sync code calls the function that it gets, and needs its result.
            result = functools.partial(wait_for, result)
        if name in GUARDED:
            return checked(result, self, aname, gives_test=gives_test)
        if isinstance(result, CoroutineType):
            refuse_coroutine(hook, result)
        return result

    bridge.__name__ = name
    bridge.__doc__ = f"Wait for `{aname}()`, which this class overrides."
    bridge._twin = Bridge(bridge, aname)  # type: ignore[attr-defined]  # our mark
    return bridge


def _bridged(view: Any, name: str, aname: str, owner: type | None) -> Any:
    """The async override that a bridge of a class waits for, or of a view."""
    mro = type(view).__mro__
    definers = (klass for klass in mro if not is_passed_on(vars(klass).get(name)))
    if owner is None or owner is next(one for one in definers if name in vars(one)):
        return getattr(view, aname)
    # A super() call led to the bridge, so the classes before `owner` have run already.
    behind = mro[mro.index(owner) :]
    return bind(next(vars(one)[aname] for one in behind if aname in vars(one)), view)


def _calls_itself(cls: type, name: str, aname: str) -> str:
    owner = next((klass for klass in cls.__mro__ if aname in vars(klass)), cls)
    return (
        f"{cls.__name__}.{name}() is the generated sync method that waits for "
        f"{owner.__name__}.{aname}(), and {aname}() calls {name}() again: the request "
        f"would never end. Call `await super().{aname}()` in {aname}() instead."
    )


def _override(function: Callable[..., Any]) -> Callable[..., Any]:
    is_async = iscoroutinefunction(function)

    @functools.wraps(function)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not is_async and not loop_is_running():
            return function(self, *args, **kwargs)
        return run_call(
            Call(bind(function, self), args, kwargs, response=True),
            as_coroutine=is_async,
        )

    if is_async:
        markcoroutinefunction(wrapper)
    wrapper._twin = Override(wrapper, function)  # type: ignore[attr-defined]  # our mark
    return wrapper


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
            # tailcalls.py recognizes a tail call by the name of the method.
            method = getattr(super(cls, self), name)
            return method(*args, **kwargs)

    return inherited


class TwinMixin:
    """The base of all our mixins and views: prepares the classes made from them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if is_library(cls):
            _add_variants(cls)
            settle(cls)
        prepare(cls)

    def _choice_of(self, hook: Hook) -> Choice:
        """What a call of a hook comes to in this very view."""
        return plan_of(type(self)).with_own(adopt(self)).choice(hook)

    def __class_getitem__(cls, item: Any) -> Any:
        """Allow `AsyncListView[Book]` at run time; a user's Generic keeps `item`."""
        generic: Any = getattr(super(), "__class_getitem__", None)
        return cls if generic is None else generic(item)
