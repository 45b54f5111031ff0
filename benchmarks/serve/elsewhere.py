"""A service that answers each request after 100 ms, however many there are.

    python -m benchmarks.serve.elsewhere --port 8000

It parses nothing: a client sends one request on a connection, and waits. With
`--seconds 0` it shows how many requests a generator of load can make.
"""

import argparse
import asyncio
from typing import Any

__all__ = ["SECONDS"]

SECONDS = 0.1
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 6\r\n\r\n1.0824"
)


class Exchange(asyncio.Protocol):
    """One connection."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    # Not BaseTransport: it can't write. uvloop's is no subclass of asyncio's.
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.begin = b""

    def data_received(self, data: bytes) -> None:
        self.begin += data
        if self.begin.endswith(b"\r\n\r\n"):
            self.begin = b""
            self.loop.call_later(self.seconds, self.answer)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)


async def _serve(port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Exchange(seconds), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve.elsewhere")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    work = _serve(options.port, options.seconds)
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
