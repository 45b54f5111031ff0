"""Crossing threads: which thread, how many hops, which errors, and no deadlock."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import tempfile
import threading
import traceback

from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.test import SimpleTestCase

from django_async_cbv.sync import (
    iterate,
    run_sync,
    run_to_the_end,
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
            with self.assertRaisesMessage(TypeError, "is async: await it"):
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
            with self.assertRaisesMessage(RuntimeError, "async_to_sync(), not by asyn"):
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
        for value, hint in (([1], "use iterate()"), (1, "is not a function")):
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
        with self.assertRaisesMessage(TypeError, "can't be iterated over"):
            iterate(1)
        with self.assertRaisesMessage(TypeError, "use its all()"):
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
