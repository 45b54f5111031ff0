"""Count hops in tests, and assert how many there are."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any, Self

from ..trace import Hop, Recording, Repeated, Span
from .blocks import Block

__all__ = [
    "HopAssertionsMixin",
    "HopLimit",
    "count_hops",
    "forbid_repeated_hops",
]

# One line may ask for the same function so often.
TIMES = 5


class count_hops(Recording, Block):  # noqa: N801 - a context manager, as suppress()
    """
    Count the hops of a block, or of all calls of a function that it decorates.

    Use it with `with`, `async with` or `@`. It counts the hops of this task, and of
    the tasks and the sync code that start in it. `str()` returns a table.

    Args:
        everywhere: Count the hops of all threads and tasks of this process, for
            example those of a live server.

    Runs on:
        The caller's side. No hop.
    """

    def __init__(self, *, everywhere: bool = False) -> None:
        super().__init__(everywhere=everywhere, awaits=True)

    def start(self) -> None:
        """Begin with nothing."""
        self.hops, self.held, self.threads, self.awaited = [], [], [], []
        super().start()

    def one_call(self) -> Self:
        """One with the same settings, whose hops are added to these."""
        return copy.copy(self)

    def add(self, one: count_hops) -> None:
        """Take over the hops of one call."""
        self.hops += one.hops
        self.held += one.held
        self.threads += one.threads
        self.awaited += one.awaited

    def __str__(self) -> str:
        return "\n".join([f"{_hops(self.count)}.", *self._rows()])

    def _rows(self) -> Iterator[str]:
        rows: list[tuple[float, str, Any]] = [
            *((hop.asked, "hop", hop) for hop in self.hops),
            *((span.began, "awaited", span) for span in self.awaited),
            *((span.began, "thread", span) for span in self.threads),
            *((span.began, "held", span) for span in self.held),
        ]
        names = [len(hop.function.name) for hop in self.hops]
        places = [len(hop.function.where) for hop in self.hops]
        widths = min(max(names, default=0), 36), min(max(places, default=0), 40)
        number = 0
        for _, kind, one in sorted(rows, key=lambda row: row[0]):
            if isinstance(one, Hop):
                number += 1
                yield from _hop_rows(number, one, *widths)
            else:
                yield _span_row(kind, one)
        for repeated in self.repeated(TIMES):
            yield from _repeated_rows(repeated)


def _hops(number: int) -> str:
    return f"{number} hop{'' if number == 1 else 's'}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _hop_rows(number: int, hop: Hop, names: int, places: int) -> Iterator[str]:
    name, where = f"{hop.function.name:{names}}", f"{hop.function.where:{places}}"
    times = []
    if hop.wait is not None:
        times.append(f"waited {_ms(hop.wait)}")
    if hop.run is not None:
        times.append(f"ran {_ms(hop.run)}")
    if hop.error is not None:
        times.append(f"raised {hop.error}")
    if hop.cancelled:
        times.append("cancelled")
    yield f"{number:3}. {name}  {where}  {', '.join(times)}".rstrip()
    if hop.asked_by is not None:
        yield f"       asked for by {hop.asked_by}"


def _span_row(kind: str, span: Span) -> str:
    took = "not over yet" if span.seconds is None else _ms(span.seconds)
    text = {
        "awaited": f"awaited {took} in {span.function}",
        "thread": f"thread of its own, {took}: {span.function}",
        "held": f"the worker thread waited {took} for {span.function}",
    }[kind]
    return f"     {text}"


def _repeated_rows(repeated: Repeated) -> Iterator[str]:
    asker = repeated.asked_by
    yield (
        f"{repeated.function.name} made {repeated.count} hops"
        + (f", asked for by {asker}" if asker else "")
        + "."
    )
    yield (
        "  Make one of them: put the loop into a sync function and "
        "`await run_sync(function)`."
    )
    yield (
        "  Read rows with `async for row in iterate(queryset)`, or query at the same "
        "time with `await agather(*queries)`."
    )


class HopLimit(count_hops):
    """Count hops as count_hops() does, and raise AssertionError for a wrong number."""

    def __init__(
        self, number: int, *, exact: bool, info: str | None, everywhere: bool = False
    ) -> None:
        if number < 0:
            raise ValueError(f"{number} is not a number of hops. Pass 0 or more.")
        super().__init__(everywhere=everywhere)
        self.number = number
        self.exact = exact
        self.info = info

    def check(self) -> None:
        """Raise AssertionError with the table if there are more hops, or fewer."""
        __tracebackhide__ = True
        wrong = self.count != self.number if self.exact else self.count > self.number
        if wrong:
            limit = (
                f"{self.number} expected"
                if self.exact
                else (f"at most {self.number} allowed")
            )
            lines = [f"{_hops(self.count)}, {limit}.", *self._rows()]
            raise AssertionError(
                "\n".join([*lines, *([self.info] if self.info else [])])
            )


class forbid_repeated_hops(count_hops):  # noqa: N801 - a context manager
    """
    Fail if one line asks for the same function again and again.

    A loop around `await book.asave()` makes one hop for each book. This block raises
    AssertionError, and the message contains the fix. Each request counts apart.

    Args:
        times: How often one line may ask for the same function in one request, or
            in the block outside of requests.
        allow: Names of functions or of askers, as the message prints them. `*`
            stands for any text.
        everywhere: As in `count_hops()`.

    Runs on:
        The caller's side. No hop.
    """

    def __init__(
        self,
        *,
        times: int = TIMES,
        allow: Collection[str] = (),
        everywhere: bool = False,
    ) -> None:
        super().__init__(everywhere=everywhere)
        self.times = times
        self.allowed = [*allow]

    def allow(self, *names: str) -> None:
        """
        Allow functions to repeat, from now on.

        Args:
            *names: Names as in `allow=`.

        Runs on:
            The caller's side. No hop.
        """
        self.allowed += names

    def check(self) -> None:
        """
        Fail if a function repeats that is not allowed.

        Raises:
            AssertionError: With each such function and the fix.

        Runs on:
            The caller's side. No hop.
        """
        __tracebackhide__ = True
        found = [
            row
            for one in self.repeated(self.times)
            if not self._is_allowed(one)
            for row in _repeated_rows(one)
        ]
        if found:
            raise AssertionError("\n".join(found))

    def _is_allowed(self, repeated: Repeated) -> bool:
        names = [repeated.function.name]
        if repeated.asked_by is not None:
            names.append(repeated.asked_by.name)
        return any(fnmatchcase(name, one) for name in names for one in self.allowed)


class HopAssertionsMixin:
    """
    Assertions about hops, for Django's test cases and for others of unittest.

    Put the mixin before the test case: `class Tests(HopAssertionsMixin, TestCase)`.
    """

    def assertMaxHops(  # noqa: N802 - as assertNumQueries()
        self, number: int, *, info: str | None = None
    ) -> HopLimit:
        """
        Fail if the block makes more hops.

        Args:
            number: The most hops that the block may make.
            info: A line for the end of the message.

        Returns:
            A context manager for `with` and `async with`, and a `count_hops()`.

        Raises:
            AssertionError: At the end of the block, with a table of the hops.

        Runs on:
            The caller's side. No hop.
        """
        return HopLimit(number, exact=False, info=info)

    def assertNumHops(  # noqa: N802 - as assertNumQueries()
        self, number: int, *, info: str | None = None
    ) -> HopLimit:
        """
        Fail if the block makes more hops, or fewer.

        Args:
            number: The hops that the block makes.
            info: A line for the end of the message.

        Returns:
            A context manager for `with` and `async with`, and a `count_hops()`.

        Raises:
            AssertionError: At the end of the block, with a table of the hops.

        Runs on:
            The caller's side. No hop.
        """
        return HopLimit(number, exact=True, info=info)
