"""Run sync code from the event loop, and wait for async code in a worker thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, ParamSpec, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet
from django.db.transaction import Atomic

from .core.naming import shows
from .core.steps import Driven
from .core.threads import name_of, run_sync, wait_for

__all__ = ["iterate", "run_sync", "to_async", "wait_for"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")

# How many items iterate() reads in one hop. Batches of rows are smaller than what
# Django fetches at once. Larger ones leave the processor's cache, and the garbage
# collector scans them, before your code uses them.
ITEMS = 100
ROWS = 500
FETCHED = 2000


def iterate(
    iterable: Iterable[_T] | AsyncIterable[_T], chunk_size: int | None = None
) -> AsyncGenerator[_T, None]:
    """
    Iterate over a QuerySet, or over any sync iterable, with `async for`.

    A worker thread reads the items in batches. Memory holds one batch at a time. A
    QuerySet without results is read with its `iterator()`, by a server-side cursor if
    the database has them. An async iterable is passed on as it is.

    If you leave the loop early, or the task is cancelled, the thread that opened the
    cursor closes the cursor. `contextlib.aclosing()` closes it at the end of a block.

    Args:
        iterable: A QuerySet, or another sync or async iterable.
        chunk_size: How many items one hop reads. By default 500 rows of a QuerySet,
            and 100 items of another iterable. If you set it for a QuerySet, Django
            fetches as many rows at a time, and else 2,000.

    Returns:
        An async generator of the items.

    Raises:
        ValueError: If `chunk_size` is below 1.
        TypeError: If nothing can iterate over `iterable`.

    Runs on:
        The worker thread of the request. One hop for each batch, and one more if you
        leave the loop early. An async iterable makes no hop.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(
            f"iterate() got chunk_size={chunk_size!r}, which reads no items. Pass 1 or "
            "more, for example `chunk_size=500`."
        )
    if isinstance(iterable, QuerySet) and iterable._result_cache is None:
        rows: QuerySet[Any] = iterable
        fetched = chunk_size or FETCHED
        begin = functools.partial(rows.iterator, chunk_size=fetched)
        return _batches(begin, chunk_size or ROWS)
    raw: Any = iterable
    # With prefetch_related(), Django needs all rows at once.
    if isinstance(iterable, RawQuerySet) and not raw._prefetch_related_lookups:
        return _batches(raw.iterator, chunk_size or ROWS)
    # A QuerySet is an AsyncIterable too, but Django's __aiter__() makes hops of its
    # own.
    if isinstance(iterable, QuerySet | RawQuerySet):
        return _batches(iterable.__iter__, chunk_size or ROWS)
    if isinstance(iterable, AsyncIterable):
        return _passed_on(iterable)
    if isinstance(iterable, BaseManager):
        raise TypeError(
            f"iterate() got the manager {iterable!r}, which has no rows of its own. "
            "Pass a QuerySet: `iterate(manager.all())`."
        )
    # iter() also accepts an object that has only a __getitem__().
    anything: Any = iterable
    if not (isinstance(anything, Iterable) or hasattr(type(anything), "__getitem__")):
        raise TypeError(
            f"iterate() got {anything!r}, which is not iterable. Pass a QuerySet, a "
            "list or another iterable."
        )
    return _batches(functools.partial(_iterator, anything), chunk_size or ITEMS)


async def _passed_on(iterable: AsyncIterable[_T]) -> AsyncGenerator[_T, None]:
    iterator = iterable.__aiter__()
    try:
        async for item in iterator:
            yield item
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


@shows(type)
def _iterator(iterable: Iterable[_T]) -> Iterator[_T]:
    return iter(iterable)


async def _batches(
    begin: Callable[[], Iterator[_T]], size: int
) -> AsyncGenerator[_T, None]:
    iterator: Iterator[_T] | None = None
    driven = Driven()

    def take() -> tuple[list[_T], Exception | None]:
        nonlocal iterator
        batch: list[_T] = []
        try:
            if iterator is None:
                iterator = begin()
            # Not list(), which would lose the items before an error.
            batch.extend(itertools.islice(iterator, size))
        except Exception as error:  # noqa: BLE001 - for the caller, in its turn
            return batch, error
        return batch, None

    def close() -> None:
        # If the request's thread has ended, its connections and cursors have ended too.
        if driven.is_at_home:
            close_iterator = getattr(iterator, "close", None)
            if close_iterator is not None:
                close_iterator()

    # Traces and messages show the name of the wrapped function.
    take.__wrapped__ = close.__wrapped__ = begin  # type: ignore[attr-defined]
    ended = False
    try:
        while not ended:
            batch, error = await driven.run(take)
            ended = error is not None or len(batch) < size
            for item in batch:
                yield item
            # Free this batch before the worker thread reads the next one.
            batch = item = None  # type: ignore[assignment]
            if error is not None:
                try:
                    raise error
                finally:
                    del error
    finally:
        if ended:
            driven.let_go()
        else:
            await driven.run_last_to_the_end(close)


@overload
def to_async(
    sync: AbstractContextManager[_T, Any], /, *, chunk_size: int | None = None
) -> AbstractAsyncContextManager[_T]: ...
@overload
def to_async(  # type: ignore[overload-overlap]  # the last one is for all the rest
    sync: Callable[_P, Generator[_T, Any, Any]], /, *, chunk_size: int | None = None
) -> Callable[_P, AsyncGenerator[_T, None]]: ...
@overload
def to_async(  # type: ignore[overload-overlap]  # the last one is for all the rest
    sync: Callable[_P, AbstractContextManager[_T, Any]],
    /,
    *,
    chunk_size: int | None = None,
) -> Callable[_P, AbstractAsyncContextManager[_T]]: ...
@overload
def to_async(
    sync: Callable[_P, Coroutine[Any, Any, _R]], /, *, chunk_size: int | None = None
) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
@overload
def to_async(
    sync: Callable[_P, _R], /, *, chunk_size: int | None = None
) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
@overload
def to_async(
    sync: None = None, /, *, chunk_size: int | None = None
) -> Callable[[Callable[_P, Generator[_T, Any, Any]]], Any]: ...
def to_async(sync: Any = None, /, *, chunk_size: int | None = None) -> Any:
    """
    Make an async version of sync code, as a decorator or as an adapter.

    Code that is async already is returned as it is.

    Args:
        sync: A function, a generator function, a `@contextmanager` function, a class
            of context managers, or a context manager.
        chunk_size: How many items of a generator one hop reads. The default is 100.

    Returns:
        For a function, a coroutine function. For a generator function, an async
        generator function. For a context manager, an async context manager. For a
        function or class that makes context managers, a function that makes async
        ones. Without `sync`, a decorator.

    Raises:
        TypeError: If `sync` is none of these. For an iterable, use `iterate()`. For
            `transaction.atomic()`, use `aatomic()`.

    Runs on:
        The worker thread of the request. A function makes one hop for each call, and
        a generator one for each batch. A context manager makes one hop to enter and
        one to leave, also if the task is cancelled.
    """
    if sync is None:
        return functools.partial(to_async, chunk_size=chunk_size)
    _refuse_atomic(sync)
    if isinstance(sync, staticmethod | classmethod):
        return type(sync)(to_async(sync.__func__, chunk_size=chunk_size))
    if _is_async_already(sync):
        return sync
    if _is_context_manager(type(sync)):
        return _AsyncContext(functools.partial(_itself, sync))
    if not callable(sync):
        hint = " Use `iterate()` instead." if isinstance(sync, Iterable) else ""
        raise TypeError(
            f"to_async() got {sync!r}, which is not a function or a context "
            f"manager.{hint}"
        )

    adapter: Callable[..., Any]
    function = _innermost(sync)
    if isinstance(function, type):
        gives_context = _is_context_manager(function)
    else:
        gives_context = getattr(function, "__code__", None) is _CONTEXT_MANAGER
    if gives_context:
        _refuse_async_generator(function)

        def adapter(*args: Any, **kwargs: Any) -> Any:
            return _AsyncContext(functools.partial(sync, *args, **kwargs))

    elif inspect.isgeneratorfunction(function):

        async def adapter(*args: Any, **kwargs: Any) -> Any:
            begin = functools.partial(sync, *args, **kwargs)
            async with contextlib.aclosing(
                _batches(begin, chunk_size or ITEMS)
            ) as items:
                async for item in items:
                    yield item

    else:

        async def adapter(*args: Any, **kwargs: Any) -> Any:
            return await run_sync(sync, *args, **kwargs)

    if isinstance(sync, functools.partial):
        return functools.update_wrapper(adapter, function)
    return functools.update_wrapper(adapter, sync)


@shows(type)
def _itself(value: _T) -> _T:
    return value


def _refuse_atomic(sync: Any) -> None:
    """Raise TypeError for transaction.atomic(), which knows threads, not tasks."""
    if isinstance(sync, Atomic) or _innermost(sync) is transaction.atomic:
        raise TypeError(
            "to_async() got transaction.atomic(), which knows threads and not tasks. "
            "Tasks that run at the same time would share one transaction, and lose "
            "each other's rows. Use `async with aatomic():` from django_async_cbv.db."
        )


def _refuse_async_generator(function: Any) -> None:
    """Raise TypeError for @contextmanager above an async generator function."""
    inner = getattr(function, "__wrapped__", None)
    if inspect.isasyncgenfunction(inner):
        raise TypeError(
            f"{name_of(function)}() is a @contextmanager of an async generator "
            "function, which Python can't enter. Write @to_async above "
            "@contextmanager, or use @asynccontextmanager for an `async def`."
        )


# Each function that @contextmanager or @asynccontextmanager returns has this code.
_CONTEXT_MANAGER = contextlib.contextmanager(iter).__code__
_ASYNC_CONTEXT_MANAGER = contextlib.asynccontextmanager(aiter).__code__


def _innermost(function: Any) -> Any:
    """The function that a call comes to, behind partials, methods and __call__()."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function) or isinstance(function, type):
            return function
        else:
            # Python looks __call__() up on the class, not on the instance.
            method = inspect.getattr_static(type(function), "__call__", None)
            return method if inspect.isfunction(method) else function


def _is_context_manager(cls: type) -> bool:
    return hasattr(cls, "__enter__") and hasattr(cls, "__exit__")


def _is_async_already(value: Any) -> bool:
    function = _innermost(value)
    if isinstance(function, type):
        return hasattr(function, "__aenter__")
    return (
        iscoroutinefunction(value)
        or iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or getattr(function, "__code__", None) is _ASYNC_CONTEXT_MANAGER
        or hasattr(type(value), "__aenter__")
        or isinstance(value, AsyncIterable)
    )


class _AsyncContext(AbstractAsyncContextManager[_T], Generic[_T]):
    """An async context manager around sync ones, entered and left in the worker."""

    def __init__(self, make: Callable[[], AbstractContextManager[_T]]) -> None:
        self._make = make
        self._entered: list[_Entered[_T]] = []

    async def __aenter__(self) -> _T:
        entered: _Entered[_T] = _Entered(self._make)
        try:
            value = await entered.driven.run_first_to_the_end(entered.enter)
        except BaseException as error:
            if entered.is_entered:
                # The task was cancelled while the worker thread entered the manager.
                await entered.leave(type(error), error, None)
            else:
                entered.driven.let_go()
            raise
        self._entered.append(entered)
        return value

    async def __aexit__(self, *details: object) -> bool | None:
        # Several tasks may have entered this object.
        task = asyncio.current_task()
        own = [entered for entered in self._entered if entered.task is task]
        entered = (own or self._entered)[-1]
        self._entered.remove(entered)
        return await entered.leave(*details)


class _Entered(Generic[_T]):
    """A context manager between its two steps."""

    def __init__(self, make: Callable[[], AbstractContextManager[_T]]) -> None:
        self._make = make
        self._manager: AbstractContextManager[_T] | None = None
        self.driven = Driven()
        self.task = asyncio.current_task()
        self.is_entered = False

    @shows(lambda self: self._make)
    def enter(self) -> _T:
        self._manager = self._make()
        value = self._manager.__enter__()
        self.is_entered = True
        return value

    async def leave(self, *details: Any) -> bool | None:
        manager: Any = self._manager

        def leave() -> bool | None:
            if not self.driven.is_at_home:
                raise RuntimeError(
                    f"{manager!r} was never left, because it outlived its request, and "
                    "the thread of the request is gone. Keep the `async with` inside "
                    "of the request."
                )
            left: bool | None = manager.__exit__(*details)
            return left

        # Traces and messages show the name of the wrapped function.
        leave.__wrapped__ = self._make  # type: ignore[attr-defined]
        return await self.driven.run_last_to_the_end(leave)
