"""Measure what 10,000 idle streams cost one process, and the other pages meanwhile.

    python -m benchmarks idle [--streams 10000] [--only ours stock] [--rounds 5]

Each stream sends one part and then nothing. Half of the runs query the database before
the stream. Django's entry point keeps a thread for each stream, so it is given fewer.
"""

import argparse
import statistics
import time
from typing import Any

from benchmarks.common import facts
from benchmarks.load import LoadError
from benchmarks.serve import report
from benchmarks.serve.harness import (
    Machine,
    add_options,
    database_on,
    inside,
    machine,
    raise_limit_of_files,
    servers,
)
from benchmarks.serve.streams import held
from benchmarks.servers import Server, pinned

SERVERS = {"ours": "uvicorn-ours", "stock": "uvicorn"}
KINDS = {"idle": "/probes/idle/", "after a query": "/probes/idle/?query"}
PAGES = {
    "plain": "/ours/plain/",
    "list": "/ours/books/?page=7",
    "detail": "/ours/books/321/",
}
# For ours: kilobytes of a stream, and how many times longer other pages may take.
KILOBYTES, LONGER = 25.0, 1.3
# Seconds that a server has to open them all, and to forget them.
OPENING, CLOSING = 300, 60


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks idle", description=__doc__
    )
    add_options(parser, seconds=3, rounds=5)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--stock-streams", type=int, default=1_000)
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--connections", type=int, default=4, help="for other pages")
    options = parser.parse_args(arguments)
    most = raise_limit_of_files()
    if most < options.streams + 500:
        parser.error(f"a process may open {most} files here: ulimit -n, or --streams")
    where = machine(options.load)
    cells: list[dict[str, Any]] = []
    with database_on("postgresql", where.load_place) as settings:
        for key in options.only:
            for kind in KINDS:
                # A server of its own for each: memory is counted once, from the start.
                with servers(
                    where, [SERVERS[key]], settings, age=60, threads=4
                ) as found:
                    server = found[SERVERS[key]]
                    cells.append(_cell(options, where, server, key, kind))
    results = {"environment": facts("postgresql"), "cells": cells}
    lines, status = _table(options, results)
    report.keep(options.output, "idle", results, lines)
    print("\n".join(lines), flush=True)
    return status


def _cell(
    options: argparse.Namespace, where: Machine, server: Server, key: str, kind: str
) -> dict[str, Any]:
    count = options.streams if key == "ours" else options.stock_streams
    without: dict[str, list[float]] = {page: [] for page in PAGES}
    beside: dict[str, list[float]] = {page: [] for page in PAGES}

    def pages(medians: dict[str, list[float]]) -> None:
        for page, path in PAGES.items():
            sample = where.measure(
                server.url + path,
                connections=options.connections,
                seconds=options.seconds,
            )
            medians[page].append(sample.p50_ms)

    # Each thread has been used, and each module imported.
    pages({page: [] for page in PAGES})
    start = inside(server)
    full: dict[str, Any] = {}
    opening = 0.0
    for number in range(options.rounds):
        pages(without)
        begin = time.monotonic()
        with pinned(where.load_place), held(server.url + KINDS[kind], count, CLOSING):
            if not full:
                opening = time.monotonic() - begin
                full = inside(server)
            pages(beside)
        _wait_for_tasks(server, start["tasks"])
        print(f"{key}, {kind}, {number + 1}: {beside['plain'][-1]:.2f} ms", flush=True)
    return {
        "server": key,
        "kind": kind,
        "streams": count,
        "opening_seconds": opening,
        "kilobytes": (full["kilobytes"] - start["kilobytes"]) / count,
        "threads": full["threads"] - start["threads"],
        "leased": full["pool"] and full["pool"]["leased"],
        "end": inside(server),
        "start": start,
        "without": without,
        "beside": beside,
    }


def _wait_for_tasks(server: Server, count: int) -> None:
    """Wait until a server has noticed that the clients have gone."""
    deadline = time.monotonic() + CLOSING
    while inside(server)["tasks"] > count:
        if time.monotonic() > deadline:
            raise LoadError("The tasks of streams whose clients have gone do not end.")
        time.sleep(0.5)


def _table(
    options: argparse.Namespace, results: dict[str, Any]
) -> tuple[list[str], int]:
    status = 0
    lines = report.heading(
        "Idle streams",
        "One process, PostgreSQL. Memory and threads: how much more than before the "
        f"streams. Other pages: the median time of {options.connections} clients with "
        f"the streams, over that without, in {options.rounds} alternations.",
        results["environment"],
    )
    body = []
    for cell in results["cells"]:
        longer = {
            page: statistics.median(
                one / base
                for one, base in zip(
                    cell["beside"][page], cell["without"][page], strict=True
                )
            )
            for page in PAGES
        }
        verdict = ""
        if cell["server"] == "ours":
            kept = (
                cell["kilobytes"] <= KILOBYTES
                and cell["threads"] <= 0
                and not cell["leased"]
                and max(longer.values()) <= LONGER
            )
            status |= not kept
            verdict = (
                f"{KILOBYTES:.0f} kB, no thread, no worker, {LONGER}: "
                f"{'yes' if kept else '**no**'}"
            )
        body.append(
            (
                f"{cell['server']}, {cell['streams']:,} streams, {cell['kind']}",
                f"{cell['kilobytes']:.1f}",
                str(cell["threads"]),
                "" if cell["leased"] is None else str(cell["leased"]),
                f"{cell['opening_seconds']:.1f}",
                *(f"{value:.2f}" for value in longer.values()),
                verdict,
            )
        )
    head = ("", "kB a stream", "threads", "workers leased", "opened in, s")
    lines += report.rows((*head, *PAGES, "expected"), body)
    return lines, status
