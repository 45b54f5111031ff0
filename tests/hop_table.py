"""Measure the hops of each view and method, untouched and with each override."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction

from django_async_cbv.core.hooks import HOOKS
from tests.catalogue import CATALOGUE, Entry, Visit
from tests.hops import count_hops


@dataclass(frozen=True)
class Row:
    """The hops of one visit to a view, before the rendering's."""

    view: str
    method: str
    untouched: int
    dispatch_mixin: int
    sync: dict[str, int]
    awaited: dict[str, int]


class DispatchMixin:
    """Any sync mixin: Django's own access mixins are like this."""

    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


def sync_override(name: str) -> Callable[..., Any]:
    def method(self, *args, **kwargs):
        return getattr(super(method.owner, self), name)(*args, **kwargs)

    method.__name__ = name
    return method


def async_override(name: str) -> Callable[..., Any]:
    aname = HOOKS.get(name, name)

    async def method(self, *args, **kwargs):
        return await getattr(super(method.owner, self), aname)(*args, **kwargs)

    method.__name__ = aname
    return method


def made(entry: Entry, *bases: type, method: Any = None) -> type:
    namespace = dict(entry.attributes)
    if method is not None:
        namespace[method.__name__] = method
    cls = type(entry.ours.__name__, (*bases, entry.ours), namespace)
    if method is not None:
        method.owner = cls
    return cls


def hops_of(cls: type, visit: Visit) -> int:
    """The hops of one visit, which leaves no row behind."""
    view = cls.as_view()

    async def respond() -> int:
        with count_hops() as hops:
            await view(visit.request(), **(visit.kwargs or {}))
        return hops.count

    with transaction.atomic():
        counted = async_to_sync(respond)()
        transaction.set_rollback(True)
    return counted


def answering(entry: Entry) -> Iterator[Visit]:
    """One visit a method, that finds what it looks for; and a form that is invalid."""
    seen = set()
    for visit in entry.visits:
        if visit.method not in seen:
            seen.add(visit.method)
            yield visit


def rows() -> Iterator[Row]:
    """The table, on the rows of catalogue.make_rows()."""
    for entry in CATALOGUE:
        for visit in answering(entry):
            # In an order that does not hang on which module was imported first.
            hooks = sorted(name for name in entry.hooks() if not name.startswith("_"))
            handler = "get" if visit.method == "HEAD" else visit.method.lower()
            yield Row(
                view=entry.ours.__name__,
                method=visit.method,
                untouched=hops_of(made(entry), visit),
                dispatch_mixin=hops_of(made(entry, DispatchMixin), visit),
                sync={
                    name: hops_of(made(entry, method=sync_override(name)), visit)
                    for name in (*hooks, handler, "dispatch", "setup")
                },
                awaited={
                    name: hops_of(made(entry, method=async_override(name)), visit)
                    for name in (*hooks, handler, "dispatch")
                },
            )


# Why an async override costs more than a hop in some places.
IN_THE_FORM = "in the middle of the form: sync work before it, in its super() and after"
BETWEEN = "between two queries, with one of its own in its super()"
REPEATED = "Django asks for it several times, with queries in between"

REASONS = {
    **dict.fromkeys(
        (
            "construct_formset",
            "construct_inlines",
            "get_form",
            "get_form_class",
            "get_form_kwargs",
            "get_formset",
            "get_formset_kwargs",
            "get_initial",
            "get_prefix",
        ),
        IN_THE_FORM,
    ),
    **dict.fromkeys(
        [
            "get_dated_queryset",
            "get_date_list",
            *[
                f"get_{side}_{period}"
                for side in ("next", "previous")
                for period in ("year", "month", "week", "day")
            ],
        ],
        BETWEEN,
    ),
    **dict.fromkeys(
        (
            "get_queryset",
            "get_ordering",
            "get_allow_empty",
            "get_date_field",
            "get_allow_future",
            "get_week_format",
        ),
        REPEATED,
    ),
}


def as_markdown(table: Iterable[Row]) -> str:
    """The table as the docs print it."""
    lines = [
        "| view | method | without overrides | a sync override "
        "| a sync `dispatch()` mixin | an async override |",
        "|---|---|---|---|---|---|",
    ]
    reasons: list[str] = []
    for row in table:
        by_cost: dict[int, list[str]] = {}
        for name, cost in row.awaited.items():
            by_cost.setdefault(cost, []).append(name)
        usual = max(by_cost, key=lambda cost: len(by_cost[cost]))
        told = [str(usual)]
        for cost in sorted(by_cost):
            if cost == usual:
                continue
            names = ", ".join(f"`{HOOKS.get(name, name)}`" for name in by_cost[cost])
            notes = {
                REASONS[name] for name in by_cost[cost] if cost > row.untouched + 1
            }
            reasons += sorted(notes - set(reasons))
            marks = ", ".join(str(reasons.index(note) + 1) for note in sorted(notes))
            told.append(f"{cost}{f' ({marks})' if marks else ''}: {names}")
        lines.append(
            f"| `{row.view}` | {row.method} | {row.untouched} "
            f"| {max(row.sync.values())} | {row.dispatch_mixin} | {'; '.join(told)} |"
        )
    notes = [f"{place}. {reason}" for place, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", *notes, ""])
