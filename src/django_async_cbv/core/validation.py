"""Async validation of forms and formsets: aclean(), and aclean_<field>()."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType, NoneType
from typing import Any

from asgiref.sync import AsyncToSync, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import Model
from django.forms import (
    BaseForm,
    BaseFormSet,
    BaseInlineFormSet,
    BaseModelForm,
    BaseModelFormSet,
)

from .flow import Call, Calls, Flow, call
from .marks import is_async
from .naming import shows
from .threads import loop_is_running, wait_for

__all__ = [
    "ais_valid",
    "call_and_await",
    "deletion_is_waited_for",
    "is_sync_form",
    "prepare_instance",
    "saved",
    "validate",
    "wait_if_awaitable",
]


async def ais_valid(form: BaseForm | BaseFormSet[Any]) -> bool:
    """
    Return whether a form is valid, after its sync and its async validation.

    Django's own validation comes first. Then each field without an error runs
    `async def aclean_<field>()`, which returns the cleaned value. The form's
    `async def aclean()` comes last, and may return the cleaned data. Both methods may
    raise `ValidationError` or call `add_error()`. If they change what is cleaned, a
    model form puts it on its instance and validates the instance again.

    For a formset, this happens for each form that is not to be deleted. Then the
    `aclean()` of the formset runs. The views of this package call the function for you.
    A second call for the same form returns the first result.

    Args:
        form: A form or a formset.

    Returns:
        True if the form has no errors.

    Raises:
        ImproperlyConfigured: If a method `aclean...()` is sync, or a method
            `clean...()` is async.

    Runs on:
        The worker thread for the sync validation: one hop. The event loop for the async
        validation. One more hop if a model form validates its instance again.
    """
    valid: bool = await Flow(validate(form)).run()
    return valid


def validate(form: Any) -> Calls[bool]:
    """As ais_valid(), in a lifted body: Django's own part joins the hop it is in."""
    is_formset = isinstance(form, BaseFormSet)
    if not (is_formset or isinstance(form, BaseForm)):
        return (yield from _validate_form_like(form))
    if form.is_bound:
        # In a worker thread, because a formset makes its forms on access, which may
        # query.
        yield call(_prepare, form)
    unique = _UniqueCheck(form)
    valid = yield from _answer(unique.is_valid)
    # Django makes a new `_errors` when it validates again.
    if not form.is_bound or getattr(form, "_acleaned", None) is form._errors:
        return valid
    asks = [one for one in (form.forms if is_formset else [form]) if _asks(one)]
    if not (asks or (is_formset and _cleaner(form, "aclean"))):
        return valid
    has_changed = False
    for one in (yield call(_to_be_cleaned, form, asks)):
        has_changed |= yield call(_clean_form, one)
    if has_changed and unique.is_asked:
        yield call(unique.ask_again)
    if is_formset:
        yield call(_clean_together, form)
    form._acleaned = form._errors
    return (yield from _answer(form.is_valid))


def _validate_form_like(form: Any) -> Calls[bool]:
    """
    Validate an object with an is_valid() that is not one of Django's forms.

    A view asks nothing else of it, so nothing else has to be there. The forms in
    its `forms`, if it has any, are validated as they would be by themselves.
    """
    inner = yield call(_prepare, form)
    valid = yield from _answer(form.is_valid)
    for one in inner:
        valid = (yield from validate(one)) and valid
    cleaner = _cleaner(form, "aclean")
    if cleaner is None:
        return valid
    try:
        yield call(cleaner)
    except ValidationError as error:
        if not hasattr(form, "add_error"):
            raise
        yield call(form.add_error, None, error)
        return False
    # aclean() may have added errors to a form that was valid. A form that was not valid
    # is not asked again, because is_valid() may validate again.
    return valid and (yield from _answer(form.is_valid))


def _inner_forms(form: Any) -> list[Any]:
    """The forms of a formset, or those that a form-like object shows in `forms`."""
    if isinstance(form, BaseForm):
        return []
    forms = getattr(form, "forms", ())
    if isinstance(forms, Mapping):
        forms = forms.values()
    # Reading an iterator here would leave none of its forms for the form itself.
    elif not isinstance(forms, Iterable) or isinstance(forms, Iterator):
        return []
    return [
        one
        for one in forms
        if isinstance(one, BaseForm | BaseFormSet)
        or (hasattr(one, "is_valid") and hasattr(one, "forms"))
    ]


def _answer(is_valid: Callable[[], Any]) -> Calls[bool]:
    """Whether a form says that it is valid; a coroutine is awaited first."""
    valid = yield from call_and_await(is_valid)
    return bool(valid)


class _UniqueCheck:
    """
    What a model formset checks across its forms, to do it once more.

    Its clean() does that by validate_unique(), and a clean() of the project's may
    leave it out. So it is asked again only where it was asked before, and clean()
    is not called a second time.
    """

    def __init__(self, form: Any) -> None:
        self._form = form
        self._check = getattr(form, "validate_unique", None)
        # If a formset was validated before, nothing tells whether it checked for unique
        # values.
        self.is_asked = self._is_formset and form._errors is not None

    @property
    def _is_formset(self) -> bool:
        return isinstance(self._form, BaseModelFormSet)

    def is_valid(self) -> Any:
        """Ask the form, and see whether it asks for this check."""
        if not self._is_formset or self.is_asked:
            return self._form.is_valid()
        self._form.validate_unique = self._asked
        try:
            return self._form.is_valid()
        finally:
            del self._form.validate_unique

    def _asked(self) -> Any:
        self.is_asked = True
        return self._check()  # type: ignore[misc]  # a formset has it

    def ask_again(self) -> None:
        """Check the forms with their new values; duplicates are errors of theirs."""
        try:
            self._check()  # type: ignore[misc]  # a formset has it
        except ValidationError as error:
            self._form.non_form_errors().extend(error.error_list)


def _to_be_cleaned(form: Any, asks: list[Any]) -> list[Any]:
    """Those that Django has cleaned: neither left blank nor to be deleted."""
    can_delete = isinstance(form, BaseFormSet) and form.can_delete
    return [
        one
        for one in asks
        # has_changed() may query.
        if not (one.empty_permitted and not one.has_changed())
        and not (can_delete and form._should_delete_form(one))
    ]


# Methods of a form, a formset or an instance that Django calls to validate, and does
# not await.
_CLEANS = ("clean", "full_clean", "has_changed", "validate_unique")
_CLEANS_INSTANCE = (
    "clean",
    "clean_fields",
    "full_clean",
    "validate_constraints",
    "validate_unique",
)
# Methods that Django calls to save a form, a formset or an instance.
_SAVES = (
    "save",
    "save_m2m",
    "_save_m2m",
    "save_new",
    "save_existing",
    "save_new_objects",
    "save_existing_objects",
    "delete_existing",
)
_SAVES_INSTANCE = ("save", "delete", "get_absolute_url")
# Django's functions of these names, which are sync. Most classes do not override them.
_DJANGOS = {
    vars(kind).get(name)
    for owner in (BaseModelForm, BaseInlineFormSet, Model)
    for kind in owner.__mro__
    for name in (*_CLEANS, *_CLEANS_INSTANCE, *_SAVES, *_SAVES_INSTANCE)
}


def _async_ones(thing: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Those of its methods that are async, by their names."""
    kind, own = type(thing), getattr(thing, "__dict__", ())
    asks_anew = hasattr(kind, "__getattr__")
    for name in names:
        if not (name in own or asks_anew):
            found = getattr(kind, name, None)
            if type(found) in _PLAIN and found in _DJANGOS:
                continue
        method: Any = getattr(thing, name, None)
        if is_async(method):
            yield name, method


_PLAIN = (FunctionType, NoneType)


def is_sync_form(form_class: Any, model: Any, instance: Any) -> bool:
    """
    Whether a form awaits nothing to be validated and saved, nor does its model.

    `form_class`: None where Django makes it of a model. `instance`: what the form is
    of, where that is there before the form.
    """
    if form_class is not None:
        if (
            not (isinstance(form_class, type) and issubclass(form_class, BaseForm))
            or hasattr(form_class, "__getattr__")
            or form_class.is_valid is not BaseForm.is_valid
            or getattr(form_class, "save", None) not in _SAVES_OF_FORMS
            or _has_async_cleaners(form_class)
        ):
            return False
        fields: Iterable[str] = getattr(form_class, "base_fields", ())
        cleaners = [f"clean_{field}" for field in fields]
        if not _is_sync(form_class, (*_CLEANS, *_SAVES, *cleaners)):
            return False
        model = getattr(getattr(form_class, "_meta", None), "model", None)
    names = (*_CLEANS_INSTANCE, *_SAVES_INSTANCE)
    return _is_sync(model, names) and not any(_async_ones(instance, names))


def _is_sync(kind: Any, names: Iterable[str]) -> bool:
    found = [getattr(kind, name, None) for name in names]
    return not any(
        is_async(one) for one in found if type(one) not in _PLAIN or one not in _DJANGOS
    )


_SAVES_OF_FORMS = (None, BaseModelForm.save)
_known_cleaners: weakref.WeakKeyDictionary[Any, tuple[list[int], bool]] = (
    weakref.WeakKeyDictionary()
)


def _has_async_cleaners(form_class: type) -> bool:
    """Whether a form class has aclean(), or aclean_...() of any field."""
    spaces = [vars(kind) for kind in form_class.__mro__]
    # A method that somebody adds to a class later changes these sizes.
    sizes = [*map(len, spaces)]
    known = _known_cleaners.get(form_class)
    if known is None or known[0] != sizes:
        has = any(name.startswith("aclean") for space in spaces for name in space)
        known = _known_cleaners[form_class] = sizes, has
    return known[1]


@shows("is_valid")
def _prepare(form: Any) -> list[Any]:
    """
    Make a form ready for Django's sync code, which validates and saves it.

    Raise ImproperlyConfigured for async validation under a sync name, which Django
    would skip. Async methods that save get to be waited for. Return its inner forms.
    """
    inner = _inner_forms(form)
    for one in inner:
        if is_async(one.is_valid):
            raise _never_awaited(one, "is_valid", "Make it sync: `def is_valid()`")
        _prepare(one)
    cleaners = [f"clean_{field}" for field in getattr(form, "fields", ())]
    for name, _ in _async_ones(form, (*_CLEANS, *cleaners)):
        raise _never_awaited(
            form,
            name,
            f"Rename it: `async def a{name}()`"
            if name.startswith("clean")
            else f"Make it sync: `def {name}()`",
        )
    let_sync_code_wait(form, _SAVES)
    if isinstance(form, BaseModelForm):
        for name, _ in _async_ones(form.instance, _CLEANS_INSTANCE):
            raise _never_awaited(
                form.instance,
                name,
                f"Make it sync: `def {name}()`. Await in `async def aclean()` of "
                f"{type(form).__name__}",
            )
        prepare_instance(form.instance)
    return inner


def _never_awaited(thing: Any, name: str, fix: str) -> ImproperlyConfigured:
    method = f"{type(thing).__name__}.{name}()"
    return ImproperlyConfigured(
        f"{method} is async, but Django does not await it. Nothing is saved. {fix}."
    )


def prepare_instance(instance: Any) -> None:
    """Let Django's sync code wait for what a model instance has async to save by."""
    if isinstance(instance, Model):
        let_sync_code_wait(instance, _SAVES_INSTANCE)


def let_sync_code_wait(thing: Any, names: Sequence[str]) -> None:
    """
    Let those of the methods that are async be called by sync code as well.

    Such code (Django's form_valid(), the save() of a form or a formset) does not
    await what it calls: the coroutine would be dropped, and nothing saved. On the
    event loop they stay what they are.
    """
    for name, method in [*_async_ones(thing, names)]:
        if not hasattr(method, "_waits"):
            setattr(thing, name, _waiting(method))


def _waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def waiting(*args: Any, **kwargs: Any) -> Any:
        # async_to_sync() calls the function outside of its event loop, and awaits the
        # result.
        is_awaited = sys._getframe(1).f_code is _ASYNC_TO_SYNC
        if is_awaited or loop_is_running():
            return method(*args, **kwargs)
        return wait_for(method, *args, **kwargs)

    waiting._waits = True  # type: ignore[attr-defined]  # our mark
    # Marked as async, because Django's asave() would call it for ever otherwise.
    return markcoroutinefunction(waiting)


_ASYNC_TO_SYNC = AsyncToSync.__call__.__code__


def call_and_await(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Calls[Any]:
    """Call a method of the project's; what it gives is awaited if it has to be."""
    if is_async(func):
        return (yield call(func, *args, **kwargs))
    # In a list, because a flow accepts no coroutine as a result.
    [result] = yield call(_boxed, func, *args, **kwargs)
    if inspect.isawaitable(result):
        result = yield call(_given, result)
    return result


@shows(functools.partial)
def _boxed(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> list[Any]:
    return [func(*args, **kwargs)]


@contextlib.contextmanager
def deletion_is_waited_for(instance: Any) -> Iterator[None]:
    """
    Let sync code wait for a delete() that is sync itself and gives a coroutine.

    Django drops what delete() gives. So this is for the time of one call only.
    """
    method: Any = getattr(instance, "delete", None)
    function = getattr(method, "__func__", Model.delete)
    if function is Model.delete or is_async(method):
        yield
        return
    waits = functools.partial(_call_and_wait, method)
    instance.delete = functools.update_wrapper(waits, function)
    try:
        yield
    finally:
        vars(instance).pop("delete", None)


def _call_and_wait(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    result = method(*args, **kwargs)
    return result if loop_is_running() else wait_if_awaitable(result)


def saved(view: Any, form: Any, form_valid: Call | Callable[[], Any]) -> Calls[Any]:
    """Call form_valid(); raise TypeError if it took a coroutine for the object."""
    try:
        response = yield form_valid
    except Exception:
        _refuse_unsaved(view, form)
        raise
    _refuse_unsaved(view, form)
    return response


def _refuse_unsaved(view: Any, form: Any) -> None:
    if inspect.isawaitable(found := vars(view).get("object")):
        if inspect.iscoroutine(found):
            found.close()
        raise TypeError(
            f"Nothing was saved: {type(form).__name__}.save() returned a coroutine. "
            "Make it `async def save()`, and await in it."
        )


def wait_if_awaitable(result: Any) -> Any:
    """What a method of the project's gave to sync code, which waits for it."""
    return wait_for(_given, result) if inspect.isawaitable(result) else result


async def _given(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _asks(form: Any) -> bool:
    """Whether a form has async validation."""
    return any(
        _cleaner(form, name)
        for name in ("aclean", *(f"aclean_{field}" for field in form.fields))
    )


def _cleaner(form: Any, name: str) -> Any:
    cleaner = getattr(form, name, None)
    if cleaner is not None and not is_async(cleaner):
        raise ImproperlyConfigured(
            f"{type(form).__name__}.{name}() is sync, but the view awaits it. Nothing "
            f"is saved. Make it `async def {name}()`, or rename it: `def "
            f"{name[1:]}()`."
        )
    return cleaner


async def _clean_form(form: Any) -> bool:
    """Await a form's async validation; return whether that has changed its values."""
    before = dict(form.cleaned_data)
    for field in form.fields:
        cleaner = _cleaner(form, f"aclean_{field}")
        if cleaner is None or field not in form.cleaned_data:
            continue
        try:
            form.cleaned_data[field] = await cleaner()
        except ValidationError as error:
            form.add_error(field, error)
    if (cleaner := _cleaner(form, "aclean")) is not None:
        try:
            cleaned = await cleaner()
        except ValidationError as error:
            form.add_error(None, error)
        else:
            if cleaned is not None:
                form.cleaned_data = cleaned
    has_changed = _differs(before, form.cleaned_data)
    if isinstance(form, BaseModelForm) and not form.errors and has_changed:
        await Flow(_put_on_instance(form)).run()
    return has_changed


def _differs(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether any value has been replaced; to compare them may be a query."""
    return before.keys() != after.keys() or any(
        after[name] is not value for name, value in before.items()
    )


def _put_on_instance(form: Any) -> Calls[None]:
    # Django's full_clean() calls _post_clean() after the form's own validation.
    yield call(form._post_clean)


async def _clean_together(formset: Any) -> None:
    if (cleaner := _cleaner(formset, "aclean")) is not None:
        try:
            await cleaner()
        except ValidationError as error:
            formset.non_form_errors().extend(error.error_list)
