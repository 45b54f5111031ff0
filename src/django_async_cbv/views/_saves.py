"""Save formsets, or a form with its inlines: all or nothing. Then redirect."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import router, transaction
from django.forms.models import BaseModelForm
from django.http import HttpResponse, HttpResponseRedirect

from ..core.flow import Answer, Call
from ..core.validation import wait_if_awaitable
from ._plain import is_plain_text

__all__ = ["JoinedSaves", "join_saves", "redirect", "save_formset"]


@contextmanager
def _all_or_nothing(aliases: Iterable[str]) -> Iterator[None]:
    with ExitStack() as blocks:
        for alias in sorted(set(aliases)):
            blocks.enter_context(transaction.atomic(using=alias))
        yield


def _databases(formset: Any) -> Iterator[str]:
    """Where a formset's save() writes to."""
    parent = getattr(formset, "instance", None)
    hints = {} if parent is None else {"instance": parent}
    yield router.db_for_write(formset.model, **hints)
    for form in formset.initial_forms:
        yield _database(form)


def _database(form: Any) -> str:
    return router.db_for_write(type(form.instance), instance=form.instance)


def save_formset(formset: Any) -> Any:
    """Save all forms of a model formset or none; what its save() returns."""
    with _all_or_nothing(_databases(formset)):
        # Wait inside of the block, because an async save() must not outlive its
        # transaction.
        return wait_if_awaitable(formset.save())


class JoinedSaves:
    """A form's save() that saves inline formsets as well: all of it or nothing."""

    def __init__(self, form: BaseModelForm[Any], inlines: Sequence[Any]) -> None:
        self._form = form
        self._save: Callable[..., Any] = form.save
        # The formsets that have not been saved yet.
        self.left = list(inlines)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Save the form, and with it what is left; only the form without commit."""
        if not self._commits(args, kwargs):
            return self._save(*args, **kwargs)
        with _all_or_nothing(self._all_databases()):
            saved = wait_if_awaitable(self._save(*args, **kwargs))
            for formset in self.left:
                wait_if_awaitable(formset.save())
        self.left = []
        return saved

    def _commits(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the form, whose save() may be the project's own, is told to save."""
        signature = inspect.signature(self._save)
        if "commit" not in signature.parameters:
            # A save(**kwargs) passes its arguments on to Django's save().
            return bool(kwargs.get("commit", args[0] if args else True))
        told = signature.bind(*args, **kwargs)
        told.apply_defaults()
        return bool(told.arguments["commit"])

    def save_rest(self) -> None:
        """Save what is left by a form_valid() that has saved the object itself."""
        if self.left and not self._form.errors:
            with _all_or_nothing(self._all_databases()):
                for formset in self.left:
                    wait_if_awaitable(formset.save())
            self.left = []

    def _all_databases(self) -> Iterator[str]:
        yield _database(self._form)
        for formset in self.left:
            yield from _databases(formset)


def join_saves(form: BaseModelForm[Any], inlines: Sequence[Any]) -> JoinedSaves:
    """
    Let `form.save()` save the inlines too, in its transaction and its call.

    form_valid() knows the form alone, and may be anybody's. What it does after
    its save, and what it does with the answer, need not be waited for.
    """
    joined = JoinedSaves(form, inlines)
    form.save = joined  # type: ignore[method-assign]  # of this form alone
    return joined


def redirect(view: Any, url: Any) -> Answer:
    """Redirect to what get_success_url() gave; made in a worker if it is not text."""
    if inspect.isawaitable(url):
        if inspect.iscoroutine(url):
            url.close()
        name = type(view).__name__
        raise TypeError(
            f"{name}.get_success_url() returned a coroutine, so there is no page to "
            f"go to. Await it in `async def aget_success_url()` of {name}."
        )
    inline = is_plain_text(url)
    response: HttpResponse = yield Call(HttpResponseRedirect, (url,), inline=inline)
    return response
