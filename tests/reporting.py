"""Shows, at the end of pytest's report, lines that tests have recorded."""

from __future__ import annotations

import pytest

__all__ = ["show_recorded"]


def show_recorded(
    terminalreporter: pytest.TerminalReporter, name: str, title: str
) -> None:
    """Show the properties `name` of the tests that ran, below a title."""
    lines = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for key, value in report.user_properties
        if key == name and report.when == "call"
    ]
    if lines:
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
