"""`manage.py seed`: fill the database with the world's holidays."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.db import transaction

from almanac import data
from shop.demo import seed_shop
from trips.demo import seed_trips

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Write countries, holidays, trips and wares, or bring them up to date."""

    help = "Fill the database with the world's holidays; can be run again at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which years to write."""
        year = dt.datetime.now(tz=dt.UTC).year
        parser.add_argument(
            "--first", type=int, default=year - 1, help="first year (%(default)s)"
        )
        parser.add_argument(
            "--last", type=int, default=year + 1, help="last year (%(default)s)"
        )

    def handle(self, *, first: int, last: int, **options: Any) -> None:
        """Write all in one transaction, so that a page never shows half of it."""
        with transaction.atomic():
            countries, holidays = data.seed(range(first, last + 1))
            trips = seed_trips()
            wall_calendars = seed_shop()
        self.stdout.write(
            f"{countries} countries, {holidays} holidays from {first} to {last}, "
            f"{trips} trips, {wall_calendars} wall calendars."
        )
