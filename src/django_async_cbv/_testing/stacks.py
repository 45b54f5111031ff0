"""What a stack on the event loop says: whose call it is, and if it is a finding."""

from __future__ import annotations

import functools
import sys
from asyncio.events import Handle
from asyncio.runners import Runner
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath
from types import FrameType
from typing import NamedTuple, TypeAlias

from asgiref.sync import AsyncToSync

from ..core.naming import Place
from ..trace import is_framework, original_of, place_at, whose

__all__ = ["Line", "Stack", "lines_of", "lines_of_places", "read"]

#: A line of a function, and its module.
Line: TypeAlias = tuple[Place, str]

# The frames below these belong to the code that started the event loop.
_ENDS = {
    Handle._run.__code__,
    Runner.run.__code__,
    original_of(AsyncToSync.__call__).__code__,
}
# Modules that import code and print tracebacks, and modules that run and trace tests.
_FROZEN = ("<frozen importlib", "<frozen zipimport", "<frozen linecache")
_MODULES = {"linecache", "tracemalloc"}
_TOOLS = {"_pytest", "blockbuster", "coverage", "debugpy", "pluggy"}
_OURS = ("django_async_cbv._blocking", "django_async_cbv._testing")
# Functions that read a file once in a process, and those of Django's error pages. Each
# has the end of its file's path.
_ONCE = {
    "django/contrib/auth/password_validation.py": {"get_default_password_validators"},
    "django/contrib/staticfiles/storage.py": {"load_manifest"},
    "django/core/handlers/base.py": {"load_middleware"},
    "django/core/mail/utils.py": {"get_fqdn"},
    "django/forms/renderers.py": {"engine"},
    "django/template/loaders/cached.py": {"get_template"},
    "django/template/utils.py": {"__getitem__", "get_app_template_dirs"},
    "django/utils/translation/trans_real.py": {"check_for_language", "translation"},
    "django/views/csrf.py": {"csrf_failure"},
    "django/views/debug.py": {"technical_404_response", "technical_500_response"},
    "jinja2/loaders.py": {"load"},
    "mimetypes.py": {"init"},
    "zoneinfo/_common.py": {"load_tzdata"},
}.items()


class Stack(NamedTuple):
    """What blocks, and for whom."""

    #: The nearest line of the project's; else of a package's, or of Django's.
    place: Place
    #: The line that blocks, unless it is that one.
    through: Place | None
    #: The function of the place, as `allow()` takes it.
    function: str
    #: All functions in it.
    functions: tuple[str, ...]
    #: Whether it reads what is kept for the next time.
    is_once: bool


def lines_of(frame: FrameType | None) -> Iterator[Line]:
    """A stack from the innermost line to where the event loop calls it."""
    while frame is not None and frame.f_code not in _ENDS:
        place = place_at(frame.f_code, frame.f_lineno)
        yield place, frame.f_globals.get("__name__") or "?"
        frame = frame.f_back


def read(
    lines: Iterable[Line], allowed: Collection[tuple[str, Iterable[str]]] = ()
) -> Stack | None:
    """
    Read a stack; None if it is no finding.

    `allowed`: the ends of files and the functions in which the call is fine.
    """
    found: dict[str, Line] = {}
    functions = []
    is_once = is_asked_for = False
    for line in lines:
        place, module = line
        kind = _kind(place.file or "?", module)
        if kind == "tests" and not {"project", "package"} & found.keys():
            kind = "tool"
        if kind == "tool" or _is_in(place, allowed):
            return None
        functions.append(f"{module}:{place.name}")
        is_asked_for = is_asked_for or kind == "request"
        # The code that sends a request is not the code that blocks.
        if not is_asked_for or kind not in {"project", "package"}:
            found.setdefault(kind, line)
        found.setdefault("innermost", line)
        is_once = is_once or _is_in(place, _ONCE)
    for kind in ("project", "package", "framework", "request", "innermost"):
        if kind in found:
            place, module = found[kind]
            innermost, _ = found["innermost"]
            through = None if innermost == place else innermost
            function = f"{module}:{place.name}"
            return Stack(place, through, function, tuple(functions), is_once)
    return None


@functools.cache
def _kind(file: str, module: str) -> str:
    package = module.partition(".")[0]
    if file.startswith(_FROZEN) or module in _MODULES:
        return "tool"
    if file.startswith("<"):
        # Python compiles methods of dataclasses and named tuples from text, without a
        # file.
        file = getattr(sys.modules.get(module), "__file__", None) or file
    side = whose(file)
    if (
        module.startswith(_OURS)
        or (side == "package" and package in _TOOLS)
        or PurePath(file).name.startswith("pydevd")
    ):
        return "tests"
    if package in sys.stdlib_module_names and is_framework(file):
        return "library"
    return side


def _is_in(place: Place, functions: Iterable[tuple[str, Iterable[str]]]) -> bool:
    """Whether one of some functions has a line: each by the end of its file."""
    name = place.name.rpartition(".")[2]
    file = (place.file or "").replace("\\", "/")
    return any(name in names and file.endswith(end) for end, names in functions)


def lines_of_places(places: Iterable[Place]) -> Iterator[Line]:
    """The same of a stack that has no frames any more, innermost first."""
    for place in places:
        yield place, _module_of(place.file)


@functools.cache
def _module_of(file: str | None) -> str:
    modules = [*sys.modules.items()]
    return next((one for one, it in modules if getattr(it, "__file__", 0) == file), "?")
