"""How many hops each view costs: the promises, and the table that the docs print."""

import os
from pathlib import Path

import pytest
from django.test import TestCase

from tests import hop_table
from tests.catalogue import make_rows

DOCS_TABLE = Path(__file__).parent.parent / "docs" / "reference" / "hop-table.md"
# An async override in the middle of an edit view's form may cost two hops more.
IN_A_FORM = {
    "construct_formset",
    "construct_inlines",
    "get_form",
    "get_form_class",
    "get_form_kwargs",
    "get_formset",
    "get_formset_kwargs",
    "get_initial",
    "get_prefix",
    "get_queryset",
}


@pytest.mark.generated
class TestHops(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_rows()
        cls.table = list(hop_table.rows())

    def test_untouched_is_one_hop_or_none(self):
        for row in self.table:
            free = row.view in {"AsyncTemplateView", "AsyncRedirectView"}
            with self.subTest(view=row.view, method=row.method):
                self.assertEqual(row.untouched, 0 if free else 1)

    def test_sync_overrides_join_the_hop(self):
        for row in self.table:
            for name, cost in row.sync.items():
                with self.subTest(view=row.view, method=row.method, hook=name):
                    self.assertLessEqual(cost, 1)

    def test_a_sync_dispatch_mixin_joins_the_hop(self):
        for row in self.table:
            with self.subTest(view=row.view, method=row.method):
                self.assertEqual(row.dispatch_mixin, 1)

    def test_an_async_override_adds_a_hop_at_most_or_says_why(self):
        for row in self.table:
            is_dated = "Archive" in row.view or "Date" in row.view
            for name, cost in row.awaited.items():
                with self.subTest(view=row.view, method=row.method, hook=name):
                    added = cost - row.untouched
                    if is_dated and added > 1:
                        self.assertIn(name, hop_table.REASONS)
                    else:
                        self.assertLessEqual(added, 2 if name in IN_A_FORM else 1)

    def test_the_docs_print_this_table(self):
        """Written anew with HOP_TABLE=write in the environment."""
        table = hop_table.as_markdown(self.table)
        if os.environ.get("HOP_TABLE") == "write":
            DOCS_TABLE.write_text(table)
        self.assertEqual(DOCS_TABLE.read_text(), table)
