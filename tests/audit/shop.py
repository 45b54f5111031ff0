"""The small project that the documentation of the audit shows."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path

from django_async_cbv.views import AsyncListView, AsyncUpdateView
from tests.models import Author


class TenantMixin:
    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Tenant"] = "1"
        return response


class BookList(AsyncListView):
    model = Author

    def get_queryset(self):
        return super().get_queryset().exclude(name="")


class BookUpdate(TenantMixin, AsyncUpdateView):
    model = Author
    fields = ("name",)

    async def aget_form_kwargs(self):
        return await super().aget_form_kwargs()


async def count(request):
    return HttpResponse(await Author.objects.acount())


urlpatterns = [
    path("books/", BookList.as_view()),
    path("books/<int:pk>/edit/", BookUpdate.as_view()),
    path("books/count/", count),
]
