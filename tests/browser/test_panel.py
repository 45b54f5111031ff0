"""The panel in a browser: each request's own hops, its history, a strict policy."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from tests.browser.panel_settings import TOGETHER
from tests.streams.serving import ROOT, free_port, until

pytestmark = pytest.mark.server

UVICORN = "uvicorn tests.streams.asgi:application --port {port}"
SERVERS = {
    "uvicorn": (UVICORN, {}),
    "uvicorn, our entry point": (UVICORN, {"ENTRY_POINT": "1"}),
    "runserver": ("django runserver --noreload 127.0.0.1:{port}", {}),
}
VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
    violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
# A panel adds its scripts when it is opened. One that has loaded has run too.
SCRIPTS = """
document.addEventListener("load", ({target}) => {
    if (target.src) document.documentElement.dataset.ran += ` ${target.src}`;
}, true);
"""


@contextmanager
def started(command, folder, environment):
    """Run a server; leave nothing of it behind, and show what it said if that fails."""
    port = free_port()
    log = folder / "server.log"
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", *command.format(port=port).split()],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.browser.panel_settings",
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, inherited)]),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        address = f"http://127.0.0.1:{port}"

        def answers():
            assert process.poll() is None
            with suppress(OSError), urllib.request.urlopen(address) as response:
                return response.status == 200

        try:
            until(answers)
            yield address
        except BaseException:
            print(log.read_text(errors="replace")[-4000:])
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module", params=SERVERS)
def address(request, tmp_path_factory, browser):
    command, environment = SERVERS[request.param]
    with started(command, tmp_path_factory.mktemp("panel"), environment) as found:
        yield found


@pytest.fixture
def is_stock(address, request):
    """Whether the middleware runs as Django's ASGI handler has it run."""
    return request.node.callspec.params["address"] == "uvicorn"


@pytest.fixture
def is_asgi(request):
    return request.node.callspec.params["address"] != "runserver"


@pytest.fixture
def page(context):
    """A page that tells what the policy of the site forbids."""
    opened = context.new_page()
    opened.add_init_script(VIOLATIONS)
    opened.add_init_script(SCRIPTS)
    errors = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    assert opened.evaluate("violations") == []
    assert errors == []


def shown(page):
    """What the panel shows when it is opened."""
    page.locator("#djdt-HopsPanel a").click()
    panel = page.locator("#HopsPanel .djdt-scroll")
    panel.locator("h4").first.wait_for()
    return panel


@pytest.mark.parametrize("number", [1, 4, 7])
def test_hops_of_a_page(address, page, number, is_stock):
    response = page.goto(f"{address}/several/{number}/")
    hops = int(response.headers["x-hops"])
    said = f"{hops} hop{'' if hops == 1 else 's'} in "
    # Those of SecurityMiddleware, which has none with our entry point or under WSGI.
    of_middleware = hops - number
    assert of_middleware == (2 if is_stock else 0)
    assert page.locator("#djdt-HopsPanel small").inner_text().startswith(said)
    panel = shown(page)
    assert panel.locator("h4").first.inner_text().startswith(said)
    rows = panel.locator("tr.djdt-hops-hop")
    assert rows.count() == number
    assert panel.locator("tr.djdt-hops-middleware").count() == (of_middleware > 0)
    assert "tests/browser/panel_urls.py:" in rows.first.inner_text()
    assert "several" in rows.first.inner_text()
    repeated = panel.get_by_text("await run_sync(function)")
    assert repeated.count() == (number > 5)
    # One after the other on one axis.
    axis = panel.locator("tr.djdt-hops-hop svg").first.bounding_box()
    before = axis["x"] - 1
    for row in rows.all():
        waits, runs, *_ = [bar.bounding_box() for bar in row.locator("rect").all()]
        assert before <= waits["x"] <= runs["x"] + 0.1
        assert runs["width"] > 0
        assert runs["x"] + runs["width"] <= axis["x"] + axis["width"] + 1
        before = runs["x"]


def test_history_after_many_at_once(address, page, is_stock):
    numbers = [*range(TOGETHER // 2)]
    urls = [f"/together/{number}/" for number in numbers]
    urls += ["/together/"] * (TOGETHER - len(urls))

    def visit(url):
        with urllib.request.urlopen(address + url, timeout=60) as response:
            headers = response.headers
            return url, headers["djdt-request-id"], headers["X-Hops"]

    with ThreadPoolExecutor(TOGETHER) as pool:
        found = [*pool.map(visit, urls)]
    for number, (_, _, hops) in zip(numbers, found, strict=False):
        assert int(hops) == number + (2 if is_stock else 0)

    page.goto(address)
    page.locator("#djdt-HistoryPanel a").click()
    # Until its script has run, a click on a row leaves the page.
    page.locator('html[data-ran*="/history.js"]').wait_for(state="attached")
    for url, mark, hops in found:
        row = page.locator(f'tr[data-request-id="{mark}"]')
        assert url in row.inner_text()
        row.locator(".switchHistory").click()
        # Not the text alone: the request before may have as many hops, and the next
        # click would overtake the answer to this one.
        here = page.locator(f'#djDebug[data-request-id="{mark}"]')
        here.wait_for(state="attached")
        said = f"{hops} hop{'' if hops == '1' else 's'} in "
        page.locator("#djdt-HopsPanel small").get_by_text(said).wait_for()
    # The last one was sync, and the panel is loaded of that.
    panel = shown(page)
    assert panel.locator("h4").first.inner_text().startswith(said)


def test_server_timing_in_the_developer_tools(address, page, is_asgi):
    """The browser reads from the header what the server wrote, beside the panels'."""
    response = page.goto(f"{address}/several/3/")
    ours = ["hops", "wait", "run", "held", "loop"]
    sent = re.findall(
        r'(\w+)(?:;desc="(\d+)")?;dur=([\d.]+)', response.headers["server-timing"]
    )
    sent = {name: [desc, float(dur)] for name, desc, dur in sent if name in ours}
    assert [*sent] == ours
    seen = page.evaluate(
        """
        performance.getEntries()
            .find((entry) => entry.entryType === "navigation").serverTiming
            .map((timing) => [timing.name, timing.description, timing.duration])
        """
    )
    assert sent == {name: rest for name, *rest in seen if name in ours}
    # The header counts the two hops of the toolbar's own as well.
    of_toolbar = int(sent["hops"][0]) - int(response.headers["x-hops"])
    assert of_toolbar == (2 if is_asgi else 0)
    # Three hops that sleep for 2 ms each.
    assert sent["run"][1] >= 6


def test_what_blocks_the_event_loop(address, page, is_asgi):
    """The detector tells after the block: the panel has it when that is opened."""
    page.goto(f"{address}/blocks/")
    panel = shown(page)
    said = panel.locator("li.djdt-hops-blocked")
    if not is_asgi:
        # There the event loop serves that request alone.
        assert said.count() == 0
        return
    assert "blocks, tests/browser/panel_urls.py:" in said.inner_text()
    assert "calling time.sleep" in said.inner_text()
