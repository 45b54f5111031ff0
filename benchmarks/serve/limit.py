"""Compare our entry point with the limit: Django's sync handler, called in a loop.

    python -m benchmarks limit [--databases sqlite3] [--pages list] [--blocks 60]

Both run in one process, in short alternating blocks, without a server. The sync handler
runs in the main thread. Our entry point runs on an event loop, one request at a time:
on uvloop's, as under Uvicorn, and on asyncio's own. Processor time is counted, of all
threads.
"""

import argparse
import asyncio
import functools
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.common import RESULTS, facts, process_environment
from benchmarks.limit import visit
from benchmarks.load import GET, Ask
from benchmarks.overhead import ask
from benchmarks.serve import report
from benchmarks.serve.harness import database_on, machine, sent_form
from benchmarks.servers import pinned

# How many times the processor time of the limit ours may take.
LIMITS = {
    ("list", "sqlite3"): 1.08,
    ("list", "postgresql"): 1.08,
    ("detail", "sqlite3"): 1.20,
    ("detail", "postgresql"): 1.10,
}
PATHS = {
    "list": "books/?page=7",
    "detail": "books/321/",
    "post": "reviews/add/",
    "plain": "plain/",
}
# A secret of the length that Django's are; cookie and field are the same one.
FORM = sent_form(f"csrftoken={'s' * 32}", "s" * 32)
OURS = "ours"
# The views, and the event loop. What one of Django's sync views costs more than the
# limit, the entry point costs.
CONTENDERS = {
    OURS: ("ours", "uvloop"),
    "Django's views": ("django_sync", "uvloop"),
    "ours, asyncio's loop": ("ours", "asyncio"),
    "Django's views, asyncio's loop": ("django_sync", "asyncio"),
}


def main(arguments: list[str]) -> int:
    """Measure in a process for each database; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks limit", description=__doc__
    )
    parser.add_argument("--pages", nargs="+", choices=PATHS, default=[*PATHS])
    parser.add_argument(
        "--databases",
        nargs="+",
        choices=["sqlite3", "postgresql"],
        default=["sqlite3", "postgresql"],
    )
    parser.add_argument("--ages", nargs="+", type=int, default=[60])
    parser.add_argument("--requests", type=int, default=50, help="in one block")
    parser.add_argument("--blocks", type=int, default=60, help="of each contender")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    where = machine()
    cells: dict[str, Any] = {}
    for engine in options.databases:
        with database_on(engine, where.load_place) as settings:
            for age in options.ages:
                environment = process_environment(
                    settings,
                    BENCHMARK_CONN_MAX_AGE=str(age),
                    BENCHMARK_ENTRY_POINT=json.dumps({"workers": 4}),
                )
                command = [sys.executable, "-m", "benchmarks.serve.limit"]
                command += [json.dumps(vars(options), default=str)]
                with pinned(where.server_place):
                    done = subprocess.run(
                        command, env=environment, stdout=subprocess.PIPE, check=True
                    )
                cells[f"{engine}, CONN_MAX_AGE {age}"] = json.loads(done.stdout)
    results = {"environment": facts("both"), "cells": cells}
    lines, status = _table(options, results)
    report.keep(options.output, "limit", results, lines)
    print("\n".join(lines), flush=True)
    return status


def _table(
    options: argparse.Namespace, results: dict[str, Any]
) -> tuple[list[str], int]:
    status = 0
    lines = []
    for cell, pages in results["cells"].items():
        for page, found in pages.items():
            base = found["limit"]
            for key in CONTENDERS:
                ratios = [
                    one / limit for one, limit in zip(found[key], base, strict=True)
                ]
                value = statistics.median(ratios)
                limit = LIMITS.get((page, cell.partition(",")[0]))
                missed = key == OURS and limit is not None and value > limit
                status |= missed
                expected = "" if limit is None or key != OURS else f"{limit:.2f}"
                lines.append(
                    (
                        f"{page}, {cell}, {key}",
                        f"{statistics.median(base):,.0f}",
                        f"{statistics.median(found[key]):,.0f}",
                        report.quartiles(ratios),
                        f"**{expected}**" if missed else expected,
                    )
                )
    text = (
        f"{options.blocks} alternating blocks of {options.requests} requests, in one "
        "process on one processor, without a server. Figures are microseconds of "
        "processor time for one request, of all threads: medians. *Limit* is Django's "
        "sync handler with Django's sync views. A ratio compares two blocks in a row."
    )
    return [
        *report.heading("Our entry point and the limit", text, results["environment"]),
        *report.rows(("", "limit, µs", "ours, µs", "ratio", "at most"), lines),
    ], status


def _measure(options: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    from benchmarks.serve.entry_point import application

    found: dict[str, dict[str, list[float]]] = {}
    with (
        asyncio.Runner() as plain,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as fast,
    ):
        runners = {"asyncio": plain, "uvloop": fast}

        def ours(loop: str, path: str, what: Ask, count: int) -> None:
            runners[loop].run(_ask(application, path, what, count))

        def limit(path: str, what: Ask, count: int) -> None:
            one = visit(path, what)
            for _ in range(count):
                if (status := one()) not in {"200 OK", "302 Found"}:
                    raise RuntimeError(f"{path} answered {status}")

        for page in options["pages"]:
            what = FORM if page == "post" else GET
            path = f"/django_sync/{PATHS[page]}"
            contenders: dict[str, Callable[[int], None]] = {
                "limit": functools.partial(limit, path, what)
            }
            for key, (views, loop) in CONTENDERS.items():
                path = f"/{views}/{PATHS[page]}"
                contenders[key] = functools.partial(ours, loop, path, what)
            samples = found[page] = {key: [] for key in contenders}
            for block in contenders.values():
                block(options["requests"])
            for number in range(options["blocks"]):
                for key in [*contenders][:: -1 if number % 2 else 1]:
                    gc.collect()
                    begin = time.process_time()
                    contenders[key](options["requests"])
                    used = time.process_time() - begin
                    samples[key].append(used / options["requests"] * 1e6)
    return found


async def _ask(application: Any, path: str, what: Ask, count: int) -> None:
    for _ in range(count):
        if (status := await ask(application, path, what)) not in {200, 302}:
            raise RuntimeError(f"{path} answered {status}")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    json.dump(_measure(json.loads(sys.argv[1])), sys.stdout)
