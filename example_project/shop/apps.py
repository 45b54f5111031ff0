"""The shop: printed wall calendars, of which there are only so many."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The app of the pages that sell."""

    name = "shop"
    default_auto_field = "django.db.models.BigAutoField"
