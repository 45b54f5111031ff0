"""
Django's own `tests/generic_views`, run with Django's views swapped for ours.

Each run is a process of its own (see swap.py) on the package that is installed.
The counts are printed at the end of pytest's report and written to its XML file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .judge import count, problems, unequal_overrides
from .runs import ON_SQLITE, Runs

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


@pytest.fixture(scope="module", autouse=True)
def begun(run: Runs, asked_for: list[dict[str, Any]]) -> None:
    run.begin("django", "sync")
    for params in asked_for:
        run.begin(params["colour"], params["client"])


def test_of_django_itself(run: Runs, record_property: Callable[..., None]) -> None:
    report = run("django", "sync")

    assert not report["failures"]
    assert len(report["outcomes"]) > 200
    record_property("conformance", f"Django {report['django']} itself: {count(report)}")


@pytest.mark.parametrize(("colour", "client"), RUNS)
def test_of_ours(
    run: Runs, colour: str, client: str, record_property: Callable[..., None]
) -> None:
    report = run(colour, client)

    wrong = list(problems(report, run("django", "sync"), colour, client))

    record_property("conformance", f"{colour}, {client}: {count(report)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("colour", "client"), [one for one in RUNS if one[0].startswith("lifted")]
)
def test_each_override_runs_as_often_as_in_djangos_view(
    run: Runs, colour: str, client: str, record_property: Callable[..., None]
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


def test_runs_the_package_that_is_installed(run: Runs) -> None:
    checkout = Path(__file__).parents[2]

    package = Path(run("as-is", "asgi")["package"])

    # An editable install is one too: what must not be is a run by PYTHONPATH.
    assert package.parent == checkout / "src" or "site-packages" in package.parts
