"""Blocks of Django's own transactions that belong to a task, in its worker thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError
from django.dispatch import receiver

from .connections import Cursors
from .executors import executor_in_use
from .naming import shows
from .threads import OWN, run_to_the_end, works_for

__all__ = [
    "WRAPPERS",
    "Block",
    "WorkerBlock",
    "blocks",
    "forget",
    "request_blocks",
]


class Block:
    """One aatomic() block that is open: whose it is, and what it has to put back."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.task = asyncio.current_task()
        # The blocks around this block.
        self.before = blocks.get()
        self.context: contextvars.Context | None = None
        self.is_open = False

    async def begin(self) -> None:
        """Begin the transaction; all or nothing."""
        raise NotImplementedError

    async def end(self, *details: Any, context: contextvars.Context | None) -> None:
        """Commit, or roll back if `details` are an error's, as __aexit__() does."""
        raise NotImplementedError


# The blocks of the current task: those that it entered, and those that it started in.
blocks: contextvars.ContextVar[tuple[Block, ...]] = contextvars.ContextVar(
    "django_async_cbv_blocks", default=()
)


def forget(*gone: Block) -> None:
    """Take blocks that have ended off the current task."""
    around = blocks.get()
    if any(block in around for block in gone):
        blocks.set(tuple(block for block in around if block not in gone))


class WorkerBlock(Block):
    """A block of Django's own connection, which is entered and left in the worker."""

    def __init__(
        self, using: str, *, savepoint: bool = True, durable: bool = False
    ) -> None:
        super().__init__(using)
        self._atomic = transaction.atomic(using, savepoint, durable)
        self._guard: _Guard | None = None
        # The thread that has its connection.
        self.home: threading.Thread | None = None
        self._own_thread: _OwnThread | None = None

    async def begin(self) -> None:
        """Begin it, in a worker of its own where the task has none; one hop."""
        if not _has_a_thread():
            # Outside of a request, all tasks of the process share one worker thread and
            # its connections. This transaction gets a thread of its own.
            self._own_thread = _OwnThread()
        try:
            await run_to_the_end(self.enter)
        except BaseException as error:
            if self.is_open:
                await self.end(type(error), error, error.__traceback__, context=None)
            elif self._own_thread is not None:
                await self._own_thread.end(None)
            raise

    async def end(self, *details: Any, context: contextvars.Context | None) -> None:
        """End it in the worker; one hop, and one more for a worker of its own."""
        try:
            await run_to_the_end(
                functools.partial(self.leave, *details), context=context
            )
        finally:
            if self._own_thread is not None:
                await self._own_thread.end(context)

    @shows("aatomic")
    def enter(self) -> None:
        """Begin the transaction or set the savepoint; called in the worker."""
        using = self.using
        wrappers = connections[using].execute_wrappers
        for outer in (one.block for one in wrappers if isinstance(one, _Guard)):
            if outer not in self.before:
                raise TransactionManagementError(
                    f"aatomic(using={using!r}) was entered while another task has a "
                    "block open on the same connection. Their savepoints would "
                    "interleave. Await one block after the other, or run sync "
                    "functions under transaction.atomic() with `agather()`."
                )
            if not (outer.task is self.task or outer.is_alone):
                raise TransactionManagementError(
                    f"aatomic(using={using!r}) was entered by a task that started "
                    "inside of another aatomic() block. Their savepoints would "
                    "interleave. Enter it in the task that entered the outer block, or "
                    "start the task outside of that block."
                )
        self._atomic.__enter__()
        self._guard = _Guard(self)
        # The first wrapper sees a query before all others, and execute_wrapper() pops
        # the last.
        wrappers.insert(0, self._guard)
        self.home = threading.current_thread()
        self.is_open = True

    @property
    def is_alone(self) -> bool:
        """Whether its task is over, or waits for what this thread does."""
        return self.task is None or self.task.done() or works_for(self.task)

    @shows("aatomic")
    def leave(self, *details: Any) -> None:
        """Commit, or roll back if `details` are an error's; called in the worker."""
        using = self.using
        self.is_open = False
        if threading.current_thread() is not self.home:
            raise _lost(self)
        connection = connections[using]
        guard, self._guard = self._guard, None
        wrappers = connection.execute_wrappers
        refused = None
        if guard is not None:
            wrappers.remove(guard)
            refused = guard.refused
        is_rolled_back = details[0] is not None or connection.needs_rollback
        # After an error in save(), Django marks the transaction for rollback, whichever
        # task called save(), and raises no error when the block ends.
        spoilt = refused is not None and connection.needs_rollback
        try:
            self._atomic.__exit__(*details)
        finally:
            if is_rolled_back:
                _RolledBack.watch(wrappers).add(self)
        if spoilt and details[0] is None:
            raise TransactionManagementError(
                f"The aatomic(using={using!r}) block was rolled back, because a task "
                "from outside of the block tried to write into it. Start this task "
                "inside of the block, or await it before the block."
            ) from refused


OWN.add(WorkerBlock)


def request_blocks(aliases: Sequence[str]) -> list[WorkerBlock]:
    """
    Make blocks for a request of this task, the outermost first.

    The caller enters and leaves each in the worker, then calls forget().
    """
    made = [WorkerBlock(alias) for alias in aliases]
    blocks.set((*blocks.get(), *made))
    return made


def _lost(block: WorkerBlock) -> TransactionManagementError:
    return TransactionManagementError(
        f"The aatomic(using={block.using!r}) block was rolled back: it outlived its "
        "request, whose thread and connection are gone. Await the block before the "
        "request ends, or start its task outside of any request."
    )


class _OwnThread:
    """A worker with connections of its own, for all sync work of this task."""

    # The contexts that have ended. If another task ended a block, the task that entered
    # the block may still be in one.
    ended: ClassVar[weakref.WeakSet[ThreadSensitiveContext]] = weakref.WeakSet()

    def __init__(self) -> None:
        # Not entered, because only the context that enters it can leave it, and another
        # task may end this block.
        self._thread = ThreadSensitiveContext()
        self._token = SyncToAsync.thread_sensitive_context.set(self._thread)

    async def end(self, context: contextvars.Context | None) -> None:
        """Close the connections and let the thread end; `context`: where it is."""
        try:
            await run_to_the_end(connections.close_all, context=context)
        finally:
            self.ended.add(self._thread)
            executor = SyncToAsync.context_to_thread_executor.pop(self._thread, None)
            if executor is not None:
                executor.shutdown(wait=False)
            # If another task ends this block, the token belongs to another context.
            with contextlib.suppress(ValueError):
                SyncToAsync.thread_sensitive_context.reset(self._token)


class _Guard:
    """Refuses what a task from outside of a block would write into it."""

    def __init__(self, block: WorkerBlock) -> None:
        self.block = block
        # The last error, which tells the owner of the block.
        self.refused: TransactionManagementError | None = None

    def __call__(
        self, execute: Any, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        if self.block in blocks.get():
            return execute(sql, params, many, context)
        self.refused = TransactionManagementError(
            f"A query on {self.block.using!r} was refused, because its task started "
            "outside of the aatomic() block that is open. The query would become part "
            "of the transaction. Start the task inside of the block, or await the task "
            "before the block."
        )
        raise self.refused


class _RolledBack:
    """Refuses what a task begun inside of a block writes after its rollback."""

    def __init__(self) -> None:
        # The context of each such task holds the block.
        self.blocks: weakref.WeakSet[Block] = weakref.WeakSet()

    @classmethod
    def watch(cls, wrappers: list[Any]) -> weakref.WeakSet[Block]:
        """The blocks that were rolled back on a connection with these wrappers."""
        found = next((one for one in wrappers if isinstance(one, cls)), None)
        if found is None:
            found = cls()
            wrappers.insert(0, found)
        return found.blocks

    def __call__(
        self, execute: Any, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        for block in blocks.get():
            if block in self.blocks:
                raise TransactionManagementError(
                    f"A query on {block.using!r} was refused, because its task started "
                    "inside of an aatomic() block that was rolled back. The query "
                    "would be kept all the same. Await the task inside of the block, "
                    "for example with `asyncio.TaskGroup`."
                )
        return execute(sql, params, many, context)


# The execute_wrappers that this package adds to a connection.
WRAPPERS = (_Guard, _RolledBack, Cursors)


@receiver(connection_created)
def _refuse_lost(connection: Any, **_: Any) -> None:
    """Refuse a new connection to a block whose thread, and connection, are gone."""
    # django-async-backend sends this signal for async connections too.
    if not isinstance(connection, BaseDatabaseWrapper):
        return
    for block in blocks.get():
        if (
            isinstance(block, WorkerBlock)
            and block.is_open
            and block.using == connection.alias
            and block.home is not None
            and not block.home.is_alive()
        ):
            connection.close()
            raise _lost(block)


def _has_a_thread() -> bool:
    """Whether sync work has a thread of its own: a request's, a test's, a command's."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    has_one = (
        executor_in_use() is not None
        or (context is not None and context not in _OwnThread.ended)
        or asyncio.get_running_loop() in AsyncToSync.loop_thread_executors
    )
    if not has_one:
        # The executor of a wait_for() that has ended. asgiref would use it before our
        # thread.
        AsyncToSync.executors.current = None
    return has_one
