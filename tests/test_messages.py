"""The success message is there after the save, once, and only then."""

from __future__ import annotations

from django.contrib.messages import get_messages
from django.db import IntegrityError
from django.http import JsonResponse
from django.test import AsyncClient, TestCase, override_settings
from django.urls import path

from django_async_cbv import views
from django_async_cbv.messages import AsyncSuccessMessageMixin
from tests.app.models import Tag


class Create(AsyncSuccessMessageMixin, views.AsyncCreateView):
    model = Tag
    fields = ("name",)
    success_url = "/said/"
    success_message = "%(name)s is there."


class Awaited(Create):
    async def aget_success_message(self, cleaned_data):
        number = await Tag.objects.acount()
        return f"{cleaned_data['name']} is number {number}."


class Sync(Create):
    """A sync override, as it was before."""

    def get_success_message(self, cleaned_data):
        return f"{Tag.objects.get(**cleaned_data)} was saved."


class Unsaved:
    async def aform_valid(self, form):
        raise IntegrityError("in place of the save")


class Fails(Create, Unsaved, views.AsyncCreateView):
    pass


class Delete(AsyncSuccessMessageMixin, views.AsyncDeleteView):
    model = Tag
    success_url = "/said/"
    success_message = "It is gone."


class Silent(Create):
    success_message = ""


def said(request):
    return JsonResponse({"said": [str(one) for one in get_messages(request)]})


urlpatterns = [
    path("create/", Create.as_view()),
    path("awaited/", Awaited.as_view()),
    path("sync/", Sync.as_view()),
    path("fails/", Fails.as_view()),
    path("delete/<int:pk>/", Delete.as_view()),
    path("silent/", Silent.as_view()),
    path("said/", said),
]


@override_settings(ROOT_URLCONF=__name__)
class TestSuccessMessage(TestCase):
    async_client: AsyncClient

    async def said_after(self, url, **data):
        self.response = await self.async_client.post(url, data)
        return (await self.async_client.get("/said/")).json()["said"]

    async def test_it_is_filled_in_with_what_was_posted(self):
        self.assertEqual(
            await self.said_after("/create/", name="novel"), ["novel is there."]
        )
        self.assertEqual(await Tag.objects.acount(), 1)

    async def test_it_is_said_once(self):
        await self.said_after("/create/", name="novel")
        again = await self.async_client.get("/said/")
        self.assertEqual(again.json()["said"], [])

    async def test_an_async_override_is_awaited_after_the_save(self):
        self.assertEqual(
            await self.said_after("/awaited/", name="novel"), ["novel is number 1."]
        )

    async def test_a_sync_override_may_query(self):
        self.assertEqual(
            await self.said_after("/sync/", name="novel"), ["novel was saved."]
        )

    async def test_an_error_of_the_form_has_no_message(self):
        self.assertEqual(await self.said_after("/create/", name=""), [])
        self.assertEqual(self.response.status_code, 200)

    async def test_a_save_that_fails_has_no_message(self):
        with self.assertRaises(IntegrityError):
            await self.said_after("/fails/", name="novel")
        said = await self.async_client.get("/said/")
        self.assertEqual(said.json()["said"], [])

    async def test_what_is_deleted_has_a_message(self):
        tag = await Tag.objects.acreate(name="novel")
        self.assertEqual(await self.said_after(f"/delete/{tag.pk}/"), ["It is gone."])
        self.assertEqual(await Tag.objects.acount(), 0)

    async def test_an_empty_message_is_none(self):
        self.assertEqual(await self.said_after("/silent/", name="novel"), [])
