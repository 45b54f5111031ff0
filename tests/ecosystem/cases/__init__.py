"""What is tried: a module for each package, in the order of the table."""

from tests.ecosystem.cases import (  # noqa: F401 - they register themselves
    accounts,
    braces,
    crispy,
    csp,
    djangos,
    extra,
    filters,
    guardian,
    htmx,
    limits,
    rules,
    tables2,
    toolbar,
)
from tests.ecosystem.trying import CASES

__all__ = ["CASES"]
