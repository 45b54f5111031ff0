"""The example site in a browser: each page on a phone and on a desktop."""

from __future__ import annotations

import re
from collections import deque
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.example.html import png
from tests.example.running import demo, quick_environment

pytestmark = pytest.mark.server

PHONE = 390
WIDTHS = {PHONE: 844, 1280: 800}
# What axe-core finds that keeps people from using a page: in the words of its rules.
AXE = """
async () => {
    const options = {resultTypes: ["violations"], preload: false};
    const grave = (found) => ["serious", "critical"].includes(found.impact);
    return (await axe.run(document, options)).violations.filter(grave).map((found) =>
        `${found.impact}: ${found.help}: ${found.nodes.map((node) => node.html)}`);
}
"""
# One link of the page about the site leads nowhere on purpose.
MISSING_ON_PURPOSE = "/days/1066/"
KINDS = {
    "/",
    "/about/",
    "/account/login/",
    "/account/new/",
    "/briefing/",
    "/briefing/9/9/9/",
    "/briefing/told/",
    "/countries/",
    "/countries/*/",
    "/dashboard/",
    "/days/",
    "/days/9/",
    "/days/9/9/",
    "/days/9/9/9/",
    "/days/9/9/9/*/",
    "/days/9/week/9/",
    "/days/today/",
    "/export/",
    "/holidays/",
    "/shop/",
    "/shop/desk/",
    "/shop/desk/prices/",
    "/shop/order/",
    "/shop/orders/",
    "/shop/orders/9/",
    "/surprise/",
    "/trips/",
    "/trips/*/",
    "/trips/*/delete/",
    "/trips/*/edit/",
    "/trips/new/",
}


def kind(path):
    """The path with what varies from row to row left out."""
    path = re.sub(r"(?<=^/countries/)[-\w]+", "*", path)
    path = re.sub(r"(?<=^/trips/)(?!new/)[-\w]+", "*", path)
    path = re.sub(r"(?<=/)\d+(?=/)", "9", path)
    return re.sub(r"(?<=/9/9/9/)[-\w]+", "*", path)


@pytest.fixture(scope="module")
def site(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("example")
    with demo(folder, quick_environment(folder / "var")) as started:
        yield started


class Visitor:
    """A browser that remembers what was wrong with the pages it was shown."""

    def __init__(self, context, url, judged):
        self.url = url.rstrip("/")
        self.page = context.new_page()
        self.wrong = []
        self.kinds = set()
        self.judged = judged
        self.sizes = [*WIDTHS.items()]
        # A change of the width in the middle of a transition between pages aborts it.
        self.page.emulate_media(reduced_motion="reduce")
        self.page.on("pageerror", lambda error: self.complain(f"raises {error}"))
        self.page.on("console", self.hear)
        self.page.on("requestfailed", self.miss)
        self.page.on("response", self.receive)

    def complain(self, of):
        self.wrong.append(f"{urlsplit(self.page.url).path}: {of}")

    def hear(self, message):
        # Chromium writes each status of an error there as well: receive() judges it.
        if message.type == "error" and "Failed to load" not in message.text:
            self.complain(f"console: {message.text}")

    def miss(self, request):
        # To leave a page ends its streams, and what htmx is fetching.
        if request.failure != "net::ERR_ABORTED":
            self.complain(f"{request.url} failed: {request.failure}")

    def receive(self, response):
        path = urlsplit(response.url).path
        if response.status >= 400 and path != MISSING_ON_PURPOSE:
            self.complain(f"{response.status} for {path}")

    def measure(self):
        # Begin with the width that the last page ended with: one layout less.
        self.sizes.reverse()
        for width, height in self.sizes:
            self.page.set_viewport_size({"width": width, "height": height})
            found = self.page.evaluate("document.documentElement.scrollWidth")
            if found > width:
                self.complain(f"{found} px wide on a screen of {width}")
            if width == PHONE:
                self.judge()

    def judge(self):
        """Complain of what axe-core finds on a page, once for each kind of page."""
        found = kind(urlsplit(self.page.url).path)
        self.kinds.add(found)
        # A form with errors, or with a message above it, is a page of another kind.
        parts = ".refused, .errorlist, .messages, .error"
        state = (found, self.page.locator(parts).count() > 0)
        if state not in self.judged:
            self.judged.add(state)
            self.page.evaluate(AXE_SCRIPT)
            for said in self.page.evaluate(AXE):
                self.complain(said)

    def visit(self, path):
        self.page.goto(self.url + path)
        self.measure()

    def links(self):
        found = self.page.evaluate("[...document.links].map((link) => link.href)")
        return [
            link.removeprefix(self.url).partition("#")[0]
            for link in found
            if link.startswith(f"{self.url}/")
            and not re.search(r"/media/|\.csv$", link)
        ]

    def press(self, button):
        """Press a button of the page's own, and look at the page that comes of it."""
        with self.page.expect_navigation():
            self.page.locator("main").get_by_role(
                "button", name=button, exact=True
            ).click()
        self.measure()

    def log_in(self, name, password):
        self.visit("/account/login/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", password)
        self.press("Log in")

    def crawl(self):
        """Visit one page of each kind that a link leads to, unless it was visited."""
        waiting, seen = deque(["/"]), {"/"}
        while waiting:
            link = waiting.popleft()
            path = urlsplit(link).path
            if kind(path) not in self.kinds or path == MISSING_ON_PURPOSE:
                # Some lead to others.
                self.kinds.add(kind(path))
                self.visit(link)
                new = [link for link in self.links() if link not in seen]
                seen.update(new)
                waiting += new
        assert MISSING_ON_PURPOSE in seen


@pytest.fixture(scope="module")
def judged():
    """The kinds of pages that a test has judged."""
    return set()


@pytest.fixture
def visitor(context, site, judged):
    return Visitor(context, site.url, judged)


def test_what_is_wrong_with_a_page_is_found(visitor):
    visitor.page.set_content(
        "<!doctype html><html lang=en><title>A page</title>"
        "<main style='width: 2000px'><h1>Pale</h1><p style='color: #eee'>So pale.</p>"
        "<script>console.error('lost')</script>"
    )
    visitor.measure()
    said = "\n".join(visitor.wrong)
    assert "console: lost" in said
    assert "px wide on a screen of 390" in said
    assert "serious: Elements must meet minimum color contrast" in said


def order(visitor, copies):
    visitor.visit("/shop/order/")
    for row, count in enumerate(copies):
        visitor.page.locator(".order-lines input").nth(row).fill(count)
    visitor.press("Order")


def attach(visitor, content):
    cover = {"name": "cover.png", "mimeType": "image/png", "buffer": content}
    visitor.page.set_input_files("[name=cover]", cover)


def test_every_page(visitor):
    visitor.visit("/account/new/")
    visitor.log_in("clerk", "almanac-clerk")
    order(visitor, ["1"])
    visitor.visit("/trips/new/")
    visitor.page.fill("[name=title]", "A trip of the clerk")
    visitor.page.fill("[name=starts]", "2027-01-01")
    visitor.page.fill("[name=ends]", "2027-01-01")
    visitor.page.locator("[name=countries]").first.check()
    attach(visitor, png(8))
    visitor.press("Save")
    # It is loaded when it comes into view.
    cover = visitor.page.locator("img.cover")
    cover.scroll_into_view_if_needed()
    visitor.page.wait_for_function("document.querySelector('img.cover').complete")
    assert cover.evaluate("it => it.naturalWidth") == 8
    (edit,) = [link for link in visitor.links() if link.endswith("/edit/")]
    visitor.visit(edit)
    visitor.visit(edit.replace("/edit/", "/delete/"))
    visitor.crawl()
    assert visitor.wrong == []
    assert visitor.kinds >= KINDS


def test_forms_with_errors(visitor):
    visitor.visit("/account/new/")
    visitor.press("Create it")
    assert visitor.page.locator(".errorlist").count() >= 3
    visitor.log_in("clerk", "wrong")
    assert visitor.page.locator(".refused").count() == 1
    visitor.log_in("clerk", "almanac-clerk")
    order(visitor, ["-1", "21"])
    assert visitor.page.locator(".order-lines .errorlist").count() == 2
    visitor.visit("/shop/desk/prices/")
    visitor.page.locator(".order-lines input:visible").first.fill("-1")
    visitor.press("Save")
    assert visitor.page.locator(".order-lines .errorlist").count() == 1
    visitor.visit("/export/")
    visitor.press("Download")
    assert visitor.page.locator(".errorlist").count() == 1
    visitor.visit("/trips/new/")
    attach(visitor, b"no picture")
    visitor.press("Save")
    said = visitor.page.locator(".errorlist").all_inner_texts()
    assert said == [*["This field is required."] * 4, "This is not a PNG picture."]
    assert visitor.wrong == []


def test_pages_that_change_by_themselves(visitor, context):
    visitor.log_in("clerk", "almanac-clerk")
    shelf, desk = context.new_page(), context.new_page()
    with shelf.expect_response("**/shop/stock/"):
        shelf.goto(f"{visitor.url}/shop/")
    desk.goto(f"{visitor.url}/shop/desk/")
    card = shelf.locator("[data-calendar]").nth(4)
    before = int(card.get_attribute("data-stock"))
    visitor.visit(f"/shop/order/?calendar={card.get_attribute('data-calendar')}")
    visitor.press("Order")
    placed = visitor.page.locator("h1").inner_text()
    card.get_by_text(f"{before - 1} left").wait_for()
    desk.locator("#orders th").get_by_text(placed, exact=True).wait_for()
    assert visitor.wrong == []


def test_a_stream_that_is_canceled(visitor):
    with visitor.page.expect_response("**/briefing/told/endings/"):
        visitor.visit("/briefing/told/")
    # At the first word, however busy the machine is.
    visitor.page.evaluate("""
        new MutationObserver((_, observer) => {
            observer.disconnect();
            document.querySelector(".cancel").click();
        }).observe(document.querySelector("#text"), {childList: true});
    """)
    visitor.page.get_by_role("button", name="Tell it").click()
    visitor.page.locator("#text").get_by_text("… (canceled)").wait_for()
    ending = visitor.page.locator("#endings li").first
    assert "because its reader had gone" in ending.inner_text()
    visitor.measure()
    assert visitor.wrong == []


def test_account_links_of_a_phone_are_whole(visitor):
    visitor.log_in("clerk", "almanac-clerk")
    for path in ["/", MISSING_ON_PURPOSE]:
        visitor.visit(path)
        visitor.page.set_viewport_size({"width": 390, "height": 844})
        cut = "links => links.filter(it => it.scrollWidth > it.clientWidth).length"
        links = visitor.page.locator(".account a")
        assert links.all_inner_texts() == ["Desk", "clerk"]
        assert links.evaluate_all(cut) == 0
        rows = "links => new Set(links.map(it => it.offsetTop)).size"
        assert visitor.page.locator(".main-nav a").evaluate_all(rows) == 2
    digits = visitor.page.locator(".error .tile b")
    assert digits.evaluate("it => it.scrollWidth <= it.clientWidth")
    assert visitor.wrong == []
