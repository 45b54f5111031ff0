"""Measure requests a second, by how long the service takes that a page waits for.

    python -m benchmarks waits [--milliseconds 1 5 20 100] [--rounds 5]

The page makes one query, and then one call. 100 clients send requests to servers with
four threads, so a sync view can't answer more than four requests in the time of a call.
"""

import argparse
from typing import Any

from benchmarks.common import facts
from benchmarks.serve import report
from benchmarks.serve.contenders import CONTENDERS, OURS, PAGES
from benchmarks.serve.harness import (
    add_options,
    alternate,
    database_on,
    machine,
    raise_limit_of_files,
    servers,
)

__all__ = ["KEYS", "main"]

THREADS = 4
CLIENTS = 100
WARM_UP = 3
KEYS = (OURS, "stock", "gthread")


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks waits", description=__doc__
    )
    add_options(parser, seconds=3, rounds=5)
    parser.add_argument(
        "--milliseconds", nargs="+", type=int, default=[0, 5, 10, 20, 50, 100, 200]
    )
    options = parser.parse_args(arguments)
    raise_limit_of_files()
    where = machine(options.load)
    samples: dict[str, Any] = {}
    with database_on("postgresql", where.load_place) as settings:
        for milliseconds in options.milliseconds:
            with servers(
                where,
                [CONTENDERS[key].server for key in KEYS],
                settings,
                age=60,
                threads=THREADS,
                service_seconds=milliseconds / 1000,
            ) as found:

                def one(
                    key: str, seconds: int = options.seconds, found: Any = found
                ) -> Any:
                    url = found[CONTENDERS[key].server].url
                    return where.measure(
                        url + CONTENDERS[key].path(PAGES["price"]),
                        connections=CLIENTS,
                        seconds=seconds,
                    )

                for key in KEYS:
                    one(key, WARM_UP)
                taken = alternate(
                    KEYS,
                    options.rounds,
                    one,
                    lambda sample: f"{sample.requests_per_second:.0f}",
                    f"{milliseconds} ms, requests/s",
                )
                samples[str(milliseconds)] = {
                    key: [
                        {"requests_per_second": sample.requests_per_second}
                        for sample in some
                    ]
                    for key, some in taken.items()
                }
    results = {"environment": facts("none"), "samples": samples}
    lines = _table(options, results)
    report.keep(options.output, "waits", results, lines)
    print("\n".join(lines), flush=True)
    return 0


def _table(options: argparse.Namespace, results: dict[str, Any]) -> list[str]:
    lines = report.heading(
        "Requests a second, by the time of a service",
        f"One query, then one call. {CLIENTS} clients, {THREADS} threads or workers, "
        f"PostgreSQL; {options.rounds} alternating rounds of {options.seconds} s. "
        "Figures are medians.",
        results["environment"],
    )
    head = ("the service takes", *(CONTENDERS[key].title for key in KEYS))
    body = [
        (
            f"{milliseconds} ms",
            *(
                f"{report.median(taken[key], 'requests_per_second'):,.0f}"
                for key in KEYS
            ),
        )
        for milliseconds, taken in results["samples"].items()
    ]
    return [*lines, *report.rows(head, body), ""]
