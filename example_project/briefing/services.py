"""What the upstream services know of a day. All figures are computed, none is made up.

Each function takes a day and gives back JSON-ready data; all are pure and run in the
upstream app.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import holidays
from dateutil.easter import EASTER_ORTHODOX, EASTER_WESTERN, easter

if TYPE_CHECKING:
    from collections.abc import Callable

EXCHANGES = {
    "XNYS": "New York",
    "BVMF": "São Paulo",
    "XLON": "London",
    "XETR": "Frankfurt",
    "XJSE": "Johannesburg",
    "XBOM": "Mumbai",
    "XHKG": "Hong Kong",
    "XSHG": "Shanghai",
    "XJPX": "Tokyo",
    "XASX": "Sydney",
}
CITIES = {
    "Reykjavík": 64.15,
    "Berlin": 52.52,
    "Tokyo": 35.68,
    "Nairobi": -1.29,
    "Cape Town": -33.92,
    "Ushuaia": -54.80,
}
MOONS = (
    "New moon",
    "Waxing crescent",
    "First quarter",
    "Waxing gibbous",
    "Full moon",
    "Waning gibbous",
    "Last quarter",
    "Waning crescent",
)
SYNODIC_MONTH = 29.530588861
NEW_MOON = dt.datetime(2000, 1, 6, 18, 14, tzinfo=dt.UTC)


def markets(day: dt.date) -> list[dict[str, Any]]:
    """Ten stock exchanges: whether they trade that day, and if not, why."""
    found = []
    for code, city in EXCHANGES.items():
        calendar = holidays.financial_holidays(code, years=day.year, language="en_US")
        reason = calendar.get(day) or ("Weekend" if day.weekday() >= 5 else None)
        found.append(
            {"city": city, "code": code, "open": reason is None, "reason": reason}
        )
    return found


def moon(day: dt.date) -> dict[str, Any]:
    """The phase at noon UTC by the mean synodic month: right to about half a day."""
    noon = dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)
    age = (noon - NEW_MOON) / dt.timedelta(1) % SYNODIC_MONTH
    name = MOONS[round(age / SYNODIC_MONTH * 8) % 8]
    to_full = (SYNODIC_MONTH / 2 - age) % SYNODIC_MONTH
    return {
        "name": name,
        "lit": round((1 - math.cos(2 * math.pi * age / SYNODIC_MONTH)) * 50),
        "full": (day + dt.timedelta(round(to_full))).isoformat(),
    }


def daylight(day: dt.date) -> list[dict[str, Any]]:
    """Hours from sunrise to sunset in six cities, by the sunrise equation."""
    turn = 2 * math.pi / 365.25 * (day.timetuple().tm_yday - 81)
    declination = math.asin(math.sin(math.radians(23.44)) * math.sin(turn))
    horizon = math.radians(-0.833)  # the sun's upper edge, and the air bends its light
    found = []
    for city, latitude in CITIES.items():
        here = math.radians(latitude)
        angle = (math.sin(horizon) - math.sin(here) * math.sin(declination)) / (
            math.cos(here) * math.cos(declination)
        )
        hours = 24 / math.pi * math.acos(max(-1.0, min(1.0, angle)))
        found.append({"city": city, "hours": round(hours, 1)})
    return found


def feasts(day: dt.date) -> list[dict[str, Any]]:
    """The next Easter, Western and Orthodox, and what hangs on it."""
    found = []
    years = (day.year, day.year + 1)
    western = [easter(year, EASTER_WESTERN) for year in years]
    orthodox = [easter(year, EASTER_ORTHODOX) for year in years]
    for name, easters, offset in (
        ("Ash Wednesday", western, -46),
        ("Easter", western, 0),
        ("Orthodox Easter", orthodox, 0),
        ("Pentecost", western, 49),
    ):
        dates = (date + dt.timedelta(offset) for date in easters)
        date = next(date for date in dates if date >= day)
        found.append(
            {"name": name, "date": date.isoformat(), "days": (date - day).days}
        )
    return sorted(found, key=lambda feast: feast["days"])


def reckoning(day: dt.date) -> dict[str, Any]:
    """The same day as others count it."""
    year, week, weekday = day.isocalendar()
    first, last = dt.date(day.year, 1, 1), dt.date(day.year, 12, 31)
    return {
        "iso_week": f"{year}-W{week:02}-{weekday}",
        "day_of_year": (day - first).days + 1,
        "days_left": (last - day).days,
        "julian_day": day.toordinal() + 1_721_425,
        "unix_day": (day - dt.date(1970, 1, 1)).days,
    }


@lru_cache(maxsize=8)
def _public_holidays(year: int) -> dict[dt.date, list[str]]:
    """The names of all public holidays of all countries, day by day."""
    found: dict[dt.date, list[str]] = {}
    for code in holidays.list_supported_countries(include_aliases=False):
        supported = holidays.country_holidays(code).supported_languages
        language = next((x for x in ("en_US", "en_GB") if x in supported), None)
        calendar = holidays.country_holidays(code, years=year, language=language)
        for date in calendar:
            found.setdefault(date, []).extend(calendar.get_list(date))
    return found


def headlines(day: dt.date) -> list[str]:
    """The news of the day: what most countries keep on it and on the next two days."""
    found = []
    for offset, when in ((0, "Today"), (1, "Tomorrow"), (2, "The day after")):
        date = day + dt.timedelta(offset)
        common = Counter(_public_holidays(date.year).get(date, ())).most_common(2)
        if not common:
            found.append(f"{when}: a working day for the whole world")
        for name, count in common:
            where = "one country" if count == 1 else f"{count} countries"
            found.append(f"{when}: {name} in {where}")
    return found


def telling(day: dt.date) -> str:
    """The day in words, from what the other services know."""
    counted, light = reckoning(day), daylight(day)
    longest = max(light, key=lambda place: place["hours"])
    shortest = min(light, key=lambda place: place["hours"])
    trading = [market["city"] for market in markets(day) if market["open"]]
    feast = next(feast for feast in feasts(day) if feast["days"])
    return " ".join(
        [
            f"{day:%A}, {day.day} {day:%B %Y}, is day {counted['day_of_year']} of the "
            f"year; {counted['days_left']} are left.",
            *(f"{line}." for line in headlines(day)[:2]),
            f"The moon is a {moon(day)['name'].lower()}, {moon(day)['lit']} % lit.",
            f"The sun is up for {shortest['hours']} hours in {shortest['city']}, and "
            f"for {longest['hours']} in {longest['city']}.",
            f"Of ten stock exchanges {len(trading) or 'none'} "
            f"trade{'s' if len(trading) == 1 else ''}.",
            f"{feast['name']} is {feast['days']} days away.",
        ]
    )


SERVICES: dict[str, tuple[str, float, Callable[[dt.date], Any]]] = {
    "markets": ("Stock exchanges", 0.80, markets),
    "headlines": ("Headlines", 0.65, headlines),
    "daylight": ("Daylight", 0.50, daylight),
    "feasts": ("Movable feasts", 0.40, feasts),
    "reckoning": ("Other reckonings", 0.30, reckoning),
    "moon": ("Moon", 0.25, moon),
}
"""By the name in an address: title, latency in seconds, and function."""
