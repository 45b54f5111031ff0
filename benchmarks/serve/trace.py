"""Measure what it costs to record hops: processor time of a request.

    python -m benchmarks trace [--pages list] [--middleware none] [--requests 40]

Each application is called in a loop in one process, in short blocks, in turn: while
nobody records; while other requests are recorded; with a recording of each request,
without and with what it awaits between the hops; and with a callback for each hop. The
exit status is 1 where a recording costs more than the tolerance in the median.
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any

from benchmarks.contenders import CONTENDERS, OURS, PAGES
from benchmarks.overhead import block, with_database

OFF = "nobody records"
PATHS = {"plain": "/ours/plain/"} | {
    key: CONTENDERS[OURS].path(PAGES[key]) for key in ("list", "detail")
}


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks trace", description=__doc__
    )
    parser.add_argument("--pages", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument(
        "--middleware", choices=["startproject", "none"], default="startproject"
    )
    parser.add_argument("--requests", type=int, default=40, help="in one block")
    parser.add_argument("--blocks", type=int, default=60, help="of each kind")
    parser.add_argument("--tolerance", type=float, default=3, help="percent")
    options = parser.parse_args(arguments)
    if "BENCHMARK_DATABASE" not in os.environ:
        command = ["trace", *arguments]
        return with_database("benchmarks", command, middleware=options.middleware)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    return asyncio.run(_compare(options))


_Act = Callable[[], Coroutine[Any, Any, tuple[float, float]]]


async def _compare(options: argparse.Namespace) -> int:
    from django.core.asgi import get_asgi_application as stock

    from django_async_cbv.asgi import get_asgi_application as ours
    from django_async_cbv.trace import Recording, keep_installed, on_hop

    empty = copy_context()

    async def with_wrappers(act: _Act) -> tuple[float, float]:
        # The wrappers stay in place, as a tool that records each request has them.
        stop = keep_installed()
        try:
            # After a change of the classes, Python specializes their code again.
            await asyncio.create_task(act(), context=empty.copy())
            # In a context without a recording.
            return await asyncio.create_task(act(), context=empty.copy())
        finally:
            stop()

    async def with_callback(act: _Act) -> tuple[float, float]:
        stop = on_hop(lambda hop: None)
        try:
            await act()
            return await act()
        finally:
            stop()

    async def without(act: _Act) -> tuple[float, float]:
        await act()
        return await act()

    kinds: dict[str, Any] = {
        OFF: without,
        "other requests are recorded": with_wrappers,
        "each request is recorded": with_wrappers,
        "each request, and what it awaits": with_wrappers,
        "each hop has a callback": with_callback,
    }
    worst = 1.0
    print("| | | µs | more | ratio (quartiles) |")
    print("|---|---|--:|--:|--:|")
    for name, application in (("stock", stock()), ("ours", ours())):

        async def recorded(
            *asked: Any,
            application: Callable[..., Awaitable[None]] = application,
            awaits: bool = False,
        ) -> None:
            recording = Recording(awaits=awaits)
            recording.start()
            try:
                await application(*asked)
            finally:
                recording.stop()

        async def passed_on(
            *asked: Any, application: Callable[..., Awaitable[None]] = application
        ) -> None:
            # What a coroutine around the application costs is not the recorder's.
            await application(*asked)

        served_by = {
            "each request is recorded": recorded,
            "each request, and what it awaits": partial(recorded, awaits=True),
        }

        for page in options.pages:
            found: dict[str, list[float]] = {kind: [] for kind in kinds}
            for number in range(-1, options.blocks):
                for kind in [*kinds][:: -1 if number % 2 else 1]:
                    served = served_by.get(kind, passed_on)
                    cost, _ = await kinds[kind](
                        lambda served=served, page=page: block(
                            served, PATHS[page], options.requests
                        )
                    )
                    if number >= 0:
                        found[kind].append(cost)
            for kind, costs in found.items():
                pairs = list(zip(costs, found[OFF], strict=True))
                ratios = [cost / off for cost, off in pairs]
                low, middle, high = statistics.quantiles(ratios, n=4)
                if kind != OFF:
                    worst = max(worst, middle)
                more = statistics.median(cost - off for cost, off in pairs)
                print(
                    f"| {name}, {page} | {kind} | {statistics.median(costs):.0f} "
                    f"| {more:+.0f} | {middle:.3f} ({low:.3f}-{high:.3f}) |",
                    flush=True,
                )
    return int(worst > 1 + options.tolerance / 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
