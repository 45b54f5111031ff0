"""Each URL behind its language, the default language's without."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import path

from tests.serve.urls import greeting

urlpatterns = i18n_patterns(
    path("greeting/", greeting),
    prefix_default_language=False,
)
