"""What EventSource reads of a stream is what the package says that it reads."""

from __future__ import annotations

import json

import pytest

from django_async_cbv._testing.streams import EventDecoder
from django_async_cbv.encoding.sse import Event, encode_event
from tests.browser.cases import IDS, ITEMS, STREAMS

pytestmark = pytest.mark.server

READ = "([url, types]) => readOnce(url, types)"


def decoded(stream):
    return [[*one] for one in map(as_tuple, EventDecoder().feed(stream))]


def as_tuple(event):
    return event.data, event.event, event.id


def as_sent(text):
    """Text as the docs promise it: no client keeps how lines end, or half a pair."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def promised(item):
    """The events that a browser gets for what a view yields."""
    if isinstance(item, bytes):
        return []
    event = item if isinstance(item, Event) else Event(item)
    if event.data is None and event is item:
        return []
    data = event.data
    if not isinstance(data, str):
        data = json.dumps(data, ensure_ascii=False)
    return [[as_sent(data), as_sent(event.event or "message"), event.id or ""]]


def test_streams(server, open_page, subtests):
    """The decoder of `open_stream()` reads as a browser does."""
    page = open_page(server)
    for number, stream in enumerate(STREAMS):
        with subtests.test(stream=stream):
            read = page.evaluate(READ, [f"/stream/{number}/", ["message", "e"]])
            assert read == decoded(stream)


def test_items(server, open_page, subtests):
    page = open_page(server)
    for number, item in enumerate(ITEMS):
        with subtests.test(item=repr(item)[:80]):
            events = promised(item)
            types = {"message", "last", "e", *(event[1] for event in events)}
            *read, last = page.evaluate(READ, [f"/item/{number}/", sorted(types)])
            assert read == events
            # Nothing of one event is left over for the next, but its id.
            mark = getattr(item, "id", None) or ""
            assert last == ["the last", "last", mark]
            if not isinstance(item, bytes):
                assert decoded(encode_event(item)) == events


def test_ids_come_back(server, open_page, subtests):
    page = open_page(server)
    for number, mark in enumerate(IDS):
        with subtests.test(mark=mark[:20]):
            read = page.evaluate("(url) => readSome(url, 2)", f"/id/{number}/")
            assert [json.loads(one) for one in read] == [[None], [mark or None]]


@pytest.mark.parametrize("milliseconds", [1, 700])
def test_retry(server, open_page, milliseconds):
    page = open_page(server)
    page.evaluate(f"watch('retry', '/retry/{milliseconds}/'), 0")
    page.wait_for_function("watched.retry.opened.length > 1")
    came = page.evaluate("[watched.retry.lost[0], watched.retry.opened[1]]")
    # Without `retry:` a browser waits for three seconds, as the view says itself.
    assert milliseconds <= came[1] - came[0] < 2500
