"""What is tried: a module for each package, in the order of the table."""

from tests.ecosystem.cases import braces, guardian  # noqa: F401 - they register themselves
from tests.ecosystem.trying import CASES

__all__ = ["CASES"]
