"""Get what the sdist of a package ships besides the package: its tests."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

__all__ = ["SourceUnavailable", "unpacked_sdist"]

DOWNLOAD_SECONDS = 300


class SourceUnavailable(Exception):
    """The sdist can't be had; says why."""


def unpacked_sdist(package: str, version: str, *, only: str = "") -> Path:
    """
    Return the folder of the sdist of a package, or that holds its part `only`.

    Downloaded once for each version, by pip and so from whatever index pip is
    set up for, to the folder SDISTS (else to the user's cache). Several
    processes may ask at the same time. Raise SourceUnavailable.
    """
    cache = Path(os.environ.get("SDISTS") or default_cache())
    folder = cache / f"{package.lower()}-{version}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as temporary:
            archive = download(package, version, Path(temporary))
            unpacked = unpack(archive, Path(temporary), only)
            try:
                # Whole or not at all: others may look at the same time.
                unpacked.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
    return folder


def default_cache() -> Path:
    """The user's cache, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "django-async-cbv"


def download(package: str, version: str, folder: Path) -> Path:
    """Download the sdist of a version of a package."""
    if importlib.util.find_spec("pip") is None:
        raise SourceUnavailable(f"{package}'s sdist: no pip here to download it with")
    command = [sys.executable, "-m", "pip", "download", f"{package}=={version}"]
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
        raise SourceUnavailable(f"{package}'s sdist: {error}") from error
    found = list(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        said = done.stderr.strip().rpartition("\n")[2]
        raise SourceUnavailable(f"{package}'s sdist can't be downloaded: {said}")
    return found[0]


def unpack(archive: Path, folder: Path, only: str) -> Path:
    """Unpack an sdist, or its part `only`; return its folder."""
    with tarfile.open(archive) as sdist:
        root = sdist.getnames()[0].partition("/")[0]
        wanted = [
            member
            for member in sdist.getmembers()
            if member.name.startswith(f"{root}/{only}")
        ]
        sdist.extractall(folder, wanted, filter="data")
    return folder / root
