"""Settings of a project with django-tenants, as its documentation asks for.

Where no PostgreSQL can be had, every test is skipped with the reason.
"""

from tests.settings import *  # noqa: F403 - what is not said here is as there
from tests.settings import MIDDLEWARE as USUAL_MIDDLEWARE
from tests.settings_postgres import DATABASES as ON_POSTGRES
from tests.settings_postgres import POSTGRES_UNAVAILABLE  # noqa: F401 - of conftest.py

DATABASES = {
    "default": {**ON_POSTGRES["default"], "ENGINE": "django_tenants.postgresql_backend"}
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]

SHARED_APPS = [
    "django_tenants",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django_async_cbv",
    "tests.ecosystem.tenants",
]
TENANT_APPS = ["tests.ecosystem.tenants.notes"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"

MIDDLEWARE = [
    "django_tenants.middleware.main.TenantMainMiddleware",
    *USUAL_MIDDLEWARE,
]
ALLOWED_HOSTS = [".example"]
