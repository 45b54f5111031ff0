"""Queries all tiles at once or in turn, and measures both ways."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django_async_cbv.db import agather
from django_async_cbv.sync import run_sync

from dashboard.tiles import TILES, Row

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True)
class Answer:
    """The rows of one tile, and when, in milliseconds since the report began."""

    tile: str
    title: str
    rows: list[Row]
    began: float
    took: float

    @property
    def most(self) -> int:
        """The greatest number of its rows."""
        return max(
            (row.value for row in self.rows if isinstance(row.value, int)), default=0
        )


@dataclass(frozen=True)
class Report:
    """All tiles, with the time that they took together."""

    answers: list[Answer]
    total: float
    """Milliseconds from the first question to the last answer."""

    @property
    def at_once(self) -> int:
        """The most tiles that were asked for at the same time."""
        return max(
            sum(
                other.began <= answer.began < other.began + other.took
                for other in self.answers
            )
            for answer in self.answers
        )


@dataclass(frozen=True)
class Comparison:
    """Medians of several reports of each kind, in milliseconds."""

    at_once: float
    in_turn: float
    rounds: int

    @property
    def at_once_wins(self) -> bool:
        """Whether the queries at once took less time than the queries in turn."""
        return self.at_once < self.in_turn


def ask(tile: str, today: dt.date, start: float) -> Answer:
    """The rows of `tile`. Sync: it queries.

    `start` is the `time.perf_counter()` at which the report began.
    """
    title, query = TILES[tile]
    began = time.perf_counter()
    rows = query(today)
    ended = time.perf_counter()
    return Answer(tile, title, rows, (began - start) * 1000, (ended - began) * 1000)


async def report(today: dt.date, *, in_turn: bool = False) -> Report:
    """Ask for all tiles, each on a connection of its own.

    If `in_turn`, one after the other in the request's worker, on its one connection.
    """
    start = time.perf_counter()
    questions = [partial(ask, tile, today, start) for tile in TILES]
    if in_turn:
        answers = [await run_sync(question) for question in questions]
    else:
        answers = await agather(*questions)
    return Report(answers, (time.perf_counter() - start) * 1000)


async def compare(today: dt.date, *, rounds: int = 5) -> Comparison:
    """Measure both ways `rounds` times.

    The two ways alternate, so that a busy moment of the machine meets both.
    """
    at_once: list[float] = []
    in_turn: list[float] = []
    for _ in range(rounds):
        at_once.append((await report(today)).total)
        in_turn.append((await report(today, in_turn=True)).total)
    return Comparison(statistics.median(at_once), statistics.median(in_turn), rounds)
