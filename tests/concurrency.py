"""Tests of requests that run at once, each in its thread, on its connection."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import httpx
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.handlers.asgi import ASGIHandler
from django.core.management.color import no_style
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase, override_settings

__all__ = ["ServedTestCase", "browser", "on_own_loop"]


def on_own_loop(test):
    """
    Run an async test as a server would run it.

    Django waits for an async test in the test's thread, and there asgiref runs all
    thread-sensitive work, whatever request it is of: one after the other and on one
    connection. On a loop of its own each request gets the thread that ASGIHandler
    makes for it.
    """

    async def run_and_disconnect(self):
        # What the test itself does off the loop is done in asgiref's one thread for
        # that, which outlives the test, and so would its connection. A test that left
        # one there had another database.
        await sync_to_async(forget_connections)()
        try:
            await test(self)
        finally:
            await sync_to_async(forget_connections)()

    @functools.wraps(test)
    def run(self):
        with asyncio.Runner() as runner:
            runner.run(run_and_disconnect(self))

    return run


def forget_connections():
    """Close this thread's connections; the next query makes new ones."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raise AssertionError("A transaction was left open.")
        # SQLite's own close() leaves a database in memory open.
        BaseDatabaseWrapper.close(connection)
        del connections[connection.alias]


@contextmanager
def database_in_a_file(alias="default"):
    """Put a database, if it is SQLite's in memory, into a file meanwhile."""
    memory = connections[alias]
    if memory.vendor != "sqlite":
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder) / "database"
        memory.ensure_connection()
        with closing(sqlite3.connect(name)) as file:
            memory.connection.backup(file)
            # Once, before the others come: who changes the mode waits for nobody, and
            # is told that the database is locked.
            file.execute("PRAGMA journal_mode=wal")
        # Many connections to one database in memory lock each other out at once;
        # to a file they wait for each other. Nothing has to survive a power cut.
        in_file = {
            **memory.settings_dict,
            "NAME": str(name),
            "OPTIONS": {
                "timeout": 60,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA synchronous=off;",
            },
        }
        with mock.patch.dict(connections.settings, {alias: in_file}):
            del connections[alias]
            try:
                yield
            finally:
                connections[alias].close()
                connections[alias] = memory


@contextmanager
def own_threads_of_agather():
    """Leave no thread to later tests, whose databases are others."""
    from django_async_cbv import db

    with mock.patch.dict(db._pools, clear=True):
        yield
        for pool in db._pools.values():
            for _ in range(pool._max_workers):
                pool.submit(forget_connections)
            pool.shutdown()


def browser(app=None) -> httpx.AsyncClient:
    """A client of an ASGI app, by default the whole project, with a CSRF token."""
    token = "c" * 32
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app or ASGIHandler()),
        base_url="http://testserver",
        cookies={"csrftoken": token},
        headers={"X-CSRFToken": token},
        # Else it would look for proxies and certificates in files.
        trust_env=False,
    )


class ServedTestCase(TransactionTestCase):
    """
    Serves requests as a server does: its async tests run on a loop of their own.

    On a database that several connections can use at once, with files in a folder of
    their own.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            if name.startswith("test") and inspect.iscoroutinefunction(value):
                setattr(cls, name, on_own_loop(value))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(database_in_a_file())
        cls.enterClassContext(own_threads_of_agather())
        cls.media = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.enterClassContext(override_settings(MEDIA_ROOT=cls.media))
        cls.kept = {
            (alias, model): {*model.objects.using(alias).values_list("pk", flat=True)}
            for alias in cls._databases_names(include_mirrors=False)
            for model in map(
                apps.get_model, ("auth.Permission", "contenttypes.ContentType")
            )
        }

    def _fixture_teardown(self):
        """Empty all tables but those that Django would fill again, which takes long."""
        tables = {model._meta.db_table for _, model in self.kept}
        for alias in {alias for alias, _ in self.kept}:
            connection = connections[alias]
            others = {*connection.introspection.django_table_names(only_existing=True)}
            connection.ops.execute_sql_flush(
                connection.ops.sql_flush(no_style(), sorted(others - tables))
            )
        for (alias, model), known in self.kept.items():
            model.objects.using(alias).exclude(pk__in=known).delete()
        apps.get_model("contenttypes.ContentType").objects.clear_cache()
