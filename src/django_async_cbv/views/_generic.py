"""Let Django's generic views be subscripted as base classes, as their stubs are."""

from __future__ import annotations

from types import GenericAlias
from typing import Any


class subscriptable:  # noqa: N801 - reads as the function that it is
    """`subscriptable(ListView)[Book]`, as a base, is ListView itself."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __getitem__(self, item: Any) -> GenericAlias:
        # As a base class an alias stands for its origin (__mro_entries__).
        return GenericAlias(self.cls, item)
