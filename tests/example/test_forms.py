"""Accounts, trips and the export: forms with CSRF, uploads, errors, logins."""

from __future__ import annotations

import datetime as dt
import functools
import re
import threading
from pathlib import Path

import httpx
import pytest

from tests.example.conftest import PASSWORD, new_name, sign_up
from tests.example.html import Page, png, submit
from tests.example.running import Site, free_port, served

pytestmark = pytest.mark.server

YEAR = dt.datetime.now(tz=dt.UTC).year


@functools.cache
def export_page(site: httpx.URL) -> str:
    """Return the page that lists all countries, asked once for each site."""
    return httpx.get(site.join("/export/"), timeout=30, trust_env=False).text


def country_key(client: httpx.Client, name: str) -> str:
    """Return the value of the checkbox of a country."""
    text = export_page(client.base_url)
    found = re.search(rf'value="(\d+)"[^>]*>\s*[^<]*{re.escape(name)}\s*<', text)
    assert found, name
    return found[1]


def plan(
    client: httpx.Client,
    *,
    files: dict[str, tuple[str, bytes, str]] | None = None,
    follow: bool = True,
    **values: str | list[str],
) -> httpx.Response:
    """Fill the form for a new trip in; what is not given is all right."""
    usual: dict[str, str | list[str]] = {
        "title": new_name("Trip"),
        "starts": f"{YEAR + 1}-04-28",
        "ends": f"{YEAR + 1}-05-07",
        "notes": "Bring cash.",
    }
    if "countries" not in values:
        usual["countries"] = [country_key(client, "Japan")]
    return submit(
        client, "/trips/new/", files=files, follow=follow, **{**usual, **values}
    )


def trip_address(response: httpx.Response) -> str:
    """Return the path of the trip whose page was answered after saving."""
    assert response.status_code == 200, response
    found: str = response.url.path
    assert re.fullmatch(r"/trips/trip-[-\w]+/", found), found
    return found


# Accounts


def test_login_and_logout(site: Site) -> None:
    name = new_name("grace")
    with site.client() as visitor:
        submit(
            visitor,
            "/account/new/",
            username=name,
            password1=PASSWORD,
            password2=PASSWORD,
        )
        assert name in visitor.get("/").text

        home = Page(visitor.get("/"))
        (logout,) = (form for form in home.forms if form.action == "/account/logout/")
        answer = visitor.post(logout.action, data=logout.fields, follow_redirects=True)
        assert answer.url.path == "/"
        assert name not in answer.text

        answer = submit(visitor, "/account/login/", username=name, password="wrong")
        assert "Please enter a correct username and password" in answer.text
        answer = submit(
            visitor, "/account/login/?next=/export/", username=name, password=PASSWORD
        )
        assert answer.url.path == "/export/"
        assert name in answer.text


def test_demo_account_logs_in(site: Site) -> None:
    with site.client() as visitor:
        answer = submit(
            visitor, "/account/login/", username="demo", password="almanac-demo"
        )
        assert answer.url.path == "/trips/"
        mine = visitor.get("/trips/?mine=1").text
        assert "Golden Week by rail" in mine


def test_logout_cannot_be_a_link(traveller: httpx.Client) -> None:
    response = traveller.get("/account/logout/")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST, OPTIONS"
    assert "This page does not take GET" in response.text


@pytest.mark.parametrize("method", ["get", "post"])
def test_error_page_keeps_the_account_links(
    client: httpx.Client, traveller: httpx.Client, method: str
) -> None:
    """GET gives 404; POST gives 403, because it comes without a token."""
    address = "/days/1066/" if method == "get" else "/countries/"
    for visitor, link in {client: "Log in</a>", traveller: "Log out</button>"}.items():
        answer = visitor.request(method, address)
        assert answer.status_code >= 400
        assert link in answer.text


def test_export_with_an_error_speaks_of_a_file(client: httpx.Client) -> None:
    answer = submit(client, "/export/", countries=[])
    assert "<b>No file yet.</b> 1 thing to fix." in answer.text


def test_new_account_with_a_name_that_is_taken(client: httpx.Client) -> None:
    answer = submit(
        client, "/account/new/", username="demo", password1=PASSWORD, password2=PASSWORD
    )
    assert answer.status_code == 200
    assert "A user with that username already exists." in answer.text


@pytest.mark.parametrize(
    ("password", "again", "complaint"),
    [
        ("12345678", "12345678", "entirely numeric"),
        ("short", "short", "too short"),
        (PASSWORD, "something-else", "The two password fields didn"),
    ],
)
def test_new_account_with_a_bad_password(
    client: httpx.Client, password: str, again: str, complaint: str
) -> None:
    answer = submit(
        client,
        "/account/new/",
        username=new_name("mallory"),
        password1=password,
        password2=again,
    )
    assert answer.status_code == 200
    assert complaint in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("again", ["correct horse battery staple", "another"])
def test_new_account_with_a_leaked_password(client: httpx.Client, again: str) -> None:
    """What Django finds wrong and what the service knows are told together."""
    name = new_name("mallory")
    leaked = "correct horse battery staple"
    answer = submit(
        client, "/account/new/", username=name, password1=leaked, password2=again
    )
    assert answer.status_code == 200
    assert answer.url.path == "/account/new/"
    assert "This password was leaked 3,427 times. Choose another." in answer.text
    assert ("The two password fields didn" in answer.text) == (again != leaked)
    assert "Welcome" not in answer.text
    # Nobody of that name was saved, nor logged in.
    assert "Log in</a>" in client.get("/").text
    answer = submit(
        client, "/account/new/", username=name, password1=PASSWORD, password2=PASSWORD
    )
    assert f"Welcome, {name}." in answer.text
    # The message was for the first page only.
    assert "Welcome," not in client.get("/").text


def test_new_account_while_the_service_is_out_of_order(
    sqlite_site: Site, tmp_path: Path
) -> None:
    nobody = {"UPSTREAM_URL": f"http://127.0.0.1:{free_port()}"}
    server = functools.partial(served, folder=tmp_path)
    variables = {**sqlite_site.environment, **nobody}

    def command(port: int) -> list[str]:
        application = "redletter.asgi:application"
        return ["-m", "uvicorn", f"--port={port}", "--lifespan=off", application]

    with server(command, environment=variables) as site, sign_up(site):
        assert "The service of leaked passwords does not answer." in site.output()


def test_login_page_is_an_async_view(client: httpx.Client) -> None:
    text = client.get("/account/login/").raise_for_status().text
    assert "This page is <code>AsyncLoginView</code>" in text


def test_login_leads_to_no_other_site(site: Site) -> None:
    with site.client() as visitor:
        answer = submit(
            visitor,
            "/account/login/?next=https://example.com/",
            follow=False,
            username="demo",
            password="almanac-demo",
        )
        assert answer.status_code == 302
        assert answer.headers["Location"] == "/trips/"


def test_login_gives_the_session_a_new_key(site: Site) -> None:
    with sign_up(site) as visitor:
        before = visitor.cookies["sessionid"]
        submit(visitor, "/account/login/", username="demo", password="almanac-demo")
        assert visitor.cookies["sessionid"] != before
        with site.client() as thief:
            thief.cookies.set("sessionid", before)
            assert "Log in</a>" in thief.get("/").text


# Who may do what


@pytest.mark.parametrize(
    "address",
    [
        "/trips/new/",
        "/trips/golden-week-by-rail/edit/",
        "/trips/golden-week-by-rail/delete/",
    ],
)
def test_editing_asks_for_a_login_first(client: httpx.Client, address: str) -> None:
    for response in (client.get(address), client.head(address)):
        assert response.status_code == 302
        assert response.headers["Location"] == f"/account/login/?next={address}"


@pytest.mark.parametrize("action", ["edit", "delete"])
def test_nobody_edits_the_trip_of_another(traveller: httpx.Client, action: str) -> None:
    response = traveller.get(f"/trips/golden-week-by-rail/{action}/")
    assert response.status_code == 403
    assert "“Golden Week by rail” is somebody else&#x27;s trip." in response.text
    # Nor by sending the form without having seen it.
    token = traveller.cookies["csrftoken"]
    response = traveller.post(
        f"/trips/golden-week-by-rail/{action}/", data={"csrfmiddlewaretoken": token}
    )
    assert response.status_code == 403
    assert traveller.get("/trips/golden-week-by-rail/").status_code == 200


@pytest.mark.parametrize("action", ["edit", "delete"])
def test_trip_that_is_none_is_nobody_s(
    client: httpx.Client, traveller: httpx.Client, action: str
) -> None:
    address = f"/trips/nowhere/{action}/"
    assert traveller.get(address).status_code == 404
    # Which trips there are is not told by where the login is asked for.
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/account/login/?next={address}"


@pytest.mark.parametrize("address", ["/trips/new/", "/export/", "/account/login/"])
def test_form_without_its_token_is_refused(
    traveller: httpx.Client, address: str
) -> None:
    response = traveller.post(address, data={"title": "Forged"})
    assert response.status_code == 403
    assert "This form has expired" in response.text


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/holidays/",
        "/countries/",
        "/days/2026/",
        "/trips/",
        "/shop/",
        "/briefing/",
        "/dashboard/",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_page_that_only_reads_is_not_written_to(
    traveller: httpx.Client, address: str, method: str
) -> None:
    token = traveller.cookies["csrftoken"]
    response = traveller.request(method, address, headers={"X-CSRFToken": token})
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert f"This page does not take {method}" in response.text


# Trips


def test_trip_is_planned_changed_and_given_up(traveller: httpx.Client) -> None:
    title = new_name("Trip")
    germany = country_key(traveller, "Germany")
    answer = plan(traveller, title=title)
    address = trip_address(answer)
    assert f"“{title}” is in the book." in answer.text
    assert "Showa Day" in answer.text
    assert "Change</a>" in answer.text
    # The message was for the first page only.
    assert "is in the book." not in traveller.get(address).text
    assert title in traveller.get("/trips/?mine=1").text

    answer = submit(
        traveller,
        f"{address}edit/",
        title=f"{title}, again",
        starts=f"{YEAR + 1}-12-24",
        ends=f"{YEAR + 1}-12-26",
        countries=[germany],
    )
    assert answer.url.path == address, "the address stays"
    assert f"“{title}, again” is changed." in answer.text
    assert "Second Day of Christmas" in answer.text
    assert "Showa Day" not in answer.text

    answer = traveller.get(f"{address}delete/")
    assert f"Delete “{title}, again”?" in answer.text
    answer = submit(traveller, f"{address}delete/")
    assert answer.url.path == "/trips/"
    assert f"“{title}, again” is deleted." in answer.text
    assert traveller.get(address).status_code == 404


def test_form_of_a_trip_comes_with_its_values(traveller: httpx.Client) -> None:
    japan, chile = country_key(traveller, "Japan"), country_key(traveller, "Chile")
    address = trip_address(plan(traveller, countries=[japan, chile]))
    form = Page(traveller.get(f"{address}edit/")).form("title")
    assert form.fields["starts"] == f"{YEAR + 1}-04-28"
    assert sorted(form.fields["countries"]) == sorted([japan, chile])


def test_trip_that_ends_before_it_starts(traveller: httpx.Client) -> None:
    answer = plan(traveller, ends=f"{YEAR + 1}-04-01")
    assert answer.status_code == 200
    assert answer.url.path == "/trips/new/"
    assert "The last day is before the first." in answer.text
    assert "Bring cash." in answer.text, "what was typed is kept"


def test_trip_with_nothing_filled_in(traveller: httpx.Client) -> None:
    answer = plan(traveller, title="", starts="", ends="soon", countries=[])
    assert answer.status_code == 200
    assert "<b>Not saved yet.</b> 4 things to fix." in answer.text
    assert answer.text.count("This field is required.") == 3
    assert "Enter a valid date." in answer.text
    assert answer.text.count('aria-invalid="true"') >= 3


def test_trip_to_a_country_that_is_none(traveller: httpx.Client) -> None:
    answer = plan(traveller, countries=["99999999"])
    assert answer.status_code == 200
    assert "Select a valid choice. 99999999 is not one" in answer.text


def test_title_of_a_trip_is_unique(traveller: httpx.Client) -> None:
    answer = plan(traveller, title="Golden Week by rail")
    assert answer.status_code == 200
    assert "There is a trip of this name already." in answer.text
    own = trip_address(plan(traveller))
    answer = submit(traveller, f"{own}edit/", title="Golden Week by rail")
    assert "There is a trip of this name already." in answer.text
    assert trip_address(submit(traveller, f"{own}edit/")) == own, "its own is free"


def test_same_form_sent_twice_at_the_same_time(site: Site) -> None:
    """One of the two is saved, the other is told, by the form or by the database."""
    with sign_up(site) as visitor:
        title = new_name("Trip")
        japan = country_key(visitor, "Japan")
        page = Page(visitor.get("/trips/new/")).form("title")
        data = {
            **page.fields,
            "title": title,
            "starts": f"{YEAR + 1}-01-01",
            "ends": f"{YEAR + 1}-01-02",
            "countries": [japan],
        }
        start = threading.Barrier(2)
        answers: list[httpx.Response] = []

        def send() -> None:
            with httpx.Client(base_url=site.url, cookies=visitor.cookies) as browser:
                start.wait(10)
                answers.append(browser.post("/trips/new/", data=data))

        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        told, saved = sorted(answers, key=lambda answer: answer.status_code)
        assert (told.status_code, saved.status_code) == (200, 302)
        assert "There is a trip of this name already." in told.text
        mine = visitor.get("/trips/?mine=1").text
        assert mine.count(f"<h2>{title}</h2>") == 1


# Uploads


@pytest.mark.parametrize("side", [8, 1100], ids=["in memory", "on disk"])
def test_cover_is_stored_and_shown(traveller: httpx.Client, side: int) -> None:
    # From 2.5 MB on, an upload goes through a temporary file.
    picture = png(side)
    files = {"cover": ("kyoto in spring.png", picture, "image/png")}
    answer = plan(traveller, files=files)
    trip_address(answer)
    (cover,) = (x for x in Page(answer).resources if x.startswith("/media/covers/"))
    response = traveller.get(cover)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.content == picture


def test_cover_that_is_replaced_or_deleted_is_gone(traveller: httpx.Client) -> None:
    def cover_of(answer: httpx.Response) -> str:
        (found,) = (x for x in Page(answer).resources if x.startswith("/media/"))
        return found

    def picture() -> dict[str, tuple[str, bytes, str]]:
        return {"cover": ("a.png", png(4), "image/png")}

    answer = plan(traveller, files=picture())
    address, first = trip_address(answer), cover_of(answer)
    second = cover_of(submit(traveller, f"{address}edit/", files=picture()))
    assert traveller.get(first).status_code == 404
    assert traveller.get(second).status_code == 200
    submit(traveller, f"{address}delete/")
    assert traveller.get(second).status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("page.png", b"<script>alert(1)</script>", "This is not a PNG picture."),
        (
            "evil.svg",
            b"<svg onload='alert(1)'/>",
            "File extension “svg” is not allowed",
        ),
        ("empty.png", b"", "The submitted file is empty."),
        ("huge.png", png(1) + bytes(5 * 1024 * 1024), "This picture is too big"),
    ],
)
def test_what_is_no_cover(
    traveller: httpx.Client, name: str, content: bytes, complaint: str
) -> None:
    answer = plan(traveller, files={"cover": (name, content, "image/png")})
    assert answer.status_code == 200
    assert answer.url.path == "/trips/new/"
    assert complaint in answer.text


# The export


def test_export_is_a_calendar_file(client: httpx.Client) -> None:
    japan, chile = country_key(client, "Japan"), country_key(client, "Chile")
    answer = submit(client, "/export/", year=str(YEAR), countries=[japan, chile])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "holidays.ics" in answer.headers["Content-Disposition"]
    text = answer.content.decode()
    assert text.startswith("BEGIN:VCALENDAR\r\n")
    assert text.endswith("END:VCALENDAR\r\n")
    assert text.count("BEGIN:VEVENT") == text.count("END:VEVENT") > 30
    assert f"DTSTART;VALUE=DATE:{YEAR}0429\r\n" in text
    assert "🇨🇱 New Year's Day" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


def test_export_begins_with_the_country_of_the_link(client: httpx.Client) -> None:
    form = Page(client.get("/export/?country=chile")).form("year")
    assert form.fields["countries"] == [country_key(client, "Chile")]
    assert form.fields["year"] == str(YEAR)


def test_export_of_too_much_or_nothing(client: httpx.Client) -> None:
    answer = submit(client, "/export/", year=str(YEAR))
    assert "This field is required." in answer.text
    page = client.get("/export/").text
    everything = re.findall(r'name="countries" value="(\d+)"', page)
    answer = submit(client, "/export/", year=str(YEAR), countries=everything)
    assert "Choose twenty at most." in answer.text
