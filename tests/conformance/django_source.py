"""Get the tests of the very Django that is installed: they are in its sdist."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

__all__ = ["SourceUnavailable", "django_tests"]

DOWNLOAD_SECONDS = 300


class SourceUnavailable(Exception):
    """The sdist can't be had; says why."""


def django_tests() -> Path:
    """
    Return the folder `tests` of the sdist of the Django that is installed.

    Downloaded once for each version, by pip and so from whatever index pip is
    set up for, to the folder DJANGO_SOURCES (else to the user's cache). Several
    processes may ask at the same time. Raise SourceUnavailable.
    """
    version = django.__version__
    cache = Path(os.environ.get("DJANGO_SOURCES") or default_cache())
    tests = cache / f"django-{version}" / "tests"
    if not tests.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
            unpacked = unpack(download(version, Path(folder)), Path(folder))
            try:
                # Whole or not at all: others may look at the same time.
                unpacked.rename(tests.parent)
            except OSError:
                if not tests.is_dir():  # else another process was faster
                    raise
    return tests


def default_cache() -> Path:
    """The user's cache, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "django-async-cbv"


def download(version: str, folder: Path) -> Path:
    """Download the sdist of a version of Django."""
    if importlib.util.find_spec("pip") is None:
        raise SourceUnavailable("Django's sdist: no pip here to download it with")
    command = [sys.executable, "-m", "pip", "download", f"Django=={version}"]
    command += ["--no-deps", "--no-binary=:all:", "--no-input", f"--dest={folder}"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceUnavailable(f"Django's sdist: {error}") from error
    found = list(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        said = done.stderr.strip().rpartition("\n")[2]
        raise SourceUnavailable(f"Django's sdist can't be downloaded: {said}")
    return found[0]


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the tests of an sdist; return the folder that they are in."""
    with tarfile.open(archive) as sdist:
        root = sdist.getnames()[0].partition("/")[0]
        wanted = [
            member
            for member in sdist.getmembers()
            if member.name.startswith(f"{root}/tests/")
        ]
        sdist.extractall(folder, wanted, filter="data")
    return folder / root
