"""Views that answer with a file of many rows: CSV, and newline-delimited JSON."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from contextlib import closing
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, TypeAlias

from django.conf import settings
from django.core.exceptions import (
    ImproperlyConfigured,
    ObjectDoesNotExist,
    RequestAborted,
)
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.query import RawQuerySet
from django.http import HttpResponseBase
from django.utils import timezone, translation
from django.utils.http import content_disposition_header

from ..core.reading import (
    Reader,
    convert_apart,
    convert_in_hops,
    convert_in_sync_code,
    reader_of,
)
from ..core.threads import run_sync
from ..encoding.csv import BOM, Dialect, encode_csv, refuse_dialect
from ..encoding.ndjson import encode_ndjson
from ._django import _M
from ._shutdown import CutOff, cuts_off
from .list import AsyncMultipleObjectMixin
from .streaming import AsyncStreamView

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

__all__ = ["CSVView", "ExportView", "NDJSONView"]

_logger = logging.getLogger("django.request")

# A lookup, or a lookup with its header.
Field: TypeAlias = "str | tuple[str, _StrOrPromise]"
Rows: TypeAlias = Iterable[Any] | AsyncIterable[Any]

# Unicode categories: control and format characters, surrogates, separators of lines and
# paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NOT_WHOLE = "ERROR: The export failed. Rows are missing in this file."


class ExportView(AsyncMultipleObjectMixin[_M], AsyncStreamView):
    """
    Answer with the rows of a queryset, or of any iterable, as a file.

    The view reads and encodes each batch in one hop. If a key sorts the rows, the
    request has no thread and no open query between two batches.
    """

    #: The columns, as lookups or as pairs of a lookup and a header.
    fields: Sequence[Field] | None = None
    #: How the browser names the file. With None, the browser takes the URL.
    filename: str | None = None
    #: How many rows the view reads, encodes and sends at once.
    batch_size: int = 2000
    #: Whether all rows are of one moment. If so, a transaction stays open meanwhile.
    snapshot: bool = False
    #: A server that stops waits for an export, as for each download.
    ends_with_server = False

    # A client reads an export to its end, so middleware may buffer parts to compress
    # them.
    _is_live = False
    # The reader of the rows, or an async iterable.
    _source: Any = None
    _time_zone: tzinfo | None = None
    _language: str | None = None
    # Whether the view reads tuples of the lookups, and runs no code of the project.
    _is_plain = False

    async def aget_rows(self) -> Rows:
        """
        Return what to export. The default is what `aget_queryset()` returns.

        Returns:
            A queryset, or any sync or async iterable. The items of an iterable are
            sequences, mappings, or what `get_row()` takes.

        Raises:
            TypeError: If your override returns something without rows. The client gets
                an error page.

        Runs on:
            The event loop, before the headers leave. `aget_queryset()` may make a hop.
        """
        return await self.aget_queryset()

    def get_row(self, obj: Any) -> Sequence[Any] | Mapping[str, Any]:
        """
        Return the row of an object.

        If you override this method, the view reads whole objects instead of columns.

        Args:
            obj: An object of the queryset, or an item of the iterable.

        Returns:
            A sequence in the order of `fields`, or a mapping of lookups.

        Raises:
            ValueError: If the row lacks a value for a field. The export ends there.

        Runs on:
            A worker thread, where the method may query. All rows of a batch share one
            hop.
        """
        return [_value_of(obj, lookup) for lookup in self._lookups()]

    def convert(self, rows: Sequence[Any], *, is_first: bool) -> bytes:
        """
        Return a batch of rows as bytes.

        Args:
            rows: The rows of a batch.
            is_first: Whether this is the first batch. An export without rows has one
                batch.

        Returns:
            The bytes to send.

        Runs on:
            A worker thread, in the hop of the batch.
        """
        raise NotImplementedError

    async def _before(self) -> None:
        await super()._before()
        # A middleware has set the time zone, and ends before the view reads the rows.
        # Not get_current_timezone(), which reads the default time zone from a file.
        active: Any = timezone._active  # type: ignore[attr-defined]  # no stub
        self._time_zone = getattr(active, "value", None)
        self._language = translation.get_language()
        source: Any = self.aget_rows()
        if not hasattr(source, "__aiter__"):
            source = await self._given("aget_rows", source)
        if isinstance(source, QuerySet) and type(source) is not QuerySet:
            # A QuerySet class of the project may query here.
            self._source = await run_sync(self._read_from, source)
        else:
            self._source = self._read_from(source)

    def _read_from(self, source: Any) -> Any:
        """Return what reads the rows; raise for what cannot be exported."""
        if self.batch_size < 1:
            raise ImproperlyConfigured(
                f"{type(self).__name__}.batch_size is {self.batch_size!r}. The client "
                "gets an error page. Set it to 1 or more."
            )
        name = type(self).__name__
        is_queryset = isinstance(source, QuerySet | RawQuerySet)
        if not self.fields and is_queryset and not self._has_own_rows():
            raise ImproperlyConfigured(
                f"{name} has no fields. The client gets an error page, as an export of "
                "all columns could give away passwords. Name the columns: "
                f'`fields = ["id", ("author__name", "Author")]` in {name}, or override '
                "get_row()."
            )
        if isinstance(self.fields, str) or not all(map(_is_field, self.fields or ())):
            raise ImproperlyConfigured(
                f"{name}.fields is {self.fields!r}. The client gets an error page. "
                "Give a list of lookups, or of pairs of a lookup and a header: "
                '`fields = ["id", ("author__name", "Author")]`.'
            )
        if isinstance(source, AsyncIterable) and not is_queryset:
            return source
        if isinstance(source, str | bytes | Mapping) or not isinstance(
            source, Iterable
        ):
            raise TypeError(
                f"{name}.aget_rows() returned {source!r}, which has no rows. The "
                "client gets an error page. Return a queryset, or an iterable of rows."
            )
        self._is_plain = isinstance(source, QuerySet) and not self._has_own_rows()
        lookups = self._lookups() if self._is_plain else None
        return reader_of(
            source, self.batch_size, lookups=lookups, snapshot=self.snapshot
        )

    def _has_own_rows(self) -> bool:
        return "get_row" in vars(self) or type(self).get_row is not ExportView.get_row

    def _lookups(self) -> list[str]:
        fields = self.fields or ()
        return [field if isinstance(field, str) else field[0] for field in fields]

    def _names(self) -> list[str]:
        fields = self.fields or ()
        return [field if isinstance(field, str) else str(field[1]) for field in fields]

    def _converter(self) -> Callable[[Sequence[Any]], bytes]:
        is_first = True
        rows_of = self._rows_of()
        # None means no active language, and override() accepts None.
        language: Any = self._language

        def convert(rows: Sequence[Any]) -> bytes:
            nonlocal is_first
            was_first, is_first = is_first, False
            with (
                timezone.override(self._time_zone),
                translation.override(language),
            ):
                return self.convert(rows_of(rows), is_first=was_first)

        return convert

    def _rows_of(self) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """Return what makes rows of the items that are read."""
        if self._has_own_rows():
            return lambda items: [self._whole(self.get_row(item)) for item in items]
        if self._is_plain:
            return lambda rows: rows
        lookups = self._lookups()

        def row_of(item: Any) -> Any:
            if isinstance(item, Mapping | list | tuple) or not lookups:
                return self._whole(item)
            return self.get_row(item)

        return lambda items: [row_of(item) for item in items]

    def _whole(self, row: Any) -> Any:
        """Return a row with a value for each field; raise for one that lacks some."""
        if not self.fields:
            return row
        name = type(self).__name__
        if isinstance(row, Mapping):
            lookups = self._lookups()
            if missing := [one for one in lookups if one not in row]:
                raise ValueError(
                    f"{name} got a row without {missing[0]!r}: {row!r}. The export "
                    "ends there. Give each row a value for each of `fields`."
                )
            return [row[lookup] for lookup in lookups]
        if isinstance(row, str | bytes) or not isinstance(row, Sized):
            raise self._no_row(row)
        if len(row) != len(self.fields):
            raise ValueError(
                f"{name} has {len(self.fields)} fields, and got a row "
                f"of {len(row)} values: {row!r}. The export ends there. Give each row "
                "a value for each of `fields`."
            )
        return row

    def _no_row(self, row: Any) -> TypeError:
        return TypeError(
            f"{type(self).__name__} got {row!r}, which is no row. The export ends "
            "there. Return a sequence or a mapping from get_row()."
        )

    def stream(self) -> AsyncIterator[bytes]:
        """
        Yield the file, a batch at a time. Override `aget_rows()` instead.

        Returns:
            An async iterator of bytes.

        Runs on:
            The event loop. One hop for each batch.
        """
        convert = self._converter()
        if isinstance(self._source, AsyncIterable):
            return convert_apart(self._source, self.batch_size, convert)
        return convert_in_hops(self._source, convert, is_plain=self._is_plain)

    def sync_stream(self) -> Iterable[bytes] | None:
        """
        Yield the file for a server that runs sync code, such as a WSGI server.

        Returns:
            An iterator of bytes. None if `aget_rows()` returned an async iterable.

        Runs on:
            The thread that serves the request under WSGI. No hop.
        """
        if isinstance(self._source, AsyncIterable):
            return None
        return self._sync_parts(self._source)

    def _sync_parts(self, reader: Reader) -> Iterator[bytes]:
        with closing(convert_in_sync_code(reader, self._converter())) as parts:
            try:
                yield from parts
            except Exception as error:
                _logger.exception(
                    "Stream failed: %s",
                    self.request.path,
                    extra={"status_code": 500, "request": self.request},
                )
                last = self.failure_bytes(error)
                if last is None:
                    raise
                yield last

    def last_bytes(self) -> bytes:
        """
        Tell the client that rows are missing, if the view ends the export early.

        Returns:
            The bytes of `failure_bytes()`. If there are none, the server cuts the
            response off.

        Runs on:
            The event loop, without a hop.
        """
        last = self.failure_bytes(RequestAborted())
        if last is None:
            # The server cuts the response off.
            raise CutOff
        return last

    def _with_headers(self, response: HttpResponseBase) -> HttpResponseBase:
        super()._with_headers(response)
        if self.filename is not None:
            name = _safe_name(self.filename)
            disposition = content_disposition_header(True, name)
            if disposition is not None:
                response.headers["Content-Disposition"] = disposition
        return response


class CSVView(ExportView[_M]):
    """
    Answer with rows as CSV, for programs and for spreadsheets.

    Numbers and dates have one form in each language: `1234.5`, `2026-11-27`. Datetimes
    are in the current time zone. If the export fails, the server cuts the response off,
    and the client knows that rows are missing.
    """

    content_type = "text/csv; charset=utf-8"
    #: The name or the class of a dialect, as for `csv.writer()`.
    dialect: Dialect = "excel"
    #: Whether the file starts with a byte order mark, which tells Excel that it is
    #: UTF-8.
    bom: bool = False
    #: Whether text that a spreadsheet would run as a formula gets an apostrophe first.
    escape_formulas: bool = True

    def convert(self, rows: Sequence[Any], *, is_first: bool) -> bytes:
        """
        Return a batch of rows as CSV. The first batch has the headers.

        Args:
            rows: The rows of a batch.
            is_first: Whether this is the first batch. An export without rows has one
                batch.

        Returns:
            The bytes to send.

        Runs on:
            A worker thread, in the hop of the batch.
        """
        begin = b""
        if is_first:
            begin = BOM if self.bom else b""
            if self.fields:
                begin += self._encode([self._names()])
        return begin + self._encode(rows)

    def _encode(self, rows: Sequence[Any]) -> bytes:
        return encode_csv(
            rows,
            dialect=self.dialect,
            escape_formulas=self.escape_formulas,
            tzinfo=timezone.get_current_timezone() if settings.USE_TZ else None,
        )

    def _whole(self, row: Any) -> Any:
        """Return a row of cells, also without fields; raise for what has none."""
        whole = super()._whole(row)
        if isinstance(whole, Mapping):
            # csv.writer() would write its keys.
            raise TypeError(
                f"{type(self).__name__} has no fields, and got the mapping {row!r}. "
                "The export ends there. Name the columns in `fields`, or give "
                "sequences as rows."
            )
        if isinstance(whole, str | bytes) or not isinstance(whole, Sized):
            raise self._no_row(row)
        return whole

    def _read_from(self, source: Any) -> Any:
        refuse_dialect(self.dialect)
        return super()._read_from(source)

    def failure_bytes(self, error: BaseException) -> bytes | None:
        """
        Tell the client that rows are missing.

        Args:
            error: What ended the export. The client does not get it.

        Returns:
            None, so that the server cuts the response off. A row that says so, if the
            server cannot do that.

        Runs on:
            The event loop, or under WSGI the thread that serves the request. No hop.
        """
        return self._encode([[_NOT_WHOLE]]) if _hides_a_cut(self.request) else None


class NDJSONView(ExportView[_M]):
    """
    Answer with rows as newline-delimited JSON: an object a line.

    If the export fails, the last line is `{"error": "..."}`.
    """

    content_type = "application/x-ndjson"
    #: The class that makes JSON of the values.
    encoder: type[json.JSONEncoder] = DjangoJSONEncoder

    def convert(self, rows: Sequence[Any], *, is_first: bool) -> bytes:
        """
        Return a batch of rows as JSON, an object a line.

        Args:
            rows: The rows of a batch.
            is_first: Whether this is the first batch. An export without rows has one
                batch.

        Returns:
            The bytes to send.

        Runs on:
            A worker thread, in the hop of the batch.
        """
        items: Iterable[Any] = rows
        if self.fields:
            names = self._names()
            items = [dict(zip(names, row, strict=True)) for row in rows]
        return encode_ndjson(items, encoder=self.encoder)

    def _read_from(self, source: Any) -> Any:
        reader = super()._read_from(source)
        names = self._names()
        for name in names:
            if names.count(name) > 1:
                raise ImproperlyConfigured(
                    f"{type(self).__name__}.fields has the name {name!r} more than "
                    "once, and an object of JSON has one value for a name. The client "
                    "gets an error page. Give each field a header of its own: "
                    '`("author__name", "author")`.'
                )
        return reader

    def failure_bytes(self, error: BaseException) -> bytes | None:
        """
        Tell the client that rows are missing.

        Args:
            error: What ended the export. The client does not get it.

        Returns:
            The bytes of a last line with `error` as its only key.

        Runs on:
            The event loop, or under WSGI the thread that serves the request. No hop.
        """
        return encode_ndjson([{"error": _NOT_WHOLE.removeprefix("ERROR: ")}])


def _is_field(field: Any) -> bool:
    """Whether it is a lookup, or a pair of a lookup and its header."""
    if isinstance(field, list | tuple):
        return len(field) == 2 and isinstance(field[0], str)
    return isinstance(field, str)


def _value_of(obj: Any, lookup: str) -> Any:
    """The value that a lookup leads to from an object, None where one is missing."""
    for name in lookup.split(LOOKUP_SEP):
        if obj is None:
            return None
        try:
            obj = obj[name] if isinstance(obj, Mapping) else getattr(obj, name)
        except AttributeError as error:
            # Of a one-to-one relation without an object. values_list() gives None too.
            if not isinstance(error, ObjectDoesNotExist):
                raise
            return None
    return obj


def _safe_name(name: str) -> str:
    """A file name without what could lead elsewhere, or end a header."""
    shown = "".join(
        "_" if unicodedata.category(character) in _HIDDEN else character
        for character in name
    )
    return re.sub(r"[/\\]+", "_", shown)


def _hides_a_cut(request: Any) -> bool:
    """Whether a server ends a response that failed as it ends others, or never."""
    software = str(request.META.get("SERVER_SOFTWARE", ""))
    if software.startswith("WSGIServer/"):
        # The server of `runserver` marks the end of each response by closing the
        # connection.
        return True
    return not cuts_off()
