"""Validate forms that have async validation."""

from .core.validation import ais_valid

__all__ = ["ais_valid"]
