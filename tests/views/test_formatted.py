"""Text that takes a query to make is made off the event loop: messages and URLs."""

from __future__ import annotations

import asyncio
from unittest import mock

from asgiref.sync import sync_to_async
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.views import SuccessMessageMixin
from django.db.models.signals import post_delete, post_init, post_save
from django.test import RequestFactory, TestCase, override_settings
from django.urls import path, register_converter, resolve
from django.utils.functional import lazy
from django.views import generic

from django_async_cbv import views as our_views
from django_async_cbv.messages import AsyncSuccessMessageMixin
from tests.app.forms import BookForm, LoanForm
from tests.app.models import Author, Book
from tests.comparison import Sent, rolled_back
from tests.hops import count_hops
from tests.views.test_edit import LibraryTestCase


class HeaderStorage(BaseStorage):
    """Keeps the messages in a header, for Outcome to compare."""

    def _get(self, *args, **kwargs):
        return [], True

    def _store(self, messages, response, *args, **kwargs):
        if messages:
            response.headers["X-Said"] = "|".join(str(one) for one in messages)
        return []


def slug():
    return Author.objects.get(name="Ada").slug


class Shelf:
    """Queries for its text, its format, an attribute, and an item."""

    def __str__(self):
        return slug()

    def __getitem__(self, key):
        return f"{slug()}-{key}"

    @property
    def name(self):
        return f"{slug()}-name"


def put_on_shelf(instance, **kwargs):
    instance.shelf = Shelf()


lazy_url = lazy(lambda: f"/lazy/{slug()}/", str)


class QueryingAuthor(Author):
    class Meta:
        proxy = True
        app_label = "app"

    def __str__(self):
        return f"{self.name} of {Author.objects.count()}"


def clean_author(form):
    return QueryingAuthor.objects.get(pk=form.cleaned_data["author"].pk)


class ChosenForm(LoanForm):
    clean_author = clean_author


class ChosenBookForm(BookForm):
    clean_author = clean_author


class Untouched:
    pass


class AsyncSuccessURL:
    async def aget_success_url(self):
        await asyncio.sleep(0)
        return await super().aget_success_url()


class AsyncFormValid:
    async def aform_valid(self, form):
        await asyncio.sleep(0)
        return await super().aform_valid(form)


class AsyncMessage:
    async def aget_success_message(self, cleaned_data):
        await asyncio.sleep(0)
        return await super().aget_success_message(cleaned_data)


class SyncSuccessURL:
    def get_success_url(self):
        return super().get_success_url()


class SyncFormValid:
    def form_valid(self, form):
        return super().form_valid(form)


KINDS = [
    Untouched,
    AsyncSuccessURL,
    AsyncFormValid,
    AsyncMessage,
    SyncSuccessURL,
    SyncFormValid,
]


def subjects(name, **attributes):
    """The view of Django's, then ours, of each kind and with either message mixin."""
    django = (SuccessMessageMixin, getattr(generic, name))
    ours = getattr(our_views, f"Async{name}")
    found = [django]
    for kind in KINDS:
        found.append((kind, AsyncSuccessMessageMixin, ours))
        if kind is not AsyncMessage:
            found.append((kind, SuccessMessageMixin, ours))
    return [type("Subject", bases, dict(attributes)) for bases in found]


URLS = {
    "text": "/{shelf}/",
    "format": "/{shelf!s:>9}/",
    "attribute": "/{shelf.name}/",
    "item": "/{shelf[2]}/",
    "nested": "/{title:{shelf[9]}}/",
    "lazy": lazy_url(),
}
EXPECTED = {
    "text": "/ada/",
    "format": "/%20%20%20%20%20%20ada/",
    "attribute": "/ada-name/",
    "item": "/ada-2/",
    "lazy": "/lazy/ada/",
}


@override_settings(MESSAGE_STORAGE=f"{__name__}.HeaderStorage")
class FormattedTests(LibraryTestCase):
    def setUp(self):
        self.written = []
        for signal in (post_save, post_delete):
            signal.connect(self.count, sender=Book)
            self.addCleanup(signal.disconnect, self.count, sender=Book)
        post_init.connect(put_on_shelf, sender=Book)
        self.addCleanup(post_init.disconnect, put_on_shelf, sender=Book)

    def count(self, instance, **kwargs):
        self.written.append(instance)

    async def outcome(self, views, sent, *, writes=1):
        """Of all views and clients the same; each of them has written once."""
        self.written.clear()
        outcome = await self.assertSame(views, sent)
        requests = 1 + 2 * (len(views) - 1)
        self.assertEqual(len(self.written), writes * requests)
        return outcome

    def book_views(self):
        """Each kind of view that writes a book, what it is sent, and its message."""
        form = {"model": Book, "form_class": ChosenBookForm}
        posted = self.posted()
        said = {"success_message": "%(title)s by %(author)s"}
        yield "CreateView", {**form, **said}, Sent("post", posted), "Waves by Ben of 2"
        yield (
            "UpdateView",
            {**form, **said},
            Sent("post", posted, pk=self.book.pk),
            "Waves by Ben of 2",
        )
        yield (
            "DeleteView",
            {
                "model": Book,
                "form_class": ChosenForm,
                "success_message": "no more of %(author)s",
            },
            Sent("post", {"reader": "Cy", "author": self.ben.pk}, pk=self.book.pk),
            "no more of Ben of 2",
        )

    async def test_message_and_success_url(self):
        for name, attributes, sent, said in self.book_views():
            for kind, location in EXPECTED.items():
                with self.subTest(view=name, url=kind):
                    outcome = await self.outcome(
                        subjects(name, success_url=URLS[kind], **attributes), sent
                    )
                    self.assertEqual(outcome.status, 302)
                    self.assertEqual(outcome.headers["Location"], location)
                    self.assertEqual(outcome.headers["X-Said"], said)

    async def test_a_format_that_names_another_value(self):
        """Django's error, after the save, as "ada-9" is no format of a text."""
        for name, attributes, sent, _ in self.book_views():
            with self.subTest(view=name):
                outcome = await self.outcome(
                    subjects(name, success_url=URLS["nested"], **attributes),
                    sent,
                    # The URL is made before the row is deleted, and after it is saved.
                    writes=0 if name == "DeleteView" else 1,
                )
                self.assertIs(outcome.error[0], ValueError)

    async def test_get_absolute_url(self):
        urls = {
            "text": (lambda book: f"/{book.shelf}/", "/ada/"),
            "lazy": (lambda book: lazy_url(), "/lazy/ada/"),
        }
        for kind, (get_absolute_url, location) in urls.items():
            for name, attributes, sent, said in self.book_views():
                if name == "DeleteView":  # of Django's, asks for a success_url
                    continue
                with (
                    self.subTest(view=name, url=kind),
                    mock.patch.object(Book, "get_absolute_url", get_absolute_url),
                ):
                    outcome = await self.outcome(subjects(name, **attributes), sent)
                    self.assertEqual(outcome.headers["Location"], location)
                    self.assertEqual(outcome.headers["X-Said"], said)

    async def test_form_view(self):
        for form_class, posted in (
            (ChosenForm, {"reader": "Cy", "author": self.ben.pk}),
            (ChosenBookForm, self.posted()),
        ):
            views = subjects(
                "FormView",
                form_class=form_class,
                success_url=URLS["lazy"],
                success_message="for %(author)s",
            )
            with self.subTest(form=form_class.__name__):
                outcome = await self.outcome(views, Sent("post", posted), writes=0)
                self.assertEqual(outcome.headers["Location"], EXPECTED["lazy"])
                self.assertEqual(outcome.headers["X-Said"], "for Ben of 2")

    async def test_awaited_view(self):
        """As function views and tests call it: on the loop, and no client between."""
        for name, attributes, sent, said in self.book_views():
            _, *ours = subjects(name, success_url=URLS["attribute"], **attributes)
            for view in ours:
                bases = [base.__name__ for base in view.__bases__]
                with self.subTest(view=name, bases=bases):
                    request = RequestFactory().post("/", sent.data)
                    request._messages = HeaderStorage(request)
                    async with rolled_back():
                        self.written.clear()
                        kwargs = {} if sent.pk is None else {"pk": sent.pk}
                        response = await view.as_view()(request, **kwargs)
                        await sync_to_async(request._messages.update)(response)
                    self.assertEqual(response.headers["Location"], "/ada-name/")
                    self.assertEqual(response.headers["X-Said"], said)
                    self.assertEqual(len(self.written), 1)


class ShelfConverter:
    """Gives objects, and takes them."""

    regex = "[a-z]+"

    def to_python(self, value):
        return Shelf()

    def to_url(self, value):
        return str(value)


register_converter(ShelfConverter, "shelf")
urlpatterns = [path("<shelf:shelf>/", generic.RedirectView.as_view(), name="shelf")]


class AsyncRedirectURL:
    async def aget_redirect_url(self, *args, **kwargs):
        await asyncio.sleep(0)
        return await super().aget_redirect_url(*args, **kwargs)


class AsyncGet:
    async def get(self, request, *args, **kwargs):
        await asyncio.sleep(0)
        return await super().get(request, *args, **kwargs)


class PutsOnShelf:
    """The URL has a plain value, the call an object."""

    async def aget_redirect_url(self, *args, **kwargs):
        return await super().aget_redirect_url(*args, **{**kwargs, "shelf": Shelf()})


class PutsOnShelfInGet:
    async def get(self, request, *args, **kwargs):
        return await super().get(request, *args, **{**kwargs, "shelf": Shelf()})


@override_settings(ROOT_URLCONF=__name__)
class RedirectTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        Author.objects.create(name="Ada", slug="ada")

    async def answers(self, cls, value, method, attributes):
        """Where Django's view in a worker and ours on the loop redirect; its hops."""
        request = getattr(RequestFactory(), method)("/", query_params={"q": "1"})
        django = generic.RedirectView.as_view(**attributes)
        expected = await sync_to_async(django)(request, shelf=value)
        with count_hops() as hops:
            response = await cls.as_view(**attributes)(request, shelf=value)
        self.assertEqual(
            (response.status_code, response.headers["Location"]),
            (expected.status_code, expected.headers["Location"]),
        )
        return response.headers["Location"], hops.count

    async def test_what_the_url_is_filled_in_with(self):
        ours = our_views.AsyncRedirectView
        kinds = (AsyncRedirectURL, AsyncGet)
        classes = [ours, *(type(kind.__name__, (kind, ours), {}) for kind in kinds)]
        for attributes, location in (
            ({"url": "/to/%(shelf)s/"}, "/to/{}/"),
            ({"url": "/to/%(shelf)s/", "query_string": True}, "/to/{}/?q=1"),
            ({"pattern_name": "shelf"}, "/{}/"),
            ({"url": lazy(lambda: f"/{slug()}/%(shelf)s/", str)()}, "/ada/{}/"),
        ):
            is_lazy = location.startswith("/ada")
            for cls in classes:
                for method in ("get", "head", "post"):
                    # A number and a text are filled in on the loop.
                    for value, hops in (
                        (Shelf(), 1),
                        ([Shelf()], 1),
                        ("law", int(is_lazy)),
                    ):
                        if isinstance(value, list) and "pattern_name" in attributes:
                            continue
                        with self.subTest(cls=cls, method=method, value=value):
                            found = await self.answers(cls, value, method, attributes)
                            if not isinstance(value, list):
                                text = value if value == "law" else "ada"
                                self.assertEqual(found[0], location.format(text))
                            self.assertEqual(found[1], hops)

    async def test_objects_that_an_override_puts_in(self):
        for kind in (PutsOnShelf, PutsOnShelfInGet):
            cls = type("Subject", (kind, our_views.AsyncRedirectView), {})
            for attributes in ({"url": "/%(shelf)s/"}, {"pattern_name": "shelf"}):
                with self.subTest(kind=kind, **attributes), count_hops() as hops:
                    response = await cls.as_view(**attributes)(
                        RequestFactory().get("/"), shelf="law"
                    )
                self.assertEqual(response.headers["Location"], "/ada/")
                self.assertEqual(hops.count, 1)

    async def test_by_a_converter(self):
        """The values that a URLconf's own converter gives are objects."""
        match = resolve("/shelf/")
        self.assertIs(type(match.kwargs["shelf"]), Shelf)
        request = RequestFactory().get("/shelf/")
        view = our_views.AsyncRedirectView.as_view(url="/to/%(shelf)s/")
        response = await view(request, *match.args, **match.kwargs)
        self.assertEqual(response.headers["Location"], "/to/ada/")
