"""Count thread hops wherever they are made, whoever asks for them."""

from __future__ import annotations

import functools

from django_async_cbv import testing

__all__ = ["count_hops"]

# Of any thread: a test's own is often not the one that the view runs in.
count_hops = functools.partial(testing.count_hops, everywhere=True)
