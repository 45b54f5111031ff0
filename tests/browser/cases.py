"""Corner cases of server-sent events, for the server and for the test."""

from __future__ import annotations

from django_async_cbv.encoding.sse import HEARTBEAT, LONGEST_ID, Event, encode_retry

__all__ = ["IDS", "ITEMS", "STREAMS"]

# What a stream may contain, whoever has written it.
STREAMS = [
    b"data: YHOO\ndata: +2\ndata: 10\n\n",
    b"data\n\ndata\ndata\n\ndata:",
    b"data:test\n\ndata: test\n\ndata:  test\n\n",
    b": c\n\nid: 1\n\ndata: x\n\n",
    b"id: 1\n\nid: 2\ndata: x\n\n",
    b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
    b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
    b"id: 1\ndata: a\n\nid: \0\ndata: b\n\n",
    b"data: a\0b\n\n",
    b"\xef\xbb\xbfdata: a\n\n",
    b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n",
    b"data: a\n\n\xef\xbb\xbfdata: b\n\n",
    b"data: \xef\xbb\xbfa\n\n",
    b"event: e\n\ndata: a\n\n",
    b"event: e\ndata: a\n\ndata: b\n\n",
    b"event: message\ndata: a\n\nevent:\ndata: b\n\n",
    b"data: a\r\rdata: b\r\n\r\n",
    b"data: a\r\ndata: b\rdata: c\ndata: d\n\n",
    b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\r\n",
    b"data: a\xc2\x85b\n\ndata: a\xe2\x80\xa8b\n\ndata: a\x0bb\x0cc\n\n",
    b"data: a\xffb\n\ndata: \xed\xa0\x80\n\n",
    b"retry: x\nunknown: y\ndata: a\n\n",
    b"Data: a\n\n data: b\n\ndata : c\n\ndata: d\n\n",
    b"data: a\n\ndata: not complete",
    b"data: a\n\ndata: not complete\n",
    HEARTBEAT + b"data: a\n\n" + HEARTBEAT,
]

TEXTS = [
    "",
    " ",
    " a",
    "a ",
    "\n",
    "\r",
    "\r\n",
    "\n\r",
    "a\nb\r\nc\rd\n",
    "\r\r\n\n",
    "a\0b",
    "\0",
    "\ufeff",
    "\ufeffa\n\ufeffb",
    "a\x85b\x0bc\x0cd\x1ce\u2028f\u2029g",
    "a\ud800b",
    "\udc00\ud800",
    "\U0001f600",
    "data: a",
    ": a",
    "id: 1\n\nevent: e",
    "x" * 100_000,
    "y\n" * 1000,
]

# What a name may be.
NAMES = [" a", "a ", "a:b", "\ufeff", "\x85\u2028", "\ud800", "\x01"]

# What an id may be.
IDS = [
    "1",
    "0",
    "",
    "a b",
    "a  b",
    "a:b",
    ":",
    "1-0-ab12cd34",
    "%20%C3%A9%00",
    "".join(map(chr, range(ord("!"), ord("~") + 1))),
    "a" * LONGEST_ID,
]

# What a view may yield.
ITEMS = [
    *TEXTS,
    *(Event(text) for text in TEXTS),
    *(Event("d", comment=text) for text in TEXTS),
    *(Event({text: text}) for text in TEXTS),
    {"a": [1, None, "\n"]},
    None,
    Event(),
    Event(None, id="1"),
    Event(None, event="e"),
    Event(None, comment="c"),
    Event(None, retry=1),
    Event("d", id=""),
    Event("d", id="1", event="e", retry=5, comment="c\nd"),
    # Names that EventSource has events of its own by.
    *(Event("d", event=name) for name in ("", "message", "error", "open")),
    *(Event("d", event=line) for line in NAMES),
    *(Event("d", id=mark) for mark in IDS),
    encode_retry(1),
    HEARTBEAT,
]
