"""
Django's own `tests/generic_views`, run with Django's views swapped for ours.

Each run is a process of its own (see swap.py) on the package that is installed.
The counts are printed at the end of pytest's report and written to its XML file.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from .django_source import SourceUnavailable, django_tests
from .judge import count, problems, unequal_overrides

SWAP = Path(__file__).with_name("swap.py")
LABELS = ["generic_views"]
RUN_SECONDS = 300

ON_SQLITE = settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"

RUNS = [("as-is", "asgi"), ("lifted", "asgi")]
if ON_SQLITE:
    RUNS += [("as-is", "sync"), ("lifted", "sync")]
    # Beyond all twins at once: handlers too, of both colours, and overrides that
    # only super() leads to.
    RUNS += [
        ("lifted-async", "asgi"),
        ("lifted-sync", "asgi"),
        ("lifted-behind", "asgi"),
    ]

Run = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give what runs Django's tests in a colour, by a client: once for each."""
    try:
        tests = django_tests()
    except SourceUnavailable as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("conformance")

    @functools.cache
    def run(colour: str, client: str) -> dict[str, Any]:
        report = folder / f"{colour}-{client}.json"
        command = [sys.executable, "-I", str(SWAP)]
        command += ["--tests", str(tests), "--report", str(report)]
        command += ["--colour", colour, "--client", client]
        if not ON_SQLITE:
            command += ["--databases", json.dumps(databases(), default=str)]
        done = subprocess.run(
            [*command, *LABELS],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert report.exists(), done.stdout + done.stderr
        found: dict[str, Any] = json.loads(report.read_text())
        return found

    return run


def databases() -> dict[str, Any]:
    """The two databases that Django's tests need, on the server of this run."""
    ours = settings.DATABASES["default"]
    return {
        alias: ours | {"TEST": {"NAME": f"test_{ours['NAME']}_conformance_{alias}"}}
        for alias in ("default", "other")
    }


def test_of_django_itself(run: Run, record_property: Callable[..., None]) -> None:
    report = run("django", "sync")

    assert not report["failures"]
    assert len(report["outcomes"]) > 200
    record_property("conformance", f"Django {report['django']} itself: {count(report)}")


@pytest.mark.parametrize(("colour", "client"), RUNS)
def test_of_ours(
    run: Run, colour: str, client: str, record_property: Callable[..., None]
) -> None:
    report = run(colour, client)

    wrong = list(problems(report, run("django", "sync"), colour, client))

    record_property("conformance", f"{colour}, {client}: {count(report)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("colour", "client"), [one for one in RUNS if one[0].startswith("lifted")]
)
def test_each_override_runs_as_often_as_in_djangos_view(
    run: Run, colour: str, client: str, record_property: Callable[..., None]
) -> None:
    report = run(colour, client)
    of_django = "django-behind" if colour == "lifted-behind" else "django-overridden"

    wrong = list(unequal_overrides(report, run(of_django, "sync")))

    runs = sum(sum(hooks.values()) for hooks in report["overrides"].values())
    record_property(
        "conformance",
        f"{colour}, {client}: {len(report['hooks'])} hooks overridden, "
        f"{runs} runs of the overrides, each as often as in Django's views",
    )
    assert runs
    assert not wrong, "\n".join(wrong)


def test_runs_the_package_that_is_installed(run: Run) -> None:
    checkout = Path(__file__).parents[2]

    package = Path(run("as-is", "asgi")["package"])

    # An editable install is one too: what must not be is a run by PYTHONPATH.
    assert package.parent == checkout / "src" or "site-packages" in package.parts
