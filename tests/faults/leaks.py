"""Tell what a run of an event loop has left behind."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from asgiref.sync import SyncToAsync
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from tests.app.models import Tag
from tests.faults.stops import counting_tasks

__all__ = ["few_objects", "leftovers_of"]

JOIN_SECONDS = 10


@contextmanager
def few_objects() -> Iterator[None]:
    """Make garbage collections cheap: what is there now is not looked at in them."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def leftovers_of(main: Callable[[], Coroutine[Any, Any, Any]]) -> list[str]:
    """
    Run `main` on an event loop of its own; return what it should not have left.

    That is: tasks, threads, open connections and transactions, locks on the
    database, coroutines that were never awaited, exceptions that nobody saw.
    """
    found: list[str] = []
    opened: list[Any] = []

    def open_connection(connection: Any, **kwargs: Any) -> None:
        # Kept, so that no garbage collector closes it for whoever forgot to.
        opened.append(connection)

    def unraisable(event: Any) -> None:
        found.append(f"unraisable in {event.object!r}: {event.exc_value!r}")

    def dead_thread(event: Any) -> None:
        found.append(f"thread ended by {event.exc_value!r}")

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(counting_tasks)
        loop.set_exception_handler(lambda _, context: found.append(f"{context}"))
        await main()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        found.extend(f"task: {task!r}" for task in tasks)

    connection.ensure_connection()
    before = set(threading.enumerate())
    connection_created.connect(open_connection)
    try:
        with (
            mock.patch.object(sys, "unraisablehook", unraisable),
            mock.patch.object(threading, "excepthook", dead_thread),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            with asyncio.Runner() as runner:
                runner.run(watched())
            found.extend(_threads(before))
            gc.collect()
        found.extend(f"warning: {warning.message}" for warning in caught)
    finally:
        connection_created.disconnect(open_connection)
    found.extend(
        f"connection of a {type(made).__module__}, in a transaction: "
        f"{made.in_atomic_block}"
        for made in opened
        if made is not connection and made.connection is not None
    )
    _write()
    return found


def _threads(before: set[threading.Thread]) -> list[str]:
    """The threads that do not end, but for the one that asgiref keeps for ever."""
    kept = SyncToAsync.single_thread_executor._threads
    started = set(threading.enumerate()) - before - kept
    for thread in started:
        thread.join(JOIN_SECONDS)
    return [f"thread: {thread}" for thread in started if thread.is_alive()]


def _write() -> None:
    """Raise if anybody still holds a lock."""
    with transaction.atomic():
        Tag.objects.create(name="nobody holds a lock")
        transaction.set_rollback(True)
