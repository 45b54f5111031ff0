"""run_sync() and wait_for(): which thread, which errors, and no deadlock."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from asgiref.sync import sync_to_async
from django.test import SimpleTestCase

from django_async_cbv.sync import run_sync, wait_for
from tests.hops import count_hops

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


class TestRunSync(SimpleTestCase):
    async def test_it_runs_in_the_thread_sensitive_worker(self):
        theirs = await sync_to_async(threading.get_ident)()
        with count_hops() as hops:
            ours = await run_sync(threading.get_ident)
        self.assertEqual(ours, theirs)
        self.assertNotEqual(ours, await self.loop_thread())
        self.assertEqual(hops.count, 1)

    async def loop_thread(self):
        return threading.get_ident()

    async def test_arguments_and_result(self):
        result = await run_sync(lambda *args, **kwargs: (args, kwargs), 1, func=2)
        self.assertEqual(result, ((1,), {"func": 2}))

    async def test_errors(self):
        with self.assertRaises(ZeroDivisionError):
            await run_sync(lambda: 1 / 0)

    async def test_stop_iteration_does_not_hang(self):
        with self.assertRaisesMessage(RuntimeError, "raised StopIteration"):
            await asyncio.wait_for(run_sync(next, iter([])), 10)

    async def test_an_async_function_is_refused(self):
        async def function():
            pass

        def manager_method():
            return function()

        for asynchronous in (function, manager_method):
            with self.assertRaisesMessage(TypeError, "is async: await it"):
                await run_sync(asynchronous)

    async def test_context_variables_flow_both_ways(self):
        variable.set(1)
        self.assertEqual(await run_sync(variable.get), 1)
        await run_sync(variable.set, 2)
        self.assertEqual(variable.get(), 2)


class TestWaitFor(SimpleTestCase):
    async def on_loop(self):
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def test_in_a_worker_it_runs_on_the_loop_that_waits(self):
        loop = await run_sync(wait_for, self.on_loop)
        self.assertIs(loop, asyncio.get_running_loop())

    def test_without_a_loop_it_runs_one(self):
        self.assertFalse(wait_for(self.on_loop).is_running())

    async def test_on_a_loop_it_is_refused(self):
        with self.assertRaises(RuntimeError):
            wait_for(self.on_loop)

    async def test_there_and_back_does_not_deadlock(self):
        async def there(depth):
            if depth == 0:
                return await run_sync(threading.get_ident)
            return await run_sync(wait_for, there, depth - 1)

        thread = await asyncio.wait_for(there(5), 10)
        self.assertEqual(thread, await run_sync(threading.get_ident))
