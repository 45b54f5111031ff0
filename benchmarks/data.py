"""Fill an empty database with the books that the pages show, always the same ones."""

import random
from datetime import date, timedelta
from decimal import Decimal

from django.core.management import call_command
from django.db import connection

from benchmarks.models import Author, Book

__all__ = ["BOOKS", "fill"]

AUTHORS = 40
BOOKS = 600

_WORDS = [
    *("amber", "autumn", "bridge", "candle", "city", "desert", "echo", "falcon"),
    *("garden", "harbour", "island", "journey", "kingdom", "lantern", "meadow"),
    *("north", "ocean", "paper", "quiet", "river", "silver", "tower", "umbrella"),
]


def fill() -> None:
    """Make the tables and their rows."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    chance = random.Random(2026)

    def day(first: int, years: int) -> date:
        return date(first, 1, 1) + timedelta(days=chance.randrange(365 * years))

    def words(count: int) -> str:
        return " ".join(chance.choices(_WORDS, k=count)).capitalize()

    authors = Author.objects.bulk_create(
        Author(name=words(2).title(), born=day(1900, 80)) for _ in range(AUTHORS)
    )
    Book.objects.bulk_create(
        Book(
            title=f"{words(chance.randint(1, 4))} <{number}>",
            author=chance.choice(authors),
            published=day(1990, 35),
            pages=chance.randint(80, 900),
            price=Decimal(chance.randint(500, 9000)) / 100,
            summary=words(80),
        )
        for number in range(BOOKS)
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
