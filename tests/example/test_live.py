"""The pages that change while one looks at them, and the text that one can cancel."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent, connect_sse

from tests.example.conftest import sign_up
from tests.example.html import Page, submit
from tests.example.running import PROJECT, Site
from tests.example.test_shop import name_of, on_the_shelf, order, own_orders, printed

pytestmark = pytest.mark.server

TOLD = "/briefing/told/"
WORDS = "/briefing/told/words/"
ENDINGS = "/briefing/told/endings/"


def begun(source: EventSource) -> Iterator[ServerSentEvent]:
    """Wait until the view has begun to send, and return its events."""
    assert source.response.status_code == 200, source.response
    events = source.iter_sse()
    assert next(events).retry == 3000
    # The page hears nothing of an event that has an id alone.
    return (one for one in events if one.data or one.event != "message")


@contextmanager
def listening(
    client: httpx.Client, address: str, **headers: str
) -> Iterator[Iterator[ServerSentEvent]]:
    """Yield the events of a stream, to which the client is subscribed."""
    with connect_sse(client, "GET", address, headers=headers) as source:
        yield begun(source)


@contextmanager
def telling(client: httpx.Client, day: str) -> Iterator[Iterator[ServerSentEvent]]:
    """Send the form of a day, as the script of the page does."""
    page = Page(client.get(TOLD)).form("csrfmiddlewaretoken", "day")
    data = {**page.fields, "day": day}
    with connect_sse(client, "POST", WORDS, data=data) as source:
        yield begun(source)


def ending(events: Iterator[ServerSentEvent], day: str) -> dict[str, Any]:
    """Wait for what the server says of the telling of this day."""
    for event in events:
        found: dict[str, Any] = json.loads(event.data)
        if found["day"] == day:
            assert event.event == "ended"
            return found
    raise AssertionError("The stream is over.")


def test_shelf_hears_of_an_order(site: Site) -> None:
    first, second = printed(site, 5, 1)
    with sign_up(site) as buyer, site.client() as visitor:
        with listening(visitor, "/shop/stock/") as events:
            order(buyer, {first: 2, second: 1})
            heard = [next(events), next(events)]
        assert [event.event for event in heard] == ["stock", "stock"]
        assert [json.loads(event.data) for event in heard] == [
            {"calendar": int(first), "left": 3},
            {"calendar": int(second), "left": 0},
        ]
        # What a browser with the page open missed, it gets when it is back.
        order(buyer, {first: 1})
        last = {"Last-Event-ID": heard[-1].id}
        with listening(visitor, "/shop/stock/", **last) as events:
            missed = json.loads(next(events).data)
        assert missed == {"calendar": int(first), "left": 2}
        assert on_the_shelf(visitor)[first] == 2


def test_shelf_hears_nothing_of_an_order_that_is_not_kept(sqlite_site: Site) -> None:
    first, second = printed(sqlite_site, 4, 4)
    with (
        sign_up(sqlite_site) as buyer,
        sqlite_site.client() as visitor,
        listening(visitor, "/shop/stock/") as events,
    ):
        assert "are left." in order(buyer, {first: 2, second: 5}).text
        order(buyer, {first: 1})
        assert json.loads(next(events).data) == {"calendar": int(first), "left": 3}


def test_browser_loads_the_shelf_anew_after_a_restart(sqlite_site: Site) -> None:
    with sqlite_site.client() as visitor:
        last = {"Last-Event-ID": "0123456789ab-7"}
        with listening(visitor, "/shop/stock/", **last) as events:
            assert next(events).event == "stream-reset"
    script = (PROJECT / "static/redletter/shelf.js").read_text()
    assert 'addEventListener("stream-reset", () => location.reload())' in script


def test_desk_hears_of_an_order(sqlite_site: Site) -> None:
    (key,) = printed(sqlite_site, 3)
    with sign_up(sqlite_site) as buyer, sqlite_site.client() as clerk:
        submit(clerk, "/account/login/", username="clerk", password="almanac-clerk")
        with listening(clerk, "/shop/desk/news/") as events:
            order(buyer, {key: 1})
            event = next(events)
            number = own_orders(buyer)[0].split("/")[-2]
            assert (event.event, event.data) == ("order", number)
            # htmx gets the page, and takes from it what the selector says.
            text = clerk.get("/shop/desk/").text
        orders = text.partition('<div id="orders"')[2].partition("</section>")[0]
        assert f"Order {number}</th>" in orders
        assert name_of(buyer, key) in orders


@pytest.mark.parametrize("who", ["visitor", "traveller"])
def test_desk_news_are_for_the_staff(
    sqlite_site: Site, traveller: httpx.Client, who: str
) -> None:
    with sqlite_site.client() as visitor:
        client = visitor if who == "visitor" else traveller
        # A redirect to the login would be the end of an EventSource as well.
        headers = {"Accept": "text/event-stream"}
        assert client.get("/shop/desk/news/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("address", "scripts"),
    [
        ("/shop/", ["redletter/shelf.js"]),
        ("/shop/desk/", ["htmx/htmx.min.js", "htmx/sse.min.js"]),
        (TOLD, ["redletter/told.js"]),
    ],
)
def test_scripts_of_the_live_pages_come_from_the_site(
    sqlite_site: Site, address: str, scripts: list[str]
) -> None:
    with sqlite_site.client() as client:
        submit(client, "/account/login/", username="clerk", password="almanac-clerk")
        text = client.get(address).text
        assert "<noscript>" in text
        assert re.findall(r'<script src="/static/([^"]+)" defer>', text) == scripts
        for script in scripts:
            answer = client.get(f"/static/{script}").raise_for_status()
            assert "javascript" in answer.headers["Content-Type"]
        for stream in re.findall(r'(?:data-stream|sse-connect)="([^"]+)"', text):
            assert client.head(stream).status_code in {200, 405}


def test_day_is_told_word_by_word(sqlite_site: Site) -> None:
    """To a script as to a browser without scripts, the same text."""
    day = "2026-12-25"
    with (
        sqlite_site.client() as client,
        sqlite_site.client() as without_script,
        sqlite_site.client() as witness,
        ThreadPoolExecutor(1) as pool,
    ):
        page = pool.submit(submit, without_script, TOLD, day=day)
        with listening(witness, ENDINGS) as endings, telling(client, day) as events:
            found = list(events)
            assert ending(endings, day)["whole"] is True
        assert found[-1].event == "end"
        text = "".join(event.data for event in found)
        assert text.startswith("Friday, 25 December 2026, is day 359 of the year; 6 ")
        assert "Today: Christmas Day in " in text
        # A word each, or the few that came in one piece.
        assert len(found) > len(text.split()) / 2
        assert f'aria-live="polite">{text}</p>' in page.result(30).text


def test_canceled_telling_ends_on_the_server(sqlite_site: Site) -> None:
    day = "2026-12-26"
    with (
        sqlite_site.client() as client,
        sqlite_site.client() as witness,
        listening(witness, ENDINGS) as endings,
    ):
        with telling(client, day) as events:
            for _ in range(3):
                assert next(events).data
        found = ending(endings, day)
    assert found["whole"] is False
    # One part ahead of the reader, and far from the end.
    assert 3 <= found["words"] < 30


@pytest.mark.parametrize("day", ["", "yesterday", "1066-10-14", "2101-01-01"])
def test_day_that_is_none_is_not_told(sqlite_site: Site, day: str) -> None:
    with sqlite_site.client() as client:
        answer = submit(client, TOLD, day=day)
        assert answer.status_code == 200
        assert 'class="errorlist"' in answer.text
        token = {"X-CSRFToken": client.cookies["csrftoken"]}
        refused = client.post(WORDS, data={"day": day}, headers=token)
        assert refused.status_code == 400


def test_telling_wants_a_post_with_a_token(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        assert client.get(WORDS).status_code == 405
        assert client.post(WORDS, data={"day": "2026-12-25"}).status_code == 403


def test_form_comes_with_today(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        before = dt.datetime.now(tz=dt.UTC).date()
        fields = Page(client.get(TOLD)).form("csrfmiddlewaretoken").fields
        after = dt.datetime.now(tz=dt.UTC).date()
        assert fields["day"] in {before.isoformat(), after.isoformat()}
