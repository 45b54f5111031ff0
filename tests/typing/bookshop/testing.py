"""The tools for tests, as a project's own tests use them."""

from collections.abc import Callable
from typing import assert_type

from django.test import TestCase

from django_async_cbv.testing import (
    HopAssertionsMixin,
    count_hops,
    forbid_dropped_coroutines,
    forbid_repeated_hops,
)
from django_async_cbv.trace import Hop, Place, on_hop


class HopTests(HopAssertionsMixin, TestCase):
    async def test_hops(self) -> None:
        async with self.assertMaxHops(2, info="few") as hops:
            assert_type(hops.count, int)
        with self.assertNumHops(0):
            pass

    async def test_counted(self) -> None:
        with count_hops(everywhere=True) as hops:
            assert_type(hops, count_hops)
        async with forbid_repeated_hops(times=3, allow=["Book.*"]) as repeated:
            repeated.allow("load")
        for hop in hops.hops:
            assert_type(hop, Hop)
            assert_type(hop.function, Place)
            assert_type(hop.asked_by, Place | None)
            assert_type(hop.run, float | None)


@forbid_dropped_coroutines()
@count_hops()
async def load(title: str, limit: int = 1) -> list[str]:
    return [title] * limit


async def loaded() -> None:
    assert_type(await load("Emma", limit=2), list[str])


def measure(hop: Hop) -> None:
    print(hop.function.name, hop.wait)


stop = on_hop(measure)
assert_type(stop, Callable[[], None])
