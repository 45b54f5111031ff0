"""Name a function as its author knows it: without a call of it, or of its repr()."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import Context
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, NamedTuple, TypeAlias, TypeVar

__all__ = [
    "Place",
    "Unnamed",
    "name_of",
    "place_of",
    "runs_beside_others",
    "shows",
    "unnamed",
]

_F = TypeVar("_F", bound=Callable[..., Any])

# A limit, because a function may wrap itself.
_DEPTH = 100
# The name of each job of this package.
_SHOWN: dict[Any, str | Callable[..., Any]] = {}
# The jobs of this package that run at the same time as others of their kind.
_BESIDE: set[Any] = set()


class Place(NamedTuple):
    """
    A function and where it stands in the code.

    `file` and `line` are None for what is written in C.
    """

    name: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = self.where
        return f"{self.name}, {where}" if where else self.name

    @property
    def where(self) -> str:
        """The file as an import would find it, and the line."""
        if self.file is None:
            return ""
        return _short(self.file) + ("" if self.line is None else f":{self.line}")


def shows(
    what: str | Callable[..., Any], *, beside_others: bool = False
) -> Callable[[_F], _F]:
    """
    Have a function that runs something else be named as that.

    `what`: a name, or a function that gets the arguments and gives what runs.
    `beside_others`: whether runs_beside_others() is to find it.
    """

    def register(function: _F) -> _F:
        _SHOWN[function] = what
        if beside_others:
            _BESIDE.add(function)
        return function

    return register


# A plain function and the class of its method. The name is made later, because that
# takes longer.
Unnamed: TypeAlias = tuple[FunctionType, type | None]


def unnamed(func: Any) -> Unnamed | None:
    """What name_of() names later, without the object; None of what is not plain."""
    owner = None
    if type(func) is MethodType:
        owner = _class_of(func.__self__)
        func = func.__func__
    if type(func) is not FunctionType or func.__dict__ or func in _SHOWN:
        return None
    return func, owner


def name_of(found: Unnamed) -> Place:
    """The place of a plain function."""
    function, owner = found
    return _described(function, owner, ())


def place_of(func: Any, args: tuple[Any, ...] = ()) -> Place:
    """
    The function that a call comes to, behind partials, methods and decorators.

    Only types are asked, and attributes that no code of the object's gives: a proxy
    would make what it stands for, and a QuerySet run its query.
    """
    owner: Any = None
    for _ in range(_DEPTH):
        kind = type(func)
        if issubclass(kind, functools.partial):
            args = (*func.args, *args)
            func = func.func
            continue
        if kind is MethodType:
            owner = func.__self__
            args = (owner, *args)
            func = func.__func__
            continue
        if kind is FunctionType:
            shown = _SHOWN.get(func)
            if isinstance(shown, str):
                return Place(shown, *_of_code(func.__code__))
            if shown is not None:
                func, args, owner = shown(*args), (), None
                continue
            if not func.__dict__:
                # Most functions end here, because nobody has wrapped them.
                break
        elif kind is BuiltinMethodType and type(func.__self__) is Context and args:
            # asyncio.to_thread() calls context.run(func, ...).
            func, args = args[0], args[1:]
            continue
        if (inner := _wrapped(func)) is None:
            break
        func = inner
    return _described(func, owner, args)


def runs_beside_others(func: Any, args: tuple[Any, ...] = ()) -> bool:
    """Whether a call is one of several that agather() makes at the same time."""
    for _ in range(_DEPTH):
        if type(func) is functools.partial:
            args = (*func.args, *args)
            func = func.func
        elif type(func) is not FunctionType:
            return False
        elif func in _BESIDE:
            return True
        elif callable(shown := _SHOWN.get(func)):
            func, args = shown(*args), ()
        else:
            return False
    return False


def _wrapped(func: Any) -> Any:
    """What a wrapper says that it wraps, or asgiref's objects do."""
    try:
        own = object.__getattribute__(func, "__dict__")
    except AttributeError:
        return None
    if issubclass(type(func), type):
        return None
    return own.get("__wrapped__", own.get("awaitable"))


def _described(  # noqa: PLR0911 - one for each kind
    func: Any, owner: Any, args: tuple[Any, ...]
) -> Place:
    kind = type(func)
    if kind is FunctionType:
        code = func.__code__
        file, line = code.co_filename, code.co_firstlineno
        if owner is None:
            return _of_function(func.__qualname__, None, file, line)
        return _of_function(func.__name__, _class_of(owner), file, line)
    if issubclass(kind, type):
        own = type.__getattribute__(func, "__dict__")
        name = _class_name(func)
        if args and own.get("__module__", "builtins") == "builtins":
            # bool() and list() of a QuerySet run a query, so the name says of what.
            return Place(f"{name}({_class_name(args[0])})")
        return Place(name, *_of_class(own))
    # A builtin function, or a method of a builtin type.
    name = getattr(func, "__qualname__", "") if kind.__module__ == "builtins" else ""
    if isinstance(name, str) and name:
        return Place(name)
    for cls in type.__getattribute__(kind, "__mro__"):
        call = type.__getattribute__(cls, "__dict__").get("__call__")
        if type(call) is FunctionType:
            return Place(_class_name(func), *_of_code(call.__code__))
    return Place(_class_name(func))


# The key is not the code object, because Python hashes all of its contents each time.
@functools.lru_cache(maxsize=1024)
def _of_function(name: str, cls: type | None, file: str, line: int) -> Place:
    if cls is None:
        return Place(name.rpartition("<locals>.")[2], file, line)
    return Place(f"{_class_name(cls)}.{name}", file, line)


def _class_of(owner: Any) -> type:
    return owner if issubclass(type(owner), type) else type(owner)


def _class_name(owner: Any) -> str:
    name: str = type.__getattribute__(_class_of(owner), "__qualname__")
    return name.rpartition("<locals>.")[2]


def _of_code(code: Any) -> tuple[str, int]:
    return code.co_filename, code.co_firstlineno


def _of_class(own: Any) -> tuple[str | None, int | None]:
    module = sys.modules.get(own.get("__module__", ""))
    file = getattr(module, "__file__", None)
    init = own.get("__init__")
    if type(init) is FunctionType and init.__code__.co_filename == file:
        return _of_code(init.__code__)
    # Python 3.13 and later have this attribute.
    return file, own.get("__firstlineno__")


@functools.lru_cache(maxsize=1024)
def _short(file: str) -> str:
    """A file's path from where Python would import it."""
    roots = [root.rstrip("/\\") for root in sys.path if root]
    for root in sorted(roots, key=len, reverse=True):
        if file.startswith(root) and file[len(root) : len(root) + 1] in {"/", "\\"}:
            return file[len(root) + 1 :]
    return file
