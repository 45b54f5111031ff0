"""A service elsewhere that takes 20 ms to answer, as async and sync clients see it.

The wait alone: a client's own work (httpx takes a millisecond of it) would be the same
in every view, and hide what they differ in.
"""

import asyncio
import time

__all__ = ["SECONDS", "aget_rate", "get_rate"]

SECONDS = 0.02
RATE = "1.0824"


async def aget_rate() -> str:
    """Wait for the exchange rate, and let the event loop go on meanwhile."""
    await asyncio.sleep(SECONDS)
    return RATE


def get_rate() -> str:
    """Wait for the exchange rate, in the thread that asks."""
    time.sleep(SECONDS)
    return RATE
