"""The same site under every ASGI server that people run Django on."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable, Iterator, Sequence

import httpx
import pytest

from tests.example.conftest import new_name, sign_up
from tests.example.html import Page, submit
from tests.example.running import Site, served
from tests.example.test_briefing import at_once
from tests.example.test_forms import YEAR, country_key, plan, png, trip_address

pytestmark = pytest.mark.server

APPLICATION = "redletter.asgi:application"


def uvicorn(port: int) -> Sequence[str]:
    return ["-m", "uvicorn", f"--port={port}", "--lifespan=off", APPLICATION]


def daphne(port: int) -> Sequence[str]:
    return ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), APPLICATION]


def hypercorn(port: int) -> Sequence[str]:
    return ["-m", "hypercorn", "-b", f"127.0.0.1:{port}", APPLICATION]


def gunicorn(port: int) -> Sequence[str]:
    worker = "uvicorn_worker.UvicornWorker"
    bind = f"127.0.0.1:{port}"
    return ["-m", "gunicorn", "-k", worker, "-w", "2", "-b", bind, APPLICATION]


def granian(port: int) -> Sequence[str]:
    # "nl": without the lifespan events, which Django does not know.
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return ["-m", "granian", "--interface", "asginl", *address, APPLICATION]


SERVERS: list[tuple[Callable[[int], Sequence[str]], list[str]]] = [
    (uvicorn, ["uvicorn"]),
    (daphne, ["daphne"]),
    (hypercorn, ["hypercorn"]),
    (gunicorn, ["gunicorn", "uvicorn_worker"]),
    (granian, ["granian"]),
]


@pytest.fixture(
    scope="module",
    params=SERVERS,
    ids=[command.__name__ for command, _ in SERVERS],
)
def server(
    request: pytest.FixtureRequest,
    sqlite_site: Site,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The site under each server, on the data and the services of the demo."""
    command, needed = request.param
    for module in needed:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    folder = tmp_path_factory.mktemp(command.__name__)
    with served(command, folder, sqlite_site.environment) as site:
        yield site
        site.stop(signal.SIGTERM)
        output = site.output()
        assert "Traceback" not in output, output


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/", "at a glance"),
        ("/holidays/?q=christmas&when=any&page=2", "Christmas"),
        ("/countries/japan/", "昭和の日"),
        (f"/days/{YEAR}/12/", "Christmas Day"),
        (f"/days/{YEAR}/12/25/de-christmas-day/", "Erster Weihnachtstag"),
        ("/trips/golden-week-by-rail/", "Showa Day"),
        ("/static/redletter/site.css", "--paper"),
    ],
)
def test_pages(server: Site, address: str, found: str) -> None:
    with server.client() as client:
        response = client.get(address)
        assert response.status_code == 200
        assert found in response.text


def test_errors(server: Site) -> None:
    with server.client() as client:
        missing = client.get("/days/1066/")
        assert missing.status_code == 404
        assert "This day is not on the calendar" in missing.text
        forged = client.post("/export/", data={"year": "2026"})
        assert forged.status_code == 403
        assert "This form has expired" in forged.text
        client.get("/export/")
        token = {"X-CSRFToken": client.cookies["csrftoken"]}
        refused = client.put("/holidays/", headers=token)
        assert refused.status_code == 405
        assert "This page does not take PUT" in refused.text


def test_forms(server: Site) -> None:
    with sign_up(server) as visitor:
        title = new_name("Trip")
        picture = png(950)
        assert len(picture) > 2.5 * 1024 * 1024, "beyond what is kept in memory"
        answer = plan(
            visitor, title=title, files={"cover": ("a.png", picture, "image/png")}
        )
        address = trip_address(answer)
        assert f"“{title}” is in the book." in answer.text
        (cover,) = (x for x in Page(answer).resources if x.startswith("/media/"))
        assert visitor.get(cover).content == picture

        answer = plan(visitor, title=title)
        assert "There is a trip of this name already." in answer.text
        answer = submit(visitor, f"{address}edit/", notes="")
        assert "is changed." in answer.text
        answer = submit(visitor, f"{address}delete/")
        assert "is deleted." in answer.text
        assert visitor.get(address).status_code == 404


def test_export(server: Site) -> None:
    with server.client() as client:
        chile = country_key(client, "Chile")
        answer = submit(client, "/export/", year=str(YEAR), countries=[chile])
        assert answer.content.startswith(b"BEGIN:VCALENDAR")


def test_services_are_asked_at_once(server: Site) -> None:
    with server.client() as client:
        assert at_once(client.get("/briefing/2026/12/25/")) == 6


def test_head_has_no_body(server: Site) -> None:
    with server.client() as client:
        response = client.head("/holidays/")
        assert response.status_code == 200
        assert response.content == b""


def test_many_visitors_share_a_connection_each(server: Site) -> None:
    """Keep-alive works: the second request needs no second connection."""
    with httpx.Client(
        base_url=server.url,
        trust_env=False,
        limits=httpx.Limits(max_connections=1),
        timeout=30,
    ) as client:
        assert {client.get("/about/").status_code for _ in range(3)} == {200}
