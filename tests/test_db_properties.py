"""aatomic() against Django's atomic(), the model: same rows, callbacks and errors."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import operator
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test import TransactionTestCase
from hypothesis import strategies

from django_async_cbv import db
from django_async_cbv.core import transactions
from django_async_cbv.db import aatomic
from django_async_cbv.sync import run_sync
from tests.app.models import Tag
from tests.concurrency import forget_connections

ALIASES = ["default", "other"]
SECONDS = 30  # until one tree is called a deadlock
EXAMPLES = 150


class Failed(Exception):
    """What code in a block raises."""


class Gone(BaseException):
    """What is no Exception rolls back as well."""


@dataclass(frozen=True)
class Write:
    """A row; the second one of the same name is an IntegrityError."""

    using: str
    name: str


@dataclass(frozen=True)
class Fail:
    error: type[BaseException]


@dataclass(frozen=True)
class SetRollback:
    using: str
    value: bool


@dataclass(frozen=True)
class Block:
    """A transaction, in a `try` that catches what is in `catches`."""

    using: str
    savepoint: bool
    durable: bool
    catches: Any
    # Else it is Django's own block in sync code, inside of async blocks or around them.
    is_async: bool
    is_decorator: bool
    body: list[Any]


@dataclass(frozen=True)
class OnCommit:
    """A callback, which may write, fail, and have transactions of its own."""

    using: str
    name: str
    robust: bool
    is_async: bool
    body: list[Any]


def trees():
    """Lists of what is done one after the other, nested."""
    using = strategies.sampled_from(["default", "default", "default", "other"])
    name = strategies.sampled_from("abcdefghijklmnop")
    boolean = strategies.booleans()
    seldom = strategies.sampled_from([False] * 4 + [True])
    write = strategies.builds(Write, using, name)
    fail = strategies.builds(Fail, strategies.sampled_from([Failed, Failed, Gone]))
    rollback = strategies.builds(SetRollback, using, boolean)

    def on_commit(body):
        return strategies.builds(OnCommit, using, name, boolean, boolean, body)

    def block(children):
        catches = strategies.sampled_from([(), Failed, Exception, BaseException])
        body = strategies.lists(children, max_size=4)
        end = strategies.sampled_from([[], [], [Fail(Failed)]])
        whole = strategies.builds(operator.add, body, end)
        return strategies.builds(
            Block, using, boolean, seldom, catches, boolean, boolean, whole
        )

    def nested(children):
        body = strategies.lists(children, max_size=3)
        return strategies.one_of(*[block(children)] * 5, on_commit(body))

    # As often as they are named.
    called = on_commit(strategies.just([]))
    leaves = strategies.one_of(*[write] * 6, *[called] * 2, fail, rollback)
    trees = strategies.recursive(leaves, nested, max_leaves=20)
    return strategies.lists(
        strategies.one_of(*[block(trees)] * 4, write), min_size=1, max_size=3
    )


def nest(*body, savepoint=True, durable=False, is_decorator=True):
    """A block with `body` inside of a block, which goes on after it."""
    inner = Block(
        "default", savepoint, durable, Exception, True, is_decorator, list(body)
    )
    around = [Write("default", "a"), inner, Write("default", "b")]
    return [Block("default", True, False, Exception, True, is_decorator, around)]


class Run:
    """One run of a tree: by Django's own means alone, or by ours."""

    def __init__(self, *, is_model: bool):
        self.is_model = is_model
        # What happened, in order: the callbacks, and the errors that were caught.
        self.log: list[Any] = []
        # One object serves all blocks of the same arguments, nested ones too.
        self.atomic = functools.cache(transaction.atomic)
        self.aatomic = functools.cache(aatomic)

    def do(self, tree):
        """Do it in sync code."""
        for one in tree:
            if not isinstance(one, Block):
                self.do_here(one)
            elif one.is_async and not self.is_model:
                async_to_sync(self.ado)([one])
            else:
                atomic = self.atomic(one.using, one.savepoint, one.durable)
                try:
                    if one.is_decorator:
                        atomic(self.do)(one.body)
                    else:
                        with atomic:
                            self.do(one.body)
                except one.catches as error:
                    self.caught(error)

    async def ado(self, tree):
        """Do the same on the event loop."""
        for one in tree:
            if not isinstance(one, Block):
                await run_sync(self.do_here, one)
            elif not one.is_async:
                await run_sync(self.do, [one])
            else:
                atomic = self.aatomic(one.using, one.savepoint, one.durable)
                try:
                    if one.is_decorator:
                        await atomic(self.ado)(one.body)
                    else:
                        async with atomic:
                            await self.ado(one.body)
                except one.catches as error:
                    self.caught(error)

    def do_here(self, one):
        match one:
            case Write():
                Tag.objects.using(one.using).create(name=one.name)
            case Fail():
                raise one.error(len(self.log))
            case SetRollback():
                transaction.set_rollback(one.value, one.using)
            case OnCommit():
                transaction.on_commit(
                    lambda: self.call(one), one.using, robust=one.robust
                )

    def call(self, callback):
        is_open = [connections[alias].in_atomic_block for alias in ALIASES]
        self.log.append(("called", callback.name, callback.using, *is_open))
        if callback.is_async and not self.is_model:
            async_to_sync(self.ado)(callback.body)
        else:
            self.do(callback.body)

    def caught(self, error):
        self.log.append(("caught", type(error), str(error)))

    def result(self):
        """What is left, and what happened; empties the tables."""
        left = []
        for alias in ALIASES:
            connection = connections[alias]
            # Nothing of the tree may reach what comes after it.
            state = (
                connection.in_atomic_block,
                connection.needs_rollback,
                connection.savepoint_ids,
                connection.run_on_commit,
                # But for the one that looks out for tasks of what was rolled back, and
                # the one of an async backend, which stays from other tests.
                [
                    wrapper
                    for wrapper in connection.execute_wrappers
                    if not isinstance(wrapper, transactions._RolledBack)
                    and wrapper is not db._refuse_beside
                ],
            )
            if any(state) or not connection.get_autocommit():
                raise AssertionError(f"{alias} was left in a transaction: {state}")
            tags = Tag.objects.using(alias).order_by("pk")
            left.append([tag.name for tag in tags])
            tags.delete()
        return left, self.log


def by_django(tree):
    run = Run(is_model=True)
    try:
        run.do(tree)
    except BaseException as error:
        run.caught(error)
    return run.result()


def by_us(tree, *, in_request):
    """Do it on a loop of its own, in a request's thread or without any."""

    async def main():
        async with (
            asyncio.timeout(SECONDS),
            ThreadSensitiveContext() if in_request else contextlib.nullcontext(),
        ):
            run = Run(is_model=False)
            try:
                await run.ado(tree)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    raise
                run.caught(error)
            result = await run_sync(run.result)
            await sync_to_async(forget_connections)()
            return result

    with asyncio.Runner() as runner:
        return runner.run(main())


@contextlib.contextmanager
def database_in_a_file(alias: str, folder: str) -> Iterator[None]:
    """Put a database of SQLite's in memory into a file, for several connections."""
    memory = connections[alias]
    if memory.vendor != "sqlite":
        yield
        return
    name = Path(folder) / alias
    memory.ensure_connection()
    with contextlib.closing(sqlite3.connect(name)) as file:
        memory.connection.backup(file)
    in_file = {
        **memory.settings_dict,
        "NAME": str(name),
        "OPTIONS": {"init_command": "PRAGMA synchronous=off;"},
    }
    with mock.patch.dict(connections.settings, {alias: in_file}):
        del connections[alias]
        try:
            yield
        finally:
            connections[alias].close()
            connections[alias] = memory


class PropertyTests(TransactionTestCase):
    databases = set(ALIASES)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        # asgiref's thread outlives tests. Another may have left it a connection, which
        # would go on with the database in memory.
        asyncio.run(sync_to_async(forget_connections)())
        for alias in ALIASES:
            cls.enterClassContext(database_in_a_file(alias, folder))
        # Django tells of each robust callback that fails.
        logger = logging.getLogger("django.db.backends.base")
        cls.enterClassContext(mock.patch.object(logger, "disabled", True))

    def test_the_same_as_django(self):
        # Not a method: hypothesis would want to empty all tables for each example.
        @hypothesis.settings(
            # The same trees in each run, and nothing kept from one to the next.
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=EXAMPLES,
            suppress_health_check=[hypothesis.HealthCheck.too_slow],
        )
        # Whatever else is found, these are among them.
        @hypothesis.example(
            tree=nest(Fail(Failed), is_decorator=False), in_request=False
        )
        @hypothesis.example(tree=nest(Fail(Failed), savepoint=False), in_request=True)
        @hypothesis.example(tree=nest(durable=True), in_request=True)
        @hypothesis.given(tree=trees(), in_request=strategies.booleans())
        def compare(tree, in_request):
            self.assertEqual(by_us(tree, in_request=in_request), by_django(tree))

        compare()
