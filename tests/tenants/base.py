"""A backend as multi-tenant packages have them: it keeps a tenant on the connection."""

from django.conf import settings
from django.db.utils import load_backend


class DatabaseWrapper(
    load_backend(settings.DATABASES["default"]["ENGINE"]).DatabaseWrapper
):
    tenant = None

    def set_tenant(self, tenant):
        self.tenant = tenant
