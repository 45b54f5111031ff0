"""Views that are cancelled, at each of their awaits: nothing is left, nothing is half.

A cancellation does not stop what a worker is doing: Python can't stop a thread. So the
call that runs in the worker ends (Django's own save, many-to-many and file, say), and
nothing begins after it.
"""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db.models.signals import post_save
from django.test import RequestFactory

from tests.app.models import Book, Tag
from tests.concurrency import forget_connections
from tests.faults.leaks import leftovers_of
from tests.faults.stops import PATIENCE, Stop
from tests.faults.visits import (
    DISPATCHES,
    VISITS,
    AsyncDispatch,
    AsyncHandlers,
    Atomic,
    Create,
    Detail,
    Header,
    List,
    Locked,
    ShelfTestCase,
    SyncHandlers,
    SyncSetup,
    Tail,
    Update,
    pausing,
)
from tests.hops import count_hops

# More suspensions than any request of these has.
MOST = 100


async def the_worker_is_idle():
    """Wait for the thread of this request, if it has one, to end what it does."""
    context = SyncToAsync.thread_sensitive_context.get()
    executor = SyncToAsync.context_to_thread_executor.get(context)
    if executor is not None:
        await asyncio.wrap_future(executor.submit(int))


class CancelledTestCase(ShelfTestCase):
    def run_view(self, view, visit, *, n, late):
        """
        Serve the request in a thread of its own, cancelled at its n-th suspension.

        Returns the response, None if cancelled, and the stop.
        """
        responses = []

        async def main():
            async with ThreadSensitiveContext():
                await asyncio.create_task(serve())
                # In the request's thread, so after what that is still doing.
                await sync_to_async(forget_connections)()

        async def serve():
            nonlocal stop
            with count_hops() as hops:

                def finish():
                    pass

                def cancel():
                    task.cancel()
                    begun.extend(hops.hops)

                async def answer():
                    try:
                        return await view(request, pk=self.book.pk)
                    finally:
                        # Whoever called the view still has work for this thread:
                        # Django's handler tells that the request has finished.
                        await the_worker_is_idle()
                        await sync_to_async(finish)()

                begun = []
                stop = Stop(n, cancel, late=late)
                stop.watch()
                request = visit.request(RequestFactory(), self)
                task = asyncio.create_task(answer())
                await asyncio.wait({task})
                if stop.fired:
                    self.assertTrue(task.cancelled(), f"It got lost: {task}")
                    others, begun = (
                        [hop for hop in found if hop.function.name != "finish"]
                        for found in (hops.hops, begun)
                    )
                    self.assertEqual(others, begun, "A hop began after it.")
                    self.assertFalse(stop.let_go)
                    return
            responses.append(task.result())
            if hasattr(responses[0], "render"):
                await sync_to_async(responses[0].render)()

        stop = None
        self.assertEqual(leftovers_of(main), [])
        return (responses or [None])[0], stop

    def cancel_everywhere(self, visit, *mixins):
        """Cancel at each suspension, early and late; returns how many there are."""
        view = visit.view(*mixins)
        for n in range(1, MOST):
            for late in (False, True):
                try:
                    fired = self.cancel_at(n, visit, view, late=late)
                except AssertionError as error:
                    names = [mixin.__name__ for mixin in mixins]
                    error.add_note(f"{visit.__class__.__name__} {names} {n=} {late=}")
                    raise
            if not fired:
                return n - 1
        return self.fail("It never ended.")

    def cancel_at(self, n, visit, view, *, late):
        response, stop = self.run_view(view, visit, n=n, late=late)
        books = self.books(all_files=not issubclass(view.view_class, Atomic))
        done = visit.done(self, self.before)
        if response is None:
            self.assertIn(books, (self.before, done))
        else:
            visit.check(self, response)
            self.assertEqual(books, done)
        if books != self.before or issubclass(view.view_class, Atomic):
            self.restore()
        return stop.fired


class AsItIsTests(CancelledTestCase):
    def test_each_request(self):
        for visit in VISITS:
            # The view's one hop, and the two awaits of its caller.
            self.assertEqual(self.cancel_everywhere(visit()), 3)

    def test_with_sync_overrides(self):
        for visit in VISITS:
            for mixin in (*DISPATCHES, SyncHandlers, SyncSetup):
                self.assertGreaterEqual(self.cancel_everywhere(visit(), mixin), 2)


class WithAsyncOverridesTests(CancelledTestCase):
    def test_each_hook(self):
        for visit in VISITS:
            for hook in visit.hooks:
                mixin = pausing(hook)
                self.assertGreaterEqual(self.cancel_everywhere(visit(), mixin), 2)
                self.assertTrue(mixin.called)

    def test_all_hooks(self):
        for visit in VISITS:
            mixin = pausing(*visit.hooks)
            count = self.cancel_everywhere(visit(), mixin)
            self.assertGreaterEqual(count, 2 * len(visit.hooks))
            self.assertEqual(len(mixin.called), len(visit.hooks))

    def test_handlers_and_dispatch(self):
        for visit in VISITS:
            for mixins in (
                [AsyncHandlers],
                [AsyncDispatch],
                [AsyncDispatch, SyncSetup],
            ):
                self.cancel_everywhere(visit(), *mixins)

    def test_behind_a_sync_dispatch(self):
        for visit, hook in (
            (List, "get_context_data"),
            (Detail, "get_object"),
            (Create, "form_valid"),
            (Update, "get_success_url"),
        ):
            for mixin in DISPATCHES:
                self.cancel_everywhere(visit(), mixin, pausing(hook))
        for mixin in DISPATCHES:
            self.cancel_everywhere(Create(), mixin, AsyncHandlers)

    def test_behind_two_sync_dispatches(self):
        for visit in (List, Create):
            for mixins in ([Tail, Header], [Header, Tail], [Header, Locked]):
                self.cancel_everywhere(visit(), *mixins, AsyncHandlers)


class Midway:
    """Cancels a task from its worker, which it holds until the loop has done so."""

    def __init__(self):
        self.reached = 0
        self.cancelled = threading.Event()

    def begin(self, task):
        self.loop, self.task = asyncio.get_running_loop(), task

    def __call__(self, *args, **kwargs):
        self.reached += 1
        self.loop.call_soon_threadsafe(self.cancel)
        if not self.cancelled.wait(10):
            raise TimeoutError

    def cancel(self):
        self.task.cancel()
        self.pass_on(PATIENCE)

    def pass_on(self, rounds):
        # Through tasks that wait for tasks: each takes a round of the loop.
        if rounds:
            self.loop.call_soon(self.pass_on, rounds - 1)
        else:
            self.cancelled.set()


class MidwayTests(CancelledTestCase):
    """Cancelled while the worker is at it: it ends its call, and begins no other."""

    def cancel_midway(self, visit, *mixins, midway):
        view = visit.view(*mixins)

        async def main():
            async with ThreadSensitiveContext():
                request = visit.request(RequestFactory(), self)
                task = asyncio.create_task(view(request, pk=self.book.pk))
                midway.begin(task)
                await asyncio.wait({task})
                self.assertTrue(task.cancelled())
                await sync_to_async(forget_connections)()

        self.assertEqual(leftovers_of(main), [])
        self.assertEqual(midway.reached, 1)

    def cancel_in_save(self, visit, *mixins):
        """Between the row and its many-to-many."""
        midway = Midway()
        post_save.connect(midway, sender=Book)
        try:
            self.cancel_midway(visit, *mixins, midway=midway)
        finally:
            post_save.disconnect(midway, sender=Book)

    def test_a_save_ends_whole(self):
        class FormValid:
            def form_valid(self, form):
                response = super().form_valid(form)
                Tag.objects.create(name=f"of {self.object}")
                return response

        for visit in (Create(), Update()):
            for mixins in (
                [],
                [FormValid],
                [Tail],
                [Header],
                [Atomic],
                [pausing("get_form")],
                [Header, pausing("get_form_class")],
                [pausing("get_success_url")],
            ):
                with self.subTest(visit=visit, mixins=mixins):
                    self.cancel_in_save(visit, *mixins)
                    self.assertEqual(self.books(), visit.done(self, self.before))
                    self.restore()
                    if FormValid in mixins:
                        # It is of the same call, as in Django's own view.
                        Tag.objects.get(name="of Waves").delete()

    def test_nothing_begins_after_a_save(self):
        mixin = pausing("get_success_url", "get_form")
        self.cancel_in_save(Create(), mixin)
        self.assertEqual(mixin.called, {"aget_form"})

    def test_nothing_begins_after_a_sync_override(self):
        midway, called = Midway(), []

        class Overrides:
            def get_queryset(self):
                midway()
                return super().get_queryset()

            def get_context_data(self, **kwargs):
                called.append(kwargs)
                return super().get_context_data(**kwargs)

        mixin = pausing("render_to_response")
        self.cancel_midway(List(), Overrides, mixin, midway=midway)
        self.assertEqual((called, mixin.called), ([], set()))

    def test_the_async_rest_is_not_begun_from_sync_code(self):
        """Cancelled in a dispatch() or a handler that has yet to call super()."""

        def overriding(name, *, ahead):
            def method(self, request, *args, **kwargs):
                midway()
                called.append(name)
                response = getattr(super(mixin, self), name)(request, *args, **kwargs)
                if ahead:
                    return response
                called.append(response)
                return response

            mixin = type("Mixin", (), {name: method})
            return mixin

        for name in ("dispatch", "post"):
            for ahead in (True, False):
                for hook in ("get_form", "form_valid"):
                    with self.subTest(name=name, ahead=ahead, hook=hook):
                        midway, called = Midway(), []
                        mixin = pausing(hook)
                        self.cancel_midway(
                            Create(),
                            overriding(name, ahead=ahead),
                            mixin,
                            midway=midway,
                        )
                        self.assertEqual((called, mixin.called), ([name], set()))
                        self.assertEqual(self.books(), self.before)

    def test_a_handler_is_not_begun_after_setup(self):
        midway = Midway()

        class Setup:
            def setup(self, request, *args, **kwargs):
                midway()
                super().setup(request, *args, **kwargs)

        self.cancel_midway(Create(), Setup, midway=midway)
        self.assertEqual(self.books(), self.before)
