"""Settings of the site with logins; backend, database and files are the test's."""

import json
import os

SECRET_KEY = "of a server that runs for some seconds, for one test, and is long enough"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.served.sessions.urls"
USE_TZ = True

DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        # Of more than there are sessions: it forgets a third where it is full.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}
SESSION_ENGINE = f"django.contrib.sessions.backends.{os.environ['TEST_SESSIONS']}"
SESSION_FILE_PATH = os.environ["TEST_SESSION_FILES"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_async_cbv",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": ["django.contrib.auth.context_processors.auth"],
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {
                        "login.html": "{% csrf_token %}{{ form.non_field_errors }}",
                        # Who it is, as four different ways to ask have it.
                        "page.html": (
                            "{{ user.username }} {{ username }} "
                            "{{ request.user.username }} {{ kept }}"
                        ),
                    },
                )
            ],
        },
    }
]
# One round of hashing: hundreds log in.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
