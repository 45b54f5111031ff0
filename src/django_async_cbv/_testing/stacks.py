"""What a stack on the event loop says: whose call it is, and if it is a finding."""

from __future__ import annotations

import functools
import sys
from asyncio.events import Handle
from asyncio.runners import Runner
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath
from types import CodeType, FrameType
from typing import NamedTuple, TypeAlias

from asgiref.sync import AsyncToSync

from ..core.naming import Place
from ..trace import line_of, original_of, side_of

__all__ = ["Line", "Stack", "lines_of", "read"]

#: The code, the line, and the module, as one sampled stack has them.
Line: TypeAlias = tuple[CodeType, int | None, str]

# Below them is who has begun the event loop, and not what it runs.
_ENDS = {
    Handle._run.__code__,
    Runner.run.__code__,
    original_of(AsyncToSync.__call__).__code__,
}
# What imports modules, prints tracebacks, traces, and runs tests.
_FROZEN = ("<frozen importlib", "<frozen zipimport", "<frozen linecache")
_MODULES = {"linecache", "tracemalloc"}
_TOOLS = {"_pytest", "blockbuster", "coverage", "debugpy", "pluggy"}
# What reads files once for a process and keeps them, and Django's pages of errors: the
# end of the file's path, and the function.
_ONCE = {
    ("django/contrib/auth/password_validation.py", "get_default_password_validators"),
    ("django/contrib/staticfiles/storage.py", "load_manifest"),
    ("django/core/mail/utils.py", "get_fqdn"),
    ("django/forms/renderers.py", "engine"),
    ("django/template/loaders/cached.py", "get_template"),
    ("django/template/utils.py", "__getitem__"),
    ("django/template/utils.py", "get_app_template_dirs"),
    ("django/utils/translation/trans_real.py", "check_for_language"),
    ("django/utils/translation/trans_real.py", "translation"),
    ("django/views/csrf.py", "csrf_failure"),
    ("django/views/debug.py", "technical_404_response"),
    ("django/views/debug.py", "technical_500_response"),
    ("jinja2/loaders.py", "load"),
    ("mimetypes.py", "init"),
    ("zoneinfo/_common.py", "load_tzdata"),
}
_ONCE_NAMES = {name for _, name in _ONCE}


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
        yield frame.f_code, frame.f_lineno, frame.f_globals.get("__name__") or "?"
        frame = frame.f_back


def read(
    lines: Iterable[Line], allowed: Collection[tuple[str, Iterable[str]]] = ()
) -> Stack | None:
    """
    Read a stack; None if it is no finding.

    `allowed`: the ends of files and the functions in which the call is fine.
    """
    found: dict[str, tuple[Line, str]] = {}
    functions = []
    is_once = is_asked_for = False
    for line in lines:
        code, _, module = line
        kind = _kind(code.co_filename, module)
        if kind == "tool" or _is_in(code, allowed):
            return None
        function = f"{module}:{code.co_qualname.rpartition('<locals>.')[2]}"
        functions.append(function)
        is_asked_for = is_asked_for or kind == "request"
        # Who sends a request does not block by it.
        if not is_asked_for or kind not in {"project", "package"}:
            found.setdefault(kind, (line, function))
        found.setdefault("innermost", (line, function))
        is_once = is_once or (
            code.co_name in _ONCE_NAMES and any(_is_at(code, *known) for known in _ONCE)
        )
    for kind in ("project", "package", "framework", "request", "innermost"):
        if kind in found:
            line, function = found[kind]
            innermost = found["innermost"][0]
            through = None if innermost is line else line_of(*innermost[:2])
            place = line_of(*line[:2])
            return Stack(place, through, function, tuple(functions), is_once)
    return None


@functools.cache
def _kind(file: str, module: str) -> str:
    package = module.partition(".")[0]
    if file.startswith(_FROZEN) or module in _MODULES:
        return "tool"
    if file.startswith("<"):
        # Methods of dataclasses and of named tuples are made from text.
        file = getattr(sys.modules.get(module), "__file__", None) or file
    is_installed = "-packages" in file
    if (is_installed and package in _TOOLS) or PurePath(file).name.startswith("pydevd"):
        return "tool"
    if package in sys.stdlib_module_names and side_of(file) is not None:
        return "library"
    return side_of(file) or ("package" if is_installed else "project")


def _is_in(code: CodeType, allowed: Iterable[tuple[str, Iterable[str]]]) -> bool:
    return any(
        code.co_name in names and _is_at(code, file, code.co_name)
        for file, names in allowed
    )


def _is_at(code: CodeType, file: str, name: str) -> bool:
    return code.co_name == name and code.co_filename.replace("\\", "/").endswith(file)
