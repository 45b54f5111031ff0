"""
Transactions on the async connections of django-async-backend, where a project has it.

There a database has two connections: Django's own in the worker, and one on the
event loop, which belongs to the task that first used it.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from django.db.utils import load_backend

from .core.threads import await_to_the_end

__all__ = ["AsyncTransaction", "has_async_connection"]


@functools.cache
def has_async_connection(engine: str) -> bool:
    """Whether a database's ENGINE is one of django-async-backend's."""
    return hasattr(load_backend(engine), "AsyncDatabaseWrapper")


class AsyncTransaction:
    """That package's own async_atomic(), begun and ended whole even when cancelled."""

    def __init__(self, using: str, savepoint: bool, durable: bool) -> None:
        # Imported here, because only some projects have this package.
        from django_async_backend.db import async_connections  # noqa: PLC0415
        from django_async_backend.db.transaction import async_atomic  # noqa: PLC0415

        self._atomic = async_atomic(using, savepoint, durable)
        self._connection = async_connections[using]

    async def begin(self) -> None:
        """Begin it on the event loop; raise RuntimeError in another task than its."""
        self._connection.validate_task_sharing()
        await self._in_a_task_of_its_own(self._atomic.__aenter__)

    async def end(
        self, *details: Any, context: contextvars.Context | None = None
    ) -> None:
        """Commit, or roll back if `details` are an error's, as __aexit__() does."""
        leave = functools.partial(self._atomic.__aexit__, *details)
        await self._in_a_task_of_its_own(leave, context)

    async def _in_a_task_of_its_own(
        self,
        step: Callable[[], Coroutine[Any, Any, Any]],
        context: contextvars.Context | None = None,
    ) -> None:
        owner = self._connection._task

        async def run() -> None:
            # As in the package's test cases. It has no public way to lend a connection
            # to another task.
            self._connection._task = asyncio.current_task()
            try:
                await step()
            finally:
                self._connection._task = owner

        await await_to_the_end(run(), context=context)
