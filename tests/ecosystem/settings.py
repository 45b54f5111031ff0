"""Settings of the tests of other packages: each as its own documentation asks for."""

from tests.settings import *  # noqa: F403 - what is not said here is as there
from tests.settings import MIDDLEWARE as USUAL_MIDDLEWARE

ROOT_URLCONF = "tests.ecosystem.urls"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "corsheaders",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "debug_toolbar",
    "django_filters",
    "django_htmx",
    "django_tables2",
    "extra_views",
    "guardian",
    "rules",
    "waffle",
    "django_async_cbv",
    "tests.ecosystem",
]
MIDDLEWARE = [*USUAL_MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
    "rules.permissions.ObjectPermissionBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
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

MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": ["'self'"]}}

CORS_ALLOWED_ORIGIN_REGEXES = [r"^https://site\d+\.example$"]
CORS_ALLOW_CREDENTIALS = True
