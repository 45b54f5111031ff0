"""Tools for the tests of a project."""

from ._dropped import forbid_dropped_coroutines
from ._hop_counts import HopAssertionsMixin, count_hops, forbid_repeated_hops

__all__ = [
    "HopAssertionsMixin",
    "count_hops",
    "forbid_dropped_coroutines",
    "forbid_repeated_hops",
]
