"""A view whose hops nobody can count, as it calls itself."""

from django.urls import path

from django_async_cbv.views import AsyncTemplateView


class Endless(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await self.aget_context_data(**kwargs)


urlpatterns = [path("endless/", Endless.as_view())]
