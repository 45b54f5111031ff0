"""Open many streams, and hold them until the standard input ends.

    python -m benchmarks.serve.streams http://127.0.0.1:8000/probes/idle/ --count 1000

It prints a line when each stream has sent its first part, and one at the end.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import GET, LoadError

__all__ = ["held"]

# Connections that are opened at once.
AT_ONCE = 100


class _Stream(asyncio.Protocol):
    """One connection, on which something has arrived or not."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head = b""

    # Not BaseTransport: it can't write. uvloop's is no subclass of asyncio's.
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.first.done():
            return
        self.head += data
        if not self.head.startswith(b"HTTP/1.1 200"[: len(self.head)]):
            self.first.set_exception(LoadError(f"answered {self.head!r}"))
        elif b"data: hello" in self.head:
            self.head = b""
            self.first.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.first.done():
            self.first.set_exception(LoadError(f"lost a stream: {error}"))


async def _hold(url: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    place = urlsplit(url)
    request = GET.raw(url)
    turns = asyncio.Semaphore(AT_ONCE)
    streams: list[_Stream] = []

    async def open_one() -> None:
        async with turns:
            _, stream = await loop.create_connection(
                lambda: _Stream(request), place.hostname, place.port
            )
            streams.append(stream)
            await stream.first

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(open_one())
    print("open", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    lost = sum(stream.transport.is_closing() for stream in streams)
    for stream in streams:
        stream.transport.abort()
    print(f"lost {lost}", flush=True)


@contextmanager
def held(url: str, count: int, timeout: float) -> Iterator[None]:
    """Hold that many streams open; raise LoadError if some do not open, or end."""
    command = [sys.executable, "-m", "benchmarks.serve.streams", url]
    command += ["--count", str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "open\n":
                raise LoadError(f"{url}: not all of {count} streams opened")
            yield
            process.stdin.close()
            if (end := process.stdout.readline()) != "lost 0\n":
                raise LoadError(f"{url}: {end}")
            process.wait(timeout)
        finally:
            process.kill()


def main() -> None:
    """Hold streams until the standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve.streams")
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    work = _hold(options.url, options.count)
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
