"""Transactions and concurrent queries for async code."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import functools
import os
from collections.abc import (
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType, TracebackType
from typing import Any, Literal, ParamSpec, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import QuerySet
from django.db.models.manager import BaseManager
from django.db.transaction import TransactionManagementError
from django.dispatch import receiver

from .async_backend import AsyncTransaction, has_async_connection
from .core.executors import RequestExecutor, request_executor
from .core.naming import shows
from .core.threads import OWN, run_apart, run_sync
from .core.transactions import WRAPPERS, Block, WorkerBlock, blocks, forget

__all__ = ["Atomic", "aatomic", "agather"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Atomic:
    """
    A transaction that `aatomic()` returns: an async context manager and a decorator.

    Args:
        using: The alias of the database. None is the default one.
        savepoint: Whether a nested block makes a savepoint.
        durable: Whether the block has to be the outermost one.

    Runs on:
        The worker thread of the request. One hop to enter, and one to leave. With an
        `ENGINE` of django-async-backend, the event loop, without a hop.
    """

    def __init__(self, using: str | None, savepoint: bool, durable: bool) -> None:
        self.using = DEFAULT_DB_ALIAS if using is None else using
        self.savepoint = savepoint
        self.durable = durable
        self._entered: list[Block] = []

    def __call__(
        self, function: Callable[_P, Coroutine[Any, Any, _R]]
    ) -> Callable[_P, Coroutine[Any, Any, _R]]:
        """Decorate a coroutine function: each call runs in a block of its own."""
        if not iscoroutinefunction(function):
            raise TypeError(
                f"aatomic() got {function!r}, which is not a coroutine function. Use "
                "`@transaction.atomic` for a sync function, and `async with "
                "aatomic():` inside of an async generator."
            )

        @functools.wraps(function)
        async def atomically(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            async with Atomic(self.using, self.savepoint, self.durable):
                return await function(*args, **kwargs)

        return atomically

    async def __aenter__(self) -> None:
        """Begin the transaction, or set the savepoint; one hop."""
        before = blocks.get()
        # Unknown alias: Django raises `ConnectionDoesNotExist` in the worker thread.
        options = connections.settings.get(self.using)
        block: Block
        if options is not None and has_async_connection(options["ENGINE"]):
            block = _OnTheLoop(self.using, self.savepoint, self.durable)
        else:
            block = WorkerBlock(
                self.using, savepoint=self.savepoint, durable=self.durable
            )
        blocks.set((*before, block))
        try:
            await block.begin()
        except BaseException:
            blocks.set(before)
            raise
        block.context = contextvars.copy_context()
        self._entered.append(block)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back if there is an error; one hop."""
        block = self._block_of(asyncio.current_task())
        self._entered.remove(block)
        # If nobody closes an async generator, the event loop closes it in another task.
        # That task is not in the block, and does not know the worker thread of the
        # block.
        context = None if block in blocks.get() else block.context
        try:
            await block.end(kind, error, traceback, context=context)
        finally:
            # The context holds the block, and the block must not hold the context.
            block.context = None
            forget(block)

    def _block_of(self, task: asyncio.Task[Any] | None) -> Block:
        """The block that `task` is to leave, as one object may serve several."""
        entered = self._entered
        around = blocks.get()
        for found in (
            [block for block in entered if block.task is task],
            [block for block in entered if block in around],
            [block for block in entered if block.task is None or block.task.done()],
            entered if len(entered) == 1 else [],
        ):
            if found:
                return found[-1]
        raise RuntimeError(
            f"aatomic(using={self.using!r}) was left by a task that had not entered "
            "it. Enter and leave it in one task: `async with aatomic():`."
        )


class _OnTheLoop(Block):
    """A block of a database's async connection: no hop, and not Django's own ORM."""

    def __init__(self, using: str, savepoint: bool, durable: bool) -> None:
        super().__init__(using)
        self._transaction = AsyncTransaction(using, savepoint, durable)

    async def begin(self) -> None:
        try:
            await self._transaction.begin()
        except asyncio.CancelledError as error:
            if error.__cause__ is None:
                details = type(error), error, error.__traceback__
                await self.end(*details, context=None)
            raise
        self.is_open = True

    async def end(self, *details: Any, context: contextvars.Context | None) -> None:
        self.is_open = False
        await self._transaction.end(*details, context=context)


def _refuse_beside(
    execute: Any, sql: Any, params: Any, many: bool, context: Any
) -> Any:
    """Refuse a query of Django's own that is not in the async transaction around it."""
    using = context["connection"].alias
    for block in blocks.get():
        if block.is_open and block.using == using and isinstance(block, _OnTheLoop):
            raise TransactionManagementError(
                "A query of Django's ORM was refused inside of "
                f"aatomic(using={using!r}). For this ENGINE, the block is a "
                "transaction of the async connection, and the query would not be part "
                "of it. Use `async_objects` and `async_save()` of the model, or "
                "`transaction.atomic()` in a function for `run_sync()`."
            )
    return execute(sql, params, many, context)


@receiver(connection_created)
def _watch(connection: Any, **_: Any) -> None:
    """Watch the queries of a database that has an async connection beside Django's."""
    # django-async-backend sends this signal for async connections too.
    if not isinstance(connection, BaseDatabaseWrapper):
        return
    wrappers = connection.execute_wrappers
    engine = connection.settings_dict["ENGINE"]
    if _refuse_beside not in wrappers and has_async_connection(engine):
        wrappers.insert(0, _refuse_beside)


@overload
def aatomic(
    using: Callable[_P, Coroutine[Any, Any, _R]],
) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
@overload
def aatomic(
    using: str | None = None, savepoint: bool = True, durable: bool = False
) -> Atomic: ...
def aatomic(using: Any = None, savepoint: bool = True, durable: bool = False) -> Any:
    """
    Open a transaction in async code, as `transaction.atomic()` does in sync code.

    Write `async with aatomic():`, or `@aatomic` above an `async def`. Nested blocks are
    savepoints, and an exception rolls back. The `on_commit()` callbacks run after the
    outermost commit, in the worker thread. A cancellation waits until the block has
    begun or ended, then rolls back.

    A block belongs to the task that enters it. The tasks that start in the block take
    part in the transaction, one query after the other. Outside of a request, a test and
    a management command, the outermost block brings a thread and connections of its
    own, and closes them.

    Args:
        using: The alias of the database, or the `async def` to decorate.
        savepoint: Whether a nested block makes a savepoint.
        durable: Whether the block has to be the outermost one.

    Returns:
        An async context manager that is also a decorator, or the decorated function.

    Raises:
        TransactionManagementError: If another task has a block open on the same
            connection. A query of a task that started outside raises it too.

    Runs on:
        The worker thread of the request. One hop to enter, and one to leave.
    """
    if callable(using):
        return Atomic(None, savepoint, durable)(using)
    return Atomic(using, savepoint, durable)


# One pool for each limit, which keeps its threads. Queries with `prepare` use another
# pool, because `prepare` leaves state of a request on the connections.
_pools: dict[tuple[int, bool], ThreadPoolExecutor] = {}

if hasattr(os, "register_at_fork"):
    # A forked process inherits the pools, but none of their threads.
    os.register_at_fork(after_in_child=_pools.clear)


async def agather(
    *queries: QuerySet[Any] | Callable[[], Any],
    limit: int = 8,
    return_exceptions: bool = False,
    in_transaction: Literal["error", "serial"] = "error",
    prepare: Callable[[BaseDatabaseWrapper], object] | None = None,
) -> list[Any]:
    """
    Run several queries at the same time, and return their results in order.

    Each query uses a thread and database connections of its own, so that it cannot see
    a transaction that you have open. All calls with the same `limit` share one pool of
    threads. Under `django_async_cbv.asgi`, a query uses an idle worker thread of the
    server. If none is idle, the query runs in the worker thread of the request.
    After each query, `CONN_MAX_AGE` decides whether the connections stay open.

    After an error, and after a cancellation, the queries that have not begun never run.
    Those that have begun run to their end, and their results are dropped.

    Args:
        *queries: QuerySets, or sync functions without arguments.
        limit: How many queries run at once. Further queries wait.
        return_exceptions: Whether errors are put among the results, as in
            `asyncio.gather()`. If not, the first error is raised.
        in_transaction: What happens if a transaction is open. "error": the call raises
            `TransactionManagementError`. "serial": the queries run in the transaction,
            one after the other.
        prepare: A sync function that gets each connection of the query's thread before
            the query. Let it set the tenant, the search path or the role. No query
            without `prepare` uses these connections.

    Returns:
        One result for each query. A QuerySet gives a list.

    Raises:
        TransactionManagementError: If a transaction is open, as in a `TestCase` or with
            `ATOMIC_REQUESTS`.
        ImproperlyConfigured: If there is no `prepare`, and the `ENGINE` is not Django's
            or the request's connection has a state that the query's connection
            lacks. Such a state is an `execute_wrappers` entry. On PostgreSQL it is
            also another search path, another role or row-level security.
        TypeError: If a query or `prepare` is async.
        ValueError: If `limit` is below 1, or `in_transaction` is another text.

    Runs on:
        Pool threads. One hop for each query, and one more. With "serial", one hop in
        the worker thread of the request for all queries.
    """
    if limit < 1:
        raise ValueError(
            f"agather() got limit={limit!r}, so no query could run. Pass 1 or more, "
            "for example `limit=8`."
        )
    if in_transaction not in ("error", "serial"):
        raise ValueError(
            f"agather() got in_transaction={in_transaction!r}. "
            'Pass "error" or "serial".'
        )
    if iscoroutinefunction(prepare):
        raise _async_prepare_error(prepare)
    jobs = [_job(query) for query in queries]
    states: dict[str, _State] | None = None
    if not _is_in_block():
        states = await run_sync(_states, prepare is None)
    if states is None:
        if in_transaction == "error":
            raise TransactionManagementError(
                "agather() ran no query: its own connections can't see the "
                "transaction that is open here. Call it outside of the block, or write "
                '`agather(..., in_transaction="serial")`.'
            )
        return await run_sync(_one_by_one, jobs, return_exceptions)
    refused: list[ImproperlyConfigured] = []
    leased = request_executor()
    free = asyncio.Semaphore(limit)
    key = limit, prepare is not None
    if leased is None and key not in _pools:
        _pools[key] = ThreadPoolExecutor(limit, thread_name_prefix="agather")

    def begin(job: Callable[[], Any]) -> Coroutine[Any, Any, Any]:
        work = functools.partial(_on_own_connections, job, prepare, states, refused)
        if leased is None:
            return run_apart(_pools[key], work)
        if prepare is not None:
            work = functools.partial(_then_close, work)
        return _on_idle_worker(leased, free, job, work)

    tasks = [asyncio.ensure_future(begin(job)) for job in jobs]
    try:
        results = await asyncio.gather(*tasks, return_exceptions=return_exceptions)
        if refused:
            # The query may have caught this error, and `return_exceptions` may hide it.
            raise refused[0]
        return results
    finally:
        for task in tasks:
            task.cancel()
        # gather() has raised the first error already. Later errors are dropped.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _on_idle_worker(
    leased: RequestExecutor,
    free: asyncio.Semaphore,
    job: Callable[[], Any],
    work: Callable[[], Any],
) -> Any:
    """
    Run a query in a worker of the server's pool that has nothing to do.

    Else in the request's own: to wait for another, with one in hand, is what requests
    could do for ever.
    """
    async with free:
        other = leased.another()
        if other is None:
            return await run_sync(_result_of, job)
        try:
            return await other.cross(work)
        finally:
            other.leave()


@shows(lambda work: work, beside_others=True)
def _then_close(work: Callable[[], Any]) -> Any:
    """Run work on connections that no other request may find prepared."""
    try:
        return work()
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close()
            # Django makes a new connection, without the execute_wrappers of `prepare`.
            del connections[connection.alias]


def _job(query: Any) -> Callable[[], Any]:
    if isinstance(query, QuerySet):
        return functools.partial(_rows, query)
    if isinstance(query, BaseManager):
        raise TypeError(
            f"agather() got the manager {query!r}, which is not a query. Pass a "
            "QuerySet: `agather(manager.all())`."
        )
    if iscoroutinefunction(query) or not callable(query):
        raise (
            _many_queries_error(query)
            if _holds_queries(query)
            else _async_query_error(query)
        )
    return query  # type: ignore[no-any-return]  # callable() says so


@shows(lambda query: query.__iter__)
def _rows(query: QuerySet[Any]) -> list[Any]:
    return list(query)


def _holds_queries(query: Any) -> bool:
    """Whether somebody has given the queries in a list, or in something like it."""
    return isinstance(query, Collection | Iterator) and not isinstance(
        query, Mapping | str | bytes
    )


def _many_queries_error(queries: Any) -> TypeError:
    return TypeError(
        f"agather() got a {type(queries).__name__}, but takes each query as an "
        "argument of its own. Unpack it: `agather(*queries)`."
    )


def _async_query_error(query: Any) -> TypeError:
    return TypeError(
        f"agather() got {query!r}, but takes QuerySets and sync functions. Await async "
        "code with `asyncio.gather()`."
    )


def _async_prepare_error(prepare: Any) -> TypeError:
    return TypeError(
        f"agather() got prepare={prepare!r}, which is async, but calls it in the "
        "thread of the query. Pass a sync function: `def prepare(connection)`."
    )


@dataclasses.dataclass(frozen=True)
class _State:
    """What a connection has that a new one to the same database may lack."""

    has_wrappers: bool = False
    # The answer of PostgreSQL to _SESSION. None if nobody asked.
    session: tuple[str, ...] | None = None


_ENGINES = (
    "django.db.backends.",
    "django.contrib.gis.db.backends.",
    "django_async_backend.db.backends.",
)
_SESSION = """
SELECT current_setting('search_path'), current_user::text, session_user::text,
    EXISTS (SELECT FROM pg_catalog.pg_class
            WHERE relrowsecurity AND row_security_active(oid))::text
"""


@shows("agather")
def _states(ask: bool) -> dict[str, _State] | None:
    """The states of the request's connections, if no transaction is open on one."""
    opened = connections.all(initialized_only=True)
    if any(connection.in_atomic_block for connection in opened):
        return None
    return {one.alias: _state_of(one) for one in opened} if ask else {}


OWN.add(_states)


def _state_of(connection: BaseDatabaseWrapper) -> _State:
    return _State(
        any(
            not (isinstance(wrapper, WRAPPERS) or wrapper is _refuse_beside)
            for wrapper in connection.execute_wrappers
        ),
        _session_of(connection),
    )


def _session_of(connection: BaseDatabaseWrapper) -> tuple[str, ...] | None:
    # A connection that nobody has opened, or that the server has closed, has no state.
    raw: Any = connection.connection
    if connection.vendor != "postgresql" or raw is None:
        return None
    try:
        # The driver's cursor, because tests count the queries of Django's cursors.
        with raw.cursor() as cursor:
            cursor.execute(_SESSION)
            return tuple(cursor.fetchone())
    except connection.Database.Error:  # type: ignore[attr-defined]
        if connection.is_usable():
            raise
        return None


class _OwnConnection:
    """Refuses queries on a connection that lacks what the request's one may have."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        state: _State,
        refused: list[ImproperlyConfigured],
    ) -> None:
        self.connection = connection
        self.state = state
        self.refused = refused
        self.is_known = False

    def __call__(
        self, execute: Any, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        if not self.is_known:
            self.refuse()
            self.is_known = True
        return execute(sql, params, many, context)

    def refuse(self) -> None:
        connection = self.connection
        if not type(connection).__module__.startswith(_ENGINES):
            engine = connection.settings_dict["ENGINE"]
            raise self.error(
                f"what the ENGINE {engine!r} keeps on the request's connection"
            )
        if self.state.has_wrappers:
            raise self.error("the execute_wrappers of the request's connection")
        session = self.state.session
        if session is None:
            return
        if session[-1] == "true":
            raise self.error("what row-level security asks the request's connection")
        if session != _session_of(connection):
            raise self.error("the search_path or role of the request's connection")

    def error(self, reason: str) -> ImproperlyConfigured:
        error = ImproperlyConfigured(
            "agather() could read rows of another tenant, so it did not run the "
            f"query. Its own connection to {self.connection.alias!r} lacks {reason}. "
            "Set that up with a function that gets each connection: `agather(..., "
            "prepare=function)`."
        )
        self.refused.append(error)
        return error


@shows(lambda job, *_: job, beside_others=True)
def _on_own_connections(
    job: Callable[[], Any],
    prepare: Callable[[BaseDatabaseWrapper], object] | None,
    states: dict[str, _State],
    refused: list[ImproperlyConfigured],
) -> Any:
    close_old_connections()
    guards = []
    try:
        for connection in connections.all():
            if prepare is None:
                state = states.get(connection.alias, _State())
                guard = _OwnConnection(connection, state, refused)
                connection.execute_wrappers.insert(0, guard)
                guards.append(guard)
            elif isinstance(result := prepare(connection), CoroutineType):
                result.close()
                raise _async_prepare_error(prepare)
        result = _result_of(job)
        _refuse_open_block()
        return result
    finally:
        _close_open_blocks()
        for guard in guards:
            guard.connection.execute_wrappers.remove(guard)
        if prepare is not None:
            _forget_pooled()
        close_old_connections()


def _refuse_open_block() -> None:
    """Raise for a transaction that a query began and did not end: it is lost."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raise TransactionManagementError(
                "A query of agather(), or its prepare=, opened a transaction on "
                f"{connection.alias!r} and did not end it. What it wrote is rolled "
                "back. Open the transaction with `with transaction.atomic():`."
            )


def _close_open_blocks() -> None:
    """Give up connections with an open transaction: the next query gets new ones."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            # If Django closes a connection in a transaction, its wrapper still says
            # in_atomic_block.
            if connection.connection is not None:
                connection.connection.close()
            del connections[connection.alias]


def _forget_pooled() -> None:
    """End connections of Django's pool: the next request must not get their state."""
    for connection in connections.all(initialized_only=True):
        raw: Any = connection.connection
        if raw is not None and getattr(connection, "pool", None) is not None:
            # The pool replaces a connection that comes back closed.
            raw.close()


@shows(lambda job: job, beside_others=True)
def _result_of(job: Callable[[], Any]) -> Any:
    result = job()
    if isinstance(result, CoroutineType):
        # The acount() of a manager is sync, but returns a coroutine, for example.
        result.close()
        raise _async_query_error(job)
    # Read the rows in this thread. Later, the event loop would read them.
    return list(result) if isinstance(result, QuerySet) else result


def _is_in_block() -> bool:
    return any(block.is_open for block in blocks.get())


@shows("agather")
def _one_by_one(
    jobs: Sequence[Callable[[], Any]], return_exceptions: bool
) -> list[Any]:
    if not return_exceptions:
        return [_result_of(job) for job in jobs]
    results = []
    for job in jobs:
        try:
            # The savepoint keeps the transaction usable for the next query after an
            # error.
            with contextlib.ExitStack() as savepoints:
                for one in connections.all(initialized_only=True):
                    if one.in_atomic_block:
                        savepoints.enter_context(transaction.atomic(one.alias))
                results.append(_result_of(job))
        except Exception as error:  # noqa: BLE001 - for the caller
            results.append(error)
    return results
