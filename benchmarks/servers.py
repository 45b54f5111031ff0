"""Start the servers that are measured, each on a free port of 127.0.0.1; stop them."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = [
    "COMMANDS",
    "Server",
    "ServerError",
    "free_port",
    "pinned",
    "processors",
    "running",
]

ROOT = Path(__file__).parents[1]
START_SECONDS = 30
STOP_SECONDS = 10


class ServerError(Exception):
    """A server did not start; the message has what it printed."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: psutil.Process

    def processor_seconds(self) -> float:
        """Return the processor time that it has used, with its workers."""
        everyone = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in everyone)


def processors() -> tuple[set[int], set[int]] | None:
    """Return the processor for the servers and those for the load, if there are two."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    first, *others = sorted(os.sched_getaffinity(0))
    return ({first}, set(others)) if others else None


@contextmanager
def pinned(wanted: set[int] | None) -> Iterator[None]:
    """Start processes on these processors only; None is where they like."""
    if wanted is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _uvicorn(application: str, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", application),
        *("--host", "127.0.0.1", "--port", "{port}"),
        *("--no-access-log", "--log-level", "warning", "--backlog", "8192"),
        *(more or ("--lifespan", "off")),
    ]


def _granian(application: str, *interface: str) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", application),
        *("--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
        *("--http", "1", "--no-ws", "--no-access-log", "--log-level", "warning"),
        *("--interface", *interface),
    ]


_DJANGO = "benchmarks.asgi:application"
_OURS = "benchmarks.serve.entry_point:application"

COMMANDS = {
    "uvicorn": _uvicorn(_DJANGO),
    "gunicorn": [
        *(sys.executable, "-m", "gunicorn", "benchmarks.wsgi:application"),
        *("--bind", "127.0.0.1:{port}", "--workers", "1"),
        *("--worker-class", "gthread", "--threads", "{threads}"),
        *("--log-level", "warning"),
    ],
    "granian": _granian(_DJANGO, "asgi"),
    "granian-wsgi": _granian(
        "benchmarks.wsgi:application", "wsgi", "--blocking-threads", "{threads}"
    ),
    "uvicorn-ours": _uvicorn(_OURS, "--lifespan", "on"),
    "granian-ours": _granian(_OURS, "asgi"),
    "starlette": _uvicorn(
        "benchmarks.serve.starlette_app:application", "--lifespan", "on"
    ),
    "bolt": [
        *(sys.executable, "-m", "django", "runbolt", "--skip-checks", "--no-admin"),
        *("--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
    ],
}


def _python_path(environment: Mapping[str, str]) -> str:
    return os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    names: Mapping[str, Mapping[str, str]],
    *,
    path: str | Mapping[str, str],
    threads: int,
    processor: set[int] | None,
) -> Iterator[dict[str, Server]]:
    """
    Run the servers, and yield them by name.

    `names`: keys of COMMANDS, each with its environment; what follows a blank tells two
    of the same kind apart. `path`: what a server has to
    answer before it counts as started, for all of them or for each. Raise ServerError.
    """
    with ExitStack() as stack:
        servers = {}
        for name, environment in names.items():
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            log = stack.enter_context(tempfile.TemporaryFile("w+"))
            with pinned(processor):
                process = subprocess.Popen(
                    [
                        part.format(port=port, threads=threads)
                        for part in COMMANDS[name.partition(" ")[0]]
                    ],
                    # Not each of them looks for modules in the current folder.
                    env={**environment, "PYTHONPATH": _python_path(environment)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            stack.callback(_stop, process)
            first = path if isinstance(path, str) else path[name]
            if not _answers(process, url + first):
                log.seek(0)
                raise ServerError(f"{name} did not start: {log.read()[-4000:]}")
            servers[name] = Server(url, psutil.Process(process.pid))
        yield servers


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except urllib.error.HTTPError:
            return False
        except OSError:
            time.sleep(0.05)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
