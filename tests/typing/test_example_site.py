"""The example site under mypy strict: users need not excuse what the package does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.example.running import PROJECT, environment


def test_mypy_accepts_the_site(tmp_path: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")],
        cwd=PROJECT,
        env={**environment(tmp_path), "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
