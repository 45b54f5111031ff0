"""Leave the folder out of other runs; show what came of each suite at the end."""

import pytest
from django.conf import settings

from tests.reporting import show_recorded

if settings.SETTINGS_MODULE != "tests.ecosystem.suites.settings":
    collect_ignore_glob = ["*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    show_recorded(terminalreporter, "suite", "The packages' own tests")
