"""A proxy that looks like what it stands before, as agents make it with wrapt."""

from __future__ import annotations

from typing import Any


class Proxy:
    """In all that can be asked the object that it wraps."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__ = wrapped

    @property
    def __class__(self):
        return type(self.__wrapped__)

    def __getattr__(self, name):
        return getattr(self.__wrapped__, name)
