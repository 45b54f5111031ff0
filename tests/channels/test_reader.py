"""What readers do with a driver that behaves as some do."""

from __future__ import annotations

import asyncio
import contextlib

from django.test import SimpleTestCase

from django_async_cbv.channels import Message, Subscriber
from django_async_cbv.channels.reader import Cursor, Past, Readers

PATIENCE = 30


class Driver:
    """A log with one message, whose history answers when it is told to."""

    def __init__(self, asked, answers):
        self.asked = asked
        self.answers = answers

    async def newest(self):
        return Cursor(1, "newest")

    async def follow(self, cursor, limit):
        await asyncio.get_running_loop().create_future()

    async def after(self, since, topics, limit):
        self.asked.set()
        try:
            await asyncio.shield(self.answers)
        except asyncio.CancelledError:
            # As wait_for() of Python 3.11 does.
            if not self.answers.done():
                raise
        self.answers.result()
        return Past(0, [], None)

    async def close(self):
        pass


class OutageTests(SimpleTestCase):
    async def test_one_warning_however_many_give_up(self):
        """As clients do that come while there is no subscriber, and go again."""
        is_away = True
        tried = asyncio.Event()

        async def connect():
            tried.set()
            if is_away:
                raise OSError("away")
            return Driver(None, None)

        readers = Readers("name", connect, 1)

        async def visit():
            tried.clear()
            messages = Subscriber(readers, frozenset({"a"}), None, 1, "drop")
            task = asyncio.create_task(messages.__aenter__())
            await tried.wait()
            if is_away:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait({task})
            await messages.aclose()

        for _ in range(2):
            with self.assertLogs("django_async_cbv.channels", "WARNING") as logs:
                for is_away in (True, True, True):  # noqa: B007 - connect() uses it
                    await visit()
            self.assertEqual(len(logs.output), 1)
            is_away = False
            await visit()


class ClosedTests(SimpleTestCase):
    async def test_who_waits_for_an_outage_ends_when_another_task_closes(self):
        tried = asyncio.Event()

        async def connect():
            tried.set()
            await asyncio.get_running_loop().create_future()

        readers = Readers("name", connect, 1)

        def subscribe():
            return Subscriber(readers, frozenset({"a"}), None, 1, "drop")

        messages, last = subscribe(), subscribe()
        waiting = [
            asyncio.create_task(anext(one, "closed")) for one in (messages, last)
        ]
        await tried.wait()
        # While another subscriber waits on, and when none does.
        for one, task in zip((messages, last), waiting, strict=True):
            await one.aclose()
            async with asyncio.timeout(PATIENCE):
                self.assertEqual(await task, "closed")
        self.assertEqual(readers._readers, {})


class LostCancellationTests(SimpleTestCase):
    async def cancelled_as_it(self, answer):
        """Whether who reads the history ends that is cancelled as it answers."""
        asked = asyncio.Event()
        answers = asyncio.get_running_loop().create_future()

        async def connect():
            return Driver(asked, answers)

        readers = Readers("name", connect, 1)

        async def visit():
            topics = frozenset({"a"})
            async with Subscriber(readers, topics, "old", 1, "drop") as messages:
                return await anext(messages)

        task = asyncio.create_task(visit())
        await asked.wait()
        answer(answers)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await task
        self.assertTrue(task.cancelled())
        self.assertEqual(readers._readers, {})

    async def test_as_it_answers(self):
        await self.cancelled_as_it(lambda answers: answers.set_result(None))

    async def test_as_it_fails(self):
        with self.assertNoLogs("django_async_cbv.channels"):
            await self.cancelled_as_it(
                lambda answers: answers.set_exception(OSError("gone"))
            )

    async def test_as_it_answers_within_a_timeout(self):
        """A timeout that was swallowed is one to who has set it."""
        asked = asyncio.Event()
        answers = asyncio.get_running_loop().create_future()
        driver = Driver(asked, answers)

        async def connect():
            return driver

        async def visit():
            readers = Readers("name", connect, 1)
            topics = frozenset({"a"})
            async with Subscriber(readers, topics, "old", 1, "drop") as messages:
                async with asyncio.timeout(None) as self.timeout:
                    return await anext(messages)

        task = asyncio.create_task(visit())
        await asked.wait()
        answers.set_result(None)
        self.timeout.reschedule(0)
        with self.assertRaises(TimeoutError):
            await task

    async def test_a_cancellation_of_before_is_no_new_one(self):
        """Who has caught one may go on to read."""
        asked = asyncio.Event()
        answers = asyncio.get_running_loop().create_future()
        answers.set_result(None)

        async def connect():
            return Driver(asked, answers)

        readers = Readers("name", connect, 1)

        async def visit():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            topics = frozenset({"a"})
            async with Subscriber(readers, topics, "old", 1, "drop") as messages:
                reader = readers._readers[asyncio.get_running_loop()]
                reader.fanout.put(2, Message("new", "a", 1))
                return await anext(messages)

        task = asyncio.create_task(visit())
        await asyncio.sleep(0)
        task.cancel()
        self.assertEqual((await task).data, 1)
