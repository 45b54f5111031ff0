"""Settings of the project that docs/how-to/deploy/servers.md calls `mysite`."""

import os

SECRET_KEY = "of a server that runs for a second, for one test"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.served.urls"
ASGI_APPLICATION = "tests.served.asgi.application"
INSTALLED_APPS = ["django_async_cbv"]
if os.environ.get("WITH_DAPHNE"):
    INSTALLED_APPS.insert(0, "daphne")
USE_TZ = True
