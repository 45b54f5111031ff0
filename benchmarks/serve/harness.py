"""What the commands have in common: a machine, databases, servers, and forms."""

import argparse
import functools
import http.client
import json
import re
import resource
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from benchmarks.common import (
    RESULTS,
    database,
    order,
    prepared,
    process_environment,
)
from benchmarks.load import Ask, LoadError, Sample, generator, measure
from benchmarks.serve import elsewhere
from benchmarks.servers import Server, free_port, pinned, processors, running

__all__ = [
    "Machine",
    "add_options",
    "alternate",
    "answer_of",
    "database_on",
    "form_of",
    "inside",
    "machine",
    "raise_limit_of_files",
    "sent_form",
    "servers",
]

# What a server has to answer before it counts as started.
FIRST = {
    "starlette": "/starlette/plain/",
    "bolt": "/bolt/plain/",
    "gunicorn": "/django_sync/plain/",
    "granian-wsgi": "/django_sync/plain/",
}


@dataclass(frozen=True)
class Machine:
    """Where servers and load run, and what makes the load."""

    server_place: set[int] | None
    load_place: set[int] | None
    load: str

    def measure(
        self, url: str, *, connections: int, seconds: int, ask: Ask | None = None
    ) -> Sample:
        """Put load on a URL, from the processor of the load."""
        with pinned(self.load_place):
            return measure(
                url,
                connections=connections,
                seconds=seconds,
                kind=self.load,
                ask=ask or Ask(),
            )


def raise_limit_of_files() -> int:
    """Let this process, and those it starts, open as many files as they may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def machine(load: str = "auto") -> Machine:
    """Look at what there is."""
    server_place, load_place = processors() or (None, None)
    return Machine(server_place, load_place, generator(load))


def add_options(
    parser: argparse.ArgumentParser, *, seconds: int, rounds: int = 9
) -> None:
    """Add the options that each command has."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--seconds", type=int, default=seconds, help="of one measurement"
    )
    parser.add_argument("--load", choices=["auto", "wrk", "asyncio"], default="auto")
    parser.add_argument("--output", type=Path, default=RESULTS)


@contextmanager
def database_on(engine: str, place: set[int] | None) -> Iterator[dict[str, Any]]:
    """Yield the entry for DATABASES of a filled database, "sqlite3" or "postgresql"."""
    with ExitStack() as stack:
        # A PostgreSQL that is started for this run shares the processor of the load.
        with pinned(place):
            settings = stack.enter_context(database(postgres=engine == "postgresql"))
        prepared(process_environment(settings))
        if engine == "sqlite3":
            _let_readers_read(settings["NAME"])
        yield settings


def _let_readers_read(name: str) -> None:
    """Have SQLite write beside readers, as a site that takes forms has it."""
    import sqlite3

    connection = sqlite3.connect(name)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


@contextmanager
def _service(place: set[int] | None, seconds: float) -> Iterator[str]:
    """Run the service that answers after some time; yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", elsewhere.__name__, "--port", str(port)]
    with pinned(place):
        process = subprocess.Popen([*command, "--seconds", str(seconds)])
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def servers(
    where: Machine,
    names: Sequence[str],
    settings: dict[str, Any],
    *,
    age: int,
    threads: int,
    entry_points: Mapping[str, Mapping[str, Any]] | None = None,
    service_seconds: float = elsewhere.SECONDS,
    **more: str,
) -> Iterator[dict[str, Server]]:
    """
    Run the servers of these names on one processor.

    `entry_points`: for each name, arguments for the entry point of this package, in
    addition to the number of workers. `service_seconds`: how long the service takes
    that some pages call. `more`: variables of the servers' environment.
    """
    with _service(where.load_place, service_seconds) as url:

        def own(name: str) -> dict[str, str]:
            arguments = {"workers": threads, **(entry_points or {}).get(name, {})}
            return {
                "BENCHMARK_ENTRY_POINT": json.dumps(arguments),
                # By which PostgreSQL tells the connections of servers apart.
                "PGAPPNAME": name,
            } | kinds.get(name.partition(" ")[0], {})

        environment = process_environment(
            settings,
            BENCHMARK_CONN_MAX_AGE=str(age),
            BENCHMARK_THREADS=str(threads),
            BENCHMARK_UPSTREAM=url,
            **more,
        )
        # Django's documentation says so: each request has a thread of its own there, so
        # lasting connections pile up until the database refuses more of them.
        stock = {"BENCHMARK_CONN_MAX_AGE": "0"}
        bolt = {
            "BENCHMARK_BOLT": "1",
            "DJANGO_BOLT_EXECUTOR_THREADS": str(threads),
            "DJANGO_BOLT_ORM_THREADS": str(threads),
        }
        kinds = {"uvicorn": stock, "granian": stock, "bolt": bolt}
        with running(
            {name: environment | own(name) for name in dict.fromkeys(names)},
            path={name: FIRST.get(name, "/ours/plain/") for name in names},
            threads=threads,
            processor=where.server_place,
        ) as found:
            yield found


_T = TypeVar("_T")


def alternate(
    keys: Sequence[str],
    rounds: int,
    one: Callable[[str], _T],
    tell: Callable[[_T], str],
    title: str,
) -> dict[str, list[_T]]:
    """Take one sample of each after the other, round by round; print each round."""
    found: dict[str, list[_T]] = {key: [] for key in keys}
    for number in range(rounds):
        for key in order([*keys], number):
            found[key].append(one(key))
        line = "  ".join(f"{key} {tell(samples[-1])}" for key, samples in found.items())
        print(f"{title}, {number + 1}: {line}", flush=True)
    return found


@functools.cache
def form_of(url: str) -> Ask:
    """Get the page with the form; return the request that sends it, with its token."""
    with urllib.request.urlopen(url, timeout=10) as response:
        page = response.read().decode()
        cookies = response.headers.get_all("Set-Cookie") or []
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    if token is None or not cookies:
        raise LoadError(f"{url} has no form with a CSRF token")
    return sent_form(cookies[0].partition(";")[0], token[1])


def sent_form(cookie: str, token: str) -> Ask:
    """Return the request that sends the form, with its CSRF cookie and token."""
    fields = {
        "csrfmiddlewaretoken": token,
        "book": "321",
        "name": "A reader",
        "text": "It has a beginning and an end. " * 5,
    }
    headers = {
        "Cookie": cookie,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return Ask("POST", headers, urlencode(fields))


def answer_of(url: str, ask: Ask | None = None) -> tuple[int, bytes]:
    """Send one request; return status and body, without following a redirect."""
    ask = ask or Ask()
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    try:
        target = f"{place.path}?{place.query}" if place.query else place.path
        connection.request(ask.method, target, ask.body or None, dict(ask.headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def inside(server: Server) -> dict[str, Any]:
    """Count what a server may leak, by the page that tells it."""
    status, body = answer_of(server.url + "/probes/inside/")
    if status != 200:
        raise LoadError(f"/probes/inside/ answered {status}")
    found: dict[str, Any] = json.loads(body)
    return found
