"""What holds for every test: nothing blocks the event loop; PostgreSQL if asked for."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from django.conf import settings

# Also imports psycopg before blockbuster is active, since that import reads files.
from tests.postgres import PostgresUnavailable, Server, server


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail the test that blocks the event loop (files, sockets, sqlite3, locks, sleep).

    A test that has to block the loop on purpose takes this fixture and calls
    `blockbuster.deactivate()`, or names the function that may:
    `blockbuster.functions["os.stat"].can_block_in("module.py", "function")`.
    psycopg's calls into libpq are not seen by it, but by Django's own `async_unsafe`.
    """
    with blockbuster_ctx() as active:
        for function in active.functions.values():
            # A subtest that fails on the loop is reported there, from files.
            function.can_block_in("_pytest/unittest.py", "addSubTest")
        yield active


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
