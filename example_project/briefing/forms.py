"""The form of the day that is told."""

from __future__ import annotations

import datetime as dt

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

FIRST, LAST = dt.date(1990, 1, 1), dt.date(2100, 12, 31)


class DayForm(forms.Form):
    """A day of which the services know something."""

    day = forms.DateField(
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        validators=[MinValueValidator(FIRST), MaxValueValidator(LAST)],
    )
