"""Each URL behind its language."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import path

from tests.serve.urls import greeting, page

urlpatterns = i18n_patterns(
    path("greeting/", greeting),
    path("tag/<tag:name>/", page),
)
