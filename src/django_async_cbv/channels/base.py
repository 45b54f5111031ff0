"""What a channel is, and what its subscribers get: messages, and resets for gaps."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from django.core.serializers.json import DjangoJSONEncoder

__all__ = [
    "Channel",
    "Message",
    "Reset",
    "Slow",
    "Subscription",
    "check_name",
    "check_topics",
    "dump",
    "load",
]

_R = TypeVar("_R")

# What happens to a subscriber that is slower than the messages.
Slow = Literal["drop", "skip"]

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message of a channel, the same object for all subscribers of a process.

    Attributes:
        id: Where to resume: give it to `subscribe(since=...)`. A browser returns only
            printable ASCII, without a space at either end, and 255 characters of it.
        topic: The topic that it was published under.
        data: What was published, as JSON gives it back. Do not change it.
        event: The name of the event, if it has one.
    """

    id: str
    topic: str
    data: Any = field(hash=False)
    event: str | None = None
    _encoded: dict[Any, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def encoded(self, encode: Callable[[Message], _R]) -> _R:
        """
        Return `encode(message)`, which is called once for all subscribers.

        Args:
            encode: A function, always the same object: a lambda or a bound method
                that you make for each call is called each time.
        """
        try:
            result: _R = self._encoded[encode]
        except KeyError:
            result = self._encoded[encode] = encode(self)
        return result


@dataclass(frozen=True, slots=True)
class Reset:
    """
    Say that messages are missing here, so that the subscriber has to start anew.

    A subscription yields it first, if the channel does not know the id that it resumes
    from, and later, if the channel itself has lost messages. The messages after it are
    those of the present.
    """


class Subscription(Protocol):
    """What `subscribe()` returns. An async generator is one."""

    def __aiter__(self) -> Subscription:
        """Return itself."""
        ...

    def __anext__(self) -> Awaitable[Message | Reset]:
        """Wait for the next message. Stop where a slow subscriber is dropped."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Unsubscribe. `contextlib.aclosing()` does it at the end of a block."""
        ...


class Channel(Protocol):
    """Carries messages from those who publish to all who subscribe, by topic."""

    def publish(self, topic: str, data: Any, *, event: str | None = None) -> str:
        """
        Send a message to the subscribers of a topic.

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
        ...

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
            The event loop or the worker thread of the request, as the channel says.
        """
        ...

    def subscribe(self, *topics: str, since: str | None = None) -> Subscription:
        """
        Return the messages of these topics as an async iterator.

        Args:
            *topics: One or more topics.
            since: The id of the last message that the subscriber has. The messages
                after it come first. If the channel does not know the id any more, a
                `Reset` comes first.

        Returns:
            A `Subscription`.

        Raises:
            TypeError: If you give no topic, or one that is not a `str`.
            ValueError: If a topic is empty, too long or not printable.

        Runs on:
            The caller's side. No hop.
        """
        ...


def check_name(what: str, name: str) -> str:
    """Return a name that each database and each event stream can carry, else raise."""
    if not isinstance(name, str):
        raise TypeError(
            f"The {what} {name!r} is not a str. Convert it: `str({name!r})`."
        )
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"The {what} {name[:LONGEST_NAME]!r} is not 1 to {LONGEST_NAME} printable "
            "characters, so not every channel could carry it. Choose another one, such "
            "as 'prices'."
        )
    return name


def check_topics(topics: tuple[str, ...]) -> frozenset[str]:
    """Return the topics to subscribe to, else raise."""
    if not topics:
        raise TypeError(
            "subscribe() got no topic, so no message would arrive. Name one or more: "
            "`channel.subscribe('prices')`."
        )
    return frozenset(check_name("topic", topic) for topic in topics)


def dump(data: Any) -> str:
    """Return the JSON of a message's data, in ASCII, which each database can store."""
    return json.dumps(
        data, cls=DjangoJSONEncoder, allow_nan=False, separators=(",", ":")
    )


def load(text: str | bytes) -> Any:
    """Return a message's data."""
    return json.loads(text)
