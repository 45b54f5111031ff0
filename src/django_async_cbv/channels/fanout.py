"""Hand the messages of one channel to all of its subscribers on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from .base import Message, Reset, Slow, check_topics

__all__ = ["TURNS", "Fanout", "Mailbox", "Office", "Subscribable", "Subscriber"]

# Turns of the event loop that subscribers get between two messages of a burst. A view
# and its response are two tasks, and each needs a turn.
TURNS = 4


class Mailbox:
    """What waits for one subscriber. Only the subscriber's event loop touches it."""

    __slots__ = (
        "begins_at",
        "cursor",
        "floor",
        "history",
        "is_dropped",
        "is_over",
        "is_reset",
        "limit",
        "past",
        "queue",
        "skipped",
        "slow",
        "topics",
        "waiter",
    )

    def __init__(self, topics: frozenset[str], limit: int, slow: Slow) -> None:
        self.topics = topics
        self.limit = limit
        self.slow = slow
        # The subscriber has the messages up to this position, or gets them from the
        # history.
        self.floor = 0
        # The ids to resume from: before the first new message, and after the last one
        # that the subscriber has taken.
        self.begins_at: str | None = None
        self.cursor: str | None = None
        # The messages from the history, and the id after which the rest of it comes. An
        # empty deque takes 700 bytes, so a subscriber that waits has None.
        self.past: deque[Message] | None = None
        self.history: str | None = None
        self.queue: deque[tuple[int, Message]] | None = None
        self.is_reset = False
        self.is_dropped = False
        self.is_over = False
        self.skipped = 0
        self.waiter: asyncio.Future[None] | None = None

    def begin(self, position: int, cursor: str | None, since: str | None) -> None:
        """Say where in the log it begins, and from where the subscriber resumes."""
        self.floor = position
        self.begins_at = cursor
        self.cursor = cursor if since is None else since

    def put(self, position: int, message: Message) -> None:
        """Add a message, or do with a slow subscriber what it has asked for."""
        if position <= self.floor or self.is_dropped:
            return
        if self.queue is None:
            self.queue = deque()
        if len(self.queue) >= self.limit:
            if self.slow == "drop":
                # The subscriber still reads the queued messages, and resumes after
                # them.
                self.is_dropped = True
                return
            self.queue.popleft()
            self.skipped += 1
        self.queue.append((position, message))
        self.wake()

    def recall(self, messages: Iterable[Message]) -> None:
        """Add the next part of the history, when the last one has been read."""
        self.past = deque(messages) or None

    def forget(self) -> None:
        """Say that the history is missing: what is queued came after it."""
        self.past = None
        self.history = None
        self.cursor = self.begins_at
        self.is_reset = True
        self.wake()

    def reset(self) -> None:
        """Say that messages are missing. What is queued is of no use after that."""
        self.queue = None
        # The positions may start again from the beginning.
        self.floor = 0
        self.begins_at = None
        self.forget()

    def close(self) -> None:
        """End the subscription, also for who waits for a message."""
        self.is_over = True
        self.queue = self.past = None
        self.history = None
        self.wake()

    def wake(self) -> None:
        """Let the subscriber look for messages."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def take(self) -> Message | Reset | None:
        """Return what is next, if anything is there."""
        if self.is_reset:
            self.is_reset = False
            return Reset()
        if self.past:
            message = self.past.popleft()
            self.past = self.past or None
            self.cursor = message.id
            return message
        if self.history is None:
            while self.queue:
                position, message = self.queue.popleft()
                self.queue = self.queue or None
                # The history may have passed this message since it was queued.
                if position > self.floor:
                    self.cursor = message.id
                    return message
        return None

    async def wait(self) -> None:
        """Wait until something may be there."""
        if self.waiter is not None:
            raise RuntimeError(
                "Two tasks wait for one subscription, which gives each message to one "
                "of them. Call `channel.subscribe()` in each task."
            )
        self.waiter = asyncio.get_running_loop().create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None


class Fanout:
    """The mailboxes of one channel on one event loop, by topic."""

    def __init__(self) -> None:
        self._by_topic: dict[str, set[Mailbox]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_topic)

    def add(self, mailbox: Mailbox) -> None:
        """Let a mailbox get the messages of its topics."""
        for topic in mailbox.topics:
            self._by_topic.setdefault(topic, set()).add(mailbox)

    def remove(self, mailbox: Mailbox) -> None:
        """Let it get no more. A second call does nothing."""
        for topic in mailbox.topics:
            if (mailboxes := self._by_topic.get(topic)) is not None:
                mailboxes.discard(mailbox)
                if not mailboxes:
                    del self._by_topic[topic]

    def has(self, topic: str) -> bool:
        """Whether anybody subscribes to a topic."""
        return topic in self._by_topic

    def put(self, position: int, message: Message) -> None:
        """Hand a message to each mailbox of its topic."""
        for mailbox in self._by_topic.get(message.topic, ()):
            mailbox.put(position, message)

    def reset(self) -> None:
        """Say to each mailbox that messages are missing."""
        for mailbox in self._all():
            mailbox.reset()

    def wake(self) -> None:
        """Let each subscriber look for what it waits for."""
        for mailbox in self._all():
            mailbox.wake()

    def _all(self) -> Iterable[Mailbox]:
        return {one for mailboxes in self._by_topic.values() for one in mailboxes}


class Office(Protocol):
    """Where a subscriber's mailbox is, on the subscriber's event loop."""

    async def join(self, mailbox: Mailbox, since: str | None) -> None:
        """Begin to fill the mailbox; called once."""
        ...

    async def recall(self, mailbox: Mailbox) -> None:
        """Put more of the history into `past`, where `history` is not None."""
        ...

    async def leave(self, mailbox: Mailbox) -> None:
        """End all that `join()` has begun, also where that was cancelled."""
        ...

    def abandon(self, mailbox: Mailbox) -> None:
        """Begin to do as `leave()` does, for a subscriber that nobody has closed."""
        ...


class Subscriber:
    """
    The messages of some topics, as an async iterator.

    Use it as an async context manager. The subscription then is in force when the
    block begins, and is gone when it ends::

        async with channel.subscribe("prices") as messages:
            async for message in messages:
                ...

    Without the block it begins with the first message that you wait for.
    """

    def __init__(
        self,
        office: Office,
        topics: frozenset[str],
        since: str | None,
        limit: int,
        slow: Slow,
    ) -> None:
        self._office = office
        self._since = since
        self._mailbox = Mailbox(topics, limit, slow)
        # The event loop of the subscription.
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def cursor(self) -> str | None:
        """
        The id to give to `subscribe(since=...)` to go on from here.

        It is that of the last message that you took. Before the first one, it is that
        of the message at which the subscription began. None: there is no message yet.
        """
        return self._mailbox.cursor

    @property
    def skipped(self) -> int:
        """How many messages this subscriber was too slow for (`slow="skip"`)."""
        return self._mailbox.skipped

    @property
    def dropped(self) -> bool:
        """Whether this subscriber was too slow, so that it ends (`slow="drop"`)."""
        return self._mailbox.is_dropped

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Reset:
        mailbox = self._mailbox
        if self._loop is None and not mailbox.is_over:
            await self._begin()
        while not mailbox.is_over:
            if (found := mailbox.take()) is not None:
                return found
            if mailbox.history is not None:
                await self._office.recall(mailbox)
            elif mailbox.is_dropped:
                break
            else:
                await mailbox.wait()
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Unsubscribe. What waits for a message ends; a second call does nothing."""
        if self._mailbox.is_over:
            return
        self._mailbox.close()
        if self._loop is not None:
            await self._office.leave(self._mailbox)

    async def _begin(self) -> None:
        if self._loop is not None or self._mailbox.is_over:
            raise RuntimeError(
                "This subscription was entered before, and serves once. Call "
                "`channel.subscribe()` again."
            )
        self._loop = asyncio.get_running_loop()
        try:
            await self._office.join(self._mailbox, self._since)
        except BaseException:
            await self.aclose()
            raise

    def __del__(self) -> None:
        if self._loop is None or self._mailbox.is_over:
            return
        # The garbage collector may run in any thread. A closed event loop has ended the
        # subscription already.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._office.abandon, self._mailbox)


class Subscribable:
    """The half of a channel that is the same for each way to carry messages."""

    _buffer: int
    _slow: Slow

    def _office(self) -> Office:
        """Give what knows the subscribers of this process."""
        raise NotImplementedError

    def subscribe(self, *topics: str, since: str | None = None) -> Subscriber:
        """
        Return the messages of these topics as an async iterator.

        Args:
            *topics: One or more topics.
            since: The id of the last message that the subscriber has. The messages
                after it come first. If the channel does not know the id any more, a
                `Reset` comes first.

        Returns:
            A `Subscriber`, which is an async context manager too.

        Raises:
            TypeError: If you give no topic, or one that is not a `str`.
            ValueError: If a topic is empty, too long or not printable.

        Runs on:
            The caller's side. No hop.
        """
        wanted = check_topics(topics)
        return Subscriber(self._office(), wanted, since, self._buffer, self._slow)
