"""
What becomes of a stream on each server.

One server runs each time, and all of them where STREAM_SERVERS=all.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack

import pytest

from tests.streams.serving import SERVERS, SINGLE, Server, serving, until

pytestmark = pytest.mark.server

ALL = os.environ.get("STREAM_SERVERS") == "all"
NAMES = [*SERVERS] if ALL else [SINGLE]
STREAMS = int(os.environ.get("STREAMS", "20"))
# What a client may leave, with the word that the server then says.
LEFT = {"/idle/": "ended idle", "/busy/": "ended busy", "/flood/": "ended flood"}
GZIP = "Accept-Encoding: gzip\r\n"


def measured(server: Server, what: str, seconds: float) -> None:
    """Print a number, which -s or -rP shows."""
    print(f"{server.name}: {what}: {seconds:.2f} s")


@pytest.fixture(scope="module", params=NAMES)
def server(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp("stream")) as found:
        yield found


@pytest.mark.parametrize("path", LEFT)
def test_a_client_that_goes(server, path):
    before = server.said(LEFT[path])
    client = server.get(path)
    client.read_until(b"\r\n\r\n")
    client.leave()
    seconds = until(lambda: server.said(LEFT[path]) > before, 5)
    measured(server, f"gone from {path}", seconds)


def test_a_client_that_goes_from_a_long_poll(server):
    client = server.get("/poll/")
    until(lambda: server.said("polls") > 0, 5)
    client.leave()
    seconds = until(lambda: server.said("ended poll") > 0, 5)
    measured(server, "gone from /poll/", seconds)


def test_a_generator_that_fails(server):
    with server.get("/failing/") as client:
        start = time.monotonic()
        received = client.read_to_the_end()
        measured(server, "failed", time.monotonic() - start)
    assert b"event: stream-error" in received
    assert b"retry: 10000" in received
    assert client.is_complete


def test_a_response_that_is_cut(server):
    with server.get("/cut/") as client:
        start = time.monotonic()
        received = client.read_to_the_end()
        measured(server, "cut", time.monotonic() - start)
    assert b"first" in received
    assert client.is_complete == (server.name == "daphne")
    assert (b"not complete" in received) == (server.name == "daphne")


def test_an_export_that_fails(server):
    """The client sees that rows are missing: by a last row, or as it is cut off."""
    hides = server.name == "daphne"
    for path, last, is_complete in (
        ("/half.csv", b"ERROR: The export failed" if hides else b"row 2", hides),
        ("/half.ndjson", b'{"error":"The export failed', True),
    ):
        with server.get(path) as client:
            start = time.monotonic()
            received = client.read_to_the_end()
            measured(server, f"failed {path}", time.monotonic() - start)
        assert last in received
        assert client.is_complete == is_complete


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stops(name, number, tmp_path):
    if name == "gunicorn-uvicorn" and number == signal.SIGINT:
        pytest.skip("Gunicorn with Uvicorn workers does not stop then, with no stream.")
    with serving(name, tmp_path) as server, ExitStack() as stack:
        clients = [stack.enter_context(server.get("/idle/")) for _ in range(STREAMS)]
        for client in clients:
            client.read_until(b"first")
        seconds = server.stop(number)
        measured(server, f"{number.name} with {STREAMS}", seconds)
        assert server.said("ended idle") == STREAMS
        whole = 0
        for client in clients:
            client.read_to_the_end()
            whole += client.is_complete
        print(f"{name}: {number.name}: {whole} last chunks")
        assert seconds < 5
        if name != "daphne":
            assert whole == STREAMS


# Daphne has no back-pressure: nobody can tell who reads.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "daphne"])
def test_a_client_that_does_not_read(name, tmp_path):
    with serving(name, tmp_path, SEND_TIMEOUT="2") as server:
        before = server.memory()
        with server.get("/flood/") as client:
            client.read_until(b"\r\n\r\n")
            seconds = until(lambda: server.said("ended flood") > 0, 10)
            grown = server.memory() - before
            measured(server, "not read", seconds)
            print(f"{name}: grown by {grown / 1e6:.1f} MB")
            assert grown < 5e6


@pytest.mark.parametrize("name", NAMES)
def test_streams_are_compressed_one_part_at_a_time(name, tmp_path):
    with serving(name, tmp_path, GZIP="1") as server:
        with server.get("/idle/", GZIP) as client:
            # More than the header of gzip, which comes before the first part.
            until(lambda: "first" in client.read_compressed(), 5)
        measured(server, "gone, gzip", until(lambda: server.said("ended idle") > 0, 5))
