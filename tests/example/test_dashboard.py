"""The page of many queries: every tile, and how many were asked at once."""

from __future__ import annotations

import datetime as dt
import re

import httpx
import pytest

from tests.example.conftest import sign_up
from tests.example.html import Page
from tests.example.running import Site
from tests.example.test_briefing import at_once
from tests.example.test_shop import name_of, order, printed

pytestmark = pytest.mark.server

YEAR = dt.datetime.now(tz=dt.UTC).year
TILES = [
    "In the database",
    "Next holidays",
    "Holidays a month",
    "Countries at rest",
    "Days off",
    "Next trips",
    "Trips to",
    "Calendars sold",
]


def tiles(response: httpx.Response) -> dict[str, list[tuple[str, str]]]:
    """Return label and value of each line of each tile."""
    sections = re.findall(
        r'<section class="report" id="\w+">\s*<h2>([^<]+)</h2>(.*?)</section>',
        response.raise_for_status().text,
        re.DOTALL,
    )
    return {
        title: [
            (re.sub(r"<[^>]+>", "", label), value)
            for label, value in re.findall(
                r"<li><span>(.*?)</span>.*?<b>([^<]*)</b></li>", body
            )
        ]
        for title, body in sections
    }


@pytest.mark.parametrize("query", ["", "?in_turn=1"], ids=["at once", "in turn"])
def test_dashboard_shows_every_tile(client: httpx.Client, query: str) -> None:
    found = tiles(client.get(f"/dashboard/{query}"))
    assert list(found) == TILES
    assert all(found.values()), found
    counted = re.search(r"from (\d+) countries", client.get("/").text)
    assert counted
    assert dict(found["In the database"])["Countries"] == counted[1]
    months = found["Holidays a month"]
    assert len(months) == 12
    assert months[0][0] == "January"
    assert found["Countries at rest"][0][0].endswith("1 January")
    # Six are seeded; which of them are the next depends on other tests.
    assert len(found["Next trips"]) >= 6
    rows = [int(value) for _, value in found["Days off"]]
    assert rows == sorted(rows, reverse=True)


def test_dashboard_tells_what_each_tile_took(client: httpx.Client) -> None:
    text = client.get("/dashboard/").text
    bars = re.findall(
        r"<li><span>([^<]+)</span><span class=\"track\">"
        r'<i style="--from: [\d.]+%; --long: [\d.]+%"></i></span><b>[\d.]+ ms</b></li>',
        text,
    )
    assert bars == TILES
    assert re.search(r"<b>\d+ ms</b> for 8 tiles, from the start of the first", text)
    # Bars that grow while queries compete are no measure of the time in turn.
    assert "together" not in text


@pytest.mark.parametrize("query", ["?compare=1", "?compare=1&in_turn=1"])
def test_dashboard_says_which_way_was_faster(client: httpx.Client, query: str) -> None:
    text = client.get(f"/dashboard/{query}").text
    measured = re.search(
        r"at once <b>([\d.]+) ms</b>, in turn <b>([\d.]+) ms</b>", text
    )
    assert measured
    at_once, in_turn = map(float, measured.groups())
    # Rounded to a tenth of a millisecond, the two can be equal.
    if at_once != in_turn:
        assert ("At once is faster here." in text) == (at_once < in_turn)
        assert ("At once is not faster here." in text) == (at_once > in_turn)


def test_tiles_are_asked_in_turn_on_request(client: httpx.Client) -> None:
    response = client.get("/dashboard/?in_turn=1")
    assert at_once(response) == 1
    assert "One query ran after the other." in response.text


def test_tiles_are_asked_at_once(client: httpx.Client) -> None:
    # A query may be so quick that it ends before the next one begins, yet not always.
    most = max(at_once(client.get("/dashboard/")) for _ in range(10))
    assert 2 <= most <= len(TILES)


def test_dashboard_leads_to_what_it_counts(client: httpx.Client) -> None:
    links = Page(client.get("/dashboard/")).links
    assert f"/days/{YEAR}/12/" in links
    assert f"/days/{YEAR}/1/1/" in links
    assert any(re.fullmatch(r"/trips/[-\w]+/", link) for link in links)


def test_dashboard_sees_an_order_at_once(site: Site) -> None:
    with sign_up(site) as buyer:
        (key,) = printed(site, 20)
        before = dict(tiles(buyer.get("/dashboard/"))["In the database"])
        order(buyer, {key: 20})
        found = tiles(buyer.get("/dashboard/"))
        after = dict(found["In the database"])
        assert int(after["Orders"]) == int(before["Orders"]) + 1
        sold = dict(found["Calendars sold"])
        assert sold[name_of(buyer, key)] == "20"
