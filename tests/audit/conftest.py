"""Leave out the sites, which need settings and packages of their own."""

from django.conf import settings

if not settings.ROOT_URLCONF.startswith("tests.audit.sites."):
    collect_ignore = ["sites"]
