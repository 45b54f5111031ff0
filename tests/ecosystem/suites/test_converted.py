"""
The codemod, on the sources of other packages: complete, stable, and the suites pass.

Each source is converted in a copy. Which classes stand on Django's is counted here by
other means, from the imports alone.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from django_async_cbv.convert import engine, tables
from tests.swapping.sdists import SourceUnavailable, unpacked_sdist

from .packages import SUITES
from .test_suites import SCRIPT, named

SOURCES = {
    "django-allauth": "65.21.1",
    "django-extra-views": "0.16.0",
    "django-oscar": "4.2.1",
    "django-tables2": "3.0.1",
    "wagtail": "8.0.1",
}
# On two processors, and while other suites run beside it.
LINES_A_SECOND = 2_000


def copy_of(package: str, folder: Path) -> Path:
    try:
        sdist = unpacked_sdist(package, SOURCES[package])
    except SourceUnavailable as reason:
        pytest.skip(str(reason))
    copy = shutil.copytree(sdist, folder / package)
    (copy / "pyproject.toml").touch()
    return copy


def on_djangos(path: Path) -> set[str]:
    """The classes of a file whose bases are imported from Django's view modules."""
    tree = ast.parse(path.read_bytes())
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = set()
    for node in ast.walk(tree):
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            root, _, rest = ast.unparse(base).partition("[")[0].partition(".")
            target = ".".join([names.get(root, ""), *rest.split(".")]).rstrip(".")
            module, _, name = target.rpartition(".")
            if module == "django.views":
                module = "django.views.generic"
            if tables.ours_for(module, name):
                found.add(node.name)
    return found


@pytest.mark.parametrize("package", SOURCES)
def test_every_class_is_converted_or_reported(package, tmp_path, record_property):
    copy = copy_of(package, tmp_path)
    lines = sum(len(one.read_bytes().splitlines()) for one in copy.rglob("*.py"))

    started = time.monotonic()
    result = engine.convert([copy], jobs=2)
    seconds = time.monotonic() - started

    said = {(one.path, one.name.rpartition(".")[2]) for one in result.findings}
    for change in result.changes:
        said |= {
            (str(change.source.path), name.rpartition(".")[2])
            for _, name, _ in change.converted
        }
    wanted = {
        (str(path), name)
        for path in copy.rglob("*.py")
        if not path.is_symlink()
        for name in on_djangos(path)
    }
    assert wanted
    assert wanted <= said, wanted - said
    assert lines / seconds > LINES_A_SECOND
    count = sum(len(change.converted) for change in result.changes)
    record_property(
        "suite",
        f"codemod on {package}: {count} places in {len(result.changes)} files, "
        f"{len(result.findings)} reported, {lines} lines in {seconds:.1f} s",
    )

    assert len(engine.write(result.changes, result.findings.append)) == len(
        result.changes
    )
    for change in result.changes:
        compile(change.after, str(change.source.path), "exec", dont_inherit=True)
    assert engine.convert([copy], jobs=2).changes == []


@pytest.mark.parametrize("package", ["django-allauth", "wagtail"])
def test_the_suite_passes_on_converted_sources(package, tmp_path):
    [suite] = [one for one in SUITES if one.package == package]
    passed = []
    for kind in ("before", "after"):
        (tmp_path / kind).mkdir()
        copy = copy_of(package, tmp_path / kind)
        if kind == "after":
            result = engine.convert([copy], jobs=2)
            assert engine.write(result.changes, result.findings.append)
        report = tmp_path / f"{kind}.json"
        command = [sys.executable, "-I", str(SCRIPT), "--folder", str(copy)]
        command += ["--settings", suite.settings, "--report", str(report)]
        command += ["--database", str(tmp_path / "migrated")]
        processes = f"--processes={suite.processes}"
        command += ["--pytest"] if suite.is_pytest else [processes]
        done = subprocess.run(
            [*command, *suite.labels], capture_output=True, text=True, check=False
        )
        assert report.exists(), done.stdout + done.stderr
        passed.append(named(json.loads(report.read_text()), "passed"))
    assert passed[0] == passed[1]
    assert len(passed[0]) == suite.passing
