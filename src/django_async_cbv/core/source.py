"""Read the source of functions, without running them."""

from __future__ import annotations

import ast
import functools
import inspect
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
        # In a block, so that what is indented keeps its columns.
        block: Any = ast.parse(
            "if 1:\n" + "".join(lines) if lines[0][:1].isspace() else "".join(lines)
        )
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    is_indented = isinstance(block.body[0], ast.If)
    [tree, *rest] = block.body[0].body if is_indented else block.body
    if rest or not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    ast.increment_lineno(tree, first - (2 if is_indented else 1))
    return tree
