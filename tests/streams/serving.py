"""Start servers for streams, and read them as slowly as a test likes."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

__all__ = ["SERVERS", "SINGLE", "Server", "free_port", "serving", "until"]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
APP = "tests.streams.asgi:application"

SERVERS = {
    "uvicorn-h11": "uvicorn {app} --port {port} --http h11",
    "uvicorn-httptools": "uvicorn {app} --port {port} --http httptools",
    "uvicorn-workers": "uvicorn {app} --port {port} --workers 2",
    "gunicorn-uvicorn": (
        "gunicorn {app} -k uvicorn_worker.UvicornWorker --bind 127.0.0.1:{port}"
    ),
    "gunicorn-asgi": "gunicorn {app} -k asgi --bind 127.0.0.1:{port}",
    "daphne": "daphne -p {port} {app}",
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{port}",
    "granian": "granian {app} --interface asginl --port {port}",
}
NEEDS = {"uvicorn-httptools": ["httptools"], "gunicorn-uvicorn": ["uvicorn_worker"]}
# The one that runs each time. The others run where STREAM_SERVERS=all.
SINGLE = "uvicorn-h11"


def until(found: Callable[[], bool], seconds: float = SECONDS) -> float:
    """Wait for something that a server does; return how long that took."""
    start = time.monotonic()
    while not found():
        assert time.monotonic() < start + seconds, "It has not happened."
        time.sleep(0.01)
    return time.monotonic() - start


class Client:
    """One connection, read by hand."""

    def __init__(self, port: int, path: str, headers: str = "") -> None:
        self.sock = socket.socket()
        # A small window, so that what is not read is not sent either.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(SECONDS)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"
        self.sock.sendall(request.encode())
        self.received = b""

    def read_until(self, part: bytes) -> None:
        while part not in self.received:
            data = self.sock.recv(65536)
            assert data, self.received
            self.received += data

    def read_compressed(self) -> str:
        """Read some more, and return the text so far of a body in gzip."""
        self.received += self.sock.recv(65536)
        _, _, rest = self.received.partition(b"\r\n\r\n")
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return zlib.decompressobj(31).decompress(body).decode()

    def read_to_the_end(self) -> bytes:
        """Read until the last chunk, or until the server closes."""
        while not self.is_complete:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                break
            if not data:
                break
            self.received += data
        return self.received

    @property
    def is_complete(self) -> bool:
        """Whether the last chunk is here."""
        return self.received.endswith(b"\r\n0\r\n\r\n")

    def leave(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


class Server:
    """A server that runs."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log: Path, name: str
    ) -> None:
        self.process, self.port, self.log, self.name = process, port, log, name

    def said(self, word: str) -> int:
        return self.log.read_text(errors="replace").splitlines().count(word)

    def get(self, path: str, headers: str = "") -> Client:
        return Client(self.port, path, headers)

    def answers(self) -> bool:
        with suppress(OSError), self.get("/") as client:
            client.sock.settimeout(5)
            client.read_until(b"a page")
            return True
        return False

    def stop(self, number: signal.Signals) -> float:
        """Send a signal to the process that was started; seconds until it is gone."""
        start = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(SECONDS)
        return time.monotonic() - start

    def memory(self) -> int:
        """Bytes in memory of all processes of the server."""
        pages = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = status.read_text().rpartition(")")[2].split()
                # Its process group, and its resident pages.
                if int(fields[2]) == self.process.pid:
                    pages += int(fields[21])
        return pages * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def serving(
    name: str, folder: Path, *, port: int | None = None, **environment: str
) -> Iterator[Server]:
    """Run a server, by default on a free port, and leave nothing of it behind."""
    command = SERVERS[name]
    module = command.split()[0]
    for needed in [module, *NEEDS.get(name, [])]:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    if port is None:
        port = free_port()
    log = folder / f"{name}.log"
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", *command.format(app=APP, port=port).split()],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.streams.settings",
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, inherited)]),
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        server = Server(process, port, log, name)
        try:
            until(server.answers)
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
