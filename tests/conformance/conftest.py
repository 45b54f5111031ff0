"""Shows the counts of Django's own tests, at the end of pytest's report."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports(
        "failed"
    )
    lines = [
        value
        for report in reports
        for name, value in report.user_properties
        if name == "conformance" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("Django's own tests")
        for line in lines:
            terminalreporter.write_line(line)
