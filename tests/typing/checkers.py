"""Run type checkers over the bookshop, and read what its mistakes are marked with."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BOOKSHOP", "CHECKERS", "Report", "comments", "expected", "mypy", "pyright"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BOOKSHOP = HERE / "bookshop"

CHECKERS = ("mypy", "pyright")

# A line of a file, and the code of an error there.
Place = tuple[str, int, str]


@dataclass(frozen=True)
class Report:
    """What a checker said: its errors, and the types that it was asked to reveal."""

    errors: Counter[Place]
    revealed: dict[tuple[str, int], str]


def mypy(*paths: Path, cache: Path) -> Report:
    """Run `mypy --strict` with Django's stubs and their plugin."""
    command = [
        *(sys.executable, "-m", "mypy"),
        f"--config-file={HERE / 'mypy.ini'}",
        f"--cache-dir={cache}",
        "--output=json",
        *map(str, paths),
    ]
    errors: Counter[Place] = Counter()
    revealed = {}
    for line in _run(command).splitlines():
        found = json.loads(line)
        path = str((ROOT / found["file"]).resolve())
        if found["severity"] == "error":
            errors[path, found["line"], found["code"]] += 1
        elif reveals := re.fullmatch(r'Revealed type is "(.*)"', found["message"]):
            revealed[path, found["line"]] = reveals[1]
    return Report(errors, revealed)


def pyright() -> Report:
    """Run pyright in its standard mode over the bookshop."""
    command = [
        *(sys.executable, "-m", "pyright"),
        f"--project={HERE / 'pyrightconfig.json'}",
        f"--pythonpath={sys.executable}",
        "--outputjson",
    ]
    answer = json.loads(_run(command))
    if answer["summary"]["filesAnalyzed"] < len(list(BOOKSHOP.glob("*.py"))):
        raise AssertionError(f"pyright did not see the bookshop: {answer['summary']}")
    return Report(
        Counter(
            (
                str(Path(found["file"]).resolve()),
                found["range"]["start"]["line"] + 1,
                found.get("rule", found["severity"]),
            )
            for found in answer["generalDiagnostics"]
            if found["severity"] != "information"
        ),
        {},
    )


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=540, check=False
    )
    # 1 is for errors found; all else is for those of the checker itself, as is prose.
    if done.returncode not in {0, 1} or done.stdout[:1] not in {"{", ""}:
        raise AssertionError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def comments(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield the line of each comment, its text, and whether it is alone on its line."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            yield token.start[0], token.string, alone


def expected(paths: Iterable[Path], checker: str) -> Counter[Place]:
    """
    Count what the files say that a checker finds in them.

    `# error -> mypy[code] pyright[rule]` is about the next line that is no comment;
    each code stands for one error.
    """
    found: Counter[Place] = Counter()
    for path in paths:
        lines = [*comments(path)]
        for number, text, alone in lines:
            if not re.match(r"#\s*error\b", text):
                continue
            marks = re.fullmatch(r"# error ->((?: (?:mypy|pyright)\[[\w-]+\])+)", text)
            if marks is None or not alone:
                raise ValueError(f"{path}:{number}: {text!r} expects nothing")
            line = number + 1
            while any(line == other and bare for other, _, bare in lines):
                line += 1
            for name, code in re.findall(r"(\w+)\[([\w-]+)\]", marks[1]):
                if name == checker:
                    found[str(path.resolve()), line, code] += 1
    return found
