"""Runs Django's own tests, each run in a process of its own: see swap.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

__all__ = ["ON_SQLITE", "Runs"]

SWAP = Path(__file__).with_name("swap.py")
RUN_SECONDS = 300

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
        report = self.folder / f"{len(self.reports)}.json"
        command = [sys.executable, "-I", str(SWAP)]
        command += ["--tests", str(self.tests), "--report", str(report)]
        command += ["--colour", colour, "--client", client]
        if not ON_SQLITE:
            command += ["--databases", json.dumps(databases(), default=str)]
        done = subprocess.run(
            [*command, *labels],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
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
