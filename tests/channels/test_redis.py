"""The channel through Redis: what all channels do, and what can happen to a Redis."""

from __future__ import annotations

import asyncio
import itertools
import unittest
from datetime import timedelta
from unittest import mock

import pytest
import redis
from asgiref.sync import sync_to_async
from django.test import SimpleTestCase
from redis import asyncio as aioredis

from django_async_cbv.channels import Reset
from django_async_cbv.channels.reader import Cursor
from django_async_cbv.channels.redis import RedisChannel, _Log
from tests.brokers import RedisUnavailable, own_redis
from tests.channels.contract import Contract, take, until

pytestmark = pytest.mark.server

names = map("channel-{}".format, itertools.count())


class RedisTestCase(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.broker, cls.url = cls.enterClassContext(own_redis())
        except RedisUnavailable as reason:
            raise unittest.SkipTest(f"Redis: {reason}") from None
        cls.redis = redis.Redis.from_url(cls.url)
        cls.addClassCleanup(cls.redis.close)

    def channel(self, *, length=10_000, **options):
        channel = RedisChannel(self.url, name=next(names), max_length=length, **options)
        self.addCleanup(self.disconnect, channel)
        return channel

    def disconnect(self, channel):
        if channel._publisher is not None:
            channel._publisher.registered_client.connection_pool.disconnect()

    async def on_redis(self, method, *arguments, **named):
        function = getattr(self.redis, method)
        return await sync_to_async(function)(*arguments, **named)


class TestRedisChannel(Contract, RedisTestCase):
    def publish(self, channel, *arguments, **named):
        return channel.publish(*arguments, **named)

    def shorten(self, channel):
        self.redis.xtrim(channel._key, maxlen=2, approximate=False)

    def kill_readers(self):
        for one in self.redis.client_list():
            if one["name"] == "channel-reader":
                self.redis.client_kill_filter(_id=one["id"])

    async def check_connections(self, channel, number):
        def count():
            listed = self.redis.client_list()
            return sum(one["name"] == "channel-reader" for one in listed)

        assert await sync_to_async(count)() == number

    async def test_options_that_change_the_form_of_an_answer(self):
        channel = self.channel(decode_responses=True, protocol=3)
        async with channel.subscribe("a") as messages:
            given = await self.apublish(channel, "a", 1)
            assert [one.id for one in await take(messages, 1)] == [given]

    async def test_a_read_ends_before_its_socket_gives_up(self):
        for options, least, most in (
            ({}, 5000, 5000),
            ({"socket_timeout": 2}, 1, 1999),
            ({"socket_timeout": 0.001}, 1, 1),
            ({"socket_timeout": None}, 5000, 5000),
        ):
            # Not connected, so that no socket gives up here.
            client = aioredis.Redis.from_url(
                self.url, **self.channel(**options)._options
            )
            log = _Log(client, "key")
            log._is_sure = True
            with mock.patch.object(
                client, "xread", mock.AsyncMock(return_value=[])
            ) as read:
                await log.follow(Cursor(0, ""), 1)
            assert least <= read.call_args.kwargs["block"] <= most, options
            await log.close()

    async def test_what_is_too_old_is_trimmed(self):
        # Of a thousandth of a second; whole nodes of a hundred entries are trimmed.
        channel = self.channel(max_age=timedelta(milliseconds=1))
        ids = await self.publish_all(channel, "a", range(350))
        assert await self.on_redis("xlen", channel._key) < 350
        async with channel.subscribe("a", since=ids[0]) as messages:
            assert await take(messages, 1) == [Reset()]

    async def test_what_is_too_much_is_trimmed(self):
        channel = self.channel(length=100)
        await self.publish_all(channel, "a", range(350))
        assert await self.on_redis("xlen", channel._key) < 250

    async def test_a_flushed_redis_gives_a_reset(self):
        channel = self.channel()
        for _ in range(2):
            async with channel.subscribe("a") as messages:
                since = await self.apublish(channel, "a", 1)
                await take(messages, 1)
                await self.on_redis("delete", channel._key)
                new = await self.apublish(channel, "a", 2)
                reset, message = await take(messages, 2)
                assert (reset, message.id) == (Reset(), new)
            async with channel.subscribe("a", since=since) as messages:
                assert await take(messages, 1) == [Reset()]

    async def test_an_older_copy_gives_a_reset(self):
        """Restored, with the same ids for others, and a clock that goes back."""
        channel = self.channel()
        for after in ("9-1", "5-1", "7-0"):
            await self.on_redis("delete", channel._key)
            entry = {"p": "", "r": "aaaaaaaa", "t": "a", "d": "1", "e": ""}
            await self.on_redis("xadd", channel._key, entry, id="7-0")
            async with channel.subscribe("a", since="7-0-aaaaaaaa") as messages:
                restored = {**entry, "r": "bbbbbbbb", "d": "2"}

                async def restore():
                    await self.on_redis("delete", channel._key)
                    await self.on_redis("xadd", channel._key, restored, id=after)  # noqa: B023

                await self.lose_connections(channel, restore)
                assert (await take(messages, 1)) == [Reset()], after
            async with channel.subscribe("a", since="7-0-aaaaaaaa") as messages:
                assert (await take(messages, 1)) == [Reset()], after

    async def test_a_reader_that_is_behind_the_history_gives_a_reset(self):
        channel = self.channel()

        async def meanwhile():
            await self.publish_all(channel, "a", range(5))
            await sync_to_async(self.shorten)(channel)

        async with channel.subscribe("a") as messages:
            await self.publish_all(channel, "a", range(3))
            await take(messages, 3)
            await self.lose_connections(channel, meanwhile)
            reset, *rest = await take(messages, 3)
            assert reset == Reset()
            # All that there still is.
            assert [one.data for one in rest] == [3, 4]

    async def test_entries_of_others_are_left_out(self):
        channel = self.channel()
        async with channel.subscribe("a") as messages:
            await self.on_redis("xadd", channel._key, {"x": "y"})
            first = await self.apublish(channel, "a", 1)
            bad = {"p": "", "r": "00000000", "t": "a", "d": "{", "e": ""}
            del bad["p"]
            await self.on_redis("xadd", channel._key, bad)
            await self.apublish(channel, "a", 2)
            assert [one.data for one in await take(messages, 2)] == [1, 2]
        async with channel.subscribe("a", since=first) as messages:
            assert [one.data for one in await take(messages, 1)] == [2]

    async def test_a_script_that_redis_has_forgotten(self):
        channel = self.channel()
        await self.apublish(channel, "a", 1)
        await self.on_redis("script_flush")
        await self.apublish(channel, "a", 2)
        assert await self.on_redis("xlen", channel._key) == 2


class TestOutage(RedisTestCase):
    async def test_all_that_was_published_is_received_once(self):
        channel = self.channel()
        first = await channel.apublish("a", "first")
        async with (
            channel.subscribe("a") as one,
            channel.subscribe("a", since=first) as other,
        ):
            for _ in range(2):
                published = [await channel.apublish("a", n) for n in range(3)]
                with self.assertLogs("django_async_cbv.channels", "INFO") as logs:
                    await sync_to_async(self.broker.stop)()
                    with self.assertRaises(redis.exceptions.ConnectionError):
                        await channel.apublish("a", "lost")
                    # Who comes in the middle of it waits, and gets everything.
                    async with channel.subscribe("a", since=first) as late:
                        waiting = asyncio.create_task(take(late, 1))
                        await asyncio.sleep(0)
                        await sync_to_async(self.broker.start)()
                        published += [await channel.apublish("a", n) for n in range(3)]
                        await waiting
                    found = [[m.id for m in await take(who, 6)] for who in (one, other)]
                    assert found == [published, published]
                [line] = logs.output
                assert line.startswith(
                    "WARNING:django_async_cbv.channels:A channel lost"
                )
        assert not channel._readers._readers

    async def test_a_subscription_that_begins_without_redis(self):
        channel = self.channel()
        await sync_to_async(self.broker.stop)()
        with self.assertLogs("django_async_cbv.channels", "INFO") as logs:
            messages = channel.subscribe("a")
            entering = asyncio.create_task(messages.__aenter__())
            await until(lambda: logs.output)
            await sync_to_async(self.broker.start)()
            await entering
        given = await channel.apublish("a", 1)
        assert [one.id for one in await take(messages, 1)] == [given]
        await messages.aclose()
        assert len(logs.output) == 1

    async def test_cancelled_while_redis_is_gone(self):
        channel = self.channel()
        await sync_to_async(self.broker.stop)()
        try:
            with self.assertLogs("django_async_cbv.channels", "INFO") as logs:
                entering = asyncio.create_task(channel.subscribe("a").__aenter__())
                await until(lambda: logs.output)
                entering.cancel()
                await asyncio.wait({entering})
            assert not channel._readers._readers
            assert asyncio.all_tasks() == {asyncio.current_task()}
        finally:
            await sync_to_async(self.broker.start)()
