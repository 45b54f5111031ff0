"""Find in the source of a function what waits in a thread, or makes hops of its own."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from ..core.source import tree_of
from ..trace import whose

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
_METHODS = ("delete", "get", "head", "options", "patch", "post", "put", "request")
# By module, functions that wait for a network, a clock or a process.
_WAITS = {
    "httpx": {*_METHODS, "Client", "stream"},
    "requests": {*_METHODS, "Session"},
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
    """
    The calls of a function that keep its thread while they wait.

    Also those of the project's functions that it calls: views call a service by way of
    a module of their own.
    """
    seen: set[Any] = set()
    todo = [function]
    while todo:
        function = todo.pop()
        function = inspect.unwrap(getattr(function, "__func__", function))
        # An attribute of a class may be anything, also what has no hash.
        if type(function) is not FunctionType or function in seen:
            continue
        seen.add(function)
        tree = tree_of(function)
        for node in () if tree is None else ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            space = function.__globals__
            if name := _waits(node.func, space):
                yield Found(name, function.__code__.co_filename, node.lineno)
            elif _is_projects(called := _called(node.func, space)):
                todo.append(called)


def _is_projects(called: Any) -> bool:
    """Whether something is a function of the project, not of a package."""
    if type(called) is not FunctionType:
        return False
    return whose(inspect.unwrap(called).__code__.co_filename) == "project"


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
    owner = _called(node.value, space) if isinstance(node, ast.Attribute) else None
    if isinstance(owner, ModuleType):
        module: Any = owner.__name__
    else:
        called = _called(node, space)
        # Of anything else, an attribute may run code of the project's.
        is_plain = isinstance(called, FunctionType | BuiltinFunctionType | type)
        module = called.__module__ if is_plain else None
    root = str(module).partition(".")[0]
    return f"{root}.{name}" if name in _WAITS.get(root, ()) else ""


def _called(node: ast.expr, space: dict[str, Any]) -> Any:
    """What `f`, `module.f` or `package.module.f` is; None for other expressions."""
    if isinstance(node, ast.Name):
        return space.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _called(node.value, space)
        return vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
    return None
