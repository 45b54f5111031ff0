"""Trips: what the site's visitors add to it."""

from django.apps import AppConfig


class TripsConfig(AppConfig):
    """The app of the pages that people edit."""

    name = "trips"
    default_auto_field = "django.db.models.BigAutoField"
