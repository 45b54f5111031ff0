"""A channel between processes, through a table of PostgreSQL and LISTEN."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from django.apps import apps
from django.db import connections, transaction
from psycopg import sql

from ..base import Message, Slow, check_name, dump, load
from ..reader import Batch, Cursor, Entry, Past, Readers, Shared

if TYPE_CHECKING:
    from .models import ChannelMessage

__all__ = ["PostgresChannel"]

# Seconds that a read waits for a notification, and that PostgreSQL may take for an
# answer.
WAIT, TIMEOUT = 5, 10
# One in so many transactions trims the table.
TRIM_ONE_IN = 100

# The queries below contain only this name. All values are parameters.
TABLE = "async_cbv_channels_channelmessage"
NEWEST = f"""
SELECT position, id FROM {TABLE} WHERE channel = %s AND position IS NOT NULL
ORDER BY position DESC LIMIT 1
"""  # noqa: S608
ANCHOR = f"""
INSERT INTO {TABLE} (id, channel, topic, event, data) VALUES (%s, %s, '', '', 'null')
"""  # noqa: S608
FOLLOW = f"""
SELECT position, id, topic, data, event FROM {TABLE}
WHERE channel = %s AND position >= %s ORDER BY position LIMIT %s
"""  # noqa: S608
AFTER = f"""
SELECT position, id, topic, data, event FROM {TABLE}
WHERE channel = %(channel)s AND (id = %(since)s OR topic = ANY(%(topics)s))
    AND position >= (
        SELECT position FROM {TABLE} WHERE id = %(since)s AND channel = %(channel)s
    )
ORDER BY position LIMIT %(limit)s
"""  # noqa: S608
# Always the oldest messages, whatever their age. A subscriber that finds one message
# then finds all later ones. Never the newest, because subscribers resume from it.
TRIM = f"""
DELETE FROM {TABLE} WHERE channel = %(channel)s AND position < GREATEST(
    (
        SELECT position FROM {TABLE} WHERE channel = %(channel)s
            AND position IS NOT NULL
        ORDER BY position DESC OFFSET %(length)s - 1 LIMIT 1
    ),
    (
        SELECT COALESCE(
            (
                SELECT position FROM {TABLE} WHERE channel = %(channel)s
                    AND position IS NOT NULL AND created >= now() - %(age)s
                ORDER BY position LIMIT 1
            ),
            (SELECT max(position) FROM {TABLE} WHERE channel = %(channel)s)
        )
    )
)
"""  # noqa: S608


class PostgresChannel(Shared):
    """
    Carry messages between processes through a table of PostgreSQL.

    Needs `pip install django-async-cbv[postgres]`, and
    `"django_async_cbv.channels.postgres"` in `INSTALLED_APPS`.

    Args:
        name: The name of the channel. Channels share the table, and no messages.
        using: The database in `DATABASES` whose transactions `publish()` joins.
        listen_using: The database in `DATABASES` by which subscribers connect, if not
            the same: past a transaction pooler, which does not support LISTEN.
        max_length: How many messages are kept, about, for subscribers that resume.
        max_age: How long they are kept, about.
        buffer: How many messages may wait for one subscriber.
        slow: What happens if more of them wait. With `"drop"` the subscription ends,
            and the client resumes. With `"skip"` it loses the oldest messages.
    """

    def __init__(
        self,
        *,
        name: str = "default",
        using: str = "default",
        listen_using: str | None = None,
        max_length: int = 10_000,
        max_age: timedelta = timedelta(days=1),
        buffer: int = 100,
        slow: Slow = "drop",
    ) -> None:
        self._name = check_name("channel name", name)
        self._using = using
        self._listen_using = using if listen_using is None else listen_using
        self._max_length = max_length
        self._max_age = max_age
        self._buffer = buffer
        self._slow = slow
        self._readers = Readers(name, self._connect, buffer)

    def publish(self, topic: str, data: Any, *, event: str | None = None) -> str:
        """
        Send a message if and when the transaction commits.

        An `aatomic()` block is a transaction too. Outside of a transaction the message
        is sent at once.

        Args:
            topic: The topic, 1 to 200 printable characters.
            data: What becomes JSON.
            event: The name of the event.

        Returns:
            The id of the message.

        Raises:
            TypeError: If the topic is not a `str`, or the data cannot become JSON.
            ValueError: If the topic or the event is empty, too long or not printable.

        Runs on:
            The caller's thread, which waits for the database. No hop.
        """
        check_name("topic", topic)
        if event is not None:
            check_name("event", event)
        row = _model()(
            channel=self._name, topic=topic, data=dump(data), event=event or ""
        )
        row.save(force_insert=True, using=self._using)
        if random.random() < 1 / TRIM_ONE_IN:  # noqa: S311
            # After this transaction, which may take long and would lock the rows.
            transaction.on_commit(self.trim, using=self._using, robust=True)
        return row.id.hex

    def trim(self) -> int:
        """
        Delete the messages that are too old or too many.

        One in a hundred calls of `publish()` does so after its transaction.

        Returns:
            How many messages were deleted.

        Runs on:
            The caller's thread, which waits for the database. No hop.
        """
        limits: dict[str, Any] = {
            "channel": self._name,
            "length": self._max_length,
            "age": self._max_age,
        }
        with connections[self._using].cursor() as cursor:
            cursor.execute(TRIM, limits)
            return int(cursor.rowcount)

    async def _connect(self) -> _Log:
        return await _Log.connect(self._name, self._listen_using)


def _model() -> type[ChannelMessage]:
    # Not an import, because a URLconf or a settings file makes a channel before Django
    # loads models.
    return apps.get_model("async_cbv_channels", "ChannelMessage")


class _Log:
    """One connection of a reader."""

    def __init__(self, name: str, connection: psycopg.AsyncConnection[Any]) -> None:
        self._name = name
        self._connection = connection
        self._listens = False

    @classmethod
    async def connect(cls, name: str, using: str) -> _Log:
        # A wrapper that never connects, because Django's connections belong to threads.
        options = connections.create_connection(using).get_connection_params()
        options.setdefault("connect_timeout", TIMEOUT)
        options.setdefault("application_name", "django-async-cbv channel")
        for one in ("context", "cursor_factory"):
            options.pop(one, None)
        role = connections.settings[using]["OPTIONS"].get("assume_role")
        connection = await psycopg.AsyncConnection.connect(**options, autocommit=True)
        log = cls(name, connection)
        if role:
            try:
                await log._query(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            except BaseException:
                await log.close()
                raise
        return log

    async def newest(self) -> Cursor:
        await self._listen()
        while not (rows := await self._query(NEWEST, [self._name])):
            # A reader needs one entry, to see a gap after it.
            await self._query(ANCHOR, [uuid.uuid4(), self._name])
        [(position, unique)] = rows
        return Cursor(position, unique.hex)

    async def follow(self, cursor: Cursor, limit: int) -> Batch:
        await self._listen()
        batch = await self._read(cursor, limit)
        if batch.cursor != cursor:
            return batch
        # Notifications that came during the query are among them.
        async for _ in self._connection.notifies(timeout=WAIT, stop_after=1):
            pass
        return await self._read(cursor, limit)

    async def _read(self, cursor: Cursor, limit: int) -> Batch:
        rows = await self._query(FOLLOW, [self._name, cursor.position, limit + 1])
        gap = not rows or cursor_of(rows[0]) != cursor
        if gap and not rows:
            return Batch(await self.newest(), gap=True)
        return Batch(
            cursor_of(rows[-1]),
            # The anchor has no topic.
            [entry_of(row) for row in rows[0 if gap else 1 :] if row[2]],
            gap,
        )

    async def after(
        self, since: str, topics: frozenset[str], limit: int
    ) -> Past | None:
        if not re.fullmatch("[0-9a-f]{32}", since):
            return None
        wanted = {
            "channel": self._name,
            "since": uuid.UUID(since),
            "topics": [*topics],
            "limit": limit + 1,
        }
        rows = await self._query(AFTER, wanted)
        if not rows:
            return None
        return Past(
            rows[0][0],
            [entry_of(row) for row in rows[1:]],
            rows[-1][1].hex if len(rows) > limit else None,
        )

    async def close(self) -> None:
        await self._connection.close()

    async def _listen(self) -> None:
        if not self._listens:
            digest = hashlib.md5(self._name.encode(), usedforsecurity=False).hexdigest()
            channel = sql.Identifier(f"async_cbv:{digest}")
            await self._query(sql.SQL("LISTEN {}").format(channel))
            self._listens = True

    async def _query(self, query: Any, values: Any = None) -> list[Any]:
        # A server that has vanished neither answers nor closes the connection.
        async with asyncio.timeout(TIMEOUT):
            cursor = await self._connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []


def cursor_of(row: Any) -> Cursor:
    """Return where a row is in the log."""
    return Cursor(row[0], row[1].hex)


def entry_of(row: Any) -> Entry:
    """Return the message of a row."""
    position, unique, topic, data, event = row
    return Entry(position, Message(unique.hex, topic, load(data), event or None))
