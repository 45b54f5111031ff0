"""What becomes of a stream when `runserver` starts anew."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from tests.streams.serving import RUNSERVER, serving, until

pytestmark = pytest.mark.server

STREAMS = int(os.environ.get("STREAMS", "20"))
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.streams.settings_runserver"}
URLS = """
from tests.streams.urls import said, urlpatterns

said("began")
"""


@pytest.mark.parametrize("entry_point", ["", "yes"])
def test_a_file_that_changes(tmp_path, entry_point):
    urls = tmp_path / "changing_urls.py"
    urls.write_text(URLS)
    with (
        serving(RUNSERVER, tmp_path, ENTRY_POINT=entry_point, **SETTINGS) as server,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.get("/idle/")) for _ in range(STREAMS)]
        for client in clients:
            client.read_until(b"first")
        stack.enter_context(server.get("/poll/"))
        until(lambda: server.said("polls") == 1)

        def ends():
            # What changes before the reloader first looks, it does not see.
            urls.touch()
            return server.said("ended idle") > 0

        print(f"changed: {until(ends):.2f} s")
        # The process that serves begins when the one before it has gone.
        seconds = server.until(lambda: server.said("began") == 2 and server.answers())
        print(f"served again: {seconds:.2f} s")
        assert server.said("ended idle") == STREAMS
        assert server.said("ended poll") == 1
        for client in clients:
            client.read_to_the_end()
            # The last part of the stream, and of the response.
            assert client.received.count(b"retry: ") == 2
            assert client.is_complete
        assert seconds < 5
