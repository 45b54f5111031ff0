"""What holds for every test: nothing may block the event loop."""

from collections.abc import Iterator

import psycopg  # noqa: F401 - before blockbuster is active: its import reads files
import pytest
from blockbuster import BlockBuster, blockbuster_ctx


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail the test that blocks the event loop (files, sockets, sqlite3, locks, sleep).

    A test that has to block the loop on purpose takes this fixture and calls
    `blockbuster.deactivate()`, or names the function that may:
    `blockbuster.functions["os.stat"].can_block_in("module.py", "function")`.
    psycopg's calls into libpq are not seen by it, but by Django's own `async_unsafe`.
    """
    with blockbuster_ctx() as active:
        yield active
