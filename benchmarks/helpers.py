"""What the helper layer saves and costs, on PostgreSQL: agather() and iterate().

    python -m benchmarks.helpers [--rounds N] [--rows N]

Four queries that wait 0.1 s each, by agather() and by asyncio.gather(), against one of
them. A million rows by iterate(), against Django's own iterator() in sync code. All in
one process, in alternating rounds; then once more to count hops and memory.

Writes table and samples to benchmarks/results/; the exit status is 1 where a limit is
passed. The server is the one that TEST_PG_HOST and the like name, or is started.
"""

import argparse
import asyncio
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers import pinned, processors

__all__ = ["main"]

QUERIES = 4
SECONDS = 0.1  # that a query takes
# What is promised.
MOST_OF_GATHER = 1.3  # times one query
MOST_OF_ITERATE = 1.15  # times Django's iterator()
MOST_MEMORY = 30 * 2**20  # bytes
# As many rows as the helper takes in a hop.
BATCH = 500
SHAPES = {
    "objects": "model instances, of seven columns",
    "tuples": "tuples, by values_list()",
}
LIBRARIES = ("django", "asgiref", "psycopg")


def main() -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.helpers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results"
    )
    options = parser.parse_args()

    from tests.postgres import server

    with server().database("helpers") as settings:
        os.environ["BENCHMARK_DATABASE"] = json.dumps(settings)
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        import django

        django.setup()
        _fill(options.rows)
        results = {
            "environment": _environment(),
            "rounds": options.rounds,
            "rows": options.rows,
            **_pinned(_measure(options.rounds, options.rows)),
        }
    text, status = table(results)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "helpers.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "helpers.md").write_text(text)
    print(f"\n{text}\nWritten: helpers.json, helpers.md", flush=True)
    return status


def _fill(rows: int) -> None:
    from django.db import connection

    from benchmarks.models import Author, Book

    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
        # Before the indexes and constraints, which come at the end of this block.
        for model, count, values in (
            (Author, 1000, "'Author ' || n, date '1900-01-01' + n"),
            (
                Book,
                rows,
                "'Title of ' || n, 1 + n %% 1000, date '1990-01-01' + n %% 12000, "
                "80 + n %% 800, (500 + n %% 8500) / 100.0, 'What is in ' || n",
            ),
        ):
            names = ("title", "author_id", "published", "pages", "price", "summary")
            columns = ("name", "born") if model is Author else names
            editor.execute(
                f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
                f" SELECT {values} FROM generate_series(1, %s) AS n",
                [count],
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def _pinned(measure: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run it on one processor, as only one of its threads can run at a time."""
    places = processors()
    with pinned(places and places[0]):
        return asyncio.run(measure)


async def _measure(rounds: int, rows: int) -> dict[str, Any]:
    from asgiref.sync import ThreadSensitiveContext, sync_to_async
    from django.db import connections

    # As in a request: one thread for its sync code, and one connection.
    async with ThreadSensitiveContext():
        try:
            ways = _ways_to_gather()
            for way in ways.values():  # the threads are there from now on
                await way()
            gather = await _alternate(ways, rounds)
            iterate, counts = {}, {}
            for shape in SHAPES:
                ways = _ways_to_iterate(shape, rows)
                iterate[shape] = await _alternate(ways, rounds)
                counts[shape] = {name: await _count(way) for name, way in ways.items()}
        finally:
            await sync_to_async(connections.close_all)()
    return {"gather": gather, "iterate": iterate, "counts": counts}


async def _alternate(
    ways: dict[str, Callable[[], Awaitable[None]]], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """
    Return the seconds that each took in each round, by the clock and of processors.

    Every other round goes backwards.
    """
    samples: dict[str, dict[str, list[float]]] = {
        name: {"clock": [], "processor": []} for name in ways
    }
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            gc.collect()
            begin, begin_processor = time.perf_counter(), time.process_time()
            await ways[name]()
            samples[name]["processor"].append(time.process_time() - begin_processor)
            samples[name]["clock"].append(time.perf_counter() - begin)
        last = [f"{name} {found['clock'][-1]:.3f} s" for name, found in samples.items()]
        print(f"{number + 1}: {'  '.join(last)}", flush=True)
    return samples


def _ways_to_gather() -> dict[str, Callable[[], Awaitable[None]]]:
    from asgiref.sync import sync_to_async
    from django.db import connection

    from django_async_cbv.db import agather

    def query() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [SECONDS])

    async def one() -> None:
        await sync_to_async(query)()

    async def by_agather() -> None:
        await agather(*[query] * QUERIES)

    async def by_asyncio() -> None:
        await asyncio.gather(*[sync_to_async(query)() for _ in range(QUERIES)])

    return {"one": one, "agather": by_agather, "asyncio.gather": by_asyncio}


def _ways_to_iterate(shape: str, rows: int) -> dict[str, Callable[[], Awaitable[None]]]:
    from asgiref.sync import sync_to_async

    from benchmarks.models import Book
    from django_async_cbv.sync import iterate

    everyone = Book.objects.all()
    if shape == "tuples":
        everyone = everyone.values_list()

    def check(count: int) -> None:
        if count != rows:
            raise AssertionError(f"{count} rows came, of {rows}.")

    def read(items: Iterable[Any]) -> int:
        count = 0
        for _ in items:
            count += 1
        return count

    async def by_django() -> None:
        # In the worker, all of it in one hop: so, as sync code, it is Django's alone.
        check(await sync_to_async(read)(everyone.iterator()))

    async def by_us() -> None:
        count = 0
        async for _ in iterate(everyone):
            count += 1
        check(count)

    return {"iterator": by_django, "iterate": by_us}


async def _count(way: Callable[[], Awaitable[None]]) -> dict[str, int]:
    """Return the hops of one run, and by how many bytes memory grew at its peak."""
    from tests.hops import count_hops

    process = psutil.Process()
    gc.collect()
    before = most = process.memory_info().rss
    done = asyncio.Event()

    async def look() -> None:
        # What libpq keeps is not Python's, and not traced.
        nonlocal most
        while not done.is_set():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    with count_hops() as hops:
        await way()
    done.set()
    await looking

    gc.collect()
    tracemalloc.start()
    try:
        begin, _ = tracemalloc.get_traced_memory()
        await way()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return {"hops": hops.count, "resident": most - before, "traced": peak - begin}


def table(results: dict[str, Any]) -> tuple[str, int]:
    """Return the tables as Markdown, and 1 where a limit is passed, else 0."""
    passed = []
    environment = results["environment"]
    libraries = ", ".join(
        f"{name} {version}" for name, version in environment["libraries"].items()
    )
    rows = results["rows"]
    lines = [
        "# The helper layer",
        "",
        f"{results['rounds']} alternating rounds in one process on one processor, "
        "PostgreSQL on any. "
        "Medians; each ratio is taken within one round.",
        "",
        f"{environment['implementation']} {environment['python']} on "
        f"{environment['system']} {environment['machine']}, "
        f"{environment['processors']} processors; {libraries}.",
        "",
        f"## {QUERIES} queries of {SECONDS * 1000:.0f} ms each",
        "",
        "| | ms | times one of them (lowest-highest) |",
        "|---|--:|--:|",
    ]
    names = {
        "one": "one of them, by `sync_to_async()`",
        "agather": "all, by `agather()`",
        "asyncio.gather": "all, by `asyncio.gather()` of `sync_to_async()`",
    }
    gather = {name: found["clock"] for name, found in results["gather"].items()}
    for key, name in names.items():
        ratios = _ratios(gather[key], gather["one"])
        median = statistics.median(gather[key]) * 1000
        lines.append(f"| {name} | {median:.0f} | {_told(ratios)} |")
    ratio = statistics.median(_ratios(gather["agather"], gather["one"]))
    passed.append(_limit(lines, "`agather()`", ratio, MOST_OF_GATHER, "times one"))

    for shape, description in SHAPES.items():
        lines += [
            "",
            f"## {rows:,} rows as {description}",
            "",
            "| | s | ratio (lowest-highest) | of processor time | hops "
            "| MiB, traced | MiB, resident |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        names = {
            "iterator": "Django's `iterator()`, in sync code",
            "iterate": "`iterate()`",
        }
        samples, counts = results["iterate"][shape], results["counts"][shape]
        base = samples["iterator"]
        for key, name in names.items():
            found, count = samples[key], counts[key]
            processor = _ratios(found["processor"], base["processor"])
            clock = _ratios(found["clock"], base["clock"])
            lines.append(
                f"| {name} | {statistics.median(found['clock']):.2f} | {_told(clock)} "
                f"| {_told(processor)} "
                f"| {count['hops']} | {count['traced'] / 2**20:.1f} "
                f"| {count['resident'] / 2**20:.1f} |"
            )
        # A batch that is not full is the last one.
        batches = rows // BATCH + 1
        count = counts["iterate"]
        lines += ["", f"In batches of {BATCH:,}: {batches} of them."]
        if count["hops"] != batches:
            lines[-1] += f" **It took {count['hops']} hops.**"
            passed.append(True)
        ratio = statistics.median(_ratios(samples["iterate"]["clock"], base["clock"]))
        if shape == "objects":
            told = "`iterate()`", ratio, MOST_OF_ITERATE, "times `iterator()`"
            passed.append(_limit(lines, *told))
        # What Python has allocated, and what the whole process has, libpq with it.
        memory = max(count["traced"], count["resident"])
        told = "its memory", memory / 2**20, MOST_MEMORY / 2**20, "MiB at its peak"
        passed.append(_limit(lines, *told))
    return "\n".join(lines) + "\n", int(any(passed))


def _limit(lines: list[str], name: str, found: float, most: float, of: str) -> bool:
    passes = found > most
    kept = "**which it is not**" if passes else "as it is"
    lines += ["", f"{name}: {found:.2f} {of}; to be at most {most:g}, {kept}."]
    return passes


def _ratios(samples: list[float], base: list[float]) -> list[float]:
    return [one / other for one, other in zip(samples, base, strict=True)]


def _told(ratios: list[float]) -> str:
    if set(ratios) == {1}:
        return "1"
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


if __name__ == "__main__":
    sys.exit(main())
