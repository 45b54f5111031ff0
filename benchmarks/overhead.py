"""What our view costs over the one by hand, without a server: microseconds a request.

    python -m benchmarks.overhead [--page list] [--requests 40] [--blocks 60]

Django's ASGI application is called in a loop in one process, in short blocks, in turn
for each of the two. Processor time is counted, of all threads, so that what else the
machine does matters less than it does to requests a second. There is no middleware,
which makes the view's own share as large as it gets.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.contenders import BASELINE, CONTENDERS, OURS, PAGES
from benchmarks.load import GET, Ask

__all__ = ["ask", "block", "with_database"]


async def ask(
    application: Callable[..., Awaitable[None]], url: str, what: Ask = GET
) -> int:
    """Make one request of an ASGI application; return the status."""
    place = urlsplit(url)
    body = what.body.encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": what.method,
        "scheme": "http",
        "path": place.path,
        "raw_path": place.path.encode(),
        "query_string": place.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-length", str(len(body)).encode()),
            *(
                (name.lower().encode(), value.encode())
                for name, value in what.headers.items()
            ),
        ],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 50000),
    }
    status = 0
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            # Nobody disconnects. Django cancels this when the response is sent.
            await asyncio.get_running_loop().create_future()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    await application(scope, receive, send)
    return status


async def block(application: Any, url: str, requests: int) -> tuple[float, float]:
    """Return processor time and time of one request, in microseconds."""
    gc.collect()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for _ in range(requests):
        status = await ask(application, url)
        if status != 200:
            raise RuntimeError(f"{url} answered {status}")
    cpu, spent = time.process_time() - begin_cpu, time.perf_counter() - begin
    return cpu / requests * 1e6, spent / requests * 1e6


async def _compare(options: argparse.Namespace) -> None:
    from benchmarks.asgi import application

    pages = [PAGES[key] for key in options.pages]
    print("| | by hand, µs | ours, µs | more, µs | ratio (quartiles) |")
    print("|---|--:|--:|--:|--:|")
    for page in pages:
        urls = {key: CONTENDERS[key].path(page) for key in (BASELINE, OURS)}
        found: dict[str, list[tuple[float, float]]] = {key: [] for key in urls}
        for url in urls.values():
            await block(application, url, options.requests)
        for number in range(options.blocks):
            keys = list(urls)[:: -1 if number % 2 else 1]
            for key in keys:
                found[key].append(await block(application, urls[key], options.requests))
        for place, clock in enumerate(("processor", "wall clock")):
            hand = [block[place] for block in found[BASELINE]]
            ours = [block[place] for block in found[OURS]]
            more = [one - other for one, other in zip(ours, hand, strict=True)]
            ratios = [other / one for one, other in zip(ours, hand, strict=True)]
            low, _, high = statistics.quantiles(ratios, n=4)
            print(
                f"| {page.key}, {clock} | {statistics.median(hand):.0f} "
                f"| {statistics.median(ours):.0f} | {statistics.median(more):+.0f} "
                f"| {statistics.median(ratios):.3f} ({low:.3f}-{high:.3f}) |",
                flush=True,
            )


def main() -> int:
    """Make a database if none is named, then compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=["list", "detail"])
    parser.add_argument("--requests", type=int, default=40, help="in one block")
    parser.add_argument("--blocks", type=int, default=60, help="of each contender")
    options = parser.parse_args()
    if "BENCHMARK_DATABASE" in os.environ:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
        asyncio.run(_compare(options))
        return 0
    return with_database("benchmarks.overhead", sys.argv[1:], middleware="none")


def with_database(module: str, arguments: list[str], *, middleware: str) -> int:
    """Run a module in a process of its own that has a new database."""
    with tempfile.TemporaryDirectory() as folder:
        name = str(Path(folder) / "benchmarks.sqlite3")
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
        environment = os.environ | {
            "BENCHMARK_DATABASE": json.dumps(settings),
            "BENCHMARK_MIDDLEWARE": middleware,
        }
        subprocess.run(
            [sys.executable, "-m", "benchmarks.prepare"],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
