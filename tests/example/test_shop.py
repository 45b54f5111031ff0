"""Orders of several lines: all or nothing, and a last copy that two want."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import unquote

import httpx
import pytest

from tests.example.conftest import PASSWORD, new_name, sign_up
from tests.example.html import Page, submit
from tests.example.running import PROJECT, Site

pytestmark = pytest.mark.server


# One process runs all the code for a site: it takes two seconds to start.
RUN_EACH = """
import contextlib, io, json, sys, traceback
from django.db import connections
for line in sys.stdin:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(json.loads(line), {})
        except BaseException:
            failed = traceback.format_exc()
        else:
            failed = ""
        connections.close_all()
    print(json.dumps([failed, printed.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def shells() -> Iterator[None]:
    yield
    for shell in SHELLS.values():
        # It ends when there is nothing more to read.
        shell.communicate(timeout=60)
        assert shell.returncode == 0
    SHELLS.clear()


SHELLS: dict[str, subprocess.Popen[str]] = {}


def in_the_site(site: Site, code: str) -> str:
    """Run Python code with the settings of `site`; return what it prints."""
    if site.url not in SHELLS:
        SHELLS[site.url] = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", RUN_EACH],
            cwd=PROJECT,
            env=dict(site.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    shell = SHELLS[site.url]
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(json.dumps(code) + "\n")
    shell.stdin.flush()
    failed, text = json.loads(shell.stdout.readline() or '["It ended.", ""]')
    assert not failed, failed
    assert isinstance(text, str)
    return text


PRINT = """
from almanac.models import Country
from django.utils import timezone
from shop.models import WallCalendar
year = timezone.localdate().year + 1
# From the end of the alphabet: test_command.py deletes a country of the middle.
free = Country.objects.exclude(wall_calendars__year=year).order_by("-slug")
for country, stock in zip(free, {stocks}):
    made = WallCalendar.objects.create(
        country=country, year=year, price="12.50", stock=stock
    )
    print(made.pk)
"""


def printed(site: Site, *stocks: int) -> list[str]:
    """Put new calendars on the shelf, so many copies of each; return their keys.

    The first one has the smallest key, and so is the first that an order takes.
    """
    keys = in_the_site(site, PRINT.format(stocks=stocks)).split()
    assert len(keys) == len(stocks)
    return keys


def on_the_shelf(client: httpx.Client) -> dict[str, int]:
    """Return how many copies are left of which calendar."""
    text = client.get("/shop/").raise_for_status().text
    found = re.findall(r'data-calendar="(\d+)" data-stock="(-?\d+)"', text)
    assert found
    return {key: int(stock) for key, stock in found}


def name_of(client: httpx.Client, key: str) -> str:
    """Return the name of a calendar, as the form has it."""
    text = client.get("/shop/").text
    found = re.search(rf'data-calendar="{key}".*?<h2>([^<]+)</h2>', text, re.DOTALL)
    assert found
    return found[1]


def order(
    client: httpx.Client, copies: dict[str, int | str], *, follow: bool = True
) -> httpx.Response:
    """Fill the form in: so many copies of which calendar."""
    values: dict[str, str | list[str]] = {
        f"calendar_{key}": str(count) for key, count in copies.items()
    }
    return submit(client, "/shop/order/", follow=follow, **values)


def own_orders(client: httpx.Client) -> list[str]:
    """Return the addresses of one's own orders, the latest first."""
    links = Page(client.get("/shop/orders/").raise_for_status()).links
    return [link for link in links if re.fullmatch(r"/shop/orders/\d+/", link)]


ROWS = """
from shop.models import Order, OrderLine
print(Order.objects.count(), OrderLine.objects.count())
"""


def test_order_of_several_lines(site: Site) -> None:
    first, second = printed(site, 5, 3)
    with sign_up(site) as buyer:
        answer = order(buyer, {first: 2, second: 3})
        address = answer.url.path
        assert re.fullmatch(r"/shop/orders/\d+/", address)
        number = address.split("/")[-2]
        assert f"Order {number} is placed." in answer.text
        lines = re.findall(
            r"<td>(\d+) cop\w+</td><td>€ ([\d.]+) each</td>", answer.text
        )
        assert lines == [("2", "12.50"), ("3", "12.50")]
        assert "5 calendars, <b>€ 62.50</b>" in answer.text
        for key in (first, second):
            country, _, year = name_of(buyer, key).rpartition(" ")
            assert f">{country}</a> {year}</th>" in answer.text

        left = on_the_shelf(buyer)
        assert (left[first], left[second]) == (3, 0)
        assert own_orders(buyer) == [address]
        # The message was for the first page only.
        assert "is placed." not in buyer.get(address).text


@pytest.mark.parametrize("short", [0, 1], ids=["first line", "second line"])
def test_order_of_too_much_leaves_nothing(site: Site, short: int) -> None:
    """The line that could be had is given back, and the order row with it."""
    keys = printed(site, 4, 4)
    copies: dict[str, int | str] = dict.fromkeys(keys, 2)
    copies[keys[short]] = 5
    with sign_up(site) as buyer:
        before = in_the_site(site, ROWS)
        answer = order(buyer, copies)
        assert answer.status_code == 200
        assert answer.url.path == "/shop/order/"
        complaints = re.findall(r"<li>(Of [^<]+ left\.)</li>", answer.text)
        assert complaints == [f"Of {name_of(buyer, keys[short])} only 4 are left."]
        assert "<b>Not ordered yet.</b> 1 thing to fix." in answer.text
        # What was typed is kept.
        fields = Page(answer).form("csrfmiddlewaretoken").fields
        assert [fields[f"calendar_{key}"] for key in keys] == [
            str(copies[key]) for key in keys
        ]

        assert in_the_site(site, ROWS) == before
        left = on_the_shelf(buyer)
        assert [left[key] for key in keys] == [4, 4]
        assert own_orders(buyer) == []
        # Neither here nor as a message that waits for the next page.
        assert "is placed." not in answer.text + buyer.get("/shop/").text

        copies[keys[short]] = 4
        assert "is placed." in order(buyer, copies).text
        assert on_the_shelf(buyer)[keys[short]] == 0


def test_order_tells_every_line_that_is_short(site: Site) -> None:
    one, none, enough = printed(site, 1, 0, 5)
    with sign_up(site) as buyer:
        # The page has no field for what is sold out; a page from before has one.
        assert f'name="calendar_{none}"' not in buyer.get("/shop/order/").text
        token = buyer.cookies["csrftoken"]
        answer = buyer.post(
            "/shop/order/",
            data={
                "csrfmiddlewaretoken": token,
                **{f"calendar_{key}": "2" for key in (one, none, enough)},
            },
        )
        assert f"Of {name_of(buyer, one)} only 1 is left." in answer.text
        assert f"{name_of(buyer, none)} is sold out." in answer.text
        assert f'name="calendar_{none}"' in answer.text
        left = on_the_shelf(buyer)
        assert [left[key] for key in (one, none, enough)] == [1, 0, 5]


def test_order_with_an_error_tells_every_line_that_is_short_as_well(
    site: Site,
) -> None:
    bad, one, none, enough = printed(site, 5, 1, 0, 5)
    with sign_up(site) as buyer:
        buyer.get("/shop/order/")
        copies = {bad: "-1", one: "2", none: "1", enough: "5"}
        answer = buyer.post(
            "/shop/order/",
            data={
                "csrfmiddlewaretoken": buyer.cookies["csrftoken"],
                **{f"calendar_{key}": count for key, count in copies.items()},
            },
        )
        assert "greater than or equal to 0." in answer.text
        assert f"Of {name_of(buyer, one)} only 1 is left." in answer.text
        assert f"{name_of(buyer, none)} is sold out." in answer.text
        assert "<b>Not ordered yet.</b> 3 things to fix." in answer.text
        left = on_the_shelf(buyer)
        assert [left[key] for key in copies] == [5, 1, 0, 5]


def test_two_orders_at_once_for_the_last_copy(site: Site) -> None:
    """One gets it; the other is told, and keeps its other line's copy no more."""
    last, one, other = printed(site, 1, 10, 10)
    with sign_up(site) as ada, sign_up(site) as grace:
        start = threading.Barrier(2)
        answers: dict[str, httpx.Response] = {}

        def send(buyer: httpx.Client, besides: str) -> None:
            page = Page(buyer.get("/shop/order/")).form("csrfmiddlewaretoken")
            wanted = {f"calendar_{last}": "1", f"calendar_{besides}": "3"}
            start.wait(10)
            answers[besides] = buyer.post(
                "/shop/order/", data={**page.fields, **wanted}
            )

        threads = [
            threading.Thread(target=send, args=args)
            for args in ((ada, one), (grace, other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        (loser, told), (winner, placed) = sorted(
            answers.items(), key=lambda item: item[1].status_code
        )
        assert (told.status_code, placed.status_code) == (200, 302)
        assert f"{name_of(ada, last)} is sold out." in told.text
        left = on_the_shelf(ada)
        assert (left[last], left[winner], left[loser]) == (0, 7, 10)
        assert sorted([len(own_orders(ada)), len(own_orders(grace))]) == [0, 1]


def test_orders_that_lock_the_same_rows_end(site: Site) -> None:
    """However many there are at once, none is lost and none waits for ever."""
    keys = printed(site, 9, 9)
    with sign_up(site) as buyer:
        page = Page(buyer.get("/shop/order/")).form("csrfmiddlewaretoken")
        data = {**page.fields, **{f"calendar_{key}": "2" for key in keys}}
        start = threading.Barrier(6)
        statuses: list[int] = []

        def send() -> None:
            with httpx.Client(
                base_url=site.url, cookies=buyer.cookies, timeout=30, trust_env=False
            ) as browser:
                start.wait(10)
                statuses.append(browser.post("/shop/order/", data=data).status_code)

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        # Nine copies are four orders of two.
        assert sorted(statuses) == [200, 200, 302, 302, 302, 302]
        left = on_the_shelf(buyer)
        assert [left[key] for key in keys] == [1, 1]
        assert len(own_orders(buyer)) == 4


BELOW_ZERO = """
from django.db import IntegrityError
from shop.models import WallCalendar
try:
    WallCalendar.objects.filter(pk={key}).update(stock=-1)
except IntegrityError as error:
    print(error)
"""


def test_database_holds_the_stock_above_zero(site: Site) -> None:
    (key,) = printed(site, 1)
    assert "no_copy_is_sold_twice" in in_the_site(site, BELOW_ZERO.format(key=key))


@pytest.mark.parametrize(
    ("count", "complaint"),
    [
        ("", "Order one calendar at least."),
        ("0", "Order one calendar at least."),
        ("-1", "Ensure this value is greater than or equal to 0."),
        ("21", "Ensure this value is less than or equal to 20."),
        ("two", "Enter a whole number."),
    ],
)
def test_order_that_is_none(
    site: Site, traveller: httpx.Client, count: str, complaint: str
) -> None:
    key = max(on_the_shelf(traveller).items(), key=lambda item: item[1])[0]
    before = own_orders(traveller)
    answer = order(traveller, {key: count})
    assert answer.status_code == 200
    assert answer.text.count(complaint) == 1
    assert own_orders(traveller) == before


def test_order_begins_with_the_calendar_of_the_link(traveller: httpx.Client) -> None:
    shelf = Page(traveller.get("/shop/"))
    link = next(link for link in shelf.links if "?calendar=" in link)
    key = link.partition("=")[2]
    fields = Page(traveller.get(link)).form("csrfmiddlewaretoken").fields
    chosen = {name: value for name, value in fields.items() if value == "1"}
    assert chosen == {f"calendar_{key}": "1"}


@pytest.mark.parametrize(
    "address",
    [
        "/shop/order/?calendar=1",
        "/shop/orders/",
        "/shop/orders/1/",
        "/shop/desk/",
        "/shop/desk/?page=9",
        "/shop/desk/prices/",
    ],
)
def test_orders_ask_for_a_login_first(client: httpx.Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 302
    assert unquote(response.headers["Location"]) == f"/account/login/?next={address}"
    refused = client.post("/shop/order/", data={})
    assert refused.status_code in {302, 403}


def test_nobody_sees_the_order_of_another(site: Site, traveller: httpx.Client) -> None:
    with site.client() as demo:
        submit(demo, "/account/login/", username="demo", password="almanac-demo")
        (address,) = own_orders(demo)
        assert "4 calendars" in demo.get(address).text
    assert traveller.get(address).status_code == 404
    assert address not in own_orders(traveller)


def test_order_without_its_token_is_refused(traveller: httpx.Client) -> None:
    before = on_the_shelf(traveller)
    key = max(before, key=lambda key: before[key])
    response = traveller.post("/shop/order/", data={f"calendar_{key}": "1"})
    assert response.status_code == 403
    assert on_the_shelf(traveller) == before


def test_visitor_orders_after_the_login(site: Site) -> None:
    (key,) = printed(site, 2)
    name = new_name("grace")
    with site.client() as visitor:
        submit(
            visitor,
            "/account/new/",
            username=name,
            password1=PASSWORD,
            password2=PASSWORD,
        )
    with site.client() as visitor:
        link = f"/shop/order/?calendar={key}"
        answer = submit(
            visitor, f"/account/login/?next={link}", username=name, password=PASSWORD
        )
        assert str(answer.url).endswith(link)
        assert "is placed." in submit(visitor, link).text
        assert on_the_shelf(visitor)[key] == 1


# Behind the desk


def test_desk_is_the_staff_s(traveller: httpx.Client) -> None:
    for address in ("/shop/desk/", "/shop/desk/prices/", "/shop/desk/?page=nothing"):
        response = traveller.get(address)
        assert response.status_code == 403
        assert "This page is for those who work here." in response.text
        assert "almanac" not in response.text
    assert ">Desk</a>" not in traveller.get("/shop/").text


NEWCOMER = """
from django.contrib.auth.models import User
User.objects.create_user("{name}", password="{password}", is_staff=True)
"""


def test_staff_without_the_permission_is_not_let_in(site: Site) -> None:
    name = new_name("newcomer")
    in_the_site(site, NEWCOMER.format(name=name, password=PASSWORD))
    with site.client() as newcomer:
        submit(newcomer, "/account/login/", username=name, password=PASSWORD)
        assert newcomer.get("/shop/desk/").status_code == 403


FORMER = """
from django.contrib.auth.models import Permission, User
user = User.objects.create_user("{name}", password="{password}")
user.user_permissions.add(Permission.objects.get(codename="view_order"))
"""


def test_permission_without_being_staff_does_not_let_in(site: Site) -> None:
    name = new_name("former")
    in_the_site(site, FORMER.format(name=name, password=PASSWORD))
    with site.client() as former:
        submit(former, "/account/login/", username=name, password=PASSWORD)
        assert former.get("/shop/desk/").status_code == 403


def test_desk_lists_everybody_s_orders(site: Site, clerk: httpx.Client) -> None:
    (key,) = printed(site, 2)
    with sign_up(site) as buyer:
        placed = order(buyer, {key: 2})
        number = placed.url.path.split("/")[-2]
        found = re.search(r'mine=1">(ada-\w+)</a>', placed.text)
        assert found
    response = clerk.get("/shop/desk/").raise_for_status()
    row = re.search(rf"<tr><th[^>]*>Order {number}</th>.*?</tr>", response.text)
    assert row
    assert f"<td>{found[1]}</td>" in row[0]
    assert f"2 of {name_of(clerk, key)}" in row[0]
    assert "€ 25.00" in row[0]


def price_fields(clerk: httpx.Client, *keys: str) -> list[str]:
    """Return the names of the fields with the prices of these calendars."""
    fields = Page(clerk.get("/shop/desk/prices/")).form("form-0-price").fields
    by_key = {value: name for name, value in fields.items() if name.endswith("-id")}
    return [by_key[key].replace("-id", "-price") for key in keys]


def price_of(client: httpx.Client, key: str) -> str:
    """Return what a calendar costs, as the shelf has it."""
    text = client.get("/shop/").text
    found = re.search(rf'data-calendar="{key}".*?<p>€ ([\d.]+)</p>', text, re.DOTALL)
    assert found
    return found[1]


def test_prices_are_changed_together(site: Site, clerk: httpx.Client) -> None:
    keys = printed(site, 3, 3, 3)
    first, second, _ = price_fields(clerk, *keys)
    with sign_up(site) as buyer:
        placed = order(buyer, {keys[0]: 1}).url.path
        answer = submit(clerk, "/shop/desk/prices/", **{first: "13.00", second: "0.99"})
        assert answer.url.path == "/shop/desk/prices/"
        assert "2 prices changed." in answer.text
        assert [price_of(buyer, key) for key in keys] == ["13.00", "0.99", "12.50"]
        assert "€ 12.50 each" in buyer.get(placed).text, "as on the day of the order"
        left = on_the_shelf(buyer)
        assert [left[key] for key in keys] == [2, 3, 3]


@pytest.mark.parametrize(
    ("price", "complaint"),
    [
        ("", "This field is required."),
        ("0", "A calendar costs something."),
        ("-3", "A calendar costs something."),
        ("12.345", "no more than 2 decimal places"),
        ("much", "Enter a number."),
    ],
)
def test_price_that_is_none_keeps_the_others_from_being_saved(
    site: Site, clerk: httpx.Client, price: str, complaint: str
) -> None:
    keys = printed(site, 1, 1)
    good, bad = price_fields(clerk, *keys)
    answer = submit(clerk, "/shop/desk/prices/", **{good: "99.00", bad: price})
    assert answer.status_code == 200
    assert "<b>Not saved yet.</b> 1 thing to fix." in answer.text
    assert answer.text.count(complaint) == 1
    fields = Page(answer).form("form-0-price").fields
    assert (fields[good], fields[bad]) == ("99.00", price), "what was typed is kept"
    assert [price_of(clerk, key) for key in keys] == ["12.50", "12.50"]


def test_prices_are_not_changed_by_others(
    site: Site, clerk: httpx.Client, traveller: httpx.Client
) -> None:
    (key,) = printed(site, 1)
    (field,) = price_fields(clerk, key)
    page = Page(clerk.get("/shop/desk/prices/")).form("form-0-price")
    data = {**page.fields, field: "0.01"}
    data["csrfmiddlewaretoken"] = traveller.cookies["csrftoken"]
    assert traveller.post("/shop/desk/prices/", data=data).status_code == 403
    with site.client() as visitor:
        visitor.get("/export/")
        data["csrfmiddlewaretoken"] = visitor.cookies["csrftoken"]
        refused = visitor.post("/shop/desk/prices/", data=data)
        assert refused.status_code == 302
        assert refused.headers["Location"].startswith("/account/login/")
    assert price_of(clerk, key) == "12.50"
