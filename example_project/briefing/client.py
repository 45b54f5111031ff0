"""Asks the upstream services.

About a day, all at once or in turn, or to be told it; and about a password.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from django.conf import settings

from briefing.services import SERVICES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator

# Reading the certificates takes longest when a client is made, so all clients share
# them.
TLS = ssl.create_default_context()

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What one service said, and when, in milliseconds since the briefing began."""

    service: str
    title: str
    data: Any
    error: str
    began: int
    took: int


@dataclass(frozen=True)
class Report:
    """All answers, with the time that they took together."""

    answers: list[Answer]
    total: int
    """Milliseconds from the first question to the last answer."""
    at_once: int
    """The most requests that the upstream app saw at the same time."""

    @property
    def sum(self) -> int:
        """The milliseconds of all answers in sum, which is the time to wait in turn."""
        return sum(answer.took for answer in self.answers)

    @property
    def by_service(self) -> dict[str, Answer]:
        """The answers by the name of the service."""
        return {answer.service: answer for answer in self.answers}


async def ask(
    client: httpx.AsyncClient, service: str, day: dt.date, start: float, *, fail: bool
) -> Answer:
    """Return what `service` says about `day`.

    A service that fails or is late costs its own answer only.

    `start` is the `time.perf_counter()` at which the briefing began.
    """
    began = time.perf_counter()
    data, error = None, ""
    try:
        response = await client.get(
            f"/{service}/{day}", params={"fail": "1"} if fail else None
        )
        data = response.raise_for_status().json()
    except httpx.HTTPStatusError as exc:
        error = f"answered {exc.response.status_code}"
    except httpx.TimeoutException:
        error = f"did not answer within {settings.UPSTREAM_TIMEOUT:g} s"
    except httpx.TransportError:
        error = "could not be reached"
    ended = time.perf_counter()
    return Answer(
        service=service,
        title=SERVICES[service][0],
        data=data,
        error=error,
        began=round((began - start) * 1000),
        took=round((ended - began) * 1000),
    )


def upstream(headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client of the upstream services."""
    return httpx.AsyncClient(
        base_url=settings.UPSTREAM_URL,
        headers=headers,
        timeout=settings.UPSTREAM_TIMEOUT,
        verify=TLS,
        trust_env=False,  # it is on this machine: no proxy
    )


async def _most_at_once(client: httpx.AsyncClient, batch: str) -> int:
    """How many requests of `batch` the services had at the same time. 0 if unknown."""
    try:
        response = await client.get(f"/batches/{batch}")
        return int(response.raise_for_status().json()["most_at_once"])
    except httpx.HTTPError:
        return 0


async def briefing(
    day: dt.date, *, in_turn: bool = False, broken: str | None = None
) -> Report:
    """Ask all services about `day`, at once unless `in_turn`.

    `broken` names a service that shall fail. Awaits HTTP only, holds no thread.
    """
    batch = secrets.token_hex(8)
    async with upstream(headers={"X-Batch": batch}) as client:
        start = time.perf_counter()
        questions = [
            ask(client, service, day, start, fail=service == broken)
            for service in SERVICES
        ]
        if in_turn:
            answers = [await question for question in questions]
        else:
            answers = list(await asyncio.gather(*questions))
        total = round((time.perf_counter() - start) * 1000)
        return Report(answers, total, await _most_at_once(client, batch))


async def tell(day: dt.date) -> AsyncIterator[str]:
    """`day` in words, as they come. To cancel this ends the call upstream.

    Raises httpx.HTTPError where the service fails.
    """
    async with upstream() as client, client.stream("GET", f"/telling/{day}") as answer:
        async for words in answer.raise_for_status().aiter_text():
            yield words


async def times_leaked(password: str) -> int:
    """How often `password` was leaked. 0 if the service does not answer.

    It is told the first five digits of a hash, and answers with all that begin so: of
    the password it learns nothing.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest()
    try:
        async with upstream() as client:
            response = await client.get(f"/leaked/{digest[:5]}")
            return int(response.raise_for_status().json().get(digest[5:], 0))
    except httpx.HTTPError:
        logger.warning("The service of leaked passwords does not answer.")
        return 0
