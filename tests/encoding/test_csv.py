"""CSV: what the standard library's reader finds in it, and no formula."""

from __future__ import annotations

import csv
import datetime
import io
import uuid
from decimal import Decimal

from django.test import SimpleTestCase
from django.utils.functional import lazystr
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_cbv.encoding.csv import encode_csv, refuse_dialect

FORMULAS = "=+-@\t\r\n＝＋－＠\ufeff"  # noqa: RUF001 - the full-width forms
BERLIN = datetime.timezone(datetime.timedelta(hours=1))
NOON = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]))
dialects = st.sampled_from(["excel", "excel-tab", "unix"])


class Semicolons(csv.excel):
    delimiter = ";"


def read(encoded, dialect="excel"):
    # As the csv module wants it: line ends in cells are the cells'.
    return [*csv.reader(io.StringIO(encoded.decode(), newline=""), dialect)]


def cell_of(value, **options):
    """How a value comes out, in a column of its own kind and in a mixed one."""
    ((alone,),) = read(encode_csv([[value]], **options))
    mixed = read(encode_csv([[value], [1], ["x"]], **options))
    ragged = read(encode_csv([[value], [1, 2]], **options))
    assert mixed == [[alone], ["1"], ["x"]]
    assert ragged == [[alone], ["1", "2"]]
    return alone


class TestCells(SimpleTestCase):
    def test_values(self):
        for value, cell in (
            (None, ""),
            ("", ""),
            (0, "0"),
            (-5, "-5"),
            (1234567.5, "1234567.5"),
            (-1.5, "-1.5"),
            (Decimal("-1234567.50"), "-1234567.50"),
            (True, "True"),
            (datetime.date(2026, 11, 27), "2026-11-27"),
            (datetime.time(12, 30), "12:30:00"),
            (datetime.timedelta(days=1, seconds=1), "P1DT00H00M01S"),
            (datetime.datetime(2026, 11, 27, 12), "2026-11-27T12:00:00"),  # noqa: DTZ001
            (NOON, "2026-11-27T12:00:00+00:00"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (lazystr("lazy"), "lazy"),
            ("a,b", "a,b"),
            ('"', '"'),
            ("a\0b", "a\0b"),
        ):
            with self.subTest(value=value):
                assert cell_of(value) == cell

    def test_nothing_is_localized(self):
        with self.settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True):
            assert cell_of(1234567.5) == "1234567.5"
            assert cell_of(datetime.date(2026, 11, 27)) == "2026-11-27"

    def test_the_time_zone(self):
        assert cell_of(NOON, tzinfo=BERLIN) == "2026-11-27T13:00:00+01:00"
        naive = NOON.replace(tzinfo=None)
        assert cell_of(naive, tzinfo=BERLIN) == "2026-11-27T12:00:00"

    def test_what_the_time_zone_has_no_date_for(self):
        """As the last moment of the calendar, by which rows say "for ever"."""
        last = datetime.datetime(9999, 12, 31, 23, 59, tzinfo=datetime.UTC)
        assert cell_of(last, tzinfo=BERLIN) == "9999-12-31T23:59:00+00:00"

    def test_no_rows(self):
        assert encode_csv([]) == b""
        assert encode_csv([[], []]) == b"\r\n\r\n"

    def test_dialects(self):
        rows = [["a;b", "c,d", "e\tf"], ["g", 'h"i', "j\r\nk"]]
        for dialect in ("excel", "excel-tab", "unix", Semicolons, Semicolons()):
            assert read(encode_csv(rows, dialect=dialect), dialect) == rows
        with self.assertRaisesMessage(csv.Error, "unknown dialect"):
            refuse_dialect("exel")
        for dialect in ("excel", Semicolons):
            refuse_dialect(dialect)

    def test_half_a_character(self):
        """It has no UTF-8: the other rows are to be read all the same."""
        assert read(encode_csv([["a\ud83d", "b"], ["\ud83d\ude00", "c"]])) == [
            ["a\N{REPLACEMENT CHARACTER}", "b"],
            ["\N{GRINNING FACE}", "c"],
        ]


class TestFormulas(SimpleTestCase):
    def test_each_gets_an_apostrophe(self):
        for first in FORMULAS:
            for text in (first, f"{first}1+1", f'{first}HYPERLINK("x")'):
                for value in (text, lazystr(text)):
                    with self.subTest(value=text):
                        assert cell_of(value) == f"'{text}"
                        assert cell_of(value, escape_formulas=False) == text

    def test_others_do_not(self):
        for value in ("1-1", " =1", "a=b", "'=1", "1", "(", "­-"):
            assert cell_of(value) == value

    def test_numbers_stay_numbers(self):
        for value in (-1, -1.5, Decimal(-1), Decimal(1)):
            assert cell_of(value) == str(value)


class TestRoundTrip(SimpleTestCase):
    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.lists(texts, min_size=2, max_size=4), max_size=6),
        dialects,
        st.booleans(),
    )
    def test_texts(self, rows, dialect, escape):
        found = read(encode_csv(rows, dialect=dialect, escape_formulas=escape), dialect)
        expected = [
            [f"'{text}" if escape and text[:1] in {*FORMULAS} else text for text in row]
            for row in rows
        ]
        assert found == expected
        for row in found if escape else ():
            assert not any(cell[:1] in {*FORMULAS} for cell in row)

    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(
            st.tuples(
                st.integers(),
                st.floats(allow_nan=False),
                st.decimals(allow_nan=False),
                st.dates(),
                st.datetimes(timezones=st.just(datetime.UTC)),
                st.booleans() | st.none(),
            )
        )
    )
    def test_others(self, rows):
        found = read(encode_csv(rows, tzinfo=BERLIN))
        assert len(found) == len(rows)
        for row, cells in zip(rows, found, strict=True):
            number, real, exact, date, moment, flag = row
            assert int(cells[0]) == number
            assert float(cells[1]) == real
            assert Decimal(cells[2]) == exact
            assert datetime.date.fromisoformat(cells[3]) == date
            assert datetime.datetime.fromisoformat(cells[4]) == moment
            assert cells[5] == ("" if flag is None else str(flag))
