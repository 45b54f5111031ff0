"""Logins and logouts of hundreds at once, on a real server, on each session backend."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from tests.example.running import answers, environment, free_port, running, wait_for
from tests.postgres import server as postgres_server

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
# How often to look at what is left in a server: until it is at rest, and for what it
# has at rest. A request that has its answer still ends there for a moment.
LOOKS_UNTIL_REST, LOOKS_AT_REST = 2000, 50
BACKENDS = ["db", "cache", "cached_db", "signed_cookies", "file"]
CLIENTS = 200
PAGES = ["sync", "context", "async"]

PREPARE = """
import django
django.setup()
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.bulk_create(
    User(username=f"user{{n}}", password=make_password(f"password{{n}}"))
    for n in range({count})
)
"""


@dataclass(frozen=True)
class Served:
    """A running server: its address, its sessions, and what there is in it at rest."""

    url: str
    backend: str
    rest: dict[str, int]
    # Requests at once: on PostgreSQL each of them is a connection.
    at_once: int


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the servers need of the environment: of a database with users, above all."""
    folder = tmp_path_factory.mktemp("sessions")
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)

    def variables_for(database: dict[str, Any]) -> dict[str, str]:
        made = {
            **environment(folder),
            "DJANGO_SETTINGS_MODULE": "tests.served.sessions.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, inherited)]),
            "TEST_DATABASE": json.dumps(database),
            "TEST_SESSIONS": "db",
            "TEST_SESSION_FILES": str(folder),
        }
        done = subprocess.run(
            [sys.executable, "-c", PREPARE.format(count=CLIENTS)],
            cwd=ROOT,
            env=made,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return made

    if settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        with postgres_server().database("sessions") as database:
            yield variables_for(database)
    else:
        options = {
            # Who writes waits for who writes already.
            "timeout": SECONDS,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=wal; PRAGMA synchronous=off;",
        }
        yield variables_for(
            {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "database"),
                "OPTIONS": options,
            }
        )


@pytest.fixture(scope="module", params=BACKENDS)
def served(
    request: pytest.FixtureRequest,
    variables: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """A server on each session backend; what it prints is what went wrong."""
    backend: str = request.param
    log = tmp_path_factory.mktemp(backend) / "log"
    port = free_port()
    command = ["-m", "uvicorn", "--lifespan=off", "--log-level=warning"]
    # A connection is not closed just as its next request is sent.
    command += [f"--port={port}", f"--timeout-keep-alive={SECONDS}"]
    command += ["tests.served.sessions.asgi:application"]
    on_sqlite = "sqlite3" in variables["TEST_DATABASE"]
    url = f"http://127.0.0.1:{port}"
    with running(
        command, log, {**variables, "TEST_SESSIONS": backend}, ROOT
    ) as process:
        wait_for(lambda: answers(f"{url}/status/"), process, log)
        looks = [asyncio.run(left_in(url)) for _ in range(LOOKS_AT_REST)]
        rest = {name: min(look[name] for look in looks) for name in looks[0]}
        yield Served(url, backend, rest, CLIENTS if on_sqlite else 60)
    assert log.read_text() == ""


# No certificates are read for it: none is needed.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def browser(url: str) -> httpx.AsyncClient:
    # Many pools of few connections: httpx looks through all of a pool each time.
    return httpx.AsyncClient(
        base_url=url,
        timeout=SECONDS,
        limits=httpx.Limits(max_connections=2),
        trust_env=False,
        verify=TLS,
    )


class Visitor:
    """A browser: it has its cookies and connections; `limit` is everybody's."""

    def __init__(self, url: str, limit: asyncio.Semaphore, number: int) -> None:
        self.name, self.password = f"user{number}", f"password{number}"
        # Where to log in and out.
        self.site = "lifted" if number % 8 < 4 else "ours"
        self.page = f"/ours/page/{PAGES[number % len(PAGES)]}/"
        self.http, self.limit = browser(url), limit
        self.http.cookies.set("csrftoken", "c" * 32, domain="127.0.0.1")
        self.kept = "None"

    async def get(self, address: str) -> httpx.Response:
        async with self.limit:
            return await self.http.get(address)

    async def post(self, address: str, **data: str) -> httpx.Response:
        token = {"X-CSRFToken": self.http.cookies["csrftoken"]}
        async with self.limit:
            return await self.http.post(address, data=data, headers=token)

    @property
    def key(self) -> str:
        return self.http.cookies["sessionid"]

    async def begin(self) -> None:
        """Have a session, which nobody is logged in to."""
        self.kept = f"from-before-of-{self.name}"
        response = await self.get(f"/{self.site}/login/?keep={self.kept}")
        assert response.status_code == 200

    async def log_in(self) -> None:
        response = await self.post(
            f"/{self.site}/login/", username=self.name, password=self.password
        )
        assert (response.status_code, response.headers["Location"]) == (302, "/")

    async def log_out(self) -> None:
        response = await self.post(f"/{self.site}/logout/")
        assert (response.status_code, response.headers["Location"]) == (302, "/")

    async def is_let_in(self) -> bool:
        """Whether the page is open; it is nobody else's then."""
        response = await self.get(self.page)
        if response.status_code == 200:
            name = self.name
            assert response.text == f"{name} {name} {name} {self.kept}"
            return True
        assert response.status_code == 302
        assert response.headers["Location"] == f"/ours/login/?next={self.page}"
        return False

    async def is_let_in_with(self, key: str) -> bool:
        """The same with another session cookie."""
        self.http.cookies.set("sessionid", key, domain="127.0.0.1")
        return await self.is_let_in()


Visit = Callable[[Callable[[int], Visitor]], Awaitable[None]]
Run = Callable[[Visit], None]


@pytest.fixture
def run(served: Served) -> Run:
    """Run what takes a maker of visitors; see that it leaves nothing in the server."""

    def run(visit: Visit) -> None:
        async def visited() -> None:
            limit = asyncio.Semaphore(served.at_once)
            visitors = []

            def visitor(number: int) -> Visitor:
                visitors.append(Visitor(served.url, limit, number))
                return visitors[-1]

            try:
                async with asyncio.timeout(SECONDS):
                    await visit(visitor)
            finally:
                for one in visitors:
                    await one.http.aclose()
            # The connections to the server are closed; it needs a moment for that.
            for _ in range(LOOKS_UNTIL_REST):
                after = await left_in(served.url)
                if after == served.rest:
                    break
            assert after == served.rest

        with asyncio.Runner() as runner:
            runner.run(visited())

    return run


async def left_in(url: str) -> dict[str, int]:
    """Count the tasks, threads, database connections in the server, but for our own."""
    async with browser(url) as client:
        response = await client.get("/status/")
        counts: dict[str, int] = response.raise_for_status().json()
        return counts


def test_two_hundred_at_once(served: Served, run: Run) -> None:
    """Each is let in as who they are, and out, whatever the others do meanwhile."""

    async def visit(visitor: Callable[[int], Visitor]) -> None:
        everybody = [visitor(number) for number in range(CLIENTS)]
        leaving = everybody[::4]
        staying = [one for one in everybody if one not in leaving]
        begun = everybody[: CLIENTS // 8]

        await asyncio.gather(*(one.begin() for one in begun))
        anonymous = [one.key for one in begun]
        assert len({*anonymous}) == len(begun)

        await asyncio.gather(*(one.log_in() for one in everybody))
        keys = [one.key for one in everybody]
        assert len({*anonymous, *keys}) == len(begun) + CLIENTS, "each has a new one"

        async def leave(one: Visitor) -> None:
            assert await one.is_let_in()
            await one.log_out()

        async def stay(one: Visitor) -> None:
            assert await one.is_let_in()

        await asyncio.gather(
            *(leave(one) for one in leaving), *(stay(one) for one in staying)
        )
        some = [*leaving, *staying[::3]]
        let_in = await asyncio.gather(*(one.is_let_in() for one in some))
        assert let_in == [one not in leaving for one in some]

        # The key from before the login opens nothing, nor does one from before the
        # logout; but signed cookies are not in the server, which can't forget them.
        for one, before, key in list(
            zip(leaving, anonymous[::4], keys[::4], strict=False)
        ):
            assert not await one.is_let_in_with(before)
            forever = served.backend == "signed_cookies"
            assert await one.is_let_in_with(key) == forever

    run(visit)


def test_wrong_passwords_among_right_ones(run: Run) -> None:
    """Nobody is let in by somebody else's login at the same time."""

    async def visit(visitor: Callable[[int], Visitor]) -> None:
        right = [visitor(number) for number in range(15)]
        wrong = [visitor(number) for number in range(15)]

        async def fail(one: Visitor) -> None:
            response = await one.post(
                "/ours/login/", username=one.name, password="password"
            )
            assert response.status_code == 200
            assert "Please enter a correct username" in response.text

        await asyncio.gather(
            *(one.log_in() for one in right), *(fail(one) for one in wrong)
        )
        let_in = await asyncio.gather(*(one.is_let_in() for one in right + wrong))
        assert let_in == [True] * 15 + [False] * 15

    run(visit)


# Where the logout is, and the request that it comes in the middle of; Django's first.
SITES = [
    ("theirs", "theirs/held/worker"),
    ("ours", "ours/held/worker"),
    ("lifted", "ours/held/loop"),
]


@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
def test_logout_during_a_request(served: Served, run: Run, writes: bool) -> None:
    """What is under way ends as in Django's views: its session is gone, or written."""
    # A session that is gone is not written again: SessionInterrupted, 400. A cookie
    # is: the answer that comes last has the last word.
    status = 400 if writes and served.backend != "signed_cookies" else 200
    revived = writes and served.backend == "signed_cookies"
    found = {}

    async def visit(visitor: Callable[[int], Visitor]) -> None:
        async def log_out_during(site: str, held: str) -> tuple[int, str, bool]:
            one, same_user = visitor(1), visitor(1)
            for browser in (one, same_user):
                browser.site = site
                await browser.begin()
                await browser.log_in()
            name = f"{site}-{held.replace('/', '-')}"
            address = f"/{held}/{name}/" + "?write=1" * writes
            waiting = asyncio.create_task(one.get(address))
            entered = await one.get(f"/entered/{name}/")
            assert entered.status_code == 200
            await one.log_out()
            assert not await one.is_let_in(), "at once, not when the other has ended"
            assert not waiting.done()
            released = await one.get(f"/release/{name}/")
            assert released.status_code == 200
            answer = await waiting
            assert await same_user.is_let_in(), "a session of its own"
            text = answer.text if answer.status_code == 200 else ""
            return answer.status_code, text, await one.is_let_in()

        for site, held in SITES:
            found[site, held] = await log_out_during(site, held)

    run(visit)
    theirs = found[SITES[0]]
    assert theirs == (status, "user1" if status == 200 else "", revived)
    assert found == dict.fromkeys(SITES, theirs)
