"""Every page that only reads, on each database."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re

import httpx
import pytest

from tests.example.html import Page

pytestmark = pytest.mark.server

YEAR = dt.datetime.now(tz=dt.UTC).year


def test_home_counts_what_was_seeded(client: httpx.Client) -> None:
    text = client.get("/").raise_for_status().text
    countries = re.search(r"from (\d+) countries", text)
    holidays = re.search(r"Here are ([\d,]+) of them", text)
    assert countries
    assert int(countries[1]) >= 200
    assert holidays
    assert int(holidays[1].replace(",", "")) >= 9000
    assert f"{YEAR}</a> at a glance" in text


def test_home_says_what_the_site_is_and_leads_to_the_briefing(
    client: httpx.Client,
) -> None:
    response = client.get("/").raise_for_status()
    assert "the example site of <b>django-async-cbv</b>" in response.text
    told = re.search(
        r"six slow services, which wait ([\d.]+) to ([\d.]+) seconds each\. In turn, "
        r"the page takes at least ([\d.]+) seconds.* At once, it takes about ([\d.]+)",
        response.text,
    )
    assert told
    shortest, longest, in_turn, at_once = map(float, told.groups())
    assert at_once == longest
    assert 6 * shortest < in_turn < 6 * longest
    links = Page(response).links
    assert {"/briefing/", "/briefing/?in_turn=1", "/dashboard/?compare=1"} <= set(links)


def test_clear_is_there_for_filters_alone(client: httpx.Client) -> None:
    clear = ">Clear</a>"
    assert clear not in client.get("/holidays/").text
    assert clear not in client.get("/holidays/?page=2").text
    assert clear not in client.get("/holidays/?q=&sort=").text
    assert clear in client.get("/holidays/?q=eid&page=1").text
    assert clear in client.get("/holidays/?sort=name").text


def test_home_marks_the_days_of_the_year(client: httpx.Client) -> None:
    links = Page(client.get("/")).links
    days = {link for link in links if re.fullmatch(rf"/days/{YEAR}/\d+/\d+/", link)}
    assert len(days) in {365, 366}


def test_about_names_its_view(client: httpx.Client) -> None:
    text = client.get("/about/").raise_for_status().text
    assert "<code>About</code>, an <code>AsyncTemplateView</code>" in text


def test_about_shows_what_the_worker_threads_did(client: httpx.Client) -> None:
    def hops() -> int:
        text = client.get("/about/").raise_for_status().text
        shown = dict(re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", text))
        assert 1 <= int(shown["Free now"]) <= int(shown["Worker threads"])
        return int(shown["Hops since the start"].replace(",", ""))

    before = hops()
    # A list that awaits nothing is one hop. What another test does is not counted away.
    client.get("/countries/").raise_for_status()
    assert hops() > before


@pytest.mark.parametrize(
    ("query", "found", "absent"),
    [
        (f"q=christmas&when={YEAR}", "Christmas Day", "Good Friday"),
        (f"country=japan&when={YEAR}", "昭和の日", "Germany"),
        (f"q=昭和&when={YEAR}", "Showa Day", "Christmas"),
        ("category=bank&when=any", "Bank", "Hebrew</span>"),
        (f"country=germany&when={YEAR - 1}", f"Oct {YEAR - 1}", f"{YEAR + 1}</span>"),
    ],
)
def test_list_is_filtered(
    client: httpx.Client, query: str, found: str, absent: str
) -> None:
    text = client.get(f"/holidays/?{query}").raise_for_status().text
    leaves = text.split('<ol class="leaves"')[1].split("</ol>")[0]
    assert found in leaves
    assert absent not in leaves


def names(client: httpx.Client, query: str) -> list[str]:
    text = client.get(f"/holidays/?{query}").raise_for_status().text
    return re.findall(r'<a class="name"[^>]*>([^<]+)</a>', text)


def test_list_is_sorted(client: httpx.Client) -> None:
    query = f"country=germany&when={YEAR}"
    by_date = names(client, query)
    assert by_date[0] == "New Year&#x27;s Day"
    assert names(client, f"{query}&sort=name") == sorted(by_date)
    newest = names(client, f"{query}&sort=newest")
    assert newest != by_date
    assert sorted(newest) == sorted(by_date)


def test_list_keeps_its_filter_from_page_to_page(client: httpx.Client) -> None:
    address = f"/holidays/?q=day&when={YEAR}&sort=name"
    seen: list[str] = []
    for number in (1, 2, 3):
        response = client.get(address).raise_for_status()
        assert f'<b aria-current="page">{number}</b>' in response.text
        page = re.findall(r'<a class="name" href="([^"]+)"', response.text)
        assert len(page) == 40
        seen += page
        (following,) = re.findall(r'<a rel="next" href="([^"]+)"', response.text)
        address = "/holidays/" + following.replace("&amp;", "&")
        assert "q=day" in address
        assert f"when={YEAR}" in address
        assert "sort=name" in address
    assert len(set(seen)) == 120


def test_list_without_a_match(client: httpx.Client) -> None:
    response = client.get("/holidays/?q=no+such+holiday")
    assert response.status_code == 200
    assert "No holiday is like that." in response.text


def test_list_tells_of_a_filter_that_is_none(client: httpx.Client) -> None:
    response = client.get("/holidays/?country=atlantis&when=any")
    assert response.status_code == 200
    assert "Select a valid choice" in response.text


@pytest.mark.parametrize("page", ["0", "9999", "two"])
def test_list_has_no_such_page(client: httpx.Client, page: str) -> None:
    assert client.get(f"/holidays/?page={page}").status_code == 404


def test_countries_stand_under_their_initials(client: httpx.Client) -> None:
    response = client.get("/countries/").raise_for_status()
    letters = re.findall(r'<h2 id="letter-(.)">', response.text)
    assert letters == sorted(set(letters))
    links = [link for link in Page(response).links if link.startswith("/countries/")]
    countries = [link for link in links if link != "/countries/"]
    assert countries == sorted(set(countries), key=lambda link: link.split("/")[2])
    assert "/countries/aland-islands/" in countries
    assert "Deutschland" in response.text


def test_country(client: httpx.Client) -> None:
    text = client.get("/countries/japan/").raise_for_status().text
    assert "日本" in text
    assert 'lang="ja"' in text
    assert "Saturday and Sunday" in text
    assert "昭和の日" in text


def test_country_that_rests_on_friday(client: httpx.Client) -> None:
    text = client.get("/countries/egypt/").raise_for_status().text
    assert "Friday and Saturday" in text
    assert 'dir="rtl"' in text


def test_country_in_another_year(client: httpx.Client) -> None:
    text = client.get(f"/countries/france/?year={YEAR + 1}").raise_for_status().text
    assert f"Marked days in {YEAR + 1}" in text


@pytest.mark.parametrize("year", ["1066", "soon"])
def test_country_in_a_year_that_is_not_known(client: httpx.Client, year: str) -> None:
    assert client.get(f"/countries/france/?year={year}").status_code == 404


def test_archive_has_a_grid_for_each_year(client: httpx.Client) -> None:
    links = Page(client.get("/days/")).links
    for year in (YEAR - 1, YEAR, YEAR + 1):
        assert f"/days/{year}/" in links
        assert f"/days/{year}/12/25/" in links


def test_year(client: httpx.Client) -> None:
    response = client.get(f"/days/{YEAR}/")
    text = response.raise_for_status().text
    assert "Kept by most countries" in text
    assert "New Year&#x27;s Day" in text
    assert f"/days/{YEAR - 1}/" in Page(response).links


def test_month(client: httpx.Client) -> None:
    response = client.get(f"/days/{YEAR}/12/").raise_for_status()
    links = Page(response).links
    days = [link for link in links if re.fullmatch(rf"/days/{YEAR}/12/\d+/", link)]
    assert len(days) == 31
    assert "Christmas Day" in response.text
    assert f"/days/{YEAR}/11/" in links
    assert f"/days/{YEAR + 1}/1/" in links


def test_week_is_counted_as_iso_does(client: httpx.Client) -> None:
    christmas = dt.date(YEAR, 12, 25)
    year, week, _ = christmas.isocalendar()
    response = client.get(f"/days/{year}/week/{week}/").raise_for_status()
    assert f"Week {week}" in response.text
    assert f"/days/{YEAR}/12/25/" in Page(response).links
    assert "Christmas Day" in response.text


def test_day(client: httpx.Client) -> None:
    response = client.get(f"/days/{YEAR}/12/25/").raise_for_status()
    assert "Christmas Day" in response.text
    assert f"/days/{YEAR}/12/25/de-christmas-day/" in Page(response).links


def test_today(client: httpx.Client) -> None:
    before = dt.datetime.now(tz=dt.UTC).date()
    text = client.get("/days/today/").raise_for_status().text
    after = dt.datetime.now(tz=dt.UTC).date()
    assert any(f'datetime="{day}"' in text for day in (before, after))
    assert "<code>Today</code>, an <code>AsyncTodayArchiveView</code>" in text


def test_holiday(client: httpx.Client) -> None:
    response = client.get(f"/days/{YEAR}/12/25/de-christmas-day/").raise_for_status()
    assert "Erster Weihnachtstag" in response.text
    links = Page(response).links
    assert "/countries/germany/" in links
    assert f"/days/{YEAR}/12/25/fr-christmas-day/" in links
    assert f"/days/{YEAR + 1}/12/25/de-christmas-day/" in links


@pytest.mark.parametrize(
    "address",
    [
        "/days/1066/",
        "/days/1066/12/",
        f"/days/{YEAR}/13/",
        f"/days/{YEAR}/2/30/",
        f"/days/{YEAR}/week/60/",
        f"/days/{YEAR}/12/25/de-whitsun/",
        "/countries/atlantis/",
        "/trips/nowhere/",
        "/shop/nothing/",
        "/briefing/2026/2/30/",
        "/static/redletter/nothing.css",
        "/media/nothing.png",
        "/media/../secret-key",
        "/media/%2e%2e/secret-key",
        "/static/%2e%2e/%2e%2e/manage.py",
    ],
)
def test_what_is_not_there(client: httpx.Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 404
    assert "This day is not on the calendar" in response.text


def test_surprise_leads_to_a_holiday(client: httpx.Client) -> None:
    response = client.get("/surprise/")
    assert response.status_code == 302
    assert re.fullmatch(r"/days/\d+/\d+/\d+/[-\w]+/", response.headers["Location"])
    assert client.get(response.headers["Location"]).status_code == 200


def test_trips_are_there_to_look_at(client: httpx.Client) -> None:
    response = client.get("/trips/").raise_for_status()
    assert "/trips/golden-week-by-rail/" in Page(response).links
    text = client.get("/trips/golden-week-by-rail/").raise_for_status().text
    assert "Showa Day" in text
    assert "Change</a>" not in text


def test_static_file_is_streamed(client: httpx.Client) -> None:
    response = client.get("/static/redletter/site.css").raise_for_status()
    assert response.headers["Content-Type"].startswith("text/css")
    assert int(response.headers["Content-Length"]) == len(response.content)


def test_head_has_no_body(client: httpx.Client) -> None:
    response = client.head("/holidays/")
    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["Content-Type"].startswith("text/html")


def test_options_names_the_methods(client: httpx.Client) -> None:
    response = client.options("/holidays/")
    assert response.status_code == 200
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_year_as_csv(client: httpx.Client) -> None:
    year = Page(client.get(f"/days/{YEAR}/"))
    assert f"/days/{YEAR}/holidays.csv" in year.links
    response = client.get(f"/days/{YEAR}/holidays.csv").raise_for_status()
    name = f'attachment; filename="holidays-{YEAR}.csv"'
    assert response.headers["Content-Disposition"] == name
    header, *rows = csv.reader(io.StringIO(response.content.decode("utf-8-sig")))
    assert header == ["date", "name", "country"]
    assert len(rows) > 1000
    assert [f"{YEAR}-12-25", "Christmas Day", "Germany"] in rows
