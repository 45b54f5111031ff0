"""What a detail view does for its users: it finds one object, and shows it."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient, AsyncRequestFactory, TestCase, override_settings
from django.urls import path

from django_async_cbv.testing import count_hops
from django_async_cbv.views import AsyncDetailView
from tests.app.models import Author


class Page(AsyncDetailView):
    model = Author


class Loaded(Page):
    """An async override without super(): nothing of Django's looks for the object."""

    async def aget_object(self, queryset=None):
        return await Author.objects.aget(name__iexact=self.kwargs["name"])


class Visible(Page):
    """A hook that Django's get_object() calls is async."""

    async def aget_queryset(self):
        return (await super().aget_queryset()).exclude(slug="hidden")

    async def aget_context_data(self, **kwargs):
        context = await super().aget_context_data(**kwargs)
        return context | {"others": await Author.objects.acount() - 1}


class Sync(Page):
    """A sync override, as it was before."""

    def get_object(self, queryset=None):
        found = super().get_object(queryset)
        found.name = found.name.upper()
        return found


urlpatterns = [
    path("<int:pk>/", Page.as_view()),
    path("slug/<slug:slug>/", Page.as_view()),
    path("both/<int:pk>/<slug:slug>/", Page.as_view(query_pk_and_slug=True)),
    path("loaded/<name>/", Loaded.as_view()),
    path("visible/<slug:slug>/", Visible.as_view()),
    path("sync/<slug:slug>/", Sync.as_view()),
]


@override_settings(ROOT_URLCONF=__name__)
class TestDetailView(TestCase):
    async_client: AsyncClient

    @classmethod
    def setUpTestData(cls):
        cls.jane = Author.objects.create(name="Jane", slug="jane")
        cls.hidden = Author.objects.create(name="Ann", slug="hidden")

    async def shown(self, url):
        response = await self.async_client.get(url)
        self.assertEqual(response.status_code, 200)
        return response.context_data["object"]

    async def test_an_object_is_found_by_its_key_or_its_slug(self):
        self.assertEqual(await self.shown(f"/{self.jane.pk}/"), self.jane)
        self.assertEqual(await self.shown("/slug/jane/"), self.jane)

    async def test_with_both_each_has_to_match(self):
        self.assertEqual(await self.shown(f"/both/{self.jane.pk}/jane/"), self.jane)
        response = await self.async_client.get(f"/both/{self.hidden.pk}/jane/")
        self.assertEqual(response.status_code, 404)

    async def test_what_is_missing_is_not_found(self):
        for url in ("/0/", "/slug/nobody/", "/visible/hidden/"):
            response = await self.async_client.get(url)
            self.assertEqual(response.status_code, 404, url)

    async def test_the_object_has_the_name_of_its_model_too(self):
        response = await self.async_client.get("/slug/jane/")
        self.assertEqual(response.context_data["author"], self.jane)
        self.assertEqual(response.template_name, ["app/author_detail.html"])
        self.assertContains(response, "Jane")

    async def test_an_async_override_finds_the_object_its_own_way(self):
        self.assertEqual(await self.shown("/loaded/JANE/"), self.jane)

    async def test_async_hooks_below_are_awaited(self):
        response = await self.async_client.get("/visible/jane/")
        self.assertEqual(response.context_data["object"], self.jane)
        self.assertEqual(response.context_data["others"], 1)

    async def test_a_sync_override_may_query(self):
        self.assertEqual((await self.shown("/sync/jane/")).name, "JANE")

    async def test_without_a_key_the_route_is_at_fault(self):
        with self.assertRaisesRegex(AttributeError, "object pk or a slug"):
            await Page.as_view()(AsyncRequestFactory().get("/"))

    async def test_without_a_model_the_view_is_at_fault(self):
        view = AsyncDetailView.as_view()
        with self.assertRaisesRegex(ImproperlyConfigured, "AsyncDetailView"):
            await view(AsyncRequestFactory().get("/"), pk=1)

    async def test_without_overrides_a_page_is_one_hop(self):
        with count_hops() as hops:
            await Page.as_view()(AsyncRequestFactory().get("/"), pk=self.jane.pk)
        self.assertEqual(hops.count, 1)
