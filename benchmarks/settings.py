"""The settings of all servers that are measured: `startproject`'s, not debugging.

`python -m benchmarks` says by environment variables which database is meant, for how
long its connections last, whether `startproject`'s middleware is there, and which other
middleware comes after it.
"""

import json
import os
from pathlib import Path

SECRET_KEY = "for pages that anyone may see, on a server that only this machine reaches"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "benchmarks.urls"
USE_TZ = True
TIME_ZONE = "UTC"

DATABASES = {
    "default": json.loads(os.environ["BENCHMARK_DATABASE"])
    | {"CONN_MAX_AGE": int(os.environ.get("BENCHMARK_CONN_MAX_AGE", "0"))}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_async_cbv",
    "benchmarks",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
if os.environ.get("BENCHMARK_CHANNELS") == "postgres":
    INSTALLED_APPS.append("django_async_cbv.channels.postgres")
if os.environ.get("BENCHMARK_MIDDLEWARE") == "none":
    # The admin asks for the middleware. What is left makes the view's share larger.
    MIDDLEWARE = []
    INSTALLED_APPS.remove("django.contrib.admin")
MIDDLEWARE += json.loads(os.environ.get("BENCHMARK_MORE_MIDDLEWARE", "[]"))
# For WhiteNoise, which looks for files there.
STATIC_ROOT = Path(__file__).parent / "templates"
if "BENCHMARK_BOLT" in os.environ:
    INSTALLED_APPS.append("django_bolt")
    BOLT_API = ["benchmarks.serve.bolt_app:api"]
