"""The public names: that they are documented, and which way imports go."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from django.views import generic

import django_async_cbv
from django_async_cbv import views
from django_async_cbv.core.hooks import HOOKS
from django_async_cbv.core.marks import mark_of

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(
        django_async_cbv.__path__, "django_async_cbv."
    )
]
# Imports point upwards in this list only.
ORDER = [
    "encoding",
    "encoding.csv",
    "encoding.ndjson",
    "encoding.sse",
    "core",
    "core.address",
    "core.naming",
    "core.waiting",
    "core.foreign",
    "core.connections",
    "core.crossing",
    "core.executors",
    "core.resting",
    "core.threads",
    "core.steps",
    "core.reading",
    "core.transactions",
    "core.colours",
    "core.source",
    "core.tailcalls",
    "core.marks",
    "core.flow",
    "core.validation",
    "core.hooks",
    "core.typing",
    "core.callers",
    "core.guards",
    "core.plan",
    "core.twins",
    "core.handlers",
    "core.problems",
    "sync",
    "async_backend",
    "db",
    "forms",
    "trace",
    "_blocking",
    "_blocking.frames",
    "_blocking.sleeping",
    "_blocking.watchdog",
    "_blocking.options",
    "_blocking.timing",
    "blocking",
    "channels.base",
    "channels.fanout",
    "channels.reader",
    "channels.local",
    "channels.redis",
    "channels.postgres.models",
    "channels.postgres.channel",
    "channels.postgres.apps",
    "channels.postgres.migrations",
    "channels.postgres.migrations.0001_initial",
    "channels.postgres",
    "channels",
    "views._django",
    "views._plain",
    "views._newer",
    "views._saves",
    "views._formsets",
    "views._function",
    "views.base",
    "views.detail",
    "views.list",
    "views.edit",
    "views.formsets",
    "views.dates",
    "views._shutdown",
    "views._limits",
    "views._pump",
    "views._stream_response",
    "views._streaming",
    "views.streaming",
    "views.exports",
    "views",
    "auth",
    "auth.mixins",
    "auth.views",
    "auth.urls",
    "messages",
    "serve",
    "serve.middleware",
    "serve.signals",
    "serve.pool",
    "serve.handler",
    "asgi",
    "_testing",
    "_testing.blocks",
    "_testing.stacks",
    "_testing.calls",
    "_testing.loops",
    "_testing.blocking",
    "_testing.hops",
    "_testing.dropped",
    "_testing.streams",
    "testing",
    "pytest_plugin",
    "panels",
    "checks.views",
    "checks.urlconf",
    "checks.asgi",
    "checks.settings",
    "checks",
    "audit.places",
    "audit.paths",
    "audit.functions",
    "audit.tails",
    "audit.hops",
    "audit.routes",
    "audit.middleware",
    "audit.report",
    "audit.baseline",
    "audit.measure",
    "audit.formats",
    "audit",
    "apps",
    "convert",
    "convert.tables",
    "convert.facts",
    "convert.source",
    "convert.files",
    "convert.names",
    "convert.library",
    "convert.decide",
    "convert.edits",
    "convert.engine",
    "convert.report",
    "convert.cli",
    "convert.__main__",
    "management",
    "management.commands",
    "management.commands.async_audit",
    "management.commands.async_convert",
]
# Users import these. The reference documents each name of their `__all__`.
PUBLIC = [
    "sync",
    "db",
    "forms",
    "trace",
    "blocking",
    "channels",
    "channels.redis",
    "channels.postgres",
    "views",
    "views.streaming",
    "views.exports",
    "auth.mixins",
    "auth.views",
    "auth.urls",
    "messages",
    "asgi",
    "testing",
    "pytest_plugin",
    "panels",
]


def by_kind(name: str) -> tuple[int, str]:
    """Constants, classes, functions; each by the alphabet."""
    bare = name.lstrip("_")
    return (
        0 if bare.isupper() and len(bare) > 1 else 1 if bare[0].isupper() else 2
    ), name


@pytest.mark.parametrize("name", MODULES)
class TestModule:
    def test_all_is_sorted_and_there(self, name):
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", [])
        assert list(exported) == sorted(exported, key=by_kind)
        for one in exported:
            # Neither can have a docstring: a comment explains it.
            if one not in {"OWN", "Calls", "Release", "Slow", "blocks"}:
                assert inspect.getdoc(getattr(module, one)), one

    def test_it_says_in_a_sentence_what_it_is_for(self, name):
        first = importlib.import_module(name).__doc__.strip().splitlines()[0]
        assert first.endswith((".", ":"))

    def test_imports_go_one_way(self, name):
        short = name.removeprefix("django_async_cbv.")
        module = importlib.import_module(name)
        package = module.__package__
        tree = ast.parse(Path(module.__file__).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                parts = package.split(".")
                base = parts[: len(parts) - node.level + 1]
                modules = [node.module or alias.name for alias in node.names]
                for module in modules:
                    target = ".".join([*base, module])
                    target = target.removeprefix("django_async_cbv").lstrip(".")
                    assert ORDER.index(target) < ORDER.index(short), target


def sections_of(value):
    """The sections of a docstring."""
    return set(
        re.findall(
            r"^(Args|Returns|Raises|Runs on):$", inspect.getdoc(value), re.MULTILINE
        )
    )


FUNCTIONS = [
    (name, one)
    for name in PUBLIC
    if not name.startswith(("channels.", "views.streaming", "auth.urls"))
    for one in importlib.import_module(f"django_async_cbv.{name}").__all__
    if one[0].islower()
] + [("views.streaming", "end_streams")]


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_a_docstring_has_its_sections(module, name):
    value = getattr(importlib.import_module(f"django_async_cbv.{module}"), name)
    wanted = {"Runs on"}
    if isinstance(value, type):
        parameters = list(inspect.signature(value).parameters)
    else:
        signature = inspect.signature(value)
        # pytest gives a fixture its arguments.
        parameters = module != "pytest_plugin" and signature.parameters
        if signature.return_annotation not in {"None", None}:
            wanted.add("Returns")
    if parameters:
        wanted.add("Args")
    assert sections_of(value) >= wanted


METHODS = [
    ("views.streaming", "AsyncStreamView"),
    ("views.streaming", "ServerSentEventsView"),
    ("views.streaming", "ChannelView"),
    ("views.streaming", "LongPollView"),
    ("views.exports", "ExportView"),
    ("views.exports", "CSVView"),
    ("views.exports", "NDJSONView"),
    ("testing", "OpenStream"),
    ("testing", "HopAssertionsMixin"),
    ("testing", "forbid_repeated_hops"),
    ("testing", "forbid_blocking"),
    ("testing", "ForbidBlockingMixin"),
    ("trace", "Recording"),
    ("channels", "Channel"),
    ("channels", "LocalChannel"),
    ("channels.redis", "RedisChannel"),
    ("channels.postgres", "PostgresChannel"),
]


@pytest.mark.parametrize(("module", "name"), METHODS)
def test_a_method_has_its_sections(module, name):
    # The driver may be missing.
    found = pytest.importorskip(f"django_async_cbv.{module}", exc_type=ImportError)
    # The reference shows what a class of tests has itself, and of a channel all.
    is_of_tests = module == "testing"
    members = vars(getattr(found, name)).items() if is_of_tests else ()
    methods = [
        value
        for attribute, value in members or inspect.getmembers(getattr(found, name))
        # It adds the sections of a hook, and Django's has those of Django's.
        if inspect.isfunction(value)
        and attribute[0] != "_"
        and value.__module__.startswith("django_async_cbv.")
        and mark_of(value) is None
        and attribute not in HOOKS
    ]
    assert methods
    for method in methods:
        signature = inspect.signature(method)
        wanted = {"Runs on"}
        if signature.return_annotation not in {"None", None}:
            wanted.add("Returns")
        if len(signature.parameters) > 1:
            wanted.add("Args")
        assert sections_of(method) >= wanted, method


def test_views_are_djangos_with_async_in_front():
    ours = {name for name in views.__all__ if name.endswith("View")}
    assert {f"Async{name}" for name in generic.__all__ if name.endswith("View")} <= ours
    for name in views.__all__:
        assert name.startswith("Async")


def test_views_subscript_at_run_time():
    assert views.AsyncListView[int] is views.AsyncListView
    assert views.AsyncUpdateView[int, str] is views.AsyncUpdateView
    assert issubclass(views.AsyncListView, generic.ListView)
