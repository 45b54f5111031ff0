"""Measure exports of a million rows against recipes of Django's own, by WSGI.

    python -m benchmarks export [--rows N] [--rounds N] [--databases sqlite3 postgresql]

Each file comes from a real server: ours from Uvicorn, with Django's own ASGI handler,
and from Gunicorn; the recipes from Gunicorn with threads. In alternating rounds: the
time until the first row and the last, how much the server's memory grows meanwhile,
and its processor time. The exit status is 1 where a limit is passed.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.common import RESULTS, database, facts, order, process_environment
from benchmarks.load import LoadError
from benchmarks.servers import Server, pinned, processors, running

__all__ = ["main"]

# The server and the view of each.
CONTENDERS = {
    "ours": ("uvicorn", "ours", "this package, by Uvicorn"),
    "ours_snapshot": ("uvicorn", "ours_snapshot", "the same, `snapshot = True`"),
    "ours_wsgi": ("gunicorn", "ours", "this package, by Gunicorn"),
    "recipe": ("gunicorn", "recipe", "Django's recipe: objects, a row at a time"),
    "recipe_tuples": ("gunicorn", "recipe_tuples", "the same, with `values_list()`"),
    "recipe_batches": (
        *("gunicorn", "recipe_batches"),
        "`values_list()`, written in batches of 2,000",
    ),
}
FORMATS = ("csv", "ndjson")
# What is promised.
LEAST_RATIO = 1.4  # of the recipe's time to ours
MOST_FIRST = 0.01  # of the whole time, until the first row
MOST_MEMORY = 20 * 2**20  # bytes


def main(arguments: list[str]) -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks export", description=__doc__
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--databases",
        nargs="+",
        choices=["sqlite3", "postgresql"],
        default=["sqlite3", "postgresql"],
    )
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=[*FORMATS])
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        default=["ours", "recipe", "recipe_tuples", "recipe_batches"],
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    samples: dict[str, Any] = {}
    for engine in options.databases:
        with database(postgres=engine == "postgresql") as settings:
            environment = process_environment(settings)
            _fill(environment, options.rows)
            samples[engine] = _measure(options, environment)
    results = {
        "environment": facts(" ".join(options.databases)),
        "rows": options.rows,
        "rounds": options.rounds,
        "samples": samples,
    }
    text, status = table(results)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "export.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "export.md").write_text(text)
    print(f"\n{text}\nWritten: export.json, export.md", flush=True)
    return status


def _fill(environment: dict[str, str], rows: int) -> None:
    """Fill the database, in a process of its own: settings are made once in each."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.export", str(rows)],
        env=environment,
        timeout=600,
        check=True,
    )


def fill(rows: int) -> None:
    """Make the books, by one statement."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", run_syncdb=True, verbosity=0)
    day = "date '1990-01-01' + n % 12000"
    numbers = "generate_series(1, {}) AS numbers(n)"
    if connection.vendor == "sqlite":
        day = "date('1990-01-01', (n % 12000) || ' days')"
        numbers = (
            "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL "
            "SELECT n + 1 FROM numbers WHERE n < {}) SELECT n FROM numbers)"
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO benchmarks_author (name, born) "
            f"SELECT 'Author ' || n, {day} FROM {numbers.format(1000)}"
        )
        cursor.execute(
            "INSERT INTO benchmarks_book "
            "(title, author_id, published, pages, price, summary) "
            f"SELECT 'Title of ' || n, 1 + n % 1000, {day}, 80 + n % 800, "
            f"(500 + n % 8500) / 100.0, 'What is in ' || n FROM {numbers.format(rows)}"
        )
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")


def _measure(
    options: argparse.Namespace, environment: dict[str, str]
) -> dict[str, dict[str, list[dict[str, float]]]]:
    places = processors()
    servers_place, load_place = places or (None, None)
    names = {CONTENDERS[key][0] for key in options.contenders}
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    with running(
        dict.fromkeys(names, environment),
        path="/exports/warm-up/",
        threads=4,
        processor=servers_place,
    ) as servers:
        for kind in options.formats:
            found[kind] = {key: [] for key in options.contenders}
            for number in range(options.rounds):
                for key in order(options.contenders, number):
                    server, view, _ = CONTENDERS[key]
                    with pinned(load_place):
                        sample = _download(
                            servers[server], f"/exports/{kind}/{view}/", kind
                        )
                    if sample["rows"] != options.rows:
                        raise LoadError(f"{key} sent {sample['rows']} rows")
                    found[kind][key].append(sample)
                    print(
                        f"{environment['BENCHMARK_DATABASE'][:40]} {kind} {key} "
                        + " ".join(f"{name}={one:.3f}" for name, one in sample.items()),
                        flush=True,
                    )
    return found


def _download(server: Server, path: str, kind: str) -> dict[str, float]:
    """Read a file, and forget it; see what it takes of the server."""
    place = urlsplit(server.url)
    before = server.processor_seconds()
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    with _memory(server) as memory, closing(connection):
        begun = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise LoadError(f"{path} answered {response.status}")
        # A row is a line after the CSV's own.
        first, rows, size = None, -1 if kind == "csv" else 0, 0
        while received := response.read1(2**18):
            size += len(received)
            rows += received.count(b"\n")
            if first is None and rows > 0:
                first = time.perf_counter() - begun
        whole = time.perf_counter() - begun
    return {
        "rows": rows,
        "megabytes": size / 2**20,
        "seconds": whole,
        "first_row": whole if first is None else first,
        "processor": server.processor_seconds() - before,
        "memory": memory[0],
    }


@contextmanager
def _memory(server: Server) -> Iterator[list[int]]:
    """Look every few milliseconds by how many bytes the server has grown at most."""
    everyone = [server.process, *server.process.children(recursive=True)]

    def resident() -> int:
        return sum(one.memory_info().rss for one in everyone)

    before, grown, ended = resident(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            grown[0] = max(grown[0], resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield grown
    finally:
        ended.set()
        thread.join()


def table(results: dict[str, Any]) -> tuple[str, int]:
    """Return the results as a table, and 1 where a limit is passed."""
    lines = [f"# An export of {results['rows']:,} rows", ""]
    status = 0
    for engine, kinds in results["samples"].items():
        for kind, samples in kinds.items():
            lines += [
                f"## {kind.upper()}, {engine}",
                "",
                "| | s | processor, s | first row, ms | grows by, MiB | times ours |",
                "|---|--:|--:|--:|--:|--:|",
            ]
            ours = samples["ours"]
            for key, found in samples.items():
                ratios = [
                    one["seconds"] / other["seconds"]
                    for one, other in zip(found, ours, strict=True)
                ]
                lines.append(
                    f"| {CONTENDERS[key][2]} | {_median(found, 'seconds'):.1f} "
                    f"| {_median(found, 'processor'):.1f} "
                    f"| {_median(found, 'first_row') * 1000:.0f} "
                    f"| {max(one['memory'] for one in found) / 2**20:.1f} "
                    f"| {statistics.median(ratios):.2f} "
                    f"({min(ratios):.2f}-{max(ratios):.2f}) |"
                )
                if key == "recipe" and statistics.median(ratios) < LEAST_RATIO:
                    status = 1
            lines.append("")
            first = max(one["first_row"] / one["seconds"] for one in ours)
            memory = max(one["memory"] for one in ours)
            lines += [
                f"First row: {first * 100:.2f} % of the whole, of at most "
                f"{MOST_FIRST * 100:g} %. Memory: {memory / 2**20:.1f} MiB, of at most "
                f"{MOST_MEMORY / 2**20:g}.",
                "",
            ]
            if first > MOST_FIRST or memory > MOST_MEMORY:
                status = 1
    return "\n".join(lines), status


def _median(samples: list[dict[str, float]], name: str) -> float:
    return statistics.median(sample[name] for sample in samples)


if __name__ == "__main__":
    fill(int(sys.argv[1]))
