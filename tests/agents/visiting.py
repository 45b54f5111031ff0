"""Visit each view by WSGI and by ASGI, with one agent started; print what came."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys

from tests.agents.tracers import AGENTS


def ask_wsgi(app, method, path, body):
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    started = []
    response = app(environ, lambda status, headers, *_: started.append(status))
    content = b"".join(response)
    if hasattr(response, "close"):
        response.close()
    return started[0][:3], content


async def ask_asgi(app, method, path, body):
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", b"testserver"),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", str(len(body)).encode()),
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
    return str(sent[0]["status"]), content


def handler_of(cls: type, method: str) -> str:
    """The name of the method that answers; View.setup() has get() answer HEAD."""
    name = method.lower()
    return name if hasattr(cls, name) else "get"


def main(agent: str) -> None:
    names = AGENTS[agent]()
    import django

    django.setup()
    from django.core.asgi import get_asgi_application
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.db import transaction

    from tests.catalogue import make_rows

    call_command("migrate", run_syncdb=True, verbosity=0)
    with transaction.atomic():
        make_rows()
    from tests.agents.urls import CLASSES

    wsgi, asgi = get_wsgi_application(), get_asgi_application()
    found = []
    for name, (cls, visits) in CLASSES.items():
        for place, one in enumerate(visits):
            # Those that would change the rows change what comes after.
            if one.method not in {"GET", "HEAD"}:
                continue
            for server in ("wsgi", "asgi"):
                before = len(names())
                path = f"/{name}/{place}/"
                if server == "wsgi":
                    status, content = ask_wsgi(wsgi, one.method, path, b"")
                else:
                    answer = ask_asgi(asgi, one.method, path, b"")
                    status, content = asyncio.run(answer)
                found.append(
                    {
                        "view": name,
                        "place": place,
                        "verb": one.method,
                        "handler": handler_of(cls, one.method),
                        "server": server,
                        "answer": [status, content.decode()],
                        "names": names()[before:],
                    }
                )
    print(json.dumps(found))
    sys.stdout.flush()
    # No agent is to send what is left, nor to wait for its threads.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
