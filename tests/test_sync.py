"""Crossing threads: which thread, how many hops, which errors, and no deadlock."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import datetime
import functools
import inspect
import tempfile
import threading
import traceback

from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import transaction
from django.test import SimpleTestCase
from django.utils import timezone, translation
from django.utils.translation import get_language

from django_async_cbv.core.threads import run_to_the_end
from django_async_cbv.sync import (
    iterate,
    run_sync,
    to_async,
    wait_for,
)
from tests.app.models import Tag
from tests.hops import count_hops

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
PATIENCE = 10  # seconds, until a deadlock is called one


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
            with self.assertRaisesMessage(TypeError, "is async, and would return"):
                await run_sync(asynchronous)

    async def test_context_variables_flow_both_ways(self):
        variable.set(1)
        self.assertEqual(await run_sync(variable.get), 1)
        await run_sync(variable.set, 2)
        self.assertEqual(variable.get(), 2)

    async def test_the_traceback_ends_where_the_error_was_made(self):
        def fails():
            raise LookupError("here")

        try:
            await run_sync(fails)
        except LookupError as error:
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            self.assertIsNone(error.__context__)
            self.assertIsNone(error.__cause__)
        self.assertEqual(frames[-1], "fails")
        own = "test_the_traceback_ends_where_the_error_was_made"
        self.assertEqual(frames.count(own), 1)

    async def test_an_error_that_is_being_handled_is_its_context(self):
        def fails():
            raise LookupError

        with self.assertRaises(LookupError) as caught:
            try:
                raise ValueError
            except ValueError:
                await run_sync(fails)
        self.assertIsInstance(caught.exception.__context__, ValueError)

    def test_without_a_loop_it_says_so(self):
        coroutine = run_sync(threading.get_ident)
        with self.assertRaisesMessage(RuntimeError, "no running event loop"):
            coroutine.send(None)

    def test_asyncio_runs_it(self):
        thread = asyncio.run(run_sync(threading.get_ident))
        self.assertNotEqual(thread, threading.get_ident())

    async def test_in_a_worker_async_to_sync_leads_back_to_the_worker(self):
        def worker():
            return threading.get_ident(), async_to_sync(run_sync)(threading.get_ident)

        async with asyncio.timeout(PATIENCE):
            here, there = await run_sync(worker)
        self.assertEqual(here, there)


class TestALoopInTheWorker(SimpleTestCase):
    """asyncio.run() in sync code: its hops would wait for the thread that it is in."""

    def assert_refused(self, crossing):
        def sync_code():
            with self.assertRaisesMessage(RuntimeError, "instead of `asyncio.run()`"):
                asyncio.run(run_sync(threading.get_ident))
            return True

        async def main():
            async with asyncio.timeout(PATIENCE):
                return await crossing(sync_code)

        return main

    def test_in_the_worker_of_the_process(self):
        for crossing in (run_sync, lambda func: sync_to_async(func)()):
            with self.subTest(crossing=crossing):
                self.assertTrue(asyncio.run(self.assert_refused(crossing)()))

    def test_in_the_worker_of_a_request(self):
        async def request(crossing):
            async with ThreadSensitiveContext():
                # A pool counts a new thread as its own only once that runs.
                await sync_to_async(int)()
                return await self.assert_refused(crossing)()

        for crossing in (run_sync, lambda func: sync_to_async(func)()):
            with self.subTest(crossing=crossing):
                self.assertTrue(asyncio.run(request(crossing)))

    def test_in_the_thread_that_waits_for_the_loop(self):
        for crossing in (run_sync, lambda func: sync_to_async(func)()):
            with self.subTest(crossing=crossing):
                self.assertTrue(async_to_sync(self.assert_refused(crossing))())

    def test_in_another_thread_it_crosses(self):
        """Those threads of asgiref that are not the request's can well wait for it."""

        def elsewhere():
            return threading.get_ident(), asyncio.run(run_sync(threading.get_ident))

        async def request():
            async with ThreadSensitiveContext():
                worker = await run_sync(threading.get_ident)
                return worker, await sync_to_async(elsewhere, thread_sensitive=False)()

        worker, (other, found) = asyncio.run(request())
        self.assertEqual(worker, found)
        self.assertNotEqual(worker, other)

    def test_afterwards_that_thread_may_run_loops(self):
        async_to_sync(run_sync)(int)
        self.assertEqual(asyncio.run(run_sync(int)), 0)


class Held:
    """A call that is held in its worker until it is let go."""

    def __init__(self):
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.calls = 0
        self.thread = None

    def __call__(self):
        self.calls += 1
        self.thread = threading.get_ident()
        self.begun.set()
        if not self.let_go.wait(PATIENCE):
            raise TimeoutError
        return "result"

    async def has_begun(self):
        await asyncio.to_thread(self.begun.wait, PATIENCE)


def on_own_loop(test):
    """Run an async test with its loop outermost: its hops really leave its thread."""

    @functools.wraps(test)
    def run(self):
        async def main():
            async with ThreadSensitiveContext(), asyncio.timeout(PATIENCE):
                await test(self)

        asyncio.run(main())

    return run


class TestRunToTheEnd(SimpleTestCase):
    @on_own_loop
    async def test_it_is_one_hop(self):
        with count_hops() as hops:
            self.assertEqual(await run_to_the_end(lambda: 1), 1)
        self.assertEqual(hops.count, 1)

    @on_own_loop
    async def test_errors(self):
        with self.assertRaises(ZeroDivisionError) as caught:
            await run_to_the_end(lambda: 1 / 0)
        self.assertIsNone(caught.exception.__context__)

    @on_own_loop
    async def test_context_variables_flow_both_ways(self):
        variable.set(1)
        self.assertEqual(await run_to_the_end(variable.get), 1)
        await run_to_the_end(lambda: variable.set(2))
        self.assertEqual(variable.get(), 2)

    @on_own_loop
    async def test_a_cancellation_waits(self):
        held = Held()
        task = asyncio.create_task(run_to_the_end(held))
        await held.has_begun()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        self.assertFalse(task.done())
        held.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(held.calls, 1)

    @on_own_loop
    async def test_cancelled_before_it_began_it_is_called_all_the_same(self):
        first, second = Held(), Held()
        ahead = asyncio.create_task(run_sync(first))
        await first.has_begun()
        task = asyncio.create_task(run_to_the_end(second))
        await asyncio.sleep(0)
        task.cancel()
        second.let_go.set()
        first.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await task
        await ahead
        self.assertEqual(second.calls, 1)

    def test_though_the_loop_ends(self):
        held = Held()

        async def main():
            self.task = asyncio.create_task(run_to_the_end(held))
            await held.has_begun()
            threading.Timer(0, held.let_go.set).start()

        asyncio.run(main())
        self.assertEqual(held.calls, 1)
        self.assertTrue(self.task.cancelled())

    @on_own_loop
    async def test_what_it_waits_for_is_not_cancelled(self):
        """An on_commit() callback that uses async_to_sync(), say."""
        begun, ended = asyncio.Event(), []

        async def callback():
            begun.set()
            await asyncio.sleep(0)
            ended.append(True)

        task = asyncio.create_task(run_to_the_end(async_to_sync(callback)))
        await begun.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(ended, [True])

    @on_own_loop
    async def test_the_cancellation_comes_from_its_error(self):
        held = Held()

        def fails():
            held()
            raise LookupError

        task = asyncio.create_task(run_to_the_end(fails))
        await held.has_begun()
        task.cancel()
        held.let_go.set()
        with self.assertRaises(asyncio.CancelledError) as caught:
            await task
        self.assertIsInstance(caught.exception.__cause__, LookupError)


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


class TestWhatOutlivesAWait(SimpleTestCase):
    """A task that is begun behind a wait_for() and goes on when that is over."""

    def setUp(self):
        self.tasks = []

    async def begin(self, work):
        """Begin a task that waits for a sign, then does sync work."""
        sign = asyncio.Event()

        async def waits():
            await sign.wait()
            return await work()

        self.tasks.append((sign, asyncio.create_task(waits())))

    async def finish(self, number=-1):
        sign, task = self.tasks[number]
        sign.set()
        return await task

    async def run_sync_says(self):
        return await run_sync(threading.get_ident)

    async def asgiref_says(self):
        return await sync_to_async(threading.get_ident)()

    async def a_bridge_says(self):
        return await run_sync(wait_for, self.asgiref_says)

    async def asgirefs_bridge_says(self):
        return await run_sync(async_to_sync(self.asgiref_says))

    async def the_end_says(self):
        return await run_to_the_end(threading.get_ident)

    @property
    def works(self):
        return (
            self.run_sync_says,
            self.asgiref_says,
            self.a_bridge_says,
            self.asgirefs_bridge_says,
            self.the_end_says,
        )

    async def awaited_by_the_loop(self, work):
        await run_sync(wait_for, self.begin, work)
        return await self.finish()

    async def awaited_by_the_wait_around_it(self, work):
        async def outer():
            await run_sync(wait_for, self.begin, work)
            return await self.finish()

        return await run_sync(wait_for, outer)

    async def awaited_behind_the_next_wait(self, work):
        def sync_code():
            wait_for(self.begin, work)
            return wait_for(self.finish)

        return await run_sync(sync_code)

    async def awaited_behind_a_deeper_wait(self, work):
        def deeper():
            return wait_for(self.finish)

        def sync_code():
            wait_for(self.begin, work)
            return wait_for(run_sync, deeper)

        return await run_sync(sync_code)

    async def begun_outside_and_awaited_inside(self, work):
        async def outer():
            await self.begin(work)
            return await run_sync(wait_for, self.finish)

        return await run_sync(wait_for, outer)

    async def begun_behind_two(self, work):
        await run_sync(
            wait_for, run_sync, functools.partial(wait_for, self.begin, work)
        )
        return await self.finish()

    async def submitted_while_the_thread_is_between(self, work):
        """The work waits for the thread, which then waits for the work."""
        queued = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def queues():
            sign = asyncio.get_running_loop().call_soon
            sign(queued.set)
            return await work()

        def sync_code():
            wait_for(self.begin, queues)
            loop.call_soon_threadsafe(self.tasks[-1][0].set)
            asyncio.run_coroutine_threadsafe(queued.wait(), loop).result(PATIENCE)
            return wait_for(self.finish)

        return await run_sync(sync_code)

    @property
    def ways(self):
        return (
            self.awaited_by_the_loop,
            self.awaited_by_the_wait_around_it,
            self.awaited_behind_the_next_wait,
            self.awaited_behind_a_deeper_wait,
            self.begun_outside_and_awaited_inside,
            self.begun_behind_two,
            self.submitted_while_the_thread_is_between,
        )

    async def check(self):
        async with asyncio.timeout(PATIENCE):
            worker = await run_sync(threading.get_ident)
            for way in self.ways:
                for work in self.works:
                    with self.subTest(way=way.__name__, work=work.__name__):
                        self.assertEqual(await way(work), worker)

    async def test_in_a_test(self):
        await self.check()

    def test_without_a_request(self):
        asyncio.run(self.check())

    def test_in_a_request(self):
        async def request():
            async with ThreadSensitiveContext():
                await self.check()

        asyncio.run(request())

    def test_under_sync_code(self):
        """As a sync test client or a WSGI server calls an async view."""
        async_to_sync(self.check)()

    def test_the_wait_has_a_loop_of_its_own(self):
        """Which ends with it, and cancels its tasks: they still get the thread."""
        cleaned = []

        async def waits():
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(await sync_to_async(threading.get_ident)())

        async def begin():
            self.task = asyncio.create_task(waits())
            await asyncio.sleep(0)

        wait_for(begin)
        self.assertEqual(cleaned, [threading.get_ident()])

    @on_own_loop
    async def test_errors_and_cancellations(self):
        async def fails():
            await run_sync(lambda: 1 / 0)

        held = Held()
        with self.assertRaises(ZeroDivisionError):
            await self.awaited_by_the_loop(fails)
        await run_sync(wait_for, self.begin, functools.partial(run_sync, held))
        sign, task = self.tasks[-1]
        sign.set()
        await held.has_begun()
        calls = []
        await_queued = functools.partial(run_sync, calls.append, 1)
        other = asyncio.create_task(await_queued())
        await asyncio.sleep(0)
        task.cancel()
        other.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        held.let_go.set()
        await run_sync(int)
        self.assertEqual((held.calls, calls), (1, []))

    @on_own_loop
    async def test_cancelled_in_the_queue_it_is_never_called(self):
        calls = []
        await run_sync(
            wait_for, self.begin, functools.partial(run_sync, calls.append, 1)
        )
        sign, task = self.tasks[-1]
        held = Held()
        ahead = asyncio.create_task(run_sync(held))
        await held.has_begun()
        sign.set()
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        held.let_go.set()
        await ahead
        await run_sync(wait_for, self.run_sync_says)
        self.assertEqual(calls, [])

    @on_own_loop
    async def test_a_loop_in_the_worker_is_refused_after_it_too(self):
        async def begins_a_loop():
            def sync_code():
                with self.assertRaisesMessage(RuntimeError, "wait for its own thread"):
                    asyncio.run(self.run_sync_says())
                return True

            return await run_sync(sync_code)

        self.assertTrue(await self.awaited_by_the_loop(begins_a_loop))


class Service:
    """Sync methods of every kind."""

    factor = 2

    def method(self, number):
        return self.factor * number, threading.get_ident()

    @classmethod
    def class_method(cls, number):
        return cls.factor * number, threading.get_ident()

    @staticmethod
    def static_method(number):
        return 2 * number, threading.get_ident()

    __call__ = method

    def numbers(self, upto):
        yield from range(self.factor * upto)


class TestToAsyncFunction(SimpleTestCase):
    @on_own_loop
    async def test_callables(self):
        worker = await run_sync(threading.get_ident)
        service = Service()
        for function in (
            service.method,
            service.class_method,
            Service.class_method,
            service.static_method,
            service,
            functools.partial(Service.method, service),
            functools.partial(service),
        ):
            with self.subTest(function=function), count_hops() as hops:
                adapted = to_async(function)
                self.assertTrue(inspect.iscoroutinefunction(adapted))
                self.assertEqual(await adapted(number=2), (4, worker))
                self.assertEqual(hops.count, 1)

    @on_own_loop
    async def test_as_a_decorator(self):
        class Decorated(Service):
            method = to_async(Service.method)
            class_method = to_async(vars(Service)["class_method"])
            static_method = to_async(vars(Service)["static_method"])

            @to_async
            def own(self):
                """What it says."""
                return self.factor

        decorated = Decorated()
        self.assertEqual((await decorated.method(1))[0], 2)
        self.assertEqual((await decorated.class_method(1))[0], 2)
        self.assertEqual((await Decorated.class_method(1))[0], 2)
        self.assertEqual((await Decorated.static_method(1))[0], 2)
        self.assertEqual(await decorated.own(), 2)
        self.assertEqual(Decorated.own.__doc__, "What it says.")
        self.assertEqual(Decorated.own.__name__, "own")

    async def test_what_is_async_is_left_alone(self):
        async def coroutine():
            pass

        async def generator():
            yield

        @contextlib.asynccontextmanager
        async def context():
            yield

        class Callable:
            async def __call__(self):
                pass

        class Context:
            async def __aenter__(self):
                pass

            async def __aexit__(self, *args):
                pass

        for value in (
            coroutine,
            generator,
            context,
            Callable(),
            Context(),
            Context,
            functools.partial(coroutine),
            functools.partial(Callable()),
            sync_to_async(int),
        ):
            with self.subTest(value=value):
                self.assertIs(to_async(value), value)
        items = generator()
        self.assertIs(to_async(items), items)
        await items.aclose()

    async def test_what_is_neither_is_refused(self):
        for value, hint in (([1], "Use `iterate()` instead"), (1, "is not a function")):
            with self.assertRaisesMessage(TypeError, hint):
                to_async(value)


class Recorded(contextlib.AbstractContextManager):
    """A context manager that says what was done to it, and where."""

    def __init__(self, *, suppress=False, fails=False):
        self.suppress, self.fails = suppress, fails
        self.done = []

    def record(self, what):
        self.done.append((what, threading.get_ident()))

    def __enter__(self):
        self.record("enter")
        if self.fails:
            raise LookupError
        return self

    def __exit__(self, kind, error, traceback):
        self.record(kind)
        return self.suppress


class TestToAsyncContextManager(SimpleTestCase):
    @on_own_loop
    async def test_it_is_entered_and_left_in_the_worker(self):
        worker = await run_sync(threading.get_ident)
        recorded = Recorded()
        with count_hops() as hops:
            async with to_async(recorded) as value:
                self.assertIs(value, recorded)
        self.assertEqual(hops.count, 2)
        self.assertEqual(recorded.done, [("enter", worker), (None, worker)])

    def test_a_transaction_is_refused(self):
        """Tasks that enter it at once would lose each other's rows."""
        for block in (
            transaction.atomic(),
            transaction.atomic,
            functools.partial(transaction.atomic, "default"),
        ):
            with self.assertRaisesMessage(TypeError, "Use `async with aatomic():`"):
                to_async(block)

    @on_own_loop
    async def test_errors(self):
        recorded = Recorded()
        with self.assertRaises(StopIteration):
            async with to_async(recorded):
                raise StopIteration
        self.assertEqual([what for what, _ in recorded.done], ["enter", StopIteration])
        async with to_async(Recorded(suppress=True)):
            raise LookupError
        failing = Recorded(fails=True)
        with self.assertRaises(LookupError):
            async with to_async(failing):
                self.fail()
        self.assertEqual([what for what, _ in failing.done], ["enter"])

    @on_own_loop
    async def test_functions_and_classes_of_them(self):
        done = []

        @contextlib.contextmanager
        def function(value):
            """What it says."""
            done.append("enter")
            try:
                yield value
            except LookupError as error:
                done.append(error)

        class Owner:
            @to_async
            @contextlib.contextmanager
            def method(self, value):
                with function(value) as found:
                    yield found

        self.assertEqual(to_async(function).__doc__, "What it says.")
        error = LookupError()
        for adapted in (
            to_async(function),
            functools.partial(to_async(function)),
            to_async(functools.partial(function)),
            Owner().method,
        ):
            done.clear()
            async with adapted(1) as value:
                self.assertEqual(value, 1)
                raise error
            self.assertEqual(done, ["enter", error])
        async with to_async(Recorded)(suppress=True) as recorded:
            raise error
        self.assertEqual(recorded.done[1][0], LookupError)

    def test_of_an_async_generator_it_is_refused(self):
        @contextlib.contextmanager
        @to_async
        def reversed_order():
            yield

        @contextlib.contextmanager
        async def made_async():
            yield

        class Owner:
            @contextlib.contextmanager
            @to_async
            def method(self):
                yield

        for manager in (
            reversed_order,
            made_async,
            functools.partial(made_async),
            Owner.method,
            Owner().method,
        ):
            with self.assertRaisesMessage(
                TypeError, "Write @to_async above @contextmanager"
            ):
                to_async(manager)

    @on_own_loop
    async def test_one_instance_in_two_tasks_and_nested(self):
        lock = threading.RLock()
        adapted = to_async(lock)
        async with adapted, adapted:
            self.assertTrue(await run_sync(lock._is_owned))
        self.assertFalse(await run_sync(lock._is_owned))

    @on_own_loop
    async def test_cancelled_while_it_is_entered_it_is_left(self):
        held, recorded = Held(), Recorded()

        class Slow(Recorded):
            def __enter__(self):
                held()
                return super().__enter__()

        recorded = Slow()

        async def work():
            async with to_async(recorded):
                self.fail("It was cancelled.")

        task = asyncio.create_task(work())
        await held.has_begun()
        task.cancel()
        held.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(
            [what for what, _ in recorded.done], ["enter", asyncio.CancelledError]
        )

    @on_own_loop
    async def test_what_django_has(self):
        """A file's folder, a language: context managers that people do use."""
        async with to_async(tempfile.TemporaryDirectory)() as folder:
            self.assertTrue(await run_sync(lambda: bool(folder)))


tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")
nameless: contextvars.ContextVar[str] = contextvars.ContextVar("nameless")


class TestOneContext(SimpleTestCase):
    """What sets a context variable resets it by its token, some hops later."""

    @contextlib.contextmanager
    def scope(self, name, variable=tenant):
        token = variable.set(name)
        try:
            yield name
        finally:
            self.left.append(variable.get())
            variable.reset(token)

    def rows(self, count, name="acme"):
        with self.scope(name):
            for number in range(count):
                yield f"{tenant.get()}{number}"

    def setUp(self):
        self.left = []

    def tearDown(self):
        self.assertEqual((tenant.get(), nameless.get("unset")), ("none", "unset"))

    @on_own_loop
    async def test_a_context_manager(self):
        for scope in (
            to_async(self.scope)("acme"),
            to_async(self.scope("acme")),
            to_async(functools.partial(self.scope, "acme"))(),
        ):
            with count_hops() as hops:
                async with scope as value:
                    seen = tenant.get(), await run_sync(tenant.get)
                    bridged = await run_sync(wait_for, asyncio.sleep, 0, tenant.get())
            self.assertEqual((value, *seen, bridged), ("acme",) * 4)
            self.assertEqual((tenant.get(), hops.count), ("none", 4))
        self.assertEqual(self.left, ["acme"] * 3)

    @on_own_loop
    async def test_a_class(self):
        class Scope:
            def __enter__(self):
                self.token = tenant.set("acme")

            def __exit__(self, *args):
                tenant.reset(self.token)

        for scope in (to_async(Scope)(), to_async(Scope())):
            async with scope:
                self.assertEqual(tenant.get(), "acme")
            self.assertEqual(tenant.get(), "none")

    @on_own_loop
    async def test_what_was_not_set_is_not_set_afterwards(self):
        async with to_async(self.scope)("acme", nameless):
            self.assertEqual(nameless.get(), "acme")
        self.assertNotIn(nameless, contextvars.copy_context())

        def items():
            with self.scope("acme", nameless):
                yield from range(25)
            yield

        seen = [nameless.get("unset") async for _ in iterate(items(), 10)]
        self.assertEqual(seen, ["acme"] * 20 + ["unset"] * 6)
        self.assertNotIn(nameless, contextvars.copy_context())

    @on_own_loop
    async def test_what_the_caller_changes_is_seen_inside(self):
        def items():
            while True:
                yield tenant.get(), nameless.get("unset")

        async with contextlib.aclosing(iterate(items(), 1)) as found:
            self.assertEqual(await anext(found), ("none", "unset"))
            first, second = tenant.set("acme"), nameless.set("a")
            self.assertEqual(await anext(found), ("acme", "a"))
            tenant.reset(first)
            nameless.reset(second)
            self.assertEqual(await anext(found), ("none", "unset"))

    @on_own_loop
    async def test_an_error_in_the_body(self):
        with self.assertRaises(LookupError):
            async with to_async(self.scope)("acme"):
                raise LookupError
        self.assertEqual((self.left, tenant.get()), (["acme"], "none"))

    @on_own_loop
    async def test_an_error_in_a_step(self):
        def fails():
            tenant.set("kept")
            yield 1
            raise LookupError

        @contextlib.contextmanager
        def fails_to_enter():
            tenant.set("kept")
            raise LookupError
            yield

        before = tenant.set("none")
        with self.assertRaises(LookupError):
            async for _ in iterate(fails(), 1):
                pass
        self.assertEqual(tenant.get(), "kept")
        tenant.set("none")
        with self.assertRaises(LookupError):
            async with to_async(fails_to_enter)():
                self.fail()
        self.assertEqual(tenant.get(), "kept")
        tenant.reset(before)

    @on_own_loop
    async def test_generators(self):
        for items in (
            iterate(self.rows(250)),
            to_async(self.rows)(250),
            to_async(chunk_size=10)(self.rows)(250),
            iterate(map(str, self.rows(250))),
        ):
            found = [item async for item in items]
            self.assertEqual((len(found), found[-1]), (250, "acme249"))
            self.assertEqual(tenant.get(), "none")
        # A map() ends its generator, and one that ends resets.
        self.assertEqual(self.left, ["acme"] * 4)

    @on_own_loop
    async def test_closed_early(self):
        for items in (iterate(self.rows(250), 10), to_async(self.rows)(250)):
            async with contextlib.aclosing(items):
                self.assertEqual(await anext(items), "acme0")
                self.assertEqual(tenant.get(), "acme")
            self.assertEqual(tenant.get(), "none")
        self.assertEqual(self.left, ["acme"] * 2)

    @on_own_loop
    async def test_abandoned(self):
        closed = threading.Event()

        def watched():
            try:
                yield from self.rows(250)
            finally:
                closed.set()

        def elsewhere():
            tenant.set("of another request")
            held.clear()

        async def begin():
            held.append(iterate(watched(), 10))
            await anext(held[0])

        held = []
        await asyncio.create_task(begin())
        with self.assertNoLogs("asyncio"):
            contextvars.Context().run(elsewhere)
            await asyncio.to_thread(closed.wait, PATIENCE)
        self.assertEqual(self.left, ["acme"])

    @on_own_loop
    async def test_an_abandoned_generator_leaves_its_context_managers(self):
        left = asyncio.Event()

        async def generator():
            try:
                async with to_async(self.scope)("acme"):
                    yield tenant.get()
            finally:
                left.set()

        async def begin():
            held.append(generator())
            self.assertEqual(await anext(held[0]), "acme")

        held = []
        async with ThreadSensitiveContext():
            await asyncio.create_task(begin())
            contextvars.Context().run(held.clear)
            await left.wait()
        self.assertEqual(self.left, ["acme"])

    @on_own_loop
    async def test_cancelled_in_a_step(self):
        held = Held()

        def slow():
            with self.scope("acme"):
                yield 1
                held()
                tenant.set("changed")
                yield 2

        async def consume():
            try:
                async for _ in iterate(slow(), 2):
                    self.fail()
            finally:
                seen.append(tenant.get())

        seen = []
        task = asyncio.create_task(consume())
        await held.has_begun()
        task.cancel()
        held.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual((self.left, seen), (["changed"], ["none"]))

    @on_own_loop
    async def test_cancelled_in_the_body(self):
        async def body():
            try:
                async with to_async(self.scope)("acme"):
                    async for _ in to_async(self.rows)(250, "inner"):
                        begun.set()
                        await asyncio.Event().wait()
            finally:
                seen.append(tenant.get())

        begun, seen = asyncio.Event(), []
        task = asyncio.create_task(body())
        await begun.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual((self.left[0], seen), ("inner", ["none"]))

    @on_own_loop
    async def test_cancelled_while_it_is_entered(self):
        held = Held()

        @contextlib.contextmanager
        def slow():
            with self.scope("acme"):
                held()
                yield

        async def body():
            try:
                async with to_async(slow)():
                    self.fail()
            finally:
                seen.append(tenant.get())

        seen = []
        task = asyncio.create_task(body())
        await held.has_begun()
        task.cancel()
        held.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual((self.left, seen), (["acme"], ["none"]))

    @on_own_loop
    async def test_nested_in_the_worker_and_out_of_it(self):
        async def inner():
            async with to_async(self.scope)("inner"):
                return await run_sync(tenant.get)

        def items():
            with self.scope("outer"):
                yield tenant.get()
                yield wait_for(inner)
                yield tenant.get()

        found = [item async for item in iterate(items(), 1)]
        self.assertEqual(found, ["outer", "inner", "outer"])

    @on_own_loop
    async def test_two_that_overlap(self):
        first, second = to_async(self.scope)("first"), to_async(self.scope)("second")
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        self.assertEqual(tenant.get(), "none")
        await second.__aexit__(None, None, None)
        # As in sync code: it resets to what it found.
        self.assertEqual(tenant.get(), "first")
        tenant.set("none")

    @on_own_loop
    async def test_one_object_in_two_tasks(self):
        tokens: contextvars.ContextVar[tuple] = contextvars.ContextVar("tokens")
        names = ["b", "a"]

        class Scope:
            """A manager that may be entered by several at once."""

            def __enter__(self):
                token = tenant.set(names.pop())
                tokens.set((*tokens.get(()), token))

            def __exit__(self, *args):
                *others, token = tokens.get()
                tokens.set(tuple(others))
                tenant.reset(token)

        async def body():
            async with scope:
                mine = tenant.get()
                await both.wait()
                self.assertEqual(await run_sync(tenant.get), mine)
            self.assertEqual(tenant.get(), "none")
            return mine

        scope, both = to_async(Scope()), asyncio.Barrier(2)
        self.assertEqual(await asyncio.gather(body(), body()), ["a", "b"])

    @on_own_loop
    async def test_each_step_in_a_task_of_its_own(self):
        """Each task has the changes of its step; the generator keeps its token."""
        items = iterate(self.rows(3), 1)
        found = [await asyncio.create_task(anext(items)) for _ in range(3)]
        self.assertEqual(found[0], "acme0")
        self.assertEqual(tenant.get(), "none")
        await asyncio.create_task(items.aclose())
        self.assertEqual(tenant.get(), "none")
        self.assertEqual(len(self.left), 1)

    @on_own_loop
    async def test_what_django_has(self):
        def items():
            with translation.override("de"), timezone.override(two_hours):
                yield translation.get_language(), timezone.get_current_timezone()
                yield translation.get_language(), timezone.get_current_timezone()

        two_hours = datetime.timezone(datetime.timedelta(hours=2))
        await run_sync(timezone.get_default_timezone)  # reads a file, once
        before = translation.get_language(), timezone.get_current_timezone()
        async with (
            to_async(translation.override)("de"),
            to_async(timezone.override(two_hours)),
        ):
            for seen in (translation.get_language(), await run_sync(get_language)):
                self.assertEqual(seen, "de")
            self.assertIs(timezone.get_current_timezone(), two_hours)
        after = translation.get_language(), timezone.get_current_timezone()
        self.assertEqual(after, before)
        async with contextlib.aclosing(iterate(items(), 1)) as found:
            self.assertEqual(await anext(found), ("de", two_hours))
            self.assertEqual(translation.get_language(), "de")
        after = translation.get_language(), timezone.get_current_timezone()
        self.assertEqual(after, before)

    @on_own_loop
    async def test_asgirefs_own(self):
        """The worker of the step, though the step before had another one."""

        def items():
            while True:
                yield threading.get_ident(), wait_for(run_sync, threading.get_ident)

        found = iterate(items(), 1)
        outside = await anext(found)
        inside = await run_sync(wait_for, found.__anext__)
        self.assertEqual({*outside, *inside}, {await run_sync(threading.get_ident)})
        await found.aclose()

    @on_own_loop
    async def test_closed_behind_a_bridge(self):
        """Its thread waits for the close, so the close must not wait for the thread."""
        items, scope = iterate(self.rows(250)), to_async(self.scope)("outer")
        await anext(items)
        await scope.__aenter__()
        await run_sync(wait_for, scope.__aexit__, None, None, None)
        await run_sync(wait_for, items.aclose)
        self.assertEqual(len(self.left), 2)
        tenant.set("none")


class Source:
    """A generator that says how far it came, and where it was closed."""

    def __init__(self, items, *, fails=False):
        self.items, self.fails = items, fails
        self.given = 0
        self.threads = set()
        self.closed_in = None

    def __iter__(self):
        self.threads.add(threading.get_ident())
        try:
            for item in range(self.items):
                self.threads.add(threading.get_ident())
                self.given += 1
                yield item
            if self.fails:
                raise LookupError
        finally:
            self.closed_in = threading.get_ident()


class TestIterate(SimpleTestCase):
    @on_own_loop
    async def test_one_hop_a_batch(self):
        for items, size, expected in (
            (0, 10, 1),
            (9, 10, 1),
            (10, 10, 2),  # only an empty batch tells that there are no more
            (25, 10, 3),
            (250, None, 3),
        ):
            with self.subTest(items=items, size=size), count_hops() as hops:
                found = [item async for item in iterate(range(items), size)]
                self.assertEqual(found, list(range(items)))
                self.assertEqual(hops.count, expected)

    @on_own_loop
    async def test_any_iterable(self):
        for iterable in ([1, 2], (1, 2), {1: 0, 2: 0}, iter([1, 2]), map(int, "12")):
            self.assertEqual([item async for item in iterate(iterable)], [1, 2])

    @on_own_loop
    async def test_it_takes_no_more_than_a_batch_ahead(self):
        source = Source(1000)
        items = iterate(source, chunk_size=10)
        for _ in range(11):
            await anext(items)
        self.assertEqual(source.given, 20)
        await items.aclose()
        self.assertEqual(source.closed_in, *source.threads)

    @on_own_loop
    async def test_an_error_comes_after_the_items_before_it(self):
        found = []
        with self.assertRaises(LookupError):
            async for item in iterate(Source(15, fails=True), 10):
                found.append(item)  # noqa: PERF401 - those before the error count
        self.assertEqual(found, list(range(15)))

    @on_own_loop
    async def test_an_async_iterable_makes_no_hop(self):
        ended = []

        async def numbers():
            try:
                for number in range(3):
                    yield number
            finally:
                ended.append(True)

        with count_hops() as hops:
            self.assertEqual([item async for item in iterate(numbers())], [0, 1, 2])
            items = iterate(numbers())
            await anext(items)
            await items.aclose()
        self.assertEqual((hops.count, ended), (0, [True, True]))

    @on_own_loop
    async def test_what_it_refuses(self):
        for size in (0, -1):
            with self.assertRaisesMessage(ValueError, "1 or more"):
                iterate([], chunk_size=size)
        with self.assertRaisesMessage(TypeError, "is not iterable"):
            iterate(1)
        with self.assertRaisesMessage(TypeError, "iterate(manager.all())"):
            iterate(Tag.objects)

    @on_own_loop
    async def test_left_early_it_is_closed_where_it_was_opened(self):
        source = Source(100)
        async with contextlib.aclosing(iterate(source, 10)) as items:
            async for _ in items:
                break
        self.assertEqual(source.closed_in, await run_sync(threading.get_ident))

    @on_own_loop
    async def test_abandoned_it_is_closed_where_it_was_opened(self):
        closed = threading.Event()

        class Watched(Source):
            def __iter__(self):
                try:
                    yield from super().__iter__()
                finally:
                    closed.set()

        source = Watched(100)
        held = [iterate(source, 10)]
        await anext(held[0])
        # As the garbage collector does, while who knows what runs.
        contextvars.Context().run(held.clear)
        await asyncio.to_thread(closed.wait, PATIENCE)
        self.assertEqual(source.closed_in, await run_sync(threading.get_ident))

    def test_what_outlives_its_thread_is_left_alone(self):
        """A cursor is not to be closed in another thread than its connection's."""

        class Cursor:
            closed = False

            def __iter__(self):
                return self

            def __next__(self):
                return 1

            def close(self):
                self.closed = True

        async def main():
            async with ThreadSensitiveContext():
                items = iterate(cursor, 10)
                await anext(items)
            await items.aclose()

        cursor = Cursor()
        asyncio.run(main())
        self.assertFalse(cursor.closed)

    @on_own_loop
    async def test_cancelled_in_a_batch_it_is_closed_after_it(self):
        held = Held()

        def source():
            try:
                yield 1
                held()
                yield 2
            finally:
                closed.append(threading.get_ident())

        async def consume():
            async for item in iterate(source(), 2):
                found.append(item)  # noqa: PERF401 - one by one, as they come

        closed, found = [], []
        task = asyncio.create_task(consume())
        await held.has_begun()
        task.cancel()
        held.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual((found, closed), ([], [held.thread]))

    @on_own_loop
    async def test_generator_functions(self):
        service = Service()
        for function in (
            service.numbers,
            functools.partial(Service.numbers, service),
            functools.partial(service.numbers),
        ):
            adapted = to_async(function)
            self.assertTrue(inspect.isasyncgenfunction(adapted))
            self.assertEqual([one async for one in adapted(2)], [0, 1, 2, 3])

        @to_async(chunk_size=2)
        def numbers():
            yield from range(5)

        with count_hops() as hops:
            self.assertEqual([one async for one in numbers()], [0, 1, 2, 3, 4])
        self.assertEqual(hops.count, 3)
