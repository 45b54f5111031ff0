"""The commands of the page on servers start them, and cancel what nobody awaits."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60

PAGE = ROOT / "docs" / "how-to" / "deploy" / "servers.md"
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
COMMANDS = [
    line
    for block in BLOCKS
    for line in block.splitlines()
    # Those of a server name a port.
    if "8000" in line
]
NAMES = ["uvicorn", "gunicorn", "daphne", "hypercorn", "granian", "python"]


def test_the_page_has_a_command_for_each_server():
    assert [command.split()[0] for command in COMMANDS] == NAMES


def until(found: Callable[[], bool], log: Path) -> None:
    """Wait for something that a server does."""
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(address, timeout=5, trust_env=False).text == "a page"
    return False


@contextmanager
def started(command: str, log: Path, **environment: str) -> Iterator[int]:
    """Run a command of the page on a port of our own, and stop it again."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    assert "8000" in command
    name, *arguments = shlex.split(
        command.replace("8000", str(port)).replace("mysite", "tests.served")
    )
    if arguments[0] == "manage.py":
        arguments[0] = "django"
        name = "-m"
    elif importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    program = ["-m", name] if name != "-m" else [name]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.served.settings",
                "PYTHONPATH": str(ROOT),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/"), log)
            yield port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def go_away(port: int, log: Path) -> None:
    """Ask for the page that never comes, and close the connection."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /waiting/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: "begun" in log.read_text(), log)


@pytest.mark.parametrize("command", COMMANDS[:-1], ids=NAMES[:-1])
def test_it_serves_and_cancels(command, tmp_path):
    log = tmp_path / "log"
    with started(command, log) as port:
        go_away(port, log)
        until(lambda: "cancelled" in log.read_text(), log)
    assert "Traceback" not in log.read_text()


def test_runserver_serves_by_wsgi(tmp_path):
    log = tmp_path / "log"
    with started(COMMANDS[-1], log, PYTHONUNBUFFERED="1"):
        assert "Starting WSGI development server" in log.read_text()


def test_runserver_with_daphne_serves_by_asgi_and_cancels(tmp_path):
    if importlib.util.find_spec("daphne") is None:
        pytest.skip("daphne is not installed")
    log = tmp_path / "log"
    with started(COMMANDS[-1], log, PYTHONUNBUFFERED="1", WITH_DAPHNE="1") as port:
        assert "Starting ASGI/Daphne" in log.read_text()
        go_away(port, log)
        until(lambda: "cancelled" in log.read_text(), log)
