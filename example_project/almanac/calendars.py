"""Years and months as grids, for the templates to draw. Pure: dates in, cells out."""

from __future__ import annotations

import calendar
import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from almanac.models import Holiday

HEAT = (1, 3, 10, 30, 80)
"""Numbers of countries with a holiday at which a day gets a darker shade."""


@dataclass(frozen=True)
class Day:
    """One cell of a grid."""

    date: dt.date
    count: int
    """How many countries rest."""
    names: tuple[tuple[str, int], ...] = ()
    """Its holidays, the most widespread first, each with its number of countries."""
    outside: bool = False
    """Whether the day is of the month before or after, and only fills the week."""

    @property
    def heat(self) -> int:
        """0 for a working day, up to 5 for one on which the world rests."""
        return sum(self.count >= level for level in HEAT)

    @property
    def more(self) -> int:
        """How many of its holidays come after the first three."""
        return max(0, len(self.names) - 3)


@dataclass(frozen=True)
class Month:
    """A row of the year's grid."""

    first: dt.date
    days: tuple[Day, ...]

    @property
    def count(self) -> int:
        """All holidays of the month, one for each country and day."""
        return sum(day.count for day in self.days)

    @property
    def blanks(self) -> range:
        """The cells that a shorter month leaves empty."""
        return range(31 - len(self.days))


def year_grid(year: int, counts: Mapping[dt.date, int]) -> list[Month]:
    """Twelve rows of days, each with its number of countries from `counts`."""
    months = []
    for month in range(1, 13):
        length = calendar.monthrange(year, month)[1]
        days = (dt.date(year, month, day) for day in range(1, length + 1))
        months.append(
            Month(
                dt.date(year, month, 1),
                tuple(Day(day, counts.get(day, 0)) for day in days),
            )
        )
    return months


def _by_name(holidays: Iterable[Holiday]) -> dict[dt.date, list[tuple[str, str]]]:
    """Day by day, the name and the country of each of `holidays`."""
    found: dict[dt.date, list[tuple[str, str]]] = {}
    for holiday in holidays:
        found.setdefault(holiday.date, []).append((holiday.name, holiday.country.code))
    return found


def _day(date: dt.date, found: list[tuple[str, str]], *, outside: bool = False) -> Day:
    """The cell of `date`, with its holidays counted by name."""
    names = Counter(name for name, _ in found).most_common()
    return Day(date, len({code for _, code in found}), tuple(names), outside)


def month_grid(first: dt.date, holidays: Iterable[Holiday]) -> list[list[Day]]:
    """The weeks of the month that begins with `first`, Monday to Sunday."""
    found = _by_name(holidays)
    weeks = calendar.Calendar().monthdatescalendar(first.year, first.month)
    return [
        [
            _day(day, found.get(day, []), outside=day.month != first.month)
            for day in week
        ]
        for week in weeks
    ]


def week_row(monday: dt.date, holidays: Iterable[Holiday]) -> list[Day]:
    """The seven days from `monday` on."""
    found = _by_name(holidays)
    days = (monday + dt.timedelta(n) for n in range(7))
    return [_day(day, found.get(day, [])) for day in days]


def grouped(holidays: Iterable[Holiday]) -> list[tuple[str, list[Holiday]]]:
    """`holidays` by name, the most widespread first."""
    groups: dict[str, list[Holiday]] = {}
    for holiday in holidays:
        groups.setdefault(holiday.name, []).append(holiday)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
