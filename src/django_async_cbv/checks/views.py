"""Find views that let everyone in, fail or skip validation, as nothing awaits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.views.generic.base import View

from ..core.guards import MIXINS
from ..core.hooks import is_async_function
from ..core.problems import Problem, async_view_of, where
from ..core.twins import TwinMixin

__all__ = ["skipped_validation", "uncalled_checks", "unguarded", "unvalidated"]

# The access checks of Django, each with the mixin of this package that calls it.
_MIXINS = {name: MIXINS[name] for name in ("test_func", "has_permission")}


def unguarded(cls: type) -> Iterator[Problem]:
    """What is wrong with how a view class that is not ours says who may see it."""
    verdicts = [*_async_verdicts(cls), *uncalled_checks(cls)]
    yield from verdicts
    if not verdicts and _runs_on_the_loop(cls):
        yield from _sync_guards(cls)


def uncalled_checks(cls: type) -> Iterator[Problem]:
    """An `async def atest_func()` of a view that asks for none: everyone gets in."""
    for name, mixin in _MIXINS.items():
        aname = f"a{name}"
        klass = next((base for base in cls.__mro__ if aname in vars(base)), None)
        # A view of this package calls the check if it has a mixin of Django or of this
        # package.
        if klass is None or (issubclass(cls, TwinMixin) and hasattr(cls, name)):
            continue
        yield Problem(
            "async_cbv.E010",
            f"{cls.__name__} is open to everyone. {klass.__name__}.{aname}() is never "
            f"called, because {cls.__name__} has no mixin that calls it",
            f"Derive {cls.__name__} from {mixin} and {async_view_of(cls)}.",
            (where(klass, aname),),
        )


def _async_verdicts(cls: type) -> Iterator[Problem]:
    """An `async def test_func()` under Django's mixin: its coroutine is true."""
    # AccessMixin has this method, and so do similar mixins of third parties.
    if not hasattr(cls, "handle_no_permission"):
        return
    for name, mixin in _MIXINS.items():
        klass = next((base for base in cls.__mro__ if name in vars(base)), None)
        value = None if klass is None else vars(klass)[name]
        if klass is None or not (
            is_async_function(value) or inspect.isasyncgenfunction(value)
        ):
            continue
        asks = next(
            (
                base.__name__
                for base in cls.__mro__
                if "dispatch" in vars(base) and hasattr(base, name)
            ),
            cls.__name__,
        )
        yield Problem(
            "async_cbv.E007",
            f"{cls.__name__} is open to everyone. {klass.__name__}.{name}() is async, "
            f"and {asks}.dispatch() takes the coroutine for True",
            f"Derive {cls.__name__} from {mixin} and {async_view_of(cls)}, and rename "
            f"it: `async def a{name}()`.",
            (where(klass, name),),
        )


def _runs_on_the_loop(cls: Any) -> bool:
    """Whether Django calls the view's dispatch() on the event loop."""
    try:
        return issubclass(cls, View) and bool(cls.view_is_async)
    except ImproperlyConfigured:  # handlers of both colours: as_view() refuses it
        return False


def _sync_guards(cls: type) -> Iterator[Problem]:
    """A sync dispatch() that asks for the user on the event loop."""
    for klass in cls.__mro__[: cls.__mro__.index(View)]:
        dispatch = vars(klass).get("dispatch")
        if dispatch is None or is_async_function(dispatch):
            continue
        if hasattr(klass, "handle_no_permission"):
            what = f"{klass.__name__}.dispatch()"
            mixin = f"Async{klass.__name__.removeprefix('Async')}"
        # login_required() and similar decorators set this attribute.
        elif hasattr(dispatch, "redirect_field_name"):
            what, mixin = f"The decorator of {klass.__name__}.dispatch()", ""
        else:
            continue
        yield Problem(
            "async_cbv.E008",
            f"{what} is sync. It reads the user on the event loop, because "
            f"{cls.__name__} has async handlers, and each request fails",
            f"Derive {cls.__name__} from {f'{mixin} and ' if mixin else ''}AsyncView.",
            (where(klass, "dispatch"),),
        )
        return


def unvalidated(callback: Callable[..., Any]) -> Iterator[Problem]:
    """Async validation of the form of a view of Django's, which does not await it."""
    cls: Any = getattr(callback, "view_class", None)
    # An override of post() may await ais_valid().
    if not _is_djangos(cls, "post"):
        return
    options = getattr(callback, "view_initkwargs", {})
    ours = async_view_of(cls)
    is_base = cls.__module__.startswith("django.")
    fix = f"Use {ours} instead" if is_base else f"Derive {cls.__name__} from {ours}"
    for attribute in ("form_class", "authentication_form"):
        form_class = options.get(attribute, getattr(cls, attribute, None))
        yield from skipped_validation(
            "async_cbv.E012", cls.__name__, form_class, (), f"{fix}."
        )


def skipped_validation(
    check: str, user: str, form_class: Any, fields: Sequence[str], fix: str = ""
) -> Iterator[Problem]:
    """The async validation of a form class, and of the forms of a formset's."""
    cls: Any
    for cls in (form_class, getattr(form_class, "form", None)):
        names = {*fields, *getattr(cls, "base_fields", ())}
        for name in ("aclean", *sorted(f"aclean_{field}" for field in names)):
            if not iscoroutinefunction(getattr(cls, name, None)):
                continue
            klass = next(one for one in cls.__mro__ if name in vars(one))
            yield Problem(
                check,
                f"{klass.__name__}.{name}() is skipped, so data that it rejects is "
                f"saved. {user} calls Django's is_valid(), which does not await it",
                fix or f"Validate in a sync `def {name[1:]}()` as well.",
                (where(klass, name),),
            )


def _is_djangos(cls: Any, name: str) -> bool:
    """Whether a class has a method that Django defines, and nobody overrides."""
    owner = next(
        (one for one in getattr(cls, "__mro__", ()) if name in vars(one)), None
    )
    return owner is not None and owner.__module__.startswith("django.")
