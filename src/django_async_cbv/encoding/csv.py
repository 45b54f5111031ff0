"""Rows as CSV: numbers and dates as programs read them, and no formula in a text."""

from __future__ import annotations

import base64
import contextlib
import csv
import datetime
import decimal
import io
from collections.abc import Callable, Iterable, Sequence
from types import NoneType
from typing import Any, TypeAlias

from django.utils.duration import duration_iso_string

__all__ = ["BOM", "Dialect", "encode_csv", "refuse_dialect"]

# A dialect as csv.writer() accepts it: a name, a class or an instance.
Dialect: TypeAlias = str | csv.Dialect | type[csv.Dialect]

# The byte order mark, which tells Excel that a file is UTF-8.
BOM = b"\xef\xbb\xbf"

# Characters that start a formula in a spreadsheet, or that it skips before a formula.
# It skips a byte order mark at the start of a file.
_FORMULAS = frozenset("=+-@\t\r\n＝＋－＠\ufeff")  # noqa: RUF001 - the full-width forms
# csv.writer() writes these types as Python does, in each language.
_NUMBERS = frozenset({int, float, decimal.Decimal, NoneType})


def encode_csv(
    rows: Iterable[Sequence[Any]],
    *,
    dialect: Dialect = "excel",
    escape_formulas: bool = True,
    tzinfo: datetime.tzinfo | None = None,
) -> bytes:
    """
    Return rows as CSV in UTF-8.

    A number is written as Python writes it, a date or a time in ISO 8601. Aware
    datetimes are converted to `tzinfo`. None is an empty cell. Bytes are in base64. All
    else is text.

    Args:
        rows: The rows, each a sequence of its cells.
        dialect: What csv.writer() takes as such.
        escape_formulas: Whether text gets an apostrophe in front where a spreadsheet
            would take it for a formula.
        tzinfo: The time zone of datetimes, None to leave them in their own.
    """
    cell = _cells(escape_formulas, tzinfo)
    rows = [*rows]
    converted: Iterable[Sequence[Any]]
    try:
        # Column by column, because the cells of a column have few types, and a column
        # of numbers needs no work.
        columns = [*zip(*rows, strict=True)]
    except ValueError:
        converted = [[cell(value) for value in row] for row in rows]
    else:
        converted = zip(
            *(_column(column, cell, escape_formulas) for column in columns),
            strict=True,
        )
        if not columns:
            converted = rows
    written = io.StringIO(newline="")
    csv.writer(written, dialect).writerows(converted)
    return _utf8(written.getvalue())


def refuse_dialect(dialect: Dialect) -> None:
    """Raise what csv.writer() raises for a dialect that it doesn't know."""
    csv.writer(io.StringIO(), dialect)


def _column(
    column: Sequence[Any], cell: Callable[[Any], Any], escape_formulas: bool
) -> Sequence[Any]:
    kinds = {*map(type, column)}
    if kinds <= _NUMBERS:
        return column
    if kinds == {str}:
        if not escape_formulas:
            return column
        return [f"'{text}" if text[:1] in _FORMULAS else text for text in column]
    if kinds == {datetime.date}:
        return [*map(datetime.date.isoformat, column)]
    return [*map(cell, column)]


def _cells(
    escape_formulas: bool, tzinfo: datetime.tzinfo | None
) -> Callable[[Any], Any]:
    """Return the function that makes of a value what the writer is to get."""

    def cell(value: Any) -> Any:
        if type(value) in _NUMBERS:
            return value
        if isinstance(value, datetime.datetime):
            if tzinfo is not None and value.tzinfo is not None:
                # The first and the last hours of the calendar are not in each zone.
                with contextlib.suppress(OverflowError):
                    value = value.astimezone(tzinfo)
            return value.isoformat()
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return duration_iso_string(value)
        if isinstance(value, int | float | decimal.Decimal) and not isinstance(
            value, bool
        ):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            # Base64, as in Django's serializers.
            text = base64.b64encode(value).decode()
        else:
            text = str(value)
        # The slice of an empty text is not in the set.
        return f"'{text}" if escape_formulas and text[:1] in _FORMULAS else text

    return cell


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8, and a reader would stop there.
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole.encode()
