"""Leave the folder out of other runs: it needs settings of its own."""

from django.conf import settings

if settings.SETTINGS_MODULE != "tests.ecosystem.tenants.settings":
    collect_ignore_glob = ["*.py"]
