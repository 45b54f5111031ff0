"""Save formsets, and a form with its inline formsets: all of it or nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import router, transaction
from django.forms.models import BaseModelForm

__all__ = ["JoinedSaves", "join_saves", "save_formset"]


@contextmanager
def _atomically(aliases: Iterable[str]) -> Iterator[None]:
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
    with _atomically(_databases(formset)):
        return formset.save()


class JoinedSaves:
    """A form's save() that saves inline formsets as well: all of it or nothing."""

    def __init__(self, form: BaseModelForm[Any], inlines: Sequence[Any]) -> None:
        self._form = form
        self._save: Callable[..., Any] = form.save
        # What has not been saved yet.
        self.left = list(inlines)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Save the form, and with it what is left; only the form without commit."""
        if not self._commits(args, kwargs):
            return self._save(*args, **kwargs)
        with _atomically(self._all_databases()):
            saved = self._save(*args, **kwargs)
            for formset in self.left:
                formset.save()
        self.left = []
        return saved

    def _commits(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the form, whose save() may be the project's own, is told to save."""
        signature = inspect.signature(self._save)
        if "commit" not in signature.parameters:
            # It passes on what Django's save() takes: that alone.
            return bool(kwargs.get("commit", args[0] if args else True))
        told = signature.bind(*args, **kwargs)
        told.apply_defaults()
        return bool(told.arguments["commit"])

    def finish(self) -> None:
        """Save what is left by a form_valid() that has saved the object itself."""
        if self.left and not self._form.errors:
            with _atomically(self._all_databases()):
                for formset in self.left:
                    formset.save()
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
