"""Read the source of functions, without running them."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from typing import Any

__all__ = ["FunctionTree", "tree_of"]

FunctionTree = ast.FunctionDef | ast.AsyncFunctionDef


def tree_of(function: Any) -> FunctionTree | None:
    """The source of a function; None for all else, and where there is no source."""
    if not inspect.isfunction(function):
        return None
    return _tree_of(inspect.unwrap(function))


@functools.lru_cache(maxsize=4096)
def _tree_of(function: Any) -> FunctionTree | None:
    try:
        lines, first = inspect.getsourcelines(function)
        [tree] = ast.parse(textwrap.dedent("".join(lines))).body
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    if not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    ast.increment_lineno(tree, first - 1)
    return tree
