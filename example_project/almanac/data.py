"""The world's holidays from the `holidays` package, names of countries from Babel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import holidays
from babel import Locale, UnknownLocaleError
from django.utils.text import slugify

from almanac.models import Category, Country, Holiday

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

ENGLISH = Locale("en")

# "workday" marks Saturdays on which people work in exchange for a day between holidays,
# and is not a holiday.
NOT_A_HOLIDAY = frozenset({"workday"})


@dataclass
class Row:
    """One holiday as the package knows it."""

    date: dt.date
    name: str
    local_name: str
    categories: set[str] = field(default_factory=set)


def _english(entity: holidays.HolidayBase) -> str | None:
    """Return the English language of `entity`. None if it has only one language."""
    return next(
        (x for x in ("en_US", "en_GB") if x in entity.supported_languages), None
    )


def _locale(language: str | None) -> Locale:
    """Return CLDR's locale for a language of the package. English if CLDR has none."""
    if language is None:
        return ENGLISH
    for tag in (language, language.split("_")[0]):
        try:
            return Locale.parse(tag)
        except UnknownLocaleError:
            continue
    return ENGLISH


def countries() -> Iterator[Country]:
    """Every country of the package, as unsaved objects."""
    for code in holidays.list_supported_countries(include_aliases=False):
        entity = holidays.country_holidays(code)
        locale = _locale(entity.default_language)
        name = ENGLISH.territories[code]
        yield Country(
            code=code,
            slug=slugify(name),
            name=name,
            local_name=locale.territories.get(code, name),
            language=str(locale).replace("_", "-"),
            rtl=locale.text_direction == "rtl",
            weekend=",".join(map(str, sorted(entity.weekend))),
        )


def rows(code: str, years: Iterable[int]) -> list[Row]:
    """The holidays of a country in `years`, each once, with all its categories."""
    years = list(years)
    found: dict[tuple[dt.date, str], Row] = {}
    entity = holidays.country_holidays(code)
    english, own = _english(entity), entity.default_language
    for category in sorted(set(entity.supported_categories) - NOT_A_HOLIDAY):
        # Each language by its name, because gettext reads the environment otherwise.
        named, local = (
            holidays.country_holidays(
                code, years=years, categories=category, language=language
            )
            for language in (english or own, own)
        )
        for date in named:
            names, local_names = named.get_list(date), local.get_list(date)
            # The package sorts two holidays of one day by the alphabet of each
            # language, so nothing tells which is which.
            pair = len(names) == len(local_names) == 1
            for name in names:
                row = found.setdefault((date, name), Row(date, name, ""))
                row.categories.add(category.replace("_", "-"))
                if pair:
                    row.local_name = local_names[0]
    return list(found.values())


def seed(years: Iterable[int]) -> tuple[int, int]:
    """Write all countries and their holidays in `years`, and return how many there are.

    What is there already is brought up to date, so it can be run again after an
    upgrade of the package. A few dozen queries in all. Call it in a transaction.
    """
    years = list(years)
    listed = Country.objects.bulk_create(
        countries(),
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["slug", "name", "local_name", "language", "rtl", "weekend"],
    )
    by_country = [(country, rows(country.code, years)) for country in listed]

    slugs = {
        category
        for _, found in by_country
        for row in found
        for category in row.categories
    }
    categories = {
        category.slug: category
        for category in Category.objects.bulk_create(
            [
                Category(slug=s, name=s.replace("-", " ").capitalize())
                for s in sorted(slugs)
            ],
            update_conflicts=True,
            unique_fields=["slug"],
            update_fields=["name"],
        )
    }

    wanted: dict[tuple[dt.date, str], tuple[Holiday, set[str]]] = {}
    for country, found in by_country:
        for row in found:
            slug = f"{country.code.lower()}-{slugify(row.name)}"
            holiday = Holiday(
                country=country,
                date=row.date,
                name=row.name,
                local_name=row.local_name,
                slug=slug,
            )
            wanted.setdefault((row.date, slug), (holiday, set()))[1].update(
                row.categories
            )
    saved = Holiday.objects.bulk_create(
        [holiday for holiday, _ in wanted.values()],
        update_conflicts=True,
        unique_fields=["date", "slug"],
        update_fields=["country", "name", "local_name"],
        batch_size=2000,
    )
    link = Holiday.categories.through
    link.objects.bulk_create(
        [
            link(holiday_id=holiday.pk, category_id=categories[slug].pk)
            for holiday, (_, names) in zip(saved, wanted.values(), strict=True)
            for slug in names
        ],
        ignore_conflicts=True,
        batch_size=5000,
    )
    there = set(
        Holiday.objects.filter(date__year__in=years).values_list("pk", flat=True)
    )
    stale = there - {holiday.pk for holiday in saved}
    Holiday.objects.filter(pk__in=stale).delete()
    return len(listed), len(saved)
