"""Tell what keeps a worker thread: what is around a call in sync code, or after it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from ..core.marks import mark_of
from ..core.source import FunctionTree, tree_of
from ..core.tailcalls import code_passes_on, tail_called

__all__ = ["Stop", "behind_decorators", "stop_of"]


@dataclass(frozen=True)
class Stop:
    """Why a function does not give its worker thread back, and the line."""

    what: str
    line: int


def stop_of(function: Any, call: ast.Call) -> Stop | None:
    """
    What keeps the worker thread in a function, after or around a call; None if nothing.

    Whether the thread is kept is decided as it is for a request: by the function's
    bytecode. The source only tells why.
    """
    called = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
    place = (call.lineno, call.end_lineno, call.col_offset, call.end_col_offset)
    if called and tail_called(function.__code__, place) == called:  # type: ignore[arg-type]  # the ends are there
        return None
    return _why(tree_of(function), call)


def behind_decorators(function: Any) -> tuple[Any, Stop | None]:
    """
    The function of a method, and the decorator of it that keeps the worker thread.

    A method that a class inherits, and has decorated, is that of its base: then what
    is found is marked as this package's.
    """
    stop = None
    while mark_of(function) is None and hasattr(function, "__wrapped__"):
        inner = function.__wrapped__
        if stop is None and not _passes_on(function, inner):
            name = getattr(function, "__qualname__", "").partition(".")[0]
            line = function.__code__.co_firstlineno
            stop = Stop(f"a decorator of {name}", line)
        function = inner
    return function, stop


def _passes_on(wrapper: Any, inner: Any) -> bool:
    """Whether a wrapper returns what it calls, as it is."""
    if not isinstance(wrapper, FunctionType):
        return False
    cells = {
        name: cell.cell_contents
        for name, cell in zip(
            wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=True
        )
    }
    if "decorators" in cells and "method" in cells:
        # Django's method_decorator() makes the wrapper in each request.
        decorators = cells["decorators"]
        return all(map(decorator_passes_on, decorators))
    names = [name for name, value in cells.items() if value is inner]
    return bool(names) and code_passes_on(wrapper.__code__, names[0])


def _why(tree: FunctionTree | None, call: ast.Call) -> Stop:
    line = call.lineno
    if tree is None:
        return Stop("work after the call", line)
    path = [*_path(tree, call)]
    for node in path:
        if isinstance(node, ast.With):
            return Stop(f"with {ast.unparse(node.items[0].context_expr)}", node.lineno)
        if isinstance(node, ast.Try):
            return Stop("try", node.lineno)
    statement = next(
        (node for node in reversed(path) if isinstance(node, ast.stmt)), tree
    )
    after = _following(tree, statement)
    if not isinstance(statement, ast.Return) and after is not None:
        first = ast.unparse(after).splitlines()[0]
        return Stop(first, after.lineno)
    return Stop(ast.unparse(statement).splitlines()[0], statement.lineno)


def _path(tree: ast.AST, wanted: ast.AST) -> Iterator[ast.AST]:
    """The nodes around one, the outermost first."""
    for child in ast.iter_child_nodes(tree):
        if any(node is wanted for node in ast.walk(child)):
            yield child
            yield from _path(child, wanted)


def _following(tree: FunctionTree, statement: ast.AST) -> ast.stmt | None:
    """The statement after one, in its block."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and statement in block:
                return next(iter(block[block.index(statement) + 1 :]), None)
    return None


def _decorated(*args: Any, **kwargs: Any) -> Any:
    """Stand for the view that a decorator decorates."""


def decorator_passes_on(decorator: Any) -> bool:
    """Whether the sync wrapper of a decorator returns what it calls, as it is."""
    code = getattr(decorator, "__code__", None)
    if not isinstance(decorator, FunctionType) or not isinstance(code, CodeType):
        return False
    if decorator.__module__.startswith("django."):
        # Django's decorators only wrap the function. Some call another decorator for
        # that.
        made = decorator(_decorated)
        return made is _decorated or _passes_on(made, _decorated)
    wrapped = code.co_varnames[0]
    inner = [
        one
        for one in code.co_consts
        if isinstance(one, CodeType)
        and wrapped in one.co_freevars
        and not one.co_flags & inspect.CO_COROUTINE
    ]
    return bool(inner) and all(code_passes_on(one, wrapped) for one in inner)
