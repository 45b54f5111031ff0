"""Measure a page that queries once and then waits 100 ms, beside code not Django's.

    python -m benchmarks release [--only nothing hook] [--rounds 9]

On PostgreSQL, with 100 clients. Code that is not Django's, a sync hook or middleware,
makes a request keep its worker to the end, unless release="always" says otherwise. The
table has the rate of each, the connections, and what the statistics of the pool say.
"""

import argparse
import json
import statistics
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.common import facts, with_processor
from benchmarks.serve import report
from benchmarks.serve.elsewhere import SECONDS
from benchmarks.serve.harness import (
    add_options,
    alternate,
    database_on,
    inside,
    machine,
    raise_limit_of_files,
    servers,
)
from benchmarks.serve.watch import Watch
from benchmarks.servers import Server


@dataclass(frozen=True)
class Kind:
    """Code that is not Django's, and runs before the page waits."""

    title: str
    path: str = "books/321/price/"
    middleware: str | None = None


KINDS = {
    "nothing": Kind("a query by an async function, nothing else"),
    "view": Kind("an AsyncDetailView with an async hook", "books/321/offer/"),
    "related": Kind("the same with select_related()", "books/321/offer-related/"),
    "hook": Kind("the same with a sync hook", "books/321/offer-by-hook/"),
    "hybrid": Kind(
        "a middleware on MiddlewareMixin",
        middleware="benchmarks.serve.middleware.HybridMiddleware",
    ),
    "whitenoise": Kind(
        "WhiteNoise", middleware="whitenoise.middleware.WhiteNoiseMiddleware"
    ),
    "waffle": Kind("django-waffle", middleware="waffle.middleware.WaffleMiddleware"),
}

# Seconds; a hundred first requests at once take their time.
WARM_UP = 5
STOCK = "uvicorn"
VARIANTS: dict[str, dict[str, Any]] = {
    f"uvicorn-ours {workers} {release}": {"workers": workers, "release": release}
    for workers in (4, 40)
    for release in ("between", "request", "always")
}
# Of the first kind alone, with 4 workers: times the requests of Django's entry point,
# the median in calls, the connections.
LIMITED = ("nothing", "uvicorn-ours 4 between")
RATE, MEDIAN, CONNECTIONS = 3.0, 1.3, 4


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks release", description=__doc__
    )
    add_options(parser, seconds=3)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS)
    )
    parser.add_argument("--clients", type=int, default=100)
    options = parser.parse_args(arguments)
    raise_limit_of_files()
    where = machine(options.load)
    cells: dict[str, Any] = {}
    with database_on("postgresql", where.load_place) as settings:
        for key in options.only:
            kind = KINDS[key]
            more = [kind.middleware] if kind.middleware else []
            names = [STOCK, *options.variants]
            with (
                servers(
                    where,
                    names,
                    settings,
                    age=60,
                    threads=4,
                    entry_points=VARIANTS,
                    BENCHMARK_MORE_MIDDLEWARE=json.dumps(more),
                ) as found,
                Watch(settings) as watch,
            ):
                reasons: dict[str, Counter[str]] = {name: Counter() for name in names}

                def one(
                    name: str,
                    kind: Kind = kind,
                    found: dict[str, Server] = found,
                    reasons: dict[str, Counter[str]] = reasons,
                    seconds: int = options.seconds,
                ) -> dict[str, float]:
                    server = found[name]
                    before = server.processor_seconds()
                    look = threading.Timer(
                        seconds / 2, _why_held, [server, reasons[name]]
                    )
                    if name != STOCK:
                        look.start()
                    sample = where.measure(
                        f"{server.url}/ours/{kind.path}",
                        connections=options.clients,
                        seconds=seconds,
                    )
                    look.cancel()
                    used = server.processor_seconds() - before
                    return with_processor(sample, used)

                for name in names:
                    one(name, seconds=WARM_UP)
                samples = alternate(
                    names,
                    options.rounds,
                    one,
                    lambda sample: f"{sample['requests_per_second']:.0f}",
                    f"{kind.title}, requests/s",
                )
                cells[key] = {
                    "samples": samples,
                    "connections": dict(watch.most),
                    "held": {name: dict(found) for name, found in reasons.items()},
                }
    results = {"environment": facts("postgresql"), "cells": cells}
    lines, status = _table(options, results)
    report.keep(options.output, "release", results, lines)
    print("\n".join(lines), flush=True)
    return status


def _why_held(server: Server, reasons: Counter[str]) -> None:
    """Add the reasons that workers are held for, at this moment."""
    for line in inside(server)["pool"]["held"]:
        reasons[line.rpartition(": ")[2]] += 1


def _table(
    options: argparse.Namespace, results: dict[str, Any]
) -> tuple[list[str], int]:
    lines = report.heading(
        "One query, then 100 ms of waiting",
        f"{options.clients} clients, {options.rounds} alternating rounds of "
        f"{options.seconds} s, PostgreSQL, CONN_MAX_AGE 60 (0 for Django's entry "
        "point). A request that keeps its worker while it waits limits the rate to "
        f"workers/{SECONDS} s: {4 / SECONDS:.0f} requests a second with 4 workers, "
        f"{40 / SECONDS:.0f} with 40. *Held* counts the workers that had nothing to do "
        "and could not be given back, in one look at the statistics in each sample, "
        "with the reason. Figures are medians, ratios with quartiles.",
        results["environment"],
    )
    body, status = [], 0
    for key, cell in results["cells"].items():
        stock = cell["samples"][STOCK]
        for name, found in cell["samples"].items():
            gain = report.ratios(found, stock, "requests_per_second")
            middle = report.median(found, "p50_ms")
            connections = cell["connections"].get(name, 0)
            verdict = ""
            if (key, name) == LIMITED:
                kept = (
                    statistics.median(gain) >= RATE
                    and middle < MEDIAN * SECONDS * 1000
                    and connections <= CONNECTIONS
                )
                status |= not kept
                verdict = (
                    f"{RATE} times stock, {MEDIAN * SECONDS * 1000:.0f} ms, "
                    f"{CONNECTIONS} connections: {'yes' if kept else '**no**'}"
                )
            title = "Django's entry point"
            if name != STOCK:
                _, workers, release = name.split()
                title = f"{workers} workers, {release}"
            body.append(
                (
                    f"{KINDS[key].title}: {title}",
                    f"{report.median(found, 'requests_per_second'):,.0f}",
                    report.quartiles(gain),
                    f"{middle:,.0f}",
                    f"{report.median(found, 'p99_ms'):,.0f}",
                    f"{report.median(found, 'processor_ms') * 1000:,.0f}",
                    str(connections),
                    ", ".join(
                        f"{why} {count / len(found):.1f}"
                        for why, count in cell["held"][name].items()
                    ),
                    verdict,
                )
            )
    head = ("", "requests/s", "times stock", "p50, ms", "p99, ms", "processor, µs")
    lines += report.rows((*head, "connections", "held", "expected"), body)
    return lines, status
