"""Make the table and the plot from the samples of a run.

    python -m benchmarks.report benchmarks/results/sqlite3.json

does so again for samples that were kept.
"""

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE, CONTENDERS, OURS, PAGES

__all__ = ["Row", "rows", "write"]


@dataclass(frozen=True)
class Row:
    """One contender on one page, over all rounds."""

    key: str
    requests_per_second: float
    # Of each round, against the baseline in the same round.
    ratios: list[float]
    p50_ms: float
    p99_ms: float
    # Of the server, for one request.
    processor_ms: float

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)


def rows(samples: dict[str, list[dict[str, float]]]) -> list[Row]:
    """Sum up the samples of one page."""
    baseline = [sample["requests_per_second"] for sample in samples[BASELINE]]
    return [
        Row(
            key,
            _median(found, "requests_per_second"),
            [
                sample["requests_per_second"] / base
                for sample, base in zip(found, baseline, strict=True)
            ],
            _median(found, "p50_ms"),
            _median(found, "p99_ms"),
            _median(found, "processor_ms"),
        )
        for key, found in samples.items()
    ]


def _median(samples: list[dict[str, float]], name: str) -> float:
    return statistics.median(sample[name] for sample in samples)


def write(results: dict[str, Any], folder: Path) -> int:
    """Write samples, table and plot; print the table; return the exit status."""
    stem = results["environment"]["database"]
    if results["options"]["middleware"] == "none":
        stem += "-no-middleware"
    (folder / f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n")
    text, status = table(results)
    (folder / f"{stem}.md").write_text(text)
    plot(results, folder / f"{stem}.png")
    print(f"\n{text}\nWritten: {stem}.json, {stem}.md, {stem}.png", flush=True)
    return status


def table(results: dict[str, Any]) -> tuple[str, int]:
    """Return the tables as Markdown, and 1 where our view is too slow, else 0."""
    tolerance = results["options"]["tolerance_percent"]
    lines = [*_preface(results), ""]
    status = 0
    for page, samples in results["samples"].items():
        facts = results["pages"][page]
        lines += [
            f"## {PAGES[page].title}",
            "",
            f"{facts['queries']} queries, {facts['bytes']:,} bytes.",
            "",
            "| | requests/s | ratio to the view by hand (lowest-highest) "
            "| p50, ms | p99, ms | processor, ms |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        for row in rows(samples):
            spread = f"{row.ratio:.3f} ({min(row.ratios):.3f}-{max(row.ratios):.3f})"
            if row.key == BASELINE:
                spread = "1"
            lines.append(
                f"| {CONTENDERS[row.key].title} | {row.requests_per_second:,.0f} "
                f"| {spread} | {row.p50_ms:.2f} | {row.p99_ms:.2f} "
                f"| {row.processor_ms:.2f} |"
            )
            if row.key == OURS:
                slow = row.ratio < 1 - tolerance / 100
                status |= slow
                verdict = "**slower by more than" if slow else "within"
                end = "**" if slow else ""
                summary = (
                    f"Ours is {verdict} {tolerance:g} %{end} of the view by hand, by "
                    f"the median of {len(row.ratios)} rounds."
                )
        lines += ["", summary, ""]
    for key, reason in results["missing"].items():
        lines += [f"{CONTENDERS[key].title} was left out: {reason}", ""]
    return "\n".join(lines), status


def _preface(results: dict[str, Any]) -> list[str]:
    environment, options = results["environment"], results["options"]
    versions = ", ".join(
        f"{name} {version}"
        for name, version in environment["libraries"].items()
        if version
    )
    middleware = {
        "startproject": "the middleware that startproject lists",
        "none": "no middleware",
    }
    place = ""
    if options["servers_on_one_processor"]:
        place = " Servers on one processor, the load on another."
    age = options["wsgi_conn_max_age"]
    kept = f"CONN_MAX_AGE {age} without ASGI. " if age else ""
    return [
        "# Results",
        "",
        f"{options['rounds']} rounds of {options['seconds']} s a contender and page, "
        f"{options['connections']} connections by {options['load']}; Gunicorn with one "
        f"worker of {options['gunicorn_threads']} threads, Uvicorn with one process; "
        f"{middleware[options['middleware']]}. {kept}Database: "
        f"{environment['database']}.{place} Medians; each ratio is taken within one "
        "round; the last column is the processor time of the server for one request.",
        "",
        f"{environment['implementation']} {environment['python']} on "
        f"{environment['system']} {environment['machine']}, "
        f"{environment['processors']} processors; {versions}.",
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw one panel a page: the ratio of each round, and the median."""
    from matplotlib.figure import Figure

    pages = list(results["samples"])
    figure = Figure(figsize=(9, 1 + 2.4 * len(pages)), layout="constrained")
    panels = figure.subplots(len(pages), squeeze=False)[:, 0]
    for panel, page in zip(panels, pages, strict=True):
        found = rows(results["samples"][page])[::-1]
        for place, row in enumerate(found):
            colour = {OURS: "tab:green", BASELINE: "tab:blue"}.get(row.key, "tab:grey")
            panel.barh(place, row.ratio, color=colour, alpha=0.45, height=0.7)
            panel.plot(
                row.ratios, [place] * len(row.ratios), "o", color=colour, markersize=3
            )
            panel.annotate(
                f"{row.ratio:.2f}  ({row.requests_per_second:,.0f}/s)",
                (max(row.ratios), place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        panel.axvline(1, color="tab:blue", linewidth=0.8)
        panel.set_yticks(
            range(len(found)),
            [CONTENDERS[row.key].title.replace("`", "") for row in found],
            fontsize=8,
        )
        panel.set_xlim(0, max(max(row.ratios) for row in found) * 1.22)
        panel.set_title(PAGES[page].title, fontsize=10, loc="left")
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(
        "Requests a second, as a ratio to the async view by hand (a dot is a round, "
        "a bar their median)",
        fontsize=8,
    )
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> int:
    """Write table and plot anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    parser.add_argument("samples", type=Path)
    options = parser.parse_args()
    return write(json.loads(options.samples.read_text()), options.samples.parent)


if __name__ == "__main__":
    sys.exit(main())
