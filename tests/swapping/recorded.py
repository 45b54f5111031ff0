"""What becomes of each test of a run, by its name."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import unittest
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Record", "listen_for_noise", "result_class"]


@dataclass
class Record:
    """What is said of the tests of a run."""

    # What became of each test: passed, failed, expected failure, skipped: why.
    outcomes: dict[str, str] = field(default_factory=dict)
    # Of each that failed its name, and below it what was said.
    failures: list[str] = field(default_factory=list)
    # What nothing else reports: never awaited, never retrieved, unraisable.
    noise: list[str] = field(default_factory=list)
    # The test that is running.
    test: str = ""

    def failed(self, name: str, text: str) -> None:
        """Note that a test failed, and what was said."""
        self.outcomes[name] = "failed"
        self.failures.append(f"{name}\n{text}")


def listen_for_noise(record: Record) -> None:
    """Report what Python only prints: of what was never awaited, or never raised."""

    def unraisable(what):
        said = f"{what.err_msg or 'Exception ignored in'} {what.object!r}: "
        record.noise.append(f"{record.test}: {said}{what.exc_value!r}")

    def in_thread(what):
        record.noise.append(f"{record.test}: in {what.thread}: {what.exc_value!r}")

    class Listener(logging.Handler):
        def emit(self, logged):
            if logged.levelno >= logging.WARNING:
                record.noise.append(f"{record.test}: asyncio: {logged.getMessage()}")

    sys.unraisablehook = unraisable
    threading.excepthook = in_thread
    logging.getLogger("asyncio").addHandler(Listener())


def result_class(record: Record) -> type[unittest.TextTestResult]:
    """Make the class of results that reports each test by its name."""

    class Result(unittest.TextTestResult):
        def startTest(self, test):
            record.test = test.id()
            record.outcomes[test.id()] = "passed"
            super().startTest(test)

        def addSkip(self, test, reason):
            record.outcomes[test.id()] = f"skipped: {reason}"
            super().addSkip(test, reason)

        def addExpectedFailure(self, test, err):
            record.outcomes[test.id()] = "expected failure"
            super().addExpectedFailure(test, err)

        def addUnexpectedSuccess(self, test):
            record.failed(test.id(), "unexpected success")
            super().addUnexpectedSuccess(test)

        def addFailure(self, test, err):
            record.failed(test.id(), formatted(err))
            super().addFailure(test, err)

        def addError(self, test, err):
            record.failed(test.id(), formatted(err))
            super().addError(test, err)

        def addSubTest(self, test, subtest, err):
            if err is not None:
                record.failed(test.id(), formatted(err))
            super().addSubTest(test, subtest, err)

    return Result


def formatted(err: Any) -> str:
    """The traceback of what a test raised."""
    return "".join(traceback.format_exception(*err))
