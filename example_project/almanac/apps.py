"""The almanac: countries and their holidays."""

from django.apps import AppConfig


class AlmanacConfig(AppConfig):
    """The app of the holiday pages."""

    name = "almanac"
    default_auto_field = "django.db.models.BigAutoField"
