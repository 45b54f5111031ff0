"""Countries, and the days on which they rest."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.urls import reverse

WEEKDAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)


class Country(models.Model):
    """A country or territory with its own calendar of holidays."""

    code = models.CharField(
        max_length=2, unique=True, help_text="ISO 3166-1, as in `JP`"
    )
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=80)
    local_name = models.CharField(
        max_length=80, help_text="its name in its own language"
    )
    language = models.CharField(max_length=12, help_text="BCP 47, of the local names")
    rtl = models.BooleanField(
        default=False, help_text="the language runs from right to left"
    )
    weekend = models.CharField(
        max_length=40, help_text="weekday numbers, Monday is 0: `5,6`"
    )

    class Meta:
        """Sort by the name in ASCII, which all databases sort in the same way."""

        ordering: ClassVar = ["slug"]
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page of this country."""
        return reverse("country", args=[self.slug])

    @property
    def flag(self) -> str:
        """The flag as an emoji: its two letters as regional indicator symbols.

        Only for files: a page can't know whether its reader has an emoji font.
        """
        return "".join(chr(ord(letter) + 0x1F1A5) for letter in self.code)

    @property
    def initial(self) -> str:
        """The letter in an index, which is A for Åland too."""
        return self.slug[0].upper()

    @property
    def weekend_days(self) -> list[str]:
        """The days of the weekend, which differ between countries."""
        return [WEEKDAYS[int(day)] for day in self.weekend.split(",") if day]

    @property
    def direction(self) -> str:
        """The HTML `dir` of texts in the country's language."""
        return "rtl" if self.rtl else "ltr"


class Category(models.Model):
    """A kind of holiday: public, bank, school, or of one faith."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=40)

    class Meta:
        """By name."""

        ordering: ClassVar = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Holiday(models.Model):
    """One holiday of one country on one day."""

    country = models.ForeignKey(Country, models.CASCADE, related_name="holidays")
    date = models.DateField(db_index=True)
    name = models.CharField(max_length=200, help_text="in English")
    local_name = models.CharField(max_length=200, blank=True)
    slug = models.SlugField(max_length=200)
    categories = models.ManyToManyField(Category, related_name="holidays")

    class Meta:
        """By date. A slug names the country too: with a date it names one holiday."""

        ordering: ClassVar = ["date", "country__slug", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["date", "slug"], name="one_holiday_a_slug_and_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.country.name}, {self.date:%Y-%m-%d}"

    def get_absolute_url(self) -> str:
        """The page of this holiday in the archive."""
        day = self.date
        return reverse("holiday", args=[day.year, day.month, day.day, self.slug])

    @property
    def own_name(self) -> str:
        """The local name, if it differs from the English name."""
        return self.local_name if self.local_name != self.name else ""
