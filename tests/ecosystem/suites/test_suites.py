"""
Each package's own tests pass on our views as they pass on Django's.

None of them is edited. Each suite runs in a process of its own, with our views put in
the place of Django's before the package is imported. What is compared are the names of
the tests that pass. packages.py has those on Django's views, as a digest. If ours are
others, the same tests run as they are too, and the two runs are compared.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.swapping.sdists import SourceUnavailable, unpacked_sdist

from .packages import SUITES, Suite

SCRIPT = Path(__file__).with_name("run_suite.py")
PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "ecosystem.md"
RUN_SECONDS = 1500
# How a test ends that its author expects to fail.
EXPECTED = "expected failure"


# The report of a suite on Django's views, if it had to run, and of the suite on ours.
Reports = tuple[dict[str, Any] | None, dict[str, Any]]


def run_both(suite: Suite, folder: Path) -> Reports:
    """
    Run a suite on our views, and on Django's if that is not what is known of it.

    Raise SourceUnavailable.
    """
    sdist = unpacked_sdist(suite.package, suite.version)
    ours = run(suite, sdist, folder, is_swapped=True)
    if digest(ours) == suite.digest and not ours["noise"]:
        return None, ours
    return run(suite, sdist, folder, is_swapped=False), ours


def digest(report: dict[str, Any]) -> str:
    """What stands for the names of the tests that pass, or fail as they should."""
    names = [
        sorted(named(report, "passed")),
        sorted(named(report, EXPECTED)),
        sorted(report["views"]),
    ]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def run(suite: Suite, sdist: Path, folder: Path, *, is_swapped: bool) -> dict[str, Any]:
    """Run a suite once, in a copy of its sdist, and return the report."""
    name = f"{suite.package}-{'swapped' if is_swapped else 'django'}"
    report = folder / f"{name}.json"
    # Tests write files, also beside themselves.
    copy = shutil.copytree(sdist, folder / name)
    command = [sys.executable, "-I", str(SCRIPT), "--folder", str(copy)]
    command += ["--settings", suite.settings, "--report", str(report)]
    command += ["--database", str(folder / f"{suite.package}-migrated")]
    command += [f"--spare={module}" for module in suite.spared]
    command += ["--swapped"] * is_swapped
    command += ["--pytest"] if suite.is_pytest else [f"--processes={suite.processes}"]
    done = subprocess.run(
        [*command, *suite.labels],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    shutil.rmtree(copy)
    assert report.exists(), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    lines = done.stderr.splitlines()
    found["noise"] = [line for line in lines if line.startswith("noise: ")]
    return found


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Suite, Future[Reports]]]:
    """Run the suites that were asked for, two at a time, the longest first."""
    folder = tmp_path_factory.mktemp("suites")
    asked = [
        item.callspec.params["suite"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and "suite" in getattr(item, "fixturenames", ())
        and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {suite: pool.submit(run_both, suite, folder) for suite in asked}
        pool.shutdown(cancel_futures=True)


def named(report: dict[str, Any], end: str) -> set[str]:
    """The names of the tests that came to this end."""
    return {test for test, its_end in report["outcomes"].items() if its_end == end}


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_same_tests_pass(
    suite: Suite,
    runs: dict[Suite, Future[Reports]],
    record_property: Callable[..., None],
) -> None:
    assert version(suite.package) == suite.version

    try:
        of_django, of_ours = runs[suite].result()
    except SourceUnavailable as reason:
        pytest.skip(str(reason))

    got = named(of_ours, "passed")
    wanted = got if of_django is None else named(of_django, "passed")
    record_property(
        "suite",
        f"{suite.package} {suite.version}, Django {of_ours['django']}: "
        f"{len(got & wanted)} of the {len(wanted)} that pass on Django's own views, "
        f"{len(of_ours['views'])} views and mixins ({of_ours['seconds']:.0f} s)",
    )
    for test, end in of_ours["outcomes"].items():
        if end not in ("passed", EXPECTED):
            record_property("suite", f"    does not pass: {test}: {end}")
    assert of_ours["views"]
    assert not of_ours["escaped"]
    if of_django is not None:
        lost = [
            text
            for text in of_ours["failures"]
            if text.partition("\n")[0] in wanted - got
        ]
        assert not lost, "\n".join(lost)
        assert got == wanted
        assert named(of_ours, EXPECTED) == named(of_django, EXPECTED)
        assert of_ours["views"] == of_django["views"]
        assert len(of_ours["noise"]) <= len(of_django["noise"]), of_ours["noise"]
    assert len(wanted) == suite.passing
    # Of Django's views, where they had to run.
    assert digest(of_django or of_ours) == suite.digest


def test_the_group_installs_what_the_list_names() -> None:
    groups = tomllib.loads(PYPROJECT.read_text())["dependency-groups"]
    wanted = {pin for suite in SUITES for pin in suite.pins}
    assert {one for one in groups["suites"] if isinstance(one, str)} == wanted


def test_the_docs_print_the_list() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [
        f"| {suite.package} | {suite.version} | {suite.passing:,} |" for suite in SUITES
    ]
    assert "\n".join(rows) in page
