"""Visit each view in each way, with one agent started; print what came of it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import Iterator

# Before an agent puts something of its own in its place.
from sqlite3 import connect
from typing import Any
from urllib.parse import urlencode

from tests.agents.tracers import AGENTS

# What CsrfViewMiddleware compares, as a browser sends it.
TOKEN = "t" * 32
FORM = "application/x-www-form-urlencoded"


def ask_wsgi(app, method, path, query, body):
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": FORM,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_COOKIE": f"csrftoken={TOKEN}",
        "HTTP_X_CSRFTOKEN": TOKEN,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    started = []
    response = app(environ, lambda *args: started.append(args))
    content = b"".join(response)
    if hasattr(response, "close"):
        response.close()
    ((status, headers, *_),) = started
    return int(status[:3]), dict(headers), content


async def ask_asgi(app, method, path, query, body):
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", b"testserver"),
            (b"content-type", FORM.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cookie", f"csrftoken={TOKEN}".encode()),
            (b"x-csrftoken", TOKEN.encode()),
        ],
    }
    sent, gone, told = [], asyncio.Event(), False

    async def receive():
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": body}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(one.get("body", b"") for one in sent)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, content


def ask_by_hand(cls, kwargs, method, path, query, body):
    """Call the view in sync code, as a test with RequestFactory does."""
    from django.http import Http404
    from django.test import RequestFactory

    request = RequestFactory().generic(method, f"{path}?{query}", body, FORM)
    try:
        response = cls.as_view()(request, **kwargs)
    except Http404 as error:
        return 404, {}, str(error).encode()
    if hasattr(response, "render"):
        response.render()
    return response.status_code, dict(response.items()), response.content


def handler_of(cls: type, method: str) -> str:
    """The name of the method that answers; View.setup() has get() answer HEAD."""
    name = method.lower()
    return name if hasattr(cls, name) else "get"


def ways_to(cls: Any, *, writes: bool) -> Iterator[str]:
    """
    The ways to visit a view: by a server, by a sync function view, and in sync code.

    Sync code would get a coroutine of a view with an `async def` handler. `atomic` is
    a server with ATOMIC_REQUESTS.
    """
    yield from ("wsgi", "asgi")
    if writes:
        yield "atomic"
    if not cls.as_view().is_async:
        yield "function"
        # Middleware gives the request the session.
        if not cls.__name__.startswith("Its"):
            yield "by hand"


class Database:
    """The rows that each visit finds anew."""

    TABLES = ("tests_author", "tests_book")

    def __init__(self, file: str) -> None:
        self.connection = connect(file)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.kept = connect(":memory:")
        self.connection.backup(self.kept)

    def rows(self) -> list[Any]:
        return [
            self.connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in self.TABLES
        ]

    def restore(self) -> None:
        self.kept.backup(self.connection)


def main(agent: str) -> None:
    names = AGENTS[agent]()
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.asgi import get_asgi_application
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.db import connections, transaction

    from tests.agents.urls import CLASSES, CREDENTIALS
    from tests.catalogue import make_rows

    call_command("migrate", run_syncdb=True, verbosity=0)
    with transaction.atomic():
        make_rows()
        User.objects.create_user(**CREDENTIALS)
    database = Database(os.environ["AGENTS_DATABASE"])
    wsgi, asgi = get_wsgi_application(), get_asgi_application()

    def ask(way: str, cls: type, place: int, visit: Any) -> tuple[int, Any, bytes]:
        data = urlencode(visit.data or {})
        sent = (data, b"") if visit.method == "GET" else ("", data.encode())
        path = f"/{cls.__name__}/{place}/"
        if way == "by hand":
            return ask_by_hand(cls, visit.kwargs or {}, visit.method, path, *sent)
        if way == "wsgi":
            return ask_wsgi(wsgi, visit.method, path, *sent)
        if way == "function":
            path = f"/by-function{path}"
        return asyncio.run(ask_asgi(asgi, visit.method, path, *sent))

    found = []
    for name, (cls, visits) in CLASSES.items():
        for place, one in enumerate(visits):
            writes = one.method not in {"GET", "HEAD"}
            for way in ways_to(cls, writes=writes):
                connections.settings["default"]["ATOMIC_REQUESTS"] = way == "atomic"
                before = len(names())
                status, headers, content = ask(way, cls, place, one)
                found.append(
                    {
                        "view": name,
                        "place": place,
                        "verb": one.method,
                        "handler": handler_of(cls, one.method),
                        "way": way,
                        "names": names()[before:],
                        "answer": {
                            "status": status,
                            "headers": {
                                name: headers.get(name)
                                for name in ("Location", "X-Mixin")
                            },
                            "content": content.decode(),
                            "rows": database.rows(),
                        },
                    }
                )
                if writes:
                    database.restore()
    print(json.dumps(found))
    sys.stdout.flush()
    # No agent is to send what is left, nor to wait for its threads.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
