"""One page stays open while its server goes and comes back as another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.brokers import RedisUnavailable, own_redis
from tests.browser.conftest import SETTINGS
from tests.streams.serving import ROOT, free_port, serving

pytestmark = [pytest.mark.server, pytest.mark.postgres]

SERVERS = ["uvicorn-h11", "daphne", "hypercorn", "granian"]
CHANNELS = ["redis", "postgres"]
SECONDS = 30


@contextmanager
def publishing(environment):
    """Run the other process that publishes."""
    command = [sys.executable, "-m", "tests.browser.publisher"]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join([str(ROOT), *filter(None, inherited)])
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def environment(postgres):
    try:
        with own_redis() as (_, url), postgres.database("browser") as database:
            databases = json.dumps({"default": database})
            yield {
                **SETTINGS,
                "BROWSER_REDIS": url,
                "BROWSER_DATABASES": databases,
            }
    except RedisUnavailable as reason:
        pytest.skip(f"Redis: {reason}")


def wait(page, condition):
    """Wait until it holds for what the page watches of each channel."""
    page.wait_for_function(
        f"Object.values(watched).every((one) => {condition})", timeout=SECONDS * 1000
    )


def test_each_event_once(open_page, environment, tmp_path):
    page, port = None, free_port()
    received = 0
    with publishing(environment) as publisher:
        for visit, name in enumerate([*SERVERS, SERVERS[0]]):
            with serving(name, tmp_path, port=port, **environment) as server:
                if page is None:
                    page = open_page(server)
                    for channel in CHANNELS:
                        page.evaluate(f"watch('{channel}', '/{channel}/'), 0")
                wait(page, f"one.opened.length > {visit}")
                if not visit:
                    publisher.stdin.write("go\n")
                    publisher.stdin.flush()
                wait(page, f"one.events.length >= {received} + 50")
                if visit < len(SERVERS):
                    # In the middle of the numbers.
                    seconds = server.stop(signal.SIGTERM)
                    print(f"{name}: stopped in {seconds:.2f} s")
                    received = max(lengths(page))
                    continue
                out, _ = publisher.communicate(timeout=SECONDS)
                published = int(out)
                wait(page, "one.events.at(-1)[0] === 'end'")
    for channel in CHANNELS:
        events = page.evaluate(f"watched.{channel}.events.map((event) => event[0])")
        assert events == [*map(str, range(published)), "end"]
    opened = page.evaluate("Object.values(watched).map((one) => one.opened.length)")
    print(f"{published} events on each channel, opened {opened}")


def lengths(page):
    return page.evaluate("Object.values(watched).map((one) => one.events.length)")
