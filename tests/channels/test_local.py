"""The channel inside one process."""

from __future__ import annotations

import asyncio

from django.test import SimpleTestCase

from django_async_cbv.channels import LocalChannel, Reset
from tests.channels.contract import Contract, take


class TestLocalChannel(Contract, SimpleTestCase):
    def channel(self, *, length=1000, **options):
        return LocalChannel(history=length, **options)

    async def apublish(self, channel, *arguments, **named):
        return self.publish(channel, *arguments, **named)

    def shorten(self, channel):
        """The newest four are kept anyway."""

    def is_idle(self, channel):
        return not channel._log._pumps

    def mailboxes(self, channel):
        return len([*channel._log._pumps[asyncio.get_running_loop()].fanout._all()])

    async def test_another_process_has_other_ids(self):
        one, other = LocalChannel(), LocalChannel()
        ids = [one.publish("a", 1), other.publish("a", 1)]
        assert ids[0].endswith("-1")
        assert ids[1].endswith("-1")
        async with one.subscribe("a", since=ids[1]) as messages:
            assert await take(messages, 1) == [Reset()]

    async def test_without_a_history_there_is_the_present(self):
        channel = LocalChannel(history=0)
        first = channel.publish("a", 1)
        async with channel.subscribe("a", since=first) as messages:
            second = channel.publish("a", 2)
            assert [one.id for one in await take(messages, 1)] == [second]
        async with channel.subscribe("a", since=first) as messages:
            assert await take(messages, 1) == [Reset()]

    async def test_a_subscriber_that_waits_has_no_room_for_messages(self):
        """An empty deque would be a good part of what a waiting client costs."""
        channel = LocalChannel()
        first = channel.publish("a", 1)
        channel.publish("a", 2)
        async with channel.subscribe("a", since=first) as messages:
            channel.publish("a", 3)
            await take(messages, 2)
            mailbox = messages._mailbox
            assert (mailbox.past, mailbox.queue) == (None, None)
            channel.publish("a", 4)
            assert [one.data for one in await take(messages, 1)] == [4]
            assert mailbox.queue is None
