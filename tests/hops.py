"""Count thread hops where they are made: in asgiref, whoever asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from asgiref.sync import SyncToAsync


class Hops:
    """How many calls have crossed from the event loop to a worker, and which."""

    def __init__(self) -> None:
        self.functions: list[object] = []

    @property
    def count(self) -> int:
        return len(self.functions)


@contextmanager
def count_hops() -> Iterator[Hops]:
    """Count the sync_to_async() calls that are made in the block, of any thread."""
    hops = Hops()
    original = SyncToAsync.__call__

    async def counted(self, *args, **kwargs):
        hops.functions.append(self.func)
        return await original(self, *args, **kwargs)

    with mock.patch.object(SyncToAsync, "__call__", counted):
        yield hops
