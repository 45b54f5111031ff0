"""Reading in batches: each row once, in order, whatever the queryset."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from asgiref.sync import ThreadSensitiveContext
from django.core.exceptions import FieldError
from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Value, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower, RowNumber
from django.test import TestCase, TransactionTestCase
from django.test.utils import CaptureQueriesContext

from django_async_cbv.core.reading import (
    convert_apart,
    convert_in_hops,
    convert_in_sync_code,
    reader_of,
)
from django_async_cbv.sync import run_sync
from tests.app.models import Author, Entry, Tag
from tests.hops import count_hops

ENTRIES = 23
SIZES = (1, 4, 22, 23)


def fill():
    author = Author.objects.create(name="Ann", slug="ann")
    tags = [Tag.objects.create(name=name) for name in ("new", "old")]
    for number in range(ENTRIES):
        entry = Entry.objects.create(
            code=f"{(number * 7) % ENTRIES:02}",
            # Of each few, and of one nearly all.
            group=0 if number < 14 else number % 3,
            note=None if number % 3 else f"note {number % 4}",
            rank=None if number % 4 == 0 else -number,
            weight=number / 3,
            author=author if number % 2 else None,
        )
        entry.tags.set(tags if number % 2 else tags[:1])


async def depth_of_transaction():
    """How many blocks are open on the request's connection."""
    return await run_sync(lambda: len(connection.savepoint_ids))


def rows_of(reader):
    return [row for rows in convert_in_sync_code(reader, list) for row in rows]


# What is sorted by them is read by a key.
BY_KEY = (
    (),
    ("pk",),
    ("-pk",),
    ("id",),
    ("code",),
    ("-code", "group"),
    ("group",),
    ("-group",),
    ("group", "-pk"),
    ("-group", "note"),
    ("group", "-note"),
    ("group", "-rank", "note"),
    ("-group", "rank", "-code"),
    ("group", F("rank").desc(nulls_last=True)),
    ("group", F("rank").asc(nulls_first=True), "pk"),
    ("group", F("note").asc(nulls_last=True)),
    (F("group"), F("note").desc(nulls_first=True)),
    (F("group").desc(), "author_id"),
)
# And by these with a cursor: they may have nulls, floats, no index, or be no columns.
BY_CURSOR = (
    ("rank",),
    ("note",),
    ("-note", "group"),
    ("weight",),
    ("group", "weight"),
    ("author",),
    ("author_id",),
    ("author__name", "pk"),
    (Lower("code"),),
    ("group", Lower("code")),
    (F("group").asc(nulls_first=True),),
)


class TestOrder(TestCase):
    @classmethod
    def setUpTestData(cls):
        fill()

    def check(self, queryset, order, *, keeps_open):
        total = order if "pk" in order or "-pk" in order else (*order, "pk")
        expected = list(queryset.order_by(*total))
        assert len(expected) == ENTRIES
        for size in SIZES:
            reader = reader_of(queryset.order_by(*order), size)
            with self.subTest(order=order, size=size):
                assert reader.keeps_open is keeps_open
                found = rows_of(reader)
                if keeps_open:
                    # In an order of the database's own among equals.
                    assert sorted(row.pk for row in found) == sorted(
                        row.pk for row in expected
                    )
                else:
                    assert found == expected
                lookups = ["code"] if keeps_open else ["code", "code"]
                reader = reader_of(queryset.order_by(*order), size, lookups=lookups)
                assert reader.keeps_open is keeps_open
                codes = rows_of(reader)
                if keeps_open:
                    assert sorted(codes) == sorted((row.code,) for row in expected)
                else:
                    assert codes == [(row.code, row.code) for row in expected]

    def test_by_key(self):
        for order in BY_KEY:
            self.check(Entry.objects.all(), order, keeps_open=False)

    def test_by_cursor(self):
        for order in BY_CURSOR:
            self.check(Entry.objects.all(), order, keeps_open=True)

    def test_reversed(self):
        for order in ((), ("group",), ("-group", "note"), ("code",)):
            for size in SIZES:
                queryset = Entry.objects.order_by(*(order or ("pk",))).reverse()
                reader = reader_of(queryset, size)
                assert not reader.keeps_open
                if order in ((), ("code",)):
                    assert rows_of(reader) == list(queryset)
                else:
                    expected = Entry.objects.order_by(*order, "pk").reverse()
                    assert rows_of(reader) == [*expected]
        queryset = Entry.objects.order_by("group", F("rank").asc(nulls_first=True))
        assert reader_of(queryset.reverse(), 2).keeps_open

    def test_the_order_of_the_model(self):
        reader = reader_of(Author.objects.all(), 2)
        assert reader.keeps_open
        assert not reader_of(Author.objects.order_by(), 2).keeps_open
        assert [row.name for row in rows_of(reader)] == ["Ann"]


class TestQuerySets(TestCase):
    @classmethod
    def setUpTestData(cls):
        fill()

    def test_read_by_key(self):
        entries = Entry.objects.order_by("group")
        for queryset in (
            entries.filter(group=0, code__lt="20"),
            entries.exclude(tags__name="old"),
            entries.filter(author__name="Ann"),
            entries.select_related("author"),
            entries.prefetch_related("tags"),
            entries.annotate(one=Value(1), twice=F("group") * 2),
            entries.annotate(
                mine=Exists(Author.objects.filter(pk=OuterRef("author")))
            ).filter(mine=True),
            entries.only("note"),
            entries.defer("group"),
            entries.none(),
            entries.using("default"),
            entries.filter(pk__in=entries.filter(group=0)),
        ):
            for size in SIZES:
                reader = reader_of(queryset, size)
                assert not reader.keeps_open
                with self.subTest(queryset=queryset.query, size=size):
                    assert rows_of(reader) == list(queryset.order_by("group", "pk"))

    def test_read_by_cursor(self):
        entries = Entry.objects.order_by("pk")
        for queryset in (
            entries[3:17],
            entries.distinct(),
            entries.filter(tags__name__in=["new", "old"]),
            entries.filter(tags__name__in=["new", "old"]).distinct(),
            entries.annotate(number=Count("tags")),
            entries.annotate(number=Window(RowNumber())),
            entries.annotate(number=RawSQL("1", ())),
            entries.extra(select={"one": "1"}),
            # Parts of a union are not sorted: until Django 6.0 goes, it refuses that
            # on SQLite, however such a QuerySet is read.
            Entry.objects.filter(group=0)
            .union(Entry.objects.filter(group=1))
            .order_by("code"),
            entries.values("code", "group"),
            entries.values_list("code", flat=True),
            entries.values("group").annotate(number=Count("pk")).order_by("group"),
            Entry.objects.raw("SELECT * FROM app_entry ORDER BY id"),
        ):
            for size in SIZES:
                reader = reader_of(queryset, size)
                assert reader.keeps_open
                with self.subTest(queryset=str(queryset.query), size=size):
                    assert rows_of(reader) == list(queryset)

    def test_lookups_of_many_are_read_by_cursor(self):
        for size in SIZES:
            reader = reader_of(
                Entry.objects.order_by("pk"), size, lookups=["code", "tags__name"]
            )
            assert reader.keeps_open
            assert len(rows_of(reader)) == Entry.tags.through.objects.count()

    def test_lookups(self):
        queryset = Entry.objects.order_by("group").annotate(twice=F("group") * 2)
        for lookups in (
            ["code"],
            ["code", "code", "author__name"],
            ["twice", "pk"],
            ["group", "id"],
            ["id", "group"],
            [],
        ):
            expected = [
                tuple(
                    {"twice": row.group * 2, "author__name": None}.get(
                        name, getattr(row, name, None)
                    )
                    if name != "author__name" or row.author is None
                    else row.author.name
                    for name in lookups
                )
                for row in queryset.order_by("group", "pk")
            ]
            for size in SIZES:
                reader = reader_of(
                    queryset.prefetch_related("tags"), size, lookups=lookups
                )
                assert not reader.keeps_open
                assert rows_of(reader) == expected

    def test_lookups_of_values(self):
        queryset = Entry.objects.values("group").annotate(number=Count("pk"))
        reader = reader_of(queryset.order_by("group"), 2, lookups=["number", "group"])
        assert rows_of(reader) == list(
            queryset.order_by("group").values_list("number", "group")
        )

    def test_a_lookup_that_is_none(self):
        with self.assertRaisesMessage(FieldError, "Cannot resolve keyword 'coed'"):
            reader_of(Entry.objects.all(), 2, lookups=["coed"])

    def test_evaluated(self):
        queryset = Entry.objects.all()
        expected = list(queryset)
        with CaptureQueriesContext(connection) as queries:
            assert rows_of(reader_of(queryset, 5)) == expected
        assert not queries

    def test_prefetched_in_each_batch(self):
        reader = reader_of(Entry.objects.prefetch_related("tags"), 10)
        with CaptureQueriesContext(connection) as queries:
            rows = rows_of(reader)
            assert sum(len(row.tags.all()) for row in rows) == 34
        assert len(queries) == 6

    def test_snapshot(self):
        reader = reader_of(Entry.objects.all(), 5, snapshot=True)
        assert reader.keeps_open
        assert len(rows_of(reader)) == ENTRIES

    def test_iterables(self):
        for source in ([*range(7)], range(7), iter(range(7)), (n for n in range(7))):
            for size in (1, 3, 7, 8):
                if not hasattr(source, "__next__"):
                    assert rows_of(reader_of(source, size)) == [*range(7)]
            if hasattr(source, "__next__"):
                assert rows_of(reader_of(source, 3)) == [*range(7)]

    def test_many_equals_are_not_read_again(self):
        """A column with one value in thousands of rows is no reason to scan them."""
        reader = reader_of(Entry.objects.order_by("group"), 4)
        with CaptureQueriesContext(connection) as queries:
            rows_of(reader)
        for query in queries.captured_queries[1:3]:
            assert '"group" = 0' in query["sql"]
            assert " OR " not in query["sql"]

    def test_an_index_is_told_where_to_begin(self):
        reader = reader_of(Entry.objects.order_by("-group"), 16)
        with CaptureQueriesContext(connection) as queries:
            rows_of(reader)
        assert '"group" <= 0' in queries[1]["sql"]

    def test_a_row_changed_by_who_reads_it(self):
        def change(rows):
            for row in rows:
                row.pk, row.group = 10_000, 10_000
            return [row.code for row in rows]

        found = [
            code
            for codes in convert_in_sync_code(
                reader_of(Entry.objects.order_by("group"), 4), change
            )
            for code in codes
        ]
        assert sorted(found) == sorted(Entry.objects.values_list("code", flat=True))

    def test_rows_that_come_and_go_meanwhile(self):
        """Rows that are there all the time come once, whatever else happens."""
        stay = {*Entry.objects.filter(pk__gt=5).values_list("code", flat=True)}
        found = []

        def change(rows):
            found.extend(row.code for row in rows)
            if (going := Entry.objects.filter(pk__lte=5).first()) is not None:
                going.delete()
            number = len(found)
            Entry.objects.create(code=f"new {number}", group=-1, weight=-number)

        for _ in convert_in_sync_code(
            reader_of(Entry.objects.order_by("code"), 5), change
        ):
            pass
        assert stay <= {*found}
        assert len({*found}) == len(found)


class TestHops(TestCase):
    @classmethod
    def setUpTestData(cls):
        fill()

    async def test_a_hop_for_each_batch(self):
        entries = Entry.objects.order_by("pk")
        for source, options in (
            (entries, {}),
            (entries, {"lookups": ["code"]}),
            (entries, {"snapshot": True}),
            (entries.order_by("weight"), {}),
            (entries.none(), {}),
        ):
            for size in (1, 10, 23, 24):
                with count_hops() as hops:
                    reader = reader_of(source, size, **options)
                    parts = [part async for part in convert_in_hops(reader, list)]
                assert hops.count == len(parts)
                rows = sum(map(len, parts))
                assert len(parts) == max(1, -(-rows // size))

    async def test_left_early(self):
        """What was begun is ended in its thread, and before aclose() is over."""
        for options in ({}, {"snapshot": True}):
            depth = await depth_of_transaction()
            reader = reader_of(Entry.objects.order_by("pk"), 2, **options)
            parts = convert_in_hops(reader, list)
            assert len(await anext(parts)) == 2
            assert await depth_of_transaction() == depth + reader.keeps_open
            with count_hops() as hops:
                await parts.aclose()
            assert hops.count == reader.keeps_open
            assert await depth_of_transaction() == depth

    async def test_an_error_ends_the_transaction(self):
        def fail(rows):
            raise LookupError(len(rows))

        for source in (Entry.objects.order_by("pk"), Entry.objects.order_by("weight")):
            for size in (2, 100):
                depth = await depth_of_transaction()
                with self.assertRaises(LookupError), count_hops() as hops:
                    async for _ in convert_in_hops(reader_of(source, size), fail):
                        pass
                assert hops.count == 1
                assert await depth_of_transaction() == depth

    async def test_cancelled_in_a_batch(self):
        for options in ({}, {"snapshot": True}):
            depth = await depth_of_transaction()
            begun, may_end = threading.Event(), threading.Event()

            def slowly(rows, begun=begun, may_end=may_end):
                begun.set()
                may_end.wait(10)

            reader = reader_of(Entry.objects.order_by("pk"), 2, **options)
            task = asyncio.ensure_future(anext(convert_in_hops(reader, slowly)))
            await asyncio.to_thread(begun.wait, 10)
            task.cancel()
            may_end.set()
            await asyncio.wait({task})
            assert task.cancelled()
            assert await depth_of_transaction() == depth

    async def test_a_generator_is_closed(self):
        closed = []

        def numbers():
            try:
                yield from range(100)
            finally:
                closed.append(threading.current_thread())

        parts = convert_in_hops(reader_of(numbers(), 10), list)
        assert await anext(parts) == [*range(10)]
        await parts.aclose()
        assert len(closed) == 1
        assert closed != [threading.current_thread()]

    async def test_async_sources(self):
        async def numbers(count):
            for number in range(count):
                yield number

        for count in (0, 9, 10, 11):
            with count_hops() as hops:
                parts = [one async for one in convert_apart(numbers(count), 5, sum)]
            assert sum(parts) == sum(range(count))
            assert hops.count == len(parts)


class TestTransaction(TransactionTestCase):
    def setUp(self):
        fill()

    def test_the_cursor_is_in_one_and_no_key_is(self):
        for queryset, is_open in (
            (Entry.objects.order_by("pk"), False),
            (Entry.objects.order_by("weight"), True),
        ):
            seen = []

            def look(rows, seen=seen):
                seen.append(connection.in_atomic_block)

            for _ in convert_in_sync_code(reader_of(queryset, 10), look):
                look(None)
            # The last one is closed when its batch has been used.
            assert seen == [is_open] * 6
            assert not connection.in_atomic_block

    def test_left_early_in_sync_code(self):
        parts = convert_in_sync_code(
            reader_of(Entry.objects.order_by("weight"), 2), list
        )
        next(parts)
        assert connection.in_atomic_block
        parts.close()
        assert not connection.in_atomic_block

    def test_no_cursor_of_postgresql_outlives_its_transaction(self):
        """`WITH HOLD`, it would have computed each row before it gave the first."""
        if connection.vendor != "postgresql":
            self.skipTest("SQLite: it has no cursor on the server")
        found = []

        def look(rows):
            with connection.cursor() as cursor:
                cursor.execute("SELECT is_holdable FROM pg_cursors WHERE name <> ''")
                found.extend(cursor.fetchall())

        for _ in convert_in_sync_code(
            reader_of(Entry.objects.order_by("weight"), 10), look
        ):
            pass
        assert (False,) in found
        assert (True,) not in found

    def test_a_request_whose_thread_is_gone(self):
        """A reader that nobody has ended is not ended in another thread."""
        ended = []

        class Endless:
            keeps_open = True
            is_plain = False

            def read(self):
                return [1], True

            def close(self, error=None):
                ended.append(error)

        async def left(is_gone):
            parts = convert_in_hops(Endless(), list)
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(ThreadSensitiveContext())
                await anext(parts)
                if is_gone:
                    await stack.aclose()
                await parts.aclose()

        asyncio.run(left(True))
        assert not ended
        asyncio.run(left(False))
        assert len(ended) == 1
