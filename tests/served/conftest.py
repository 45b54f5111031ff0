"""The servers of the commands use no database: they are started on one of the two."""

from django.conf import settings

collect_ignore = []
if not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    collect_ignore.append("test_commands.py")
