"""Async save() and delete(), of forms, formsets and models: no success without the act.

Each view saves by each kind of async method, with each hook around it overridden sync
or async. However the save is reached, it has happened when the answer says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.forms import BaseInlineFormSet, BaseModelFormSet
from django.http import HttpResponseRedirect
from django.test import RequestFactory, TestCase

from django_async_cbv import views
from django_async_cbv.forms import ais_valid
from django_async_cbv.messages import AsyncSuccessMessageMixin
from tests.app.models import Author, Book, Tag
from tests.views.test_formsets import book, formset_of

ran: list[str] = []


async def note(name: str) -> None:
    """What an async method begins with: it has to be on the event loop."""
    await asyncio.sleep(0)
    ran.append(name)


class AsyncModel:
    """A model that is saved and deleted by async methods."""

    async def save(self, *args, **kwargs):
        await note("save")
        await sync_to_async(super().save)(*args, **kwargs)

    async def delete(self, *args, **kwargs):
        await note("delete")
        return await sync_to_async(super().delete)(*args, **kwargs)


class AsyncTag(AsyncModel, Tag):
    class Meta:
        proxy = True
        app_label = "tests"


class AsyncBook(AsyncModel, Book):
    class Meta:
        proxy = True
        app_label = "tests"


class AwaitedTag(Tag):
    """Sync to look at: its methods return what is to be awaited."""

    class Meta:
        proxy = True
        app_label = "tests"

    def delete(self, *args, **kwargs):
        async def delete():
            await note("delete")
            await Tag.objects.filter(pk=self.pk).adelete()

        return delete()


class AddressedTag(Tag):
    class Meta:
        proxy = True
        app_label = "tests"

    async def get_absolute_url(self):
        await note("get_absolute_url")
        return f"/tags/{self.pk}/"


class TagForm(forms.ModelForm):
    class Meta:
        model = Tag
        fields = ["name"]


class AsyncTagForm(TagForm):
    async def save(self, commit=True):
        await note("save")
        return await sync_to_async(super().save)(commit)


class AwaitedTagForm(TagForm):
    """Sync to look at, as above."""

    def save(self, commit=True):
        async def save():
            await note("save")
            await self.instance.asave()
            return self.instance

        return save()


class AsyncBookForm(forms.ModelForm):
    async def save(self, commit=True):
        await note("save")
        return await sync_to_async(super().save)(commit)


class AsyncManyForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["title", "isbn", "published", "author", "tags"]

    async def _save_m2m(self):
        await note("save")
        await sync_to_async(super()._save_m2m)()


class SavesAsync:
    """A formset with each of its ways to save as an async method, one at a time."""

    async def save(self, commit=True):
        await note("save")
        return await sync_to_async(super().save)(commit)


class SavesNewAsync:
    async def save_new(self, form, commit=True):
        await note("save")
        return await sync_to_async(super().save_new)(form, commit)


class AwaitedSave:
    def save(self, commit=True):
        saved = super().save

        async def save():
            await note("save")
            return await sync_to_async(saved)(commit)

        return save()


FORM_SETS = [
    type(f"{mixin.__name__}{base.__name__}", (mixin, base), {})
    for base in (BaseModelFormSet, BaseInlineFormSet)
    for mixin in (SavesAsync, SavesNewAsync, AwaitedSave)
]


@dataclass
class Case:
    """A view that saves by an async method, and how to see that it has."""

    view: type
    attributes: dict[str, Any]
    data: Callable[[], dict[str, Any]]
    is_done: Callable[[], bool]
    hooks: tuple[str, ...] = ("form_valid", "get_success_url", "get_form")
    method: str = "post"
    kwargs: Callable[[], dict[str, Any]] = field(default=dict)

    def __str__(self) -> str:
        given = [getattr(one, "__name__", one) for one in self.attributes.values()]
        return f"{self.view.__name__} {self.method} {given}"


def has(name: str) -> Callable[[], bool]:
    return lambda: Tag.objects.filter(name=name).exists()


def tag_cases() -> Iterator[Case]:
    by_form: Any
    for by_form in (
        {"model": Tag, "form_class": AsyncTagForm},
        {"model": Tag, "form_class": AwaitedTagForm},
        {"model": AsyncTag, "fields": ["name"]},
    ):
        yield Case(
            views.AsyncCreateView, by_form, lambda: {"name": "sea"}, is_done=has("sea")
        )
        yield Case(
            views.AsyncUpdateView,
            by_form,
            lambda: {"name": "sky"},
            is_done=lambda: not has("art")() and has("sky")(),
            kwargs=lambda: {"pk": Tag.objects.get(name="art").pk},
        )
    for model in (AsyncTag, AwaitedTag):
        for method in ("post", "delete"):
            yield Case(
                views.AsyncDeleteView,
                {"model": model},
                dict,
                is_done=lambda: not has("art")(),
                method=method,
                kwargs=lambda: {"pk": Tag.objects.get(name="art").pk},
                hooks=("get_object", "get_success_url", "form_valid"),
            )
    yield Case(
        views.AsyncCreateView,
        {"model": Book, "form_class": AsyncManyForm},
        lambda: book("9", author=Author.objects.get().pk, tags=[Tag.objects.get().pk]),
        is_done=lambda: Book.objects.filter(tags__name="art").exists(),
    )


def formset_cases() -> Iterator[Case]:
    hooks = ("formset_valid", "get_success_url", "construct_formset", "get_formset")
    ways: list[dict[str, Any]] = [
        {"model": AsyncTag, "fields": ["name"]},
        {"model": Tag, "form_class": AsyncTagForm},
        *[
            {"model": Tag, "fields": ["name"], "formset_class": cls}
            for cls in FORM_SETS[:3]
        ],
    ]
    for attributes in ways:
        yield Case(
            views.AsyncModelFormSetView,
            {**attributes, "queryset": attributes["model"].objects.none()},
            lambda: formset_of({"name": "sea"}),
            is_done=has("sea"),
            hooks=hooks,
        )
    yield Case(
        views.AsyncModelFormSetView,
        {"model": AsyncTag, "fields": ["name"], "factory_kwargs": {"can_delete": True}},
        lambda: formset_of(
            {"id": Tag.objects.get().pk, "name": "art", "DELETE": "on"}, initial=1
        ),
        is_done=lambda: not Tag.objects.exists(),
        hooks=hooks,
    )
    fields = ["title", "isbn", "published"]
    ways = [
        {"inline_model": AsyncBook, "fields": fields},
        {"inline_model": Book, "fields": fields, "form_class": AsyncBookForm},
        *[
            {"inline_model": Book, "fields": fields, "formset_class": cls}
            for cls in FORM_SETS[3:]
        ],
    ]
    for attributes in ways:
        yield Case(
            views.AsyncInlineFormSetView,
            {"model": Author, **attributes},
            lambda: formset_of(book("9"), prefix=prefix_of_books()),
            is_done=lambda: Author.objects.get().books.count() == 1,
            hooks=(*hooks, "get_object"),
            kwargs=lambda: {"pk": Author.objects.get().pk},
        )


def prefix_of_books() -> str:
    return "books"


class AuthorForm(forms.ModelForm):
    class Meta:
        model = Author
        fields = ["name", "slug"]


class AsyncAuthorForm(AuthorForm):
    async def save(self, commit=True):
        if commit:
            await note("save")
        return await sync_to_async(super().save)(commit)


def inlines_cases() -> Iterator[Case]:
    fields = ["title", "isbn", "published"]
    ways: list[tuple[type, dict[str, Any]]] = [
        (AsyncAuthorForm, {"model": Book}),
        (AuthorForm, {"model": AsyncBook}),
        (AuthorForm, {"model": Book, "form_class": AsyncBookForm}),
        *[(AuthorForm, {"model": Book, "formset_class": cls}) for cls in FORM_SETS[3:]],
    ]
    for form_class, attributes in ways:
        inline = type(
            "Inline",
            (views.AsyncInlineFormSetFactory,),
            {"fields": fields} | attributes,
        )
        shared: Any = {
            "attributes": {
                "model": Author,
                "form_class": form_class,
                "inlines": [inline],
            },
            "hooks": (
                "forms_valid",
                "form_valid",
                "get_success_url",
                "construct_inlines",
                "get_form",
            ),
        }
        yield Case(
            views.AsyncCreateWithInlinesView,
            data=lambda: formset_of(book("9"), prefix="books", name="Ben", slug="ben"),
            is_done=lambda: Book.objects.filter(author__slug="ben").count() == 1,
            **shared,
        )
        yield Case(
            views.AsyncUpdateWithInlinesView,
            data=lambda: formset_of(book("9"), prefix="books", name="Ada", slug="new"),
            is_done=lambda: Book.objects.filter(author__slug="new").count() == 1,
            kwargs=lambda: {"pk": Author.objects.get().pk},
            **shared,
        )


def passing_on(name: str, is_async: bool) -> dict[str, Any]:
    """An override that does nothing but pass on to super()."""
    if is_async:

        async def method(self, *args, **kwargs):
            await asyncio.sleep(0)
            return await getattr(super(method.owner, self), method.name)(
                *args, **kwargs
            )

    else:

        def method(self, *args, **kwargs):
            return getattr(super(method.owner, self), method.name)(*args, **kwargs)

    is_handler = name in ("dispatch", "post", "delete")
    method.name = f"a{name}" if is_async and not is_handler else name
    return {method.name: method}


def subjects(case: Case) -> Iterator[tuple[str, type]]:
    """The view untouched, and with each hook around the save in each colour."""
    attributes = {"success_url": "/done/", "template_name": "page.html"}
    attributes |= case.attributes
    yield "untouched", type("Subject", (case.view,), dict(attributes))
    for name in (*case.hooks, "dispatch", case.method):
        for is_async in (False, True):
            hook = passing_on(name, is_async)
            cls = type("Subject", (case.view,), attributes | hook)
            for method in hook.values():
                method.owner = cls
            yield f"{'async' if is_async else 'sync'} {name}", cls
    bases = (AsyncSuccessMessageMixin, case.view)
    if "form_valid" in case.hooks:
        yield "message", type("Subject", bases, dict(attributes))


class AsyncSavesTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        Author.objects.create(name="Ada", slug="ada")
        Tag.objects.create(name="art")

    def answer(self, cls, case):
        ran.clear()
        request = getattr(RequestFactory(), case.method)("/", case.data())
        request._messages = MessageList()
        return async_to_sync(cls.as_view())(request, **case.kwargs())


class MessageList(list):
    def add(self, level, message, extra_tags=""):
        self.append(message)


class TestEverySave(AsyncSavesTestCase):
    def check(self, cases):
        for case in cases:
            for told, cls in subjects(case):
                # Django's form_valid() takes the coroutine for the object.
                takes_it = AwaitedTagForm in case.attributes.values()
                if takes_it and told == "sync form_valid":
                    with (
                        self.subTest(f"{case}, {told}"),
                        self.assertRaisesMessage(TypeError, "Nothing was saved"),
                    ):
                        self.answer(cls, case)
                    continue
                with self.subTest(f"{case}, {told}"):
                    with transaction.atomic():
                        response = self.answer(cls, case)
                        self.assertEqual(
                            (response.status_code, response.url), (302, "/done/")
                        )
                        self.assertTrue(case.is_done())
                        self.assertEqual(len(ran), 1)
                        transaction.set_rollback(True)
                    self.assertFalse(case.is_done())

    def test_edit_views(self):
        self.check(tag_cases())

    def test_formset_views(self):
        self.check(formset_cases())

    def test_views_with_inlines(self):
        self.check(inlines_cases())

    def test_by_a_sync_form_valid_that_waits_by_itself(self):
        class Waits(views.AsyncCreateView):
            model = Tag
            form_class = AsyncTagForm
            success_url = "/done/"

            def form_valid(self, form):
                self.object = async_to_sync(form.save)()
                return HttpResponseRedirect(self.get_success_url())

        request = RequestFactory().post("/", {"name": "sea"})
        ran.clear()
        self.assertEqual(async_to_sync(Waits.as_view())(request).status_code, 302)
        self.assertTrue(has("sea")())
        self.assertEqual(ran, ["save"])

    def test_a_form_that_is_saved_by_await_and_shown_in_a_template(self):
        """What stands in the place of save() is still not for templates to call."""
        form = AsyncTagForm({"name": "sea"})
        self.assertTrue(async_to_sync(ais_valid)(form))
        self.assertTrue(form.save.alters_data)
        async_to_sync(form.save)()
        self.assertTrue(has("sea")())

    def test_get_absolute_url(self):
        for base, data, kwargs in (
            (views.AsyncCreateView, {"name": "sea"}, {}),
            (views.AsyncUpdateView, {"name": "sky"}, {"pk": Tag.objects.get().pk}),
        ):
            for name in ("form_valid", "get_success_url", "get_form"):
                for is_async in (False, True):
                    hook = passing_on(name, is_async)
                    attributes = {"model": AddressedTag, "fields": ["name"], **hook}
                    cls = type("Subject", (base,), attributes)
                    for method in hook.values():
                        method.owner = cls
                    with self.subTest(base=base, name=name, is_async=is_async):
                        request = RequestFactory().post("/", data)
                        with transaction.atomic():
                            response = async_to_sync(cls.as_view())(request, **kwargs)
                            saved = Tag.objects.get(name=data["name"])
                            transaction.set_rollback(True)
                        self.assertEqual(response.url, f"/tags/{saved.pk}/")


class TestTransaction(AsyncSavesTestCase):
    """An async save is in the transaction that a formset is saved in."""

    def test_what_was_saved_before_an_error_is_gone(self):
        class Fails:
            async def save(self, commit=True):
                await sync_to_async(super().save)(commit)
                raise ValueError("after the rows")

        class FailingSet(Fails, BaseModelFormSet):
            pass

        class FailingForm(Fails, TagForm):
            pass

        for attributes in (
            {"formset_class": FailingSet, "fields": ["name"]},
            {"form_class": FailingForm},
        ):
            view = views.AsyncModelFormSetView.as_view(
                model=Tag, queryset=Tag.objects.none(), success_url="/", **attributes
            )
            request = RequestFactory().post(
                "/", formset_of({"name": "a"}, {"name": "b"})
            )
            with self.assertRaisesMessage(ValueError, "after the rows"):
                async_to_sync(view)(request)
            self.assertEqual(Tag.objects.count(), 1)


class TestRefused(TestCase):
    """What Django calls to validate has to be sync, of a model too."""

    def test_of_a_model(self):
        for name in ("clean", "clean_fields", "full_clean", "validate_unique"):

            async def method(self, *args, **kwargs):
                pass

            class Refused(Tag):
                class Meta:
                    proxy = True
                    app_label = f"refused_{name}"

            setattr(Refused, name, method)
            form = forms.modelform_factory(Refused, fields=["name"])
            formset = forms.modelformset_factory(Refused, fields=["name"])
            for made in (form({"name": "a"}), formset(formset_of({"name": "a"}))):
                with (
                    self.subTest(name),
                    self.assertRaisesMessage(
                        ImproperlyConfigured,
                        f"Refused.{name}() is async, but Django does not await it",
                    ),
                ):
                    async_to_sync(ais_valid)(made)

    def test_of_a_form_and_a_formset(self):
        async def method(self, *args, **kwargs):
            pass

        for name in ("full_clean", "has_changed", "validate_unique"):
            form = type("Refused", (TagForm,), {name: method})
            with self.assertRaisesMessage(ImproperlyConfigured, f"{name}() is async"):
                async_to_sync(ais_valid)(form({"name": "a"}))
            made = type("Refused", (BaseModelFormSet,), {name: method})
            formset = forms.modelformset_factory(Tag, fields=["name"], formset=made)
            with self.assertRaisesMessage(ImproperlyConfigured, f"{name}() is async"):
                async_to_sync(ais_valid)(formset(formset_of({"name": "a"})))
        form = type("Refused", (TagForm,), {"is_valid": method})
        formset = forms.modelformset_factory(Tag, form=form)
        with self.assertRaisesMessage(ImproperlyConfigured, "is_valid() is async"):
            async_to_sync(ais_valid)(formset(formset_of({"name": "a"})))

    def test_a_url_that_is_a_coroutine(self):
        class View(views.AsyncCreateView):
            model = Tag
            fields = ["name"]

            def get_success_url(self):
                return asyncio.sleep(0, "/done/")

        request = RequestFactory().post("/", {"name": "a"})
        with self.assertRaisesMessage(TypeError, "View.get_success_url() returned"):
            async_to_sync(View.as_view())(request)
