"""Serve requests as a server does: no client of Django's, a task for each request."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from unittest import mock

from django.test import override_settings
from django.urls import path as route

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.serve.pool import Pool
from tests.concurrency import ServedTestCase, database_in_a_file

__all__ = ["PATIENCE", "Client", "PoolTestCase", "Request", "happened", "serving"]

PATIENCE = 20  # seconds, until something is said to hang

_numbers = itertools.count()


async def happened(event):
    """Wait for an event that another thread sets."""
    if not await asyncio.to_thread(event.wait, PATIENCE):
        raise AssertionError("It has not happened.")


@dataclass
class Request:
    """One that is served, and what has been sent for it."""

    task: asyncio.Task
    gone: asyncio.Event
    sent: list = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    # Those who are not to go on reading before it is set.
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message):
        self.sent.append(message)
        self.news.set()
        await self.reads.wait()

    async def begun(self):
        """Wait for the start of the response."""
        async with asyncio.timeout(PATIENCE):
            while not self.sent:
                await self.news.wait()

    async def answer(self):
        async with asyncio.timeout(PATIENCE):
            await self.task
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {
            name.decode().lower(): value.decode()
            for name, value in self.sent[0]["headers"]
        }

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def text(self):
        return self.body.decode()


class Client:
    """A client of an ASGI application, or all of its clients."""

    # Of each request's task: empty, as with a server.
    context = contextvars.Context

    def __init__(self, app):
        self.app = app
        self.changed = asyncio.Event()

    def begin(
        self,
        path,
        method="GET",
        body=b"",
        headers=(),
        *,
        reads=True,
        parts=None,
        root="",
        host="testserver",
    ):
        """Have a request served in a task of its own."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": root + path,
            "raw_path": (root + path).encode(),
            "query_string": query.encode(),
            "root_path": root,
            "headers": [(b"host", host.encode()), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }
        if body:
            scope["headers"].append((b"content-length", str(len(body)).encode()))
        parts = [body] if parts is None else parts
        messages = [
            {"type": "http.request", "body": part, "more_body": part is not parts[-1]}
            for part in parts
        ]
        gone = asyncio.Event()

        async def receive():
            if messages:
                return messages.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def serve():
            await self.app(scope, receive, request.send)

        loop = asyncio.get_running_loop()
        task = loop.create_task(serve(), context=self.context())
        request = Request(task, gone)
        if reads:
            request.reads.set()
        return request

    async def get(self, path, method="GET", **options):
        return await self.begin(path, method, **options).answer()

    async def texts(self, *paths):
        requests = [self.begin(path) for path in paths]
        return [(await request.answer()).text for request in requests]

    @property
    def statistics(self):
        return self.app.statistics()

    async def until(self, **numbers):
        """Wait until these statistics have these values."""
        async with asyncio.timeout(PATIENCE):
            while any(getattr(self.statistics, k) != v for k, v in numbers.items()):
                await self.changed.wait()
                self.changed.clear()

    async def idle(self):
        """Wait until no request has a worker."""
        await self.until(leased=0)

    async def lifespan(self, *kinds):
        """Send events of a server's life; return what comes back."""
        kinds = [{"type": f"lifespan.{kind}"} for kind in kinds]
        sent = []

        async def receive():
            return kinds.pop(0)

        async def send(message):
            sent.append(message["type"])

        await self.app({"type": "lifespan"}, receive, send)
        return sent


@asynccontextmanager
async def serving(*views, middleware=(), urls=(), **options):
    """
    Serve views at "/their_name/", or urlpatterns; give a client.

    `middleware`: paths, or the functions and classes themselves.
    """
    patterns = [*urls, *(route(f"{view.__name__}/", view) for view in views)]
    urlconf = type("Urls", (), {"urlpatterns": patterns})
    module = sys.modules[__name__]
    paths = []
    for one in middleware:
        if isinstance(one, str):
            paths.append(one)
        else:
            name = f"middleware_{next(_numbers)}"
            setattr(module, name, one)
            paths.append(f"{__name__}.{name}")
    with override_settings(ROOT_URLCONF=urlconf, MIDDLEWARE=paths):
        # Off the loop: some middleware reads files when it is made.
        app = await asyncio.to_thread(get_asgi_application, **options)
        client = Client(app)

        def noticed(method):
            @functools.wraps(method)
            def call(pool, *args, **options):
                try:
                    return method(pool, *args, **options)
                finally:
                    pool.loop.call_soon_threadsafe(client.changed.set)

            return mock.patch.object(Pool, method.__name__, call)

        with noticed(Pool.put), noticed(Pool.part):
            try:
                yield client
            finally:
                await client.lifespan("shutdown")


class PoolTestCase(ServedTestCase):
    """Serves requests on two databases, in files."""

    databases = {"default", "other"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(database_in_a_file("other"))
