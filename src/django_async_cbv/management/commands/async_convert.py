"""`manage.py async_convert`: the codemod, and `check` after it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand

from ...convert.cli import add_arguments, run


class Command(BaseCommand):
    """Runs the codemod on the project; after `--write` also `check`, anew."""

    help = "Turn Django's class-based views into those of django-async-cbv."
    # No checks, because a project in the middle of a change has errors.
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the codemod."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Convert; exit with the code of the codemod, or of `check`."""
        # No style, because progress is not an error and must not be red.
        self.stderr.style_func = None
        code = run(argparse.Namespace(**options), self.stdout, self.stderr)
        if code == 0 and options["write"]:
            code = self._check()
        if code:
            sys.exit(code)

    def _check(self) -> int:
        """Run `check` in a new process, which imports what has been written."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
        }
        command = [sys.executable, "-m", "django", "check"]
        done = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, check=False
        )
        self.stderr.write(done.stdout + done.stderr)
        return done.returncode
