"""The tables of twins that the docs print, one for each module of views."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module

from django.views import generic

from django_async_cbv.core.hooks import Hook
from django_async_cbv.core.marks import mark_of
from django_async_cbv.core.twins import plan_of
from django_async_cbv.views import _formsets

# In every view.
EVERYWHERE = {"dispatch", "http_method_not_allowed", "options"}
NOTHING = "\N{EN DASH}"
FAMILIES = ("base", "detail", "list", "edit", "formsets", "dates")


def classes(family: str) -> list[type]:
    """The public classes of a module, as they stand there."""
    module = import_module(f"django_async_cbv.views.{family}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    return [cls for cls in found if cls.__name__ in module.__all__]


def twins_of(cls: type) -> Iterator[Hook]:
    """The public twins and handlers that a class itself defines."""
    for name, value in vars(cls).items():
        mark = mark_of(value)
        if isinstance(mark, Hook) and not name.startswith("_"):
            yield mark


def all_twins(cls: type) -> list[Hook]:
    """All that a class has, one a name."""
    found: dict[str, Hook] = {}
    for klass in cls.__mro__:
        for twin in twins_of(klass):
            found.setdefault(twin.aname, twin)
    return sorted(found.values(), key=lambda twin: twin.aname)


def is_view(cls: type) -> bool:
    """Whether it is a view to be used as it is, not a part of one."""
    name = cls.__name__.removeprefix("Async")
    # Of formset views Django has none.
    is_formset = hasattr(_formsets, name) and name.endswith("View")
    return hasattr(generic, name) or (
        is_formset and not name.startswith(("Base", "Process"))
    )


def link(cls: type, name: str) -> str:
    """The name, as a link to the class of the reference that defines it."""
    owner = next(klass for klass in cls.__mro__ if name in vars(klass))
    return f"{{meth}}`{name}() <django_async_cbv.views.{owner.__name__}.{name}>`"


def side(cls: type, twin: Hook) -> str:
    """Where Django's own code runs in a class in which nothing is overridden."""
    checks = plan_of(cls).choice(twin)._checks
    if twin.calls is None:
        return "as the handler"
    if checks is None:
        return "worker thread"
    return "either" if checks else "event loop"


def called(cls: type, twin: Hook) -> str:
    """What Django's function calls; private functions of Django's left out."""
    if twin.calls is None:
        return "any handler"
    names = [name.removesuffix("()") for name in twin.calls if name[0] != "_"]
    return ", ".join(f"`{name}()`" for name in names) or NOTHING


def purpose(twin: Hook) -> str:
    """The docstring's first sentence, without the part that the table tells."""
    summary = (inspect.getdoc(twin.wrapper) or "").partition("\n\n")[0]
    return re.sub(r"[;,] (the )?twin\b.*|[.:]$", "", " ".join(summary.split()))


def as_markdown(family: str) -> str:
    """The table of a family's views, and one for each class that defines twins."""
    lines = ["| view | handlers | async variants |", "|---|---|---|"]
    for cls in filter(is_view, classes(family)):
        handlers, twins = (
            ", ".join(
                f"`{twin.aname}()`"
                for twin in all_twins(cls)
                if twin.is_handler == is_handler and twin.name not in EVERYWHERE
            )
            for is_handler in (True, False)
        )
        view = f"{{class}}`~django_async_cbv.views.{cls.__name__}`"
        lines.append(f"| {view} | {handlers or 'yours'} | {twins or NOTHING} |")
    for cls in classes(family):
        twins = list(twins_of(cls))
        if not twins:
            continue
        lines += [
            "",
            f"### {cls.__name__}",
            "",
            "| async variant | what it does | runs on | calls |",
            "|---|---|---|---|",
        ]
        for twin in twins:
            lines.append(
                f"| {link(cls, twin.aname)} | {purpose(twin)} | {side(cls, twin)} "
                f"| {called(cls, twin)} |"
            )
    return "\n".join([*lines, ""])
