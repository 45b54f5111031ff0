"""NDJSON: each item a line, for readers that end lines in all sorts of places."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from decimal import Decimal

from django.core.serializers.json import DjangoJSONEncoder
from django.test import SimpleTestCase
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_cbv.encoding.ndjson import encode_ndjson

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def read(encoded):
    return [json.loads(line) for line in encoded.decode().splitlines()]


def finite(value):
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [finite(one) for one in value]
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return value


class TestLines(SimpleTestCase):
    def test_bytes(self):
        encoded = encode_ndjson([{"a": 1, "b": "é"}, {}, [1, 2], None])
        assert encoded == '{"a":1,"b":"é"}\n{}\n[1,2]\nnull\n'.encode()
        assert encode_ndjson([]) == b""

    def test_what_django_makes_of_values(self):
        for value in (
            datetime.datetime(2026, 11, 27, 12, 0, 0, 123456, datetime.UTC),
            datetime.date(2026, 11, 27),
            datetime.time(12, 30),
            datetime.timedelta(days=1),
            Decimal("1.50"),
            uuid.UUID(int=1),
        ):
            (found,) = read(encode_ndjson([{"value": value}]))
            assert found == json.loads(
                json.dumps({"value": value}, cls=DjangoJSONEncoder)
            )

    def test_an_encoder_of_the_projects(self):
        class Encoder(json.JSONEncoder):
            def default(self, value):
                return f"<{value}>"

        assert read(encode_ndjson([Decimal("1.5")], encoder=Encoder)) == ["<1.5>"]
        with self.assertRaises(TypeError):
            encode_ndjson([object()])

    def test_no_reader_finds_a_line_end_in_a_text(self):
        text = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
        assert read(encode_ndjson([{text: text}, 1])) == [{text: text}, 1]

    def test_half_a_character(self):
        assert read(encode_ndjson(["é\ud83d", 1])) == ["é\ud83d", 1]

    def test_numbers_that_json_has_not(self):
        items = [{"a": math.nan, "b": [1.5, -math.inf, {"c": (math.inf,)}]}]
        assert encode_ndjson(items) == b'{"a":null,"b":[1.5,null,{"c":[null]}]}\n'

    @settings(deadline=None, max_examples=30)
    @given(st.lists(values, max_size=4))
    def test_round_trip(self, items):
        encoded = encode_ndjson(items)
        assert encoded.count(b"\n") == len(items)
        assert read(encoded) == finite(items)
