"""Get the tests of the very Django that is installed: they are in its sdist."""

from __future__ import annotations

from pathlib import Path

import django

from tests.swapping.sdists import unpacked_sdist

__all__ = ["django_tests"]


def django_tests() -> Path:
    """Return the folder `tests` of the sdist. Raise SourceUnavailable."""
    return unpacked_sdist("Django", django.__version__, only="tests/") / "tests"
