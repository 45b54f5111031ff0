"""Follow a log of messages that processes share, once for all subscribers of a loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import random
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..core.threads import await_to_the_end
from ..sync import run_sync
from .base import Message
from .fanout import TURNS, Fanout, Mailbox, Subscribable

__all__ = ["Batch", "Cursor", "Entry", "Log", "Past", "Readers", "Shared"]

_logger = logging.getLogger("django_async_cbv.channels")

# How many messages a reader reads at once.
LIMIT = 500
# Seconds before the second attempt to connect, and the most between later ones.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# Seconds after which a task that lost its cancellation is cancelled again.
AGAIN = 0.2

_inherited: list[object] = []


class Cursor(NamedTuple):
    """How far something was read: to this position, where this entry is."""

    position: int
    id: str


class Entry(NamedTuple):
    """A message, and where it is in the log."""

    position: int
    message: Message


@dataclass(slots=True)
class Batch:
    """Some entries in their order; `gap` if others before them are gone."""

    # The end of the batch: its last entry, or a later entry that is not a message.
    cursor: Cursor
    entries: list[Entry] = field(default_factory=list)
    gap: bool = False


@dataclass(slots=True)
class Past:
    """A part of the history: what came after a message at `position`."""

    position: int
    entries: list[Entry]
    # The id after which the rest comes. None at the end.
    more: str | None


class Log(Protocol):
    """One connection to the log. Whatever it raises is taken for an outage."""

    async def newest(self) -> Cursor:
        """Return where the newest entry is."""
        ...

    async def follow(self, cursor: Cursor, limit: int) -> Batch:
        """Return what comes after an entry; wait some seconds for it at most."""
        ...

    async def after(
        self, since: str, topics: frozenset[str], limit: int
    ) -> Past | None:
        """Return what came after a message; None if the log does not have that."""
        ...

    async def close(self) -> None:
        """Close the connection, also a broken one."""
        ...


class Readers:
    """The readers of one channel: one for each event loop that has subscribers."""

    def __init__(
        self, name: str, connect: Callable[[], Awaitable[Log]], memory: int
    ) -> None:
        # Shared by all readers, so that a new reader knows of an outage that an old one
        # logged.
        self._outage = _Outage(name)
        self._connect = connect
        self._memory = memory
        self._process = os.getpid()
        self._readers: dict[asyncio.AbstractEventLoop, _Reader] = {}

    async def join(self, mailbox: Mailbox, since: str | None) -> None:
        """Let a mailbox get the messages from now on, and those since an id."""
        loop = asyncio.get_running_loop()
        if self._process != os.getpid():
            # After a fork, the connections belong to the parent. This process must
            # neither use nor close them, as the garbage collector would.
            self._process = os.getpid()
            _inherited.append(self._readers)
            self._readers = {}
        for other in [*self._readers]:
            if other.is_closed():
                self._readers.pop(other, None)
        if (reader := self._readers.get(loop)) is None:
            reader = _Reader(self._outage, self._connect, self._memory)
            self._readers[loop] = reader
        await reader.join(mailbox, since)

    async def recall(self, mailbox: Mailbox) -> None:
        """Read more of the history."""
        await self._readers[asyncio.get_running_loop()].recall(mailbox)

    async def leave(self, mailbox: Mailbox) -> None:
        """Take a mailbox away; with the last one, close the connections."""
        if (reader := self._emptied(mailbox)) is not None:
            await await_to_the_end(reader.wait_for_the_end())

    def abandon(self, mailbox: Mailbox) -> None:
        """Do as leave() does, but wait for nothing."""
        self._emptied(mailbox)

    def _emptied(self, mailbox: Mailbox) -> _Reader | None:
        loop = asyncio.get_running_loop()
        reader = self._readers.get(loop)
        if reader is None:
            return None
        reader.fanout.remove(mailbox)
        if reader.fanout:
            return None
        # The next subscriber gets a new reader.
        del self._readers[loop]
        reader.end()
        return reader


class Shared(Subscribable):
    """The half of a channel that is the same for each log between processes."""

    _readers: Readers

    def publish(self, topic: str, data: Any, *, event: str | None = None) -> str:
        """Write a message to the log, and return its id."""
        raise NotImplementedError

    async def apublish(self, topic: str, data: Any, *, event: str | None = None) -> str:
        """
        Send a message. Async variant of `publish()`.

        Args:
            topic: The topic, 1 to 200 printable characters.
            data: What becomes JSON.
            event: The name of the event.

        Returns:
            The id of the message.

        Runs on:
            The worker thread of the request. One hop.
        """
        return await run_sync(self.publish, topic, data, event=event)

    def _office(self) -> Readers:
        return self._readers


class _Reader:
    """
    One task and two connections: one follows the log, one reads the history.

    What is at the cursor or before it has been handed to all mailboxes. So for who
    joins, the log falls into two parts: the history up to there, and what comes. No
    message is in both.
    """

    def __init__(
        self, outage: _Outage, connect: Callable[[], Awaitable[Log]], memory: int
    ) -> None:
        self.fanout = Fanout()
        self._connect = connect
        self._outage = outage
        self._memory = memory
        # The newest messages, for subscribers that were gone for a moment.
        self._recent: OrderedDict[str, Entry] = OrderedDict()
        self._cursor = Cursor(0, "")
        self._is_over = False
        # Whether the task waits for messages, so that a cancellation loses nothing.
        self._follows = False
        self._knows_cursor = False
        self._history: Log | None = None
        self._history_is_read = asyncio.Lock()
        # In an empty context, because the task would keep the context of the first
        # request alive.
        self._task = asyncio.get_running_loop().create_task(
            self._run(), context=contextvars.Context()
        )
        if sys.version_info < (3, 12):
            self._task.get_loop().call_later(
                AGAIN, self._cancel_again, context=contextvars.Context()
            )

    def end(self) -> None:
        """Begin to end."""
        self._is_over = True
        self._task.cancel()

    def _cancel_again(self) -> None:
        # Until Python 3.11 goes: its wait_for(), which redis-py calls, loses a
        # cancellation that comes as it ends. end() and the end of the event loop
        # cancel.
        if self._follows and self._task.cancelling():
            self._task.cancel()
        if not self._task.done():
            self._task.get_loop().call_later(
                AGAIN, self._cancel_again, context=contextvars.Context()
            )

    async def wait_for_the_end(self) -> None:
        """Wait until both connections are closed."""
        await asyncio.wait({self._task})

    # --- for subscribers ---------------------------------------------------------

    async def join(self, mailbox: Mailbox, since: str | None) -> None:
        self.fanout.add(mailbox)
        while not self._knows_cursor:
            # Not an Event, because another task may close the mailbox meanwhile.
            await mailbox.wait()
            if mailbox.is_over:
                return
        mailbox.begin(self._cursor.position, self._cursor.id or None, since)
        if since is None:
            return
        if since in self._recent:
            missed = []
            for entry in reversed(self._recent.values()):
                if entry.message.id == since:
                    break
                missed.append(entry.message)
            mailbox.recall(
                one for one in reversed(missed) if one.topic in mailbox.topics
            )
        else:
            mailbox.history = since

    async def recall(self, mailbox: Mailbox) -> None:
        async with self._history_is_read:
            since = mailbox.history
            if since is None:
                return
            try:
                past = await self._after(since, mailbox.topics)
            finally:
                if self._is_over:
                    # Another task has closed the reader. Only this connection is still
                    # open.
                    await self._close_history()
        if mailbox.history is None:
            # The mailbox was reset or closed meanwhile.
            return
        if past is None:
            mailbox.forget()
        elif past.position >= mailbox.floor:
            # Another process has delivered that message already, and this process has
            # not.
            mailbox.floor = past.position
            mailbox.history = None
        else:
            mailbox.recall(
                message
                for position, message in past.entries
                if position <= mailbox.floor
            )
            is_last = bool(past.entries) and past.entries[-1].position >= mailbox.floor
            mailbox.history = None if is_last else past.more

    async def _after(self, since: str, topics: frozenset[str]) -> Past | None:
        pause = FIRST_PAUSE
        cancellations = _Cancellations()
        while not self._is_over:
            is_new = self._history is None
            try:
                if self._history is None:
                    self._history = await self._connect()
                    cancellations.raise_lost()
                past = await self._history.after(since, topics, LIMIT)
                cancellations.raise_lost()
            except BaseException as error:
                await self._close_history()
                if not isinstance(error, Exception):
                    self._outage.ends("history")
                    raise
                cancellations.raise_lost()
                if is_new:
                    self._outage.begins("history", error)
                    pause = await _pause(pause)
            else:
                self._outage.ends("history")
                return past
        return None

    async def _close_history(self) -> None:
        if (history := self._history) is not None:
            self._history = None
            with contextlib.suppress(Exception):
                await history.close()

    # --- the task ----------------------------------------------------------------

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        try:
            while not self._is_over:
                log = None
                try:
                    log = await self._connect()
                    if not self._knows_cursor:
                        self._cursor = await log.newest()
                        self._knows_cursor = True
                        self.fanout.wake()
                        self._outage.ends("reader")
                    while not self._is_over:
                        self._follows = True
                        try:
                            batch = await log.follow(self._cursor, LIMIT)
                        finally:
                            self._follows = False
                        self._outage.ends("reader")
                        pause = FIRST_PAUSE
                        await self._hand_on(batch)
                except Exception as error:  # noqa: BLE001 - subscribers wait for it
                    self._outage.begins("reader", error)
                    # The connection for the history has broken too, or will. The next
                    # reader gets a new one.
                    if not self._history_is_read.locked():
                        await self._close_history()
                finally:
                    if log is not None:
                        with contextlib.suppress(Exception):
                            await log.close()
                if not self._is_over:
                    pause = await _pause(pause)
        finally:
            await self._close_history()

    async def _hand_on(self, batch: Batch) -> None:
        if batch.gap:
            self._recent.clear()
            # The positions may start again, and a subscriber may join between two
            # entries.
            self._cursor = Cursor(0, "")
            self.fanout.reset()
        for number, (position, message) in enumerate(batch.entries):
            if number:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            self._cursor = Cursor(position, message.id)
            self._recent[message.id] = Entry(position, message)
            if len(self._recent) > self._memory:
                self._recent.popitem(last=False)
            self.fanout.put(position, message)
        self._cursor = batch.cursor


class _Outage:
    """Logs one line, whatever number of connections and attempts fail."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: set[str] = set()

    def begins(self, part: str, error: Exception) -> None:
        if not self._parts:
            _logger.warning(
                "A channel lost its connection and keeps trying: channel=%s error=%r",
                self._name,
                error,
            )
        self._parts.add(part)

    def ends(self, part: str) -> None:
        self._parts.discard(part)


class _Cancellations:
    """Raises a cancellation of this task that a driver has swallowed."""

    # Until Python 3.11 goes: its wait_for(), which both drivers call, loses a
    # cancellation that comes as it ends. The task of a view reads the history. It would
    # wait for its next message, and nobody would cancel it again.

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._before = task.cancelling()

    def raise_lost(self) -> None:
        if self._task.cancelling() > self._before:
            raise asyncio.CancelledError


async def _pause(seconds: float) -> float:
    """Wait, not as long as any other process; return the next pause."""
    await asyncio.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311
    return min(seconds * 2, LONGEST_PAUSE)
