"""Wall calendars with their number of copies, and orders of them."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from almanac.models import Country


class WallCalendar(models.Model):
    """A country's year, printed to hang on the wall."""

    country = models.ForeignKey(
        Country, models.CASCADE, related_name="wall_calendars", verbose_name="country"
    )
    year = models.PositiveSmallIntegerField()
    price = models.DecimalField(max_digits=6, decimal_places=2, help_text="in euros")
    stock = models.IntegerField(help_text="copies that nobody has ordered")

    class Meta:
        """Sort by country. A constraint keeps a copy from being sold twice."""

        ordering: ClassVar = ["country__slug", "year"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["country", "year"], name="one_wall_calendar_a_country_and_year"
            ),
            models.CheckConstraint(
                condition=models.Q(stock__gte=0), name="no_copy_is_sold_twice"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country.name} {self.year}"

    @classmethod
    def on_sale(cls) -> models.QuerySet[WallCalendar]:
        """Return the calendars of this year and later, with their countries."""
        this_year = timezone.localdate().year
        return cls.objects.filter(year__gte=this_year).select_related("country")


class Order(models.Model):
    """What somebody ordered at one time."""

    buyer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="orders"
    )
    placed = models.DateTimeField(default=timezone.now)

    class Meta:
        """The latest first."""

        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"Order {self.pk}"

    def get_absolute_url(self) -> str:
        """The page of this order."""
        return reverse("shop:detail", args=[self.pk])

    @property
    def copies(self) -> int:
        """How many calendars it is in all. Reads the lines."""
        return sum(line.copies for line in self.lines.all())

    @property
    def total(self) -> Decimal:
        """What it costs, in euros. Reads the lines."""
        return sum((line.total for line in self.lines.all()), Decimal(0))


class OrderLine(models.Model):
    """So many copies of one calendar, at the price of the day."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    calendar = models.ForeignKey(WallCalendar, models.PROTECT, related_name="lines")
    copies = models.PositiveSmallIntegerField()
    price = models.DecimalField(
        max_digits=6, decimal_places=2, help_text="of one copy, in euros"
    )

    class Meta:
        """Sort in the order of the lines."""

        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "calendar"], name="one_line_an_order_and_calendar"
            ),
            models.CheckConstraint(
                condition=models.Q(copies__gte=1), name="a_line_has_a_copy"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.copies} of {self.calendar}"

    @property
    def total(self) -> Decimal:
        """What all its copies cost, in euros."""
        return self.copies * self.price
