"""The forms of the trips and of a new account."""

from __future__ import annotations

from typing import Any, ClassVar

from almanac.forms import CountriesField
from almanac.models import Country
from django import forms
from django.contrib.auth.forms import UserCreationForm

from trips.models import Trip


class TripForm(forms.ModelForm):  # type: ignore[type-arg]
    """A trip: its days, its countries and a picture."""

    countries = CountriesField(Country.objects.all())

    class Meta:
        """All but what the site fills in by itself."""

        model = Trip
        fields: ClassVar = ["title", "starts", "ends", "countries", "notes", "cover"]
        widgets: ClassVar = {
            "starts": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "ends": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "notes": forms.Textarea(attrs={"rows": 5}),
            "cover": forms.ClearableFileInput(attrs={"accept": "image/jpeg,image/png"}),
        }
        error_messages: ClassVar = {
            "title": {
                "unique": "There is a trip of this name already. Find another one."
            },
        }


class SignUpForm(UserCreationForm[Any]):
    """A name and a password."""

    field_order: ClassVar = ["username", "password1", "password2"]
