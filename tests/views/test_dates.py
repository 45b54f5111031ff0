"""What the date views do for their users: archives of a year, a month, a day."""

from __future__ import annotations

import datetime
from typing import Any

from django.test import AsyncClient, TestCase, override_settings
from django.urls import path
from django.utils import timezone

from django_async_cbv import views
from tests.app.models import Author, Book

OPTIONS: dict[str, Any] = {
    "model": Book,
    "date_field": "published",
    "template_name": "app/book_list.html",
}
OF_A_MONTH = OPTIONS | {"month_format": "%m"}


class Awaited(views.AsyncMonthArchiveView):
    """The date comes from an async hook, and Django's code uses it."""

    async def aget_year(self):
        return str((await Book.objects.alatest("published")).published.year)

    async def aget_month(self):
        return "5"


class Sync(views.AsyncYearArchiveView):
    """A sync override, as it was before."""

    make_object_list = True

    def get_queryset(self):
        return super().get_queryset().filter(title__startswith="E")


year = views.AsyncYearArchiveView.as_view(**OPTIONS, make_object_list=True)
urlpatterns = [
    path("", views.AsyncArchiveIndexView.as_view(**OPTIONS)),
    path("<int:year>/", year),
    path("sync/<int:year>/", Sync.as_view(**OPTIONS)),
    path("<int:year>/<int:month>/", views.AsyncMonthArchiveView.as_view(**OF_A_MONTH)),
    path("<int:year>/week/<int:week>/", views.AsyncWeekArchiveView.as_view(**OPTIONS)),
    path(
        "<int:year>/<int:month>/<int:day>/",
        views.AsyncDayArchiveView.as_view(**OF_A_MONTH),
    ),
    path(
        "<int:year>/<int:month>/<int:day>/<int:pk>/",
        views.AsyncDateDetailView.as_view(**OF_A_MONTH),
    ),
    path("today/", views.AsyncTodayArchiveView.as_view(**OPTIONS)),
    path("awaited/", Awaited.as_view(**OF_A_MONTH)),
]


@override_settings(ROOT_URLCONF=__name__)
class TestDateViews(TestCase):
    async_client: AsyncClient

    @classmethod
    def setUpTestData(cls):
        author = Author.objects.create(name="Jane", slug="jane")
        cls.emma, cls.early, cls.late = (
            Book.objects.create(title=title, isbn=title, author=author, published=day)
            for title, day in (
                ("Emma", datetime.date(2020, 5, 4)),
                ("Early", datetime.date(2020, 3, 1)),
                ("Late", datetime.date(2021, 5, 6)),
            )
        )

    async def context(self, url):
        response = await self.async_client.get(url)
        self.assertEqual(response.status_code, 200, url)
        return response.context_data

    async def titles(self, url):
        return [book.title for book in (await self.context(url))["object_list"]]

    async def test_the_index_has_the_latest_first(self):
        context = await self.context("/")
        self.assertEqual([*context["latest"]], [self.late, self.emma, self.early])
        self.assertEqual([day.year for day in context["date_list"]], [2021, 2020])

    async def test_each_period_has_its_objects(self):
        for url, titles in {
            "/2020/": ["Emma", "Early"],
            "/2020/5/": ["Emma"],
            "/2020/week/18/": ["Emma"],
            "/2020/5/4/": ["Emma"],
        }.items():
            self.assertEqual(await self.titles(url), titles, url)

    async def test_a_period_without_objects_is_not_found(self):
        for url in ("/2019/", "/2020/4/", "/2020/5/5/", "/2020/13/", "/today/"):
            response = await self.async_client.get(url)
            self.assertEqual(response.status_code, 404, url)

    async def test_a_page_leads_to_its_neighbours_that_have_objects(self):
        context = await self.context("/2020/5/")
        self.assertEqual(context["previous_month"], datetime.date(2020, 3, 1))
        self.assertEqual(context["next_month"], datetime.date(2021, 5, 1))
        context = await self.context("/2021/")
        self.assertEqual(context["previous_year"], datetime.date(2020, 1, 1))
        self.assertIsNone(context["next_year"])

    async def test_an_object_is_found_on_its_day_alone(self):
        pk = self.emma.pk
        context = await self.context(f"/2020/5/4/{pk}/")
        self.assertEqual(context["object"], self.emma)
        response = await self.async_client.get(f"/2020/5/5/{pk}/")
        self.assertEqual(response.status_code, 404)

    async def test_the_future_is_hidden_unless_the_view_allows_it(self):
        future = timezone.localdate() + datetime.timedelta(days=400)
        self.late.published = future
        await self.late.asave()
        response = await self.async_client.get(f"/{future.year}/")
        self.assertEqual(response.status_code, 404)
        self.assertEqual(
            [*(await self.context("/"))["latest"]], [self.emma, self.early]
        )

    async def test_today_has_the_objects_of_today(self):
        self.late.published = timezone.localdate()
        await self.late.asave()
        self.assertEqual(await self.titles("/today/"), ["Late"])

    async def test_async_hooks_say_which_period_it_is(self):
        self.assertEqual(await self.titles("/awaited/"), ["Late"])

    async def test_a_sync_override_may_narrow_the_objects(self):
        await Book.objects.filter(pk=self.early.pk).aupdate(title="A")
        self.assertEqual(await self.titles("/sync/2020/"), ["Emma"])
