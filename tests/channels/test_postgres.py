"""The channel through PostgreSQL: what all channels do, and what transactions add."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction
from django.test import SimpleTestCase

from django_async_cbv.channels import Reset
from django_async_cbv.channels.postgres import PostgresChannel
from django_async_cbv.channels.postgres import channel as channel_module
from django_async_cbv.db import aatomic
from tests.brokers import own_postgres
from tests.channels.contract import PATIENCE, Contract, take
from tests.postgres import PostgresUnavailable, server

pytestmark = [pytest.mark.server, pytest.mark.postgres]

ALIAS = "messages"
TABLE = "async_cbv_channels_channelmessage"
AGE = f"UPDATE {TABLE} SET created = now() - interval '2 hours' WHERE id = %s"
SESSIONS = """
SELECT {} FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE '%%channel'
"""

names = map("channel-{}".format, itertools.count())


class PostgresTestCase(SimpleTestCase):
    databases = {ALIAS}

    @classmethod
    def setUpClass(cls):
        try:
            cls.make_server()
        except PostgresUnavailable as reason:
            raise unittest.SkipTest(f"PostgreSQL: {reason}") from None
        settings = connections.configure_settings({"default": {}, ALIAS: cls.database})
        cls.enterClassContext(
            mock.patch.dict(connections.settings, {ALIAS: settings[ALIAS]})
        )
        super().setUpClass()
        cls.addClassCleanup(cls.disconnect)
        call_command("migrate", "async_cbv_channels", database=ALIAS, verbosity=0)

    @classmethod
    def make_server(cls):
        cls.database = cls.enterClassContext(server().database("channels"))

    @classmethod
    def disconnect(cls):
        connections[ALIAS].close()
        del connections[ALIAS]

    def setUp(self):
        super().setUp()
        # Only where a test asks for it.
        self.trim_one_in(10**12)

    def trim_one_in(self, number):
        self.enterContext(mock.patch.object(channel_module, "TRIM_ONE_IN", number))

    def channel(self, *, length=10_000, **options):
        return PostgresChannel(
            name=next(names), using=ALIAS, max_length=length, **options
        )

    def publish(self, channel, *arguments, **named):
        try:
            return channel.publish(*arguments, **named)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections[ALIAS].close()

    def publish_many(self, channel, topic, data, **named):
        try:
            return [channel.publish(topic, one, **named) for one in data]
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections[ALIAS].close()

    def query(self, query, *values):
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    async def aquery(self, query, *values):
        return await sync_to_async(self.query)(query, *values)

    def kill_readers(self):
        self.query(SESSIONS.format("pg_terminate_backend(pid)"))


class TestPostgresChannel(Contract, PostgresTestCase):
    publish = PostgresTestCase.publish
    publish_many = PostgresTestCase.publish_many

    def shorten(self, channel):
        channel._max_length = 2
        assert channel.trim() == 4

    async def check_connections(self, channel, number):
        async with asyncio.timeout(30):
            # A session ends some time after its client.
            while await self.aquery(SESSIONS.format("count(*)")) != [(number,)]:
                pass

    # --- transactions ------------------------------------------------------------

    async def test_a_message_goes_out_if_and_when_its_transaction_commits(self):
        channel = self.channel()

        def roll_back():
            with self.assertRaises(ZeroDivisionError), transaction.atomic(ALIAS):
                channel.publish("a", "rolled back")
                raise ZeroDivisionError

        def roll_back_a_part():
            with transaction.atomic(ALIAS):
                channel.publish("a", 1)
                with self.assertRaises(ZeroDivisionError), transaction.atomic(ALIAS):
                    channel.publish("a", "rolled back")
                    raise ZeroDivisionError
                self.query("SELECT 1")
                return channel.publish("a", 2)

        async with channel.subscribe("a") as messages:
            await sync_to_async(roll_back)()
            last = await sync_to_async(roll_back_a_part)()
            found = await take(messages, 2)
            assert [one.data for one in found] == [1, 2]
            assert found[-1].id == last

    async def test_in_aatomic(self):
        channel = self.channel()
        async with channel.subscribe("a") as messages:
            with self.assertRaises(ZeroDivisionError):
                async with aatomic(ALIAS):
                    await channel.apublish("a", "rolled back")
                    raise ZeroDivisionError
            async with aatomic(ALIAS):
                given = await channel.apublish("a", 1)
                early = asyncio.ensure_future(anext(messages))
                await asyncio.sleep(0)
                assert not early.done()
            assert (await early).id == given

    async def test_an_open_transaction_holds_up_nobody(self):
        channel = self.channel()
        published, may_commit = threading.Event(), threading.Event()

        def slow():
            with transaction.atomic(ALIAS):
                channel.publish("a", "slow")
                published.set()
                assert may_commit.wait(30)
            connections[ALIAS].close()

        thread = threading.Thread(target=slow)
        thread.start()
        async with channel.subscribe("a") as messages:
            await asyncio.to_thread(published.wait, 30)
            quick = await self.apublish(channel, "a", "quick")
            [first] = await take(messages, 1)
            assert first.id == quick
            may_commit.set()
            [second] = await take(messages, 1)
            assert second.data == "slow"
            async with channel.subscribe("a", since=first.id) as resumed:
                # Though it was inserted before.
                assert await take(resumed, 1) == [second]
        await asyncio.to_thread(thread.join)

    async def test_writers_with_interleaved_commits_and_rollbacks(self):
        channel = self.channel(buffer=10_000)
        writers, rounds = 20, 12
        # All have published before the first of them ends; who ends first is by chance.
        together = threading.Barrier(writers)
        sent = []

        def write(number):
            chance = random.Random(number)
            for turn in range(rounds):
                ids = []
                try:
                    with transaction.atomic(ALIAS):
                        if chance.random() < 0.3:
                            self.query(
                                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
                            )
                        ids += [
                            channel.publish("a", [number, turn, part])
                            for part in range(chance.randint(1, 3))
                        ]
                        together.wait(30)
                        if chance.random() < 0.4:
                            raise ZeroDivisionError
                    sent.extend(ids)
                except ZeroDivisionError:
                    pass
            connections[ALIAS].close()

        first = await self.apublish(channel, "a", "first")

        async def read(messages):
            found = []
            async for message in messages:
                if message.data == "last":
                    return found
                found.append(message.id)
            raise AssertionError("The last message is missing.")

        async def come_and_go():
            since, found = first, []
            while True:
                async with channel.subscribe("a", since=since) as messages:
                    for message in await take(messages, 1):
                        if message.data == "last":
                            return found
                        found.append(message.id)
                        since = message.id

        async with channel.subscribe("a") as messages:
            readers = [asyncio.create_task(read(messages))]
            readers += [asyncio.create_task(come_and_go()) for _ in range(3)]
            pool = ThreadPoolExecutor(writers)
            loop = asyncio.get_running_loop()
            try:
                await asyncio.gather(
                    *(loop.run_in_executor(pool, write, n) for n in range(writers))
                )
            finally:
                # It waits for its threads.
                await asyncio.to_thread(pool.shutdown)
            await self.apublish(channel, "a", "last")
            async with asyncio.timeout(30):
                found = await asyncio.gather(*readers)
        assert sent
        for one in found:
            assert sorted(one) == sorted(sent)
            # The same order for all.
            assert one == found[0]

    async def test_a_transaction_that_fails_at_its_commit(self):
        channel = self.channel()
        await self.aquery(
            "CREATE TABLE once (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        )

        def fail():
            with self.assertRaises(IntegrityError), transaction.atomic(ALIAS):
                channel.publish("a", "rolled back")
                self.query("INSERT INTO once VALUES (1), (1)")

        async with channel.subscribe("a") as messages:
            await sync_to_async(fail)()
            # A number is missing now, and no message.
            await self.apublish(channel, "a", 1)
            assert [one.data for one in await take(messages, 1)] == [1]

    # --- history -----------------------------------------------------------------

    async def test_trimmed_by_age(self):
        channel = self.channel(max_age=timedelta(hours=1))
        ids = await self.publish_all(channel, "a", range(5))
        old = [2, 0, 1]
        for n in old:
            await self.aquery(
                AGE,
                ids[n],
            )
        assert await sync_to_async(channel.trim)() == 3
        async with channel.subscribe("a", since=ids[2]) as messages:
            assert await take(messages, 1) == [Reset()]
        async with channel.subscribe("a", since=ids[3]) as messages:
            assert [one.id for one in await take(messages, 1)] == [ids[4]]

    async def test_an_old_message_after_a_newer_one_stays(self):
        """Of a transaction that took long: else the history would have a hole."""
        channel = self.channel(max_age=timedelta(hours=1))
        ids = await self.publish_all(channel, "a", range(3))
        await self.aquery(
            AGE,
            ids[1],
        )
        assert await sync_to_async(channel.trim)() == 0

    async def test_the_newest_message_stays(self):
        channel = self.channel(max_age=timedelta(0), length=1)
        ids = await self.publish_all(channel, "a", range(3))
        assert await sync_to_async(channel.trim)() == 2
        async with channel.subscribe("a", since=ids[-1]) as messages:
            await self.apublish(channel, "a", "next")
            assert [one.data for one in await take(messages, 1)] == ["next"]

    async def test_publishing_trims_now_and_then(self):
        channel = self.channel(length=1)
        self.trim_one_in(1)
        await self.publish_all(channel, "a", range(3))
        assert await self.aquery(
            f"SELECT data FROM {TABLE} WHERE channel = %s", channel._name
        ) == [("2",)]

    async def test_a_reader_that_is_behind_the_history_gives_a_reset(self):
        channel = self.channel(length=2)

        async def meanwhile():
            await self.publish_all(channel, "a", range(5))
            await sync_to_async(channel.trim)()

        async with channel.subscribe("a") as messages:
            await self.publish_all(channel, "a", ["seen"])
            await take(messages, 1)
            await self.lose_connections(channel, meanwhile)
            assert await take(messages, 1) == [Reset()]
            assert [one.data for one in await take(messages, 2)] == [3, 4]

    async def test_a_restored_database_gives_a_reset(self):
        """Its numbers begin anew, so that others have those that were seen."""
        for rows in (0, 1, 5):
            channel = self.channel()

            async def restore(channel=channel, rows=rows):
                [(position,)] = await self.aquery(
                    f"SELECT min(position) FROM {TABLE} WHERE channel = %s",
                    channel._name,
                )
                await self.aquery(
                    f"DELETE FROM {TABLE} WHERE channel = %s", channel._name
                )
                await self.aquery(
                    "SELECT setval('async_cbv_channels_position', %s, false)", position
                )
                await self.publish_all(channel, "a", range(rows))

            async with channel.subscribe("a") as messages:
                ids = await self.publish_all(channel, "a", ["x", "y"])
                await take(messages, 2)
                await self.lose_connections(channel, restore)
                assert await take(messages, 1) == [Reset()], rows
                new = await self.apublish(channel, "a", "present")
                found = await take(messages, 1)
                while found[-1].id != new:
                    found += await take(messages, 1)
            for since in ids:
                async with channel.subscribe("a", since=since) as messages:
                    assert await take(messages, 1) == [Reset()]

    # --- the rest ----------------------------------------------------------------

    async def test_notifications_carry_the_id_alone(self):
        channel = self.channel()
        large = "x" * 20_000
        heard = asyncio.Queue()
        notifies = psycopg.AsyncConnection.notifies

        async def listen(connection, **options):
            async for one in notifies(connection, **options):
                heard.put_nowait(one.payload)
                yield one

        self.enterContext(
            mock.patch.object(psycopg.AsyncConnection, "notifies", listen)
        )
        async with channel.subscribe("a") as messages:
            given = await self.apublish(channel, "a", large)
            [message] = await take(messages, 1)
            assert (message.id, message.data) == (given, large)
            # A query may have found the message before its notification came.
            async with asyncio.timeout(PATIENCE):
                while (await heard.get()).replace("-", "") != given:
                    pass

    async def test_connections_by_another_alias(self):
        direct = {**connections.settings[ALIAS]}
        channel = self.channel(listen_using="direct")
        with mock.patch.dict(connections.settings, {"direct": direct}):
            async with channel.subscribe("a") as messages:
                given = await self.apublish(channel, "a", 1)
                assert [one.id for one in await take(messages, 1)] == [given]

    async def test_a_role(self):
        await self.aquery("CREATE ROLE reader")
        await self.aquery(f"GRANT SELECT, INSERT ON {TABLE} TO reader")
        options = {**connections.settings[ALIAS]}
        options["OPTIONS"] = {"assume_role": "reader"}
        channel = self.channel(listen_using="reader")
        try:
            with mock.patch.dict(connections.settings, {"reader": options}):
                await self.apublish(channel, "a", 1)
                async with channel.subscribe("a") as messages:
                    given = await self.apublish(channel, "a", 1)
                    assert [one.id for one in await take(messages, 1)] == [given]
                    # Those of other tests may be about to end.
                    async with asyncio.timeout(PATIENCE):
                        while await self.aquery(  # noqa: ASYNC110
                            SESSIONS.format("usename")
                        ) != [("postgres",)]:
                            await asyncio.sleep(0)
        finally:
            await self.aquery("DROP OWNED BY reader")
            await self.aquery("DROP ROLE reader")

    def test_the_migration_goes_back(self):
        call_command(
            "migrate", "async_cbv_channels", "zero", database=ALIAS, verbosity=0
        )
        call_command("migrate", "async_cbv_channels", database=ALIAS, verbosity=0)
        self.publish(self.channel(), "a", 1)


class TestOutage(PostgresTestCase):
    @classmethod
    def make_server(cls):
        cls.broker, cls.database = cls.enterClassContext(own_postgres())

    async def test_all_that_was_published_is_received_once(self):
        channel = self.channel()

        async def publish(data):
            return await sync_to_async(self.publish)(channel, "a", data)

        def forget():
            connections[ALIAS].close()

        first = await publish("first")
        async with (
            channel.subscribe("a") as one,
            channel.subscribe("a", since=first) as other,
        ):
            for _ in range(2):
                published = [await publish(n) for n in range(3)]
                with self.assertLogs("django_async_cbv.channels", "INFO") as logs:
                    await sync_to_async(self.broker.stop)()
                    # Who comes in the middle of it waits, and gets everything.
                    async with channel.subscribe("a", since=first) as late:
                        waiting = asyncio.create_task(take(late, 1))
                        await asyncio.sleep(0)
                        await sync_to_async(self.broker.start)()
                        await sync_to_async(forget)()
                        published += [await publish(n) for n in range(3)]
                        await waiting
                    found = [[m.id for m in await take(who, 6)] for who in (one, other)]
                    assert found == [published, published]
                [line] = logs.output
                assert line.startswith(
                    "WARNING:django_async_cbv.channels:A channel lost"
                )
        assert not channel._readers._readers
