"""Make tables of what was measured.

    python -m benchmarks.serve.report benchmarks/results/serve-sqlite3-age60.json

makes the tables anew from samples of `python -m benchmarks serve`.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serve.contenders import CONTENDERS, LIMITS, OURS, PAGES

__all__ = ["heading", "keep", "median", "quartiles", "rows", "serve"]

Samples = Sequence[dict[str, float]]


def median(samples: Samples, name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(sample[name] for sample in samples)


def ratios(others: Samples, ours: Samples, name: str) -> list[float]:
    """Return one figure of each round, as a multiple of ours in the same round."""
    return [other[name] / one[name] for other, one in zip(others, ours, strict=False)]


def quartiles(values: Sequence[float]) -> str:
    """Return the median, and the quartiles around it where there are some."""
    middle = statistics.median(values)
    if len(values) < 3:
        return f"{middle:.2f}"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def rows(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """Return a table as lines of Markdown; all columns but the first are numbers."""
    return [
        f"| {' | '.join(head)} |",
        f"|---|{'--:|' * (len(head) - 1)}",
        *(f"| {' | '.join(line)} |" for line in lines),
    ]


def heading(title: str, text: str, environment: dict[str, Any]) -> list[str]:
    """Return the first lines of a page of results."""
    versions = ", ".join(
        f"{name} {version}"
        for name, version in environment["libraries"].items()
        if version
    )
    return [
        f"# {title}",
        "",
        text,
        "",
        f"{environment['implementation']} {environment['python']} on "
        f"{environment['system']} {environment['machine']}, "
        f"{environment['processors']} processors; {versions}.",
        "",
    ]


def keep(folder: Path, stem: str, results: dict[str, Any], lines: list[str]) -> None:
    """Write samples and tables."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / f"{stem}.md").write_text("\n".join(lines).rstrip() + "\n")


def serve(results: dict[str, Any]) -> tuple[list[str], int]:
    """Return the tables of `serve`, and 1 where a limit is missed, else 0."""
    options, environment = results["options"], results["environment"]
    lines = heading(
        f"Servers and entry points: {environment['database']}, CONN_MAX_AGE "
        f"{options['age']}",
        f"At least {_rounds(results)} alternating rounds of {options['seconds']} s "
        f"each. The load is {options['connections']} clients by {options['load']} "
        "with persistent connections. Each server has one process with "
        f"{options['threads']} threads or workers. Django's ASGI entry point can't "
        "keep a connection for the next request: its CONN_MAX_AGE is 0. django-bolt "
        "always keeps its connections. The server has one processor, the load and the "
        "database have another. Figures are medians. A ratio compares "
        "two samples of the same round; it is followed by its quartiles. "
        "*Processor* is user and system time of all processes of the server, for one "
        "request.",
        environment,
    )
    verdicts: list[tuple[str, ...]] = []
    for page, samples in results["samples"].items():
        lines += [f"## {PAGES[page].title}", ""]
        ours = samples[OURS]
        lines += rows(
            (
                "",
                "processor, µs",
                "times ours",
                "requests/s",
                "times ours",
                "p50, ms",
                "p99, ms",
                "server busy",
                "load busy",
            ),
            (
                (
                    CONTENDERS[key].title,
                    f"{median(found, 'processor_ms') * 1000:,.0f}",
                    quartiles(ratios(found, ours, "processor_ms")),
                    f"{median(found, 'requests_per_second'):,.0f}",
                    quartiles(ratios(found, ours, "requests_per_second")),
                    f"{median(found, 'p50_ms'):.2f}",
                    f"{median(found, 'p99_ms'):.2f}",
                    f"{_busy(found):.0%}",
                    f"{median(found, 'generator_share'):.0%}",
                )
                for key, found in samples.items()
                if found
            ),
        )
        lines.append("")
        verdicts += _verdicts(page, samples, environment["database"], options["age"])
    if verdicts:
        lines += ["## What is expected", ""]
        head = ("", "how many times better ours is", "expected", "")
        lines += [*rows(head, verdicts), ""]
    for key, reason in results["missing"].items():
        lines += [f"{key} was left out: {reason}", ""]
    return lines, int(any(verdict[-1] != "yes" for verdict in verdicts))


def _rounds(results: dict[str, Any]) -> int:
    return min(
        len(found)
        for samples in results["samples"].values()
        for found in samples.values()
    )


def _busy(samples: Samples) -> float:
    """How much of its processor a server used."""
    return statistics.median(
        sample["processor_ms"] / 1000 * sample["requests_per_second"]
        for sample in samples
    )


def _verdicts(
    page: str, samples: dict[str, Samples], engine: str, age: int
) -> Iterable[tuple[str, ...]]:
    for limit in LIMITS:
        if limit.page != page or not samples.get(limit.against):
            continue
        if limit.engine not in {None, engine} or limit.age not in {None, age}:
            continue
        name = "processor_ms"
        found = ratios(samples[limit.against], samples[OURS], name)
        if limit.measure == "rate":
            name = "requests_per_second"
            found = ratios(samples[OURS], samples[limit.against], name)
        value = statistics.median(found)
        yield (
            f"{page}, {limit.measure}, {CONTENDERS[limit.against].title}",
            quartiles(found),
            f"{limit.at_least:.2f}",
            "yes" if value >= limit.at_least else "**no**",
        )


def main() -> int:
    """Write the tables anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve.report")
    parser.add_argument("samples", type=Path)
    path = parser.parse_args().samples
    results = json.loads(path.read_text())
    lines, status = serve(results)
    keep(path.parent, path.stem, results, lines)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
