"""The forms of the trips and of a new account."""

from __future__ import annotations

from typing import ClassVar, Literal

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile

from almanac.forms import CountriesField
from almanac.models import Country
from briefing.client import times_leaked
from trips.models import Trip

COVER_LIMIT = 5 * 1024 * 1024
"""The most bytes of a cover."""

COVER_BEGINS = {
    "jpg": b"\xff\xd8\xff",
    "jpeg": b"\xff\xd8\xff",
    "png": b"\x89PNG\r\n\x1a\n",
}
"""The first bytes of each kind of picture."""

TITLE_TAKEN = "There is a trip of this name already. Find another one."


class TripForm(forms.ModelForm):  # type: ignore[type-arg]
    """A trip: its days, its countries and a picture."""

    countries = CountriesField(Country.objects.all())

    class Meta:
        """Show all fields that the site does not fill in."""

        model = Trip
        fields: ClassVar = ["title", "starts", "ends", "countries", "notes", "cover"]
        widgets: ClassVar = {
            "starts": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "ends": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "notes": forms.Textarea(attrs={"rows": 5}),
            "cover": forms.ClearableFileInput(attrs={"accept": "image/jpeg,image/png"}),
        }
        error_messages: ClassVar = {
            "title": {"unique": TITLE_TAKEN},
        }

    def clean_cover(self) -> File[bytes] | Literal[False] | None:
        """Return the picture, unless it is too big or of a wrong type.

        Only what was sent now is looked into: the picture that the trip has already
        is not opened again.
        """
        cover: File[bytes] | Literal[False] | None = self.cleaned_data["cover"]
        if isinstance(cover, UploadedFile):
            if (cover.size or 0) > COVER_LIMIT:
                raise ValidationError(
                    "This picture is too big: 5 MB is the most.", code="too_big"
                )
            kind = str(cover.name).rpartition(".")[2].lower()
            start = cover.read(8)
            cover.seek(0)
            if not start.startswith(COVER_BEGINS.get(kind, start)):
                raise ValidationError(
                    f"This is not a {kind.upper()} picture.", code="not_a_picture"
                )
        return cover


class SignUpForm(UserCreationForm):  # type: ignore[type-arg]
    """A name, and a password that has not been leaked."""

    field_order = ["username", "password1", "password2"]

    async def aclean_password1(self) -> str:
        """Return the password. Raise ValidationError if the service knows it.

        Asked after all else that Django finds wrong with a password. Where the service
        is out of order, a password need not wait for it.
        """
        password: str = self.cleaned_data["password1"]
        if times := await times_leaked(password):
            raise ValidationError(
                f"This password was leaked {intcomma(times)} times. Choose another.",
                code="leaked",
            )
        return password
