"""A browser, where there is one."""

import importlib.util
import os
import shutil

import pytest

from tests.streams.serving import SINGLE, serving

HAS_PLAYWRIGHT = importlib.util.find_spec("playwright") is not None
# Only the tox environment `browser` has it.
collect_ignore_glob = [] if HAS_PLAYWRIGHT else ["test_*.py"]

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.browser.settings"}
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(autouse=True)
def let_tests_block(forbid_blocking):
    """The event loop of their thread is Playwright's."""
    forbid_blocking.allow("*")


@pytest.fixture(scope="session")
def browser():
    found = [*filter(None, map(shutil.which, NAMES))]
    if not found:
        pytest.skip("Browser: no Chromium on PATH: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    # Chromium has no sandbox for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found[0], args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def context(browser):
    """A browser without cookies."""
    made = browser.new_context()
    yield made
    made.close()


@pytest.fixture
def open_page(context):
    """Open the page of a server; at the end, say what failed in it."""
    errors = []

    def open_page(server):
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        return page

    yield open_page
    assert errors == []


@pytest.fixture(scope="session")
def server(tmp_path_factory, browser):
    with serving(SINGLE, tmp_path_factory.mktemp("browser"), **SETTINGS) as found:
        yield found
