"""Measure one server with thousands of clients of server-sent events.

    python -m benchmarks streams [--clients 5000] [--messages 20] [--every 5]

Uvicorn serves a `ChannelView` on one processor. On another one a process has all the
clients, and a third process publishes. It prints how long a message takes from
`publish()` to the clients, what a client costs the server in memory, tasks, and
threads, and how many deliveries the server makes in a second. The exit status is 1 if a
client does not get each message once and in order, or if a limit is passed.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.channels import KINDS, broker, publisher
from benchmarks.common import RESULTS, facts
from benchmarks.load import GET, LoadError
from benchmarks.serve import report
from benchmarks.serve.harness import inside, raise_limit_of_files
from benchmarks.servers import Server, pinned, processors, running

__all__ = ["main"]

PATH = "/news/"
SERVERS = ("uvicorn", "uvicorn-ours")
# Limits: seconds from publish to receipt, and what a client may cost the server.
LONGEST, TASKS, KILOBYTES = 3.0, 3.0, 40.0
# Seconds until all of a series has arrived, and until the server has forgotten clients.
PATIENCE, CLOSING = 600, 60
# Connections that are opened at once.
AT_ONCE = 100
# Of what the server can deliver in a second, how much the last series asks for.
SHARE = 0.8

EVENT = re.compile(rb"id: (\S+)\ndata: ([\d.e+]+)\n\n")


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks streams", description=__doc__
    )
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--every", type=float, default=5, help="seconds")
    parser.add_argument("--burst", type=int, default=20, help="without a pause")
    parser.add_argument(
        "--steady", type=float, default=20, help="seconds near the full rate"
    )
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--server", choices=SERVERS, default=SERVERS[0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    most = raise_limit_of_files()
    if most < options.clients + 500:
        parser.error(f"a process may open {most} files here: ulimit -n, or --clients")
    cells = [_cell(options, kind) for kind in options.only]
    results = {
        "environment": facts(" ".join(options.only)),
        "options": {
            name: getattr(options, name)
            for name in ("clients", "messages", "every", "burst", "steady", "server")
        },
        "cells": cells,
    }
    lines, status = _table(results)
    report.keep(options.output, "streams", results, lines)
    print("\n".join(lines), flush=True)
    return status


def _cell(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    server_place, load_place = processors() or (None, None)
    with (
        pinned(load_place),
        broker(kind) as environment,
        running(
            {options.server: environment},
            path="/probes/inside/",
            threads=4,
            processor=server_place,
        ) as found,
    ):
        server = found[options.server]
        return _measured(options, kind, server, environment)


def _measured(
    options: argparse.Namespace,
    kind: str,
    server: Server,
    environment: dict[str, str],
) -> dict[str, Any]:
    def series(clients: _Clients, number: int, every: float) -> dict[str, Any]:
        before = server.processor_seconds()
        found = clients.receive(publisher(number, every), environment, number)
        processor = server.processor_seconds() - before
        found["microseconds"] = processor / (number * clients.count) * 1e6
        return found

    # Each module has been imported, and each thread used.
    with _clients(server.url + PATH, 10) as some:
        series(some, 2, 0)
    start = _rested(server, None)
    begin = time.monotonic()
    with _clients(server.url + PATH, options.clients) as clients:
        opening = time.monotonic() - begin
        series(clients, 1, 0)
        full = _rested(server, None)
        calm = series(clients, options.messages, options.every)
        print(f"{kind}, calm: {_short(calm)}", flush=True)
        burst = series(clients, options.burst, 0)
        rate = options.burst * options.clients / burst["seconds"]
        print(f"{kind}, burst: {_short(burst)}, {rate:,.0f}/s", flush=True)
        every = options.clients / (rate * SHARE)
        steady = series(clients, max(2, round(options.steady / every)), every)
        print(f"{kind}, steady: {_short(steady)}", flush=True)
    end = _rested(server, start)
    return {
        "kind": kind,
        "opening_seconds": opening,
        "kilobytes": (full["kilobytes"] - start["kilobytes"]) / options.clients,
        "tasks": (full["tasks"] - start["tasks"]) / options.clients,
        "threads": full["threads"] - start["threads"],
        "tasks_left": end["tasks"] - start["tasks"],
        "threads_left": end["threads"] - start["threads"],
        "calm": calm,
        "burst": burst,
        "steady": steady,
        "rate": rate,
    }


def _short(found: dict[str, Any]) -> str:
    return " ".join(f"{name}={value:.3f}" for name, value in found.items())


def _rested(server: Server, start: dict[str, Any] | None) -> dict[str, Any]:
    """Look into a server, when threads and tasks that end have had the time to."""
    deadline = time.monotonic() + (3 if start is None else CLOSING)
    while True:
        found = inside(server)
        if time.monotonic() > deadline or (
            start is not None
            and found["tasks"] <= start["tasks"]
            and found["threads"] <= start["threads"]
        ):
            return found
        time.sleep(0.5)


class _Clients:
    """The process of all clients, as the command sees it."""

    def __init__(self, process: "subprocess.Popen[str]", count: int) -> None:
        self._process = process
        self.count = count

    def receive(
        self, command: list[str], environment: dict[str, str], number: int
    ) -> dict[str, Any]:
        """Publish, and return the delays when each client has each message once."""
        self._ask(f"{number}\n", "ready\n")
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, text=True
        ) as other:
            assert other.stdin is not None
            other.stdin.write("go\n")
            other.stdin.flush()
            if other.wait(PATIENCE):
                raise LoadError("The process that publishes failed.")
        answer = self._ask("", None)
        found: dict[str, Any] = json.loads(answer)
        return found

    def _ask(self, line: str, expected: str | None) -> str:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer or (expected is not None and answer != expected):
            raise LoadError(f"The clients said {answer!r}.")
        return answer


@contextmanager
def _clients(url: str, count: int) -> Iterator[_Clients]:
    command = [sys.executable, "-m", "benchmarks.streams", url, str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "open\n":
                raise LoadError(f"{url}: not all of {count} streams opened")
            yield _Clients(process, count)
        finally:
            process.kill()


def _table(results: dict[str, Any]) -> tuple[list[str], int]:
    """Return the results as a table, and 1 where a limit is passed."""
    options = results["options"]
    lines = report.heading(
        "Server-sent events to many clients",
        f"One process of {options['server']} with {options['clients']:,} clients of a "
        "`ChannelView`, on one processor. Clients, publisher, and Redis or PostgreSQL "
        "have another one. Each client got each message once and in order.",
        results["environment"],
    )
    cells = results["cells"]
    body = [
        (
            f"{options['messages']} messages, one every {options['every']:g} s: "
            "from `publish()` to receipt, median, s",
            *(f"{cell['calm']['median']:.2f}" for cell in cells),
        ),
        (
            f"the same, 99th percentile, s (at most {LONGEST:g})",
            *(f"{cell['calm']['p99']:.2f}" for cell in cells),
        ),
        (
            f"deliveries a second, {options['burst']} messages without a pause",
            *(f"{cell['rate']:,.0f}" for cell in cells),
        ),
        (
            "processor time of a delivery, µs",
            *(f"{cell['burst']['microseconds']:.0f}" for cell in cells),
        ),
        (
            f"at {SHARE:.0%} of that for {options['steady']:g} s: 99th percentile, s",
            *(f"{cell['steady']['p99']:.2f}" for cell in cells),
        ),
        (
            "the same, of the last quarter, median, s",
            *(f"{cell['steady']['last_quarter']:.2f}" for cell in cells),
        ),
        (
            f"memory of a client, kB (at most {KILOBYTES:g})",
            *(f"{cell['kilobytes']:.1f}" for cell in cells),
        ),
        (
            f"tasks of a client (at most {TASKS:g})",
            *(f"{cell['tasks']:.2f}" for cell in cells),
        ),
        (
            "threads more than without clients (none a client)",
            *(str(cell["threads"]) for cell in cells),
        ),
        (
            "tasks and threads left when the clients have gone (0, 0)",
            *(f"{cell['tasks_left']}, {cell['threads_left']}" for cell in cells),
        ),
        (
            "opening all clients, s",
            *(f"{cell['opening_seconds']:.0f}" for cell in cells),
        ),
    ]
    lines += report.rows(("", *(cell["kind"] for cell in cells)), body)
    kept = all(
        cell["calm"]["p99"] <= LONGEST
        and cell["kilobytes"] <= KILOBYTES
        # The reader of the channel is a task too, for all clients.
        and cell["tasks"] <= TASKS + 2 / options["clients"]
        and cell["threads"] <= options["clients"] / 100
        and cell["tasks_left"] <= 0
        and cell["threads_left"] <= 0
        for cell in cells
    )
    lines += ["", f"All limits are kept: {'yes' if kept else '**no**'}."]
    return lines, int(not kept)


# The process of the clients.


class _Client(asyncio.Protocol):
    """One connection, and the messages that it got."""

    def __init__(self, crowd: "_Crowd") -> None:
        self._crowd = crowd
        self._rest = b""
        self.is_open = asyncio.get_running_loop().create_future()
        self.ids: list[bytes] = []

    # Not BaseTransport: it can't write. uvloop's is no subclass of asyncio's.
    def connection_made(self, transport: Any) -> None:
        transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self.is_open.done():
            if b"retry: " not in data:
                self._rest = data
                return
            if not data.startswith(b"HTTP/1.1 200"):
                self.is_open.set_exception(LoadError(f"answered {data!r}"))
                return
            self.is_open.set_result(None)
        end = 0
        for found in EVENT.finditer(data):
            self.ids.append(found[1])
            self._crowd.received(float(found[2]))
            end = found.end()
        self._rest = data[end:][-1000:]

    def connection_lost(self, error: Exception | None) -> None:
        failure = LoadError(f"lost a stream: {error}")
        if self.is_open.done():
            self._crowd.fail(failure)
        else:
            self.is_open.set_exception(failure)


class _Crowd:
    """All clients."""

    def __init__(self, url: str, count: int) -> None:
        self.request = GET.raw(url)
        self._place = urlsplit(url)
        self._count = count
        self._clients: list[_Client] = []
        self._missing = 0
        self._delays: list[float] = []
        self._all_received = asyncio.get_running_loop().create_future()
        self._first = 0.0
        self._last = 0.0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        turns = asyncio.Semaphore(AT_ONCE)

        async def open_one() -> None:
            async with turns:
                _, client = await loop.create_connection(
                    lambda: _Client(self), self._place.hostname, self._place.port
                )
                self._clients.append(client)
                await client.is_open

        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(open_one())

    def begin(self, number: int) -> None:
        """Forget what was, and wait for that many messages."""
        self._missing = number * self._count
        self._delays = []
        self._first = 0.0
        self._all_received = asyncio.get_running_loop().create_future()
        for client in self._clients:
            client.ids = []

    def received(self, published: float) -> None:
        self._last = time.time()
        self._first = self._first or published
        self._delays.append(self._last - published)
        self._missing -= 1
        if not self._missing:
            self._all_received.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self._all_received.done():
            self._all_received.set_exception(error)

    async def end(self, number: int) -> dict[str, float]:
        """Return the figures when each client has each message."""
        async with asyncio.timeout(PATIENCE):
            await self._all_received
        first = self._clients[0].ids
        if len({*first}) != number or any(one.ids != first for one in self._clients):
            raise LoadError("A client did not get each message once, in its order.")
        delays = statistics.quantiles(self._delays, n=100)
        quarter = self._delays[-len(self._delays) // 4 :]
        return {
            "median": delays[49],
            "p99": delays[98],
            "longest": max(self._delays),
            "last_quarter": statistics.median(quarter),
            "seconds": self._last - self._first,
        }


async def _read(url: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    crowd = _Crowd(url, count)
    await crowd.open()
    print("open", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        number = int(line)
        crowd.begin(number)
        print("ready", flush=True)
        print(json.dumps(await crowd.end(number)), flush=True)


if __name__ == "__main__":
    work = _read(sys.argv[1], int(sys.argv[2]))
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)
