"""A panel for django-debug-toolbar that shows the hops of a request."""

from __future__ import annotations

import functools
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine, Template
from django.utils.module_loading import import_string

from .blocking import Block, on_block
from .core.naming import Place
from .core.threads import loop_is_running
from .trace import Hop, Recording, Repeated, Span, keep_installed

try:
    import debug_toolbar
    from debug_toolbar.panels import Panel
except ModuleNotFoundError as error:
    if error.name != "debug_toolbar":
        raise
    raise ModuleNotFoundError(
        "HopsPanel needs django-debug-toolbar. Run "
        "`pip install 'django-async-cbv[debug-toolbar]'`.",
        name=error.name,
    ) from None

__all__ = ["HopsPanel"]

# The panel reports a line that asks for the same function more often.
TIMES = 5
# Percent of the time axis, so that bars of no time are visible too.
NARROWEST = 0.25

_TOOLBAR = str(Path(debug_toolbar.__file__).parent)
_TEMPLATES = Path(__file__).parent / "templates"


class HopsPanel(Panel):
    """
    Show the hops of each request in django-debug-toolbar.

    Add `"django_async_cbv.panels.HopsPanel"` to `DEBUG_TOOLBAR_PANELS`. The panel
    records from `DebugToolbarMiddleware` on: the view, and the middleware that comes
    after it in `MIDDLEWARE`. It keeps names and times, and never an argument.

    Needs `pip install django-async-cbv[debug-toolbar]`.

    Runs on:
        The caller's side. No hop.
    """

    is_async = True
    title = "Hops"
    template = "django_async_cbv/hops_panel.html"

    _recording: Recording | None = None
    _began = _ended = 0.0
    _blocked: list[dict[str, Any]]

    @property
    def nav_subtitle(self) -> str:
        """Say the number of hops and the time that the request took."""
        stats = self.get_stats()
        if not stats:
            return ""
        return f"{self._counted(stats)} in {stats['total']:.2f} ms"

    def _counted(self, stats: dict[str, Any]) -> str:
        count = stats["count"]
        return f"{count} hop{'' if count == 1 else 's'}"

    def enable_instrumentation(self) -> None:
        """Record from here on, in this request alone."""
        _listen()
        self._blocked = []
        _panels[self.toolbar.request] = self
        self._recording = Recording(awaits=True)
        self._began = time.perf_counter()
        self._recording.start()

    def disable_instrumentation(self) -> None:
        """Record no more."""
        if self._recording is not None:
            self._recording.stop()
            self._ended = time.perf_counter()

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        """Keep the names and the numbers for this page, and for the history."""
        recording, self._recording = self._recording, None
        if recording is None:
            return
        stats = _stats(recording, self._began, self._ended)
        stats["in_worker"] = isinstance(request, ASGIRequest) and not loop_is_running()
        stats["blocked"] = self._blocked
        self.record_stats(stats)

    def hear(self, block: Block) -> None:
        """Add what blocked the event loop, also if the response is made already."""
        self._blocked.append(
            {
                "function": _place(block.hook),
                "call": _place(block.call),
                "took": _ms(block.duration),
            }
        )
        if self.get_stats():
            self.record_stats({})

    def generate_server_timing(
        self, request: HttpRequest, response: HttpResponse
    ) -> None:
        """Send the number of hops to the browser's developer tools."""
        if stats := self.get_stats():
            self.record_server_timing(
                "hops", self._counted(stats), stats["wait"] + stats["run"]
            )

    @property
    def content(self) -> str:
        """The tables, from what is stored of the request."""
        stats = self.get_stats()
        return _template(self.template).render(
            # SVG and CSS use these numbers too, and need a decimal point.
            Context(stats | _drawn(stats), use_l10n=False)
        )


@functools.cache
def _listen() -> list[Callable[[], None]]:
    """From the first request on, leave the wrappers in place, and hear of blocks."""
    return [keep_installed(), on_block(_hear)]


# The panels of requests that still run. A detector reports a block after the block.
_panels: weakref.WeakKeyDictionary[HttpRequest, HopsPanel] = weakref.WeakKeyDictionary()


def _hear(block: Block) -> None:
    if block.kind == "blocked" and block.request is not None:
        panel = _panels.get(block.request)
        if panel is not None:
            panel.hear(block)


@functools.cache
def _template(name: str) -> Template:
    """The panel's template, whatever TEMPLATES and INSTALLED_APPS are."""
    return Engine(dirs=[str(_TEMPLATES)]).get_template(name)


# -- What is stored ----------------------------------------------------------------


def _stats(recording: Recording, began: float, ended: float) -> dict[str, Any]:
    """Names and milliseconds of a recording, as JSON takes them."""
    ours, toolbar, rows = [], [], []
    middleware: dict[str, list[dict[str, Any]]] = {}
    for hop in recording.hops:
        row = _hop_row(hop, began)
        if _is_toolbars(hop):
            toolbar.append(row)
            continue
        ours.append(row)
        row["number"] = len(ours)
        if (name := _middleware_of(hop)) is not None:
            middleware.setdefault(name, []).append(row)
        else:
            rows.append(row)
    for kind in ("awaited", "threads", "held"):
        rows += [_span_row(kind, span, began) for span in getattr(recording, kind)]
    rows.sort(key=lambda row: float(row["at"]))
    return {
        "count": len(ours),
        "total": _ms(ended - began),
        "wait": _sum(ours, "wait"),
        "run": _sum(ours, "run"),
        "held": len(recording.held),
        "rows": rows,
        "middleware": [
            {
                "name": name,
                "rows": found,
                "wait": _sum(found, "wait"),
                "run": _sum(found, "run"),
            }
            for name, found in middleware.items()
        ],
        "toolbar": toolbar,
        "repeated": [
            {
                "function": _place(one.function),
                "asked_by": _place(one.asked_by),
                "count": one.count,
            }
            for one in recording.repeated(TIMES)
            if not _is_toolbars(one)
        ],
    }


def _hop_row(hop: Hop, began: float) -> dict[str, Any]:
    return {
        "kind": "hop",
        "function": _place(hop.function),
        "asked_by": _place(hop.asked_by),
        "at": _ms(hop.asked - began),
        "wait": _ms(hop.wait),
        "run": _ms(hop.run),
        "resume": _ms(hop.resume),
        "error": hop.error,
        "cancelled": hop.cancelled,
    }


def _span_row(kind: str, span: Span, began: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "function": _place(span.function),
        "asked_by": _place(span.asked_by),
        "at": _ms(span.began - began),
        "took": _ms(span.seconds),
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"name": place.name, "where": place.where, "file": place.file}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 4)


def _sum(rows: Iterable[dict[str, Any]], key: str) -> float:
    return round(sum(row[key] or 0 for row in rows), 4)


# -- Whose a hop is ------------------------------------------------------------------


def _is_toolbars(hop: Hop | Repeated) -> bool:
    """Whether the toolbar made a hop for itself."""
    return any(
        place is not None and (place.file or "").startswith(_TOOLBAR)
        for place in (hop.function, hop.asked_by)
    )


def _middleware_of(hop: Hop) -> str | None:
    """The dotted name of the middleware that a hop belongs to, if any."""
    found = _middleware(tuple(settings.MIDDLEWARE))
    for place in (hop.function, hop.asked_by):
        if place is None or place.file is None:
            continue
        for path, name, files, lines in found:
            if place.file not in files:
                continue
            if name is None:
                if place.line in lines:
                    return path
            elif place.name == name or place.name.startswith(f"{name}."):
                return path
    return None


@functools.lru_cache(maxsize=4)
def _middleware(
    paths: tuple[str, ...],
) -> list[tuple[str, str | None, set[str], range]]:
    """Each middleware: its class's name and files, or its function's file and lines."""
    found: list[tuple[str, str | None, set[str], range]] = []
    for path in paths:
        try:
            one = import_string(path)
        except ImportError:
            continue
        if isinstance(one, type):
            modules = [sys.modules.get(cls.__module__) for cls in one.__mro__]
            files = {str(getattr(module, "__file__", None)) for module in modules}
            found.append((path, one.__qualname__, files, range(0)))
            continue
        while (inner := getattr(one, "__wrapped__", None)) is not None:
            one = inner
        if type(one) is FunctionType:
            code = one.__code__
            lines = range(code.co_firstlineno, max(_lines(code)) + 1)
            found.append((path, None, {code.co_filename}, lines))
    return found


def _lines(code: CodeType) -> Iterator[int]:
    """All lines of a function, and of those in it."""
    yield code.co_firstlineno
    for _, _, line in code.co_lines():
        if line is not None:
            yield line
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _lines(inner)


# -- What is drawn --------------------------------------------------------------------

# Colors of the parts of a hop in their order, and of other spans.
_PARTS = {"wait": "#f0ad4e", "run": "#5cb85c", "resume": "#aaaaaa"}
_COLORS = {"awaited": "#5bc0de", "threads": "#8e7cc3", "held": "#d9534f"}


def _drawn(stats: dict[str, Any]) -> dict[str, Any]:
    """What the template adds to the stored numbers: bars on one time axis."""
    total = stats["total"] or 1
    return {
        "colors": _PARTS | _COLORS,
        "rows": [{**row, "bars": _bars([row], total)} for row in stats["rows"]],
        "middleware": [
            {**one, "bars": _bars(one["rows"], total)} for one in stats["middleware"]
        ],
        "middleware_count": sum(len(one["rows"]) for one in stats["middleware"]),
    }


def _bars(rows: Iterable[dict[str, Any]], total: float) -> list[dict[str, Any]]:
    bars = []
    for row in rows:
        at = row["at"]
        if row["kind"] == "hop":
            parts = [(row[part], color) for part, color in _PARTS.items()]
        else:
            # A span that has not ended reaches to the end of the axis.
            took = total - at if row["took"] is None else row["took"]
            parts = [(took, _COLORS[row["kind"]])]
        for length, color in parts:
            if length is not None:
                width = max(length / total * 100, NARROWEST)
                start = min(at / total * 100, 100 - NARROWEST)
                bars.append(
                    {"x": round(start, 3), "width": round(width, 3), "fill": color}
                )
                at += length
    return bars
