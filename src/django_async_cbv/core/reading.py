"""Read many rows a batch at a time: by a key, by a cursor, or from an iterable."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from operator import attrgetter, itemgetter
from typing import Any, Protocol, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy, RawSQL
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.db.models.query import RawQuerySet

from .foreign import reads_plainly
from .steps import Driven
from .threads import OWN, run_sync

__all__ = [
    "Reader",
    "convert_apart",
    "convert_in_hops",
    "convert_in_sync_code",
    "reader_of",
]

_T = TypeVar("_T")

# Fields whose values the database compares in the order in which it sorts them. Not
# floats, because some databases return them rounded.
_KEYS = (
    models.AutoField,
    models.BooleanField,
    models.CharField,
    models.DateField,
    models.IntegerField,
    models.TextField,
    models.UUIDField,
)


class Reader(Protocol):
    """Reads a source in sync code; `keeps_open`: something between two batches."""

    keeps_open: bool
    # Whether the reader runs no code of the project.
    is_plain: bool

    def read(self) -> tuple[Sequence[Any], bool]:
        """Return the rows of the next batch, and whether others may follow."""

    def close(self, error: BaseException | None = None) -> None:
        """End it, before or after its end."""


def reader_of(
    source: QuerySet[Any] | Iterable[Any],
    size: int,
    *,
    lookups: Sequence[str] | None = None,
    snapshot: bool = False,
) -> Reader:
    """
    Return what reads a source, `size` rows at a time.

    Each batch of a QuerySet is a query of its own if the database has an index by
    which it is sorted, or if it is not sorted. Then nothing is open between two
    batches. Otherwise, and for a `snapshot`, a cursor reads it in a transaction.

    Args:
        source: A QuerySet, or any other iterable.
        size: How many rows a batch has.
        lookups: What of a row of a QuerySet is read, as a tuple. None: the objects.
        snapshot: Whether the rows have to be those of one moment.

    Raises:
        FieldError: If a lookup is none of the QuerySet's.
    """
    if isinstance(source, RawQuerySet):
        raw: Any = source
        # With prefetch_related(), Django needs all rows at once.
        if not raw._prefetch_related_lookups:
            return _ByCursor(raw.iterator, size, raw.db)
    if not isinstance(source, QuerySet):
        return _FromIterable(source, size)
    # The alias is fixed here, because a router may return another replica each time.
    rows: QuerySet[Any] = source.using(source.db)
    row: Callable[[Any], Any] | None = None
    names = list(dict.fromkeys(lookups or ()))
    if lookups is not None:
        if _compares_objects(rows):
            # The primary key keeps two objects with the same values apart.
            primary = [field.attname for field in rows.model._meta.pk_fields]
            names = [*dict.fromkeys([*names, *primary])]
        # values_list() drops a repeated name.
        if names != list(lookups):
            row = _getter([names.index(name) for name in lookups])
        plain: Any = rows._chain()  # type: ignore[attr-defined]  # no stub
        # As prefetch_related(None) does, which raises an error after union().
        plain._prefetch_related_lookups = ()
        rows = plain.values_list(*names)
    elif source._result_cache is not None:
        return _FromIterable(source, size)
    # The dicts of values() may lack the key.
    is_of_values = lookups is None and rows._fields is not None  # type: ignore[attr-defined]  # no stub
    keys = None if snapshot or is_of_values else _keys(rows)
    if keys is None:
        return _ByCursor(lambda: rows.iterator(chunk_size=size), size, rows.db, row)
    if lookups is None:
        return _ByKey(rows, size, keys, _attributes(keys))
    wanted = [*dict.fromkeys([*names, *(key.name for key in keys)])]
    if wanted != names:
        rows = rows.values_list(*wanted)
        row = _getter([wanted.index(name) for name in lookups])
    places = _getter([wanted.index(key.name) for key in keys])
    return _ByKey(rows, size, keys, places, row)


def _getter(places: Sequence[int]) -> Callable[[Any], Any]:
    """Return what makes a tuple of the values in some places of a row."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


@dataclasses.dataclass(frozen=True)
class _Key:
    """A column by which the rows are sorted."""

    name: str
    descends: bool
    # The argument of order_by() for this column.
    order: Any
    # Whether rows with NULL come first. None if the column has no NULL.
    nulls_first: bool | None

    def after(self, value: Any) -> Q | None:
        """The rows that come after those with this value, None if there are none."""
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if self.nulls_first else None
        later = Q(**{f"{self.name}__{'lt' if self.descends else 'gt'}": value})
        if self.nulls_first is False:
            later |= Q(**{f"{self.name}__isnull": True})
        return later

    def at(self, value: Any) -> Q:
        """The rows with this value."""
        if value is None:
            return Q(**{f"{self.name}__isnull": True})
        return Q(**{self.name: value})

    def beyond(self, value: Any) -> Q:
        """The rows from this value on, of a column without nulls."""
        return Q(**{f"{self.name}__{'lte' if self.descends else 'gte'}": value})


def _attributes(keys: Sequence[_Key]) -> Callable[[Any], Any]:
    """Return what makes a tuple of the values that an object has for keys."""
    names = [key.name for key in keys]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: (getattr(row, names[0]),)


def _after(keys: Sequence[_Key], values: Sequence[Any]) -> Q | None:
    """The rows that come after the one with these values, None if there are none."""
    key, value = keys[0], values[0]
    later = key.after(value)
    if len(keys) > 1 and (rest := _after(keys[1:], values[1:])) is not None:
        same = key.at(value) & rest
        return same if later is None else later | same
    return later


def _keys(rows: QuerySet[Any]) -> list[_Key] | None:
    """The columns that tell each row from the others, by its order, if they do."""
    query: Any = rows.query
    if not _has_a_row_for_each_object(rows):
        return None
    meta: Any = rows.model._meta
    primary = [field.attname for field in meta.pk_fields]
    ordering = query.order_by or (query.default_ordering and meta.ordering) or ()
    keys: dict[str, _Key] = {}
    for part in [*ordering, "pk"]:
        name, descends, nulls_first = _part(part)
        if nulls_first is not None and (not keys or not query.standard_ordering):
            return None
        for one in primary if name == "pk" else [name]:
            order = part if one == name else f"-{one}" if descends else one
            key = _key(rows, one, descends, order, nulls_first)
            if key is None or not (keys or _is_indexed(rows, key)):
                return None
            keys.setdefault(key.name, key)
            is_unique = meta.get_field(key.name).unique and key.nulls_first is None
            # A unique key decides the order, so further columns change nothing.
            if is_unique or keys.keys() >= {*primary}:
                return [*keys.values()]
    return None


def _compares_objects(rows: QuerySet[Any]) -> bool:
    """Whether it leaves out what is the same as another object, in all its values."""
    query: Any = rows.query
    if rows._fields is not None:  # type: ignore[attr-defined]  # no stub
        # By those that were named.
        return False
    return bool(query.distinct and not query.distinct_fields) or (
        bool(query.combinator)
        and all(one.model is query.model for one in query.combined_queries)
    )


def _has_a_row_for_each_object(rows: QuerySet[Any]) -> bool:
    """Whether a filter by the primary key leaves each row out or in, as it is."""
    query: Any = rows.query
    return not (
        query.combinator
        or query.is_sliced
        or query.distinct
        or query.group_by is not None
        or query.select_for_update
        or query.extra
        or query.extra_tables
        or query.extra_order_by
        or any(map(_is_of_many, query.alias_map.values()))
        or any(map(_looks_at_others, query.annotations.values()))
    )


def _is_of_many(join: Any) -> bool:
    """Whether a join may give several rows for one."""
    field = getattr(join, "join_field", None)
    return isinstance(field, ForeignObjectRel) and not field.one_to_one


def _looks_at_others(annotation: Any) -> bool:
    """Whether an annotation's value may depend on the other rows, or make new ones."""
    if getattr(annotation, "contains_over_clause", False):
        return True
    flatten = getattr(annotation, "flatten", None)
    return flatten is not None and any(
        isinstance(one, RawSQL) or getattr(one, "set_returning", False)
        for one in flatten()
    )


def _part(part: Any) -> tuple[str | None, bool, bool | None]:
    """The name, the direction and, if it is told, the place of nulls, in an order."""
    if isinstance(part, str):
        return part.lstrip("-+"), part.startswith("-"), None
    if not isinstance(part, OrderBy):
        return getattr(part, "name", None) if isinstance(part, F) else None, False, None
    if not isinstance(part.expression, F):
        return None, False, None
    column: Any = part.expression
    first = True if part.nulls_first else False if part.nulls_last else None
    return column.name, part.descending, first


def _key(
    rows: QuerySet[Any],
    name: str | None,
    descends: bool,
    order: Any,
    nulls_first: bool | None,
) -> _Key | None:
    query: Any = rows.query
    try:
        field: Any = rows.model._meta.get_field(name or "")
    except FieldDoesNotExist:
        return None
    # For the name of a relation, Django sorts as the related model does.
    is_relation = field.is_relation and name != getattr(field, "attname", None)
    if is_relation or name in query.annotations or not _is_sortable(field):
        return None
    features: Any = connections[rows.db].features
    descends = descends == query.standard_ordering
    if not field.null and not (
        features.interprets_empty_strings_as_nulls and field.empty_strings_allowed
    ):
        nulls_first = None
    elif nulls_first is None:
        nulls_first = features.order_by_nulls_first != descends
    return _Key(field.attname, descends, order, nulls_first)


def _is_sortable(field: Any) -> bool:
    while field.is_relation and field.concrete and not field.many_to_many:
        field = field.target_field
    return isinstance(field, _KEYS) and not hasattr(field, "from_db_value")


def _is_indexed(rows: QuerySet[Any], key: _Key) -> bool:
    """Whether the database finds the rows of a key without a look at all of them."""
    meta: Any = rows.model._meta.concrete_model._meta
    field = meta.get_field(key.name)
    if key.nulls_first is not None or field not in meta.local_concrete_fields:
        return False
    firsts = [
        meta.pk_fields[0].name,
        *(names[0] for names in meta.unique_together),
        *(
            index.fields[0].lstrip("-")
            for index in [*meta.indexes, *meta.total_unique_constraints]
            if index.fields and getattr(index, "condition", None) is None
        ),
    ]
    return field.unique or field.db_index or field.name in firsts


class _ByKey:
    """Reads each batch by a query for the rows after the last one before it."""

    keeps_open = False

    def __init__(
        self,
        rows: QuerySet[Any],
        size: int,
        keys: Sequence[_Key],
        values: Callable[[Any], Sequence[Any]],
        row: Callable[[Any], Any] | None = None,
    ) -> None:
        self.is_plain = type(rows) is QuerySet and reads_plainly(rows)
        order = [key.order for key in keys]
        # If the QuerySet has this order already, it stays. A subclass may override
        # order_by().
        self._rows = rows if [*rows.query.order_by] == order else rows.order_by(*order)
        self._size = size
        self._keys = keys
        self._values = values
        self._row = row
        self._last: Sequence[Any] | None = None
        # Whether the first column of the key had the same value in a whole batch.
        self._is_among_equals = False

    def read(self) -> tuple[Sequence[Any], bool]:
        """Return the rows of the next batch, and whether others follow."""
        first, last = self._keys[0], self._last
        # One row more tells whether others follow.
        wanted = self._size + 1
        rows: list[Any] = []
        if last is None:
            rows = self._some(None, wanted)
        elif len(self._keys) == 1:
            rows = self._some(first.after(last[0]), wanted)
        elif not self._is_among_equals:
            # The database finds the rows in an index by the first condition.
            after = _after(self._keys, last)
            rows = self._some(Q(first.beyond(last[0]), after), wanted)
        else:
            # Among many equal values, the database skips the rows that were read.
            rest = _after(self._keys[1:], last[1:])
            if rest is not None:
                rows = self._some(Q(first.at(last[0]), rest), wanted)
            if len(rows) < wanted:
                rows += self._some(first.after(last[0]), wanted - len(rows))
        has_more = len(rows) == wanted
        if has_more:
            rows.pop()
            self._last = self._values(rows[-1])
            self._is_among_equals = self._values(rows[0])[0] == self._last[0]
        return (rows if self._row is None else [*map(self._row, rows)]), has_more

    def _some(self, condition: Q | None, number: int) -> list[Any]:
        rows = self._rows if condition is None else self._rows.filter(condition)
        return [*rows[:number]]

    def close(self, error: BaseException | None = None) -> None:
        """Do nothing: nothing is open."""


class _FromIterable:
    """Reads any iterable."""

    keeps_open = True
    is_plain = False

    def __init__(self, source: Iterable[Any], size: int) -> None:
        self._source = source
        self._size = size
        self._iterator: Iterator[Any] | None = None

    def read(self) -> tuple[Sequence[Any], bool]:
        """Return the items of the next batch, and whether it was a full one."""
        if self._iterator is None:
            self._iterator = iter(self._source)
        rows = [*itertools.islice(self._iterator, self._size)]
        return rows, len(rows) == self._size

    def close(self, error: BaseException | None = None) -> None:
        """Close a generator."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


class _ByCursor:
    """
    Reads by a cursor, in a transaction.

    Outside of one, PostgreSQL would compute all the rows before it gives the first.
    The transaction is not left by a generator's `with`: a generator that is collected
    runs that in any thread, on the connection there.
    """

    keeps_open = True
    is_plain = False

    def __init__(
        self,
        begin: Callable[[], Iterator[Any]],
        size: int,
        using: str,
        row: Callable[[Any], Any] | None = None,
    ) -> None:
        self._begin = begin
        self._size = size
        self._using = using
        self._row = row
        self._transaction: Any = None
        self._iterator: Any = None
        self._next: list[Any] = []

    def read(self) -> tuple[Sequence[Any], bool]:
        """Return the rows of the next batch, and whether others follow."""
        if self._transaction is None:
            block = transaction.atomic(using=self._using)
            block.__enter__()
            self._transaction = block
            self._iterator = self._begin()
        # One row more tells whether others follow.
        wanted = self._size + 1 - len(self._next)
        rows = [*self._next, *itertools.islice(self._iterator, wanted)]
        has_more = len(rows) > self._size
        self._next = [rows.pop()] if has_more else []
        return (rows if self._row is None else [*map(self._row, rows)]), has_more

    def close(self, error: BaseException | None = None) -> None:
        """Close the cursor, and end the transaction."""
        block, self._transaction = self._transaction, None
        if block is None:
            return
        try:
            if self._iterator is not None:
                self._iterator.close()
        finally:
            kind = None if error is None else type(error)
            block.__exit__(kind, error, None)


def convert_in_sync_code(
    reader: Reader, convert: Callable[[Sequence[Any]], _T]
) -> Generator[_T, None, None]:
    """Read to the end, and yield what `convert` makes of each batch."""
    error: BaseException | None = None
    try:
        has_more = True
        while has_more:
            rows, has_more = reader.read()
            yield convert(rows)
    except BaseException as raised:
        error = raised
        raise
    finally:
        reader.close(error)


class _Steps:
    """Reads a batch and converts it, in one hop."""

    def __init__(self, reader: Reader, convert: Callable[[Sequence[Any]], _T]) -> None:
        self.reader = reader
        self.convert = convert
        self.driven = Driven()

    def step(self) -> tuple[Any, bool]:
        """Return a batch, converted, and whether others may follow."""
        try:
            rows, has_more = self.reader.read()
            converted = self.convert(rows)
        except BaseException as error:
            self.reader.close(error)
            raise
        if not has_more:
            self.reader.close()
        return converted, has_more

    def close(self) -> None:
        """End it before its end."""
        # If the request's thread has ended, its connections and cursors have ended too.
        if self.driven.is_at_home:
            self.reader.close(GeneratorExit())


class _PlainSteps(_Steps):
    """As _Steps, where no code of a project's is run."""


OWN.add(_PlainSteps)


async def convert_in_hops(
    reader: Reader, convert: Callable[[Sequence[Any]], _T], *, is_plain: bool = False
) -> AsyncGenerator[_T, None]:
    """
    Read to the end, and yield what `convert` makes of each batch: a hop each.

    Where nothing is open between two batches, the worker is not held, and what is
    open elsewhere is closed in the thread that opened it, for one hop more.

    Args:
        reader: What to read.
        convert: What is made of a batch, in the same hop.
        is_plain: Whether `convert` runs no code of a project's.
    """
    has_more = True
    if not reader.keeps_open:
        kind = _PlainSteps if is_plain and reader.is_plain else _Steps
        steps = kind(reader, convert)
        while has_more:
            converted, has_more = await run_sync(steps.step)
            yield converted
        return
    steps = _Steps(reader, convert)
    is_over = False
    try:
        while has_more:
            try:
                converted, has_more = await steps.driven.run(steps.step)
            except Exception:
                is_over = True
                raise
            is_over = not has_more
            yield converted
    finally:
        if is_over:
            steps.driven.let_go()
        else:
            await steps.driven.run_last_to_the_end(steps.close)


async def convert_apart(
    source: AsyncIterable[Any],
    size: int,
    convert: Callable[[Sequence[Any]], _T],
) -> AsyncGenerator[_T, None]:
    """Take `size` items of an async source at a time, and convert them in a hop."""
    iterator = source.__aiter__()
    rows: list[Any] = []
    is_empty = True
    try:
        async for row in iterator:
            rows.append(row)
            if len(rows) == size:
                yield await run_sync(convert, rows)
                rows, is_empty = [], False
        if rows or is_empty:
            yield await run_sync(convert, rows)
    finally:
        if hasattr(iterator, "aclose"):
            await iterator.aclose()
