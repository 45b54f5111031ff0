"""iterate() over querysets: what it gives, in how many hops, and that it lets go.

And agather(), for how many connections it needs. On both databases.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sqlite3
import threading
import unittest
from unittest import mock

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count
from django.test import TestCase

from django_async_cbv import db
from django_async_cbv.db import aatomic, agather
from django_async_cbv.sync import iterate, run_sync
from tests.app.models import Author, Book, Tag
from tests.concurrency import ServedTestCase, forget_connections
from tests.hops import count_hops

PATIENCE = 10  # seconds, until a deadlock is called one
CALLERS = 500
LIMIT = 8

on_postgresql = unittest.skipUnless(
    connection.vendor == "postgresql", "SQLite: has no server-side cursors."
)


def make_tags(count):
    Tag.objects.bulk_create(Tag(name=f"{number:05}") for number in range(count))


class Cursors:
    """The cursors that this thread's connection has executed something on."""

    def __init__(self):
        self.all = []

    def __call__(self, execute, sql, params, many, context):
        self.all.append(context["cursor"].cursor)
        return execute(sql, params, many, context)

    def open(self):
        return [cursor for cursor in self.all if not is_closed(cursor)]


def is_closed(cursor):
    if connection.vendor == "postgresql":
        return cursor.closed
    try:
        # Not fetchmany(0), for which Python 3.14 does not look at the cursor.
        cursor.fetchone()
    except sqlite3.ProgrammingError as error:
        return "closed cursor" in str(error)
    return False


@contextlib.asynccontextmanager
async def watched():
    """Collect the cursors that are used in the block, in this request's worker."""
    cursors = Cursors()
    await run_sync(lambda: connection.execute_wrappers.append(cursors))
    try:
        yield cursors
    finally:
        await run_sync(lambda: connection.execute_wrappers.remove(cursors))


async def held_by_server():
    """The names of the cursors that this connection holds open on PostgreSQL."""

    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pg_cursors WHERE name LIKE '_django%%'")
            return [name for (name,) in cursor.fetchall()]

    return await run_sync(ask)


class QuerySetTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        authors = Author.objects.bulk_create(
            Author(name=f"Author {number}", slug=f"author-{number}")
            for number in range(5)
        )
        Book.objects.bulk_create(
            Book(
                title=f"Book {number}",
                isbn=str(number),
                author=authors[number % 5],
                published=datetime.date(2020 + number % 3, 1, 1),
            )
            for number in range(10)
        )

    async def test_it_gives_what_the_queryset_gives(self):
        books, authors = Book.objects.all(), Author.objects.all()
        first = authors.filter(name__lt="Author 3").order_by()
        for queryset in (
            books,
            books[2:5],
            books.none(),
            books.values("title", "author__name"),
            books.values_list("title", "isbn"),
            books.values_list("isbn", flat=True),
            books.values_list("isbn", named=True),
            books.dates("published", "year"),
            books.only("title"),
            authors.annotate(n=Count("books"))
            .values_list("name", "n")
            .order_by("name"),
            first.union(authors.filter(name="Author 4").order_by()).order_by("name"),
            Book.objects.raw("SELECT * FROM app_book ORDER BY isbn"),
        ):
            found = [item async for item in iterate(queryset, chunk_size=3)]
            expected = await run_sync(list, queryset)
            self.assertEqual(found, expected)
            self.assertEqual(
                [type(item) for item in found], [type(item) for item in expected]
            )

    async def test_prefetch_related(self):
        """A query for each batch, and none when the objects are used."""
        queryset = Author.objects.prefetch_related("books")
        async with watched() as cursors:
            found = [author async for author in iterate(queryset, chunk_size=2)]
            self.assertEqual(len(cursors.all), 1 + 3)
            # On the loop, where a query would be an error.
            titles = [[book.title for book in author.books.all()] for author in found]
        self.assertEqual(titles, [[f"Book {n}", f"Book {n + 5}"] for n in range(5)])

    async def test_an_evaluated_one_makes_no_query(self):
        queryset = Book.objects.all()
        expected = await run_sync(list, queryset)
        async with watched() as cursors:
            found = [book async for book in iterate(queryset, chunk_size=3)]
            self.assertEqual(cursors.all, [])
        for one, other in zip(found, expected, strict=True):
            self.assertIs(one, other)

    async def test_raw_queries(self):
        table = Book._meta.db_table
        raw = Book.objects.raw(f"SELECT * FROM {table} ORDER BY id")
        with count_hops() as hops:
            found = [book.pk async for book in iterate(raw, chunk_size=1)]
        books = Book.objects.order_by("pk").values_list("pk", flat=True)
        self.assertEqual(found, [pk async for pk in books])
        self.assertEqual(hops.count, len(found) + 1)
        prefetching = raw.prefetch_related("tags")
        async for book in iterate(prefetching, chunk_size=1):
            self.assertIn("tags", book._prefetched_objects_cache)

    async def test_one_that_was_not_is_not_evaluated_by_it(self):
        """So no row is kept."""
        queryset = Book.objects.all()
        self.assertEqual(len([book async for book in iterate(queryset)]), 10)
        self.assertIsNone(queryset._result_cache)

    async def test_one_query_and_a_hop_for_each_batch(self):
        # One more is needed to see that there is no more.
        for size, batches in ((1, 11), (3, 4), (5, 3), (10, 2), (11, 1), (None, 1)):
            async with watched() as cursors:
                with count_hops() as hops:
                    found = [book async for book in iterate(Book.objects.all(), size)]
                self.assertEqual(len(cursors.all), 1)
            self.assertEqual((len(found), hops.count), (10, batches))

    async def test_as_many_rows_a_batch_as_it_says(self):
        await run_sync(make_tags, 2001)
        with count_hops() as hops:
            count = len([tag async for tag in iterate(Tag.objects.all())])
        self.assertEqual((count, hops.count), (2001, 5))

    async def test_several_at_once(self):
        first = iterate(Book.objects.order_by("pk"), 2)
        second = iterate(Book.objects.order_by("-pk"), 3)
        async with contextlib.aclosing(first), contextlib.aclosing(second):
            pairs = [(book.title, (await anext(second)).title) async for book in first]
        self.assertEqual(
            pairs, [(f"Book {number}", f"Book {9 - number}") for number in range(10)]
        )

    async def test_rows_may_be_written_on_the_way(self):
        async for book in iterate(Book.objects.order_by("pk"), 2):
            book.title = f"{book.title}!"
            await book.asave()
        titles = await run_sync(list, Book.objects.values_list("title", flat=True))
        self.assertEqual(len([title for title in titles if title[-1] == "!"]), 10)


class LetGoTests:
    """Left early, no cursor stays open: neither here nor on the server."""

    async def check_closed(self, cursors):
        self.assertEqual(len(cursors.all), 1)
        self.assertEqual(await run_sync(cursors.open), [])
        if connection.vendor == "postgresql":
            self.assertEqual(await held_by_server(), [])

    async def check_open(self, cursors):
        self.assertEqual(len(await run_sync(cursors.open)), 1)

    async def leave_early(self):
        async with watched() as cursors:
            async with contextlib.aclosing(iterate(Tag.objects.all(), 10)) as tags:
                async for tag in tags:
                    self.assertEqual(tag.name, "00000")
                    await self.check_open(cursors)
                    break
            await self.check_closed(cursors)

    async def be_cancelled_in_the_body(self):
        inside = asyncio.Event()

        async def read():
            async with contextlib.aclosing(iterate(Tag.objects.all(), 10)) as tags:
                async for _ in tags:
                    inside.set()
                    await asyncio.Event().wait()

        async with watched() as cursors:
            task = asyncio.create_task(read())
            await inside.wait()
            await self.check_open(cursors)
            task.cancel()
            await asyncio.wait({task})
            self.assertTrue(task.cancelled())
            await self.check_closed(cursors)

    async def be_cancelled_in_a_batch(self):
        """Without aclosing(): it is the iterator itself that is cancelled."""
        begun, let_go = threading.Event(), threading.Event()

        def hold(execute, *args):
            result = execute(*args)
            begun.set()
            if not let_go.wait(PATIENCE):
                raise TimeoutError
            return result

        async def read():
            async for _ in iterate(Tag.objects.all(), 10):
                self.fail("It was cancelled.")

        async with watched() as cursors:
            await run_sync(lambda: connection.execute_wrappers.append(hold))
            task = asyncio.create_task(read())
            await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            await asyncio.sleep(0)
            let_go.set()
            await asyncio.wait({task})
            self.assertTrue(task.cancelled())
            await run_sync(lambda: connection.execute_wrappers.remove(hold))
            await self.check_closed(cursors)

    async def be_abandoned(self):
        async def read():
            async for _ in iterate(Tag.objects.all(), 10):
                return

        async with watched() as cursors:
            before = asyncio.all_tasks()
            await read()
            # The loop closes it, in a task that it makes as soon as it is told.
            await asyncio.sleep(0)
            if closing := asyncio.all_tasks() - before:
                await asyncio.wait(closing, timeout=PATIENCE)
            await self.check_closed(cursors)

    async def all_of_them(self):
        await self.leave_early()
        await self.be_cancelled_in_the_body()
        await self.be_cancelled_in_a_batch()
        await self.be_abandoned()

    async def read_by_a_cursor(self, *, is_holdable):
        async with contextlib.aclosing(iterate(Tag.objects.all(), 10)) as tags:
            await anext(tags)
            (name,) = await held_by_server()
            self.assertRegex(name, "^_django_curs_")

            def ask():
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT is_holdable FROM pg_cursors WHERE name=%s", [name]
                    )
                    return cursor.fetchone()

            self.assertEqual(await run_sync(ask), (is_holdable,))
            rest = [tag async for tag in tags]
        self.assertEqual(len(rest), 34)
        self.assertEqual(await held_by_server(), [])


class InATransactionTests(LetGoTests, TestCase):
    @classmethod
    def setUpTestData(cls):
        make_tags(35)

    async def test_it_lets_go_and_the_block_goes_on(self):
        for end in (
            self.leave_early,
            self.be_cancelled_in_the_body,
            self.be_cancelled_in_a_batch,
            self.be_abandoned,
        ):
            with contextlib.suppress(ZeroDivisionError):
                async with aatomic():
                    await end()
                    await Tag.objects.acreate(name="later")
                    self.assertEqual(await Tag.objects.acount(), 36)
                    raise ZeroDivisionError
            self.assertEqual(await Tag.objects.acount(), 35)

    async def test_cancelled_with_its_block(self):
        inside = asyncio.Event()

        async def read():
            async with aatomic():
                tags = iterate(Tag.objects.all(), 10)
                async with contextlib.aclosing(tags):
                    async for tag in tags:
                        await tag.adelete()
                        inside.set()
                        await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await inside.wait()
        task.cancel()
        await asyncio.wait({task})
        self.assertTrue(task.cancelled())
        self.assertEqual(await Tag.objects.acount(), 35)
        if connection.vendor == "postgresql":
            self.assertEqual(await held_by_server(), [])

    @on_postgresql
    async def test_it_reads_by_a_server_side_cursor(self):
        async with aatomic():
            await self.read_by_a_cursor(is_holdable=False)


class OutsideOfATransactionTests(LetGoTests, ServedTestCase):
    def setUp(self):
        make_tags(35)

    async def in_request(self, does, **options):
        async with ThreadSensitiveContext():
            try:
                await does(**options)
            finally:
                await sync_to_async(forget_connections)()

    async def test_it_lets_go(self):
        await self.in_request(self.all_of_them)

    async def test_it_lets_go_without_a_request(self):
        await self.all_of_them()

    @on_postgresql
    async def test_it_reads_by_a_server_side_cursor(self):
        await self.in_request(self.read_by_a_cursor, is_holdable=True)


class ConnectionTests(ServedTestCase):
    """Five hundred callers of agather() at once make do with eight connections."""

    def setUp(self):
        make_tags(3)
        self.enterContext(mock.patch.dict(db._pools, clear=True))

    async def ask(self, query):
        calls = [agather(query, Tag.objects.all(), limit=LIMIT) for _ in range(CALLERS)]
        results = await asyncio.gather(*calls)
        self.assertEqual({len(tags) for _, tags in results}, {3})
        return [result for result, _ in results]

    async def test_no_more_are_open_at_a_time(self):
        """Opened and closed for each query, as CONN_MAX_AGE = 0 has it."""
        lock = threading.Lock()
        opened, most = set(), 0
        connect, close = BaseDatabaseWrapper.connect, BaseDatabaseWrapper.close

        def connecting(wrapper):
            nonlocal most
            with lock:
                opened.add(wrapper)
                most = max(most, len(opened))
            connect(wrapper)

        def closing(wrapper):
            close(wrapper)
            with lock:
                opened.discard(wrapper)

        with (
            mock.patch.object(BaseDatabaseWrapper, "connect", connecting),
            mock.patch.object(BaseDatabaseWrapper, "close", closing),
        ):
            await self.ask(Tag.objects.count)
            await asyncio.to_thread(db._pools[LIMIT, False].shutdown)
        self.assertEqual(opened, set())
        self.assertLessEqual(most, LIMIT)
        self.assertGreater(most, 1)

    @on_postgresql
    async def test_no_more_are_on_the_server(self):
        """Kept, so that none is counted that is on its way out."""

        def count():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database()"
                    # Not a process of the server's own that cleans up at this moment.
                    " AND backend_type = 'client backend'"
                )
                return cursor.fetchone()[0]

        barrier = threading.Barrier(LIMIT, timeout=PATIENCE)

        def disconnect():
            barrier.wait()
            connections.close_all()

        others = await run_sync(count)
        with mock.patch.dict(connections.settings["default"], CONN_MAX_AGE=None):
            counts = await self.ask(count)
            after = await run_sync(count)
            await agather(*[disconnect] * LIMIT, limit=LIMIT)
        await asyncio.to_thread(db._pools[LIMIT, False].shutdown)
        self.assertLessEqual(max(counts) - others, LIMIT)
        self.assertEqual(after - others, LIMIT)
