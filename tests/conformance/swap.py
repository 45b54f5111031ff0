"""
Run tests of Django's own with Django's views swapped for ours, in this process.

    python -I swap.py --tests DIR --colour COLOUR --client CLIENT --report FILE LABEL...

DIR is `tests/` of the Django that is installed. What is tested is the installed
package: -I shuts PYTHONPATH and the current folder out.

COLOUR:
  django             no swap, for the count
  django-overridden  no swap, but each view under test has a sync override of
                     each hook and handler, that counts and passes on
  as-is              our views in place of Django's
  lifted             as-is, and each view under test has an async override of
                     each twin that it has, that counts and passes on
  lifted:NAME,...    the same for the twins of these hooks alone
  django-behind      as django-overridden, in mixins that stand as far behind in
                     the MRO as super() goes
  lifted-behind      as lifted, in such mixins
  lifted-async       lifted, and dispatch() and each handler overridden async
  lifted-sync        lifted, and dispatch() and each handler overridden sync

CLIENT: `sync`, or `asgi`, in which what Django's test client sends goes through
Django's ASGIHandler.

FILE gets the report as JSON: see Report. Imports nothing but the standard
library before the arguments are read.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import importlib
import inspect
import json
import os
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What is shared with the runs of other packages' tests: behind all of theirs.
sys.path.append(str(Path(__file__).resolve().parent.parent / "swapping"))

from recorded import Record, listen_for_noise, result_class
from swapped_classes import (
    django_views,
    find_escaped,
    swap_app_classes,
    swap_views,
)

# The apps in whose tests the apps' own classes are swapped as well.
APPS = {"auth_tests", "messages_tests"}
OVERRIDDEN = (
    "django-overridden",
    "django-behind",
    "lifted",
    "lifted-behind",
    "lifted-async",
    "lifted-sync",
)


@dataclass
class Report(Record):
    """What is said of a run."""

    # Where the package that was tested lies, and its Django.
    package: str = ""
    django: str = ""
    # View classes of the tests that are Django's own all the same.
    escaped: list[str] = field(default_factory=list)
    # Requests of the test client, those of them that ASGIHandler answered, and
    # how our views were called: with an ASGIRequest, a WSGIRequest, by hand.
    requests: Counter[str] = field(default_factory=Counter)
    # How often each override ran: by test, by hook.
    overrides: defaultdict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    # The hooks, and handlers, that were overridden in some class.
    hooks: list[str] = field(default_factory=list)
    # Our twins, each with whether it has a body; the tests in which each was
    # called; how often its body ran, and Django's own function, which calls hooks.
    twins: dict[str, bool] = field(default_factory=dict)
    reached: dict[str, list[str]] = field(default_factory=dict)
    bodies: Counter[str] = field(default_factory=Counter)
    unlifted: Counter[str] = field(default_factory=Counter)
    # Functions of Django's views that have no twin.
    untwinned: list[str] = field(default_factory=list)

    def count(self, hook: str) -> None:
        """Count a run of an override of a hook."""
        self.overrides[self.test][hook] += 1

    def overridden(self, hook: str) -> None:
        """Note that there is an override of a hook."""
        if hook not in self.hooks:
            self.hooks.append(hook)


report = Report()


# --- Overrides of every hook ----------------------------------------------------


class Overrider:
    """Makes, of a view under test, the subclass that overrides what it has."""

    def __init__(self, colour: str) -> None:
        self.colour, _, self.only = colour.partition(":")
        self.is_django = self.colour.startswith("django-")
        self.of = functools.lru_cache(maxsize=None)(self.made_from)
        self.made: set[type] = set()

    @property
    def hooks(self) -> dict[str, str]:
        """The hooks to override; more when the twins of an app have been declared."""
        from django_async_cbv.core.hooks import HOOKS

        return {
            name: aname
            for name, aname in HOOKS.items()
            if not self.only or name in self.only.split(",")
        }

    def made_from(self, cls: type, *, by_hand: bool = False) -> type:
        """
        The overriding subclass of a class.

        `by_hand`: of one that a test instantiates itself. It may call a handler
        as well, and an async one would answer it with a coroutine.
        """
        behind = self.colour.endswith("behind")
        overrides = {} if behind else self.hook_overrides(cls)
        if not by_hand:
            overrides |= self.handler_overrides(cls)
        bases = (cls, *(self.bases_behind(cls) if behind else ()))
        # The library would take a class of its own module for its own.
        is_ours = cls.__module__.startswith("django_async_cbv.")
        module = "django" if is_ours else cls.__module__
        made = type(cls)(cls.__name__, bases, {"__module__": module} | overrides)
        made.__qualname__ = cls.__qualname__
        made.__doc__ = cls.__doc__
        for override in overrides.values():
            override.made = made
        self.made.add(made)
        return made

    def hook_overrides(self, cls: type) -> dict[str, Any]:
        """Overrides of all the hooks that the class has."""
        from django_async_cbv.core.hooks import TWINS

        if self.is_django:
            return {
                name: self.sync(getattr(cls, name), name)
                for name in self.hooks
                # Else it is another hook of the same name.
                if any(vars(base).get(name) in TWINS for base in cls.__mro__)
            }
        return {
            aname: self.asynchronous(getattr(cls, aname), name)
            for name, aname in self.hooks.items()
            if hasattr(cls, aname)
        }

    def handler_overrides(self, cls: type) -> dict[str, Any]:
        """Overrides of dispatch() and the handlers that the class has."""
        if self.colour not in ("django-overridden", "lifted-async", "lifted-sync"):
            return {}
        make = self.asynchronous if self.colour == "lifted-async" else self.sync
        methods = getattr(cls, "http_method_names", ())
        found = {
            name: getattr(cls, name, None)
            for name in [*methods, "http_method_not_allowed", "dispatch"]
        }
        # What is no function (None, to disallow a method) is no handler.
        return {name: make(own, name) for name, own in found.items() if callable(own)}

    def bases_behind(self, cls: type) -> list[type]:
        """Mixins with an override each, that super() meets on its way up."""
        from django_async_cbv.core.hooks import SUPER, TWINS

        found = []
        for name, aname in self.hooks.items():
            levels = [base for base in cls.__mro__ if name in vars(base)]
            if any(vars(base)[name] not in TWINS for base in levels):
                # A sync override of the test's own, which has to stand behind.
                continue
            above = None
            for base in levels:
                if above is not None and SUPER in TWINS[vars(above)[name]].calls:
                    found.append(self.behind(base, name, aname))
                    break
                above = base
        return found

    def behind(self, base: type, name: str, aname: str) -> type:
        """A mixin that stands before `base` in the MRO, with an override of a hook."""
        if self.is_django:
            override = self.sync(getattr(base, name), name)
        else:
            base = getattr(importlib.import_module(base.__module__), base.__name__)
            override = self.asynchronous(getattr(base, aname), name)
        override.made = type(
            f"Behind{base.__name__}", (base,), {override.__name__: override}
        )
        return override.made

    @staticmethod
    def sync(overridden: Any, counted: str) -> Any:
        report.overridden(counted)

        @functools.wraps(overridden)
        def override(self, /, *args, **kwargs):
            report.count(counted)
            return getattr(super(override.made, self), name)(*args, **kwargs)

        name = override.__name__ = getattr(overridden, "__name__", counted)
        # as_view() would show it, and a test looks that it does not.
        del override.__wrapped__
        return override

    @staticmethod
    def asynchronous(overridden: Any, counted: str) -> Any:
        report.overridden(counted)

        @functools.wraps(overridden)
        async def override(self, /, *args, **kwargs):
            report.count(counted)
            return await getattr(super(override.made, self), name)(*args, **kwargs)

        name = override.__name__ = overridden.__name__
        return override

    def instances_of(self, root: type) -> None:
        """Make also what a test instantiates by its own hand an overriding view."""
        by_hand = functools.lru_cache(maxsize=None)(
            functools.partial(self.made_from, by_hand=True)
        )

        def new(cls, /, *args, **kwargs):
            return object.__new__(cls if cls in self.made else by_hand(cls))

        root.__new__ = new

    def views_of(self, root: type) -> None:
        """Make `as_view()` of Django's view one of the overriding class."""
        from django.utils.decorators import classonlymethod

        as_view = root.__dict__["as_view"].__func__

        @functools.wraps(as_view)
        def overriding_as_view(cls, **initkwargs):
            view = as_view(self.of(cls), **initkwargs)
            view.view_class = cls
            return view

        root.as_view = classonlymethod(overriding_as_view)


def count_lifting() -> None:
    """Count what a call of each twin comes to."""
    from django_async_cbv.core import hooks

    for made in hooks.TWINS.values():
        made.body = counted_body(made.body, made.function.__qualname__)
    step = hooks.Hook.resolve

    def counted_step(self, view, args, kwargs):
        tests = report.reached.setdefault(self.function.__qualname__, [])
        if report.test not in tests:
            tests.append(report.test)
        result = step(self, view, args, kwargs)
        is_lifted = inspect.isgenerator(result)
        called = None if is_lifted else getattr(result.func, "__func__", None)
        if self.calls and called is self.function:
            report.unlifted[self.function.__qualname__] += 1
        return result

    hooks.Hook.resolve = counted_step


def counted_body(body: Any, name: str) -> Any:
    def counted(*args, **kwargs):
        report.bodies[name] += 1
        return body(*args, **kwargs)

    return counted


def list_twins(originals: dict[str, type]) -> None:
    """Report our twins, whether each has a body, and what of Django has none."""
    from django_async_cbv.core.hooks import TWINS

    report.twins = {
        made.function.__qualname__: inspect.isgeneratorfunction(made.body)
        for made in TWINS.values()
        # Of the formset views Django has none.
        if made.function.__module__.startswith("django.")
    }
    report.untwinned = sorted(
        value.__qualname__
        for cls in originals.values()
        for value in vars(cls).values()
        if inspect.isfunction(value) and value not in TWINS
    )


# --- How views are called -------------------------------------------------------


def make_views_callable(overrider: Overrider | None) -> None:
    """
    Let a test call `View.as_view()(request)` and get a response, and count the calls.

    A view answers sync code by itself, but for one with an `async def` handler, as
    the lifted ones have: that gives a coroutine, as Django's does, and is waited for.
    """
    from asgiref.sync import async_to_sync
    from django.core.handlers.asgi import ASGIRequest
    from django.utils.decorators import classonlymethod

    from django_async_cbv.views import AsyncView
    from django_async_cbv.views._function import ViewFunction

    as_view = AsyncView.__dict__["as_view"].__func__
    answer = ViewFunction.__call__

    def swapped_as_view(cls, **initkwargs):
        made = cls if overrider is None else overrider.of(cls)
        view = as_view(made, **initkwargs)
        view.view_class = cls
        view.__qualname__ = f"{cls.as_view.__qualname__}.<locals>.view"
        # Of the overrides, by functools. Django's tests look for what a view has not.
        vars(view).pop("__wrapped__", None)
        return view

    def counted(self, request, *args, **kwargs):
        if not called_by_a_test():
            asgi = isinstance(request, ASGIRequest)
            report.requests[f"view called with {'A' if asgi else 'W'}SGIRequest"] += 1
            return answer(self, request, *args, **kwargs)
        report.requests["view called by hand"] += 1
        if self.is_async:
            return async_to_sync(answer)(self, request, *args, **kwargs)
        return answer(self, request, *args, **kwargs)

    AsyncView.as_view = classonlymethod(swapped_as_view)
    ViewFunction.__call__ = counted


def called_by_a_test() -> bool:
    """Whether the caller's caller is sync code that does not call async views."""
    caller = sys._getframe(2).f_globals["__name__"]
    if caller.startswith(("asgiref.", "django.core.handlers.")):
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def count_requests() -> None:
    """Count what the test client sends."""
    from django.test.client import ClientHandler

    answer = ClientHandler.__call__

    def counted(self, environ):
        report.requests["sent by the client"] += 1
        return answer(self, environ)

    ClientHandler.__call__ = counted


def route_clients_through_asgi() -> None:
    """Let the test client's requests go through Django's ASGIHandler."""
    from asgiref.sync import async_to_sync
    from django.core.handlers.asgi import ASGIHandler
    from django.core.signals import request_finished, request_started
    from django.db import close_old_connections
    from django.test import client

    class Recorder(ASGIHandler):
        """Keeps the response, open, of which a server sees only what is sent."""

        async def get_response_async(self, request):
            request._dont_enforce_csrf_checks = not self.enforce_csrf_checks
            self.request = request
            report.requests["answered by ASGIHandler"] += 1
            return await super().get_response_async(request)

        async def send_response(self, response, send):
            self.response = response
            response.close = lambda: None

    async def serve(app, environ):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        no_more = asyncio.Event()

        async def receive():
            if not messages:
                await no_more.wait()
            return messages.pop()

        await app(as_scope(environ), receive, None)

    def answer(self, environ):
        # As ClientHandler does, with ASGIHandler in its middle.
        if not hasattr(self, "recorder"):
            self.recorder = Recorder()
            self.recorder.enforce_csrf_checks = self.enforce_csrf_checks
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        try:
            async_to_sync(serve)(self.recorder, environ)
            response, request = self.recorder.response, self.recorder.request
            del response.close
            client.conditional_content_removal(request, response)
            response.wsgi_request = request
            if response.streaming:
                wrap = (
                    client.aclosing_iterator_wrapper
                    if response.is_async
                    else client.closing_iterator_wrapper
                )
                response.streaming_content = wrap(
                    response.streaming_content, response.close
                )
            else:
                response.close()
        finally:
            request_started.connect(close_old_connections)
            request_finished.connect(close_old_connections)
        return response

    client.ClientHandler.__call__ = answer


def as_scope(environ: dict[str, Any]) -> dict[str, Any]:
    """The ASGI scope that a server makes of the request in a WSGI environ."""
    headers = {
        name.removeprefix("HTTP_"): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    script_name = environ.get("SCRIPT_NAME", "")
    path = (
        (script_name + environ["PATH_INFO"]).encode("latin1").decode(errors="replace")
    )
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": path,
        "root_path": script_name,
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "headers": [
            (name.replace("_", "-").lower().encode(), str(value).encode("latin1"))
            for name, value in headers.items()
            if value != ""
        ],
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 0),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


# --- The run ----------------------------------------------------------------------


def run(labels: list[str], *, is_swapped: bool) -> None:
    """Run Django's tests by Django's own runner."""
    import runtests
    from django.conf import settings
    from django.test.runner import DiscoverRunner

    class ReportingRunner(DiscoverRunner):
        def build_suite(self, *args, **kwargs):
            # Not for tests of the generic views: they are compared, override for
            # override, with a run in which these are Django's.
            if is_swapped and {label.partition(".")[0] for label in labels} & APPS:
                swap_app_classes(originals)
            return super().build_suite(*args, **kwargs)

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
    gc.collect()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--tests", required=True, type=Path)
    parser.add_argument("--colour", required=True)
    parser.add_argument("--client", required=True, choices=("sync", "asgi"))
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--package", type=Path, help="a folder to import ours from")
    parser.add_argument("--databases", type=json.loads, help="DATABASES, as JSON")
    parser.add_argument("labels", nargs="+")
    options = parser.parse_args()
    # Django's tests write files; theirs are to be gone with this process.
    with tempfile.TemporaryDirectory(prefix="django_") as temporary:
        # As the __main__ part of Django's runtests.py does.
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
        os.environ["RUNNING_DJANGOS_TEST_SUITE"] = "true"
        report_file = options.report.absolute()
        os.chdir(options.tests)
        sys.path.insert(0, str(Path.cwd()))
        make_settings(options.databases)
        if options.package:
            sys.path.insert(0, str(options.package))
        prepare(options.colour, options.client)
        is_swapped = not options.colour.startswith("django")
        run(options.labels, is_swapped=is_swapped)
        if is_swapped:
            report.escaped = find_escaped(originals)
        report_file.write_text(json.dumps(vars(report)))


def make_settings(databases: dict[str, Any] | None) -> None:
    """Make the settings module: Django's own for its tests, and other databases."""
    import test_sqlite

    if databases:
        test_sqlite.DATABASES = databases
    os.environ["DJANGO_SETTINGS_MODULE"] = "test_sqlite"


originals: dict[str, type] = {}


def prepare(colour: str, client: str) -> None:
    """Swap what the colour and the client ask for."""
    import django

    # Declares the twins; has to see Django's own views.
    import django_async_cbv.views

    report.package = str(Path(django_async_cbv.__file__).parent)
    report.django = django.__version__
    listen_for_noise(report)
    originals.update(django_views())
    list_twins(originals)
    overrider = None
    if colour.partition(":")[0] in OVERRIDDEN:
        overrider = Overrider(colour)
    if colour.startswith("django"):
        if overrider:
            for cls in originals.values():
                if cls.__bases__ == (object,):
                    overrider.instances_of(cls)
            overrider.views_of(originals["View"])
    else:
        from django_async_cbv.core.twins import TwinMixin

        swap_views(originals)
        make_views_callable(overrider)
        count_lifting()
        if overrider:
            overrider.instances_of(TwinMixin)
    if client == "asgi":
        route_clients_through_asgi()
    count_requests()


if __name__ == "__main__":
    main()
