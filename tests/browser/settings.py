"""Settings of the project whose pages the browser opens."""

import json
import os

SECRET_KEY = "of a server that runs for some seconds, for one test"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.browser.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_async_cbv",
    "django_async_cbv.channels.postgres",
]
MIDDLEWARE = [
    "django.middleware.csrf.CsrfViewMiddleware",
    "tests.browser.urls.named_by_a_cookie",
]
# The test that uses channels has a database.
DATABASES = json.loads(os.environ.get("BROWSER_DATABASES", "{}"))
LOGIN_URL = "/login/"
USE_TZ = True
