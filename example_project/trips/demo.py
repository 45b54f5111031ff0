"""Make the demo account and its trips, so that the first page is not empty."""

from __future__ import annotations

import datetime as dt

from django.contrib.auth import get_user_model

from almanac.models import Country
from trips.models import Trip

DEMO_USER = "demo"
DEMO_PASSWORD = "almanac-demo"
DEMO_TRIPS = [
    # title, start as (month, day), days, countries, notes
    (
        "Golden Week by rail",
        (4, 28),
        10,
        "JP",
        (
            "Seats on the Shinkansen are sold out a month ahead, from ten o'clock."
            "\nPost offices and banks stay shut for most of the week: bring cash."
        ),
    ),
    (
        "Christmas markets on the Rhine",
        (12, 1),
        9,
        "CH FR DE NL",
        "Basel, Colmar, Strasbourg, Cologne, Nijmegen. Most markets close on the 23rd.",
    ),
    (
        "Carnival and after",
        (2, 10),
        18,
        "BR UY AR",
        "Rio, Montevideo, Buenos Aires. Brazil works half of Ash Wednesday only.",
    ),
    (
        "Day of the Dead",
        (10, 30),
        6,
        "MX GT",
        "Oaxaca first, then the giant kites of Sumpango on All Saints' Day.",
    ),
    (
        "Midsummer, twice",
        (6, 18),
        11,
        "SE FI EE LV",
        "Sweden and Finland keep the Friday and Saturday, Estonia and Latvia the 24th.",
    ),
    (
        "Nowruz on the Silk Road",
        (3, 19),
        12,
        "UZ TJ KZ",
        "Samarkand, Panjakent, Turkistan. Borders close for the holiday itself.",
    ),
]


def seed_trips() -> int:
    """Make the demo account and its trips, unless they are there.

    The trips begin in the twelve months after the day on which they are made. Gives
    back how many trips the account has.
    """
    user, created = get_user_model().objects.get_or_create(username=DEMO_USER)
    if created:
        user.set_password(DEMO_PASSWORD)
        user.save(update_fields=["password"])
        today = dt.datetime.now(tz=dt.UTC).date()
        for title, (month, day), days, codes, notes in DEMO_TRIPS:
            starts = dt.date(today.year, month, day)
            if starts < today:
                starts = dt.date(today.year + 1, month, day)
            trip, made = Trip.objects.get_or_create(
                title=title,
                defaults={
                    "traveller": user,
                    "starts": starts,
                    "ends": starts + dt.timedelta(days - 1),
                    "notes": notes,
                },
            )
            if made:
                trip.countries.set(Country.objects.filter(code__in=codes.split()))
    return user.trips.count()
