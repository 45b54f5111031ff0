"""Say which view classes would skip an override, where, and how to mend them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import ImproperlyConfigured
from django.views.generic.base import View
from django.views.generic.edit import FormMixin

from .address import link_to
from .callers import expects_awaitable, is_called, is_installed
from .guards import MIXINS, is_passed_on, pairs
from .hooks import (
    ANAMES,
    GUARDED,
    HOOKS,
    SUPER,
    Hook,
    Override,
    handler_names,
    is_async_function,
    is_bridge,
    is_library,
    is_of_a_framework,
    is_plainly_sync,
    mark_at,
)
from .marks import mark_of
from .plan import Plan
from .tailcalls import passes_on
from .twins import TwinMixin, plan_of

__all__ = [
    "Problem",
    "async_view_of",
    "problems",
    "refuse",
    "refuse_attributes",
    "uncalled_methods",
    "waiting_overrides",
    "where",
    "where_written",
]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a view class, and the words to say it in."""

    id: str
    # What happened, and what that does to users: without the last full stop.
    message: str
    # The fix, as code: one sentence or two.
    hint: str
    # Where the methods that the message names are written.
    places: tuple[str, ...]

    def __str__(self) -> str:
        places = ", ".join(self.places)
        places_and_id = f"({places}) [{self.id}]{link_to(self.id)}"
        return f"{self.message}. {self.hint} {places_and_id}"


def refuse(cls: type, initkwargs: dict[str, Any] | None = None) -> None:
    """Raise ImproperlyConfigured if an override of the class would be skipped."""
    _refuse_for([*problems(cls), *_attributes(cls, initkwargs or {})])


def refuse_attributes(view: Any) -> None:
    """Raise ImproperlyConfigured for hooks that were set on a view, not its class."""
    own = vars(view)
    if not (own.keys().isdisjoint(HOOKS) and own.keys().isdisjoint(ANAMES)):
        _refuse_for([*_attributes(type(view), own)])


def _refuse_for(found: list[Problem]) -> None:
    if found:
        raise ImproperlyConfigured("\n".join(map(str, found)))


def problems(cls: type) -> Iterator[Problem]:
    """All that a view class is refused for."""
    plan = plan_of(cls, verify=True)
    yield from _async_under_a_sync_name(plan)
    for name in HOOKS:
        if name in plan.async_hooks and hasattr(cls, name):
            yield from _sync_under_a_twins_name(plan, name, HOOKS[name])
            yield from _sync_before_async(plan, name, HOOKS[name])
            yield from _out_of_reach(plan, name, HOOKS[name])
    if hasattr(cls, "as_view"):
        for name in handler_names(cls):
            yield from _handler_under_a_sync_decorator(plan, name)
            yield from _unlike_handlers(plan, name)
        yield from _checks_of_two_colors(plan)
        yield from _access_behind(plan)
        yield from _message_behind(plan)


def uncalled_methods(cls: type) -> Iterator[Problem]:
    """Async methods that look like overrides of a view's, and that nothing calls."""
    is_ours = issubclass(cls, TwinMixin)
    methods = {f"a{name}": name for name in getattr(cls, "http_method_names", ())}
    for klass in cls.__mro__:
        if is_library(klass) or (is_ours and is_installed(klass)):
            continue
        for name in vars(klass).keys() & methods.keys() if is_ours else ():
            yield Problem(
                "async_cbv.W002",
                f"{_label(klass, name)} is never called, because a handler has one "
                "name for sync and async. The view answers without your code",
                f"Rename it: `async def {methods[name]}()`.",
                (where(klass, name),),
            )
        if is_ours:
            yield from _nearly_hooks(cls, klass)
            yield from _djangos_in_front(cls, klass)
        for name, aname in () if is_ours else HOOKS.items():
            brings_it = getattr(getattr(cls, name, None), "__module__", "")
            if aname in vars(klass) and brings_it.startswith("django.views.generic"):
                yield Problem(
                    "async_cbv.W003",
                    f"{_label(klass, aname)} is never called, because {cls.__name__} "
                    "is derived from a view of Django. The page is shown without its "
                    "result",
                    f"Derive {cls.__name__} from {async_view_of(cls)}.",
                    (where(klass, aname),),
                )


def _nearly_hooks(cls: type, klass: type) -> Iterator[Problem]:
    """Async methods with the name of a hook but for a letter or its last word."""
    hooks = [aname for name, aname in HOOKS.items() if hasattr(cls, name)]
    taken = {*hooks, *handler_names(cls)}
    taken |= {f"a{name}" for name in handler_names(cls)} | HOOKS.keys()
    for name, value in vars(klass).items():
        if name in taken or not _needs_await(value) or is_called(cls.__mro__, name):
            continue
        for meant in _meant(name, hooks):
            yield Problem(
                "async_cbv.W007",
                f"{_label(klass, name)} is never called, because no hook has this "
                "name. The page is shown without its result",
                f"If you mean the hook {meant}(), rename it: `async def {meant}()`.",
                (where(klass, name),),
            )


def _meant(name: str, hooks: list[str]) -> list[str]:
    """
    The hook whose name somebody has got wrong, if any.

    Packages have methods with one word more than a hook, or with another one. So these
    are nobody's mistakes.
    """
    same = [meant for meant in hooks if meant.startswith("_") == name.startswith("_")]
    close = [
        meant
        for meant in same
        if _is_a_letter_off(name, meant)
        or ("_" in name and meant.rpartition("_")[0] == name)
    ]
    return difflib.get_close_matches(
        name, close or same, n=1, cutoff=0 if close else 0.93
    )


def _is_a_letter_off(name: str, meant: str) -> bool:
    """Whether a letter is missing, is too many, is another, or two are swapped."""
    start = 0
    while name[start : start + 1] == meant[start : start + 1] != "":
        start += 1
    has, wants = name[start:], meant[start:]
    is_swapped = has[:2] == wants[1::-1] and has[2:] == wants[2:]
    return is_swapped or has[1:] in {wants, wants[1:]} or wants[1:] == has


def _djangos_in_front(cls: type, klass: type) -> Iterator[Problem]:
    """`class BookList(ListView, AsyncView)`: Django's view in front of one of ours."""
    for base in klass.__bases__:
        meant = f"Async{base.__name__}"
        if (
            base.__module__.startswith("django.views.generic")
            and issubclass(base, View)
            and base is not View
            and not any(one.__name__ == meant for one in cls.__mro__ if is_library(one))
        ):
            yield Problem(
                "async_cbv.W008",
                f"{klass.__name__} is derived from Django's {base.__name__}, which has "
                "no async hooks. A worker thread waits for each async hook of "
                f"{klass.__name__}",
                f"Derive {klass.__name__} from {meant} instead.",
                (f"module {klass.__module__}",),
            )


def waiting_overrides(cls: type) -> Iterator[Problem]:
    """Sync overrides that hold their worker while an async hook is awaited."""
    plan = plan_of(cls, verify=True)
    for name, aname in HOOKS.items():
        for klass in plan.sync_overrides(name):
            hook = _hook_behind(plan, name, klass)
            if klass in plan.async_overrides(name) or hook is None:
                continue
            reached = [
                called
                for called in hook.calls or ()
                if called in HOOKS and plan.is_async(called)
            ]
            if reached:
                found = plan.async_overrides(reached[0])
                cause = (
                    f"{found[0].__name__}.{HOOKS[reached[0]]}()"
                    if found
                    else f"{HOOKS[reached[0]]}()"
                )
                yield Problem(
                    "async_cbv.W001",
                    f"{_label(klass, name)} is sync, but Django's code in it calls the "
                    f"async {cause}. A worker thread waits for each request",
                    f"Make it `async def {aname}()`, and await super().{aname}() in "
                    "it.",
                    (where(klass, name),),
                )


# Where Django has the views that ours are named after.
_VIEWS = ("django.views.generic", "django.contrib.auth.views")


def async_view_of(cls: type) -> str:
    """The name of our view for the view of Django that a class is derived from."""
    for base in cls.__mro__:
        if is_library(base) and issubclass(base, View):
            return base.__name__
        if base.__module__.startswith(_VIEWS):
            return f"Async{base.__name__}"
    return "AsyncView"


def _async_under_a_sync_name(plan: Plan) -> Iterator[Problem]:
    """An `async def` in the place of a sync method, which nobody would await."""
    both = {*handler_names(plan.cls)}
    for place, klass in enumerate(plan.mro):
        if is_of_a_framework(klass):
            continue
        for name, value in vars(klass).items():
            if name in both or mark_of(value) is not None or not _needs_await(value):
                continue
            below = next(
                (
                    base
                    for base in plan.mro[place + 1 :]
                    if name in vars(base) and not is_passed_on(vars(base)[name])
                ),
                None,
            )
            # A hook below is a twin of this package, or a sync wrapper around it.
            if (
                below is None
                or _needs_await(vars(below)[name])
                or isinstance(mark_at(below, name), Hook)
            ):
                continue
            if not callable(getattr(below, name, None)):
                continue
            if name == "setup":
                hint = (
                    "Keep setup() sync, and await in `async def dispatch()`, before "
                    "`return await super().dispatch(request, *args, **kwargs)`."
                )
            elif name in GUARDED:
                yield _async_verdict(plan, klass, below, name)
                continue
            elif hasattr(plan.cls, HOOKS.get(name, "")):
                hint = (
                    f"Rename it: `async def {HOOKS[name]}()`, and await "
                    f"super().{HOOKS[name]}() in it."
                )
                if _is_generator(value):
                    hint += _NO_YIELD
            elif expects_awaitable(plan.mro, name, below):
                continue
            else:
                hint = f"Make it sync: `def {name}()`."
            yield Problem(
                "async_cbv.E001",
                f"{_label(klass, name)} {_is_what(value)}, but the callers of "
                f"{_label(below, name)} do not await it. They would get a coroutine "
                "instead of the result",
                hint,
                (where(klass, name),),
            )


def _async_verdict(plan: Plan, klass: type, below: type, name: str) -> Problem:
    """An `async def test_func()` and the like, which Python would call true."""
    aname = HOOKS.get(name)
    others = {hook: its_aname for hook, its_aname, _ in pairs(plan.cls)}
    label = _label(klass, name)
    kind = _is_what(vars(klass)[name])
    is_awaited = aname is not None and hasattr(plan.cls, aname)
    if is_awaited:
        message = (
            f"{label} {kind}, but the view awaits only {aname}(). Each request would "
            "fail"
        )
    else:
        message = (
            f"{label} would let everyone in. It {kind}, and {below.__name__} takes the "
            "coroutine for True"
        )
    is_djangos = below.__module__.partition(".")[0] == "django"
    if name in others:
        hint = f"Rename it: `async def {others[name]}()`. Then the view awaits it."
    elif aname is None:
        hint = f"Make it sync: `def {name}()`. In it, wait with `async_to_sync()`."
    elif is_djangos and not is_awaited:
        hint = (
            f"Derive {plan.cls.__name__} from {MIXINS[name]} instead of "
            f"{below.__name__}, and rename it: `async def {aname}()`."
        )
    elif not is_awaited:
        hint = f"Rename it: `async def {aname}()`. Then the view awaits it."
    elif not is_djangos:
        hint = (
            f"Rename it: `async def {aname}()`. In it, `await super().{aname}()` "
            f"returns the result of {_label(below, name)}."
        )
    else:
        hint = f"Rename it: `async def {aname}()`{_VERDICT_HINTS[name]}."
    if _is_generator(vars(klass)[name]):
        hint += _NO_YIELD
    return Problem("async_cbv.E001", message, hint, (where(klass, name),))


_NO_YIELD = " Return the result instead of a `yield`."
# What to do in the async variant of a check of Django. Django's test_func() only raises
# NotImplementedError, so an override of atest_func() does not call super().
_VERDICT_HINTS = {
    "test_func": ", and return True for users who may see the page",
    "get_test_func": ", and return a sync or async function, for example "
    "`return self.atest_func`",
    "has_permission": ". In it, `await super().ahas_permission()` checks "
    "permission_required",
}


def _sync_under_a_twins_name(plan: Plan, name: str, aname: str) -> Iterator[Problem]:
    for klass in plan.async_overrides(name):
        value = vars(klass)[aname]
        if _is_generator(value):
            yield _generator(klass, aname)
        elif _needs_await(inspect.unwrap(value)) and not is_async_function(value):
            yield _under_a_sync_decorator(klass, aname)
        elif not is_async_function(value):
            yield Problem(
                "async_cbv.E002",
                f"{_label(klass, aname)} is not a coroutine function, but the view "
                "awaits it. Each request would fail",
                f"Make it `async def {aname}()`, or rename it: `def {name}()`.",
                (where(klass, aname),),
            )


def _generator(klass: type, name: str) -> Problem:
    return Problem(
        "async_cbv.E002",
        f"{_label(klass, name)} is an async generator, because it has a `yield`. The "
        "view awaits it, so each request would fail",
        "Collect the items in a list instead, and `return` the list.",
        (where(klass, name),),
    )


def _under_a_sync_decorator(klass: type, name: str) -> Problem:
    return Problem(
        "async_cbv.E002",
        f"{_label(klass, name)} is an `async def` under a sync decorator. The "
        "decorator would end before the body of the method begins",
        "Put the decorator on a sync method, or on the class: "
        '`@method_decorator(..., name="dispatch")`.',
        (where(klass, name),),
    )


def _handler_under_a_sync_decorator(plan: Plan, name: str) -> Iterator[Problem]:
    for klass in plan.definitions.of(name):
        value = vars(klass)[name]
        mark = mark_at(klass, name)
        if isinstance(mark, Override):
            value = mark.function
        elif mark is not None:
            continue
        if value is None or is_async_function(value):
            continue
        if _is_generator(value):
            yield _generator(klass, name)
        elif _needs_await(inspect.unwrap(value)):
            yield _under_a_sync_decorator(klass, name)


def _sync_before_async(plan: Plan, name: str, aname: str) -> Iterator[Problem]:
    """The event loop would run the async override and never see the sync one."""
    asyncs = plan.async_overrides(name)
    if not asyncs:
        return
    below = asyncs[-1]
    for klass in plan.sync_overrides(name):
        if klass not in asyncs and plan.mro.index(klass) < plan.mro.index(below):
            hidden_by = next(
                one for one in asyncs if plan.mro.index(one) > plan.mro.index(klass)
            )
            fix = f"Make it `async def {aname}()` and await super().{aname}() in it"
            # A class always comes before those that it inherits from.
            if not issubclass(klass, hidden_by):
                fix += f", or put {hidden_by.__name__} before {klass.__name__}"
            yield Problem(
                "async_cbv.E003",
                f"{_label(klass, name)} would be skipped on the event loop: its code, "
                "for example a filter, would not run. It is sync, and comes before the "
                f"async {_label(hidden_by, aname)} in the MRO of {plan.cls.__name__}",
                f"{fix}.",
                (where(klass, name), where(hidden_by, aname)),
            )


def _out_of_reach(plan: Plan, name: str, aname: str) -> Iterator[Problem]:
    """An async override behind the twin that no `super()` leads to."""
    for klass in plan.async_overrides(name):
        place = plan.mro.index(klass)
        for owner, hook in _hooks(plan, name):
            defined = plan.place(hook)
            ends = SUPER not in (hook.calls or ())
            if plan.mro.index(owner) < place and (place < defined or ends):
                named = _as_the_user_knows_it(plan, owner)
                yield Problem(
                    "async_cbv.E004",
                    f"{_label(klass, aname)} would never be called, because it comes "
                    f"after {named} in the MRO of {plan.cls.__name__}. The page would "
                    "be shown without its result",
                    f"Put {klass.__name__} before {named} among the bases "
                    f"of {plan.cls.__name__}.",
                    (where(klass, aname),),
                )
                break


def _unlike_handlers(plan: Plan, name: str) -> Iterator[Problem]:
    """
    Overrides of a handler that meet one of the other colour by super().

    A handler of a class of ours answers in either colour; one of a plain mixin
    does not, and would run on the event loop or return a coroutine to sync code.
    """
    above: type | None = None
    ours: type | None = None
    for klass in plan.definitions.of(name):
        value = vars(klass)[name]
        if value is None:
            continue
        mark = mark_at(klass, name)
        if isinstance(mark, Hook):
            ours = klass
            continue
        hook = plan.hook_at(klass, name)
        if hook is not None:
            ours = None
            if SUPER not in (hook.calls or ()):
                return
            continue
        if ours is not None and is_async_function(value):
            yield Problem(
                "async_cbv.E004",
                f"{_label(klass, name)} comes after {ours.__name__} in the MRO of "
                f"{plan.cls.__name__}, so its super() calls Django's sync {name}(). "
                "Each request would fail",
                f"Derive {klass.__name__} from {ours.__name__}.",
                (where(klass, name),),
            )
            continue
        if above is not None and not isinstance(mark, Override):
            upper = vars(above)[name]
            upper_is_async = is_async_function(upper)
            if upper_is_async != is_async_function(value) and not (
                name == "dispatch" and _knows_coroutines(upper, value)
            ):
                effect = (
                    f"`await super().{name}()` would fail"
                    if upper_is_async
                    else f"`super().{name}()` would return a coroutine"
                )
                yield Problem(
                    "async_cbv.E005",
                    f"{_label(above, name)} is {_colour(upper_is_async)}, but its "
                    f"super() calls {_label(klass, name)}, which is "
                    f"{_colour(not upper_is_async)}. {effect}",
                    f"Put a class between them, and derive {above.__name__} from it: "
                    f"`class Base({klass.__name__}, AsyncView)`.",
                    (where(above, name), where(klass, name)),
                )
        above = klass


# Names in code that can tell a coroutine from a response.
_OF_COROUTINES = {
    "async_to_sync",
    "isawaitable",
    "iscoroutine",
    "iscoroutinefunction",
    "view_is_async",
}


def _knows_coroutines(upper: Any, lower: Any) -> bool:
    """
    Whether the sync one of two dispatch() methods can handle a coroutine.

    Either it asks whether it has one, as django-guardian's does. Or it only returns
    what its super() gives, and the view awaits that.
    """
    upper, lower = (
        mark.function if isinstance(mark := mark_of(one), Override) else one
        for one in (upper, lower)
    )
    sync = lower if is_async_function(upper) else upper
    code = getattr(inspect.unwrap(sync), "__code__", None)
    # The name may also be an argument of getattr().
    if code is not None and not _OF_COROUTINES.isdisjoint(
        (*code.co_names, *code.co_consts)
    ):
        return True
    return sync is upper and passes_on(sync, "dispatch")


def _checks_of_two_colors(plan: Plan) -> Iterator[Problem]:
    """Checks of another package's mixin, with both sync and async overrides."""
    for name, aname, mixin in pairs(plan.cls):
        above: type | None = None
        for klass in plan.mro[: plan.mro.index(mixin)]:
            own = vars(klass)
            is_sync = name in own and mark_at(klass, name) is None
            has_async = aname in own and mark_at(klass, aname) is None
            if is_sync and has_async:
                above = None
            elif is_sync or has_async:
                taken = aname if has_async else name
                if above is not None and taken not in vars(above):
                    other = name if has_async else aname
                    skipped = _label(klass, taken)
                    yield Problem(
                        "async_cbv.E013",
                        f"The access check {skipped} would be skipped, so users whom "
                        f"it denies would be let in. {_label(above, other)} comes "
                        f"before it in the MRO of {plan.cls.__name__}, and "
                        f"{mixin.__name__} calls only one of the two",
                        f"Make both `async def {aname}()`, and await "
                        f"super().{aname}() in {above.__name__}.",
                        (where(above, other), where(klass, taken)),
                    )
                    break
                above = klass


def _access_behind(plan: Plan) -> Iterator[Problem]:
    """An access mixin behind the view, which lets in everyone: nothing calls it."""
    last = plan.mro.index(View)
    for klass in plan.mro[last + 1 :]:
        # AccessMixin has both methods, and so do similar mixins of third parties.
        if "dispatch" in vars(klass) and hasattr(klass, "handle_no_permission"):
            mixin = next(
                one
                for one in plan.mro
                if issubclass(one, klass) and not issubclass(one, View)
            )
            view = next(
                base
                for one in plan.mro
                if not is_library(one)
                for base in one.__bases__
                if issubclass(base, View)
            )
            yield Problem(
                "async_cbv.E006",
                f"{plan.cls.__name__} would be open to everyone. {mixin.__name__} "
                f"comes after {view.__name__} in its MRO, so nothing calls the "
                f"dispatch() of {mixin.__name__}",
                f"Put {mixin.__name__} before {view.__name__} among the bases of "
                f"{plan.cls.__name__}.",
                (where(klass, "dispatch"),),
            )
            return


def _message_behind(plan: Plan) -> Iterator[Problem]:
    """A success message mixin whose form_valid() nothing calls: it has no say."""
    if SuccessMessageMixin not in plan.mro:
        return
    place = plan.mro.index(SuccessMessageMixin)
    above = plan.mro[:place]
    name = plan.cls.__name__
    mixin = next(
        one
        for one in plan.mro
        if issubclass(one, SuccessMessageMixin) and not issubclass(one, View)
    ).__name__
    # Django's form_valid() ends here without calling super().
    hooks = (plan.hook_for(vars(klass).get("form_valid")) for klass in above)
    if any(hook and SUPER not in (hook.calls or ()) for hook in hooks):
        # The class with the wrong order of bases. Its subclasses cannot change the
        # order.
        owner = next(
            one
            for one in reversed(plan.mro)
            if issubclass(one, SuccessMessageMixin) and issubclass(one, View)
        )
        view = next(base.__name__ for base in owner.__bases__ if issubclass(base, View))
        yield Problem(
            "async_cbv.E011",
            f"{mixin} comes after {view} in the MRO of {name}, so nothing calls its "
            "form_valid(). Users would see no message",
            f"Put {mixin} before {view}: `class {owner.__name__}({mixin}, {view})`.",
            (f"module {owner.__module__}",),
        )
    elif hasattr(plan.cls, "formset_valid") and not issubclass(plan.cls, FormMixin):
        yield Problem(
            "async_cbv.E011",
            f"{mixin} queues its message in form_valid(), which {name} does not call, "
            "because it is a view of a formset. Users would see no message",
            f"Leave {mixin} out, and call `messages.success(self.request, ...)` in "
            "`async def aformset_valid(self, formset)`, after `await "
            "super().aformset_valid(formset)`.",
            (f"module {plan.cls.__module__}",),
        )


def _attributes(cls: type, attributes: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with hooks that a view is to have as attributes of its own."""
    plan = plan_of(cls)
    for name, aname in HOOKS.items():
        if name not in attributes and aname not in attributes:
            continue
        value = attributes.get(name)
        if name in attributes and not is_bridge(value):
            if _needs_await(value):
                yield Problem(
                    "async_cbv.E001",
                    f"{name}() was set on a {cls.__name__} instance, and is async. "
                    "Nothing would await it, so the page would lack its result",
                    f"Set {aname} instead: `{cls.__name__}.as_view({aname}=...)`.",
                    (where_written(value),),
                )
            elif name in plan.async_hooks:
                klass = plan.async_overrides(name)[0]
                yield Problem(
                    "async_cbv.E003",
                    f"{name}() was set on a {cls.__name__} instance. It would be "
                    f"skipped on the event loop, because {_label(klass, aname)} is "
                    "async",
                    f"Set {aname} to a coroutine function instead.",
                    (where(klass, aname),),
                )
        if aname in attributes and not is_async_function(attributes[aname]):
            yield Problem(
                "async_cbv.E002",
                f"{aname}() was set on a {cls.__name__} instance, and is not a "
                "coroutine function. The view awaits it, so each request would fail",
                f"Set {name} instead: `{cls.__name__}.as_view({name}=...)`.",
                (where_written(attributes[aname]),),
            )


def _hooks(plan: Plan, name: str) -> Iterator[tuple[type, Hook]]:
    """The twins of a hook, each with the class of ours that defines it."""
    for klass in plan.mro:
        mark = mark_at(klass, HOOKS[name])
        if isinstance(mark, Hook):
            yield klass, mark


def _hook_behind(plan: Plan, name: str, klass: type) -> Hook | None:
    """The first of Django's own definitions that a sync override's super() meets."""
    for below in plan.mro[plan.mro.index(klass) + 1 :]:
        hook = plan.hook_at(below, name)
        if hook is not None:
            return hook
    return None


def _as_the_user_knows_it(plan: Plan, owner: type) -> str:
    """Of the classes that bring a class of ours, the one that the user has named."""
    for klass in plan.mro:
        for base in () if is_library(klass) else klass.__bases__:
            if is_library(base) and issubclass(base, owner):
                return base.__name__
    return owner.__name__


def _needs_await(value: Any) -> bool:
    """Whether what a method gives is of no use to sync code: it is async in any way."""
    if is_plainly_sync(value):
        return False
    function = getattr(value, "__func__", value)
    return is_async_function(value) or inspect.isasyncgenfunction(function)


def _is_generator(value: Any) -> bool:
    return inspect.isasyncgenfunction(getattr(value, "__func__", value))


def _is_what(value: Any) -> str:
    return "is an async generator" if _is_generator(value) else "is async"


def _colour(is_async: bool) -> str:
    return "async" if is_async else "sync"


def _label(klass: type, name: str) -> str:
    return f"{klass.__name__}.{name}()"


def where(klass: type, name: str) -> str:
    """The file and line where a method is written; its module if that is all."""
    return where_written(vars(klass)[name], klass.__module__)


def where_written(function: Any, module: str | None = None) -> str:
    """The file and line where a function is written; its module if that is all."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code is None:
        return f"module {module or getattr(function, '__module__', None)}"
    return f"{code.co_filename}:{code.co_firstlineno}"
