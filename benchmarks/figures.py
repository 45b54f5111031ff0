"""Make the figures and the measured tables of the documentation.

    python -m benchmarks.figures

makes them anew from benchmarks/results/. tests/test_figures.py compares them. A figure
is SVG that takes the colors of its page.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import contenders, report
from benchmarks.common import RESULTS
from benchmarks.serve import report as serve_report

__all__ = [
    "FOLDER",
    "MEASURED",
    "bars_of",
    "by_time",
    "lanes",
    "order",
    "results_of",
    "waiting",
]

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
COLORS = ("#2a7ae2", "#1a9c6b", "#d9822b")
# A phone shows it nearly as large as this.
WIDTH = 420


def _svg(height: int, title: str, parts: Iterable[str]) -> str:
    """Put parts into an image that is as wide as the text around it."""
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" '
            'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" '
            'font-size="13" fill="currentColor" '
            f'style="width: 100%; max-width: 540px; height: auto">',
            f"<title>{escape(title)}</title>",
            *parts,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, anchor: str = "start", **more: str) -> str:
    style = "".join(f' {name}="{value}"' for name, value in more.items())
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>'
        f"{escape(text)}</text>"
    )


def _line(x: float, y: float, to_x: float, to_y: float, style: str) -> str:
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" fill="none" {style}/>'


def waiting(results: dict[str, Any]) -> str:
    """Draw how many requests are answered, by whether a thread waits with them."""
    bars = (
        ("the thread serves others, 4 threads", "view", "uvicorn-ours 4 between"),
        ("the thread waits, 4 threads", "hook", "uvicorn-ours 4 between"),
        ("the thread waits, 40 threads", "hook", "uvicorn-ours 40 between"),
    )
    rates = [
        serve_report.median(
            results["cells"][cell]["samples"][key], "requests_per_second"
        )
        for _, cell, key in bars
    ]
    rows = [(title, rate) for (title, *_), rate in zip(bars, rates, strict=True)]
    return bars_of("Requests per second", rows)


def by_time(results: dict[str, Any]) -> str:
    """Draw how many requests are answered, by how long a service takes."""
    names = {
        "ours": "an async view, the entry point of this package",
        "stock": "an async view, Django's ASGI handler",
        "gthread": "a sync view, a WSGI server with 4 threads",
    }
    taken = results["samples"]
    rates = {
        key: [
            serve_report.median(one[key], "requests_per_second")
            for one in taken.values()
        ]
        for key in names
    }
    most = max(max(found) for found in rates.values())
    top, height, left, right = 84, 180, 8, WIDTH - 34
    step = (right - left) / (len(taken) - 1)
    bottom = top + height
    faint = 'stroke="currentColor" stroke-opacity="0.2"'
    parts = [_line(left, bottom, right, bottom, faint)]
    for place, milliseconds in enumerate(taken):
        x = left + place * step
        parts += [
            _line(x, top, x, bottom, faint),
            _text(x, bottom + 18, milliseconds, "middle"),
        ]
    parts.append(_text(left, bottom + 38, "milliseconds that the service takes"))
    for place, (key, label) in enumerate(names.items()):
        color = COLORS[place]
        points = [
            (left + number * step, bottom - rate / most * height)
            for number, rate in enumerate(rates[key])
        ]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts += [
            f'<rect x="0" y="{6 + 22 * place}" width="12" height="12" fill="{color}"/>',
            _text(20, 17 + 22 * place, label),
            f'<polyline points="{drawn}" fill="none" stroke="{color}" '
            'stroke-width="2.5"/>',
            _text(right + 4, points[-1][1] + 4, f"{rates[key][-1]:.0f}"),
            *(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
                for x, y in points
            ),
        ]
    return _svg(bottom + 46, "Requests per second", parts)


def bars_of(
    title: str,
    rows: Sequence[tuple[str, float]],
    limit: tuple[str, float] | None = None,
) -> str:
    """Draw a bar for each number, and a line at a limit."""
    most = max(number for _, number in rows)
    scale = (WIDTH - 50) / most
    parts = []
    for place, (label, number) in enumerate(rows):
        y, wide = 14 + 58 * place, number * scale
        parts += [
            _text(0, y, label),
            f'<rect x="0" y="{y + 8}" width="{wide:.1f}" height="24" rx="3" '
            f'fill="{COLORS[place]}"/>',
            _text(wide + 8, y + 25, f"{number:.0f}"),
        ]
    height = 14 + 58 * len(rows)
    if limit is not None:
        label, number = limit
        style = 'stroke="currentColor" stroke-dasharray="4 3"'
        parts += [
            _line(number * scale, 18, number * scale, height - 12, style),
            _text(number * scale, height + 2, label, "end"),
        ]
        height += 10
    return _svg(height, title, parts)


def order(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """
    Draw in which order Python finds two methods in the classes of a view.

    Args:
        title: The title of the figure.
        names: The sync and the async method, which heads a column each.
        rows: For each class its name, and for each method whether the class has it.
    """
    wide = 145
    left = WIDTH - len(names) * wide
    first = next(place for place, row in enumerate(rows) if row[-1])
    parts = [
        _text(left + (column + 0.5) * wide, 18, name, "middle")
        for column, name in enumerate(names)
    ]
    for place, (name, *found) in enumerate(rows):
        y = 34 + 46 * place
        parts.append(_text(0, y + 20, name))
        if place < first:
            label, color = "skipped", COLORS[2]
        elif place == first:
            label, color = "called first", COLORS[0]
        else:
            label, color = "called by super()", COLORS[1]
        for column, has_method in enumerate(found):
            x = left + column * wide
            if has_method:
                parts += [
                    f'<rect x="{x + 4}" y="{y}" width="{wide - 8}" height="30" rx="4" '
                    f'fill="{color}" fill-opacity="0.18" stroke="{color}"/>',
                    _text(x + wide / 2, y + 20, label, "middle"),
                ]
    return _svg(34 + 46 * len(rows), title, parts)


def lanes(title: str, names: Sequence[str], steps: Sequence[tuple[str, str]]) -> str:
    """Draw steps one below the other, each in its lane, and the way between them."""
    wide = WIDTH / len(names)
    middles = {name: (place + 0.5) * wide for place, name in enumerate(names)}
    height = 60 + 44 * len(steps)
    faint = 'stroke="currentColor" stroke-opacity="0.2"'
    parts = []
    for name, middle in middles.items():
        parts += [
            _text(middle, 18, name, "middle", **{"font-weight": "bold"}),
            _line(middle, 28, middle, height - 8, faint),
        ]
    before = None
    for number, (lane, label) in enumerate(steps):
        middle, y = middles[lane], 40 + 44 * number
        color = COLORS[list(names).index(lane)]
        if before is not None and before != lane:
            parts.append(
                _line(
                    middles[before],
                    y - 14,
                    middle,
                    y,
                    'stroke="currentColor" stroke-dasharray="4 3"',
                )
            )
        parts += [
            f'<rect x="{middle - wide * 0.42:.1f}" y="{y}" '
            f'width="{wide * 0.84:.1f}" height="30" rx="4" fill="{color}" '
            f'fill-opacity="0.18" stroke="{color}"/>',
            _text(middle, y + 20, label, "middle"),
        ]
        before = lane
    return _svg(height, title, parts)


def entry_points(results: dict[str, Any]) -> str:
    """Compare the processor time of a request with that of our entry point."""
    rows = []
    for key, title in (
        ("stock", "Django's ASGI entry point, Uvicorn"),
        ("gthread", "Gunicorn with threads (WSGI)"),
        ("granian_wsgi", "Granian (WSGI)"),
    ):
        ratios = [
            serve_report.ratios(found[key], found["ours"], "processor_ms")
            for found in (results["samples"][page] for page in _ENTRY_POINT_PAGES)
        ]
        rows.append((title, *(f"{statistics.median(one):.2f}" for one in ratios)))
    return _table(("", *_ENTRY_POINT_PAGES.values()), rows)


_ENTRY_POINT_PAGES = {
    "list": "list of 20 rows",
    "detail": "one object",
    "post": "form is sent",
    "plain": "plain async view",
}


def comparison(results: dict[str, Any]) -> str:
    """Compare the requests a second with those of a view by hand."""
    found = {
        page: {row.key: row for row in report.rows(samples)}
        for page, samples in results["samples"].items()
    }
    rows = []
    for key, title in (
        (contenders.BASELINE, "async view by hand, Uvicorn"),
        (contenders.OURS, "this package, Uvicorn"),
        ("sync_asgi", "Django's sync view, Uvicorn"),
        ("sync_wsgi", "Django's sync view, Gunicorn with threads"),
    ):
        ratios = [f"{found[page][key].ratio:.3f}" for page in ("list", "detail")]
        rows.append((title, *("1" if one == "1.000" else one for one in ratios)))
    return _table(("", "list of 20 rows", "one row"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([*serve_report.rows(head, rows), ""])


# What is made from results alone: its file, the results, the function.
MEASURED = {
    "waiting.svg": ("release", waiting),
    "waits.svg": ("waits", by_time),
    "entry-points.md": ("serve-sqlite3-age60", entry_points),
    "comparison.md": ("sqlite3", comparison),
}


def results_of(name: str) -> dict[str, Any]:
    """Read what one command has measured."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def main() -> None:
    """Make what is made from results alone."""
    for name, (source, make) in MEASURED.items():
        (FOLDER / name).write_text(make(results_of(source)), encoding="utf-8")


if __name__ == "__main__":
    main()
