"""Write a report as text, JSON, Markdown, or annotations for GitHub."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from .measure import Measured
from .middleware import Chain, Layer
from .report import PROBLEMS, Entry, Reason, Report, Row

__all__ = [
    "FORMATS",
    "VERSION",
    "annotation",
    "as_json",
    "hops_of",
    "measured",
    "rows_as_text",
    "written",
]

# The version of the JSON. It changes if a field goes away or gets another meaning.
VERSION = 1
FORMATS = ("text", "json", "github", "markdown")

_WIDTH = 80
_INDENT = 24
Style = Callable[[str, str], str]


def written(report: Report, form: str, style: Style = lambda _, text: text) -> str:
    """The report in one of the formats; `style` colors a text, by Django's names."""
    if form == "json":
        return json.dumps(as_json(report), indent=1)
    if form == "github":
        return "\n".join(_github(report))
    if form == "markdown":
        return "\n".join(_markdown(report))
    return "\n".join(_text(report, style))


def hops_of(entry: Entry) -> str:
    """The hops in a word or two: "1 hop", "1-3 hops", "unknown"."""
    if entry.low is None:
        return "unknown"
    if entry.high is None:
        said = f"{entry.low}+ hops"
    elif entry.low != entry.high:
        said = f"{entry.low}-{entry.high} hops"
    else:
        said = f"{entry.low} hop{'' if entry.low == 1 else 's'}"
    return f"{said} + own" if entry.own else said


def measured(found: Measured) -> str:
    """A request that was served: the hops one by one, and the prediction."""
    if found.low is None:
        said = "not predicted"
    elif found.high is None:
        said = f"predicted: {found.low} and more"
    else:
        said = f"predicted: {found.low}-{found.high}, the middleware included"
    head = f"{found.method} {found.url}: status {found.status}, {said}"
    return f"\n{head}\n{found.table}"


def rows_as_text(report: Report, style: Style) -> str:
    """The routes of the report, without its middleware and its numbers."""
    return "\n".join(_rows(report, style))


def _rows(report: Report, style: Style) -> Iterator[str]:
    for row in report.rows:
        yield from _row(row, style)
        for entry in row.entries:
            yield from _entry(entry, row.file, style)


def _text(report: Report, style: Style) -> Iterator[str]:
    yield from _rows(report, style)
    if report.stock.layers:
        yield ""
        yield from _layers(report, style)
    yield ""
    for line in _ends(report):
        yield from textwrap.wrap(line, _WIDTH)


def _row(row: Row, style: Style) -> Iterator[str]:
    place = f"{row.file}:{row.line}" if row.file else ""
    parts = [row.route or "(the root)", row.view, place]
    if row.kind == "function":
        parts.append(f"function, {row.colour}")
    parts = [one for one in parts if one]
    line = "  ".join([parts[0].ljust(_INDENT - 2), *parts[1:]]).rstrip()
    if len(line) <= _WIDTH:
        yield style("MIGRATE_HEADING", line)
        return
    for one in _cut(parts[0], ""):
        yield style("MIGRATE_HEADING", one)
    rest = "  ".join(parts[1:])
    for one in [rest] if len(rest) + 4 <= _WIDTH else parts[1:]:
        yield from _cut(one, "    ")


def _cut(text: str, indent: str) -> list[str]:
    """A name in lines that fit; it may have no place to break it at."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )


def _entry(entry: Entry, file: str, style: Style) -> Iterator[str]:
    head = f"  {', '.join(entry.methods):<11} {hops_of(entry)}"
    lines = [*_reasons(entry, file, style)]
    if len(head) < _INDENT and lines:
        head = f"{head.ljust(_INDENT)}{lines.pop(0)}"
    yield head
    for line in lines:
        yield f"{' ' * _INDENT}{line}"


# Kinds of reasons that share a line, each with the beginning of the line.
_JOINED = {"async": "async: ", "sync": "sync: ", "own": "+ own: "}


def _reasons(entry: Entry, file: str, style: Style) -> Iterator[str]:
    """The reasons; of what is written in the view's own file, the line alone."""
    for kind, head in _JOINED.items():
        found = [one for one in entry.reasons if one.kind == kind]
        if found:
            said = head + ", ".join(_at(one, file) for one in found)
            if kind == "sync" and (entry.low, entry.high) == (1, 1):
                said += "" if entry.has("async") else ", all in one hop"
            yield from _wrapped(said, style, "")
    for one in entry.reasons:
        if one.kind not in _JOINED:
            said = f"HELD: {_at(one, file)}" if one.kind == "held" else _at(one, file)
            yield from _wrapped(said, style, "WARNING" if one.kind in PROBLEMS else "")


def _at(reason: Reason, file: str = "") -> str:
    if not reason.file:
        return reason.text
    where = "" if reason.file == file else reason.file
    return f"{reason.text} ({where}:{reason.line})"


def _wrapped(text: str, style: Style, name: str) -> Iterator[str]:
    for line in textwrap.wrap(
        text, _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False
    ):
        yield style(name, line) if name else line


def _layers(report: Report, style: Style) -> Iterator[str]:
    heads = ("Middleware", "", "stock ASGI", "django_async_cbv.asgi")
    yield style("MIGRATE_HEADING", "{:<34}{:<11}{:<12}{}".format(*heads))
    for one, ours in zip(report.stock.layers, report.ours.layers, strict=True):
        if one.path in report.problems:
            yield style("WARNING", f"  {one.path}: {report.problems[one.path]}")
            continue
        kind = one.kind.upper() if one.kind == "sync only" else one.kind
        name = f"  {_short(one.path)} "
        line = f"{name:<34}{kind:<11}{_cost(one) + ' ':<12}{_cost(ours)}"
        yield style("WARNING", line) if one.holds else line
        if one.holds:
            yield "      a thread waits in it for the whole of each async view"


def _short(path: str) -> str:
    """A path that fits: of Django's, the class alone."""
    module, _, name = path.rpartition(".")
    return name if module.startswith("django.") or len(path) > 31 else path


def _cost(layer: Layer) -> str:
    said = "inline" if layer.is_inline else _hops(layer.hops)
    return f"{said} + own" if layer.is_own else said


def _hops(count: int) -> str:
    return _count(count, "hop")


def _count(number: int, name: str, plural: str = "s") -> str:
    return f"{number} {name}{'' if number == 1 else plural}"


def _ends(report: Report) -> Iterator[str]:
    stock, ours = report.stock, report.ours
    sync = stock.around_sync_view() + report.djangos
    yield (
        f"Each request also: {_hops(report.djangos)} of Django's own (signals, close), "
        "and 1 for a template response. With the middleware, an async view costs "
        f"{stock.hops + report.djangos} more under stock ASGI and {ours.hops} under "
        f"django_async_cbv.asgi. A sync view costs {sync} hops in all under stock "
        f"ASGI, and {ours.around_sync_view()} under django_async_cbv.asgi."
    )
    yield ""
    yield _summary(report)


def _summary(report: Report) -> str:
    numbers = _numbers(report)
    said = (
        f"{_count(numbers['routes'], 'route')}: {numbers['ours']} of this package, "
        f"{_count(numbers['django'], 'other class', 'es')}, "
        f"{_count(numbers['function'], 'function')}"
    )
    if other := numbers["unknown"] + numbers["failed"]:
        said += f", {other} unknown"
    said += f". HELD: {_count(numbers['held'], 'view')}."
    worst = max(report.rows, key=lambda row: row.most, default=None)
    if worst is not None and worst.most > 1:
        entry = max(
            (one for one in worst.entries if one.low is not None),
            key=lambda one: float("inf") if one.high is None else one.high,
        )
        name = worst.view.rpartition(".")[2]
        said += f" Worst: {name} {entry.methods[0]}, {hops_of(entry)}."
    return said


def _numbers(report: Report) -> dict[str, int]:
    kinds = ("ours", "django", "function", "unknown", "failed")
    return {
        "routes": len(report.rows),
        **{kind: sum(row.kind == kind for row in report.rows) for kind in kinds},
        "held": sum(any(one.has("held") for one in row.entries) for row in report.rows),
    }


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON. docs/how-to/tools/audit.md has the schema."""
    return {
        "version": VERSION,
        "routes": [_row_as_json(row) for row in report.rows],
        "middleware": [
            {
                "path": one.path,
                "kind": one.kind,
                "problem": report.problems.get(one.path),
                "stock": _layer_as_json(one),
                "ours": _layer_as_json(ours),
            }
            for one, ours in zip(report.stock.layers, report.ours.layers, strict=True)
        ],
        "chains": {
            "stock": _chain_as_json(report.stock, report.djangos),
            "ours": _chain_as_json(report.ours, 0),
        },
        "summary": _numbers(report),
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "route": row.route,
        "name": row.name,
        "urlconf": row.urlconf,
        "view": row.view,
        "file": row.file,
        "line": row.line,
        "kind": row.kind,
        "color": row.colour,
        "entries": [
            {
                "methods": [*entry.methods],
                "low": entry.low,
                "high": entry.high,
                "own": entry.own,
                "reasons": [vars(reason) for reason in entry.reasons],
            }
            for entry in row.entries
        ],
    }


def _layer_as_json(layer: Layer) -> dict[str, Any]:
    return {
        "hops": layer.hops,
        "template_response": layer.rendered,
        "inline": layer.is_inline,
        "holds": layer.holds,
        "own": layer.is_own,
    }


def _chain_as_json(chain: Chain, djangos: int) -> dict[str, Any]:
    return {
        "async_view": chain.hops + djangos,
        "sync_view": chain.around_sync_view() + djangos,
        "holds": chain.holds,
    }


def _github(report: Report) -> Iterator[str]:
    for row in report.rows:
        for entry in row.entries:
            for reason in entry.reasons:
                if reason.kind in PROBLEMS:
                    title = f"{row.view or row.route} {', '.join(entry.methods)}"
                    yield annotation(
                        "warning",
                        reason.text,
                        reason.file or row.file,
                        reason.line or row.line,
                        title,
                    )
    for layer in report.stock.layers:
        if layer.path in report.problems:
            yield annotation("warning", report.problems[layer.path], title=layer.path)
        elif layer.holds:
            text = "A thread waits in it for the whole of each async view."
            yield annotation("warning", text, title=layer.path)
    yield annotation("notice", _summary(report), title="async_audit")


def annotation(
    level: str, text: str, file: str = "", line: int = 0, title: str = ""
) -> str:
    """A line that GitHub shows at a file and line."""
    named = {"file": file, "line": str(line or ""), "title": title}
    said = ",".join(
        f"{name}={_escaped(value, ':,')}" for name, value in named.items() if value
    )
    return f"::{level} {said}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for one in f"%\r\n{more}":
        text = text.replace(one, f"%{ord(one):02X}")
    return text


def _markdown(report: Report) -> Iterator[str]:
    yield "| route | view | methods | hops | why |"
    yield "|---|---|---|---|---|"
    for row in report.rows:
        for entry in row.entries:
            why = "; ".join(
                f"{one.kind}: {_at(one)}" if one.kind in _JOINED else _at(one)
                for one in entry.reasons
            )
            cells = [
                f"`{row.route}`",
                f"`{row.view}`",
                ", ".join(entry.methods),
                hops_of(entry),
                why,
            ]
            yield f"| {' | '.join(map(_cell, cells))} |"
    if report.stock.layers:
        yield ""
        yield "| middleware | modes | stock ASGI | `django_async_cbv.asgi` |"
        yield "|---|---|---|---|"
        for one, ours in zip(report.stock.layers, report.ours.layers, strict=True):
            held = ", a thread waits in it" if one.holds else ""
            cells = [f"`{one.path}`", one.kind, f"{_cost(one)}{held}", _cost(ours)]
            yield f"| {' | '.join(map(_cell, cells))} |"
    yield from _ends(report)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
