"""Get the tests of the very Django that is installed, from its sdist or its clone."""

from __future__ import annotations

import os
from pathlib import Path

import django

from tests.swapping.sdists import unpacked_sdist

__all__ = ["django_tests"]


def django_tests() -> Path:
    """
    Return the folder `tests` of the sdist, or of the clone that was installed.

    Raise SourceUnavailable.
    """
    if clone := os.environ.get("DJANGO_SOURCE"):
        return Path(clone) / "tests"
    return unpacked_sdist("Django", django.__version__, only="tests/") / "tests"
