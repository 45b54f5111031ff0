"""Settings of the typed project."""

SECRET_KEY = "a secret key for tests alone, long and unlike any other: 0123456789"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "tests.typing.bookshop.urls"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_async_cbv",
    "tests.typing.bookshop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {"page.html": "{{ object_list|length }} {{ object }} {{ form }}"},
                )
            ]
        },
    }
]
