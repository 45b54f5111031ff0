"""The dashboard: one page out of many queries."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The app of the page that asks the database all at once."""

    name = "dashboard"
