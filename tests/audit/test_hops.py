"""The predicted hops against those that are measured, for whole families of classes."""

from __future__ import annotations

from django.test import TestCase

from django_async_cbv.audit.hops import predict
from tests import hop_table
from tests.catalogue import CATALOGUE, make_rows


class TestCatalogue(TestCase):
    @classmethod
    def setUpTestData(cls):
        make_rows()

    def test_all(self):
        widths, bad = [], []
        for entry in CATALOGUE:
            for visit in hop_table.answering(entry):
                hooks = [n for n in entry.hooks() if not n.startswith("_")]
                handler = "get" if visit.method == "HEAD" else visit.method.lower()
                cases = [("untouched", lambda: hop_table.made(entry))]
                cases += [
                    ("mixin", lambda: hop_table.made(entry, hop_table.DispatchMixin))
                ]
                for n in (*hooks, handler, "dispatch", "setup"):
                    cases.append(
                        (
                            f"sync {n}",
                            lambda n=n: hop_table.made(
                                entry, method=hop_table.sync_override(n)
                            ),
                        )
                    )
                for n in (*hooks, handler, "dispatch"):
                    cases.append(
                        (
                            f"async {n}",
                            lambda n=n: hop_table.made(
                                entry, method=hop_table.async_override(n)
                            ),
                        )
                    )
                for label, make in cases:
                    cls = make()
                    found = predict(cls, visit.method, kwargs=visit.kwargs or ())
                    real = hop_table.hops_of(cls, visit)
                    widths.append(found.high - found.low)
                    exact = not label.startswith("async")
                    if (
                        not found.low <= real <= found.high
                        or (exact and found.low != found.high)
                        or found.high - found.low > 2
                        or found.unknown
                        or found.waits
                    ):
                        bad.append(
                            (
                                entry.name,
                                visit.method,
                                label,
                                real,
                                found.low,
                                found.high,
                                found.unknown,
                                [w.stop for w in found.waits],
                            )
                        )
        for b in bad[:60]:
            print(b)
        print(len(bad), len(widths), sum(widths) / len(widths))
