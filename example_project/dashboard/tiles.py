"""What the dashboard shows: each tile is a query, and knows nothing of the others.

Each function takes today's date and gives back rows; all are sync and run in a worker.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Count, Q, Sum
from django.urls import reverse
from django.utils.dates import MONTHS
from django.utils.formats import date_format

from almanac.models import Country, Holiday
from shop.models import Order, WallCalendar
from trips.models import Trip

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = 7
"""Rows of a tile that has no end of its own."""


class Row(NamedTuple):
    """A line of a tile."""

    label: str
    value: int | str
    link: str = ""


def counts(today: dt.date) -> list[Row]:
    """How much there is of everything."""
    return [
        Row("Countries", Country.objects.count(), reverse("countries")),
        Row("Holidays", Holiday.objects.count(), reverse("holidays")),
        Row("Accounts", get_user_model().objects.count()),
        Row("Trips", Trip.objects.count(), reverse("trips:list")),
        Row("Orders", Order.objects.count(), reverse("shop:orders")),
        Row("Wall calendars", WallCalendar.objects.count(), reverse("shop:shelf")),
    ]


def coming(today: dt.date) -> list[Row]:
    """The next holidays."""
    holidays = Holiday.objects.filter(date__gte=today).select_related("country")
    return [
        Row(
            f"{holiday.name} ({holiday.country.code})",
            date_format(holiday.date, "j M"),
            holiday.get_absolute_url(),
        )
        for holiday in holidays[:LINES]
    ]


def months(today: dt.date) -> list[Row]:
    """The holidays of the year, month by month."""
    found = (
        Holiday.objects.filter(date__year=today.year)
        .order_by("date__month")
        .values_list("date__month")
        .annotate(Count("pk"))
    )
    return [
        Row(str(MONTHS[month]), count, reverse("month", args=[today.year, month]))
        for month, count in found
    ]


def quietest(today: dt.date) -> list[Row]:
    """The days of the year on which most countries rest."""
    found = (
        Holiday.objects.filter(date__year=today.year)
        .order_by()
        .values_list("date")
        .annotate(countries=Count("country", distinct=True))
        .order_by("-countries", "date")
    )
    return [
        Row(
            date_format(day, "l, j F"),
            count,
            reverse("day", args=[day.year, day.month, day.day]),
        )
        for day, count in found[:LINES]
    ]


def idlest(today: dt.date) -> list[Row]:
    """The countries with the most days off in the year."""
    this_year = Q(holidays__date__year=today.year)
    found = Country.objects.annotate(
        days_off=Count("holidays__date", filter=this_year, distinct=True)
    ).order_by("-days_off", "slug")
    return [Row(it.name, it.days_off, it.get_absolute_url()) for it in found[:LINES]]


def departures(today: dt.date) -> list[Row]:
    """The next trips."""
    return [
        Row(trip.title, date_format(trip.starts, "j M Y"), trip.get_absolute_url())
        for trip in Trip.objects.filter(starts__gte=today)[:LINES]
    ]


def destinations(today: dt.date) -> list[Row]:
    """The countries that most trips go to."""
    found = (
        Country.objects.annotate(journeys=Count("trips"))
        .filter(journeys__gt=0)
        .order_by("-journeys", "slug")
    )
    return [Row(it.name, it.journeys, it.get_absolute_url()) for it in found[:LINES]]


def bestsellers(today: dt.date) -> list[Row]:
    """The wall calendars that sell best, in copies."""
    found = (
        WallCalendar.objects.select_related("country")
        .annotate(sold=Sum("lines__copies"))
        .filter(sold__gt=0)
        .order_by("-sold", "country__slug", "year")
    )
    return [Row(str(it), it.sold, reverse("shop:shelf")) for it in found[:LINES]]


TILES: dict[str, tuple[str, Callable[[dt.date], list[Row]]]] = {
    "counts": ("In the database", counts),
    "coming": ("Next holidays", coming),
    "months": ("Holidays a month", months),
    "quietest": ("Countries at rest", quietest),
    "idlest": ("Days off", idlest),
    "departures": ("Next trips", departures),
    "destinations": ("Trips to", destinations),
    "bestsellers": ("Calendars sold", bestsellers),
}
"""Tiles by name: title, and what is asked."""
