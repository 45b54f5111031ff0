"""From link to link through the site, as a search engine does, and as a reader does."""

from __future__ import annotations

import re
from collections import deque
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.example.html import Page
from tests.example.running import Site
from tests.example.test_shop import order, printed

pytestmark = pytest.mark.server

MOST_PAGES = 120
MOST_OF_A_KIND = 2
# The page about the site has one link on purpose that leads nowhere.
MISSING_ON_PURPOSE = {"/days/1066/"}
# That the crawl comes by here is not left to what it happens to find first.
EVERYWHERE = {
    "/account/new/",
    "/briefing/told/",
    "/dashboard/",
    "/shop/",
    "/shop/order/",
    "/shop/orders/",
}


def kind(path: str) -> str:
    """Return the path with what varies from row to row left out."""
    path = re.sub(r"(?<=^/countries/)[-\w]+", "*", path)
    path = re.sub(r"(?<=^/trips/)(?!new/)[-\w]+", "*", path)
    path = re.sub(r"\d+/[-\w]+/$", lambda m: re.sub(r"[a-z][-\w]*", "*", m[0]), path)
    return re.sub(r"\d+", "9", path)


def complaints(response: httpx.Response) -> list[str]:
    """Return what is wrong with a page for its readers."""
    page = Page(response)
    text = response.text
    return [
        complaint
        for complaint, wrong in {
            "not one h1": page.headings["h1"] != 1,
            "no language": page.language != "en",
            "no title": not re.search(r"<title>\S.* · Red Letter Days</title>", text),
            f"ids twice: {page.ids}": len(set(page.ids)) != len(page.ids),
            f"no label: {page.unlabelled()}": bool(page.unlabelled()),
            f"no alt: {page.without_alternative}": bool(page.without_alternative),
            "raw template": "{{" in text or "{%" in text,
            "a None": re.search(r">\s*None\s*<", text) is not None,
        }.items()
        if wrong
    ]


@pytest.mark.parametrize("who", ["visitor", "traveller", "clerk"])
def test_no_link_leads_into_a_wall(
    site: Site, traveller: httpx.Client, clerk: httpx.Client, who: str
) -> None:
    """Every kind of page, MOST_OF_A_KIND each, MOST_PAGES in all."""
    with site.client() as visitor:
        client = {"visitor": visitor, "traveller": traveller, "clerk": clerk}[who]
        expected_kinds = EVERYWHERE
        if who == "clerk":
            expected_kinds = EVERYWHERE | {"/shop/desk/", "/shop/desk/prices/"}
        if who == "traveller":
            # So that there is an order to come to.
            assert order(traveller, {printed(site, 1)[0]: 1}).status_code == 200
            expected_kinds = EVERYWHERE | {"/shop/orders/9/"}
        waiting = deque([("/", "nowhere")])
        seen = {"/"}
        kinds: dict[str, int] = {}
        wrong: list[str] = []
        while waiting and sum(kinds.values()) < MOST_PAGES:
            address, origin = waiting.popleft()
            path = urlsplit(address).path
            if (
                kinds.get(kind(path), 0) >= MOST_OF_A_KIND
                and path not in MISSING_ON_PURPOSE
            ):
                continue
            kinds[kind(path)] = kinds.get(kind(path), 0) + 1
            response = client.get(address, follow_redirects=True)
            expected = 404 if path in MISSING_ON_PURPOSE else 200
            if response.status_code != expected:
                wrong.append(f"{response.status_code} {address} (from {origin})")
                continue
            if not response.headers["Content-Type"].startswith("text/html"):
                continue
            wrong += [f"{it} on {address}" for it in complaints(response)]
            page = Page(response)
            for link in page.links + page.resources:
                found = urljoin(str(response.url), link)
                assert found.startswith(site.url), f"{address} leads out: {link}"
                found = found.removeprefix(site.url.rstrip("/")).partition("#")[0]
                if found not in seen:
                    seen.add(found)
                    waiting.append((found, address))
    assert not wrong, "\n".join(wrong)
    assert len(kinds) >= 18, sorted(kinds)
    assert kinds.keys() >= expected_kinds
    assert seen >= MISSING_ON_PURPOSE
