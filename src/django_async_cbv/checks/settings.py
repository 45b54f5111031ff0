"""Check the settings of the tools that watch a project while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks

from .._blocking.options import wrong_settings
from .urlconf import messages

__all__ = ["check_settings"]


@checks.register(checks.Tags.async_support)
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report settings with which the application does not start."""
    return messages(checks.Error, None, wrong_settings())
