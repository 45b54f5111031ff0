"""What holds for every test: PostgreSQL if asked for."""

import pytest
from django.conf import settings

from tests.postgres import PostgresUnavailable, Server, server


@pytest.fixture(scope="session")
def postgres() -> Server:
    """Give a running PostgreSQL, whatever the default database is; else skip."""
    try:
        return server()
    except PostgresUnavailable as reason:
        pytest.skip(f"PostgreSQL: {reason}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := getattr(settings, "POSTGRES_UNAVAILABLE", ""):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"PostgreSQL: {reason}"))
