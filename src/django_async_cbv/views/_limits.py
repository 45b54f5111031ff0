"""How many streams of a view, and of a user, are open in this process."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Hashable

__all__ = ["Slot", "take_slot"]

_taken: Counter[Hashable] = Counter()
# RLock, because the garbage collector may release a slot while the same thread takes
# one.
_lock = threading.RLock()


class Slot:
    """A place among the open streams, which is given back once."""

    def __init__(self, keys: list[Hashable]) -> None:
        self._give_back = weakref.finalize(self, _give_back, keys)
        self._give_back.atexit = False

    def release(self) -> None:
        """Give it back."""
        self._give_back()


def take_slot(*limits: tuple[Hashable, int | None]) -> Slot | None:
    """Take a slot under each of these limits; None if one of them is reached."""
    # A process that was forked has a copy of the counts, and none of the streams.
    process = os.getpid()
    limited = {(process, key): limit for key, limit in limits if limit is not None}
    keys: list[Hashable] = [*limited]
    with _lock:
        if any(_taken[key] >= limit for key, limit in limited.items()):
            _forget(keys)
            return None
        _taken.update(keys)
    return Slot(keys)


def _give_back(keys: list[Hashable]) -> None:
    with _lock:
        _taken.subtract(keys)
        _forget(keys)


def _forget(keys: list[Hashable]) -> None:
    for key in keys:
        if not _taken[key]:
            del _taken[key]
