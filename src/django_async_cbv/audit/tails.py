"""Tell what keeps a worker thread: what follows a call in sync code, or is around it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from ..core.source import FunctionTree, tree_of
from ..core.tailcalls import code_passes_on, passes_on

__all__ = ["Stop", "stop_of"]


@dataclass(frozen=True)
class Stop:
    """Why a function does not give its worker thread back, and the line."""

    what: str
    line: int


def stop_of(function: Any, name: str, call: ast.Call) -> Stop | None:
    """
    What keeps the worker thread in a function, after or around a call; None if nothing.

    Whether the thread is kept is decided as it is for a request: by the function's
    bytecode. The source only tells why.
    """
    function = inspect.unwrap(function)
    called = getattr(call.func, "attr", None) or getattr(call.func, "id", name)
    if not passes_on(function, called):
        return _why(tree_of(function), call)
    return None


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


def decorator_passes_on(decorator: Any) -> bool:
    """Whether the sync wrapper that a decorator makes returns what it calls, as it is."""
    code = getattr(decorator, "__code__", None)
    if not isinstance(decorator, FunctionType) or not isinstance(code, CodeType):
        return False
    wrapped = code.co_varnames[:1]
    inner = [
        one
        for one in code.co_consts
        if isinstance(one, CodeType)
        and set(wrapped) & {*one.co_freevars}
        and not one.co_flags & inspect.CO_COROUTINE
    ]
    return bool(inner) and all(code_passes_on(one, wrapped[0]) for one in inner)
