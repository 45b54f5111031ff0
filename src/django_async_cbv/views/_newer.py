"""Let Django's own post() wait for async validation, where ours can't replace it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core.flow import Flow
from ..core.hooks import HOOKS, Bridge
from ..core.validation import prepare_instance, validate, wait_if_awaitable

__all__ = ["post_and_wait"]


def post_and_wait(function: Any) -> Callable[..., Any]:
    """
    Django's own `post()` of a form view, which waits for what forms and models await.

    For a Django whose `post()` calls what ours does not know: see Hook.unknown_calls.
    It runs in the worker thread, which waits.
    """

    @functools.wraps(function)
    def post(view: Any, *args: Any, **kwargs: Any) -> Any:
        for name, wrap in (("get_form", _wait_to_validate), ("get_object", _waits)):
            if hasattr(view, name):
                setattr(view, name, _changing(name, getattr(view, name), wrap))
        return function(view, *args, **kwargs)

    return post


def _changing(
    name: str, method: Callable[..., Any], change: Callable[[Any], Any]
) -> Any:
    @functools.wraps(method)
    def changed(*args: Any, **kwargs: Any) -> Any:
        return change(method(*args, **kwargs))

    # Marked, so that an async hook does not take the function for the user's override.
    changed._twin = Bridge(changed, HOOKS[name])  # type: ignore[attr-defined]  # our mark
    return changed


def _waits(instance: Any) -> Any:
    prepare_instance(instance)
    return instance


def _wait_to_validate(form: Any) -> Any:
    is_valid = form.is_valid

    def validate_and_wait() -> bool:
        # Restore the form's method, which validate() calls.
        form.is_valid = is_valid
        valid: bool = Flow(validate(form)).enter()
        return valid

    form.is_valid = validate_and_wait
    save: Any = getattr(form, "save", None)
    if save is not None:

        @functools.wraps(save)
        def save_and_wait(*args: Any, **kwargs: Any) -> Any:
            return wait_if_awaitable(save(*args, **kwargs))

        form.save = save_and_wait
    return form
