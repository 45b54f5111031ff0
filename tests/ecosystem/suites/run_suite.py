"""
Run the tests of a package, on Django's views or on ours, in this process.

    python -I run_suite.py --folder DIR --settings MODULE --report FILE
        --database FILE [--swapped] [--spare MODULE]... [--pytest | --processes N]
        LABEL...

DIR is the package's unpacked sdist: its tests, and its code, are imported from there.
What is tested is the installed django_async_cbv: -I shuts PYTHONPATH out. `--swapped`
puts our views in the place of Django's before anything of DIR is imported, but after
each MODULE was, whose classes so remain Django's.

The report is JSON: see SuiteReport. Noise, of any of the processes, is a line on
stderr. The database FILE gets the migrated database of a
run on Django's views; a run on swapped ones starts with it, as migrations take longer
than tests.

Imports nothing but the standard library before the arguments are read.
"""

from __future__ import annotations

import argparse
import contextvars
import gc
import importlib
import json
import os
import sqlite3
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What is shared with the runs of Django's own tests: behind everything else.
sys.path.append(str(Path(__file__).resolve().parents[2] / "swapping"))

from recorded import Record, listen_for_noise, result_class
from swapped_classes import (
    AppSwapper,
    django_views,
    find_escaped,
    made_from,
    swap_views,
)


@dataclass
class SuiteReport(Record):
    """What is said of a run."""

    # Where the package that was swapped in lies, and its Django.
    package: str = ""
    django: str = ""
    seconds: float = 0
    # The view classes and mixins of others, and those of them that are made from
    # Django's all the same.
    views: list[str] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)


class Printed(list[str]):
    """What is added is printed: other processes have a list of their own."""

    def append(self, said: str) -> None:
        print(f"noise: {said}", file=sys.stderr, flush=True)


report = SuiteReport(noise=Printed())
originals: dict[str, type] = {}
# The classes of others that were made before the swap.
spared: set[type] = set()


def prepare(spare: list[str], *, is_swapped: bool) -> None:
    """Swap Django's classes for ours, those of its apps when they are imported."""
    import django

    # Declares the twins; has to see Django's own views.
    import django_async_cbv.views

    report.package = str(Path(django_async_cbv.__file__).parent)
    report.django = django.__version__
    originals.update(django_views())
    for name in spare:
        importlib.import_module(name)
    spared.update(cls for cls in made_from(originals) if is_of_others(cls))
    if is_swapped:
        swap_views(originals)
        sys.meta_path.insert(0, AppSwapper(originals))


def keep_database(file: Path) -> None:
    """Write each migrated database to a file, or begin with this file."""
    from django.db.backends.base.creation import BaseDatabaseCreation
    from django.db.backends.sqlite3.creation import DatabaseCreation

    begin = DatabaseCreation._create_test_db
    migrate = BaseDatabaseCreation.create_test_db
    kept = []

    def of(creation: Any) -> str:
        return f"{file}-{creation.connection.alias}"

    def begin_with_file(self, *args: Any, **kwargs: Any) -> str:
        name = begin(self, *args, **kwargs)
        if Path(of(self)).exists():
            # In memory, it is there as long as anybody is connected.
            kept.append(sqlite3.connect(name, uri=True, check_same_thread=False))
            sqlite3.connect(of(self)).backup(kept[-1])
        return name

    def migrate_and_write(self, *args: Any, **kwargs: Any) -> str:
        name = migrate(self, *args, **kwargs)
        if not Path(of(self)).exists():
            self.connection.ensure_connection()
            target = sqlite3.connect(of(self))
            self.connection.connection.backup(target)
            target.close()
        return name

    DatabaseCreation._create_test_db = begin_with_file
    BaseDatabaseCreation.create_test_db = migrate_and_write


def forget_contexts() -> None:
    """
    Run each test of Django's test cases in a context of its own.

    Overridden settings leave context variables behind, thousands in the end, and
    asgiref copies each of them whenever sync code calls async code, or async sync.
    """
    from django.test import SimpleTestCase

    call = SimpleTestCase.__call__

    def call_in_context(self: Any, result: Any = None) -> None:
        contextvars.copy_context().run(call, self, result)

    SimpleTestCase.__call__ = call_in_context


def hash_quickly() -> None:
    """Let a password take one round of the hash that it has, on either kind of views.

    Django's own takes more than a million, and so most of the time of some suites.
    """
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    PBKDF2PasswordHasher.iterations = 1


def migrate_quickly() -> None:
    """Let a migration make anew only the models that it changes, and their neighbors.

    All that can be reached from these are most of the models, in each of hundreds of
    migrations; the tables are the same without.
    """
    from django.db.migrations.state import ProjectState

    reload = ProjectState.reload_model

    def reload_neighbors(self: Any, *args: Any, **kwargs: Any) -> None:
        reload(self, args[0], args[1], delay=True)

    ProjectState.reload_model = reload_neighbors


def run_by_django(labels: list[str], processes: int) -> None:
    """Run tests by Django's runner."""
    import django
    from django.test.runner import DiscoverRunner

    class ReportingRunner(DiscoverRunner):
        def get_resultclass(self) -> Any:
            return result_class(report)

    django.setup()
    runner = ReportingRunner(verbosity=1, interactive=False, parallel=processes)
    runner.run_tests(labels)


def run_by_pytest(labels: list[str], settings: str) -> None:
    """Run tests by pytest, with what their own pytest.ini says."""
    import pytest
    from _pytest.runner import runtestprotocol

    class Reporter:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool:
            # As pytest does, but in a context of its own: see forget_contexts().
            item.ihook.pytest_runtest_logstart(
                nodeid=item.nodeid, location=item.location
            )
            context = contextvars.copy_context()
            context.run(runtestprotocol, item, nextitem=nextitem)
            item.ihook.pytest_runtest_logfinish(
                nodeid=item.nodeid, location=item.location
            )
            return True

        def pytest_runtest_logstart(self, nodeid: str) -> None:
            report.test = nodeid

        def pytest_runtest_logreport(self, report: Any) -> None:
            record_phase(report)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                record_phase(report)

    arguments = [f"--ds={settings}", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    # What they would notice is listened for here.
    arguments += ["-p", "no:unraisableexception", "-p", "no:threadexception"]
    pytest.main([*arguments, *labels], plugins=[Reporter()])


def record_phase(phase: Any) -> None:
    """Note what pytest says of the setup, the call or the teardown of a test."""
    if phase.failed:
        report.failed(phase.nodeid, str(phase.longrepr))
    elif hasattr(phase, "wasxfail"):
        report.outcomes.setdefault(phase.nodeid, "expected failure")
    elif phase.skipped:
        report.outcomes[phase.nodeid] = f"skipped: {phase.longrepr[-1]}"
    elif phase.when == "call":
        report.outcomes.setdefault(phase.nodeid, "passed")


def is_of_others(cls: type) -> bool:
    """Whether a class is neither Django's nor ours."""
    return cls.__module__.partition(".")[0] not in ("django", "django_async_cbv")


def views_of_others() -> list[str]:
    """The view classes and mixins whose bases are swapped in a swapped run."""
    return sorted(
        f"{cls.__module__}.{cls.__qualname__}"
        for cls in made_from(originals)
        if is_of_others(cls) and not issubclass(cls, tuple(spared))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--database", required=True, type=Path)
    parser.add_argument("--swapped", action="store_true")
    parser.add_argument("--pytest", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--spare", action="append", default=[], metavar="MODULE")
    parser.add_argument("labels", nargs="+")
    options = parser.parse_args()
    report_file = options.report.absolute()
    os.environ["DJANGO_SETTINGS_MODULE"] = options.settings
    os.chdir(options.folder)
    sys.path.insert(0, str(Path.cwd()))
    warnings.filterwarnings("error", "coroutine .* was never awaited")
    listen_for_noise(report)
    started = time.monotonic()
    prepare(options.spare, is_swapped=options.swapped)
    keep_database(options.database.absolute())
    hash_quickly()
    migrate_quickly()
    if options.pytest:
        run_by_pytest(options.labels, options.settings)
    else:
        forget_contexts()
        run_by_django(options.labels, options.processes)
    report.test = "after the last test"
    gc.collect()
    report.seconds = time.monotonic() - started
    report.views = views_of_others()
    if options.swapped:
        report.escaped = [
            name for name in find_escaped(originals) if name in {*report.views}
        ]
    report_file.write_text(json.dumps(vars(report)))


if __name__ == "__main__":
    main()
