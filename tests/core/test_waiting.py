"""What is begun with the first wait of a coroutine."""

from __future__ import annotations

import asyncio

from django.test import SimpleTestCase

from django_async_cbv.core.waiting import begin_with_wait
from django_async_cbv.trace import _waits_at


async def waits(first, second):
    # No comprehension, which has a frame of its own before Python 3.12.
    return [await first, await second]


class TestBegin(SimpleTestCase):
    def setUp(self):
        self.begun = []

    def begin(self):
        self.begun.append(asyncio.current_task())

    async def test_never_without_a_wait(self):
        async def inner():
            return "result"

        self.assertEqual(await begin_with_wait(inner(), self.begin), "result")
        self.assertEqual(self.begun, [])

    async def test_never_where_an_error_comes_first(self):
        async def inner():
            raise LookupError

        with self.assertRaises(LookupError):
            await begin_with_wait(inner(), self.begin)
        self.assertEqual(self.begun, [])

    async def test_once_with_the_first_of_many(self):
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()
        task = asyncio.ensure_future(self.of(waits(first, second)))
        await asyncio.sleep(0)
        self.assertEqual(self.begun, [task])
        first.set_result(1)
        await asyncio.sleep(0)
        second.set_result(2)
        self.assertEqual(await task, [1, 2])
        self.assertEqual(self.begun, [task])

    async def of(self, coroutine):
        return await begin_with_wait(coroutine, self.begin)

    async def test_a_cancellation_at_the_first_wait(self):
        futures = asyncio.Future(), asyncio.Future()
        task = asyncio.ensure_future(self.of(waits(*futures)))
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task

    async def test_a_cancellation_that_the_coroutine_outlives(self):
        second, third = asyncio.Future(), asyncio.Future()

        async def stubborn():
            try:
                await asyncio.Future()
            except asyncio.CancelledError:
                # Cancelled here too, at what is its first wait after an error.
                try:
                    await second
                except asyncio.CancelledError:
                    return await third

        task = asyncio.ensure_future(self.of(stubborn()))
        for _ in range(2):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        third.set_result("result")
        self.assertEqual(await task, "result")

    async def test_a_coroutine_that_is_closed_at_its_first_wait(self):
        closed = []

        async def inner():
            try:
                await asyncio.Future()
            finally:
                closed.append(True)

        coroutine = self.of(inner())
        coroutine.send(None)
        coroutine.close()
        self.assertEqual(closed, [True])

    async def test_who_looks_finds_where_it_waits(self):
        futures = asyncio.Future(), asyncio.Future()
        task = asyncio.ensure_future(self.of(waits(*futures)))
        for future in futures:
            await asyncio.sleep(0)
            self.assertEqual(_waits_at(task.get_coro()).name, "waits")
            future.set_result(None)
        await task
