"""The settings of the test suite with PostgreSQL as the database.

Where no server can be had, every test is skipped (`tests/conftest.py`) with the reason.
"""

from tests.postgres import PostgresUnavailable, name_of_database, server
from tests.settings import *  # noqa: F403

POSTGRES_UNAVAILABLE = ""
try:
    DATABASES = {
        "default": server().settings(name_of_database()),
        "other": server().settings(f"{name_of_database()}_other"),
    }
except PostgresUnavailable as reason:
    POSTGRES_UNAVAILABLE = str(reason)
