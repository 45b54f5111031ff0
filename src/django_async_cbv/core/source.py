"""Read the source of functions and classes, without running them."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Mapping
from types import FunctionType
from typing import Any

__all__ = ["FunctionTree", "line_of", "tree_of"]

FunctionTree = ast.FunctionDef | ast.AsyncFunctionDef


def tree_of(function: Any) -> FunctionTree | None:
    """The source of a function; None for all else, and where there is no source."""
    if not inspect.isfunction(function):
        return None
    return _tree_of(inspect.unwrap(function))


def line_of(cls: type) -> tuple[str, int]:
    """The file and line where a class is written; empty if there is no source."""
    file = getattr(inspect.getmodule(cls), "__file__", None) or ""
    line = vars(cls).get("__firstlineno__") or _classes(file).get(cls.__qualname__)
    return (file, line) if line else ("", 0)


@functools.lru_cache(maxsize=4096)
def _tree_of(function: FunctionType) -> FunctionTree | None:
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    known = _functions(code.co_filename).get((code.co_name, code.co_firstlineno))
    return known or _read_alone(function)


def _read_alone(function: Any) -> FunctionTree | None:
    """The source of a function in a file that is more than a module, as a page is."""
    try:
        lines, first = inspect.getsourcelines(function)
        # The block keeps the columns of code that is indented.
        is_indented = lines[0][:1].isspace()
        before = "if 1:\n" if is_indented else ""
        block: Any = ast.parse(before + "".join(lines))
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    [tree, *rest] = block.body[0].body if is_indented else block.body
    if rest or not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    ast.increment_lineno(tree, first - (2 if is_indented else 1))
    return tree


@functools.lru_cache(maxsize=1024)
def _module(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None


@functools.lru_cache(maxsize=1024)
def _functions(file: str) -> Mapping[tuple[str, int], FunctionTree]:
    """The functions of a file, by name and first line, decorators included."""
    tree = _module(file)
    return {
        (node.name, min(one.lineno for one in (node, *node.decorator_list))): node
        for node in (() if tree is None else ast.walk(tree))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


@functools.lru_cache(maxsize=1024)
def _classes(file: str) -> Mapping[str, int]:
    """The lines of the classes of a file, by their qualified names."""
    found: dict[str, int] = {}
    tree = _module(file) if file else None
    todo = [] if tree is None else [("", tree.body)]
    while todo:
        before, body = todo.pop()
        for node in body:
            inner = f"{before}{getattr(node, 'name', '')}."
            if isinstance(node, ast.ClassDef):
                decorators = [one.lineno for one in node.decorator_list]
                found[inner[:-1]] = min([node.lineno, *decorators])
                todo.append((inner, node.body))
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                todo.append((f"{inner}<locals>.", node.body))
            elif isinstance(node, (ast.If, ast.Try)):
                todo.append((before, [*node.body, *node.orelse]))
    return found
