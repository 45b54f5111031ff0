"""Settings of the project that streams."""

SECRET_KEY = "of a server that runs for some seconds, for one test"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.streams.urls"
INSTALLED_APPS = ["django_async_cbv"]
# It leaves the answer to who does not ask for gzip as it is.
MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"]
USE_TZ = True
