"""Transfers between accounts that are cancelled, or cut off: no money is made or lost.

On PostgreSQL, in a database of their own, whatever the default one is.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import random
import time
from contextvars import ContextVar
from unittest import mock

import psycopg
import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
    models,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

from django_async_cbv.db import aatomic
from tests.concurrency import forget_connections
from tests.faults.leaks import few_objects, leftovers_of
from tests.faults.stops import Stop
from tests.faults.test_cancelled import Midway

ALIAS = "accounts"
ACCOUNTS = 6
BALANCE = 1000
AT_ONCE = 8
CANCELLED = 1000
CUT_OFF = 300
SEED = 2026
SECONDS = 10  # until what has been closed is gone from the server


class Account(models.Model):
    balance = models.IntegerField()

    class Meta:
        app_label = "faults"


class Transfer(models.Model):
    """What the accounts are to agree with."""

    giver = models.IntegerField()
    taker = models.IntegerField()
    amount = models.IntegerField()

    class Meta:
        app_label = "faults"


# What is called in the worker before and after each thing that the server is told.
_point: ContextVar[Point | None] = ContextVar("point", default=None)


class Point:
    """Calls `then`, once, at the n-th point of what is done in this context."""

    def __init__(self, n, then):
        self.n = n
        self.then = then
        self.count = 0

    def reach(self):
        self.count += 1
        if self.count == self.n:
            self.then()


def with_points(original):
    def call(self, *args, **kwargs):
        point = _point.get()
        if point is None:
            return original(self, *args, **kwargs)
        point.reach()
        result = original(self, *args, **kwargs)
        point.reach()
        return result

    return call


@contextlib.contextmanager
def points():
    """Have points wherever Django's connections talk to the server."""
    with contextlib.ExitStack() as stack:
        for owner, name in (
            (BaseDatabaseWrapper, "connect"),
            (BaseDatabaseWrapper, "set_autocommit"),
            (BaseDatabaseWrapper, "_savepoint"),
            (BaseDatabaseWrapper, "_savepoint_commit"),
            (BaseDatabaseWrapper, "_commit"),
            (BaseDatabaseWrapper, "_rollback"),
            (BaseDatabaseWrapper, "close"),
            (CursorWrapper, "_execute"),
        ):
            method = with_points(getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, method))
        yield


async def transfer(number, giver, taker, amount):
    """Note it, and move the amount."""
    accounts = Account.objects.using(ALIAS)
    async with aatomic(using=ALIAS):
        async with aatomic(using=ALIAS):
            await Transfer.objects.using(ALIAS).acreate(
                pk=number, giver=giver, taker=taker, amount=amount
            )
        # In this order, so that no two wait for each other.
        both = accounts.filter(pk__in=(giver, taker)).order_by("pk")
        locked = {one.pk: one async for one in both.select_for_update()}
        locked[giver].balance -= amount
        await locked[giver].asave()
        locked[taker].balance += amount
        await locked[taker].asave()


def arm_stop(n, late, task):
    """Cancel the task, which `task()` gives, at its n-th suspension."""
    stop = Stop(n, lambda: task().cancel(), late=late)
    stop.watch()
    return stop


def arm_point(n, task):
    """Cancel the task while its worker is at the n-th point."""
    midway = Midway()
    midway.begin(None)

    def then():
        midway.task = task()
        midway()

    point = Point(n, then)
    _point.set(point)
    return point


class Bank:
    """Makes transfers at once, by turns in a request's thread and in a block's own."""

    def __init__(self, watcher):
        self.random = random.Random(SEED)
        self.watcher = watcher
        self.limit = asyncio.Semaphore(AT_ONCE)
        self.made = 0

    def order(self, *, in_request):
        self.made += 1
        giver, taker = self.random.sample(range(1, ACCOUNTS + 1), 2)
        order = self.made, giver, taker, self.random.randint(1, 100)
        return order, in_request

    async def run(self, order, in_request, arm=None):
        """Make a transfer; return its task, which is over, and what was armed."""
        async with self.limit:
            async with (
                ThreadSensitiveContext() if in_request else contextlib.nullcontext()
            ):
                result = await asyncio.create_task(self.run_armed(order, arm))
                if in_request:
                    # In the request's thread, so after what that is still doing.
                    await sync_to_async(forget_connections)()
            self.watcher.check_sum(await asyncio.to_thread(self.watcher.sum))
            return result

    async def run_armed(self, order, arm):
        task = None
        # Told by the context, so not to the task that runs this.
        armed = arm(lambda: task) if arm else None
        task = asyncio.create_task(transfer(*order))
        await asyncio.wait({task})
        return task, armed

    async def counts(self, arm):
        """How many points a transfer has, in a request and on its own."""
        counts = {}
        for in_request in (True, False):
            order = self.order(in_request=in_request)
            task, armed = await self.run(*order, arm)
            task.result()
            counts[in_request] = armed.count
        return counts


class Watcher:
    """A connection that looks on from outside, and kills others."""

    def __init__(self, settings):
        self.connection = psycopg.connect(
            host=settings["HOST"],
            port=settings["PORT"],
            user=settings["USER"],
            password=settings["PASSWORD"],
            dbname=settings["NAME"],
            autocommit=True,
        )

    def ask(self, query, *params):
        return self.connection.execute(query, params).fetchall()

    def sum(self):
        return self.ask("SELECT sum(balance) FROM faults_account")[0][0]

    def check_sum(self, found):
        if found != ACCOUNTS * BALANCE:
            raise AssertionError(f"The sum is {found}.")

    def others(self):
        """The process and the state of each other client of this database."""
        return self.ask(
            "SELECT pid, state FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
            " ORDER BY pid"
        )

    def left(self):
        """As others(), once those that were closed have had the time to go."""
        deadline = time.monotonic() + SECONDS
        while (others := self.others()) and time.monotonic() < deadline:
            self.ask("SELECT pg_sleep(0.01)::text")
        return others

    def kill_one(self, chance):
        if others := self.others():
            pid = chance.choice(others)[0]
            self.ask("SELECT pg_terminate_backend(%s)", pid)


class TransferTests(TransactionTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(few_objects())
        cls.enterClassContext(points())

    @pytest.fixture(autouse=True)
    def take(self, postgres):
        self.postgres = postgres

    def setUp(self):
        """Make a database with the accounts, and someone who looks on."""
        # Not before, or Django would empty it after each test as one of its own.
        self.enterContext(
            mock.patch.object(type(self), "databases", {"default", ALIAS})
        )
        settings = self.enterContext(self.postgres.database("accounts"))
        # With all that Django adds to them.
        complete = connections.configure_settings({"default": {}, ALIAS: settings})
        self.enterContext(
            mock.patch.dict(connections.settings, {ALIAS: complete[ALIAS]})
        )
        with connections[ALIAS].schema_editor() as editor:
            editor.create_model(Account)
            editor.create_model(Transfer)
        Account.objects.using(ALIAS).bulk_create(
            Account(balance=BALANCE) for _ in range(ACCOUNTS)
        )
        connections[ALIAS].close()
        del connections[ALIAS]
        self.watcher = Watcher(settings)
        self.enterContext(self.watcher.connection)

    def check_books(self):
        """The balances are what the transfers in the database make them."""
        balances = collections.Counter(dict.fromkeys(range(1, ACCOUNTS + 1), BALANCE))
        kept = set()
        for number, giver, taker, amount in self.watcher.ask(
            "SELECT id, giver, taker, amount FROM faults_transfer"
        ):
            kept.add(number)
            balances[giver] -= amount
            balances[taker] += amount
        found = dict(self.watcher.ask("SELECT id, balance FROM faults_account"))
        self.assertEqual(found, dict(balances))
        self.watcher.check_sum(self.watcher.sum())
        return kept

    def check_cancelled(self, runs):
        """Run `runs(bank)` and see that all were cancelled, and each whole or not."""
        results = {}

        async def main():
            bank = Bank(self.watcher)
            await runs(bank, results)

        self.assertEqual(leftovers_of(main), [])
        self.assertEqual(self.watcher.left(), [])
        lost = [number for number, (task, _) in results.items() if not task.cancelled()]
        self.assertEqual(lost, [])
        kept = self.check_books() & set(results)
        # In the commit, or just before or after: some were made all the same.
        self.assertGreater(len(kept), len(results) // 50)
        self.assertLess(len(kept), len(results) // 2)

    def test_cancelled_at_its_suspensions(self):
        async def runs(bank, results):
            def never(task):
                return arm_stop(0, False, task)

            counts = await bank.counts(never)

            async def run(order, in_request):
                chance = random.Random(order[0])
                n = chance.randint(1, counts[in_request])
                arm = functools.partial(arm_stop, n, chance.random() < 0.5)
                results[order[0]] = await bank.run(order, in_request, arm)

            await run_all(bank, run, CANCELLED // 2)

        self.check_cancelled(runs)

    def test_cancelled_while_its_worker_is_busy(self):
        async def runs(bank, results):
            counts = await bank.counts(functools.partial(arm_point, 0))

            async def run(order, in_request):
                n = random.Random(order[0]).randint(1, counts[in_request])
                arm = functools.partial(arm_point, n)
                results[order[0]] = await bank.run(order, in_request, arm)

            await run_all(bank, run, CANCELLED // 2)

        self.check_cancelled(runs)

    def test_cut_off_by_the_server(self):
        """Connections die at random: it says so, and goes on with new ones."""
        results = {}

        async def main():
            bank = Bank(self.watcher)
            counts = await bank.counts(functools.partial(arm_point, 0))

            async def run(order, in_request):
                chance = random.Random(order[0])
                n = chance.randint(1, counts[in_request])

                def arm(task):
                    point = Point(n, functools.partial(self.watcher.kill_one, chance))
                    _point.set(point)
                    return point

                results[order[0]] = await bank.run(order, in_request, arm)

            await run_all(bank, run, CUT_OFF)

            async def run_well(order, in_request):
                (await bank.run(order, in_request))[0].result()

            await run_all(bank, run_well, AT_ONCE)

        self.assertEqual(leftovers_of(main), [])
        self.assertEqual(self.watcher.left(), [])
        kept = self.check_books()
        errors = {
            number: task.exception()
            for number, (task, _) in results.items()
            if task.exception()
        }
        for error in errors.values():
            self.assertIsInstance(error, (OperationalError, InterfaceError))
            self.assertRegex(str(error), "connection|terminat")
        self.assertLessEqual(set(results) - set(errors), kept)
        self.assertGreater(len(errors), CUT_OFF // 10)
        self.assertGreater(len(kept), CUT_OFF // 10)

    def test_a_thread_that_goes_on_has_a_new_connection(self):
        """Which is looked for where a request begins, by close_old_connections()."""

        async def main():
            bank = Bank(self.watcher)
            async with ThreadSensitiveContext():
                for _ in range(5):
                    await transfer(*bank.order(in_request=True)[0])
                    await asyncio.to_thread(self.watcher.kill_one, bank.random)
                    self.assertEqual(await asyncio.to_thread(self.watcher.left), [])
                    with self.assertRaises(OperationalError):
                        await transfer(*bank.order(in_request=True)[0])
                    await sync_to_async(close_old_connections)()
                await transfer(*bank.order(in_request=True)[0])
                await sync_to_async(forget_connections)()

        self.assertEqual(leftovers_of(main), [])
        self.assertEqual(len(self.check_books()), 6)


async def run_all(bank, run, count):
    orders = [bank.order(in_request=bool(number % 2)) for number in range(count)]
    await asyncio.gather(*[run(*order) for order in orders])
