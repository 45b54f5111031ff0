"""Trips, and the holidays during them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import FileExtensionValidator
from django.db import models
from django.urls import reverse
from django.utils.text import slugify

from almanac.models import Country, Holiday

COVER_TYPES = ("jpg", "jpeg", "png")
"""File types that users may upload. No SVG, because it may contain scripts."""


class Trip(models.Model):
    """A journey through one or more countries."""

    title = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(max_length=90, unique=True, editable=False)
    traveller = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="trips", editable=False
    )
    starts = models.DateField("first day")
    ends = models.DateField("last day")
    countries = models.ManyToManyField(Country, related_name="trips")
    notes = models.TextField(blank=True)
    cover = models.FileField(
        "cover picture",
        upload_to="covers/%Y/%m/",
        blank=True,
        validators=[FileExtensionValidator(COVER_TYPES)],
        help_text="JPEG or PNG, 5 MB at most.",
    )

    class Meta:
        """Sort the next trip first."""

        ordering: ClassVar = ["starts", "title"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(ends__gte=models.F("starts")),
                name="a_trip_ends_after_it_starts",
                violation_error_message="The last day is before the first.",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: object, **kwargs: object) -> None:
        """Save the trip. A new trip gets its lasting address from the title."""
        if not self.slug:
            self.slug = self.free_slug()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def get_absolute_url(self) -> str:
        """Return the URL of this trip."""
        return reverse("trips:detail", args=[self.slug])

    def free_slug(self) -> str:
        """Return an address from the title that no other trip has. One query."""
        slug = slugify(self.title) or "trip"
        taken = set(
            Trip.objects.filter(slug__startswith=slug)
            .exclude(pk=self.pk)
            .values_list("slug", flat=True)
        )
        candidates = (
            slug if n == 1 else f"{slug}-{n}" for n in range(1, len(taken) + 2)
        )
        return next(candidate for candidate in candidates if candidate not in taken)

    @property
    def days(self) -> int:
        """How many days the trip lasts, with both ends."""
        return (self.ends - self.starts).days + 1

    def holidays(self) -> models.QuerySet[Holiday]:
        """The holidays of its countries during the trip."""
        return Holiday.objects.filter(
            country__trips=self, date__range=(self.starts, self.ends)
        ).select_related("country")
