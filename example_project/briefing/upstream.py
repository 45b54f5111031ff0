"""The upstream services: a small ASGI application without Django, slow on purpose.

`GET /leaked/<first five digits of a SHA-1>` answers how often which leaked password of
such a hash was seen, by the other digits.

`GET /telling/<date>` tells the day in words, one at a time, and stops when the caller
has gone.

`GET /<service>/<date>` answers in JSON after the latency of the service. A request may
name the batch that it is of (`X-Batch`); `GET /batches/<name>` says how many requests
of that batch came and the most that were there at once, which is how the site knows
that they overlapped.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import json
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from briefing.services import SERVICES, telling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BATCHES_KEPT = 1000

LEAKED_LATENCY = 0.05
"""Seconds."""

WORD_LATENCY = 0.05
"""Seconds from one word of a telling to the next."""

LEAKED = {
    hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest(): times
    for password, times in [
        # Passwords that Django's validators accept.
        ("correct horse battery staple", 3_427),
        ("correcthorsebatterystaple", 5_198),
        ("christmas-2026", 1_225),
        ("ilovemyholidays", 412),
    ]
}
"""How often each password was leaked, by its SHA-1."""


@dataclass
class Batch:
    """What was seen of one batch of requests."""

    requests: int = 0
    at_once: int = 0
    most_at_once: int = 0


class Upstream:
    """The application. It lives on one event loop, so it needs no lock."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.batches: OrderedDict[str, Batch] = OrderedDict()

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one HTTP request, or the lifespan messages of the server."""
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        match scope["path"].strip("/").split("/"):
            case ["telling", date]:
                await self.tell(dt.date.fromisoformat(date), receive, send)
                return
        headers = dict(scope["headers"])
        batch = headers.get(b"x-batch", b"").decode("latin-1")
        status, body = await self.answer(
            scope["path"], parse_qs(scope["query_string"]), batch
        )
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async def answer(
        self, path: str, query: dict[bytes, list[bytes]], batch: str
    ) -> tuple[int, Any]:
        """Status and JSON data for `path`; `?fail=1` breaks a service, late as ever."""
        match path.strip("/").split("/"):
            case ["batches", name]:
                return 200, asdict(self.batches.get(name, Batch()))
            case ["leaked", prefix]:
                await asyncio.sleep(LEAKED_LATENCY)
                return 200, {
                    digest[len(prefix) :]: times
                    for digest, times in LEAKED.items()
                    if digest.startswith(prefix)
                }
            case [service, date] if service in SERVICES:
                try:
                    day = dt.date.fromisoformat(date)
                except ValueError:
                    return 404, {"error": f"{date} is no date"}
                return await self.serve(service, day, batch, fail=b"fail" in query)
        return 404, {"error": "no such service"}

    async def tell(
        self,
        day: dt.date,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Send one word after the other until the client goes."""
        text = await asyncio.to_thread(telling, day)
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in text.split():
            body = f"{word} ".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
            # A message that the caller has gone ends the pause early.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORD_LATENCY):
                    if (await receive())["type"] == "http.disconnect":
                        return
        await send({"type": "http.response.body", "body": b""})

    async def serve(
        self, service: str, day: dt.date, batch: str, *, fail: bool
    ) -> tuple[int, Any]:
        """Take the time that the service takes, and answer."""
        _, latency, work = SERVICES[service]
        seen = self.batches.setdefault(batch, Batch())
        if len(self.batches) > BATCHES_KEPT:
            self.batches.popitem(last=False)
        seen.requests += 1
        seen.at_once += 1
        seen.most_at_once = max(seen.most_at_once, seen.at_once)
        try:
            await asyncio.sleep(latency)
            if fail:
                return 503, {"error": "out of order"}
            # The first request for a year computes for a tenth of a second.
            return 200, await asyncio.to_thread(work, day)
        finally:
            seen.at_once -= 1


app = Upstream()


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=8001, log_level="warning")
