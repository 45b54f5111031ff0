"""A request through Django's ASGIHandler, with its own middleware or with ours."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

from django.core.handlers import base
from django.core.handlers.asgi import ASGIHandler
from django.utils.module_loading import import_string

from django_async_cbv.serve.middleware import swapped


class InlineHandler(ASGIHandler):
    """Django's handler, with the variants of its middleware."""

    def load_middleware(self, is_async=False):
        with mock.patch.object(base, "import_string", import_swapped):
            super().load_middleware(is_async)


def import_swapped(path):
    return swapped(import_string(path))


@dataclass(frozen=True)
class Request:
    path: str = "/"
    method: str = "GET"
    headers: dict[str, str] | None = None
    body: bytes = b""

    def scope(self):
        path, _, query = self.path.partition("?")
        headers = {"host": "testserver", **(self.headers or {})}
        return {
            "type": "http",
            "method": self.method,
            "path": path,
            "query_string": query.encode(),
            "scheme": "http",
            "headers": [
                (name.encode(), value.encode()) for name, value in headers.items()
            ],
        }


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def visit(handler: ASGIHandler, request: Request) -> Answer:
    """Send the request to the handler, as a server does, and wait for the answer."""
    requests = iter([{"type": "http.request", "body": request.body}])
    sent = []

    async def receive():
        for message in requests:
            return message
        return await asyncio.Future()  # the client stays

    async def send(message):
        sent.append(message)

    with warnings.catch_warnings():
        # Of a stream that is a sync iterator, which is consumed at once.
        warnings.filterwarnings("ignore", "StreamingHttpResponse must consume")
        await handler(request.scope(), receive, send)
    start, *parts = sent
    body = b"".join(part.get("body", b"") for part in parts)
    return Answer(start["status"], start["headers"], body)


@contextmanager
def the_same_each_time():
    """Stop the clock, and draw the same random numbers: what tokens are made of."""
    drawn = random.Random(0)
    with ExitStack() as stack:
        for module, name, function in (
            (secrets, "choice", drawn.choice),
            (secrets, "randbelow", drawn.randrange),
            (secrets, "token_bytes", lambda size=32: drawn.randbytes(size)),
            (time, "time", lambda: 1_800_000_000.0),
        ):
            stack.enter_context(mock.patch.object(module, name, function))
        yield
