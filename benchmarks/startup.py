"""What a view costs before its first request, and what each request verifies.

    python -m benchmarks.startup [--rounds N] [--classes N] [--requests N]

Each view of `tests/catalogue.py` in turn: a subclass is made of Django's class and of
ours, and then once more with a call of its `as_view()`. Then the plan of a class is
verified, as each request does. All in one process, in alternating rounds. What counts
is processor time, so that what else the machine does matters less.

Writes table and samples to benchmarks/results/. The exit status is 1 where a limit is
passed.
"""

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.servers import pinned, processors

__all__ = ["main"]

# How many times as long as Django's classes ours may take, in the median.
MOST_OF_CLASS = 8
MOST_OF_AS_VIEW = 15
LIBRARIES = ("django", "asgiref")
# What is measured of each view.
WAYS = ("class, Django", "class, ours", "view, Django", "view, ours", "verified")


def main() -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--classes", type=int, default=10, help="of one measurement")
    parser.add_argument("--requests", type=int, default=500, help="of one measurement")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results"
    )
    options = parser.parse_args()

    # The catalogue's own: it has models of the tests.
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    places = processors()
    with pinned(places and places[0]):
        samples = _measure(options.rounds, options.classes, options.requests)
    results = {
        "environment": _environment(),
        "rounds": options.rounds,
        "samples": samples,
    }
    text, status = table(results)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "startup.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "startup.md").write_text(text)
    print(f"\n{text}\nWritten: startup.json, startup.md", flush=True)
    return status


def _measure(
    rounds: int, classes: int, requests: int
) -> dict[str, dict[str, list[float]]]:
    """
    Return the microseconds that each way took in each round, for each view.

    Every other round goes backwards. One more round, the first, does not count: all
    views of a project but the first few find what that has made.
    """
    from tests.catalogue import CATALOGUE

    samples: dict[str, dict[str, list[float]]] = {
        entry.name: {way: [] for way in WAYS} for entry in CATALOGUE
    }
    # Else each collection looks at all that Django has loaded.
    gc.collect()
    gc.freeze()
    for number in range(rounds + 1):
        for entry in CATALOGUE:
            ways = _ways(entry)
            for way in WAYS[:: -1 if number % 2 else 1]:
                times = requests if way == "verified" else classes
                found = _microseconds(ways[way], times)
                if number:
                    samples[entry.name][way].append(found)
        print(f"{number} of {rounds}", flush=True)
    return samples


def _ways(entry: Any) -> dict[str, Callable[[], object]]:
    from django_async_cbv.core.twins import plan_of

    def made(base: type) -> Any:
        return type("View", (base,), dict(entry.attributes))

    served = made(entry.ours)
    served.as_view()
    return {
        "class, Django": lambda: made(entry.django),
        "class, ours": lambda: made(entry.ours),
        "view, Django": lambda: made(entry.django).as_view(),
        "view, ours": lambda: made(entry.ours).as_view(),
        "verified": lambda: plan_of(served, verify=True),
    }


def _microseconds(way: Callable[[], object], times: int) -> float:
    """Return what one call takes, without the collection of what it leaves."""
    gc.collect()
    gc.disable()
    try:
        begin = time.process_time()
        for _ in range(times):
            way()
        return (time.process_time() - begin) / times * 1e6
    finally:
        gc.enable()


def table(results: dict[str, Any]) -> tuple[str, int]:
    """Return the table as Markdown, and 1 where a limit is passed, else 0."""
    environment = results["environment"]
    libraries = ", ".join(
        f"{name} {version}" for name, version in environment["libraries"].items()
    )
    lines = [
        "# Start-up, and the plan of a class",
        "",
        f"{results['rounds']} alternating rounds in one process on one processor. "
        "Medians, in microseconds of processor time. Each ratio is taken within one "
        "round.",
        "",
        f"{environment['implementation']} {environment['python']} on "
        f"{environment['system']} {environment['machine']}, "
        f"{environment['processors']} processors; {libraries}.",
        "",
        "| | class, Django | ours | ratio | class and `as_view()`, Django | ours "
        "| ratio | plan verified, a request |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = {name: _row(found) for name, found in results["samples"].items()}
    names = [f"`{name}`" for name in rows]
    middle = [statistics.median(column) for column in zip(*rows.values(), strict=True)]
    for name, row in zip([*names, "**median**"], [*rows.values(), middle], strict=True):
        cells = " | ".join(f"{one:.0f}" if one >= 20 else f"{one:.1f}" for one in row)
        lines.append(f"| {name} | {cells} |")
    lines += [
        "",
        "The formset views are compared with our own sync ones: Django has none.",
    ]
    passed = [
        _limit(lines, "A class", middle[2], MOST_OF_CLASS),
        _limit(lines, "A class and its `as_view()`", middle[5], MOST_OF_AS_VIEW),
    ]
    return "\n".join(lines) + "\n", int(any(passed))


def _row(found: dict[str, list[float]]) -> list[float]:
    row: list[float] = []
    for step in ("class", "view"):
        django, ours = found[f"{step}, Django"], found[f"{step}, ours"]
        ratios = [one / other for one, other in zip(ours, django, strict=True)]
        row += [statistics.median(one) for one in (django, ours, ratios)]
    return [*row, statistics.median(found["verified"])]


def _limit(lines: list[str], name: str, found: float, most: float) -> bool:
    passes = found > most
    kept = "**which it is not**" if passes else "as it is"
    lines += ["", f"{name}: {found:.1f} times Django's; to be at most {most}, {kept}."]
    return passes


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
