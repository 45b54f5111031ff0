"""The forms of the holiday pages: the filters of the list, and the calendar export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone

from almanac.models import Category, Country, Holiday

if TYPE_CHECKING:
    from django.db.models import QuerySet

SORTS = {
    "": ("date", "country__slug", "name"),
    "newest": ("-date", "country__slug", "name"),
    "name": ("name", "date", "country__slug"),
    "country": ("country__slug", "date", "name"),
}


class CountriesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Any number of countries, each with a checkbox."""

    widget = forms.CheckboxSelectMultiple


class FilterForm(forms.Form):
    """What the list of holidays shows, from the query string."""

    q = forms.CharField(label="Name", required=False, max_length=80)
    country = forms.ModelChoiceField(
        Country.objects.all(),
        required=False,
        to_field_name="slug",
        empty_label="All countries",
    )
    category = forms.ModelChoiceField(
        Category.objects.all(),
        required=False,
        to_field_name="slug",
        empty_label="All kinds",
    )
    when = forms.ChoiceField(required=False)
    sort = forms.ChoiceField(
        label="Sort by",
        required=False,
        choices=[
            ("", "Soonest first"),
            ("newest", "Latest first"),
            ("name", "Name"),
            ("country", "Country"),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer the years that there are. One query."""
        super().__init__(*args, **kwargs)
        when = self.fields["when"]
        assert isinstance(when, forms.ChoiceField)
        years = [
            (str(day.year), str(day.year))
            for day in Holiday.objects.dates("date", "year")
        ]
        when.choices = [("", "From today on"), ("any", "Any time"), *years]
        self.fields["q"].widget.attrs.update(
            type="search", placeholder="Christmas, Eid, Harvest …"
        )

    def is_filtered(self) -> bool:
        """Whether the query string filters or sorts. A page number alone does not."""
        return any(self.data.get(name) for name in self.fields)

    def apply(self, holidays: QuerySet[Holiday]) -> QuerySet[Holiday]:
        """Return the holidays that the filters leave. Ignore an invalid filter."""
        self.is_valid()
        chosen = self.cleaned_data
        if name := chosen.get("q"):
            holidays = holidays.filter(name__icontains=name) | holidays.filter(
                local_name__icontains=name
            )
        if country := chosen.get("country"):
            holidays = holidays.filter(country=country)
        if category := chosen.get("category"):
            holidays = holidays.filter(categories=category)
        when = chosen.get("when", "any")
        if when == "":
            holidays = holidays.filter(date__gte=timezone.localdate())
        elif when != "any":
            holidays = holidays.filter(date__year=when)
        return holidays.order_by(*SORTS[chosen.get("sort", "")])


class ExportForm(forms.Form):
    """Which holidays to put into a calendar file."""

    year = forms.TypedChoiceField(coerce=int)
    countries = CountriesField(Country.objects.all())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer the years that there are. One query."""
        super().__init__(*args, **kwargs)
        year = self.fields["year"]
        assert isinstance(year, forms.TypedChoiceField)
        year.choices = [
            (day.year, str(day.year)) for day in Holiday.objects.dates("date", "year")
        ]

    def clean_countries(self) -> QuerySet[Country]:
        """Accept at most twenty countries. Nobody reads a calendar with more."""
        countries: QuerySet[Country] = self.cleaned_data["countries"]
        if len(countries) > 20:
            raise forms.ValidationError("Choose twenty at most.", code="too_many")
        return countries
