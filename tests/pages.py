"""How the Python blocks of the docs run: those that a reader sees, and the hidden ones.

A visible block stands for a file, which its first line names: `# library/views.py`. It
runs as that module, alone: it sees nothing but what it imports. With
`# library/views.py, continued` it runs after the blocks of that file on the same page.
Other blocks of the page may import from it, as from a file of the project in
docs/library.

A hidden block sees all names of the page. What it defines, no visible block sees.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sybil import Example
from sybil.evaluators.python import PythonEvaluator, pad

ROOT = Path(__file__).parent.parent
FILE = re.compile(r"# (?P<path>[\w/-]+)\.py(?P<continued>, continued)?\n")
WIDTH = 72
# A block in a list is indented.
FENCE = re.compile(r"^( *)```python\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
INVISIBLE = re.compile(r"<!---.*?-->", re.DOTALL)

_run = PythonEvaluator()


def name_of(path: Path) -> str:
    """The path of a page from the root on."""
    return path.relative_to(ROOT).as_posix()


def is_hidden(example: Example) -> bool:
    # In a list, a block starts with its indentation.
    text = example.document.text[example.start : example.end]
    return text.lstrip().startswith("<!---")


def evaluate(example: Example) -> None:
    """Run a block of a page."""
    __tracebackhide__ = True
    if is_hidden(example):
        _run(example)
        return
    importlib.import_module("tests.library")  # starts the shop
    file = FILE.match(example.parsed)
    assert file, "The first line of a block names its file: # library/views.py"
    modules = example.namespace.setdefault("_modules", {})
    name = file["path"].replace("/", ".")
    module = modules[name][0] if file["continued"] else _begin(name, modules)
    source = pad(example.parsed, example.line + example.parsed.line_offset)
    code = compile(source, example.path, "exec", dont_inherit=True)
    exec(code, vars(module))
    names = {key: value for key, value in vars(module).items() if key[:2] != "__"}
    example.namespace.update(names)


def _begin(name: str, modules: dict[str, tuple[ModuleType, Any]]) -> ModuleType:
    """Put an empty module in the place of the one that has this name."""
    module = ModuleType(name)
    before = modules[name][1] if name in modules else sys.modules.get(name)
    modules[name] = module, before
    _install(name, module)
    return module


def _install(name: str, module: ModuleType | None) -> None:
    package, _, short = name.rpartition(".")
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module
    if package:
        parent = importlib.import_module(package)
        if module is None:
            vars(parent).pop(short, None)
        else:
            setattr(parent, short, module)


def forget(namespace: dict[str, Any]) -> None:
    """Put the modules back that blocks have replaced."""
    for name, (_, before) in namespace.get("_modules", {}).items():
        _install(name, before)


def visible(path: Path) -> Iterator[str]:
    """The Python blocks that a reader sees, each as the file that it makes."""
    files: dict[str, str] = {}
    text = INVISIBLE.sub("", path.read_text(encoding="utf-8"))
    for indent, block in FENCE.findall(text):
        source = re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
        file = FILE.match(source)
        if file and file["continued"]:
            source = files[file["path"]] + source
        if file:
            files[file["path"]] = source
        yield source


def faults(path: Path) -> list[str]:
    """What keeps the visible blocks of a page from running as pasted."""
    from pyflakes.api import check
    from pyflakes.reporter import Reporter

    found = []
    for source in visible(path):
        first = source.partition("\n")[0]
        if not FILE.match(source):
            found.append(f"names no file: {first}")
        report = io.StringIO()
        check(source, first, Reporter(report, report))
        found += report.getvalue().splitlines()
        found += [
            f"wider than {WIDTH} columns: {line}"
            for line in source.splitlines()
            if len(line) > WIDTH
        ]
    return found
