"""Clients that leave, and servers that stop, at each await of a whole request."""

from __future__ import annotations

import asyncio

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncRequestFactory, override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.concurrency import forget_connections
from tests.faults.leaks import leftovers_of
from tests.faults.stops import Stop
from tests.faults.visits import (
    AsyncHandlers,
    Create,
    Delete,
    Detail,
    Exchange,
    Header,
    List,
    ShelfTestCase,
    Tail,
    Update,
    pausing,
)

# More suspensions than any whole request of these has.
MOST = 300


class WholeRequestTestCase(ShelfTestCase):
    def serve(self, visit, view, n, *, late, leave):
        """
        Serve a request; at its n-th suspension the client leaves.

        Or, not `leave`, the server cancels the app, as it does when it stops.
        """
        exchange = stop = None

        async def main():
            async with ThreadSensitiveContext():
                await asyncio.create_task(serve())
                if not leave:
                    # Django closes them for a client that leaves; cancelled, it
                    # leaves them, of its own views too, to their thread's end.
                    await sync_to_async(forget_connections)()

        async def serve():
            nonlocal exchange, stop

            def go():
                if leave:
                    exchange.gone.set()
                else:
                    app.cancel()

            exchange = Exchange(visit.request(AsyncRequestFactory(), self))
            stop = Stop(n, go, late=late)
            stop.watch()
            app = asyncio.create_task(
                ASGIHandler()(exchange.scope, exchange.receive, exchange.send)
            )
            await asyncio.wait({app})
            if not app.cancelled() and app.exception():
                raise app.exception()

        patterns = (path("<int:pk>/", csrf_exempt(view)),)
        with override_settings(ROOT_URLCONF=patterns):
            self.assertEqual(leftovers_of(main), [])
        return exchange, stop

    def leave_everywhere(self, visit, *mixins, leave=True):
        """Leave at each suspension, early and late; returns how many there are."""
        view = visit.view(*mixins)
        ends = []
        for n in range(1, MOST):
            for late in (False, True):
                try:
                    stop, books = self.leave_at(n, visit, view, late=late, leave=leave)
                except AssertionError as error:
                    names = [mixin.__name__ for mixin in mixins]
                    error.add_note(f"{visit.__class__.__name__} {names} {n=} {late=}")
                    raise
                if books not in ends:
                    ends.append(books)
            if not stop.fired:
                # It was in time for some, and too late for others.
                expected = [self.before]
                if (done := visit.done(self, self.before)) != self.before:
                    expected.append(done)
                self.assertEqual(ends, expected)
                return n - 1
        return self.fail("It never ended.")

    def leave_at(self, n, visit, view, *, late, leave):
        exchange, stop = self.serve(visit, view, n, late=late, leave=leave)
        books = self.books()
        done = visit.done(self, self.before)
        self.assertIn(books, (self.before, done))
        if exchange.status is not None:
            # Too late to leave, and nothing has changed by it.
            self.assertEqual(books, done)
            self.assertEqual(exchange.status, visit.status)
        if books != self.before:
            self.restore()
        return stop, books


class ClientLeavesTests(WholeRequestTestCase):
    def test_as_it_is(self):
        for visit in (List, Create, Delete):
            self.assertGreater(self.leave_everywhere(visit()), 10)

    def test_with_async_overrides(self):
        for visit, hook in (
            (List, "get_queryset"),
            (Detail, "get_object"),
            (Create, "form_valid"),
            (Update, "get_form"),
        ):
            self.leave_everywhere(visit(), pausing(hook))
        for visit, hook in ((List, "get_queryset"), (Create, "form_valid")):
            self.leave_everywhere(visit(), Header, pausing(hook))
            self.leave_everywhere(visit(), Tail, AsyncHandlers)


class ServerStopsTests(WholeRequestTestCase):
    def test_as_it_is(self):
        for visit in (List, Create):
            self.leave_everywhere(visit(), leave=False)

    def test_with_async_overrides(self):
        for visit, hook in ((List, "get_queryset"), (Create, "form_valid")):
            self.leave_everywhere(visit(), Header, pausing(hook), leave=False)
