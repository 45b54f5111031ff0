"""Put together what is known of each route, with the reasons."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.views.generic.base import View

from ..core.colours import both_colours
from ..core.hooks import (
    HOOKS,
    Override,
    is_async_function,
    is_library,
    is_of_a_framework,
)
from ..core.marks import Mark
from ..core.problems import where_written
from ..core.source import line_of
from ..core.twins import TwinMixin, plan_of
from ..views._function import ViewFunction
from .functions import MAIL, Found, blocking_calls, own_hops
from .hops import Prediction, is_inherited, predict
from .middleware import Chain, chain_of, djangos_hops, middleware
from .routes import Route, routes, urlconfs

__all__ = ["PROBLEMS", "Entry", "Reason", "Report", "Row", "chosen", "report", "shown"]

# Kinds of reasons that are problems.
PROBLEMS = {"blocking", "failed", "held", "unknown"}


_MAIL = (MAIL, f"{MAIL}.EmailMessage")
_CLIENT = "await an async client instead"
# By module, what an async function does instead of a call that waits.
_INSTEAD = {
    **dict.fromkeys(_MAIL, "use run_sync()"),
    "subprocess": "await asyncio.create_subprocess_exec() instead",
    "time": "await asyncio.sleep() instead",
}


@dataclass(frozen=True)
class Reason:
    """Why an entry costs what it does, and where that is written."""

    kind: str
    text: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Entry:
    """The hops of a view for some methods of HTTP."""

    methods: tuple[str, ...]
    # None if nobody knows.
    low: int | None
    # None if there is no upper limit.
    high: int | None
    # How many lines of the view make hops that these numbers leave out.
    own: int = 0
    reasons: tuple[Reason, ...] = ()

    def has(self, *kinds: str) -> bool:
        """Whether there is a reason of one of these kinds."""
        return any(reason.kind in kinds for reason in self.reasons)


@dataclass(frozen=True)
class Row:
    """A route, what it leads to, and what that costs."""

    route: str
    name: str
    urlconf: str
    # The dotted name of the class or function.
    view: str
    file: str
    line: int
    # "ours", "django", "function", "unknown" or "failed".
    kind: str
    colour: str
    entries: tuple[Entry, ...] = ()

    @property
    def is_failed(self) -> bool:
        """Whether Django cannot import what the route leads to."""
        return self.kind == "failed"

    def matches(self, pattern: str) -> bool:
        """Whether a pattern fits the route, its name or its view."""
        return any(fnmatch(one, pattern) for one in (self.route, self.name, self.view))

    @property
    def most(self) -> float:
        """The most hops that a request to it may cost."""
        return max(
            (
                math.inf if one.high is None else one.high
                for one in self.entries
                if one.low is not None
            ),
            default=-1,
        )


@dataclass(frozen=True)
class Report:
    """What `manage.py async_audit` prints."""

    rows: Sequence[Row] = ()
    stock: Chain = field(default_factory=lambda: Chain(()))
    ours: Chain = field(default_factory=lambda: Chain(()))
    # Why a middleware can't be imported.
    problems: dict[str, str] = field(default_factory=dict)
    djangos: int = 0


def report(more: Sequence[str] = ()) -> Report:
    """Look at all routes and middleware of the project, without calling any view."""
    found = middleware()
    return Report(
        rows=[_row(route) for route in routes(urlconfs(more))],
        stock=chain_of(found),
        ours=chain_of(found, is_ours=True),
        problems={one.path: one.problem for one in found if one.problem},
        djangos=djangos_hops(),
    )


def chosen(
    whole: Report,
    *,
    view: str | None = None,
    app: str | None = None,
    only_problems: bool = False,
    by_hops: bool = False,
) -> Report:
    """The rows of a report that are asked for, and those of failed imports."""
    rows = [
        row
        for row in whole.rows
        # Any view may be behind a URLconf that Django cannot import.
        if row.is_failed
        or (
            (view is None or row.matches(view))
            and (app is None or _is_of(row, app))
            and (not only_problems or any(one.has(*PROBLEMS) for one in row.entries))
        )
    ]
    if by_hops:
        rows.sort(key=lambda row: -row.most)
    return replace(whole, rows=rows)


def _is_of(row: Row, app: str) -> bool:
    package = apps.get_app_config(app).name
    return row.view.startswith(f"{package}.")


def _row(route: Route) -> Row:
    if route.problem:
        reason = Reason("failed", route.problem)
        entry = Entry(("any",), None, None, reasons=(reason,))
        return Row(
            *(route.path, route.name, route.urlconf, "", "", 0),
            kind="failed",
            colour="unknown",
            entries=(entry,),
        )
    view = route.view
    file, line = _place(view)
    is_async = iscoroutinefunction(route.callback)
    colour = "async" if is_async else "sync"
    try:
        kind, entries = _entries(route)
    except Exception as error:  # noqa: BLE001 - a view of theirs that is not as it seems
        reason = Reason("unknown", f"{type(error).__name__}: {error}", file, line)
        kind, entries = "unknown", [Entry(("any",), None, None, reasons=(reason,))]
    return Row(
        route.path,
        route.name,
        route.urlconf,
        _dotted(view),
        file,
        line,
        kind,
        colour,
        tuple(entries),
    )


def _entries(route: Route) -> tuple[str, list[Entry]]:
    view = route.view
    if isinstance(view, type) and issubclass(view, TwinMixin):
        return "ours", _of_ours(route)
    if isinstance(view, type) and issubclass(view, View):
        return "django", _of_djangos(route)
    if isinstance(view, FunctionType | MethodType):
        return "function", [_of_function(route)]
    reason = Reason("unknown", f"{_dotted(view)} is neither a class nor a function")
    if iscoroutinefunction(route.callback):
        entry = Entry(("any",), 0, None, reasons=(reason,))
    else:
        # Django's handler calls a sync view in one hop.
        entry = Entry(("any",), 1, 1, reasons=(reason,))
    return "unknown", [entry]


def _of_ours(route: Route) -> list[Entry]:
    cls = route.view
    found: dict[tuple[Any, ...], list[str]] = {}
    for method in _methods(cls):
        entry = _of_method(route, method)
        key = (entry.low, entry.high, entry.own, entry.reasons)
        found.setdefault(key, []).append(method)
    return [
        Entry(tuple(methods), low, high, own, reasons)
        for (low, high, own, reasons), methods in found.items()
    ]


def _methods(cls: Any) -> list[str]:
    """The methods of HTTP that a class has handlers for, but for OPTIONS."""
    names = [
        name
        for name in cls.http_method_names
        if hasattr(cls, name) or (name == "head" and hasattr(cls, "get"))
    ]
    return [name.upper() for name in names if name != "options"]


def _of_method(route: Route, method: str) -> Entry:
    cls = route.view
    is_sync = not iscoroutinefunction(route.callback)
    function = both_colours(route.callback)
    aliases = []
    if isinstance(function, ViewFunction) and not is_sync:
        aliases = function.atomic_aliases()
    prediction = predict(
        cls,
        method,
        route.initkwargs,
        kwargs=route.kwargs,
        transactions=len(aliases),
        in_sync_code=is_sync,
    )
    reasons = [*_reasons(cls, route, prediction, method)]
    return Entry(
        (method,),
        int(prediction.low),
        None if prediction.high == math.inf else int(prediction.high),
        len(prediction.own),
        tuple(reasons),
    )


def _reasons(
    cls: type, route: Route, prediction: Prediction, method: str
) -> Iterator[Reason]:
    plan = plan_of(cls)
    # Sorted, because they are a set.
    for name in sorted(plan.definitions.names()):
        for klass in plan.definitions.of(name):
            is_met = (klass, name) in prediction.reached
            if is_met or not is_async_function(vars(klass)[name]):
                yield from _override(klass, name, method)
    if prediction.lifted:
        names = ", ".join(sorted(prediction.lifted))
        yield Reason("lifted", f"on the event loop for it: {names}")
    for wait in prediction.waits:
        file, line = _split(where_written(wait.function))
        cause = " and ".join(wait.causes) or "async code"
        name = f"{wait.klass.__name__}.{wait.name}()"
        if wait.stop.what == "a sync hook":
            fix = f"make it `async def {HOOKS.get(wait.name, wait.name)}()`"
            text = f"{name} is sync, and a worker thread waits in it for {cause}; {fix}"
        else:
            text = (
                f"a worker thread waits in {name} for {cause}, as line "
                f"{wait.stop.line} keeps it: `{wait.stop.what}`"
            )
        yield Reason("held", text, file, line)
    if route.is_decorated and not iscoroutinefunction(route.callback):
        text = "a sync decorator calls the view in a worker thread"
        is_waiting = bool(plan.async_hooks) or plan.awaits(method)
        yield Reason("held" if is_waiting else "decorated", text)
    elif route.is_decorated:
        yield Reason("decorated", "its decorators may make hops of their own")
    yield from map(_own, prediction.own)
    for unknown in prediction.unknown:
        yield Reason("unknown", unknown)
    if prediction.form_is_unknown:
        yield Reason("form", "more if the form of an override validates with await")
    yield from _blocking(cls)


def _override(klass: type, name: str, method: str) -> Iterator[Reason]:
    """A hook or handler of the user's, with its colour and place."""
    handlers = {one.lower() for one in View.http_method_names}
    wanted = method.lower()
    if name in handlers - {wanted} and (name, wanted) != ("get", "head"):
        return
    value = vars(klass)[name]
    mark = getattr(value, "_twin", None)
    function = getattr(mark, "function", None) if mark else value
    if is_of_a_framework(klass) or function is None or is_library(klass):
        return
    if isinstance(mark, Override) and is_inherited(mark):
        return
    file, line = _split(where_written(function))
    if not line:
        return
    kind = "async" if is_async_function(value) else "sync"
    yield Reason(kind, f"{klass.__name__}.{name}", file, line)


def _blocking(cls: type) -> Iterator[Reason]:
    for klass in cls.__mro__:
        if is_of_a_framework(klass):
            continue
        for value in vars(klass).values():
            # An attribute of a class may be a lazy object, which is not to be made.
            mark = inspect.getattr_static(value, "_twin", None)
            function = mark.function if issubclass(type(mark), Mark) else None
            yield from _waiting_calls(value if function is None else function)


def _waiting_calls(function: Any) -> Iterator[Reason]:
    for call in blocking_calls(function):
        module, _, _ = call.name.rpartition(".")
        if is_async_function(function):
            said = f"blocks the event loop; {_INSTEAD.get(module, _CLIENT)}"
        elif module in _MAIL:
            # An async view that sends mail gains nothing.
            said = "waits in a thread: Django has no async mail"
        else:
            said = "waits in a thread: worth async"
        yield Reason("blocking", f"{call.name} {said}", shown(call.file), call.line)


def _own(own: Found) -> Reason:
    more = ", in a loop" if own.is_repeated else ""
    return Reason("own", f"{own.name}{more}", shown(own.file), own.line)


def _of_djangos(route: Route) -> list[Entry]:
    """A view that is not this package's: whole in a hop, or on the event loop."""
    cls = route.view
    try:
        is_async = bool(cls.view_is_async)
    except ImproperlyConfigured as error:
        reason = Reason("failed", str(error))
        return [Entry(("any",), None, None, reasons=(reason,))]
    reasons = [*_blocking(cls)]
    if not is_async or not iscoroutinefunction(route.callback):
        return [Entry(("any",), 1, 1, reasons=tuple(dict.fromkeys(reasons)))]
    own = [
        _own(one)
        for name in cls.http_method_names
        if (handler := getattr(cls, name, None)) is not None
        for one in own_hops(handler)
    ]
    return [Entry(("any",), 0, 0, len(own), tuple(dict.fromkeys([*own, *reasons])))]


def _of_function(route: Route) -> Entry:
    function = route.view
    is_async = iscoroutinefunction(route.callback)
    reasons = [*_waiting_calls(function)]
    own = [_own(one) for one in own_hops(function)] if is_async else []
    hops = 0 if is_async else 1
    return Entry(("any",), hops, hops, len(own), (*own, *reasons))


def _place(view: Any) -> tuple[str, int]:
    """Where a view is written."""
    if isinstance(view, MethodType):
        view = view.__func__
    if isinstance(view, type):
        file, line = line_of(view)
        return shown(file) if file else "", line
    if isinstance(view, FunctionType):
        code = inspect.unwrap(view).__code__
        return shown(code.co_filename), code.co_firstlineno
    return "", 0


def _split(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (shown(file), int(line)) if line.isdigit() else ("", 0)


def shown(file: str) -> str:
    """A file as it is printed: from its package on, or from the current folder on."""
    path = Path(file)
    parts = path.parts
    # These folders first, because an environment may be in the current folder.
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return "/".join(parts[parts.index(folder) + 1 :])
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return os.fspath(path)


def _dotted(view: Any) -> str:
    kind = view if isinstance(view, type | FunctionType | MethodType) else type(view)
    return f"{kind.__module__}.{kind.__qualname__}"
