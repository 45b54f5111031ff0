"""Who the tenants are, and where: in the schema that all of them share."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):
    number = models.IntegerField(unique=True)


class Domain(DomainMixin):
    pass
