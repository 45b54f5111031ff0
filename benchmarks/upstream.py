"""Services elsewhere, as async and sync clients see them.

`get_rate()` only waits: the work of a client (httpx takes a millisecond of it) would be
the same in every view, and hide the difference between them. `call()` and `acall()`
speak HTTP with the server of `benchmarks.serve.elsewhere`, as a page would do it.
"""

import asyncio
import functools
import http.client
import os
import threading
import time
import weakref
from typing import Any
from urllib.parse import urlsplit

__all__ = ["SECONDS", "acall", "aget_rate", "call", "get_rate"]

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


@functools.cache
def _url() -> str:
    return os.environ["BENCHMARK_UPSTREAM"]


# One session for each event loop: its connections belong to that loop.
_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = (
    weakref.WeakKeyDictionary()
)


async def acall() -> str:
    """Ask the service, and let the event loop go on meanwhile."""
    import aiohttp

    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None:
        # By default aiohttp waits once a hundred connections are in use. Connections
        # live longer than the rounds of the other servers take.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=120)
        session = _sessions[loop] = aiohttp.ClientSession(connector=connector)
    async with session.get(_url()) as response:
        return str(await response.text())


_kept = threading.local()


def call() -> str:
    """Ask the service, in the thread that asks, on the connection of that thread."""
    place = urlsplit(_url())
    connection = getattr(_kept, "connection", None)
    if connection is None:
        assert place.hostname is not None
        connection = http.client.HTTPConnection(place.hostname, place.port)
        _kept.connection = connection
    try:
        connection.request("GET", place.path)
        return str(connection.getresponse().read().decode())
    except (http.client.HTTPException, OSError):
        connection.close()
        raise
