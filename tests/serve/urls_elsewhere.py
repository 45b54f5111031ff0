"""A URLconf that only a middleware names: no one else imports it."""

from django.urls import path

from tests.serve.urls import greeting

urlpatterns = [path("greeting/", greeting)]
