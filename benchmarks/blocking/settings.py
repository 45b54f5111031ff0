"""The settings of the site whose event loop is blocked on purpose."""

import json
import os

SECRET_KEY = "for pages that only this machine reaches"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "benchmarks.blocking.site"
USE_TZ = True
INSTALLED_APPS = ["django_async_cbv"]
MIDDLEWARE = [
    *json.loads(os.environ.get("BLOCKING_MIDDLEWARE", "[]")),
    "benchmarks.blocking.site.Blocks",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
if "BLOCKING_THRESHOLD" in os.environ:
    ASYNC_CBV_BLOCKING = {
        "threshold": float(os.environ["BLOCKING_THRESHOLD"]),
        # Each block is to be counted.
        "repeat_after": 0.001,
    }
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"file": {"class": "benchmarks.blocking.site.ToFile"}},
    "loggers": {"django_async_cbv.blocking": {"handlers": ["file"], "level": "INFO"}},
}
