"""Where other packages send people to; each test has URLs of its own before these."""

import debug_toolbar.urls
from django.http import HttpResponse
from django.urls import include, path

from django_async_cbv.views import AsyncTemplateView

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("shelf/", lambda request: HttpResponse("the shelf"), name="shelf"),
    path("plain/", AsyncTemplateView.as_view(template_name="ecosystem/page.html")),
    path("__debug__/", include(debug_toolbar.urls)),
]
