"""The app whose table carries messages: put it into INSTALLED_APPS, and migrate."""

from .channel import PostgresChannel

__all__ = ["PostgresChannel"]
