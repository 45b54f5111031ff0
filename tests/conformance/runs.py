"""Runs Django's own tests, each run in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings

__all__ = ["ON_SQLITE", "Runs"]

SWAP = Path(__file__).with_name("swap.py")
SWAP_HANDLER = Path(__file__).with_name("swap_handler.py")
RUN_SECONDS = 300
# Of ten times as many tests, which commit what they write.
HANDLER_SECONDS = 1800

ON_SQLITE = settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
# On PostgreSQL the runs share their databases.
AT_ONCE = 3 if ON_SQLITE else 1


class Runs:
    """
    Runs tests of Django's, on the database of this session; each run once.

    Most of a run's time its tests sleep, or wait for a server to stop. So what a
    module needs is begun at once, and a few runs wait beside each other.
    """

    def __init__(self, tests: Path, folder: Path) -> None:
        self.tests = tests
        self.folder = folder
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.reports: dict[Any, Future[dict[str, Any]]] = {}
        self.numbers = count()

    def __call__(self, colour: str, client: str, *labels: str) -> dict[str, Any]:
        """Run the tests `labels` (`generic_views`, if none) and return the report."""
        return self.begin(colour, client, *labels).result()

    def begin(self, colour: str, client: str, *labels: str) -> Future[dict[str, Any]]:
        """Begin a run whose report is asked for later."""
        arguments = ["--colour", colour, "--client", client]
        if not ON_SQLITE:
            arguments += ["--databases", json.dumps(databases(), default=str)]
        arguments += labels or ("generic_views",)
        return self.started(SWAP, arguments, RUN_SECONDS)

    def on_handler(self, handler: str, client: str, *labels: str) -> dict[str, Any]:
        """Run the tests `labels` on an ASGI handler: see swap_handler.py."""
        return self.begin_on_handler(handler, client, *labels).result()

    def begin_on_handler(
        self, handler: str, client: str, *labels: str
    ) -> Future[dict[str, Any]]:
        """Begin a run on a handler, whose report is asked for later."""
        arguments = ["--handler", handler, "--client", client, *labels]
        return self.started(SWAP_HANDLER, arguments, HANDLER_SECONDS)

    def started(
        self, script: Path, arguments: list[str], seconds: int
    ) -> Future[dict[str, Any]]:
        key = (script, *arguments)
        if key not in self.reports:
            self.reports[key] = self.pool.submit(
                self.report_of, script, arguments, seconds
            )
        return self.reports[key]

    def end(self) -> None:
        """Begin nothing more; wait for what runs."""
        self.pool.shutdown(cancel_futures=True)

    def report_of(
        self, script: Path, arguments: list[str], seconds: int
    ) -> dict[str, Any]:
        """Run a script that swaps something; return its report."""
        report = self.folder / f"{next(self.numbers)}.json"
        command = [sys.executable, "-I", str(script)]
        command += ["--tests", str(self.tests), "--report", str(report)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert report.exists(), done.stdout + done.stderr
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def databases() -> dict[str, Any]:
    """The two databases that Django's tests need, on the server of this session."""
    ours = settings.DATABASES["default"]
    return {
        alias: ours | {"TEST": {"NAME": f"test_{ours['NAME']}_conformance_{alias}"}}
        for alias in ("default", "other")
    }
