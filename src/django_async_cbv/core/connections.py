"""What is open on the connections of a thread, and what is Django's own there."""

from __future__ import annotations

import contextlib
import functools
import logging
import weakref
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

from asgiref.sync import SyncToAsync
from django.conf import settings
from django.db import connections, reset_queries
from django.db.models import QuerySet

from .foreign import reads_plainly

__all__ = [
    "Cursors",
    "drop",
    "for_each_connection",
    "foreign_engines",
    "has_foreign_engine",
    "is_in_transaction",
    "is_read",
]

_logger = logging.getLogger("django_async_cbv.pool")

_ENGINES = ("django.db.backends.", "django.contrib.gis.db.backends.")
# Methods of QuerySet that call no signal receivers and no save() of a model.
_READS = frozenset(
    {
        *("_fetch_all", "aggregate", "contains", "count", "earliest", "exists"),
        *("explain", "first", "get", "in_bulk", "last", "latest"),
    }
)
# The transaction states ACTIVE, INTRANS and INERROR of PostgreSQL's drivers. A lost
# connection has another state.
_TRANSACTION = frozenset({1, 2, 3})


class Cursors:
    """
    The cursors that queries of one request have used, as an execute_wrapper.

    `gone` is called in any thread when Python has freed one of them.
    """

    def __init__(self, gone: Callable[[], object] = lambda: None) -> None:
        self._gone = gone
        # Weak references. A WeakSet takes longer in each request.
        self._known: set[weakref.ref[Any]] = set()
        # By alias, the connections that new ones have replaced.
        self._aside: dict[str, Any] = {}
        # Aliases that get no connection, for example because a driver is missing.
        self._without: set[str] = set()

    def __call__(
        self, execute: Any, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute a query, and note its cursor."""
        self._known.add(weakref.ref(context["cursor"], self._forget))
        return execute(sql, params, many, context)

    def _forget(self, known: weakref.ref[Any]) -> None:
        self._known.discard(known)
        self._gone()

    def begin(self, *, anew: bool = False) -> None:
        """
        Make the connections of this thread a request's, and watch them.

        `anew`: new ones, where an ENGINE may have kept what another request has set.
        """
        if anew:
            for alias in foreign_engines().keys() & {one.alias for one in self._all()}:
                self._aside[alias] = connections[alias]
                del connections[alias]
        reset_queries()
        for_each_connection(lambda one: one.close_if_unusable_or_obsolete())
        self.watch()

    def watch(self) -> None:
        """Note the cursors of all queries in this thread from now on."""
        for connection in self._all():
            connection.execute_wrappers.insert(0, self)

    def _all(self) -> Iterator[Any]:
        for alias in connections:
            if alias in self._without:
                continue
            try:
                yield connections[alias]
            except Exception:  # noqa: BLE001 - for who queries there
                self._without.add(alias)

    def end(self) -> None:
        """Make them nobody's."""
        self._known.clear()
        for_each_connection(self._leave)
        for alias in [*self._aside]:
            connections[alias] = self._aside.pop(alias)

    def _leave(self, connection: Any) -> None:
        if self in connection.execute_wrappers:
            connection.execute_wrappers.remove(self)
        if connection.alias in self._aside:
            connection.close()
        connection.close_if_unusable_or_obsolete()

    def close(self) -> None:
        """
        Close those that are open, before their connections are closed.

        One may be at that in another thread: the event loop, where Python has collected
        a generator of rows. It would wait for an answer of a connection that is gone.
        """
        for known in [*self._known]:
            cursor = known()
            if cursor is not None and _is_open(cursor):
                with contextlib.suppress(Exception):
                    cursor.close()

    def is_in_use(self) -> bool:
        """Whether one of the connections has to stay the request's."""
        return any(_is_open(known()) for known in [*self._known]) or any(
            map(is_in_transaction, connections.all(initialized_only=True))
        )


def _is_open(cursor: Any) -> bool:
    if cursor is None:
        return False
    raw = cursor.cursor
    try:
        return not getattr(raw, "closed", False) and bool(raw.description)
    except Exception:  # noqa: BLE001 - some drivers', of one that is closed
        return False


def for_each_connection(do: Callable[[Any], object]) -> None:
    """Do it, and replace the connection where that fails: it serves another request."""
    connection: Any
    for connection in connections.all(initialized_only=True):
        try:
            do(connection)
        except Exception:
            _logger.exception("A connection was given up: alias=%r", connection.alias)
            del connections[connection.alias]
            with contextlib.suppress(Exception):
                connection._close()


def drop(connection: Any) -> None:
    """Close a connection on which somebody has left something open."""
    if connection.in_atomic_block:
        # If Django closes a connection in a transaction, its wrapper still says
        # in_atomic_block.
        del connections[connection.alias]
        if not connection.closed_in_transaction:
            # _close() of the backend returns the connection to a driver's pool, which
            # waits for it.
            connection._close()
    else:
        connection.close()


def is_in_transaction(connection: Any) -> bool:
    """Whether a transaction is open, for all that Django and the driver know."""
    raw = connection.connection
    if connection.in_atomic_block or raw is None:
        return bool(connection.in_atomic_block)
    try:
        return (
            not connection.autocommit
            or bool(getattr(raw, "in_transaction", False))
            or getattr(getattr(raw, "info", None), "transaction_status", 0)
            in _TRANSACTION
        )
    except Exception:  # noqa: BLE001 - some drivers', of a connection that is gone
        return False


def foreign_engines() -> dict[str, str]:
    """The ENGINE of each database that may keep for a session what nobody knows of."""
    known = getattr(settings, "ASYNC_CBV_STATELESS_ENGINES", ())
    return {
        alias: options["ENGINE"]
        for alias, options in connections.settings.items()
        if not options["ENGINE"].startswith(_ENGINES) and options["ENGINE"] not in known
    }


def has_foreign_engine() -> bool:
    """Whether a database may keep for a session what nobody here knows of."""
    return bool(foreign_engines())


def is_read(fn: Any, args: tuple[Any, ...]) -> bool:
    """Whether asgiref submits a read by Django's own QuerySet, and nothing else."""
    while isinstance(fn, functools.partial):
        fn, args = fn.func, (*fn.args, *args)
    if getattr(fn, "__func__", None) is not SyncToAsync.thread_handler or not args:
        return False
    method = args[-1].func if isinstance(args[-1], functools.partial) else args[-1]
    if type(method) is not MethodType or type(method.__self__) is not QuerySet:
        return False
    return method.__name__ in _READS and reads_plainly(method.__self__)
