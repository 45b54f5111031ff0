"""Servers of the example site, each started once a session (and xdist worker)."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx
import pytest
from django.conf import settings

from tests.example.html import submit
from tests.example.running import Site, demo, quick_environment
from tests.postgres import Server

PASSWORD = "quite-long-enough"


def pytest_ignore_collect() -> bool | None:
    """Leave these tests to the run with the default settings.

    They try both databases in any case: the servers have settings of their own.
    """
    return (
        True if settings.DATABASES["default"]["ENGINE"].endswith("postgresql") else None
    )


def check_ending(site: Site) -> None:
    """Stop `site` as Ctrl-C does, and see that it had nothing to complain of."""
    status = site.stop(signal.SIGINT)
    output = site.output()
    assert status == 0, output
    assert "Traceback" not in output, output
    assert "Warning" not in output, output
    assert output.endswith("Stopped.\n"), output


@pytest.fixture(scope="session")
def sqlite_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site as its one command starts it: migrated, seeded, on SQLite.

    With the settings of `quick/`: test_command.py starts it with its own.
    """
    folder = tmp_path_factory.mktemp("sqlite-site")
    with demo(folder, quick_environment(folder / "var")) as site:
        yield site
        check_ending(site)


@pytest.fixture(scope="session")
def postgres_site(
    tmp_path_factory: pytest.TempPathFactory, postgres: Server
) -> Iterator[Site]:
    """The same on PostgreSQL, by the one environment variable."""
    folder = tmp_path_factory.mktemp("postgres-site")
    with postgres.database("example") as database:
        # A host may be the folder of a unix socket.
        host = quote(database["HOST"], safe="")
        account = quote(database["USER"])
        if database["PASSWORD"]:
            account = f"{account}:{quote(database['PASSWORD'])}"
        url = f"postgres://{account}@{host}:{database['PORT']}/{database['NAME']}"
        variables = quick_environment(folder / "var", DATABASE_URL=url)
        with demo(folder, variables) as site:
            yield site
            check_ending(site)


@pytest.fixture(
    scope="session",
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
    ],
)
def site(request: pytest.FixtureRequest) -> Site:
    """The site on each database in turn."""
    name = "sqlite_site" if request.param == "sqlite" else "postgres_site"
    started: Site = request.getfixturevalue(name)
    return started


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """A visitor who is not logged in."""
    with site.client() as visitor:
        yield visitor


def new_name(prefix: str) -> str:
    """Return a name that no other test uses: the site is shared between them."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


@contextmanager
def sign_up(site: Site) -> Iterator[httpx.Client]:
    """Yield a visitor with a new account, logged in."""
    with site.client() as visitor:
        response = submit(
            visitor,
            "/account/new/",
            username=new_name("ada"),
            password1=PASSWORD,
            password2=PASSWORD,
        )
        assert response.status_code == 200, response
        assert "Welcome, ada-" in response.text
        yield visitor


@pytest.fixture(scope="session")
def clerk(site: Site) -> Iterator[httpx.Client]:
    """The demo account of the staff, logged in."""
    with site.client() as visitor:
        answer = submit(
            visitor, "/account/login/", username="clerk", password="almanac-clerk"
        )
        assert ">Desk</a>" in answer.text
        yield visitor


@pytest.fixture(scope="session")
def traveller(site: Site) -> Iterator[httpx.Client]:
    """A visitor who is logged in; one account for all tests."""
    with sign_up(site) as visitor:
        yield visitor
