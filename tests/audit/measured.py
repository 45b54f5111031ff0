"""Views that are asked for by the audit itself."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import path

from django_async_cbv.views import AsyncListView, AsyncTemplateView, AsyncView
from tests.models import Author


class Authors(AsyncListView):
    model = Author


class Prices(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(prices=[1], **kwargs)


class Write(AsyncView):
    def post(self, request):
        Author.objects.create(name="Ann", slug="ann")
        return HttpResponse(Author.objects.count())


@login_required
def who(request):
    return HttpResponse(request.user)


urlpatterns = [
    path("authors/", Authors.as_view()),
    path("prices/", Prices.as_view()),
    path("write/", Write.as_view()),
    path("who/", who),
]
