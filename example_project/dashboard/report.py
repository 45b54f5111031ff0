"""Asks for all tiles: all at once or, to compare, in turn."""

from __future__ import annotations

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
    def sum(self) -> float:
        """Milliseconds of all tiles added up: what it costs to wait in turn."""
        return sum(answer.took for answer in self.answers)

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
