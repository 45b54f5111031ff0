"""These tests need packages, and settings, that the others do not have."""

from django.conf import settings

if settings.SETTINGS_MODULE != "tests.ecosystem.settings":
    collect_ignore_glob = ["test_*.py", "cases/*.py"]
