"""Convert the text of files, as the tests write them, in a folder of their own."""

from __future__ import annotations

import textwrap
from pathlib import Path

from django_async_cbv.convert import engine

__all__ = ["Project", "codes", "dedented"]


def dedented(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


class Project:
    """A folder with files."""

    def __init__(self, folder: Path, files: dict[str, str | bytes]) -> None:
        self.folder = folder
        (folder / "pyproject.toml").touch()
        for name, text in files.items():
            self.put(name, text)

    def put(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = text if isinstance(text, bytes) else dedented(text).encode()
        path.write_bytes(raw)

    def convert(self, *paths: str, **options) -> engine.Result:
        chosen = [self.folder / path for path in paths or (".",)]
        return engine.convert(chosen, jobs=1, **options)

    def converted(self, *paths: str, **options) -> dict[str, bytes]:
        """What the changed files would have in them, by name."""
        return {
            change.source.path.relative_to(self.folder).as_posix(): change.after
            for change in self.convert(*paths, **options).changes
        }


def codes(result: engine.Result) -> list[str]:
    """The reasons that a run gives."""
    return [finding.code for finding in result.findings]
