"""The calls that block, however short: blockbuster sees them, and lets them go on."""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from blockbuster import BlockBusterFunction

__all__ = ["MISSING", "Allowed", "hear", "hear_no_more"]

#: What to do if blockbuster is not there.
MISSING = (
    "forbid_blocking needs blockbuster. Run `pip install 'django-async-cbv[test]'`."
)

#: Functions by the ends of their files, as blockbuster has them.
Allowed: TypeAlias = list[tuple[str, Iterable[str]]]
#: Gets the name of a call, where it is fine, and the frame that makes it.
_Listener: TypeAlias = Callable[[str, Allowed, FrameType], object]

_functions: dict[str, BlockBusterFunction] = {}


def hear(listener: _Listener) -> None:
    """Have each call that blocks an event loop reported, before it is made."""
    _add_known()
    for function in _functions.values():
        # Other code may have replaced or restored the function since.
        function.original_func = getattr(function.module, function.func_name, None)
        function.activate()
    _listeners[:] = [listener]


def hear_no_more() -> None:
    """Put back what was there."""
    _listeners.clear()
    for function in _functions.values():
        function.deactivate()


_listeners: list[_Listener] = []


def _add_known() -> None:
    try:
        from blockbuster import (  # noqa: PLC0415 - an extra
            BlockBuster,
            BlockBusterFunction,
        )
    except ImportError:
        raise ModuleNotFoundError(MISSING) from None
    if not _functions:
        for name, function in BlockBuster().functions.items():
            if name in _COMPUTE:
                continue
            if name in _WRITE:
                is_fine = function.can_block_predicate
                function.can_block_predicate = _either(is_fine, _is_pytests_log)
            _add(name, function)
        for name, is_fine in _MORE.items():
            _add(
                name,
                BlockBusterFunction(
                    None,
                    name,
                    can_block_predicate=is_fine,
                    can_block_functions=[*_PROCESSES],
                ),
            )
    # Only a project that imports psycopg can call it.
    if "psycopg" in sys.modules:
        for name, path in _PSYCOPG.items():
            if name not in _functions:
                _add(name, BlockBusterFunction(None, path))


def _add(name: str, function: BlockBusterFunction) -> None:
    function.can_block_predicate = _reporting(
        name, function.can_block_predicate, function.can_block_functions
    )
    _functions[name] = function


def _reporting(
    name: str, is_fine: Callable[..., bool], allowed: Allowed
) -> Callable[..., bool]:
    """Report a call, and say that it may be made: blockbuster would raise in it."""

    def can_block(*args: Any, **kwargs: Any) -> bool:
        if not is_fine(*args, **kwargs):
            # The caller of blockbuster's wrapper, which called this function, is the
            # code that blocks.
            frame = sys._getframe(2)
            for listener in _listeners:
                listener(name, allowed, frame)
        return True

    return can_block


def _either(*tests: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *args, **kwargs: any(test(*args, **kwargs) for test in tests)


def _is_pytests_log(file: Any, *_: Any) -> bool:
    """Whether pytest has its own log there; it writes one to nowhere if not asked."""
    return any(
        type(handler).__module__.startswith("_pytest.")
        and (stream := getattr(handler, "stream", None)) is not None
        and (stream is file or getattr(stream, "buffer", None) is file)
        for handler in logging.root.handlers
    )


def _is_address(host: Any, *_: Any, **__: Any) -> bool:
    """Whether nobody needs to be asked for the address."""
    if host is None:
        return True
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return True


def _is_open(file: Any, *_: Any, **__: Any) -> bool:
    """Whether a file is opened already: this only puts an object around it."""
    return isinstance(file, int)


def _never(*_: Any, **__: Any) -> bool:
    return False


# These functions compute only. If they read a file, the read itself is found.
_COMPUTE = {"os.path.abspath", "os.path.samestat"}
_WRITE = {"io.BufferedWriter.write", "io.TextIOWrapper.write"}
# asyncio starts processes with a blocking call.
_PROCESSES: Allowed = [
    ("asyncio/base_events.py", {"subprocess_exec", "subprocess_shell"})
]
_MORE: dict[str, Callable[..., bool]] = {
    "builtins.open": _is_open,
    "io.open": _is_open,
    "os.lstat": _never,
    "os.open": _never,
    "os.system": _never,
    "socket.getaddrinfo": _is_address,
    "socket.gethostbyaddr": _never,
    "socket.gethostbyname": _is_address,
    "socket.gethostbyname_ex": _is_address,
}
# All requests of psycopg's connections and cursors to a server go through one method.
_PSYCOPG = {
    "psycopg.connect": "psycopg.waiting.wait_conn",
    "psycopg.Connection.wait": "psycopg.Connection.wait",
}
