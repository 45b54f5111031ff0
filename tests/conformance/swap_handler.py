"""
Run tests of Django's own with Django's ASGI handler and middleware swapped for ours.

    python -I swap_handler.py --tests DIR --handler HANDLER --client CLIENT \
        --report FILE LABEL...

DIR is `tests/` of the Django that is installed. What is tested is the installed
package: -I shuts PYTHONPATH and the current folder out.

HANDLER:
  django       no swap, for what passes there
  ours         our handler and middleware in place of Django's, wherever a test or
               Django looks them up
  async-chain  as ours, without its sync chain
  django-bare  as django, with a bare event loop: see below
  pool         as ours, with a bare event loop, where our handler uses its pool

CLIENT: `asgi`, in which what Django's test clients send goes through the ASGI handler,
or `sync`, in which only the async client does so.

Django runs async tests in async_to_sync(), where our handler leaves
sync work to the thread that waits, as Django's does. With a bare event loop nobody
waits: each TestCase is a TransactionTestCase then, and the database is a file. What
such a test wrote is gone when the file is again as it was before the first test.

FILE gets the report as JSON: see Report. Imports nothing but the standard
library before the arguments are read.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import functools
import importlib
import inspect
import json
import os
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What is shared with the other runs: behind all of what is tested.
sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parent.parent / "swapping"))

from recorded import Record, listen_for_noise, result_class
from swap import as_scope

SWAPPED = ("ours", "async-chain", "pool")
BARE = ("django-bare", "pool")


@dataclass
class Report(Record):
    """What is said of a run."""

    # Where the package that was tested lies, and its Django.
    package: str = ""
    django: str = ""
    # How many requests the handler served, and by which chain; how many leases took
    # a worker, and how many jobs these did.
    requests: Counter[str] = field(default_factory=Counter)
    # The middleware of Django's that was swapped for ours, and in how many chains.
    middleware: Counter[str] = field(default_factory=Counter)
    # Names of Django's, by module, that mean ours, and tests that hold Django's.
    swapped: list[str] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)


report = Report()


# --- The swap -------------------------------------------------------------------


def replace(theirs: Any, ours: Any) -> None:
    """Put ours wherever a module holds what is Django's."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "django":
            for key, value in list(vars(module).items()):
                if value is theirs:
                    setattr(module, key, ours)
                    report.swapped.append(f"{name}.{key}")


def swap_handler(*, sync_chain: bool) -> None:
    """Have our handler found under the name of Django's, with this by default."""
    import django.contrib.staticfiles.handlers
    import django.core.asgi
    from django.core.handlers import asgi

    from django_async_cbv.asgi import get_asgi_application
    from django_async_cbv.serve import handler

    for made in (handler.Handler.__init__, get_asgi_application):
        made.__kwdefaults__["sync_chain"] = sync_chain
    originals.extend([asgi.ASGIHandler, django.core.asgi.get_asgi_application])
    replace(asgi.ASGIHandler, handler.Handler)
    replace(django.core.asgi.get_asgi_application, get_asgi_application)


def swap_middleware() -> None:
    """Have our middleware found under the names of Django's, as soon as apps are."""
    from django_async_cbv.serve import middleware

    for path in middleware.INLINE:
        name, _, key = path.rpartition(".")
        try:
            theirs = getattr(importlib.import_module(name), key)
        except (ImportError, AttributeError):
            # Of a newer Django.
            continue
        originals.append(theirs)
        replace(theirs, middleware.swapped(theirs))


originals: list[Any] = []


def find_escaped() -> list[str]:
    """Modules of the tests that hold what should have been swapped."""
    tests = str(Path.cwd())
    return sorted(
        f"{name}.{key}"
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").startswith(tests)
        for key, value in vars(module).items()
        if any(value is original for original in originals)
    )


def count_what_happens() -> None:
    """Count requests by chain, leases and jobs, and what is swapped in each chain."""
    from django_async_cbv.serve import handler, middleware, pool

    def counting(cls, name, counted):
        original = getattr(cls, name)

        @functools.wraps(original)
        def wrapper(self, *args, **kwargs):
            report.requests[counted] += 1
            return original(self, *args, **kwargs)

        setattr(cls, name, wrapper)

    counting(handler.Handler, "handle", "served by our handler")
    counting(handler.Handler, "run_get_response", "answered by the async chain")
    counting(handler._SyncChain, "get_response", "answered by the sync chain")
    counting(pool._Worker, "_begin", "leases that took a worker")
    counting(pool._Worker, "_do", "jobs of workers")
    prepare = middleware.Inline.__init__

    def prepared(self, get_response):
        prepare(self, get_response)
        if self.async_mode:
            report.middleware[type(self).__name__] += 1

    middleware.Inline.__init__ = prepared


# --- The test clients -----------------------------------------------------------


class Call:
    """One request of a test client's: the `send` that its handler is given."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.request: Any = None
        self.response: Any = None


def route_clients(run: Any) -> None:
    """
    Let what test clients send go through the ASGI handler that is installed.

    `run`: runs an async function from sync code; None: leave the sync client alone.
    """
    from django.core.handlers import asgi
    from django.test import client

    class Recorder(asgi.ASGIHandler):
        """Keeps the response, open, of which a server sees only what is sent."""

        def create_request(self, scope, body_file):
            call = scope.pop("call")
            request, refusal = super().create_request(scope, body_file)
            request._dont_enforce_csrf_checks = not call.client.enforce_csrf_checks
            call.request = request
            return request, refusal

        async def send_response(self, response, send):
            send.response = response
            if not response.closed:
                response.close = lambda: None

    async def serve(self, scope, body):
        if not hasattr(self, "recorder"):
            self.recorder = Recorder()
        call = Call(self)
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        no_more = asyncio.Event()

        async def receive():
            if not messages:
                await no_more.wait()
            return messages.pop()

        report.requests["sent by a client"] += 1
        await self.recorder({**scope, "call": call}, receive, call)
        request, response = call.request, call.response
        vars(response).pop("close", None)
        client.conditional_content_removal(request, response)
        if response.streaming:
            wrap = (
                client.aclosing_iterator_wrapper
                if response.is_async
                else client.closing_iterator_wrapper
            )
            response.streaming_content = wrap(
                response.streaming_content, response.close
            )
        return request, response

    def answer(self, environ):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with Undisturbed():
            request, response = run(serve, self, as_scope(environ), body)
            if not response.streaming and not response.closed:
                response.close()
        response.wsgi_request = request
        return response

    async def aanswer(self, scope):
        body = scope.pop("_body_file", None)
        with Undisturbed():
            request, response = await serve(self, scope, body.read() if body else b"")
            if not response.streaming and not response.closed:
                await asyncio.to_thread(response.close)
        response.asgi_request = request
        return response

    if run is not None:
        client.ClientHandler.__call__ = answer
    client.AsyncClientHandler.__call__ = aanswer


class Undisturbed:
    """As Django's test clients do: the test's connections are left open."""

    def __enter__(self) -> None:
        from django.core.signals import request_finished, request_started
        from django.db import close_old_connections

        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)

    def __exit__(self, *exc_info: object) -> None:
        from django.core.signals import request_finished, request_started
        from django.db import close_old_connections

        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)


# --- The bare event loop ----------------------------------------------------------


class Loops:
    """An event loop for each thread, that no async_to_sync() knows of."""

    def __init__(self) -> None:
        self.local = threading.local()

    def run(self, function: Any, *args: Any) -> Any:
        """Run an async function from sync code."""
        from asgiref import sync

        if not hasattr(self.local, "runner"):
            self.local.runner = asyncio.Runner()
        context = contextvars.copy_context()
        try:
            return self.local.runner.run(function(*args), context=context)
        finally:
            # As async_to_sync() does it: a test reads the stream in its own thread,
            # in the language of the request. Of a context that is all it needs.
            kept = contextvars.Context()
            for variable, value in context.items():
                if variable.name == "asgiref.local":
                    kept.run(variable.set, value)
            sync._restore_context(kept)


def use_bare_loops(loops: Loops) -> None:
    """Run async tests with nobody waiting, and commit what tests write."""
    from django.test import testcases

    def bare(function):
        @functools.wraps(function)
        def test(*args, **kwargs):
            return loops.run(functools.partial(function, *args, **kwargs))

        return test

    testcases.async_to_sync = bare
    # As where the database has no transactions.
    testcases.TestCase._databases_support_transactions = classmethod(lambda cls: False)
    testcases.TestCase._fixture_teardown = lambda self: restore_databases(
        self._databases_names(include_mirrors=False)
    )


# What each database was before the first test.
untouched: dict[str, sqlite3.Connection] = {}


def keep_databases() -> None:
    """Remember the databases, as migrated."""
    from django.db import connections

    for alias in connections:
        connections[alias].ensure_connection()
        untouched[alias] = sqlite3.connect(":memory:", check_same_thread=False)
        connections[alias].connection.backup(untouched[alias])


def restore_databases(aliases: list[str]) -> None:
    """Leave the databases as a flush would, in a hundredth of its time."""
    from django.db import connections

    for alias in aliases:
        connections[alias].ensure_connection()
        untouched[alias].backup(connections[alias].connection)


# --- The run ----------------------------------------------------------------------


def run(labels: list[str], *, is_swapped: bool, is_bare: bool) -> None:
    """Run Django's tests by Django's own runner."""
    import runtests
    from django.conf import settings
    from django.test.runner import DiscoverRunner

    class ReportingRunner(DiscoverRunner):
        def build_suite(self, *args, **kwargs):
            if is_swapped:
                swap_middleware()
            return super().build_suite(*args, **kwargs)

        def setup_databases(self, *args, **kwargs):
            made = super().setup_databases(*args, **kwargs)
            if is_bare:
                keep_databases()
            return made

        def get_resultclass(self):
            return result_class(report)

    sys.modules[__name__].ReportingRunner = ReportingRunner
    settings.TEST_RUNNER = f"{__name__}.ReportingRunner"
    arguments = dict.fromkeys(inspect.signature(runtests.django_tests).parameters)
    arguments |= {
        "verbosity": 1,
        "parallel": 1,
        "shuffle": False,
        "test_labels": labels,
        "tags": [],
        "exclude_tags": [],
    }
    runtests.django_tests(**arguments)
    report.test = "after the last test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--tests", required=True, type=Path)
    parser.add_argument(
        "--handler", required=True, choices=["django", *SWAPPED, BARE[0]]
    )
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--package", type=Path, help="a folder to import ours from")
    parser.add_argument("--client", required=True, choices=("sync", "asgi"))
    parser.add_argument("labels", nargs="+")
    options = parser.parse_args()
    is_swapped = options.handler in SWAPPED
    # Django's tests write files; theirs are to be gone with this process.
    with tempfile.TemporaryDirectory(prefix="django_") as temporary:
        # As the __main__ part of Django's runtests.py does.
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
        os.environ["RUNNING_DJANGOS_TEST_SUITE"] = "true"
        report_file = options.report.absolute()
        os.chdir(options.tests)
        sys.path.insert(0, str(Path.cwd()))
        make_settings(Path(temporary) if options.handler in BARE else None)
        if options.package:
            sys.path.insert(0, str(options.package))
        prepare(options.handler, options.client)
        run(options.labels, is_swapped=is_swapped, is_bare=options.handler in BARE)
        if is_swapped:
            report.escaped = find_escaped()
        report_file.write_text(json.dumps(vars(report)))


def make_settings(folder: Path | None) -> None:
    """Use Django's own for its tests; in `folder`, if given, the databases are."""
    import test_sqlite

    if folder:
        for alias, database in test_sqlite.DATABASES.items():
            name = str(folder / f"{alias}.sqlite3")
            database |= {
                "NAME": name,
                "TEST": {"NAME": name},
                # Nobody needs these after a crash.
                "OPTIONS": {"init_command": "PRAGMA synchronous=0"},
            }
    os.environ["DJANGO_SETTINGS_MODULE"] = "test_sqlite"


def prepare(handler: str, client: str) -> None:
    """Swap what is to be swapped before the apps are ready."""
    import django

    # With it, what is to be swapped.
    import django.test.client
    from asgiref.sync import async_to_sync

    import django_async_cbv

    report.package = str(Path(django_async_cbv.__file__).parent)
    report.django = django.__version__
    listen_for_noise(report)
    if handler in SWAPPED:
        swap_handler(sync_chain=handler != "async-chain")
        count_what_happens()

    def run(function, *args):
        return async_to_sync(function)(*args)

    if handler in BARE:
        loops = Loops()
        use_bare_loops(loops)
        run = loops.run
    route_clients(run if client == "asgi" else None)


if __name__ == "__main__":
    main()
