"""Find in the source of a function what waits in a thread, or makes hops of its own."""

from __future__ import annotations

import ast
import inspect
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import resolve_name
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from django.core.mail import EmailMessage

from ..core.source import tree_of
from ..trace import whose

__all__ = [
    "HELPERS",
    "MAIL",
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
# The package whose functions have no async variants in Django.
MAIL = "django.core.mail"
# By module, functions that wait for a network, a clock or a process.
_WAITS = {
    MAIL: {"mail_admins", "mail_managers", "send_mail", "send_mass_mail"},
    f"{MAIL}.EmailMessage": {"send"},
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
        # An attribute of a class may be anything, also what has no hash.
        function = _written(todo.pop())
        if function is None or function in seen:
            continue
        seen.add(function)
        tree = tree_of(function)
        space = _names_of(function, tree)
        for node in () if tree is None else _here(tree):
            if not isinstance(node, ast.Call):
                continue
            if name := _waits(node.func, space):
                yield Found(name, function.__code__.co_filename, node.lineno)
            elif _is_projects(called := _called(node.func, space)):
                todo.append(called)


def _is_projects(called: Any) -> bool:
    """Whether something is a function of the project, not of a package."""
    function = _written(called) if type(called) is FunctionType else None
    return function is not None and (whose(function.__code__.co_filename) == "project")


# What runs a function that it is given in a thread.
_THREADS = {*HELPERS, "run_in_executor", "submit", "to_thread"}
_METHOD_TYPES = (MethodType, classmethod, staticmethod)
# Read in this way, an attribute runs no code of a subclass or of a metaclass.
_vars_of: Any = vars(ModuleType)["__dict__"].__get__
_module_of: Any = vars(type)["__module__"].__get__
_name_of: Any = vars(type)["__name__"].__get__


def _written(function: Any) -> Any:
    """The function under methods and decorators, or None; this runs none of them."""
    seen: list[Any] = []
    while all(function is not one for one in seen):
        seen.append(function)
        if issubclass(type(function), _METHOD_TYPES):
            function = function.__func__
            continue
        wrapped = inspect.getattr_static(function, "__wrapped__", None)
        if wrapped is None:
            return function if type(function) is FunctionType else None
        function = wrapped
    return None


def _names_of(function: Any, tree: Any) -> dict[str, Any]:
    """The global names of a function, and those that it imports."""
    code = function.__code__
    own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    space: dict[str, Any] = function.__globals__
    if tree is not None and own:
        space = {k: v for k, v in space.items() if k not in own} | dict(
            _imports(tree, space)
        )
        space |= dict.fromkeys(_messages(tree, space), _MESSAGE)
    return space


@dataclass(frozen=True)
class _Named:
    """What a function imports from a module that Python has not imported yet."""

    dotted: str


# Any instance of Django's class for an email, or of a subclass.
_MESSAGE = _Named(f"{MAIL}.EmailMessage")


def _messages(tree: ast.AST, space: dict[str, Any]) -> Iterator[str]:
    """The names to which a function assigns emails, and nothing else."""
    assigned = Counter(
        one.id
        for one in ast.walk(tree)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    )
    emails = Counter(
        target.id
        for one in ast.walk(tree)
        if isinstance(one, (ast.Assign, ast.AnnAssign, ast.NamedExpr))
        and isinstance(one.value, ast.Call)
        and _called(one.value, space) == _MESSAGE
        for target in (one.targets if isinstance(one, ast.Assign) else [one.target])
        if isinstance(target, ast.Name)
    )
    return (name for name, count in emails.items() if count == assigned[name])


def _imports(tree: ast.AST, space: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The names that a function imports itself, each with what it stands for."""
    for node in _here(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                # `import a.b` gives `a`, and `import a.b as c` gives `a.b`.
                dotted = one.name if one.asname else one.name.partition(".")[0]
                yield one.asname or dotted, _imported(dotted)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            package = space.get("__package__")
            if node.level and type(package) is str:
                # The code may name more parents than there are.
                with suppress(ImportError):
                    module = resolve_name(module, package)
            for one in node.names:
                yield one.asname or one.name, _imported(f"{module}.{one.name}")


def _imported(dotted: str) -> Any:
    """What a dotted name stands for. This imports nothing."""
    owner, _, name = dotted.rpartition(".")
    # A tool may have put another function in the place of one that waits.
    if _known(owner, name):
        return _Named(dotted)
    # Python, too, looks for an attribute first, and for a module then.
    if name in (names := _names_in(sys.modules.get(owner))):
        return names[name]
    module = sys.modules.get(dotted)
    return module if _is_module(module) else _Named(dotted)


def _is_module(value: Any) -> bool:
    # Not isinstance(), which asks a lazy object for its class, and makes it.
    return issubclass(type(value), ModuleType)


def _names_in(module: Any) -> dict[str, Any]:
    """The names of a module; none for all else."""
    return _vars_of(module) if _is_module(module) else {}


def _here(tree: ast.AST) -> Iterator[ast.AST]:
    """The parts of a function, but for inner functions that threads run."""
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and last_name(node.func) in _THREADS
    ]
    given = [one for call in calls for one in call.args]
    names = {one.id for one in given if isinstance(one, ast.Name)}
    todo = deque([tree])
    while todo:
        node = todo.popleft()
        yield node
        todo.extend(
            one
            for one in ast.iter_child_nodes(node)
            if not (isinstance(one, ast.Lambda) and one in given)
            and not (isinstance(one, ast.FunctionDef) and one.name in names)
        )


def own_hops(function: Any) -> Iterator[Found]:
    """The hops that an async function of the user's makes by itself."""
    function = _written(function)
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
    called = _called(node, space)
    module: Any = None
    name: Any = last_name(node)
    # Of anything else, an attribute may run code of the project's.
    if type(called) is _Named:
        module, _, name = called.dotted.rpartition(".")
    elif type(called) in {FunctionType, BuiltinFunctionType}:
        module, name = called.__module__, called.__name__
    elif issubclass(type(called), type):
        module, name = _module_of(called), _name_of(called)
    known = _known(module, name)
    if not known and isinstance(node, ast.Attribute):
        # A module of the table may show what another module defines.
        owner = _called(node.value, space)
        known = _known(_names_in(owner).get("__name__"), node.attr)
    return known


def _known(module: Any, name: str) -> str:
    """The name in the table of a function of a module; empty if there is none."""
    for known, names in _WAITS.items() if type(module) is str else ():
        if name in names and f"{module}.".startswith(f"{known}."):
            return f"{known}.{name}"
    return ""


def _called(node: ast.expr, space: dict[str, Any]) -> Any:
    """What `f`, `module.f` or `EmailMessage()` is; None for other expressions."""
    if isinstance(node, ast.Name):
        return space.get(node.id)
    if isinstance(node, ast.Call):
        cls = _called(node.func, space)
        # Their metaclasses run no code for this, because EmailMessage has none.
        is_email = issubclass(type(cls), type) and issubclass(cls, EmailMessage)
        return _MESSAGE if is_email else None
    if isinstance(node, ast.Attribute):
        owner = _called(node.value, space)
        if type(owner) is _Named:
            return _imported(f"{owner.dotted}.{node.attr}")
        names = _names_in(owner)
        if node.attr in names:
            return names[node.attr]
        # The function may import this submodule, when it runs.
        name = names.get("__name__")
        return _imported(f"{name}.{node.attr}") if type(name) is str else None
    return None
