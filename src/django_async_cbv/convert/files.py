"""Which files there are: those to convert, and those that tell of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

__all__ = ["BadInput", "changed_in_git", "python_files", "root_of", "shown"]

_SKIPPED = {"__pycache__", "node_modules", "site-packages"}
_ROOTS = (".git", ".hg", "manage.py", "pyproject.toml", "setup.py", "setup.cfg")
_GIT_SECONDS = 60
# How many files one command names, because systems limit its length.
_GIT_FILES = 100


class BadInput(Exception):  # noqa: N818 - reads as what it is
    """What the user has to change before anything can be done; says so in a line."""


def root_of(path: Path) -> Path:
    """The folder of the project that a path is in."""
    folder = path if path.is_dir() else path.parent
    for one in (folder, *folder.parents):
        if any((one / name).exists() for name in _ROOTS):
            return one
    return folder


def python_files(path: Path, exclude: Sequence[str] = ()) -> Iterator[Path]:
    """The Python files of a folder, but for links and what is not the project's."""
    for folder, folders, names in os.walk(path):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
            and not is_excluded(here / name, exclude)
        )
        for name in sorted(names):
            file = here / name
            if name.endswith(".py") and not is_excluded(file, exclude):
                yield file


def is_excluded(path: Path, patterns: Iterable[str]) -> bool:
    """Whether a path, or its end, fits one of the patterns."""
    texts = {path.as_posix(), path.name, shown(path)}
    return any(fnmatch(text, one) for text in texts for one in patterns)


def shown(path: str | Path) -> str:
    """A path as messages have it: from the current folder, if it is in there."""
    try:
        return Path(path).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return Path(path).as_posix()


def changed_in_git(files: Iterable[Path]) -> Iterator[str]:
    """Which of these files have changes that are not committed: lines of git status."""
    tops: dict[Path, str | None] = {}
    found: dict[str, list[str]] = {}
    for file in files:
        # Git knows a file by its real path.
        path = file.resolve()
        if path.parent not in tops:
            tops[path.parent] = _git(path.parent, "rev-parse", "--show-toplevel")
        if top := tops[path.parent]:
            found.setdefault(top, []).append(str(path))
    for top, paths in found.items():
        for start in range(0, len(paths), _GIT_FILES):
            some = paths[start : start + _GIT_FILES]
            command = ("--literal-pathspecs", "status", "--porcelain", "-uall", "--")
            yield from (_git(Path(top), *command, *some) or "").splitlines()


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, or is not there."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the one on the path
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
