"""Bodies: each call where it belongs, and a hop for each run of sync calls."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from django.test import RequestFactory, SimpleTestCase

from django_async_cbv.core.flow import Call, Flow, call, run_call
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncTemplateView
from tests.hops import count_hops

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def where() -> str:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "worker"
    return "loop"


async def awhere() -> str:
    await asyncio.sleep(0)
    return where()


def raising(error: BaseException):
    raise error


async def araising(error: BaseException):
    raise error


class TestWhere(SimpleTestCase):
    async def test_each_call_runs_where_it_belongs(self):
        def body():
            sides = [(yield call(where)), (yield call(awhere)), (yield call(where))]
            sides.append((yield Call(where, inline=True)))
            return sides

        with count_hops() as hops:
            sides = await Flow(body()).run()
        # What is inline stays in the worker, if the body is there already.
        self.assertEqual(sides, ["worker", "loop", "worker", "worker"])
        self.assertEqual(hops.count, 2)

    async def test_inline_calls_cost_nothing(self):
        def body():
            return (yield Call(where, inline=True))

        with count_hops() as hops:
            self.assertEqual(await Flow(body()).run(), "loop")
        self.assertEqual(hops.count, 0)

    async def test_a_run_of_sync_calls_is_one_hop_in_one_thread(self):
        def body():
            threads = set()
            for _ in range(20):
                threads.add((yield call(threading.get_ident)))
            return threads

        with count_hops() as hops:
            threads = await Flow(body()).run()
        self.assertEqual(len(threads), 1)
        self.assertEqual(hops.count, 1)

    async def test_an_async_function_starts_on_the_loop(self):
        started = []

        async def function():
            started.append(where())

        def body():
            yield call(where)
            yield call(function)

        await Flow(body()).run()
        self.assertEqual(started, ["loop"])

    async def test_arguments(self):
        def function(*args, **kwargs):
            return args, kwargs

        def body():
            return (yield call(function, 1, func=2, self=3))

        self.assertEqual(await Flow(body()).run(), ((1,), {"func": 2, "self": 3}))

    async def test_context_variables_flow_both_ways(self):
        def body():
            seen = [(yield call(variable.get))]
            yield call(variable.set, "worker")
            seen.append((yield call(aget)))
            return seen

        async def aget():
            return variable.get()

        variable.set("caller")
        self.assertEqual(await Flow(body()).run(), ["caller", "worker"])
        self.assertEqual(variable.get(), "worker")


class TestErrors(SimpleTestCase):
    async def test_they_are_raised_in_the_body_and_out_of_it(self):
        def body(function):
            try:
                yield call(function, KeyError("caught"))
            except KeyError as error:
                yield call(function, ValueError(error.args[0]))

        for function in (raising, araising):
            with self.assertRaisesMessage(ValueError, "caught"):
                await Flow(body(function)).run()

    async def test_a_body_goes_on_after_one(self):
        def body():
            try:
                yield call(raising, KeyError())
            except KeyError:
                return (yield call(where))

        self.assertEqual(await Flow(body()).run(), "worker")

    async def test_stop_iteration_becomes_a_runtime_error(self):
        """As Python has it in generators; it must not end the body, nor hang."""

        def body(function):
            yield call(function, StopIteration("stop"))
            return "not reached"

        for function in (raising, araising):
            with self.assertRaises(RuntimeError):
                await asyncio.wait_for(Flow(body(function)).run(), 10)

    async def test_the_traceback_shows_where_it_was_raised(self):
        def body():
            yield call(raising, KeyError())

        try:
            await Flow(body()).run()
        except KeyError as error:
            names = []
            traceback = error.__traceback__
            while traceback is not None:
                names.append(traceback.tb_frame.f_code.co_name)
                traceback = traceback.tb_next
        self.assertEqual(names[-1], "raising")
        self.assertIn("body", names)


class TestCancellation(SimpleTestCase):
    async def test_while_awaiting(self):
        waiting = asyncio.Event()
        ended = []

        async def wait():
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("awaited")

        def body():
            try:
                yield call(wait)
            finally:
                ended.append("body")

        task = asyncio.create_task(Flow(body()).run())
        await waiting.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(ended, ["awaited", "body"])

    async def test_in_a_hop_it_ends_the_call_and_begins_no_other(self):
        loop = asyncio.get_running_loop()
        begun, go_on = asyncio.Event(), threading.Event()
        done = []

        def slow():
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
            done.append("slow")

        def body():
            yield call(slow)
            yield call(done.append, "next")

        flow = Flow(body())
        task = asyncio.create_task(flow.run())
        await begun.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        go_on.set()
        # The worker does one thing after the other: this comes after the flow.
        await run_sync(lambda: None)
        self.assertEqual(done, ["slow"])


class TestFromSyncCode(SimpleTestCase):
    def test_without_a_loop_the_result_is_waited_for(self):
        async def both():
            return [where(), await awhere()]

        self.assertEqual(run_call(call(where)), "worker")
        self.assertEqual(run_call(call(both)), ["loop", "loop"])

    def test_as_a_coroutine(self):
        coroutine = run_call(call(awhere), as_coroutine=True)
        self.assertEqual(asyncio.run(coroutine), "loop")

    async def test_on_a_loop_it_is_a_coroutine(self):
        self.assertEqual(await run_call(call(where)), "worker")

    async def test_in_a_worker_it_joins_the_hop(self):
        def body():
            return (yield call(run_call, call(where)))

        with count_hops() as hops:
            self.assertEqual(await Flow(body()).run(), "worker")
        self.assertEqual(hops.count, 1)

    async def test_in_a_worker_what_is_async_is_waited_for(self):
        def body():
            return (yield call(run_call, call(awhere)))

        self.assertEqual(await Flow(body()).run(), "loop")


class NoAwait(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return super().aget_context_data(**kwargs)


class NoAwaitOfAnother(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return self.aget_template_names()


class NoAwaitInDispatch(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)

    async def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


class TestCoroutineThatNobodyAwaits(SimpleTestCase):
    async def test_the_fix_is_what_the_user_writes(self):
        for view, given, called in (
            (
                NoAwait,
                "AsyncContextMixin.aget_context_data()",
                "super().aget_context_data(...)",
            ),
            (
                NoAwaitOfAnother,
                "AsyncTemplateResponseMixin.aget_template_names()",
                "self.aget_template_names(...)",
            ),
            (NoAwaitInDispatch, "super().dispatch()", "super().dispatch(...)"),
        ):
            with self.subTest(view.__name__), self.assertRaises(TypeError) as raised:
                await view.as_view()(RequestFactory().get("/"))
            said = str(raised.exception)
            self.assertIn(f"returned a coroutine of {given}, which", said)
            self.assertIn(f"Await it: `return await {called}`.", said)
