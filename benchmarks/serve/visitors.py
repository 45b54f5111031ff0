"""Clients as the network has them: they come, go too early, and are slow.

    python -m benchmarks.serve.visitors http://127.0.0.1:8000 --clients 1000

It prints as JSON how often each kind of visit had which outcome.
"""

import argparse
import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from benchmarks.load import GET, Ask

__all__ = ["VISITS"]

# Seconds after which a visit counts as hung.
HUNG = 60
PAGES = (
    "/ours/plain/",
    "/ours/books/?page=7",
    "/ours/books/321/",
    "/ours/books/321/price/",
    "/ours/books/321/offer/",
    "/ours/books/321/offer-by-hook/",
    "/probes/wait/321/?seconds=0.2",
    "/probes/slow-query/?seconds=0.02",
)


class Visitor:
    """One client; each visit has a connection of its own."""

    def __init__(self, url: str, chance: random.Random) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        self.url = url
        self.place = place.hostname, place.port
        self.chance = chance

    async def open(self, path: str, ask: Ask = GET, *, narrow: bool = False) -> None:
        """Connect, and send a request but for its body."""
        raw = socket.socket()
        raw.setblocking(False)
        if narrow:
            # Before it connects, since it tells the server how much may come.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(raw, self.place)
        except BaseException:
            raw.close()
            raise
        limit = 4096 if narrow else 65536
        self.reader, self.writer = await asyncio.open_connection(sock=raw, limit=limit)
        closing = Ask(ask.method, {**ask.headers, "Connection": "close"}, ask.body)
        head, _, self.body = closing.raw(self.url + path).partition(b"\r\n\r\n")
        self.writer.write(head + b"\r\n\r\n")

    def close(self) -> None:
        """Go, at once."""
        self.writer.transport.abort()

    async def status(self) -> str:
        """Wait for the first line."""
        line = await self.reader.readline()
        status = line[9:12].decode() or "nothing"
        if status == "503":
            head = await self.reader.readuntil(b"\r\n\r\n")
            if b"retry-after" not in head.lower():
                return "503 without Retry-After"
        return status

    async def get(self) -> str:
        """Come, and read the whole answer."""
        await self.open(self.chance.choice(PAGES))
        status = await self.status()
        await self.reader.read()
        return status

    async def abort_early(self) -> str:
        """Go while the request is in the queue, or has just begun."""
        await self.open(self.chance.choice(PAGES))
        await asyncio.sleep(self.chance.uniform(0, 0.02))
        return "gone"

    async def abort_late(self) -> str:
        """Go while a thread is at the request."""
        path = self.chance.choice(["slow-query", "slow"])
        await self.open(f"/probes/{path}/?seconds=0.1")
        await asyncio.sleep(self.chance.uniform(0.02, 0.2))
        return "gone"

    async def time_out(self) -> str:
        """Go because the answer takes too long."""
        await self.open("/probes/wait/321/?seconds=5")
        try:
            async with asyncio.timeout(1):
                return await self.status()
        except TimeoutError:
            return "gone"

    async def send_slowly(self) -> str:
        """Send the body in small pieces; one in four goes before the last one."""
        await self.open("/probes/upload/", Ask("POST", body="x" * 4000))
        is_patient = self.chance.random() < 0.75
        for number in range(10):
            if number == 7 and not is_patient:
                return "gone"
            self.writer.write(self.body[number * 400 : number * 400 + 400])
            await asyncio.sleep(0.1)
        return await self.status()

    async def read_slowly(self) -> str:
        """Read a large answer in small pieces, and go before its end."""
        await self.open("/probes/large/", narrow=True)
        status = await self.status()
        for _ in range(20):
            await self.reader.read(4096)
            await asyncio.sleep(0.1)
        return status

    async def stream(self) -> str:
        """Read rows that are sent from a cursor; one in two goes halfway."""
        await self.open("/probes/large-stream/")
        status = await self.status()
        if self.chance.random() < 0.5:
            await self.reader.read(200_000)
        else:
            await self.reader.read()
        return status

    async def idle(self) -> str:
        """Hold a stream on which nothing comes."""
        await self.open("/probes/idle/?query")
        status = await self.status()
        await asyncio.sleep(1)
        return status


# How often each kind is chosen.
VISITS: dict[Callable[[Visitor], Awaitable[str]], int] = {
    Visitor.get: 10,
    Visitor.abort_early: 5,
    Visitor.abort_late: 2,
    Visitor.time_out: 2,
    Visitor.send_slowly: 3,
    Visitor.read_slowly: 2,
    Visitor.stream: 1,
    Visitor.idle: 2,
}


async def _visit_again(url: str, seed: int, until: float, seen: Counter[str]) -> None:
    chance = random.Random(seed)
    # Not all at the same moment.
    await asyncio.sleep(chance.uniform(0, 1))
    while time.monotonic() < until:
        visitor = Visitor(url, chance)
        (visit,) = chance.choices([*VISITS], [*VISITS.values()])
        try:
            async with asyncio.timeout(HUNG):
                outcome = await visit(visitor)
        except TimeoutError:
            outcome = "hung"
        except (OSError, asyncio.IncompleteReadError) as error:
            outcome = type(error).__name__
        finally:
            with suppress(AttributeError):
                visitor.close()
        seen[f"{visit.__name__}: {outcome}"] += 1
        await asyncio.sleep(chance.uniform(0, 0.5))


async def _visit(url: str, clients: int, seconds: float) -> Counter[str]:
    until = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    async with asyncio.TaskGroup() as group:
        for seed in range(clients):
            group.create_task(_visit_again(url, seed, until, seen))
    return seen


def main() -> None:
    """Visit, and print the outcomes as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve.visitors")
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    work = _visit(options.url, options.clients, options.seconds)
    try:
        import uvloop
    except ImportError:
        seen = asyncio.run(work)
    else:
        seen = uvloop.run(work)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
