"""Helpers for the tests of a project."""

from ._testing.blocking import BlockedOnce, ForbidBlockingMixin, forbid_blocking
from ._testing.dropped import forbid_dropped_coroutines
from ._testing.hops import HopAssertionsMixin, count_hops, forbid_repeated_hops
from ._testing.streams import OpenStream, ReceivedEvent, open_stream

__all__ = [
    "BlockedOnce",
    "ForbidBlockingMixin",
    "HopAssertionsMixin",
    "OpenStream",
    "ReceivedEvent",
    "count_hops",
    "forbid_blocking",
    "forbid_dropped_coroutines",
    "forbid_repeated_hops",
    "open_stream",
]
