"""Say, one line each, what a run of tox tested; fail unless that was everything.

Reads what the run left behind: tox's own results (reports/tox*.json), one JUnit file
for each environment and database (reports/<environment>-<database>.xml) and one for
each long environment (reports/<environment>.xml). The argument is the exit status of
tox. After the counts: how long each environment took, and the slowest tests of all.
The last line is the total.
"""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "reports"
DATABASES = ("sqlite", "postgres")
# Of the classifiers, one for each version that is supported.
DJANGOS = set(
    re.findall(r'"Framework :: Django :: (.+)"', (ROOT / "pyproject.toml").read_text())
)
LEAST_PYTHONS = 3
# The environments in which tox.ini goes over to PostgreSQL, one for each Django.
WITH_POSTGRES = "py313-"
CHECKS = ("lint", "typing", "docs", "ecosystem")
# Those of the label `long`, which the README's command leaves out.
LONG = (
    "suites",
    "generated-django61",
    "conformance-django52",
    "conformance-django60",
    "conformance-django61",
    "site",
    "faults",
    "agents",
    "streams",
    "browser",
)
# tox's results: of the README's command, and of what it leaves out.
RESULTS = ("tox.json", "tox-long.json")
# The properties in which tests tell what they have run.
RECORDED = ("conformance", "suite")

SLOWEST = 10

# What may be skipped for good: a feature that a version, a database or a server lacks,
# and an example of the docs that a test has as well.
# Everything else (no server, no PostgreSQL, no browser, no package) means that a suite
# did not run.
SKIP_ALLOWED = re.compile(
    r"(Django|Python) \d|Database (doesn't|has)|SQLite: |Server: |Tested in tests/"
)


@dataclass
class Report:
    """The counts of one JUnit file."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    # The names of the tests that failed.
    failures: list[str] = field(default_factory=list)
    # Why tests were skipped, and how many.
    reasons: Counter[str] = field(default_factory=Counter)
    # What tests have recorded of the tests of others: Django's, other packages'.
    recorded: list[str] = field(default_factory=list)
    # Of each test its seconds, setup and teardown among them, and its name.
    times: list[tuple[float, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read(path: Path) -> Report:
    """Count the test cases of a JUnit file."""
    report = Report()
    for case in ET.parse(path).getroot().iter("testcase"):
        skip = case.find("skipped")
        name = f"{case.get('classname')}::{case.get('name')}"
        report.times.append((float(case.get("time", 0)), name))
        report.recorded += [
            recorded.get("value", "")
            for recorded in case.iter("property")
            if recorded.get("name") in RECORDED
        ]
        if case.find("failure") is not None or case.find("error") is not None:
            report.failed += 1
            report.failures.append(name)
        elif skip is not None:
            report.skipped += 1
            report.reasons[skip.get("message", "")] += 1
        else:
            report.passed += 1
    return report


def versions(environment: str) -> tuple[str, str]:
    """Return the versions of Python and Django that an environment really has."""
    python = ROOT / ".tox" / environment / "bin" / "python"
    code = "import platform as p, django; print(p.python_version(), django.__version__)"
    output = subprocess.check_output([python, "-c", code], text=True)
    python_version, django_version = output.split()
    return python_version, django_version


def minor(version: str) -> str:
    """Return "6.1" of "6.1.3"."""
    return ".".join(version.split(".")[:2])


def print_times(environments: dict[str, dict[str, Any]], total: Report) -> None:
    """Print the seconds of each environment, the longest first, and the slowest tests.

    Environments run beside each other: together they take more than the whole run.
    """
    print("\nHow long it took, in seconds:")
    for name, found in sorted(
        environments.items(), key=lambda one: -one[1]["result"].get("duration", 0)
    ):
        result = found["result"]
        if result.get("skipped"):
            continue
        parts = [
            f"{part} {sum(run.get('elapsed', 0) for run in found.get(key, [])):.0f}"
            for part, key in (("setup", "setup"), ("commands", "test"))
        ]
        print(f"{result.get('duration', 0):7.1f} {name} ({', '.join(parts)})")
    print(f"The {SLOWEST} slowest tests:")
    for time, name in sorted(total.times, reverse=True)[:SLOWEST]:
        print(f"{time:7.1f} {name}")


def main(tox_status: int) -> int:
    """Print the summary; return the exit status."""
    problems = []
    if tox_status:
        problems.append(f"tox ended with status {tox_status}")
    environments: dict[str, dict[str, Any]] = {}
    for result_file in RESULTS:
        try:
            named = json.loads((REPORTS / result_file).read_text())["testenvs"]
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"tox left no result in {result_file}: {error!r}")
        else:
            # Each file names all environments, also those that were not asked for.
            environments |= {
                name: found for name, found in named.items() if "result" in found
            }

    total = Report()

    def judge(where: str, file: Path) -> bool:
        """Add an environment's report to the total; return whether there is one."""
        try:
            report = read(file)
        except (OSError, ET.ParseError) as error:
            total.failed += 1
            problems.append(f"{where}: no report: {error}")
            return False
        print(f"{where}: {report}")
        print(*(f"    {line}\n" for line in report.recorded), sep="", end="")
        total.passed += report.passed
        total.failed += report.failed
        total.skipped += report.skipped
        total.times += [(time, f"{where}: {name}") for time, name in report.times]
        problems.extend(
            f"{where}: skipped: {reason}"
            for reason in report.reasons
            if not SKIP_ALLOWED.match(reason)
        )
        if not report.passed:
            problems.append(f"{where}: no test passed")
        return True

    pythons: set[str] = set()
    tested: dict[str, set[str]] = {}
    print("\nWhat was tested:")
    for name in sorted(environments):
        result = environments[name].get("result")
        if not name.startswith("py") or result is None:
            continue
        files = {database: REPORTS / f"{name}-{database}.xml" for database in DATABASES}
        if not any(file.exists() for file in files.values()):
            if result["success"]:
                print(f"{name}: not run, no such interpreter here")
            else:
                print(f"{name}: broken before its first test")
                total.failed += 1
            continue
        python, django = versions(name)
        for database, file in files.items():
            if database == "postgres" and not name.startswith(WITH_POSTGRES):
                continue
            where = f"{name} {database} (Python {python}, Django {django})"
            if judge(where, file):
                tested.setdefault(database, set()).add(minor(django))
        pythons.add(minor(python))
    for name in CHECKS:
        success = environments.get(name, {}).get("result", {}).get("success", False)
        print(f"{name}: {'passed' if success else 'failed'}")
        total.passed += success
        total.failed += not success
    for name in LONG:
        # Without a report if it was skipped, or broken before its first test.
        judge(name, REPORTS / f"{name}.xml")

    for database in DATABASES:
        if missing := DJANGOS - tested.get(database, set()):
            names = ", ".join(sorted(missing))
            problems.append(f"not tested on {database}: Django {names}")
    if len(pythons) < LEAST_PYTHONS:
        problems.append(f"tested on {len(pythons)} Pythons, {LEAST_PYTHONS} are needed")
    print_times(environments, total)
    for problem in problems:
        print(f"FAILED: {problem}")
    print(total)
    return 1 if problems or total.failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
