"""Measure a page that waits for a service, by the time that the service takes.

    python -m benchmarks delay [--rounds 3] [--clients 100]

The plot is drawn by `benchmarks.figures`, and shown in docs/explanation/why-async.md.
"""

import argparse
from typing import Any

from benchmarks.common import facts, with_processor
from benchmarks.serve import report
from benchmarks.serve.harness import add_options, alternate, database_on, machine
from benchmarks.serve.harness import servers as started
from benchmarks.servers import Server

__all__ = ["CONTENDERS", "DELAYS"]

# Milliseconds.
DELAYS = (0, 50, 100, 200, 400)
# Seconds; a hundred first requests at once take their time.
WARM_UP = 2
# For each contender: its title, its server, the threads, the views.
CONTENDERS = {
    "async": ("this package, 4 worker threads", "uvicorn-ours", 4, "ours"),
    "threads40": ("sync view, 40 threads", "gunicorn", 40, "django_sync"),
    "threads4": ("sync view, 4 threads", "gunicorn", 4, "django_sync"),
}


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks delay", description=__doc__
    )
    add_options(parser, seconds=3, rounds=3)
    parser.add_argument("--clients", type=int, default=100)
    options = parser.parse_args(arguments)
    where = machine(options.load)
    samples: dict[str, Any] = {}
    with database_on("sqlite3", None) as settings:
        for delay in DELAYS:
            with (
                started(
                    where,
                    ["uvicorn-ours", "gunicorn"],
                    settings,
                    age=60,
                    threads=4,
                    BENCHMARK_DELAY=str(delay / 1000),
                ) as few,
                started(
                    where,
                    ["gunicorn"],
                    settings,
                    age=60,
                    threads=40,
                    BENCHMARK_DELAY=str(delay / 1000),
                ) as many,
            ):

                def one(
                    key: str,
                    seconds: int = options.seconds,
                    few: dict[str, Server] = few,
                    many: dict[str, Server] = many,
                ) -> dict[str, float]:
                    _, name, threads, views = CONTENDERS[key]
                    server = (many if threads == 40 else few)[name]
                    before = server.processor_seconds()
                    sample = where.measure(
                        f"{server.url}/{views}/waiting/",
                        connections=options.clients,
                        seconds=seconds,
                    )
                    used = server.processor_seconds() - before
                    return with_processor(sample, used)

                for key in CONTENDERS:
                    one(key, WARM_UP)
                samples[str(delay)] = alternate(
                    list(CONTENDERS),
                    options.rounds,
                    one,
                    lambda sample: f"{sample['requests_per_second']:.0f}",
                    f"{delay} ms, requests/s",
                )
    results = {
        "environment": facts("sqlite3"),
        "options": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "clients": options.clients,
        },
        "titles": {key: title for key, (title, *_) in CONTENDERS.items()},
        "samples": samples,
    }
    lines = _table(results)
    report.keep(options.output, "delay", results, lines)
    print("\n".join(lines), flush=True)
    return 0


def _table(results: dict[str, Any]) -> list[str]:
    options = results["options"]
    return [
        *report.heading(
            "A page that waits for a service",
            f"Requests a second, {options['clients']} clients, the median of "
            f"{options['rounds']} alternating rounds of {options['seconds']} s. Each "
            "server has one process, and all servers share one processor.",
            results["environment"],
        ),
        *report.rows(
            ("", *(f"{delay} ms" for delay in results["samples"])),
            [
                (
                    title,
                    *(
                        f"{report.median(found[key], 'requests_per_second'):,.0f}"
                        for found in results["samples"].values()
                    ),
                )
                for key, title in results["titles"].items()
            ],
        ),
    ]
