"""Settings for streams behind a session, a login and a query, on PostgreSQL."""

import json
import os

from tests.streams.settings import *  # noqa: F403

DATABASES = {"default": json.loads(os.environ["STREAMS_DATABASE"])}
INSTALLED_APPS = [
    "django_async_cbv",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "tests.streams.urls_members"
