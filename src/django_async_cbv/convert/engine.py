"""Convert files: read them all, decide, and make the changed bytes of each."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from .decide import Decision, Finding, decide
from .edits import rewritten
from .facts import Facts
from .files import BadInput, is_excluded, python_files, root_of, shown
from .library import Library
from .names import facts_of
from .source import BOM, Source, Unchangeable, decoded, read, replace

__all__ = ["Change", "Result", "convert", "write"]

# Files with one of these names are read to the end. Of other files, only classes count.
_DEEP = re.compile(
    rb"\bdjango\.(?:views|contrib\.(?:auth|messages))\b|\bdjango_async_extensions\b"
    rb"|\bas_view\b|\bfrom django import\b|\.\w+(?:View|Mixin)\b|\bimport \*"
)
_CHUNK = 16
# With fewer files, one process is faster than the start of others.
_FEW = 60


@dataclass
class Change:
    """A file, before and after, and what was converted in it: line, name, result."""

    source: Source
    after: bytes
    converted: list[tuple[int, str, str]]

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        name = shown(self.source.path)
        before = _lines(self.source.raw, self.source.encoding)
        after = _lines(self.after, self.source.encoding)
        lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )


def _lines(raw: bytes, encoding: str) -> list[str]:
    return raw.removeprefix(BOM).decode(encoding).splitlines(keepends=True)


@dataclass
class Result:
    """What came of a run."""

    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    # The number of files that were read.
    files: int = 0


def convert(
    paths: Sequence[Path],
    *,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    jobs: int | None = None,
) -> Result:
    """Work out what changes in these files and folders; write nothing."""
    chosen, links = _chosen(paths, exclude)
    others = {
        file
        for root in {root_of(path) for path in paths}
        for file in python_files(root)
        if not file.is_symlink()
    }
    result = Result(files=len(chosen))
    result.findings = [Finding(str(link), 1, "link") for link in links]
    known = _read_all(sorted({*chosen, *others}), jobs)
    facts = [one for one in known if isinstance(one, Facts)]
    for one in known:
        if isinstance(one, tuple) and Path(one[0]) in chosen:
            result.findings.append(Finding(one[0], 1, "unreadable", detail=one[1]))
    library = Library(facts)
    chosen_paths = {str(path) for path in chosen} & library.project
    decisions, found = decide(library, chosen_paths, partial(_fits, only))
    result.findings += found
    for path, decision in sorted(decisions.items()):
        if not decision.is_empty:
            _change(result, library.files[path], decision)
    result.findings.sort()
    return result


def _change(result: Result, facts: Facts, decision: Decision) -> None:
    try:
        source = read(Path(facts.path))
        after = rewritten(source, facts, decision)
        compile(
            after, facts.path, "exec", dont_inherit=True, flags=0x400
        )  # only its AST
    except (Unchangeable, SyntaxError) as error:
        result.findings.append(
            Finding(facts.path, 1, "unchangeable", detail=str(error))
        )
    else:
        result.changes.append(Change(source, after, sorted(decision.converted)))


def _chosen(
    paths: Sequence[Path], exclude: Sequence[str]
) -> tuple[set[Path], set[Path]]:
    chosen: set[Path] = set()
    links: set[Path] = set()
    for path in paths:
        if path.is_symlink():
            links.add(path)
        elif path.is_dir():
            for file in python_files(path, exclude):
                (links if file.is_symlink() else chosen).add(file)
        elif path.is_file():
            if not is_excluded(path, exclude):
                chosen.add(path)
        else:
            raise BadInput(f"{shown(path)} does not exist. Name a file or a folder.")
    return chosen, links


def _fits(only: Sequence[str], path: str, name: str) -> bool:
    """Whether `--only` asks for a class."""
    if not only:
        return True
    module = ".".join([*Path(path).with_suffix("").parts[1:], name])
    texts = [shown(path), Path(path).name, name, module]
    return any(
        fnmatch(text, one) or fnmatch(text, f"*.{one}") or fnmatch(text, f"*/{one}")
        for text in texts
        for one in only
    )


def _read_all(paths: Sequence[Path], jobs: int | None) -> list[Facts | tuple[str, str]]:
    jobs = jobs or min(os.cpu_count() or 1, 8)
    if jobs < 2 or len(paths) < _FEW:
        return [_facts(path) for path in paths]
    with ProcessPoolExecutor(jobs) as pool:
        return [*pool.map(_facts, paths, chunksize=_CHUNK)]


def _facts(path: Path) -> Facts | tuple[str, str]:
    """The facts of a file, or its path and why there are none."""
    try:
        source = read(path)
    except Unchangeable as error:
        return str(path), str(error)
    return facts_of(source, is_deep=_DEEP.search(source.text) is not None)


def converted_text(raw: bytes, path: Path) -> bytes:
    """The converted bytes of one file that stands for itself."""
    source = decoded(path, raw)
    facts = facts_of(source, is_deep=True)
    decisions, _ = decide(Library([facts]), {str(path)}, lambda *_: True)
    return rewritten(source, facts, decisions[str(path)])


def write(changes: Iterable[Change], say: Callable[[Finding], None]) -> list[Change]:
    """Put the changed files into the place of the old ones, each whole or not."""
    written = []
    for change in changes:
        try:
            replace(change.source, change.after)
        except Unchangeable as error:
            path = str(change.source.path)
            say(Finding(path, 1, "unchangeable", detail=str(error)))
        else:
            written.append(change)
    return written
