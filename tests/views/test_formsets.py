"""Formset views: what is posted is saved whole, or not at all and shown again."""

from __future__ import annotations

import asyncio
import datetime
import threading
from unittest import mock

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection
from django.db.models.signals import post_save, pre_save
from django.forms import BaseFormSet, BaseModelFormSet
from django.http import HttpResponse
from django.test import RequestFactory, TestCase
from django.views.generic import CreateView

from django_async_cbv import views
from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
from django_async_cbv.messages import AsyncSuccessMessageMixin
from django_async_cbv.views import _formsets
from tests.app.models import Author, Book, Loan, Tag
from tests.comparison import ComparisonTestCase, Sent
from tests.concurrency import ServedTestCase, forget_connections
from tests.hops import count_hops

DAY = datetime.date(2020, 1, 1)


def formset_of(*posted, initial=0, prefix="form", **extra):
    """What a browser posts of a formset; the first `initial` are of what is there."""
    data = {f"{prefix}-TOTAL_FORMS": len(posted), f"{prefix}-INITIAL_FORMS": initial}
    for place, form in enumerate(posted):
        data |= {f"{prefix}-{place}-{name}": value for name, value in form.items()}
    return data | extra


def book(isbn, **changes):
    return {"title": f"Book {isbn}", "isbn": isbn, "published": "2020-01-01", **changes}


def books_of(*posted, initial=0, **parent):
    """A form of an author, with inline forms of books."""
    return formset_of(*posted, initial=initial, prefix="books", **parent)


class Awaiting:
    """Overrides all that is on the way, and has something to await in each."""

    async def aconstruct_formset(self):
        await asyncio.sleep(0)
        return await super().aconstruct_formset()

    async def aget_formset(self):
        await asyncio.sleep(0)
        return await super().aget_formset()

    async def aget_formset_kwargs(self):
        await asyncio.sleep(0)
        return await super().aget_formset_kwargs()

    async def aget_factory_kwargs(self):
        await asyncio.sleep(0)
        return await super().aget_factory_kwargs()

    async def aget_success_url(self):
        await asyncio.sleep(0)
        return await super().aget_success_url()

    async def aformset_valid(self, formset):
        await asyncio.sleep(0)
        return await super().aformset_valid(formset)

    async def aformset_invalid(self, formset):
        await asyncio.sleep(0)
        return await super().aformset_invalid(formset)


class AwaitingInlines:
    async def aget_form_kwargs(self):
        await asyncio.sleep(0)
        return await super().aget_form_kwargs()

    async def aconstruct_inlines(self):
        await asyncio.sleep(0)
        return await super().aconstruct_inlines()

    async def aget_success_url(self):
        await asyncio.sleep(0)
        return await super().aget_success_url()

    async def aform_valid(self, form):
        await asyncio.sleep(0)
        return await super().aform_valid(form)

    async def aforms_valid(self, form, inlines):
        await asyncio.sleep(0)
        return await super().aforms_valid(form, inlines)

    async def aforms_invalid(self, form, inlines):
        await asyncio.sleep(0)
        return await super().aforms_invalid(form, inlines)


def subjects(name, mixin=None, **attributes):
    """The sync view, ours, and ours with async overrides all over."""
    attributes = {"template_name": "app/formset.html", "success_url": "/", **attributes}
    django, ours = getattr(_formsets, name), getattr(views, f"Async{name}")
    awaiting = AwaitingInlines if "Inlines" in name else Awaiting
    mixins = () if mixin is None else (mixin,)
    return [
        type("Subject", (*before, *mixins, view), dict(attributes))
        for view, before in [(django, ()), (ours, ()), (ours, (awaiting,))]
    ]


class LibraryTestCase(ComparisonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada = Author.objects.create(name="Ada", slug="ada")
        cls.ben = Author.objects.create(name="Ben", slug="ben")
        cls.art, cls.law = [Tag.objects.create(name=name) for name in ("art", "law")]
        cls.tides = cls.ada.books.create(title="Tides", isbn="111", published=DAY)
        cls.laws = cls.ada.books.create(title="Laws", isbn="222", published=DAY)


class LineForm(forms.Form):
    title = forms.CharField(max_length=20)
    author = forms.ModelChoiceField(Author.objects.all(), required=False)
    scan = forms.FileField(required=False)

    def __init__(self, *args, banned="", **kwargs):
        super().__init__(*args, **kwargs)
        self.banned = banned

    def clean_title(self):
        if self.cleaned_data["title"] == self.banned:
            raise forms.ValidationError("Banned.")
        return self.cleaned_data["title"]


class Lines:
    def formset_valid(self, formset):
        for form in formset.ordered_forms if formset.can_order else formset:
            if form.cleaned_data:
                Tag.objects.create(name=form.cleaned_data["title"])
        return super().formset_valid(formset)


class FormSetViewTests(LibraryTestCase):
    def subjects(self, mixin=Lines, **attributes):
        return subjects("FormSetView", mixin, form_class=LineForm, **attributes)

    async def test_page(self):
        outcome = await self.assertSame(
            self.subjects(
                initial=[{"title": "First"}, {"title": "Second"}],
                factory_kwargs={"extra": 2, "can_delete": True, "can_order": True},
                prefix="lines",
            ),
            Sent(),
        )
        self.assertEqual(outcome.status, 200)
        for text in (
            'name="lines-TOTAL_FORMS" value="4"',
            'value="Second"',
            'name="lines-3-title"',
            ">Ada</option>",
            'name="lines-0-DELETE"',
            'name="lines-0-ORDER"',
        ):
            self.assertIn(text, outcome.content)

    async def test_valid(self):
        data = formset_of({"title": "sea"}, {"title": "sky"}, {})
        outcome = await self.assertSame(self.subjects(), Sent("post", data))
        self.assertEqual((outcome.status, outcome.headers["Location"]), (302, "/"))
        names = [row["name"] for row in outcome.of(Tag)]
        self.assertEqual(names, ["art", "law", "sea", "sky"])

    async def test_put(self):
        sent = Sent("put", "form-TOTAL_FORMS=0", options={"content_type": "text/plain"})
        # Django reads no form from a PUT.
        self.assertEqual((await self.assertSame(self.subjects(), sent)).status, 200)

    async def test_invalid(self):
        data = formset_of({"title": "sea"}, {"title": "far too long " * 2})
        outcome = await self.assertSame(self.subjects(), Sent("post", data))
        self.assertEqual((outcome.status, len(outcome.of(Tag))), (200, 2))
        self.assertIn("at most 20 characters", outcome.content)
        self.assertIn('value="sea"', outcome.content)

    async def test_without_a_management_form(self):
        outcome = await self.assertSame(self.subjects(), Sent("post", {}))
        self.assertIn("ManagementForm data is missing", outcome.content)

    async def test_max_num(self):
        views = self.subjects(factory_kwargs={"max_num": 1, "validate_max": True})
        data = formset_of({"title": "sea"}, {"title": "sky"})
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual((outcome.status, len(outcome.of(Tag))), (200, 2))
        self.assertIn("Please submit at most 1 form.", outcome.content)

    async def test_ordering_and_deletion(self):
        views = self.subjects(factory_kwargs={"can_order": True, "can_delete": True})
        data = formset_of(
            {"title": "second", "ORDER": 2},
            {"title": "gone", "ORDER": 3, "DELETE": "on"},
            {"title": "first", "ORDER": 1},
        )
        outcome = await self.assertSame(views, Sent("post", data))
        names = [row["name"] for row in outcome.of(Tag)]
        self.assertEqual(names, ["art", "law", "first", "second"])

    async def test_form_kwargs(self):
        """From the attribute, from formset_kwargs, and from neither request left."""
        formset_kwargs = {"form_kwargs": {"banned": "sea"}}
        views = self.subjects(formset_kwargs=formset_kwargs)
        outcome = await self.assertSame(
            views, Sent("post", formset_of({"title": "sea"}))
        )
        self.assertIn("Banned.", outcome.content)
        views = self.subjects(
            formset_kwargs=formset_kwargs, form_kwargs={"banned": "sky"}
        )
        outcome = await self.assertSame(
            views, Sent("post", formset_of({"title": "sky"}))
        )
        self.assertIn("Banned.", outcome.content)
        self.assertEqual(formset_kwargs, {"form_kwargs": {"banned": "sea"}})

    async def test_formset_class(self):
        class Different(BaseFormSet):
            def clean(self):
                if len({form.cleaned_data.get("title") for form in self}) < len(self):
                    raise forms.ValidationError("Twice the same.")

        data = formset_of({"title": "sea"}, {"title": "sea"})
        outcome = await self.assertSame(
            self.subjects(formset_class=Different), Sent("post", data)
        )
        self.assertIn("Twice the same.", outcome.content)

    async def test_success_url_is_the_page_itself(self):
        views = self.subjects(success_url=None)
        sent = Sent("post", formset_of({"title": "sea"}))
        outcome = await self.assertSame(views, sent)
        self.assertEqual(outcome.headers["Location"], "/subject/")

    async def test_upload(self):
        class Names:
            def formset_valid(self, formset):
                files = [form.cleaned_data.get("scan") for form in formset]
                return HttpResponse(
                    b"|".join(b"-" if file is None else file.read() for file in files)
                )

        data = formset_of(
            {"title": "one", "scan": SimpleUploadedFile("a.txt", b"a" * 20)},
            {"title": "two"},
            {"title": "three", "scan": SimpleUploadedFile("b.txt", b"b" * 20)},
        )
        with self.settings(FILE_UPLOAD_MAX_MEMORY_SIZE=10):
            outcome = await self.assertSame(self.subjects(Names), Sent("post", data))
        self.assertEqual(outcome.content, "a" * 20 + "|-|" + "b" * 20)

    async def test_async_validation(self):
        class Checked(LineForm):
            async def aclean_title(self):
                await asyncio.sleep(0)
                if self.cleaned_data["title"] == "taken":
                    raise forms.ValidationError("Taken.")
                return self.cleaned_data["title"].upper()

        class View(Lines, views.AsyncFormSetView):
            form_class = Checked
            template_name = "app/formset.html"

        sent = Sent("post", formset_of({"title": "sea"}, {"title": "taken"}))
        outcome = await self.ask(View, sent, asynchronous=True)
        self.assertEqual((outcome.status, len(outcome.of(Tag))), (200, 2))
        self.assertIn("Taken.", outcome.content)
        sent = Sent("post", formset_of({"title": "sea"}))
        outcome = await self.ask(View, sent, asynchronous=True)
        self.assertEqual(outcome.of(Tag)[-1]["name"], "SEA")


class ModelFormSetViewTests(LibraryTestCase):
    def subjects(self, mixin=None, **attributes):
        return subjects(
            "ModelFormSetView",
            mixin,
            **{"model": Book, "exclude": ["updated", "tags"], **attributes},
        )

    def saved(self, obj, **changes):
        return book(
            obj.isbn, title=obj.title, author=obj.author_id, id=obj.pk, **changes
        )

    async def test_page(self):
        outcome = await self.assertSame(self.subjects(), Sent())
        self.assertIn('value="Tides"', outcome.content)
        self.assertIn(">Ben</option>", outcome.content)
        # Two that are there, one to be filled in.
        self.assertIn('name="form-TOTAL_FORMS" value="3"', outcome.content)

    async def test_template_of_the_model(self):
        outcome = await self.assertSame(self.subjects(template_name=None), Sent())
        self.assertIn("app/book_list.html", outcome.templates)

    async def test_adds_changes_and_deletes(self):
        views = self.subjects(factory_kwargs={"can_delete": True})
        data = formset_of(
            self.saved(self.laws, DELETE="on"),
            self.saved(self.tides) | {"title": "Ebb"},
            book("333", author=self.ben.pk),
            {},
            initial=2,
        )
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.status, 302)
        self.assertEqual(
            [(row["title"], row["author_id"]) for row in outcome.of(Book)],
            [("Ebb", self.ada.pk), ("Book 333", self.ben.pk)],
        )

    async def test_invalid(self):
        data = formset_of(
            self.saved(self.laws) | {"title": "Rules"},
            self.saved(self.tides) | {"published": "never"},
            initial=2,
        )
        outcome = await self.assertSame(self.subjects(), Sent("post", data))
        self.assertIn("Enter a valid date.", outcome.content)
        self.assertEqual([row["title"] for row in outcome.of(Book)], ["Tides", "Laws"])

    async def test_unique_violations(self):
        """With a row that is there, and between two forms."""
        data = formset_of(book("111", author=self.ada.pk))
        views = self.subjects(queryset=Book.objects.none())
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertIn("Book with this Isbn already exists.", outcome.content)
        data = formset_of(
            book("333", author=self.ada.pk), book("333", author=self.ben.pk)
        )
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertIn("Please correct the duplicate data for isbn.", outcome.content)
        self.assertEqual(len(outcome.of(Book)), 2)

    async def test_a_violation_that_no_form_sees_leaves_nothing(self):
        class Careless(BaseModelFormSet):
            def validate_unique(self):
                pass

        class CarelessForm(forms.ModelForm):
            def validate_unique(self):
                pass

        class Answer:
            def formset_valid(self, formset):
                try:
                    return super().formset_valid(formset)
                except IntegrityError:
                    return HttpResponse("Not saved.")

        views = self.subjects(
            Answer,
            formset_class=Careless,
            form_class=CarelessForm,
            queryset=Book.objects.none(),
        )
        data = formset_of(
            book("333", author=self.ada.pk), book("333", author=self.ben.pk)
        )
        outcome = await self.assertSame(views, Sent("post", data))
        # The first, which was fine by itself, has gone with the other.
        self.assertEqual((outcome.content, len(outcome.of(Book))), ("Not saved.", 2))

    async def test_max_num_and_extra(self):
        views = self.subjects(factory_kwargs={"max_num": 3, "extra": 5})
        outcome = await self.assertSame(views, Sent())
        self.assertIn('name="form-TOTAL_FORMS" value="3"', outcome.content)

    async def test_only_the_queryset_is_changed(self):
        class Own:
            def get_queryset(self):
                return super().get_queryset().filter(author__slug="ben")

        data = formset_of(self.saved(self.tides) | {"title": "Ebb"}, initial=1)
        outcome = await self.assertSame(self.subjects(Own), Sent("post", data))
        self.assertEqual(outcome.status, 200)
        self.assertEqual(outcome.of(Book)[0]["title"], "Tides")

    async def test_queryset_in_place_of_a_model(self):
        views = self.subjects(model=None, queryset=Book.objects.filter(isbn="222"))
        outcome = await self.assertSame(views, Sent())
        self.assertIn('value="Laws"', outcome.content)
        self.assertNotIn('value="Tides"', outcome.content)

    async def test_upload(self):
        scan = SimpleUploadedFile("scan.txt", b"more than ten bytes")
        data = formset_of(book("333", author=self.ada.pk, scan=scan))
        views = self.subjects(queryset=Book.objects.none())
        with self.settings(FILE_UPLOAD_MAX_MEMORY_SIZE=10):
            outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.files, {"scans/scan.txt": b"more than ten bytes"})
        self.assertEqual(outcome.of(Book)[-1]["scan"], "scans/scan.txt")

    async def test_neither_fields_nor_exclude(self):
        outcome = await self.assertSame(self.subjects(exclude=None), Sent())
        self.assertIs(outcome.error[0], ImproperlyConfigured)


class InlineFormSetViewTests(LibraryTestCase):
    def subjects(self, mixin=None, **attributes):
        return subjects(
            "InlineFormSetView",
            mixin,
            model=Author,
            inline_model=Book,
            fields=["title", "isbn", "published", "scan"],
            **attributes,
        )

    async def test_page(self):
        outcome = await self.assertSame(self.subjects(), Sent(pk=self.ada.pk))
        self.assertIn('value="Tides"', outcome.content)
        outcome = await self.assertSame(self.subjects(), Sent(pk=self.ben.pk))
        self.assertNotIn('value="Tides"', outcome.content)
        self.assertIn("Ben", outcome.content)
        outcome = await self.assertSame(self.subjects(), Sent(pk=12345))
        self.assertEqual(outcome.status, 404)

    async def test_adds_changes_and_deletes(self):
        data = books_of(
            book("222", id=self.laws.pk, title="Rules"),
            book("111", id=self.tides.pk, DELETE="on"),
            book("333"),
            initial=2,
        )
        outcome = await self.assertSame(
            self.subjects(), Sent("post", data, pk=self.ada.pk)
        )
        self.assertEqual(outcome.status, 302)
        self.assertEqual(
            [(row["title"], row["author_id"]) for row in outcome.of(Book)],
            [("Rules", self.ada.pk), ("Book 333", self.ada.pk)],
        )

    async def test_children_of_another_are_not_changed(self):
        data = books_of(book("111", id=self.tides.pk, title="Mine"), initial=1)
        outcome = await self.assertSame(
            self.subjects(), Sent("post", data, pk=self.ben.pk)
        )
        self.assertEqual(outcome.of(Book)[0]["title"], "Tides")
        self.assertEqual(outcome.of(Book)[0]["author_id"], self.ada.pk)

    async def test_invalid(self):
        data = books_of(book("333"), book("111"))
        outcome = await self.assertSame(
            self.subjects(), Sent("post", data, pk=self.ben.pk)
        )
        self.assertIn("Book with this Isbn already exists.", outcome.content)
        self.assertEqual(len(outcome.of(Book)), 2)


class AuthorForm(forms.ModelForm):
    class Meta:
        model = Author
        fields = ["name", "slug"]


class BookInline(views.AsyncInlineFormSetFactory):
    model = Book
    fields = ("title", "isbn", "published", "scan")
    factory_kwargs = {"extra": 2}


class InlinesTests(LibraryTestCase):
    def creating(self, mixin=None, **attributes):
        return self.subjects("CreateWithInlinesView", mixin, **attributes)

    def updating(self, mixin=None, **attributes):
        return self.subjects("UpdateWithInlinesView", mixin, **attributes)

    def subjects(self, name, mixin, **attributes):
        attributes = {"inlines": [BookInline], "fields": ["name", "slug"]} | attributes
        return subjects(name, mixin, model=Author, **attributes)

    async def test_pages(self):
        outcome = await self.assertSame(self.creating(), Sent())
        self.assertIn('name="name"', outcome.content)
        self.assertIn('name="books-TOTAL_FORMS" value="2"', outcome.content)
        outcome = await self.assertSame(self.updating(), Sent(pk=self.ada.pk))
        self.assertIn('value="Ada"', outcome.content)
        self.assertIn('value="Tides"', outcome.content)
        outcome = await self.assertSame(self.updating(), Sent(pk=12345))
        self.assertEqual(outcome.status, 404)

    async def test_template_of_the_model(self):
        outcome = await self.assertSame(self.creating(template_name=None), Sent())
        self.assertIn("app/author_form.html", outcome.templates)

    async def test_create(self):
        data = books_of(book("333"), book("444"), {}, name="Cy", slug="cy")
        outcome = await self.assertSame(
            self.creating(success_url=None), Sent("post", data)
        )
        self.assertEqual(outcome.headers["Location"], "/authors/cy/")
        made = outcome.of(Author)[-1]
        self.assertEqual(made["name"], "Cy")
        self.assertEqual(
            [row["isbn"] for row in outcome.of(Book) if row["author_id"] == made["id"]],
            ["333", "444"],
        )

    async def test_update(self):
        data = books_of(
            book("222", id=self.laws.pk, title="Rules"),
            book("111", id=self.tides.pk, DELETE="on"),
            book("333"),
            initial=2,
            name="Ada L.",
            slug="ada",
        )
        outcome = await self.assertSame(
            self.updating(), Sent("post", data, pk=self.ada.pk)
        )
        self.assertEqual(outcome.of(Author)[0]["name"], "Ada L.")
        self.assertEqual(
            [row["title"] for row in outcome.of(Book)], ["Rules", "Book 333"]
        )

    async def test_whatever_is_invalid_nothing_is_saved(self):
        good, parent = book("333"), {"name": "Cy", "slug": "cy"}
        invalid = {
            "parent": books_of(good, name="Cy", slug="no slug"),
            "child": books_of(good, book("444", published="never"), **parent),
            "both": books_of(book("444", published="never"), name="Cy", slug="?"),
            "unique": books_of(good, book("111"), **parent),
            "unique among them": books_of(good, good, **parent),
        }
        for name, data in invalid.items():
            for tried, pk in (self.creating(), None), (self.updating(), self.ben.pk):
                with self.subTest(name, pk=pk):
                    outcome = await self.assertSame(tried, Sent("post", data, pk=pk))
                    self.assertEqual(outcome.status, 200)
                    self.assertIn("errorlist", outcome.content)
                    names = [row["name"] for row in outcome.of(Author)]
                    self.assertEqual(names, ["Ada", "Ben"])
                    self.assertEqual(len(outcome.of(Book)), 2)
        # All errors are shown at once.
        outcome = await self.assertSame(self.creating(), Sent("post", invalid["both"]))
        self.assertIn("Enter a valid date.", outcome.content)
        self.assertIn("Enter a valid “slug”", outcome.content)

    async def test_a_child_that_fails_takes_all_with_it(self):
        class Answer:
            def forms_valid(self, form, inlines):
                try:
                    return super().forms_valid(form, inlines)
                except IntegrityError:
                    return HttpResponse("Not saved.")

        class CarelessForm(forms.ModelForm):
            def validate_unique(self):
                pass

        class Careless(BookInline):
            form_class = CarelessForm

        data = books_of(book("333"), book("111"), name="Cy", slug="cy")
        views = self.creating(Answer, inlines=[Careless])
        outcome = await self.assertSame(views, Sent("post", data))
        self.assertEqual(outcome.content, "Not saved.")
        self.assertEqual(len(outcome.of(Author)), 2)
        self.assertEqual(len(outcome.of(Book)), 2)
        views = self.updating(Answer, inlines=[Careless])
        outcome = await self.assertSame(views, Sent("post", data, pk=self.ben.pk))
        self.assertEqual(outcome.of(Author)[1]["name"], "Ben")

    async def test_many_to_many_and_upload(self):
        """A parent with a many-to-many, and a file; children of it that are loans."""

        class LoanInline(views.AsyncInlineFormSetFactory):
            model = Loan
            fields = "__all__"

        attributes = {"model": Book, "inlines": [LoanInline]}
        attributes["exclude"] = None
        data = formset_of(
            {"reader": "Cy"},
            prefix="loan_set",
            **book("333", scan=SimpleUploadedFile("scan.txt", b"scanned")),
            author=self.ada.pk,
            tags=[self.art.pk, self.law.pk],
        )
        outcome = await self.assertSame(
            subjects(
                "CreateWithInlinesView",
                **attributes,
                fields=["title", "isbn", "author", "tags", "published", "scan"],
            ),
            Sent("post", data),
        )
        self.assertEqual(outcome.status, 302)
        self.assertEqual(outcome.of(Loan)[0]["reader"], "Cy")
        self.assertEqual(len(outcome.of(Book.tags.through)), 2)
        self.assertEqual(outcome.files, {"scans/scan.txt": b"scanned"})

    async def test_inlines_chosen_for_the_request(self):
        class Chosen:
            def get_inlines(self):
                return super().get_inlines() if "with" in self.request.GET else []

        views = self.creating(Chosen)
        outcome = await self.assertSame(views, Sent())
        self.assertNotIn("books-TOTAL_FORMS", outcome.content)
        outcome = await self.assertSame(views, Sent(data={"with": "books"}))
        self.assertIn("books-TOTAL_FORMS", outcome.content)

    async def test_what_an_inline_is_given(self):
        class Knowing(BookInline):
            def get_initial(self):
                parent = self.object and self.object.name
                told = f"{parent} {self.view.kwargs == self.kwargs} {self.request.path}"
                return [{"title": told}]

        outcome = await self.assertSame(
            self.updating(inlines=[Knowing]), Sent(pk=self.ben.pk)
        )
        path = f"/subject/{self.ben.pk}/"
        self.assertIn(f'value="Ben True {path}"', outcome.content)

    async def test_form_valid_that_saves_by_itself(self):
        """As a project may have it: all the same the inlines are saved."""

        class Own:
            def form_valid(self, form):
                self.object = form.save(commit=False)
                self.object.name = self.object.name.upper()
                self.object.save()
                form.save_m2m()
                return HttpResponse("Own.")

        class OwnSave:
            def form_valid(self, form):
                self.object = form.save()
                self.object.name = self.object.name.upper()
                self.object.save()
                return HttpResponse(f"Own, {self.object.books.count()} books.")

        data = books_of(book("333"), book("444"), name="Cy", slug="cy")
        for mixin, content in (Own, "Own."), (OwnSave, "Own, 2 books."):
            outcome = await self.assertSame(self.creating(mixin), Sent("post", data))
            self.assertEqual(outcome.content, content)
            made = outcome.of(Author)[-1]
            self.assertEqual(made["name"], "CY")
            isbns = [row["isbn"] for row in outcome.of(Book)]
            self.assertEqual(isbns, ["111", "222", "333", "444"])

    async def test_save_of_a_form_with_a_signature_of_its_own(self):
        class PassingOn(AuthorForm):
            def save(self, *args, **kwargs):
                return super().save(*args, **kwargs)

        class Explicit(AuthorForm):
            def save(self, shout=False, commit=True):
                if shout:
                    self.instance.name = self.instance.name.upper()
                return super().save(commit)

        class Hesitant(AuthorForm):
            def save(self, commit=False):
                return super().save(commit)

        calls = {
            PassingOn: [((), {}), ((True,), {}), ((False,), {}), ((), {"commit": 0})],
            Explicit: [((True,), {}), ((True, False), {}), ((), {"commit": False})],
            Hesitant: [((), {}), ((True,), {})],
        }
        data = books_of(book("333"), name="Cy", slug="cy")
        for form_class, arguments in calls.items():
            for args, kwargs in arguments:

                class Own:
                    how = args, kwargs

                    def form_valid(self, form):
                        self.object = form.save(*self.how[0], **self.how[1])
                        saved = not self.object._state.adding
                        self.object.save()
                        return HttpResponse(f"{saved} {self.object.books.count()}")

                with self.subTest(form_class.__name__, args=args, kwargs=kwargs):
                    tried = self.creating(Own, fields=None, form_class=form_class)
                    outcome = await self.assertSame(tried, Sent("post", data))
                    self.assertIn(outcome.content, {"True 1", "False 0"})
                    self.assertEqual(outcome.of(Book)[-1]["isbn"], "333")

    async def test_form_valid_that_refuses(self):
        class Refusing:
            def form_valid(self, form):
                form.add_error("name", "Not now.")
                return self.form_invalid(form)

        data = books_of(book("333"), name="Cy", slug="cy")
        for subjects, pk in (self.creating, None), (self.updating, self.ben.pk):
            outcome = await self.assertSame(
                subjects(Refusing), Sent("post", data, pk=pk)
            )
            self.assertIn("Not now.", outcome.content)
            self.assertEqual(len(outcome.of(Author)), 2)
            self.assertEqual(len(outcome.of(Book)), 2)

    async def test_without_a_model(self):
        attributes = {"model": None, "queryset": Author.objects.all()}
        data = books_of(book("333"), name="Cy", slug="cy")
        for name, pk in (
            ("CreateWithInlinesView", None),
            ("UpdateWithInlinesView", self.ben.pk),
        ):
            outcome = await self.assertSame(
                subjects(
                    name, inlines=[BookInline], fields=["name", "slug"], **attributes
                ),
                Sent("post", data, pk=pk),
            )
            self.assertEqual(outcome.of(Book)[-1]["isbn"], "333")

    async def test_async_validation(self):
        class Shop(forms.ModelForm):
            async def aclean_isbn(self):
                await asyncio.sleep(0)
                if self.cleaned_data["isbn"] == "999":
                    raise forms.ValidationError("Unknown to the shop.")
                return self.cleaned_data["isbn"]

        class Parent(forms.ModelForm):
            async def aclean(self):
                await asyncio.sleep(0)
                if self.cleaned_data["name"] == "Eve":
                    raise forms.ValidationError("Not you.")

            class Meta:
                model = Author
                fields = ["name", "slug"]

        class View(views.AsyncCreateWithInlinesView):
            model = Author
            form_class = Parent
            inlines = [type("Inline", (BookInline,), {"form_class": Shop})]
            template_name = "app/formset.html"
            success_url = "/"

        for name, isbn, error in [
            ("Cy", "999", "Unknown to the shop."),
            ("Eve", "333", "Not you."),
            ("Cy", "333", None),
        ]:
            sent = Sent("post", books_of(book(isbn), name=name, slug="cy"))
            outcome = await self.ask(View, sent, asynchronous=True)
            self.assertEqual(outcome.status, 200 if error else 302)
            self.assertEqual(len(outcome.of(Author)), 2 if error else 3)
            self.assertEqual(len(outcome.of(Book)), 2 if error else 3)
            self.assertIn(error or "", outcome.content)

    async def test_with_our_other_mixins(self):
        class View(
            AsyncLoginRequiredMixin,
            AsyncSuccessMessageMixin,
            views.AsyncCreateWithInlinesView,
        ):
            model = Author
            fields = ["name", "slug"]
            inlines = [BookInline]
            success_message = "%(name)s is here."
            success_url = "/"

        sent = Sent("post", books_of(book("333"), name="Cy", slug="cy"))
        outcome = await self.ask(View, sent, asynchronous=True)
        self.assertIn("/accounts/login/", outcome.headers["Location"])
        self.assertEqual(len(outcome.of(Author)), 2)


class AsyncInlineTests(LibraryTestCase):
    """An inline's hooks may be async: the loop runs them, and no worker is held."""

    def view(self, inline, base=views.AsyncCreateWithInlinesView, **methods):
        return type(
            "View",
            (base,),
            {
                "model": Author,
                "fields": ["name", "slug"],
                "inlines": [inline],
                "template_name": "app/formset.html",
                "success_url": "/",
                **methods,
            },
        )

    def inline(self):
        ran = self.ran = []

        class Inline(BookInline):
            async def aget_initial(self):
                await asyncio.sleep(0)
                ran.append("aget_initial")
                return [{"title": "from afar"}]

            async def aget_form_kwargs(self):
                ran.append(threading.current_thread() is threading.main_thread())
                return await super().aget_form_kwargs()

            def get_prefix(self):
                ran.append("get_prefix")
                return "own"

        return Inline

    async def test_page(self):
        view = self.view(self.inline())
        outcome = await self.ask(view, Sent(), asynchronous=True)
        self.assertIn('value="from afar"', outcome.content)
        self.assertIn('name="own-0-title"', outcome.content)
        self.assertEqual(len(self.ran), 3)

    async def test_save(self):
        data = formset_of(book("333"), prefix="own", name="Cy", slug="cy")
        view = self.view(self.inline())
        outcome = await self.ask(view, Sent("post", data), asynchronous=True)
        self.assertEqual(outcome.of(Book)[-1]["isbn"], "333")

    async def test_from_sync_code(self):
        """The user's own construct_inlines() waits for the inline's async hooks."""

        def construct_inlines(self):
            return super(view, self).construct_inlines()

        view = self.view(self.inline(), construct_inlines=construct_inlines)
        outcome = await self.ask(view, Sent(), asynchronous=True)
        self.assertIn('value="from afar"', outcome.content)
        self.assertEqual(len(self.ran), 3)

    async def test_no_worker_is_held(self):
        loop_did_something = asyncio.Event()

        class Inline(BookInline):
            async def aget_initial(self):
                # In the request's worker: it would wait for itself.
                await sync_to_async(loop_did_something.set)()
                return []

        async with asyncio.timeout(30):
            await self.ask(self.view(Inline), Sent(), asynchronous=True)
        self.assertTrue(loop_did_something.is_set())

    def test_an_inline_in_which_an_override_would_be_skipped_is_refused(self):
        class Inline(BookInline):
            async def get_initial(self):
                return []

        with self.assertRaisesMessage(
            ImproperlyConfigured, "Rename it: `async def aget_initial()`"
        ):
            self.view(Inline).as_view()
        with self.assertRaisesMessage(ImproperlyConfigured, "get_initial() is async"):
            self.view(BookInline).as_view(inlines=[Inline])

    async def test_an_inline_of_the_sync_kind(self):
        """One that is not ours, as django-extra-views has it, works as it is."""

        class Sync(_formsets.InlineFormSetFactory):
            model = Book
            fields = ("title", "isbn", "published")

        data = books_of(book("333"), name="Cy", slug="cy")
        outcome = await self.ask(self.view(Sync), Sent("post", data), asynchronous=True)
        self.assertEqual(outcome.of(Book)[-1]["isbn"], "333")


class HopTests(TestCase):
    """What is not async is one hop, however many rows are saved."""

    @classmethod
    def setUpTestData(cls):
        cls.ada = Author.objects.create(name="Ada", slug="ada")

    async def hops_of(self, view, data=None, **kwargs):
        factory = RequestFactory()
        request = factory.get("/") if data is None else factory.post("/", data)
        with count_hops() as hops:
            response = await view(request, **kwargs)
        return hops.count, response.status_code

    async def test_one(self):
        posted = [book(str(isbn)) for isbn in range(30)]
        shelf = {"inline_model": Book, "fields": ["title", "isbn", "published"]}
        authors = {
            "model": Author,
            "fields": ["name", "slug"],
            "inlines": [BookInline],
            "success_url": "/",
        }
        with_author = [one | {"author": self.ada.pk} for one in posted]
        views_and_data = [
            (
                views.AsyncFormSetView.as_view(
                    form_class=LineForm, template_name="page.html"
                ),
                formset_of({"title": "sea"}, {"title": "sky"}),
                {},
            ),
            (
                views.AsyncModelFormSetView.as_view(
                    model=Book, fields=["title", "isbn", "published", "author"]
                ),
                formset_of(*with_author),
                {},
            ),
            (
                views.AsyncInlineFormSetView.as_view(model=Author, **shelf),
                books_of(*posted),
                {"slug": "ada"},
            ),
            (
                views.AsyncCreateWithInlinesView.as_view(**authors),
                books_of(*posted, name="Cy", slug="cy"),
                {},
            ),
            (
                views.AsyncUpdateWithInlinesView.as_view(**authors),
                books_of(*posted, name="Ada", slug="ada"),
                {"slug": "ada"},
            ),
        ]
        for view, data, kwargs in views_and_data:
            with self.subTest(view.view_class.__name__):
                got = await self.hops_of(view, **kwargs)
                self.assertEqual(got, (1, 200))
                bad = {**data, next(iter(data)): "none"}
                self.assertEqual(await self.hops_of(view, bad, **kwargs), (1, 200))
                self.assertEqual(await self.hops_of(view, data, **kwargs), (1, 302))
                await Book.objects.all().adelete()

    async def test_awaiting_before_the_save(self):
        class View(views.AsyncCreateWithInlinesView):
            model = Author
            fields = ["name", "slug"]
            inlines = [BookInline]
            success_url = "/"

            async def aforms_valid(self, form, inlines):
                await asyncio.sleep(0)
                return await super().aforms_valid(form, inlines)

        data = books_of(book("1"), name="Cy", slug="cy")
        self.assertEqual(await self.hops_of(View.as_view(), data), (2, 302))


class StoppedTests(ServedTestCase):
    """Cancelled in the middle of a save: all of it is there, or nothing."""

    def setUp(self):
        self.ada = Author.objects.create(name="Ada", slug="ada")

    async def stop(self, view, data, sender, signal=post_save, fails=False, **kwargs):
        """Cancel the view in the middle of what it saves, then let that go on."""
        loop = asyncio.get_running_loop()
        reached, go_on = asyncio.Event(), threading.Event()

        def pause(instance, **_):
            if not reached.is_set():
                loop.call_soon_threadsafe(reached.set)
                assert go_on.wait(30)
                if fails:
                    raise IntegrityError("As it were")

        async def serve():
            async with ThreadSensitiveContext():
                try:
                    await view(RequestFactory().post("/", data), **kwargs)
                finally:
                    # In the request's thread, so after what that is still doing.
                    await sync_to_async(forget_connections)()

        with mock.patch.object(signal, "receivers", list(signal.receivers)):
            signal.sender_receivers_cache.clear()
            signal.connect(pause, sender=sender, weak=False)
            try:
                task = asyncio.create_task(serve())
                await asyncio.wait_for(reached.wait(), 30)
                task.cancel()
                go_on.set()
                with self.assertRaises(asyncio.CancelledError):
                    await task
            finally:
                go_on.set()
                signal.disconnect(pause, sender=sender)
        signal.sender_receivers_cache.clear()

    async def rows(self):
        return (
            [author.name async for author in Author.objects.order_by("name")],
            sorted([one.isbn async for one in Book.objects.all()]),
        )

    async def test_create_with_inlines(self):
        attributes = {"model": Author, "fields": ["name", "slug"]}
        data = books_of(book("1"), book("2"), name="Cy", slug="cy")
        for mixins in (), (AwaitingInlines,):
            view = type(
                "View",
                (*mixins, views.AsyncCreateWithInlinesView),
                attributes | {"inlines": [BookInline], "success_url": "/"},
            ).as_view()
            for sender in Author, Book:
                for signal in pre_save, post_save:
                    for fails in False, True:
                        await self.stop(view, data, sender, signal, fails=fails)
                        whole = (["Ada", "Cy"], ["1", "2"])
                        nothing = (["Ada"], [])
                        self.assertEqual(await self.rows(), nothing if fails else whole)
                        await Book.objects.all().adelete()
                        await Author.objects.filter(slug="cy").adelete()

    async def test_formsets(self):
        fields = ["title", "isbn", "published", "author"]
        posted = [book(isbn, author=self.ada.pk) for isbn in "123"]
        for name, attributes, data, kwargs in [
            (
                "AsyncModelFormSetView",
                {"model": Book, "fields": fields},
                formset_of(*posted),
                {},
            ),
            (
                "AsyncInlineFormSetView",
                {"model": Author, "inline_model": Book, "fields": fields[:-1]},
                books_of(*posted),
                {"slug": "ada"},
            ),
        ]:
            for mixins in (), (Awaiting,):
                view = type("View", (*mixins, getattr(views, name)), attributes)
                for fails in False, True:
                    await self.stop(view.as_view(), data, Book, fails=fails, **kwargs)
                    _, isbns = await self.rows()
                    self.assertEqual(isbns, [] if fails else ["1", "2", "3"])
                    await Book.objects.all().adelete()


class OtherDatabaseTests(TestCase):
    databases = {"default", "other"}

    def test_the_transaction_is_where_the_rows_go(self):
        """A failed save leaves nothing, wherever the router or queryset sends it."""

        class Careless(forms.ModelForm):
            def validate_unique(self):
                pass

        class CarelessSet(BaseModelFormSet):
            def validate_unique(self):
                pass

        ada = Author.objects.using("other").create(name="Ada", slug="ada")
        Author.objects.using("other").create(name="Ben", slug="ben")
        view = views.AsyncModelFormSetView.as_view(
            queryset=Author.objects.using("other").order_by("pk"),
            form_class=Careless,
            formset_class=CarelessSet,
            fields=["name", "slug"],
        )
        data = formset_of(
            {"name": "Changed", "slug": "ada", "id": ada.pk},
            {"name": "Ben", "slug": "ada", "id": ada.pk + 1},
            initial=2,
        )
        with self.assertRaises(IntegrityError):
            async_to_sync(view)(RequestFactory().post("/", data))
        self.assertFalse(connection.needs_rollback)
        ada.refresh_from_db()
        self.assertEqual(ada.name, "Ada")


class Modelless(views.AsyncInlineFormSetFactory):
    fields = ("title",)


class Fieldless(views.AsyncInlineFormSetFactory):
    model = Book


class MissingTests(LibraryTestCase):
    """Each names the class that lacks something, the attribute, and the hook."""

    async def missing(self, name, *, pk=None, **attributes):
        """What all views of a kind say, to a page and to a post."""
        for sent in (Sent(pk=pk), Sent("post", formset_of(), pk=pk)):
            views = subjects(name, **attributes)
            outcome = await self.assertSame(views, sent)
        self.assertIs(outcome.error[0], ImproperlyConfigured)
        return outcome.error[1]

    def said(self, name, what, attribute, hook):
        return (
            f"{name} is missing {what}. Define {name}.{attribute}, or override "
            f"{name}.{hook}()."
        )

    async def test_form_class(self):
        self.assertEqual(
            await self.missing("FormSetView"),
            self.said("Subject", "a form class", "form_class", "get_form_class"),
        )

    async def test_model(self):
        self.assertIn(
            "Define Subject.model, Subject.queryset, or override Subject.get_queryset",
            await self.missing("ModelFormSetView", fields=["title"]),
        )
        # A list tells of no model.
        self.assertEqual(
            await self.missing("ModelFormSetView", fields=["title"], queryset=[]),
            self.said("Subject", "a model", "model", "get_formset"),
        )

    async def test_fields(self):
        said = self.said(
            "Subject", "the fields of its forms", "fields", "get_factory_kwargs"
        )
        of_authors = {"model": Author, "inline_model": Book, "pk": self.ada.pk}
        for form_class in (None, forms.ModelForm):
            with self.subTest(form_class=form_class):
                self.assertEqual(
                    await self.missing(
                        "ModelFormSetView", model=Book, form_class=form_class
                    ),
                    said,
                )
                self.assertEqual(
                    await self.missing(
                        "InlineFormSetView", form_class=form_class, **of_authors
                    ),
                    said,
                )

    @pytest.mark.generated
    async def test_fields_that_a_form_or_the_view_gives(self):
        class Fields(forms.ModelForm):
            class Meta:
                model = Book
                # A list would get the foreign key from Django 5.2.
                fields = ("title",)

        class Excludes(forms.ModelForm):
            class Meta:
                model = Book
                exclude = ["scan"]  # noqa: DJ006 - as a project may

        for given in (
            {"form_class": Fields},
            {"form_class": Excludes},
            {"fields": ("title",)},
            {"fields": []},
            {"exclude": ["scan"]},
            {"exclude": []},
        ):
            for name, pk, more in (
                ("ModelFormSetView", None, {"model": Book}),
                (
                    "InlineFormSetView",
                    self.ada.pk,
                    {"model": Author, "inline_model": Book},
                ),
            ):
                with self.subTest(name=name, **given):
                    views = subjects(name, **more, **given)
                    outcome = await self.assertSame(views, Sent(pk=pk))
                    self.assertEqual(outcome.status, 200)

    async def test_inline_model(self):
        self.assertEqual(
            await self.missing(
                "InlineFormSetView", pk=self.ada.pk, model=Author, fields=["title"]
            ),
            self.said(
                "Subject",
                "the model of the children",
                "inline_model",
                "get_inline_model",
            ),
        )

    async def test_in_an_inline(self):
        """The inline is named, not the view, and its attributes are its own."""
        for inline, what, attribute, hook in (
            (Modelless, "the model of the children", "model", "get_inline_model"),
            (Fieldless, "the fields of its forms", "fields", "get_factory_kwargs"),
        ):
            for name, pk in (
                ("CreateWithInlinesView", None),
                ("UpdateWithInlinesView", self.ada.pk),
            ):
                with self.subTest(inline=inline, name=name):
                    self.assertEqual(
                        await self.missing(
                            name, pk=pk, model=Author, fields=["name"], inlines=[inline]
                        ),
                        self.said(inline.__name__, what, attribute, hook),
                    )

    async def test_what_is_no_inline(self):
        formset = forms.inlineformset_factory(Author, Book, fields=["title"])
        for no_inline, named in (
            (Book, "Book"),
            (formset, "BookFormSet"),
            ("Book", "'Book'"),
            (Fieldless(Author, None, None, {}, None), repr(Fieldless)[8:-2]),
        ):
            for name in ("CreateWithInlinesView", "UpdateWithInlinesView"):
                [_, *ours] = subjects(
                    name, model=Author, fields=["name"], inlines=[no_inline]
                )
                for view in ours:
                    with (
                        self.subTest(no_inline=no_inline, name=name),
                        self.assertRaises(ImproperlyConfigured) as raised,
                    ):
                        view.as_view()
                    said = str(raised.exception)
                    self.assertTrue(said.startswith("Subject.inlines has "), said)
                    self.assertIn(named, said)
                    self.assertIn("put this class into Subject.inlines", said)

    async def test_what_is_no_inline_told_at_the_request(self):
        class Chosen:
            def get_inlines(self):
                return [Book]

        self.assertIn(
            "Subject.inlines has Book, which makes no formset",
            await self.missing(
                "CreateWithInlinesView", mixin=Chosen, model=Author, fields=["name"]
            ),
        )


def test_a_create_view_it_is_not():
    """What a view with inlines is to third parties."""
    assert not issubclass(views.AsyncCreateWithInlinesView, CreateView)
    assert issubclass(views.AsyncCreateWithInlinesView, views.AsyncModelFormMixin)
