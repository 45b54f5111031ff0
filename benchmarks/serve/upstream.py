"""Measure a page that makes two calls of 100 ms, with 100 and with 500 clients.

    python -m benchmarks upstream [--clients 100 500] [--rounds 9]

The async view makes both calls at once, by aiohttp. The sync view makes one after the
other, as sync code does, in one of 40 threads.
"""

import argparse
import statistics
from typing import Any

from benchmarks.common import facts, with_processor
from benchmarks.serve import report
from benchmarks.serve.contenders import CONTENDERS, OURS, PAGES
from benchmarks.serve.elsewhere import SECONDS
from benchmarks.serve.harness import (
    add_options,
    alternate,
    database_on,
    machine,
    raise_limit_of_files,
    servers,
)

THREADS = 40
# Seconds; a hundred first requests at once take their time.
WARM_UP = 5
KEYS = (OURS, "ours_granian", "stock", "gthread")
# How many times more requests ours has to answer, with 500 clients.
LIMITS = {"gthread": 4.0, "stock": 2.5}
CLIENTS_OF_LIMITS = 500
# With 100 clients, in calls: what all but one of a hundred requests are to take.
LONGEST = 3
CLIENTS_OF_LONGEST = 100


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks upstream", description=__doc__
    )
    add_options(parser, seconds=4)
    parser.add_argument("--clients", nargs="+", type=int, default=[100, 500])
    parser.add_argument("--only", nargs="+", choices=KEYS, default=list(KEYS))
    options = parser.parse_args(arguments)
    keys = [key for key in KEYS if key in {*options.only, OURS}]
    raise_limit_of_files()
    where = machine(options.load)
    samples: dict[str, Any] = {}
    with (
        database_on("sqlite3", None) as settings,
        servers(
            where,
            [CONTENDERS[key].server for key in keys],
            settings,
            age=60,
            threads=THREADS,
        ) as found,
    ):
        for clients in options.clients:

            def one(
                key: str, clients: int = clients, seconds: int = options.seconds
            ) -> dict[str, float]:
                server = found[CONTENDERS[key].server]
                before = server.processor_seconds()
                sample = where.measure(
                    server.url + CONTENDERS[key].path(PAGES["calls"]),
                    connections=clients,
                    seconds=seconds,
                )
                return with_processor(sample, server.processor_seconds() - before)

            for key in keys:
                one(key, seconds=WARM_UP)
            samples[str(clients)] = alternate(
                keys,
                options.rounds,
                one,
                lambda sample: f"{sample['requests_per_second']:.0f}",
                f"{clients} clients, requests/s",
            )
    results = {"environment": facts("none"), "samples": samples}
    lines, status = _table(options, results)
    report.keep(options.output, "upstream", results, lines)
    print("\n".join(lines), flush=True)
    return status


def _table(
    options: argparse.Namespace, results: dict[str, Any]
) -> tuple[list[str], int]:
    status = 0
    lines = report.heading(
        "Two calls to a service that takes 100 ms",
        f"{options.rounds} alternating rounds of {options.seconds} s. Gunicorn has "
        f"{THREADS} threads, in which the calls come one after the other: it can't "
        f"answer more than {THREADS / 2 / SECONDS:.0f} requests a second. The async "
        "view makes both calls at once. Figures are medians, ratios with quartiles.",
        results["environment"],
    )
    for clients, samples in results["samples"].items():
        lines += [f"## {clients} clients", ""]
        body = []
        for key, found in samples.items():
            gain = report.ratios(samples[OURS], found, "requests_per_second")
            longest = report.median(found, "p99_ms")
            verdict = ""
            if int(clients) == CLIENTS_OF_LIMITS and key in LIMITS:
                kept = statistics.median(gain) >= LIMITS[key]
                verdict = f"at least {LIMITS[key]}: {'yes' if kept else '**no**'}"
                status |= not kept
            if int(clients) == CLIENTS_OF_LONGEST and key == OURS:
                bound = LONGEST * SECONDS * 1000
                kept = longest < bound
                verdict = f"p99 below {bound:.0f} ms: {'yes' if kept else '**no**'}"
                status |= not kept
            body.append(
                (
                    CONTENDERS[key].title,
                    f"{report.median(found, 'requests_per_second'):,.0f}",
                    report.quartiles(gain),
                    f"{report.median(found, 'p50_ms'):,.0f}",
                    f"{longest:,.0f}",
                    f"{report.median(found, 'processor_ms') * 1000:,.0f}",
                    verdict,
                )
            )
        head = ("", "requests/s", "ours/this", "p50, ms", "p99, ms", "processor, µs")
        lines += [*report.rows((*head, "expected"), body), ""]
    return lines, status
