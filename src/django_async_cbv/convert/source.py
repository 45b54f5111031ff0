"""The text of a file, with its encoding, and how a changed one takes its place."""

from __future__ import annotations

import io
import os
import re
import stat
import tempfile
import tokenize
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Edit", "Source", "Unchangeable", "edited", "read", "replace"]

BOM = b"\xef\xbb\xbf"


class Unchangeable(Exception):  # noqa: N818 - reads as what it is
    """A file that has to stay as it is; says why, and what to do."""


@dataclass(frozen=True)
class Source:
    """A file: its bytes, and its text in UTF-8, to which all positions refer."""

    path: Path
    raw: bytes
    text: bytes
    encoding: str

    @property
    def starts(self) -> list[int]:
        """Where each line begins, as the parser counts lines."""
        ends = re.finditer(rb"\r\n|\n|\r", self.text)
        return [0, *(one.end() for one in ends)]

    def encoded(self, text: bytes) -> bytes:
        """Return the bytes of the file with another text."""
        bom = BOM if self.raw.startswith(BOM) else b""
        return bom + text.decode().encode(self.encoding)


def read(path: Path) -> Source:
    """Read a file as Python would. Raise Unchangeable."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Unchangeable(f"it cannot be read ({error.strerror})") from error
    return decoded(path, raw)


def decoded(path: Path, raw: bytes) -> Source:
    """Make a Source of the bytes of a file. Raise Unchangeable."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        encoding = encoding.removesuffix("-sig")
        text = raw.removeprefix(BOM).decode(encoding).encode()
        source = Source(path, raw, text, encoding)
        is_kept = source.encoded(text) == raw
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise Unchangeable(f"its encoding cannot be read ({error})") from error
    if not is_kept:
        raise Unchangeable(f"{encoding} does not give back the same bytes")
    return source


@dataclass(frozen=True)
class Edit:
    """Other bytes in the place of some of the text."""

    start: int
    end: int
    old: bytes
    new: bytes


def edited(source: Source, edits: list[Edit]) -> bytes:
    """Return the bytes of the file with these edits. Raise Unchangeable."""
    text = source.text
    done: list[bytes] = []
    position = 0
    for edit in sorted(set(edits), key=lambda one: (one.start, one.end)):
        # Before Python 3.12, the parser gives wrong places inside of an f-string.
        if edit.start < position or text[edit.start : edit.end] != edit.old:
            raise Unchangeable(
                f"`{edit.old.decode()}` is not where Python's parser places it"
            )
        done += [text[position : edit.start], edit.new]
        position = edit.end
    try:
        return source.encoded(b"".join([*done, text[position:]]))
    except UnicodeError as error:
        raise Unchangeable(f"{source.encoding} has no such letters") from error


def replace(source: Source, raw: bytes) -> None:
    """Put other bytes into a file, all or none. Raise Unchangeable, or OSError."""
    path = source.path
    was = path.lstat()
    if not stat.S_ISREG(was.st_mode):
        raise Unchangeable("it is a link, or no file")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        if os.name == "posix":
            with suppress(PermissionError):
                os.chown(name, was.st_uid, was.st_gid)
        Path(name).chmod(stat.S_IMODE(was.st_mode))
        if path.is_symlink() or path.read_bytes() != source.raw:
            raise Unchangeable(  # noqa: TRY301
                "it has been changed since it was read"
            )
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
