"""Find out who calls a method of a view, and whether they await what it returns."""

from __future__ import annotations

import dis
import inspect
import itertools
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from django.conf import settings

from .hooks import is_library
from .marks import mark_of
from .tailcalls import start_of

__all__ = ["expects_awaitable", "is_called", "is_installed"]

# Code that calls one of these checks whether it has a coroutine.
_LOOKS = {
    "isasyncgen",
    "isasyncgenfunction",
    "isawaitable",
    "iscoroutine",
    "iscoroutinefunction",
}
# Names in a return annotation that promise something to await or to iterate over.
_PROMISES = (
    "AsyncGenerator",
    "AsyncIterable",
    "AsyncIterator",
    "Awaitable",
    "Coroutine",
)


def expects_awaitable(mro: tuple[type, ...], name: str, below: type) -> bool:
    """
    Whether a sync method may be overridden by an `async def`.

    `below`: the class with the sync method. Either its annotation says that what
    it returns is awaited. Or each call in the classes of the view awaits the
    result, or looks at it first, and there is such a call. Of an installed
    package only the package's own calls count, as others may not be seen here.
    """
    if _promises_awaitable(vars(below)[name]):
        return True
    found = False
    for klass in mro:
        for code in _codes(klass, name):
            looks = not _LOOKS.isdisjoint(code.co_names)
            for is_awaited in _uses(code, name):
                if not (is_awaited or looks):
                    return False
                found |= not is_installed(below) or is_installed(klass)
    return found


def is_called(mro: tuple[type, ...], name: str) -> bool:
    """Whether any class of a view, the library's aside, mentions one of its methods."""
    return any(
        name in (*code.co_names, *code.co_consts)
        for klass in mro
        for code in _codes(klass, name)
    )


def is_installed(cls: type) -> bool:
    """Whether a class is of Django or another installed package, not of the project."""
    root = cls.__module__.partition(".")[0]
    if root == "django":
        return True
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    # The project itself may be installed as a package.
    project = (getattr(settings, "ROOT_URLCONF", None), settings.SETTINGS_MODULE)
    if root in {str(one).partition(".")[0] for one in project}:
        return False
    return "site-packages" in file or "dist-packages" in file


def _promises_awaitable(method: Any) -> bool:
    function = inspect.unwrap(getattr(method, "__func__", method))
    try:
        promised = str(inspect.signature(function).return_annotation)
    except (NameError, TypeError, ValueError):  # a name for type checkers alone
        return False
    return any(name in promised for name in _PROMISES)


def _codes(klass: type, name: str) -> Iterator[CodeType]:
    """The code of a class's methods, but for the method `name`, which calls super()."""
    if is_library(klass):
        return
    for attribute, value in vars(klass).items():
        if attribute == name:
            continue
        mark = mark_of(value)
        for one in (
            getattr(mark, "function", None) or value,
            *(getattr(value, part, None) for part in ("fget", "fset", "func")),
        ):
            one = getattr(one, "__func__", one)  # noqa: PLW2901
            if isinstance(one, FunctionType):
                yield from _nested(inspect.unwrap(one))


def _nested(function: Any) -> Iterator[CodeType]:
    todo = [getattr(function, "__code__", None)]
    while todo:
        code = todo.pop()
        if isinstance(code, CodeType):
            yield code
            todo += code.co_consts


def _uses(code: CodeType, name: str) -> Iterator[bool]:
    """For each use of an attribute: whether the result of its call is awaited."""
    if name not in code.co_names:
        # django-braces calls getattr(self, "test_func").
        if name in code.co_consts and "getattr" in code.co_names:
            yield False
        return
    steps = list(dis.Bytecode(code))
    for place, step in enumerate(steps):
        if step.argval != name or not step.opname.startswith("LOAD_"):
            continue
        if step.opname == "LOAD_CONST" or step.opname.startswith("LOAD_GLOBAL"):
            continue
        yield _is_awaited(steps[place:])


def _is_awaited(steps: list[dis.Instruction]) -> bool:
    """Whether what the first step loads is called, and the result is awaited."""
    start = start_of(steps[0])
    for call, after in itertools.pairwise(steps[1:]):
        if call.opname.startswith("CALL") and start and start_of(call) == start:
            return after.opname in {"GET_AWAITABLE", "GET_AITER"}
    return False
