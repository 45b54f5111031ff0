"""Async validation of forms and formsets: aclean(), and aclean_<field>()."""

from __future__ import annotations

from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.forms import BaseForm, BaseFormSet, BaseModelForm

from .flow import Body, Flow, call

__all__ = ["ais_valid", "validate"]


async def ais_valid(form: BaseForm | BaseFormSet[Any]) -> bool:
    """
    Return whether a form is valid, after its async validation as well.

    Django's own validation comes first, in the worker: one hop. Then, on the
    event loop, for each field without an error `async def aclean_<field>()`,
    which returns the field's cleaned value, and `async def aclean()`, which may
    return cleaned data. Both may raise ValidationError, as clean() may, or call
    add_error(). Where they have changed what is cleaned, a model form puts it on
    its instance and validates that again, for one hop more. Of a formset: the
    same for each of its forms that is not to be deleted, then its own aclean().

    Views do this for their forms. Asked again, it has its answer, as Django's
    is_valid() has. Raise ImproperlyConfigured for an aclean...() that is not
    async, and for a clean...() that is.
    """
    valid: bool = await Flow(validate(form)).run()
    return valid


def validate(form: Any) -> Body[bool]:
    """As ais_valid(), in a lifted body: Django's own part joins the hop it is in."""
    is_formset = isinstance(form, BaseFormSet)
    if form.is_bound:
        # In the worker: a formset makes its forms when it is asked for them.
        yield call(_refuse_async, form)
    valid: bool = yield call(form.is_valid)
    # Django makes it anew when it cleans anew.
    if not form.is_bound or getattr(form, "_acleaned", None) is form._errors:
        return valid
    asks = [one for one in (form.forms if is_formset else [form]) if _asks(one)]
    if not (asks or (is_formset and _cleaner(form, "aclean"))):
        return valid
    for one in (yield call(_to_be_cleaned, form, asks)):
        yield call(_clean_form, one)
    if is_formset:
        yield call(_clean_together, form)
    form._acleaned = form._errors
    valid = yield call(form.is_valid)
    return valid


def _to_be_cleaned(form: Any, asks: list[Any]) -> list[Any]:
    """Those that Django has cleaned: neither left blank nor to be deleted."""
    can_delete = isinstance(form, BaseFormSet) and form.can_delete
    return [
        one
        for one in asks
        # To see whether it has changed may be a query.
        if not (one.empty_permitted and not one.has_changed())
        and not (can_delete and form._should_delete_form(one))
    ]


def _refuse_async(form: Any) -> None:
    """Raise ImproperlyConfigured for an async clean(), which Django won't await."""
    for one in form.forms if isinstance(form, BaseFormSet) else ():
        _refuse_async(one)
    for name in ("clean", *(f"clean_{field}" for field in getattr(form, "fields", ()))):
        if iscoroutinefunction(getattr(form, name, None)):
            raise ImproperlyConfigured(
                f"{type(form).__name__}.{name}() is async, and Django does not await "
                f"it: rename it a{name}()."
            )


def _asks(form: Any) -> bool:
    """Whether a form has async validation."""
    return any(
        _cleaner(form, name)
        for name in ("aclean", *(f"aclean_{field}" for field in form.fields))
    )


def _cleaner(form: Any, name: str) -> Any:
    cleaner = getattr(form, name, None)
    if cleaner is not None and not iscoroutinefunction(cleaner):
        raise ImproperlyConfigured(
            f"{type(form).__name__}.{name}() is not async; make it "
            f"`async def {name}()`, or rename it {name[1:]}()."
        )
    return cleaner


async def _clean_form(form: Any) -> None:
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
    if (
        isinstance(form, BaseModelForm)
        and not form.errors
        and _differs(before, form.cleaned_data)
    ):
        await Flow(_put_on_instance(form)).run()


def _differs(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether any value has been replaced; to compare them may be a query."""
    return before.keys() != after.keys() or any(
        after[name] is not value for name, value in before.items()
    )


def _put_on_instance(form: Any) -> Body[None]:
    # What Django does with cleaned data in full_clean(), a hook of its own.
    yield call(form._post_clean)


async def _clean_together(formset: Any) -> None:
    if (cleaner := _cleaner(formset, "aclean")) is not None:
        try:
            await cleaner()
        except ValidationError as error:
            formset.non_form_errors().extend(error.error_list)
