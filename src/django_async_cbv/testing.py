"""Helpers for the tests of a project."""

from ._testing.streams import OpenStream, ReceivedEvent, open_stream

__all__ = ["OpenStream", "ReceivedEvent", "open_stream"]
