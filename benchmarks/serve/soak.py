"""Let 1,000 clients come, go too early and be slow, and see that nothing is left.

    python -m benchmarks soak [--seconds 60] [--clients 1000]

On PostgreSQL. Only what a server may leak is measured: connections, transactions,
threads, tasks, memory. A second part has clients that ask for a large answer and read
none of it, more than there are workers: other pages have to be answered meanwhile.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, facts
from benchmarks.load import GET, LoadError
from benchmarks.serve import report
from benchmarks.serve.harness import (
    Machine,
    answer_of,
    database_on,
    inside,
    machine,
    raise_limit_of_files,
    servers,
)
from benchmarks.serve.watch import Watch
from benchmarks.servers import Server, pinned

NAMES = {"uvicorn": "uvicorn-ours", "granian": "granian-ours"}
# Seconds for the server to end what is under way.
SETTLING = 30
# How much more memory than after the warm-up counts as a leak.
GROWTH = 1.1


def main(arguments: list[str]) -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks soak", description=__doc__
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=15, help="seconds before")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--queue", type=int, default=100)
    parser.add_argument("--queue-timeout", type=float, default=2)
    parser.add_argument("--server", choices=NAMES, default="uvicorn")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    raise_limit_of_files()
    where = machine()
    name = NAMES[options.server]
    entry_point = {
        "workers": options.workers,
        "queue": options.queue,
        "queue_timeout": options.queue_timeout,
    }
    with (
        database_on("postgresql", where.load_place) as settings,
        servers(
            where,
            [name],
            settings,
            age=60,
            threads=options.workers,
            entry_points={name: entry_point},
        ) as found,
        Watch(settings) as watch,
    ):
        server = found[name]
        _visit(options, where, server, options.warm_up)
        start = _settled(server)
        seen = _visit(options, where, server, options.seconds)
        end = _settled(server)
        readers = _slow_readers(options, server)
        connections, transactions = watch.look()
        results = {
            "environment": facts("postgresql"),
            "options": {**vars(options), "output": None},
            "start": start,
            "end": end,
            "visits": seen,
            "slow_readers": readers,
            "most_connections": watch.most[name],
            "connections": connections[name],
            "idle_transactions": transactions,
            "longest_idle_transaction": watch.longest_idle,
        }
    lines, status = _table(options, results)
    report.keep(options.output, "soak", results, lines)
    print("\n".join(lines), flush=True)
    return status


def _visit(
    options: argparse.Namespace, where: Machine, server: Server, seconds: int
) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.serve.visitors", server.url]
    command += ["--clients", str(options.clients), "--seconds", str(seconds)]
    with pinned(where.load_place):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, timeout=seconds + 180, check=True
        )
    found: dict[str, int] = json.loads(done.stdout)
    return found


def _settled(server: Server) -> dict[str, Any]:
    """Wait until nothing goes on any more; return what is left."""
    deadline = time.monotonic() + SETTLING
    found = before = inside(server)
    still = 0
    while still < 3 and time.monotonic() < deadline:
        time.sleep(1)
        found = inside(server)
        is_quiet = not (found["pool"]["leased"] or found["pool"]["waiting"])
        still = still + 1 if is_quiet and found["tasks"] == before["tasks"] else 0
        before = found
    return found


def _slow_readers(options: argparse.Namespace, server: Server) -> dict[str, Any]:
    """Ask for large answers without reading them, and for other pages meanwhile."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        for _ in range(options.workers * 3):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(30)
            reader.connect((host, int(port)))
            reader.sendall(GET.raw(server.url + "/probes/large/"))
            if not reader.recv(12).endswith(b"200"):
                raise LoadError("/probes/large/ was refused")
        leased = _settled(server)["pool"]["leased"]
        begin = time.monotonic()
        statuses = [
            answer_of(server.url + "/ours/books/321/")[0]
            for _ in range(options.workers * 3)
        ]
        seconds = time.monotonic() - begin
    return {
        "readers": options.workers * 3,
        "leased": leased,
        "statuses": dict(Counter(map(str, statuses))),
        "seconds": seconds,
    }


def _table(
    options: argparse.Namespace, results: dict[str, Any]
) -> tuple[list[str], int]:
    start, end, readers = results["start"], results["end"], results["slow_readers"]
    # Of the server: what a client did is no answer.
    wrong = {
        visit: count
        for visit, count in results["visits"].items()
        if visit.partition(": ")[2] not in {"200", "503", "gone"}
    }
    visits = sum(results["visits"].values())
    refused = end["pool"]["refused"] - start["pool"]["refused"]
    checks = [
        (
            "connections at once",
            f"{results['most_connections']}",
            f"{options.workers}",
            results["most_connections"] <= options.workers,
        ),
        (
            "transactions left open",
            str(results["idle_transactions"]),
            "0",
            not results["idle_transactions"],
        ),
        *(
            (
                f"{name}, before and after",
                f"{start[name]}, {end[name]}",
                "no more",
                end[name] <= start[name],
            )
            for name in ("threads", "tasks")
        ),
        (
            "memory before and after, MB",
            f"{start['kilobytes'] / 1000:.0f}, {end['kilobytes'] / 1000:.0f}",
            f"{GROWTH} times",
            end["kilobytes"] <= start["kilobytes"] * GROWTH,
        ),
        (
            "workers leased, requests waiting after",
            f"{end['pool']['leased']}, {end['pool']['waiting']}",
            "0, 0",
            not end["pool"]["leased"] and not end["pool"]["waiting"],
        ),
        (
            "answers but 200 and the promised 503",
            ", ".join(f"{key} {count}" for key, count in wrong.items()) or "0",
            "0",
            not wrong,
        ),
        (
            f"workers leased with {readers['readers']} clients that do not read",
            str(readers["leased"]),
            "0",
            not readers["leased"],
        ),
        (
            "other pages meanwhile",
            ", ".join(f"{key}: {count}" for key, count in readers["statuses"].items())
            + f" in {readers['seconds']:.2f} s",
            "all 200",
            set(readers["statuses"]) == {"200"},
        ),
    ]
    lines = [
        *report.heading(
            "Soak",
            f"{options.clients:,} clients for {options.seconds} s, {visits:,} visits, "
            f"{options.server}, {options.workers} workers, queue {options.queue}, "
            f"{options.queue_timeout} s; {refused:,} requests were refused for want of "
            "a worker. *Before* is after a warm-up of the same kind. The oldest "
            "transaction that was seen while nobody worked in it was "
            f"{results['longest_idle_transaction']:.2f} s old.",
            results["environment"],
        ),
        *report.rows(
            ("", "seen", "expected", ""),
            (
                (title, seen, expected, "yes" if kept else "**no**")
                for title, seen, expected, kept in checks
            ),
        ),
        "",
        "## Visits",
        "",
        *report.rows(
            ("", "times"),
            ((key, f"{count:,}") for key, count in sorted(results["visits"].items())),
        ),
    ]
    return lines, int(not all(kept for *_, kept in checks))
