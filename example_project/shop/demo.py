"""Calendars on the shelf, a first order of the demo account, and who sells them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from almanac.models import Country
from shop.models import Order, WallCalendar
from shop.orders import place
from trips.demo import DEMO_USER

PRINTED = [
    # country, price in euros, copies
    ("AR", "17.90", 40),
    ("BR", "18.50", 60),
    ("EG", "16.90", 25),
    ("ET", "21.00", 12),
    ("DE", "14.90", 120),
    ("GR", "15.50", 35),
    ("IS", "24.00", 8),
    ("IN", "19.90", 80),
    ("JP", "22.50", 50),
    ("MX", "17.50", 45),
    ("NZ", "23.00", 3),
    ("TO", "26.00", 1),
]
DEMO_ORDER = {"JP": 1, "IS": 2, "MX": 1}

CLERK_USER = "clerk"
CLERK_PASSWORD = "almanac-clerk"
CLERK_MAY = ["view_order", "change_wallcalendar"]


def seed_shop() -> int:
    """Print next year's calendars, and order three, unless that is done already.

    The shelf is not filled up again: what is sold is sold. Call it in a transaction,
    after seed_trips(), whose account is the buyer. Gives back how many calendars of
    next year there are.
    """
    year = dt.datetime.now(tz=dt.UTC).year + 1
    countries = Country.objects.in_bulk(field_name="code")
    printed = WallCalendar.objects.bulk_create(
        [
            WallCalendar(
                country=countries[code], year=year, price=Decimal(price), stock=stock
            )
            for code, price, stock in PRINTED
            if not countries[code].wall_calendars.filter(year=year).exists()
        ]
    )
    buyer = get_user_model().objects.get(username=DEMO_USER)
    if len(printed) == len(PRINTED) and not Order.objects.filter(buyer=buyer).exists():
        # The async function of the page takes part in this transaction.
        wanted = {it: DEMO_ORDER.get(it.country.code, 0) for it in printed}
        async_to_sync(place)(buyer, {it: n for it, n in wanted.items() if n})
    seed_clerk()
    return WallCalendar.objects.filter(
        year=year, country__code__in=[code for code, _, _ in PRINTED]
    ).count()


def seed_clerk() -> None:
    """Make an account of the staff, unless it is there."""
    clerk, created = get_user_model().objects.get_or_create(
        username=CLERK_USER, defaults={"is_staff": True}
    )
    if created:
        clerk.set_password(CLERK_PASSWORD)
        clerk.save(update_fields=["password"])
        clerk.user_permissions.set(
            Permission.objects.filter(
                content_type__app_label="shop", codename__in=CLERK_MAY
            )
        )
