"""The briefing: one page out of six slow HTTP services."""

from django.apps import AppConfig


class BriefingConfig(AppConfig):
    """The app of the page that shows why async."""

    name = "briefing"
