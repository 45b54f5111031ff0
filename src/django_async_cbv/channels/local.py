"""A channel inside one process, for development, tests, and a single process."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections import deque
from itertools import islice
from typing import Any

from .base import Message, Slow, check_name, dump, load
from .fanout import TURNS, Fanout, Mailbox, Subscribable

__all__ = ["LocalChannel"]


class LocalChannel(Subscribable):
    """
    Carry messages from any thread to subscribers on any event loop of this process.

    Args:
        history: How many messages are kept for subscribers that resume.
        buffer: How many messages may wait for one subscriber.
        slow: What happens if more of them wait. With `"drop"` the subscription ends,
            and the client resumes. With `"skip"` it loses the oldest messages.
    """

    def __init__(
        self, *, history: int = 1000, buffer: int = 100, slow: Slow = "drop"
    ) -> None:
        self._length = history
        self._buffer = buffer
        self._slow = slow
        self._log = _Log(history)

    def publish(self, topic: str, data: Any, *, event: str | None = None) -> str:
        """
        Send a message at once, also inside a transaction.

        If a rollback has to take the message back, publish in
        `transaction.on_commit()`, or use a `PostgresChannel`.

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
            The caller's thread. No hop.
        """
        check_name("topic", topic)
        if event is not None:
            check_name("event", event)
        # Through JSON, so that subscribers get the same as from a channel between
        # processes.
        return self._office().append(topic, load(dump(data)), event)

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
            The event loop, without a hop.
        """
        return self.publish(topic, data, event=event)

    def _office(self) -> _Log:
        if self._log.process != os.getpid():
            # After a fork, both processes would have the same ids, locks, event loops
            # and subscribers.
            self._log = _Log(self._length)
        return self._log


class _Log:
    """The messages and the subscribers of one process."""

    def __init__(self, length: int) -> None:
        self.process = os.getpid()
        # Without an epoch, an id from before a restart would look like an id of this
        # process.
        self._epoch = secrets.token_hex(6)
        self._lock = threading.Lock()
        self._count = 0
        self._history: deque[Message] = deque(maxlen=length)
        self._pumps: dict[asyncio.AbstractEventLoop, _Pump] = {}

    def append(self, topic: str, data: Any, event: str | None) -> str:
        with self._lock:
            position = self._count + 1
            message = Message(f"{self._epoch}-{position}", topic, data, event)
            self._count = position
            self._history.append(message)
            for loop, pump in [*self._pumps.items()]:
                try:
                    # Inside the lock, so that each event loop gets the messages in
                    # order.
                    loop.call_soon_threadsafe(pump.feed, position, message)
                except RuntimeError:
                    # The event loop is closed, and its subscribers have ended.
                    del self._pumps[loop]
        return message.id

    async def join(self, mailbox: Mailbox, since: str | None) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._pumps:
                self._pumps[loop] = _Pump(loop)
            self._pumps[loop].fanout.add(mailbox)
            present = f"{self._epoch}-{self._count}"
            mailbox.begin(self._count, present, since)
            if since is not None:
                missed = self._after(since)
                if missed is None:
                    mailbox.forget()
                else:
                    mailbox.recall(one for one in missed if one.topic in mailbox.topics)

    def _after(self, since: str) -> list[Message] | None:
        """The messages after an id; None if some are gone, or the id is not ours."""
        number = since.rpartition("-")[2]
        if len(number) > 20 or not (number.isascii() and number.isdigit()):
            return None
        if since != f"{self._epoch}-{int(number)}":
            return None
        missed = self._count - int(number)
        if not 0 <= missed <= len(self._history):
            return None
        return [*islice(self._history, len(self._history) - missed, None)]

    async def recall(self, mailbox: Mailbox) -> None:
        """Do nothing: join() gives the history whole."""

    async def leave(self, mailbox: Mailbox) -> None:
        self.abandon(mailbox)

    def abandon(self, mailbox: Mailbox) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if (pump := self._pumps.get(loop)) is not None:
                pump.fanout.remove(mailbox)
                if not pump.fanout:
                    del self._pumps[loop]


class _Pump:
    """
    Puts messages into mailboxes one by one, on their event loop.

    Between two of them the subscribers get some turns of the loop. Else a burst would
    fill the mailboxes of those who are quick.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.fanout = Fanout()
        self._loop = loop
        self._waiting: deque[tuple[int, Message]] = deque()
        self._turns = 0

    def feed(self, position: int, message: Message) -> None:
        self._waiting.append((position, message))
        if not self._turns:
            self._put()

    def _put(self) -> None:
        self.fanout.put(*self._waiting.popleft())
        self._turns = TURNS
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turns -= 1
        if self._turns:
            self._loop.call_soon(self._turn)
        elif self._waiting:
            self._put()
