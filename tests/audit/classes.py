"""Classes with overrides: one for each hook of each view, and random ones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from django_async_cbv.core.hooks import HOOKS
from tests import hop_table
from tests.catalogue import CATALOGUE, Entry, Visit


@dataclass(frozen=True)
class Case:
    label: str
    cls: type
    visit: Visit
    has_async: bool


def handler_of(visit: Visit) -> str:
    return "get" if visit.method == "HEAD" else visit.method.lower()


def catalogue() -> Iterator[Case]:
    """Each view and method: untouched, and with each override in each colour."""
    for entry in CATALOGUE:
        for visit in hop_table.answering(entry):
            where = f"{entry.name} {visit.method}"
            yield Case(where, hop_table.made(entry), visit, has_async=False)
            mixin = hop_table.DispatchMixin
            made = hop_table.made(entry, mixin)
            yield Case(f"{where} mixin", made, visit, has_async=False)
            hooks = [name for name in entry.hooks() if not name.startswith("_")]
            names = [*hooks, handler_of(visit), "dispatch", "setup"]
            for name in names:
                made = hop_table.made(entry, method=hop_table.sync_override(name))
                yield Case(f"{where} sync {name}", made, visit, has_async=False)
            for name in names[:-1]:
                made = hop_table.made(entry, method=hop_table.async_override(name))
                yield Case(f"{where} async {name}", made, visit, has_async=True)


def _with(name):
    def method(self, *args, **kwargs):
        with nullcontext():
            return getattr(super(method.owner, self), name)(*args, **kwargs)

    return method


def _kept(name):
    def method(self, *args, **kwargs):
        result = getattr(super(method.owner, self), name)(*args, **kwargs)
        return result

    return method


def _awaits_first(name):
    async def method(self, *args, **kwargs):
        await asyncio.sleep(0)
        return await getattr(super(method.owner, self), name)(*args, **kwargs)

    return method


def _awaits_after(name):
    async def method(self, *args, **kwargs):
        above = getattr(super(method.owner, self), name)
        result = await above(*args, **kwargs)
        await asyncio.sleep(0)
        return result

    return method


SYNC = [hop_table.sync_override, _with, _kept]
ASYNC = [hop_table.async_override, _awaits_first, _awaits_after]


def mixin_with(name: str, is_async: bool, drawn: random.Random) -> type:
    """A plain class with an override, which does no more than pass on."""
    make = drawn.choice(ASYNC if is_async else SYNC)
    called = HOOKS.get(name, name) if is_async else name
    method = make(called if make in (_awaits_first, _awaits_after) else name)
    method.__name__ = called
    method.owner = type("Mixin", (), {called: method})
    return method.owner


def drawn_at_random(seed: int, count: int) -> Iterator[Case]:
    """Classes of up to four overrides in mixins; those that are refused left out."""
    drawn = random.Random(seed)
    while count:
        entry: Entry = drawn.choice(CATALOGUE)
        visit = drawn.choice([*hop_table.answering(entry)])
        hooks = [name for name in entry.hooks() if not name.startswith("_")]
        names = [*hooks, handler_of(visit), "dispatch"]
        chosen = drawn.sample(names, min(len(names), drawn.randint(1, 4)))
        colours = {name: drawn.random() < 0.5 for name in chosen}
        bases = [mixin_with(name, one, drawn) for name, one in colours.items()]
        try:
            cls = type("Random", (*bases, entry.ours), dict(entry.attributes))
            cls.as_view()
        except (ImproperlyConfigured, TypeError):
            continue
        count -= 1
        said = [f"{'async' if one else 'sync'} {name}" for name, one in colours.items()]
        label = f"{entry.name} {visit.method} {', '.join(said)}"
        yield Case(label, cls, visit, has_async=any(colours.values()))
