"""The page of six slow services: what was asked at once, and what a failure costs."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.example.html import Page
from tests.example.running import Site

pytestmark = pytest.mark.server

DAY = "/briefing/2026/12/25/"


def at_once(response: httpx.Response) -> int:
    """Return the most requests that the upstream services counted at one time."""
    assert response.status_code == 200, response
    return int(Page(response).data["data-at-once"])


def test_services_are_asked_at_once(client: httpx.Client) -> None:
    response = client.get(DAY)
    assert at_once(response) == 6
    assert "6 were being answered at the same time." in response.text


def test_services_are_asked_in_turn_on_request(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        response = client.get(f"{DAY}?in_turn=1")
        assert at_once(response) == 1
        assert "one was asked after the other." in response.text


def test_each_service_says_what_it_knows(client: httpx.Client) -> None:
    text = client.get(DAY).text
    assert re.search(r"New York</span>\s*<b[^>]*>Christmas Day", text)
    assert re.search(r"Today: Christmas Day in \d+ countries", text)
    assert "2026-W52-5" in text
    assert ">359</b>" in text  # day of the year
    assert "2461400" in text  # Julian day
    assert re.search(r"Easter</span><b>in 93 days", text)  # 28 March 2027
    assert re.search(r"Full moon, \d+ % lit", text)  # it was full on the 24th
    hours = dict(re.findall(r"<span>([\w ]+)</span><meter[^>]*>([\d.]+) h<", text))
    assert float(hours["Reykjavík"]) < 4.5
    assert float(hours["Ushuaia"]) > 17
    assert 12 <= float(hours["Nairobi"]) < 12.5


def test_a_service_that_fails_costs_its_own_answer_only(client: httpx.Client) -> None:
    response = client.get(f"{DAY}?broken=moon")
    assert at_once(response) == 6
    assert "The service answered 503." in response.text
    assert "% lit" not in response.text
    assert "New York" in response.text


def test_a_service_that_is_none_breaks_nothing(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        response = client.get(f"{DAY}?broken=%3Cscript%3E")
        assert "The service answered" not in response.text


def test_site_answers_others_while_it_waits(sqlite_site: Site) -> None:
    with (
        sqlite_site.client() as patient,
        sqlite_site.client() as other,
        ThreadPoolExecutor() as pool,
    ):
        waiting = [pool.submit(patient.get, f"{DAY}?in_turn=1") for _ in range(3)]
        quick = [other.get("/about/").status_code for _ in range(5)]
        assert quick == [200] * 5
        assert not any(future.done() for future in waiting)
        assert [at_once(future.result(30)) for future in waiting] == [1, 1, 1]
