"""Context variables over hops, against plain sync code: the same values everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from typing import Any

import hypothesis
from asgiref.local import Local
from asgiref.sync import ThreadSensitiveContext
from django.test import SimpleTestCase
from hypothesis import strategies

from django_async_cbv.sync import iterate, run_sync, to_async, wait_for

SECONDS = 30  # until one program is called a deadlock
EXAMPLES = 150

with_default: contextvars.ContextVar[Any] = contextvars.ContextVar("a", default="none")
without_default: contextvars.ContextVar[Any] = contextvars.ContextVar("b")
VARIABLES = [with_default, without_default]
local = Local()


def values():
    """What code sees here: both variables and the Local."""
    found = [variable.get("unset") for variable in VARIABLES]
    return [*found, getattr(local, "value", "unset")]


@contextlib.contextmanager
def scope(which, value, log):
    """Set a variable and reset it by its token; and a Local, as Django's override()."""
    token = VARIABLES[which].set(value)
    before = getattr(local, "value", None)
    local.value = value
    log.append(("entered", value, values()))
    try:
        yield value
    finally:
        log.append(("leaving", value, values()))
        VARIABLES[which].reset(token)
        local.value = before


def generator(which, value, log):
    """Hold a scope over several steps, and another one over some of them."""
    try:
        with scope(which, f"{value} outer", log):
            yield values()
            with scope(1 - which, f"{value} inner", log):
                yield values()
                VARIABLES[which].set(f"{value} changed")
                yield values()
            yield values()
        yield values()
    finally:
        log.append(("closed", value, values()))


def programs():
    """Lists of steps. A number chooses among what is open at that time."""
    which = strategies.integers(0, 1)
    number = strategies.integers(0, 9)
    return strategies.lists(
        strategies.one_of(
            strategies.tuples(strategies.just("enter"), which, number),
            strategies.tuples(strategies.just("exit"), number, number),
            strategies.tuples(strategies.just("begin"), which, number),
            strategies.tuples(strategies.just("next"), number, number),
            strategies.tuples(strategies.just("next"), number, number),
            strategies.tuples(strategies.just("close"), number, number),
            strategies.tuples(strategies.just("set"), which, number),
            strategies.tuples(strategies.just("reset"), number, number),
        ),
        max_size=14,
    )


class Sync:
    """What a program works on, in sync code."""

    def manager(self, *args):
        return scope(*args)

    def generator(self, *args):
        return generator(*args)

    async def enter(self, manager):
        manager.__enter__()

    async def leave(self, manager):
        manager.__exit__(None, None, None)

    async def next(self, items):
        return next(items, "end")

    async def close(self, items):
        items.close()

    async def see(self):
        return values()


class Async(Sync):
    """The same, from the event loop."""

    def manager(self, *args):
        return to_async(scope)(*args)

    def generator(self, *args):
        return iterate(generator(*args), chunk_size=1)

    async def enter(self, manager):
        await manager.__aenter__()

    async def leave(self, manager):
        await manager.__aexit__(None, None, None)

    async def next(self, items):
        return await anext(items, "end")

    async def close(self, items):
        await items.aclose()

    async def see(self):
        here, there = values(), await run_sync(values)
        assert here == there
        return here


class Mixed(Async):
    """Made otherwise: by an instance, and by a generator function."""

    def manager(self, *args):
        return to_async(scope(*args))

    def generator(self, *args):
        return to_async(chunk_size=1)(generator)(*args)


async def run(program, kind):
    """Do the steps, and return all that was seen, by the caller and inside."""
    log: list[Any] = []
    managers: list[Any] = []
    generators: list[Any] = []
    tokens: list[Any] = []
    for step, (action, number, value) in enumerate(program):
        opened = {"exit": managers, "next": generators, "close": generators}
        among = opened.get(action, tokens if action == "reset" else [None])
        if not among:
            continue
        chosen = number % len(among)
        if action == "enter":
            managers.append(kind.manager(number, f"{step} {value}", log))
            await kind.enter(managers[-1])
        elif action == "exit":
            await kind.leave(managers.pop(chosen))
        elif action == "begin":
            generators.append(kind.generator(number, f"{step} {value}", log))
        elif action == "next":
            log.append(await kind.next(generators[chosen]))
        elif action == "close":
            await kind.close(generators.pop(chosen))
        elif action == "set":
            variable = VARIABLES[number]
            tokens.append((variable, variable.set(f"{step} {value}")))
        elif action == "reset":
            variable, token = tokens.pop(chosen)
            variable.reset(token)
        log.append((action, await kind.see()))
    for items in generators:
        await kind.close(items)
    for manager in managers:
        await kind.leave(manager)
    log.append(("end", await kind.see()))
    return log


class TestContextVariables(SimpleTestCase):
    def expect_the_same(self, kind, call=lambda run, *args: run(*args)):
        @hypothesis.settings(max_examples=EXAMPLES, deadline=None)
        @hypothesis.given(programs())
        def check(program):
            async def main():
                async with ThreadSensitiveContext(), asyncio.timeout(SECONDS):
                    return await call(run, program, kind)

            expected = asyncio.run(run(program, Sync()))
            self.assertEqual(asyncio.run(main()), expected)

        contextvars.Context().run(check)

    def test_factories_and_iterables(self):
        self.expect_the_same(Async())

    def test_instances_and_generator_functions(self):
        self.expect_the_same(Mixed())

    def test_behind_a_bridge(self):
        self.expect_the_same(Async(), functools.partial(run_sync, wait_for))
