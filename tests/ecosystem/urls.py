"""Where other packages send people to; each test has URLs of its own before these."""

import debug_toolbar.urls
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("shelf/", lambda request: HttpResponse("the shelf"), name="shelf"),
    path("__debug__/", include(debug_toolbar.urls)),
]
