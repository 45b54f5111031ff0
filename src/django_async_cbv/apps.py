"""The app that a project puts into INSTALLED_APPS."""

from importlib import import_module

from django.apps import AppConfig

__all__ = ["AsyncCBVConfig"]


class AsyncCBVConfig(AppConfig):
    """Registers the system checks; the views themselves need no app to be installed."""

    name = "django_async_cbv"
    label = "django_async_cbv"
    verbose_name = "Async class-based views"

    def ready(self) -> None:
        """Register the checks, by importing the module that declares them."""
        import_module("django_async_cbv.checks")
