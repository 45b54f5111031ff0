"""Check what a project needs that is served by `django_async_cbv.asgi`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from importlib.util import find_spec
from threading import local
from typing import Any

from asgiref.local import Local
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import load_backend
from django.utils.module_loading import import_string

from ..core.connections import foreign_engines
from ..core.problems import Problem, where
from ..core.source import FunctionTree, tree_of
from .urlconf import messages

__all__ = ["check_entry_point", "entry_point"]

_ENTRY = "django_async_cbv.asgi"

# Databases for which a new connection costs a process, or a login over the network.
_COSTLY = frozenset({"mysql", "postgresql"})

# Methods of a middleware that Django calls while it serves a request.
_CALLED = (
    *("__call__", "__acall__", "process_request", "process_response", "process_view"),
    *("process_exception", "process_template_response"),
)
# Methods that change a container.
_CHANGES = frozenset(
    {
        *("add", "append", "appendleft", "clear", "difference_update", "discard"),
        *("extend", "extendleft", "insert", "intersection_update", "move_to_end"),
        *("pop", "popitem", "popleft", "remove", "reverse", "setdefault", "sort"),
        *("subtract", "symmetric_difference_update", "update"),
    }
)
# Classes that keep a value for each thread or task.
_LOCALS = frozenset({"Local", "local", "ContextVar"})


@checks.register(checks.Tags.async_support)
def check_entry_point(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """
    Report settings and middleware that do not fit the ASGI entry point.

    The check reads the source of the project's ASGI module, and does not import it. It
    reports nothing if the module does not call get_asgi_application() of this package.
    """
    options = entry_point()
    if options is None:
        return []
    middleware = [*_middleware()]
    has_sync_chain = options.get("sync_chain", True) is not False
    warnings = [*_new_connections(), *_stateful(middleware, has_sync_chain)]
    if has_sync_chain:
        warnings += _async_only(middleware)
    found = messages(checks.Warning, None, warnings)
    if options.get("release", "between") == "between":
        found += messages(checks.Info, None, _unknown_engines())
    return found


def entry_point() -> dict[str, Any] | None:
    """The options of the project's entry point that are constants; None without it."""
    for name in _asgi_modules():
        try:
            spec = find_spec(name)
            tree = ast.parse(spec.loader.get_source(name) or "")  # type: ignore[union-attr]
        except (AttributeError, ImportError, OSError, SyntaxError, ValueError):
            # There is no such module, or nobody can read it.
            continue
        if any(map(_imports_entry, ast.walk(tree))):
            return {
                keyword.arg: keyword.value.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and _last_name(node.func) == "get_asgi_application"
                for keyword in node.keywords
                if keyword.arg and isinstance(keyword.value, ast.Constant)
            }
    return None


def _asgi_modules() -> list[str]:
    """Where the application of the project may be written."""
    found = []
    if application := getattr(settings, "ASGI_APPLICATION", None):
        found.append(str(application).rpartition(".")[0])
    for setting in ("SETTINGS_MODULE", "ROOT_URLCONF"):
        package = getattr(settings, setting, None)
        while isinstance(package, str) and package:
            # For `config.settings.production`, look at config.settings.asgi and
            # config.asgi.
            package = package.rpartition(".")[0]
            found.append(f"{package}.asgi".lstrip("."))
    return list(dict.fromkeys(filter(None, found)))


def _imports_entry(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        names = {f"{node.module}.{alias.name}" for alias in node.names}
        return node.module == _ENTRY or _ENTRY in names
    return isinstance(node, ast.Import) and any(
        alias.name == _ENTRY for alias in node.names
    )


def _last_name(node: ast.expr) -> str:
    """The last name of `a.b.c` or `c`."""
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _new_connections() -> Iterator[Problem]:
    """Databases to which each request connects anew."""
    for alias, options in connections.settings.items():
        if options["CONN_MAX_AGE"] != 0 or options["OPTIONS"].get("pool"):
            continue
        try:
            vendor = load_backend(options["ENGINE"]).DatabaseWrapper.vendor
        except ImproperlyConfigured:
            # Django raises this error when it connects.
            continue
        if vendor in _COSTLY:
            yield Problem(
                "async_cbv.W010",
                f"DATABASES[{alias!r}] has CONN_MAX_AGE = 0. Django opens a new "
                "connection for each request, and one after each await of an async "
                "view",
                f"Set `CONN_MAX_AGE = 60` and `CONN_HEALTH_CHECKS = True` in "
                f"DATABASES[{alias!r}]. The connections then outlive a request, and "
                "so do session variables and advisory locks that your code leaves on "
                "them. If another pool gives you cheap connections, silence this "
                "warning.",
                ("settings",),
            )


def _unknown_engines() -> Iterator[Problem]:
    """Databases that have a request keep its worker thread while it awaits."""
    for alias, engine in foreign_engines().items():
        yield Problem(
            "async_cbv.W013",
            f"DATABASES[{alias!r}] has the ENGINE {engine!r}, which may keep the state "
            "of a request on its connection. A worker thread therefore waits in each "
            "await that comes after sync code",
            f"Set `ASYNC_CBV_STATELESS_ENGINES = [{engine!r}]` if the ENGINE keeps "
            "nothing for a request. Otherwise set `workers` of get_asgi_application() "
            "to the number of requests that await at the same time.",
            ("settings",),
        )


def _middleware() -> Iterator[tuple[str, Any]]:
    for path in settings.MIDDLEWARE:
        # Django reports a failed import.
        with suppress(ImportError):
            yield path, import_string(path)


def _async_only(middleware: list[tuple[str, Any]]) -> Iterator[Problem]:
    """Middleware without a sync mode that does what its async mode does."""
    for path, one in middleware:
        if not getattr(one, "sync_capable", True):
            reason = "has no sync mode"
        elif hasattr(one, "aprocess_request"):
            reason = "has an aprocess_request(), which its sync mode does not call"
        else:
            continue
        yield Problem(
            "async_cbv.W012",
            f"{path} {reason}. Django's async handler therefore serves the sync views "
            "too, and each of them costs more hops",
            "Decorate it with `@sync_and_async_middleware`, which gives it both modes. "
            "If you accept the hops, write `get_asgi_application(sync_chain=False)`.",
            (f"module {one.__module__}",),
        )


def _stateful(
    middleware: list[tuple[str, Any]], has_sync_chain: bool
) -> Iterator[Problem]:
    """Middleware that keeps on its instance what belongs to a request."""
    twice = ", and the async views have another one" if has_sync_chain else ""
    for path, cls in middleware:
        if not isinstance(cls, type):
            continue
        for klass, name, attribute in _kept(cls):
            yield Problem(
                "async_cbv.W011",
                f"{path}.{name}() lets one request read or lose the value of another: "
                f"it changes self.{attribute}. All worker threads share that instance"
                f"{twice}",
                f"Keep it on the request, for example "
                f"`request.{attribute.lstrip('_')} = ...`, or in Django's cache if "
                "requests share it.",
                (where(klass, name),),
            )


def _kept(cls: type) -> Iterator[tuple[type, str, str]]:
    """Each attribute that a request changes: its class, the method, its name."""
    methods = {
        name: (klass, tree)
        for klass in reversed(cls.__mro__)
        if klass.__module__.partition(".")[0] != "django"
        for name, function in vars(klass).items()
        if (tree := _tree(function)) is not None
    }
    own = {
        attribute for _, tree in methods.values() for attribute in _thread_locals(tree)
    }
    own |= {
        name
        for klass in cls.__mro__
        for name, value in vars(klass).items()
        if isinstance(value, (local, Local, ContextVar))
    }
    seen = set()
    for name in _reached(methods):
        klass, tree = methods[name]
        for attribute in dict.fromkeys(_changed(tree)):
            if attribute not in own and attribute not in seen:
                seen.add(attribute)
                yield klass, name, attribute


def _tree(function: Any) -> FunctionTree | None:
    """The source of a method that has a `self`."""
    tree = tree_of(function)
    if tree is None or not (tree.args.posonlyargs or tree.args.args):
        return None
    return tree


def _reached(methods: dict[str, Any]) -> list[str]:
    """The methods that run in a request; not those of __init__() alone."""
    found = [name for name in _CALLED if name in methods]
    for name in found:
        for node in ast.walk(methods[name][1]):
            called = node.attr if isinstance(node, ast.Attribute) else ""
            if called in methods and called not in found and called != "__init__":
                found.append(called)
    return found


def _changed(tree: FunctionTree) -> Iterator[str]:
    """The attributes of `self` that a method assigns to, or changes."""
    me = _first(tree)
    for node in _inside(tree):
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            if isinstance(node.ctx, (ast.Store, ast.Del)):
                yield from _attribute_of(me, node)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
                yield from _attribute_of(me, node.func.value)
            elif _last_name(node.func) in {"setattr", "delattr"} and node.args[1:]:
                match node.args[:2]:
                    case [ast.Name(id=name), ast.Constant(value=str(attribute))]:
                        if name == me:
                            yield attribute


def _inside(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a method, but for classes in it: their `self` is another."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef):
            yield node
            yield from _inside(node)


def _thread_locals(tree: FunctionTree) -> Iterator[str]:
    """The attributes of `self` that a method sets to something local to a thread."""
    me = _first(tree)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and _last_name(node.value.func) in _LOCALS
        ):
            for target in node.targets:
                yield from _attribute_of(me, target)


def _first(tree: FunctionTree) -> str:
    return [*tree.args.posonlyargs, *tree.args.args][0].arg


def _attribute_of(me: str, node: ast.expr) -> Iterator[str]:
    """Of `self.a`, `self.a.b` and `self.a[b]`: a."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        below = node.value
        if isinstance(below, ast.Name):
            if below.id == me and isinstance(node, ast.Attribute):
                yield node.attr
            return
        node = below
