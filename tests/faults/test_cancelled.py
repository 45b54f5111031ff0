"""Views that are cancelled, at each of their awaits: nothing is left, nothing is half.

A cancellation does not stop what a worker is doing: Python can't stop a thread. So the
call that runs in the worker ends (Django's own save, many-to-many and file, say), and
nothing begins after it.
"""

from __future__ import annotations

import asyncio
import datetime
import threading

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models.signals import post_save
from django.http import HttpResponse
from django.test import RequestFactory

from django_async_cbv.registry import HOOKS
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncDeleteView,
    AsyncDetailView,
    AsyncListView,
    AsyncUpdateView,
)
from tests.app.forms import BookForm
from tests.app.models import Author, Book, Tag
from tests.comparison import rows, stored_files
from tests.concurrency import ServedTestCase, forget_connections
from tests.faults.leaks import few_objects, leftovers_of
from tests.faults.stops import PATIENCE, Stop
from tests.hops import count_hops

# More suspensions than any request of these has.
MOST = 100


async def pause():
    """Suspend once, for a future, as an await of I/O does."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(lambda: future.done() or future.set_result(None))
    await future


def pausing(*names):
    """A mixin that awaits before and after each of these hooks."""

    def override(aname):
        async def atwin(self, *args, **kwargs):
            self.called.add(aname)
            await pause()
            result = await getattr(super(mixin, self), aname)(*args, **kwargs)
            await pause()
            return result

        return atwin

    anames = [HOOKS[name] for name in names]
    mixin = type(f"Pausing{names}", (), {aname: override(aname) for aname in anames})
    mixin.called = set()
    return mixin


class Tail:
    """Gives its thread back: nothing is left to do after the call."""

    def dispatch(self, request, *args, **kwargs):
        if not request.path:
            return HttpResponse(status=403)
        return super().dispatch(request, *args, **kwargs)


class Header:
    """Has something to do to the response."""

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Seen"] = "yes"
        return response


class Atomic:
    """Holds a transaction around the call."""

    def dispatch(self, request, *args, **kwargs):
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)


class Locked:
    """Holds a lock around the call."""

    lock = threading.Lock()

    def dispatch(self, request, *args, **kwargs):
        if not self.lock.acquire(timeout=10):
            raise TimeoutError
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.lock.release()


class Catching:
    """Makes an answer of every error; a cancellation is none."""

    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        except Exception as error:
            return HttpResponse(f"{error!r}", status=500)


class AsyncDispatch:
    async def dispatch(self, request, *args, **kwargs):
        await pause()
        response = await super().dispatch(request, *args, **kwargs)
        await pause()
        return response


class SyncHandlers:
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        response["X-Seen"] = "yes"
        return response


class AsyncHandlers:
    async def get(self, request, *args, **kwargs):
        await pause()
        return await super().get(request, *args, **kwargs)

    async def post(self, request, *args, **kwargs):
        await pause()
        response = await super().post(request, *args, **kwargs)
        await pause()
        return response


class SyncSetup:
    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.books = Book.objects.count()


DISPATCHES = [Tail, Header, Atomic, Locked, Catching]


class Visit:
    """A request to a view, and what the database may hold after it was cancelled."""

    attributes = {"model": Book, "template_name": "app/brief.html"}
    # That the request reaches.
    hooks = ["get_context_data", "get_template_names", "render_to_response"]

    def view(self, *mixins):
        attributes = {"success_url": "/{isbn}/", **self.attributes}
        return type("View", (*mixins, self.base), attributes).as_view()

    def request(self, test):
        return RequestFactory().get("/"), {"pk": test.book.pk}

    def done(self, test, before):
        """What is in the database once the request has been answered."""
        return before

    def check(self, test, response):
        test.assertEqual(response.status_code, 200)
        test.assertIn("Tides", response.rendered_content)


class List(Visit):
    base = AsyncListView
    attributes = {
        "model": Book,
        "template_name": "app/list.html",
        "paginate_by": 5,
        "allow_empty": False,
    }
    hooks = [
        *Visit.hooks,
        "get_queryset",
        "get_ordering",
        "get_allow_empty",
        "get_paginate_by",
        "get_paginate_orphans",
        "get_paginator",
        "paginate_queryset",
        "get_context_object_name",
    ]


class Detail(Visit):
    base = AsyncDetailView
    attributes = {"model": Book, "template_name": "app/detail.html"}
    hooks = [*Visit.hooks, "get_object", "get_queryset", "get_context_object_name"]


class Saving(Visit):
    hooks = [
        "get_form",
        "get_form_class",
        "get_form_kwargs",
        "get_initial",
        "get_prefix",
        "get_success_url",
        "form_valid",
    ]

    def request(self, test):
        data = {
            "title": "waves",
            "isbn": "999",
            "author": test.author.pk,
            "tags": [tag.pk for tag in test.tags[1:]],
            "published": "2024-02-29",
            "scan": SimpleUploadedFile("scan.bin", b"scanned"),
        }
        return RequestFactory().post("/", data), {"pk": test.book.pk}

    def done(self, test, before):
        return before | {
            "999": ("Waves", [tag.pk for tag in test.tags[1:]], b"scanned")
        }

    def check(self, test, response):
        test.assertEqual((response.status_code, response.url), (302, "/999/"))


class Create(Saving):
    base = AsyncCreateView
    attributes = {"model": Book, "form_class": BookForm}


class Update(Saving):
    base = AsyncUpdateView
    attributes = {"model": Book, "form_class": BookForm}
    hooks = [*Saving.hooks, "get_object", "get_queryset"]

    def done(self, test, before):
        return {"999": super().done(test, {})["999"]}


class Invalid(Create):
    """As Create, of a number that is taken: the form is shown again."""

    attributes = {**Create.attributes, "template_name": "app/brief.html"}
    hooks = [*Saving.hooks[:-2], "form_invalid", *Visit.hooks]

    def request(self, test):
        return RequestFactory().post("/", {"isbn": "111"}), {}

    def done(self, test, before):
        return before

    def check(self, test, response):
        test.assertEqual(response.status_code, 200)
        test.assertIn("already exists", response.rendered_content)


class Delete(Visit):
    base = AsyncDeleteView
    attributes = {"model": Book}
    hooks = [
        "get_object",
        "get_queryset",
        "get_form",
        "get_form_class",
        "get_form_kwargs",
        "get_success_url",
        "form_valid",
    ]

    def request(self, test):
        return RequestFactory().post("/"), {"pk": test.book.pk}

    def done(self, test, before):
        return {}

    def check(self, test, response):
        test.assertEqual((response.status_code, response.url), (302, "/111/"))


VISITS = [List, Detail, Create, Update, Invalid, Delete]


class CancelledTestCase(ServedTestCase):
    """One book, by one author, under two of three tags."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(few_objects())

    def setUp(self):
        self.author = Author.objects.create(name="Ada", slug="ada")
        self.tags = [Tag.objects.create(name=name) for name in ("art", "law", "sea")]
        self.restore()

    def restore(self):
        """Put the book back, and nothing else."""
        Book.objects.all().delete()
        for scan in self.media.rglob("*.bin"):
            scan.unlink()
        self.book = Book.objects.create(
            title="Tides",
            isbn="111",
            author=self.author,
            published=datetime.date(2020, 2, 29),
        )
        self.book.tags.set(self.tags[:2])
        self.before = self.books()

    def books(self, *, all_files=True):
        """
        What there is of each book: its row, its tags, its file.

        A transaction that is rolled back leaves the files that were stored in it
        (`all_files`: none of those), as in Django's own views.
        """
        found = rows()
        files = stored_files(self.media)
        books = {
            book["isbn"]: (
                book["title"],
                [
                    row["tag_id"]
                    for row in found["app.Book_tags"]
                    if row["book_id"] == book["id"]
                ],
                # Without its file it would be half of a book.
                files.pop(book["scan"]) if book["scan"] else None,
            )
            for book in found["app.Book"]
        }
        if all_files:
            self.assertEqual(files, {}, "A file without a book.")
        tagged = {row["book_id"] for row in found["app.Book_tags"]}
        self.assertLessEqual(tagged, {book["id"] for book in found["app.Book"]})
        return books

    def run_view(self, view, request, *, n=MOST, late=False):
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

                def cancel():
                    task.cancel()
                    begun.append(hops.count)

                begun = []
                stop = Stop(n, cancel, late=late)
                stop.watch()
                made, kwargs = request(self)
                task = asyncio.create_task(view(made, **kwargs))
                await asyncio.wait({task})
                if stop.fired:
                    self.assertTrue(task.cancelled(), "The cancellation got lost.")
                    self.assertEqual(hops.count, begun[0], "A hop began after it.")
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
        response, stop = self.run_view(view, visit.request, n=n, late=late)
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
            self.assertEqual(self.cancel_everywhere(visit()), 1)

    def test_with_sync_overrides(self):
        for visit in VISITS:
            for mixin in (*DISPATCHES, SyncHandlers, SyncSetup):
                self.assertGreaterEqual(self.cancel_everywhere(visit(), mixin), 1)


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
            for mixins in ([AsyncHandlers], [AsyncDispatch], [AsyncDispatch, SyncSetup]):
                self.cancel_everywhere(visit(), *mixins)

    def test_behind_a_sync_dispatch(self):
        for visit in VISITS:
            for mixin in DISPATCHES:
                for hook in ("get_context_data", "form_valid", "get_queryset"):
                    if hook in visit.hooks:
                        self.cancel_everywhere(visit(), mixin, pausing(hook))
                self.cancel_everywhere(visit(), mixin, AsyncHandlers)

    def test_behind_two_sync_dispatches(self):
        for visit in VISITS:
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
                request, kwargs = visit.request(self)
                task = asyncio.create_task(view(request, **kwargs))
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
