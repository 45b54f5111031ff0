"""Django's middleware on the loop: what it answers, in how many hops, and whose."""

from __future__ import annotations

from pathlib import Path

from django.core.handlers.asgi import ASGIHandler
from django.test import TestCase

from tests.serve import inline_table
from tests.serve.chain import InlineHandler

DOCS_TABLE = Path(__file__).parents[2] / "docs" / "middleware-table.md"
CASES = list(inline_table.cases())


class TestTable(TestCase):
    """Each case of the table: its hops, and that the answer is Django's."""

    async def test_hops(self):
        for case in CASES:
            with self.subTest(case.name, when=case.when, request=case.request):
                self.assertEqual(await case.measured(), case.expected)

    async def test_answers(self):
        for case in CASES:
            with self.subTest(case.name, when=case.when, request=case.request):
                djangos = await case.answered(ASGIHandler)
                self.assertNotEqual(djangos.status, 500)
                self.assertEqual(await case.answered(InlineHandler), djangos)
