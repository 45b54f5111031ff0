"""What a list view does for its users: pages, order, names, templates."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.http import Http404
from django.test import AsyncClient, AsyncRequestFactory, TestCase, override_settings
from django.urls import path

from django_async_cbv.testing import count_hops
from django_async_cbv.views import AsyncListView
from tests.app.models import Author, Book


class Books(AsyncListView):
    model = Book
    paginate_by = 2


class ByOrdering(Books):
    """An async hook that Django's get_queryset() calls."""

    async def aget_ordering(self):
        return ["-title"]


class OfAuthor(Books):
    """A sync override, as it was before."""

    def get_queryset(self):
        return super().get_queryset().filter(author__slug=self.kwargs["slug"])


class Shelf(Books):
    """Async overrides of several hooks."""

    async def aget_queryset(self):
        books = await super().aget_queryset()
        return books.exclude(title="Emma")

    async def aget_paginate_by(self, queryset):
        return 1 if await queryset.acount() > 1 else None

    async def aget_context_data(self, **kwargs):
        context = await super().aget_context_data(**kwargs)
        return context | {"authors": await Author.objects.acount()}


class Strict(Books):
    allow_empty = False


urlpatterns = [
    path("books/", Books.as_view()),
    path("ordered/", ByOrdering.as_view()),
    path("of/<slug:slug>/", OfAuthor.as_view()),
    path("shelf/", Shelf.as_view()),
    path("strict/", Strict.as_view()),
]


@override_settings(ROOT_URLCONF=__name__)
class TestListView(TestCase):
    async_client: AsyncClient
    titles: ClassVar = ["Emma", "Persuasion", "Sanditon"]

    @classmethod
    def setUpTestData(cls):
        author = Author.objects.create(name="Jane", slug="jane")
        for number, title in enumerate(cls.titles):
            Book.objects.create(
                title=title,
                isbn=str(number),
                author=author,
                published=datetime.date(1815, 12, 23),
            )

    async def listed(self, url):
        response = await self.async_client.get(url)
        self.assertEqual(response.status_code, 200)
        return [book.title for book in response.context_data["object_list"]]

    async def test_a_page_has_its_objects(self):
        self.assertEqual(await self.listed("/books/"), ["Emma", "Persuasion"])
        self.assertEqual(await self.listed("/books/?page=2"), ["Sanditon"])
        self.assertEqual(await self.listed("/books/?page=last"), ["Sanditon"])

    async def test_an_empty_page_is_not_found(self):
        for page in ("0", "3", "x"):
            response = await self.async_client.get(f"/books/?page={page}")
            self.assertEqual(response.status_code, 404)

    async def test_the_template_is_named_after_the_model(self):
        response = await self.async_client.get("/books/")
        self.assertEqual(response.template_name, ["app/book_list.html"])
        self.assertContains(response, "Emma by Jane")
        self.assertContains(response, "page 1 of 2")

    async def test_the_list_has_the_name_of_its_model_too(self):
        response = await self.async_client.get("/books/")
        context = response.context_data
        self.assertIs(context["book_list"], context["object_list"])

    async def test_an_async_hook_below_is_awaited(self):
        self.assertEqual(await self.listed("/ordered/"), ["Sanditon", "Persuasion"])

    async def test_a_sync_override_may_query(self):
        self.assertEqual(await self.listed("/of/jane/"), ["Emma", "Persuasion"])
        self.assertEqual(await self.listed("/of/ann/"), [])

    async def test_async_overrides_use_what_each_other_returned(self):
        response = await self.async_client.get("/shelf/?page=2")
        self.assertEqual(response.context_data["authors"], 1)
        [book] = response.context_data["object_list"]
        self.assertEqual(book.title, "Sanditon")
        self.assertEqual(response.context_data["paginator"].num_pages, 2)

    async def test_an_empty_list_is_a_page_unless_the_view_forbids_it(self):
        self.assertEqual((await self.async_client.get("/strict/")).status_code, 200)
        await Book.objects.all().adelete()
        self.assertEqual((await self.async_client.get("/strict/")).status_code, 404)
        self.assertEqual(await self.listed("/books/"), [])

    async def test_without_overrides_a_page_is_one_hop(self):
        with count_hops() as hops:
            await Books.as_view()(AsyncRequestFactory().get("/"))
        self.assertEqual(hops.count, 1)

    async def test_the_error_of_a_page_names_the_page(self):
        with self.assertRaisesRegex(Http404, r"Invalid page \(9\)"):
            await Books.as_view()(AsyncRequestFactory().get("/?page=9"))
