"""Each mixin and decorator does on our views what it does on Django's."""

import os
from pathlib import Path

import pytest

from tests.ecosystem.cases import CASES
from tests.ecosystem.table import as_markdown
from tests.ecosystem.trying import measured

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "ecosystem.md"
# What follows it on the page is written by the test.
MARKER = "<!--- measured -->\n"

# By the tests of the single cases, where they have run in the same process.
MEASURED = {}

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_works_as_on_djangos_view(case, forbid_blocking):
    MEASURED[case] = measured(case, forbid_blocking)


def test_the_docs_print_this_table(forbid_blocking):
    """Written anew with ECOSYSTEM_TABLE=write in the environment."""
    missing = (case for case in CASES if case not in MEASURED)
    MEASURED.update((case, measured(case, forbid_blocking)) for case in missing)
    table = as_markdown((case, MEASURED[case]) for case in CASES)
    text, marker, printed = PAGE.read_text(encoding="utf-8").partition(MARKER)
    assert marker
    if os.environ.get("ECOSYSTEM_TABLE") == "write":
        PAGE.write_text(text + marker + table, encoding="utf-8")
        printed = table
    assert printed == table
