"""Settings of the project that streams."""

import os

SECRET_KEY = "of a server that runs for some seconds, for one test"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.streams.urls"
INSTALLED_APPS = ["django_async_cbv"]
MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"] if os.environ.get("GZIP") else []
USE_TZ = True
