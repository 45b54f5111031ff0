"""Start the example site under a server, as its own process, and stop it again."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[2] / "example_project"
START_SECONDS = 180
STOP_SECONDS = 15
POLL_SECONDS = 0.05

# The example needs nothing of the environment of the tests; what it finds of its own
# there, a developer's DATABASE_URL for one, must not be written to.
OWN_VARIABLES = {
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "EXECUTION_LAYER",
    "REDLETTER_DATA",
    "SECRET_KEY",
    "UPSTREAM_URL",
}


@dataclass(frozen=True)
class Site:
    """A running server of the example site."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    environment: Mapping[str, str] = field(repr=False)
    """What another process needs to serve the same data."""

    def client(self) -> httpx.Client:
        """Return a browser of sorts: cookies, but redirects are followed on request."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def output(self) -> str:
        """Return what the server has printed so far."""
        return self.log.read_text(errors="replace")

    def stop(self, number: signal.Signals) -> int:
        """Send a signal that asks the server to end; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"did not stop within {STOP_SECONDS} s:\n{self.output()}"
            ) from None


class NotStarted(AssertionError):
    """The server ended, or did not answer in time; says what it printed."""


@functools.cache
def compiled() -> str:
    """Return a folder, for the life of this process, for compiled modules."""
    folder = tempfile.mkdtemp(prefix="example-pyc-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment(data: Path, **variables: str) -> dict[str, str]:
    """Return the environment for a process of the site whose files are in `data`."""
    inherited = {k: v for k, v in os.environ.items() if k not in OWN_VARIABLES}
    if inherited.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Nothing is written where it is not wanted, yet not all compiled each time.
        inherited["PYTHONPYCACHEPREFIX"] = compiled()
    return {
        **inherited,
        "PYTHONUNBUFFERED": "1",
        # A warning in the server is an error there, as one in a test is here.
        "PYTHONWARNINGS": "error",
        "REDLETTER_DATA": str(data),
        **variables,
    }


def quick_environment(data: Path, **variables: str) -> dict[str, str]:
    """As environment(), for a site in which accounts are made by the hundred."""
    quick = Path(__file__).with_name("quick")
    path = os.pathsep.join(filter(None, [str(quick), os.environ.get("PYTHONPATH")]))
    settings = {"DJANGO_SETTINGS_MODULE": "quick_settings", "PYTHONPATH": path}
    return environment(data, **settings, **variables)


def wait_for(
    condition: Callable[[], T | None], process: subprocess.Popen[bytes], log: Path
) -> T:
    """Return what `condition` gives as soon as that is true, while `process` lives."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if result := condition():
            return result
        if ended:
            raise NotStarted(f"exit status {process.returncode}:\n{log.read_text()}")
        time.sleep(POLL_SECONDS)
    raise NotStarted(f"no answer within {START_SECONDS} s:\n{log.read_text()}")


def answers(url: str) -> bool:
    """Whether a server at `url` answers at all."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    folder: Path = PROJECT,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in the project's `folder`; leave nothing of it behind."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own, so that a server's workers end with it.
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def demo(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> Iterator[Site]:
    """Run `manage.py demo` on any free port, logging to `folder`."""
    log = folder / "demo.log"
    command = ["manage.py", "demo", "--port", "0", *arguments]
    with running(command, log, environment) as process:

        def address() -> dict[str, str] | None:
            text = log.read_text(errors="replace")
            return dict(re.findall(r"^(.+): (http://\S+)$", text, re.MULTILINE))

        def ready() -> dict[str, str] | None:
            found = address() or {}
            site = found.get("Red Letter Days")
            return found if site and answers(f"{site}about/") else None

        found = wait_for(ready, process, log)
        variables = {**environment, "UPSTREAM_URL": found["Upstream services"]}
        yield Site(found["Red Letter Days"], process, log, variables)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def served(
    command: Callable[[int], Sequence[str]],
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[Site]:
    """Run the server that `command` gives for a port."""
    log = folder / "server.log"
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with running(command(port), log, environment) as process:
        wait_for(lambda: answers(f"{url}about/"), process, log)
        yield Site(url, process, log, environment)
