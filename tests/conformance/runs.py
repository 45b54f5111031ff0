"""Runs Django's own tests, each run in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
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


class Runs:
    """Runs tests of Django's, on the database of this session; each run once."""

    def __init__(self, tests: Path, folder: Path) -> None:
        self.tests = tests
        self.folder = folder
        self.reports: dict[Any, dict[str, Any]] = {}

    def __call__(self, colour: str, client: str, *labels: str) -> dict[str, Any]:
        """Run the tests `labels` (`generic_views`, if none) and return the report."""
        key = (colour, client, labels)
        if key not in self.reports:
            self.reports[key] = self.run(colour, client, labels or ("generic_views",))
        return self.reports[key]

    def run(self, colour: str, client: str, labels: tuple[str, ...]) -> dict[str, Any]:
        arguments = ["--colour", colour, "--client", client]
        if not ON_SQLITE:
            arguments += ["--databases", json.dumps(databases(), default=str)]
        return self.report_of(SWAP, [*arguments, *labels], RUN_SECONDS)

    def on_handler(self, handler: str, client: str, *labels: str) -> dict[str, Any]:
        """Run the tests `labels` on an ASGI handler: see swap_handler.py."""
        key = (handler, client, labels)
        if key not in self.reports:
            arguments = ["--handler", handler, "--client", client, *labels]
            found = self.report_of(SWAP_HANDLER, arguments, HANDLER_SECONDS)
            self.reports[key] = found
        return self.reports[key]

    def report_of(
        self, script: Path, arguments: list[str], seconds: int
    ) -> dict[str, Any]:
        """Run a script that swaps something; return its report."""
        report = self.folder / f"{len(self.reports)}.json"
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
