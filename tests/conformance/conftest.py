"""What runs Django's own tests, and shows the counts at the end of pytest's report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.reporting import show_recorded
from tests.swapping.sdists import SourceUnavailable

from .django_source import django_tests
from .runs import Runs


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Give what runs tests of Django's; skip where its sdist can't be had."""
    try:
        tests = django_tests()
    except SourceUnavailable as reason:
        pytest.skip(str(reason))
    runs = Runs(tests, tmp_path_factory.mktemp("conformance"))
    yield runs
    runs.end()


@pytest.fixture(scope="module")
def asked_for(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Give the parameters of the tests of this module that are to run."""
    return [
        item.callspec.params
        for item in request.session.items
        if item.getparent(pytest.Module) is request.node and hasattr(item, "callspec")
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    show_recorded(terminalreporter, "conformance", "Django's own tests")
