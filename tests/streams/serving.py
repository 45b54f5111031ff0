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

import h2.connection
import h2.errors
import h2.events
import pytest

__all__ = [
    "HTTP2",
    "RUNSERVER",
    "SERVERS",
    "SINGLE",
    "HTTP2Client",
    "Server",
    "free_port",
    "serving",
    "until",
]

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
# The one for development, which starts anew when a file changes.
RUNSERVER = "runserver"
COMMANDS = {**SERVERS, RUNSERVER: "django runserver 127.0.0.1:{port}"}
NEEDS = {
    "uvicorn-httptools": ["httptools"],
    "gunicorn-uvicorn": ["uvicorn_worker"],
    RUNSERVER: ["daphne"],
}
# Those that speak HTTP/2 without TLS by their default settings.
HTTP2 = ["hypercorn", "granian"]
# The one that runs each time. The others run where STREAM_SERVERS=all.
SINGLE = "uvicorn-h11"


def until(found: Callable[[], bool], seconds: float = SECONDS) -> float:
    """Wait for something that a server does; return how long that took."""
    start = time.monotonic()
    while not found():
        assert time.monotonic() < start + seconds, "It has not happened."
        time.sleep(0.01)
    return time.monotonic() - start


def _fields(stat: Path) -> list[str]:
    """Return what the system says of a process, after its name."""
    return stat.read_text().rpartition(")")[2].split()


class Client:
    """One connection, read by hand."""

    def __init__(
        self, port: int, path: str, headers: str = "", host: str = "127.0.0.1"
    ) -> None:
        self.sock = socket.socket()
        # A small window, so that what is not read is not sent either.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(SECONDS)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"
        self.sock.sendall(request.encode())
        self.received = b""

    def read_until(self, part: bytes) -> None:
        while part not in self.received:
            data = self.sock.recv(65536)
            assert data, self.received
            self.received += data

    def read_compressed(self) -> str:
        """Read some more, and return the text so far of a body in gzip."""
        data = self.sock.recv(65536)
        assert data, self.received
        self.received += data
        head, _, rest = self.received.partition(b"\r\n\r\n")
        body = b""
        # A server may send the size of a chunk, the chunk and its end one by one.
        while b"\r\n" in rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        if b"content-encoding: gzip" not in head.lower():
            # Until Django 6.0 goes: there a stream is not compressed.
            return body.decode()
        text = b""
        while body:
            # Until Django 5.2 goes: there each part is a member of its own.
            decompressor = zlib.decompressobj(31)
            text += decompressor.decompress(body)
            body = decompressor.unused_data
        return text.decode()

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
        self, process: subprocess.Popen[bytes], port: int, report: Path, name: str
    ) -> None:
        self.process, self.port, self.report, self.name = process, port, report, name

    def said(self, word: str) -> int:
        """Return how often the project said this."""
        return self.report.read_text().splitlines().count(word)

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
        self.process.send_signal(number)
        return self.until(lambda: self.process.poll() is not None)

    def until(self, found: Callable[[], bool]) -> float:
        """
        Wait for something that a server does; return how many seconds that took.

        Those do not count in which its processes wanted a processor and had none.
        """
        waited: dict[Path, float] = {}
        before = self._waits()

        def look() -> bool:
            waited.update(self._waits())
            return found()

        seconds = until(look)
        lost = [waits - before.get(path, 0) for path, waits in waited.items()]
        return seconds - max(lost, default=0)

    def _waits(self) -> dict[Path, float]:
        """Seconds that each process of the server has waited for a processor."""
        found = {}
        for stat in self._processes():
            with suppress(OSError, IndexError):
                schedule = stat.with_name("schedstat").read_text().split()
                found[stat] = int(schedule[1]) / 1e9
        return found

    def _processes(self) -> Iterator[Path]:
        """Give the file with the numbers of each process in the server's group."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(_fields(stat)[2]) == self.process.pid:
                    yield stat

    def memory(self) -> int:
        """Bytes in memory of all processes of the server."""
        pages = 0
        for stat in self._processes():
            with suppress(OSError):
                pages += int(_fields(stat)[21])
        return pages * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class HTTP2Client:
    """One stream of a connection by HTTP/2, without TLS."""

    def __init__(self, port: int, path: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.connection = h2.connection.H2Connection()
        self.connection.initiate_connection()
        self.stream = self.connection.get_next_available_stream_id()
        headers = [
            (":method", "GET"),
            (":path", path),
            (":scheme", "http"),
            (":authority", "127.0.0.1"),
        ]
        self.connection.send_headers(self.stream, headers, end_stream=True)
        self._flush()
        self.received = b""
        # What the server has ended, and how: a normal end has the code None.
        self.ended: list[int | None] = []

    def _flush(self) -> None:
        self.sock.sendall(self.connection.data_to_send())

    def _read(self) -> None:
        data = self.sock.recv(65536)
        assert data, self.received
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.received += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.append(None)
            elif isinstance(event, h2.events.StreamReset):
                self.ended.append(event.error_code)
        self._flush()

    def read_until(self, part: bytes) -> None:
        while part not in self.received:
            self._read()

    def read_to_the_end(self) -> None:
        while not self.ended:
            self._read()

    def reset(self) -> None:
        """Leave the stream, and keep the connection."""
        self.connection.reset_stream(self.stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    def leave(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


@contextmanager
def serving(
    name: str, folder: Path, *, port: int | None = None, **environment: str
) -> Iterator[Server]:
    """Run a server, by default on a free port, and leave nothing of it behind."""
    command = COMMANDS[name]
    module = command.split()[0]
    for needed in [module, *NEEDS.get(name, [])]:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    if port is None:
        port = free_port()
    log = folder / f"{name}.log"
    report = folder / f"{name}.txt"
    report.touch()
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
                "REPORT": str(report),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        server = Server(process, port, report, name)
        try:
            until(server.answers)
            yield server
        except BaseException:
            # Which pytest shows of a test that fails.
            print(log.read_text(errors="replace")[-4000:])
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
