"""Server-sent events: what is encoded here, clients read as it was."""

from __future__ import annotations

import datetime
import json
import unittest
from urllib.parse import quote, unquote

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from django_async_cbv._testing.streams import EventDecoder, ReceivedEvent
from django_async_cbv.encoding.sse import (
    HEARTBEAT,
    LONGEST_ID,
    Event,
    encode_event,
    encode_fields,
    encode_retry,
)

try:
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder
except ImportError:
    SSEDecoder = SSELineDecoder = None

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n \0:"))
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))
ID = st.from_regex(r"([!-~]([ -~]{0,253}[!-~])?)?", fullmatch=True)


WRONG_IDS = [
    " ",
    " a",
    "a ",
    "\ta",
    "a\tb",
    *(f"a{chr(control)}b" for control in (*range(32), 127)),
    "\x85",
    "é",
    "Å",
    "\ufeff",
    "\ud800",
    "a" * (LONGEST_ID + 1),
]


def decoded(*parts):
    decoder = EventDecoder()
    return [event for part in parts for event in decoder.feed(part)]


def normal(text):
    """How a line ends is not kept, by any client."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class EncodeTests(SimpleTestCase):
    def assertEncodes(self, item, expected):
        self.assertEqual(encode_event(item), expected)

    def test_text(self):
        self.assertEncodes("a", b"data: a\n\n")
        self.assertEncodes("", b"data: \n\n")
        self.assertEncodes(" a", b"data:  a\n\n")
        self.assertEncodes(
            "a\nb\r\nc\rd\n", b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
        )

    def test_lines_end_where_clients_end_them(self):
        for separator in "\x0b\x0c\x1c\x85\u2028\u2029":
            text = f"a{separator}b"
            self.assertEqual(decoded(encode_event(text)), [ReceivedEvent(text)])

    def test_json(self):
        self.assertEncodes({"a": [1, None]}, b'data: {"a": [1, null]}\n\n')
        self.assertEncodes(None, b"data: null\n\n")
        self.assertEncodes(datetime.date(2026, 1, 2), b'data: "2026-01-02"\n\n')
        self.assertEncodes({"a": "\n"}, b'data: {"a": "\\n"}\n\n')
        self.assertEncodes(Event({"ä": 1}), 'data: {"ä": 1}\n\n'.encode())
        for value in (float("nan"), object(), b"x"):
            with self.assertRaises((TypeError, ValueError)):
                encode_event(value)

    def test_fields(self):
        self.assertEncodes(
            Event("d", event="e", id="i", retry=1, comment="c\nd"),
            b": c\n: d\nevent: e\nid: i\nretry: 1\ndata: d\n\n",
        )
        self.assertEncodes(Event(), b"")
        self.assertEncodes(Event(None, id=""), b"id: \n\n")
        self.assertEqual(encode_fields(comment=""), b": \n\n")
        self.assertEqual(encode_retry(5), b"retry: 5\n\n")

    def test_half_of_a_surrogate_pair(self):
        for item in ("a\ud800b", {"k": "\udc00"}):
            encode_event(item).decode()
        self.assertEncodes("a\ud800b", "data: a\ufffdb\n\n".encode())

    def test_what_cannot_be_sent(self):
        for wrong in ("a\nb", "a\rb", "a\0b", 1):
            with self.assertRaises(ValueError):
                Event("x", event=wrong)
        for wrong in (-1, 1.5, True, "1"):
            with self.assertRaises(ValueError):
                Event("x", retry=wrong)

    def test_ids_that_do_not_come_back(self):
        for wrong in (1, *WRONG_IDS):
            shown = ascii(wrong)
            with self.subTest(shown), self.assertRaisesMessage(ValueError, "quote("):
                Event("x", id=wrong)

    def test_a_quoted_id(self):
        for value in (1, *WRONG_IDS):
            with self.subTest(ascii(value)):
                text = str(value)
                quoted = quote(text, errors="surrogatepass")
                if len(quoted) <= LONGEST_ID:
                    mark = Event("x", id=quoted).id
                    self.assertEqual(unquote(mark, errors="surrogatepass"), text)


class DecodeTests(SimpleTestCase):
    """As the HTML standard says, with its own examples."""

    def test_corner_cases(self):
        for stream, expected in (
            (b"data: YHOO\ndata: +2\ndata: 10\n\n", [ReceivedEvent("YHOO\n+2\n10")]),
            (b"data\n\ndata\ndata\n\ndata:", [ReceivedEvent(""), ReceivedEvent("\n")]),
            (b"data:test\n\ndata: test\n\n", [ReceivedEvent("test")] * 2),
            (b": c\n\nid: 1\n\ndata: x\n\n", [ReceivedEvent("x", id="1")]),
            (
                b"id: 1\ndata: a\n\nid\ndata: b\n\n",
                [ReceivedEvent("a", id="1"), ReceivedEvent("b")],
            ),
            (b"id: 1\0\ndata: a\n\n", [ReceivedEvent("a")]),
            (b"\xef\xbb\xbfdata: a\n\n", [ReceivedEvent("a")]),
            (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [ReceivedEvent("a")]),
            (b"event: e\n\ndata: a\n\n", [ReceivedEvent("a")]),
            (b"data: a\r\rdata: b\r\n\r\n", [ReceivedEvent("a"), ReceivedEvent("b")]),
            (b"retry: x\nunknown: y\ndata: a\n\n", [ReceivedEvent("a")]),
            (HEARTBEAT, []),
        ):
            with self.subTest(ascii(stream)):
                self.assertEqual(decoded(stream), expected)
                one_by_one = [stream[n : n + 1] for n in range(len(stream))]
                self.assertEqual(decoded(*one_by_one), expected)


class RoundTripTests(SimpleTestCase):
    @given(TEXT, st.none() | LINE, st.none() | ID, st.none() | TEXT)
    def test_text(self, data, event, mark, comment):
        sent = encode_event(Event(data, event=event, id=mark, comment=comment))
        (received,) = decoded(HEARTBEAT, sent)
        self.assertEqual(
            received, ReceivedEvent(normal(data), event or "message", mark or "")
        )

    @given(st.dictionaries(TEXT, TEXT | st.integers() | st.booleans()))
    def test_json(self, data):
        (received,) = decoded(encode_event(data))
        self.assertEqual(json.loads(received.data), data)

    @unittest.skipIf(SSEDecoder is None, "httpx-sse is not installed")
    @given(TEXT, st.none() | LINE, st.none() | ID)
    def test_httpx_sse(self, data, event, mark):
        text = encode_event(Event(data, event=event, id=mark)).decode()
        lines, decoder = SSELineDecoder(), SSEDecoder()
        found = [decoder.decode(line) for line in [*lines.decode(text), *lines.flush()]]
        (received,) = [one for one in found if one is not None]
        self.assertEqual(received.data, normal(data))
        self.assertEqual(received.event, event or "message")
        self.assertEqual(received.id, mark or "")
