"""The predicted hops against those that are measured, for whole families of classes."""

from __future__ import annotations

import os
import random

from django.test import TestCase

from django_async_cbv.audit.hops import predict
from tests import hop_table
from tests.audit import classes
from tests.catalogue import make_rows

# The label `long` tries all.
IS_LONG = os.environ.get("AUDIT_CASES") == "all"


class Cases(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_rows()

    def compare(self, cases, width):
        widths, exact = [], 0
        for case in cases:
            names = case.visit.kwargs or ()
            found = predict(case.cls, case.visit.method, kwargs=names)
            hops = hop_table.hops_of(case.cls, case.visit)
            with self.subTest(case.label):
                self.assertLessEqual(found.low, hops)
                self.assertGreaterEqual(found.high, hops)
                self.assertEqual(found.unknown, [])
                if not case.has_async:
                    self.assertEqual(found.low, found.high)
                    self.assertEqual(found.waits, [])
            widths.append(found.high - found.low)
            exact += found.high == found.low
        mean = sum(widths) / len(widths)
        print(
            f"\n{len(widths)} classes, {exact} exact, ranges {mean:.2f} wide "
            f"on average, {max(widths)} at most"
        )
        self.assertLessEqual(mean, width)

    def test_each_hook_of_each_view(self):
        """Of all, a sample by default: each is a class of its own and a request."""
        cases = classes.catalogue()
        if not IS_LONG:
            drawn = random.Random(13)
            cases = (case for case in cases if drawn.random() < 0.06)
        self.compare(cases, 0.5)

    def test_random_classes(self):
        count = 500 if IS_LONG else 60
        self.compare(classes.drawn_at_random(13, count), 2)
