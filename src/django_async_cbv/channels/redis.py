"""A channel between processes, through a stream of Redis."""

from __future__ import annotations

import os
import re
import secrets
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

import redis
from redis import asyncio as aioredis

from .base import Message, Slow, check_name, dump, load
from .reader import Batch, Cursor, Entry, Past, Readers, Shared

__all__ = ["RedisChannel"]

# Seconds that a read waits for messages, and that Redis may take for an answer.
WAIT, TIMEOUT = 5, 5

# Without these options, redis-py reads its version from files, on the event loop, for
# each connection.
ANONYMOUS: dict[str, Any] = (
    {"driver_info": None}
    if find_spec("redis.driver_info")
    else {"lib_name": None, "lib_version": None}
)

# Each entry names the entry before it, so that a reader sees a gap. The time is that of
# the server, as in the ids.
PUBLISH = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local before = ''
if last[1] then
    local fields = last[1][2]
    before = last[1][1] .. '-' .. (fields[3] == 'r' and fields[4] or '')
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'p', before,
    'r', ARGV[3], 't', ARGV[4], 'd', ARGV[5], 'e', ARGV[6])
if ARGV[2] ~= '' then
    local now = redis.call('TIME')
    local oldest = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[2]
    redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', oldest))
end
return id
"""
# Not \d, which takes the digits of all scripts. Redis refuses those with an error.
ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})-([0-9a-f]{8})")
LARGEST = 2**64


class RedisChannel(Shared):
    """
    Carry messages between processes through one stream of Redis 6.2 or later.

    Needs `pip install django-async-cbv[redis]`.

    Args:
        url: Where Redis is, as `redis.Redis.from_url()` takes it.
        name: The name of the channel. The key of its stream is `channel:<name>`.
        max_length: How many messages Redis keeps, about, for subscribers that resume.
        max_age: How long Redis keeps them, about. None: as long as there is room.
        buffer: How many messages may wait for one subscriber.
        slow: What happens if more of them wait. With `"drop"` the subscription ends,
            and the client resumes. With `"skip"` it loses the oldest messages.
        options: More options for the connections, as `redis.Redis` takes them.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "default",
        max_length: int = 10_000,
        max_age: timedelta | None = None,
        buffer: int = 100,
        slow: Slow = "drop",
        **options: Any,
    ) -> None:
        self._url = url
        self._key = f"channel:{check_name('channel name', name)}"
        self._max_length = max_length
        self._max_age = "" if max_age is None else int(max_age.total_seconds() * 1000)
        self._buffer = buffer
        self._slow = slow
        self._options = {
            **ANONYMOUS,
            "socket_timeout": WAIT + TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            **options,
            # Whatever the other clients of the project have: answers of another form
            # would look like an outage.
            "protocol": 2,
            "decode_responses": False,
        }
        self._readers = Readers(name, self._connect, buffer)
        self._process = os.getpid()
        self._publisher: Any = None

    def publish(self, topic: str, data: Any, *, event: str | None = None) -> str:
        """
        Send a message at once, also inside a transaction.

        Args:
            topic: The topic, 1 to 200 printable characters.
            data: What becomes JSON.
            event: The name of the event.

        Returns:
            The id of the message.

        Raises:
            TypeError: If the topic is not a `str`, or the data cannot become JSON.
            ValueError: If the topic or the event is empty, too long or not printable.
            redis.exceptions.RedisError: If Redis cannot be reached. If the connection
                broke before the answer came, the message may have been sent.

        Runs on:
            The caller's thread, which waits for Redis. No hop.
        """
        check_name("topic", topic)
        if event is not None:
            check_name("event", event)
        token = secrets.token_hex(4)
        arguments = (self._max_length, self._max_age, token)
        message = (topic, dump(data), event or "")
        # redis-py sends the hash of the script, and the whole script to a server that
        # does not know it.
        given = self._script()([self._key], [*arguments, *message])
        return f"{given.decode()}-{token}"

    def _script(self) -> Any:
        if self._publisher is None or self._process != os.getpid():
            self._process = os.getpid()
            # No retry, because the first attempt may have arrived without its answer.
            retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
            pool = redis.BlockingConnectionPool.from_url(
                self._url, max_connections=1, retry=retry, **self._options
            )
            client = redis.Redis(connection_pool=pool)
            self._publisher = client.register_script(PUBLISH)
        return self._publisher

    async def _connect(self) -> _Log:
        return await _Log.connect(self._url, self._key, self._options)


class _Log:
    """One connection to the stream."""

    def __init__(self, client: aioredis.Redis, key: str) -> None:
        # Any, because redis-py's types cover all versions and protocols at once.
        self._client: Any = client
        self._key = key
        # A socket that waits for less than the read would look like an outage.
        timeout = self._client.connection_pool.connection_kwargs["socket_timeout"]
        self._wait = WAIT if timeout is None else min(WAIT, timeout / 2)
        # Whether Redis still has the entry to follow.
        self._is_sure = False

    @classmethod
    async def connect(cls, url: str, key: str, options: dict[str, Any]) -> _Log:
        retry = aioredis.retry.Retry(redis.backoff.NoBackoff(), 0)
        options = {"client_name": "channel-reader", **options}
        client = aioredis.Redis.from_url(
            url, single_connection_client=True, retry=retry, **options
        )
        log = cls(client, key)
        try:
            await log._client.ping()
        except BaseException:
            await log.close()
            raise
        return log

    async def newest(self) -> Cursor:
        found = await self._client.xrevrange(self._key, count=1)
        return cursor_of(*found[0]) if found else Cursor(0, "")

    async def follow(self, cursor: Cursor, limit: int) -> Batch:
        if not self._is_sure:
            newest = await self.newest()
            if newest.position <= cursor.position and newest != cursor:
                # Redis is empty, or has older data, so none of its entries is new.
                return Batch(newest, gap=True)
            self._is_sure = True
        stream = {self._key: stream_id(cursor.position)}
        # Redis would take 0 for no end.
        milliseconds = max(int(self._wait * 1000), 1)
        found = await self._client.xread(stream, count=limit, block=milliseconds)
        if not found:
            self._is_sure = False
            return Batch(cursor)
        raw = found[0][1]
        before = raw[0][1].get(b"p")
        return Batch(
            cursor_of(*raw[-1]),
            [entry for one in raw if (entry := entry_of(*one)) is not None],
            # Entries of other programs do not name the entry before them.
            before is not None and before.decode() != cursor.id,
        )

    async def after(
        self, since: str, topics: frozenset[str], limit: int
    ) -> Past | None:
        known = ID.fullmatch(since)
        if known is None or max(int(known[1]), int(known[2])) >= LARGEST:
            return None
        raw = await self._client.xrange(
            self._key, min=f"{known[1]}-{known[2]}", count=limit + 1
        )
        entries = [entry for one in raw if (entry := entry_of(*one)) is not None]
        if not entries or entries[0].message.id != since:
            return None
        return Past(
            entries[0].position,
            [one for one in entries[1:] if one.message.topic in topics],
            entries[-1].message.id if len(raw) > limit else None,
        )

    async def close(self) -> None:
        await self._client.aclose()


def cursor_of(entry_id: bytes, fields: dict[bytes, bytes]) -> Cursor:
    """Return where in the stream an entry is: ids in the order of their numbers."""
    milliseconds, _, number = entry_id.partition(b"-")
    # The script looks for the token at this place only.
    token = fields[b"r"] if [*fields][1:2] == [b"r"] else b""
    unique = entry_id + b"-" + token
    return Cursor((int(milliseconds) << 64) + int(number), unique.decode())


def stream_id(position: int) -> str:
    """Return the id of the entry there."""
    return f"{position >> 64}-{position & (LARGEST - 1)}"


def entry_of(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry | None:
    """Return a message; None for an entry that no channel has written."""
    cursor = cursor_of(entry_id, fields)
    try:
        topic, data, event = (fields[name] for name in (b"t", b"d", b"e"))
        message = Message(cursor.id, topic.decode(), load(data), event.decode() or None)
    except (KeyError, ValueError):
        return None
    return Entry(cursor.position, message)
