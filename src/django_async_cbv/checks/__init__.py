"""System checks: what `manage.py check` says of views and of what leads to them."""

from .asgi import check_entry_point
from .settings import check_settings
from .urlconf import check_imported_views, check_views, imported_views

__all__ = [
    "check_entry_point",
    "check_imported_views",
    "check_settings",
    "check_views",
    "imported_views",
]
