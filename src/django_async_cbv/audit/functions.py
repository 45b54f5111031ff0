"""Find in the source of a function what waits in a thread, or makes hops of its own."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..core.source import tree_of

__all__ = [
    "HELPERS",
    "ORM",
    "Found",
    "blocking_calls",
    "is_in_loop",
    "last_name",
    "own_hops",
]

# Async methods of Django's ORM, sessions and authentication. Each makes a hop or more.
ORM = frozenset(
    {
        *("aadd", "aaggregate", "abulk_create", "abulk_update", "aclear", "acontains"),
        *("acount", "acreate", "adelete", "aearliest", "aexists", "aexplain"),
        *("afirst", "aget", "aget_or_create", "aget_object_or_404", "ain_bulk"),
        *("aget_list_or_404", "alast", "alatest", "arefresh_from_db", "aremove"),
        *("asave", "aset", "aupdate", "aupdate_or_create", "auser", "alogin"),
        *("alogout", "aauthenticate"),
    }
)
# Functions that run sync code in a worker thread.
HELPERS = frozenset(
    {"aatomic", "agather", "iterate", "run_sync", "sync_to_async", "to_async"}
)
# By module, functions that wait for a network, a clock or a process.
_WAITS = {
    "httpx": {"delete", "get", "head", "options", "patch", "post", "put", "request"},
    "requests": {"delete", "get", "head", "options", "patch", "post", "put", "request"},
    "smtplib": {"SMTP", "SMTP_SSL"},
    "subprocess": {"call", "check_call", "check_output", "run"},
    "time": {"sleep"},
    "urllib": {"urlopen"},
}


@dataclass(frozen=True)
class Found:
    """A call in a function: what it calls, and where it is written."""

    name: str
    file: str
    line: int
    is_repeated: bool = False


def blocking_calls(function: Any) -> Iterator[Found]:
    """The calls of a function that keep its thread while they wait."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    tree = tree_of(function)
    for node in () if tree is None else ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _waits(node.func, function.__globals__)
        if name:
            yield Found(name, function.__code__.co_filename, node.lineno)


def own_hops(function: Any) -> Iterator[Found]:
    """The hops that an async function of the user's makes by itself."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    tree = tree_of(function)
    for node in () if tree is None else ast.walk(tree):
        name = ""
        if isinstance(node, ast.AsyncFor):
            name = "async for"
        elif isinstance(node, ast.Call) and last_name(node.func) in ORM | HELPERS:
            name = last_name(node.func)
        if name and tree is not None:
            file = function.__code__.co_filename
            yield Found(name, file, getattr(node, "lineno", 0), is_in_loop(node, tree))


def is_in_loop(node: ast.AST, tree: ast.AST) -> bool:
    """Whether a part of a function runs several times."""
    loops = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.GeneratorExp)
    return any(
        node is inner
        for one in ast.walk(tree)
        if isinstance(one, loops)
        for inner in ast.walk(one)
    )


def last_name(node: Any) -> str:
    """The last name of `a.b.c` or `c`."""
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _waits(node: ast.expr, space: dict[str, Any]) -> str:
    """The name of a function that waits: `requests.get`."""
    name = last_name(node)
    match node:
        case ast.Name(id=one):
            value = space.get(one)
            module = getattr(value, "__module__", None)
        case ast.Attribute(value=ast.Name(id=one)):
            value = space.get(one)
            module = value.__name__ if isinstance(value, ModuleType) else None
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=one), attr=inner)):
            value = space.get(one)
            value = getattr(value, inner, None)
            module = value.__name__ if isinstance(value, ModuleType) else None
        case _:
            return ""
    root = str(module).partition(".")[0]
    return f"{root}.{name}" if name in _WAITS.get(root, ()) else ""
