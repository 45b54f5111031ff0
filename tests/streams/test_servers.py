"""
What becomes of a stream on each server.

One server runs each time, and all of them where STREAM_SERVERS=all.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from django_async_cbv.views.streaming import Event
from tests.streams.serving import (
    HTTP2,
    SERVERS,
    SINGLE,
    HTTP2Client,
    Server,
    serving,
)

pytestmark = pytest.mark.server

ALL = os.environ.get("STREAM_SERVERS") == "all"
NAMES = [*SERVERS] if ALL else [SINGLE]
STREAMS = int(os.environ.get("STREAMS", "20"))
# What a client may leave, with the word that the server then says.
LEFT = {
    "/idle/": "ended idle",
    "/busy/": "ended busy",
    "/flood/": "ended flood",
    "/export.csv": "ended export",
}
# What their generators send. The headers come before a generator begins, and one whose
# client leaves before that never begins, so its `finally` does not run.
SENT = {
    "/idle/": b"first",
    "/busy/": b"data: ",
    "/flood/": b"xxx",
    "/export.csv": b"row 0",
}
GZIP = "Accept-Encoding: gzip\r\n"


def measured(server: Server, what: str, seconds: float) -> None:
    """Print a number, which -s or -rP shows."""
    print(f"{server.name}: {what}: {seconds:.2f} s")


def soon(server: Server, found: Callable[[], bool]) -> float:
    """Wait for what a server does within 5 seconds; return how long it took."""
    seconds = server.until(found)
    assert seconds < 5
    return seconds


@pytest.fixture(scope="module", params=NAMES)
def server(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp("stream")) as found:
        yield found


@pytest.mark.parametrize("path", LEFT)
def test_a_client_that_goes(server, path):
    before = server.said(LEFT[path])
    client = server.get(path)
    client.read_until(SENT[path])
    client.leave()
    seconds = soon(server, lambda: server.said(LEFT[path]) > before)
    measured(server, f"gone from {path}", seconds)


def test_a_client_that_goes_from_a_long_poll(server):
    client = server.get("/poll/")
    soon(server, lambda: server.said("polls") > 0)
    client.leave()
    seconds = soon(server, lambda: server.said("ended poll") > 0)
    measured(server, "gone from /poll/", seconds)


def test_a_client_that_goes_while_the_generator_awaits_another_server(server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        with server.get(f"/upstream/?port={listener.getsockname()[1]}") as client:
            call, _ = listener.accept()
            with call:
                call.settimeout(5)
                call.recv(65536)
                call.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst\n")
                client.read_until(b"first")
                client.leave()
                start = time.monotonic()
                assert call.recv(1) == b""
    measured(server, "call closed", time.monotonic() - start)


def test_a_generator_that_never_awaits(server):
    """It does not keep others from their page."""
    before = server.said("ended flood")
    with server.get("/flood/") as client:
        stopped = threading.Event()

        def read():
            while not stopped.is_set():
                client.sock.recv(65536)

        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read)
            try:
                seconds = []
                for _ in range(10):
                    start = time.monotonic()
                    assert server.answers()
                    seconds.append(time.monotonic() - start)
            finally:
                stopped.set()
            reading.result()
    measured(server, "another page, the fastest of ten", min(seconds))
    measured(server, "another page, the slowest of ten", max(seconds))
    # Not the slowest: another process may have had the processor.
    assert min(seconds) < 0.1
    soon(server, lambda: server.said("ended flood") > before)


@pytest.mark.parametrize("path", ["/idle/", "/busy/"])
@pytest.mark.parametrize("leave", [HTTP2Client.reset, HTTP2Client.leave])
def test_a_client_that_goes_by_http_2(server, path, leave):
    if server.name not in HTTP2:
        pytest.skip("Server: it does not speak HTTP/2 without TLS.")
    before = server.said(LEFT[path])
    with HTTP2Client(server.port, path) as client:
        client.read_until(SENT[path])
        leave(client)
        seconds = soon(server, lambda: server.said(LEFT[path]) > before)
    measured(server, f"gone from {path} by HTTP/2", seconds)


@pytest.mark.parametrize("mark", ["1", "a b", "".join(map(chr, range(33, 127)))])
def test_an_id_that_comes_back(server, mark):
    """`Event` refuses what a server does not take in a header."""
    mark = Event(None, id=mark).id
    with server.get("/resumed/", f"Last-Event-ID: {mark}\r\n") as client:
        client.read_until(f"data: {json.dumps([mark])}\n\n".encode())


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


def test_a_client_that_does_not_read(server):
    if server.name == "daphne":
        pytest.skip("Server: it has no back-pressure, so nobody can tell who reads.")
    before = server.memory()
    with server.get("/unread/") as client:
        client.read_until(b"xxx")
        seconds = server.until(lambda: server.said("ended unread") > 0)
        assert seconds < 10
        grown = server.memory() - before
        measured(server, "not read", seconds)
        print(f"{server.name}: grown by {grown / 1e6:.1f} MB")
        assert grown < 5e6


def test_streams_are_compressed_one_part_at_a_time(server):
    before = server.said("ended idle")
    with server.get("/idle/", GZIP) as client:
        # More than the header of gzip, which comes before the first part.
        soon(server, lambda: "first" in client.read_compressed())
    seconds = soon(server, lambda: server.said("ended idle") > before)
    measured(server, "gone, gzip", seconds)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stops(name, number, tmp_path):
    if name == "gunicorn-uvicorn" and number == signal.SIGINT:
        pytest.skip("Server: it does not stop then, also without a stream")
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
