"""Servers of Redis and PostgreSQL that a test may stop and start again.

`tests.postgres` gives the server that other tests share; these are a test's own.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import postgres
from tests.postgres import PostgresUnavailable

__all__ = ["Broker", "RedisUnavailable", "own_postgres", "own_redis"]

STOP_SECONDS = 20

# The shell, not Python, is the parent: it stops the server as soon as its input ends,
# so that a run that was killed leaves none.
SUPERVISOR = '"$@" & read -r _; kill -INT $!; wait $!'


class RedisUnavailable(Exception):
    """There is no redis-server on PATH."""


class Broker:
    """A server as a process of its own, with data that survive a stop."""

    def __init__(
        self, command: list[str], ready: str, account: str | None = None
    ) -> None:
        self._command = command
        self._ready = ready
        self._account = account
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", SUPERVISOR, "sh", *self._command],
            user=self._account,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        said = []
        for line in self._process.stdout:
            said.append(line)
            if self._ready in line:
                return
        raise RuntimeError(f"The server did not start: {''.join(said)}")

    def stop(self) -> None:
        """Stop it, as an administrator does, and wait until it has gone."""
        if self._process is not None:
            self._process.communicate(timeout=STOP_SECONDS)
            self._process = None


@contextmanager
def own_redis() -> Iterator[tuple[Broker, str]]:
    """Yield a running Redis that loses nothing by a stop, and its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise RedisUnavailable("no redis-server on PATH (apt-get install redis-server)")
    # Short, since the path of a unix socket may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = f"{folder}/socket"
        command = [binary, "--port", "0", "--unixsocket", socket, "--dir", folder]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        broker = Broker(command, "eady to accept connections")
        broker.start()
        try:
            yield broker, f"unix://{socket}"
        finally:
            broker.stop()


@contextmanager
def own_postgres() -> Iterator[tuple[Broker, dict[str, Any]]]:
    """Yield a running PostgreSQL, and the entry for DATABASES of its one database."""
    binaries = postgres._find_binaries()
    account = postgres._account()
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        if account:
            shutil.chown(folder, account)
            if not postgres._readable_by_all(binaries):
                binaries = postgres._copy_wheel(binaries, folder)
        data = folder / "data"
        initdb = [binaries / "initdb", "--pgdata", data, "--username", "postgres"]
        initdb += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            initdb, user=account, cwd=folder, capture_output=True, check=False
        )
        if made.returncode:
            raise PostgresUnavailable(f"initdb failed: {made.stderr.decode()}")
        command = [str(binaries / "postgres"), "-D", str(data), "-k", name]
        for option in ("fsync=off", "full_page_writes=off", "listen_addresses="):
            command += ["-c", option]
        broker = Broker(command, "ready to accept connections", account)
        broker.start()
        try:
            yield broker, postgres.Server(name).settings("postgres")
        finally:
            broker.stop()
