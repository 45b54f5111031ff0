"""The limit: Django's sync handler called in a loop, without server or threads.

python -m benchmarks.limit /django_sync/books/ --seconds 2
"""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import GET, Ask, LoadError, Sample, sample_of

WARM_UP = 50


def visit(url: str, ask: Ask = GET) -> Callable[[], str]:
    """Return a function that sends one request to the WSGI handler, for its status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    from benchmarks.wsgi import application

    place = urlsplit(url)
    body = ask.body.encode()
    given: dict[str, Any] = {
        "REQUEST_METHOD": ask.method,
        "PATH_INFO": place.path,
        "QUERY_STRING": place.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in ask.headers.items():
        key = name.upper().replace("-", "_")
        given[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    found = ""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        nonlocal found
        found = status

    def one() -> str:
        response = application(
            {**given, "wsgi.input": io.BytesIO(body)}, start_response
        )
        try:
            b"".join(response)
        finally:
            # What a server does as well: it ends the request, and its connections.
            response.close()  # type: ignore[attr-defined]
        return found

    return one


def run(url: str, seconds: float, ask: Ask = GET) -> tuple[Sample, float]:
    """
    Send the WSGI handler one request for `url` after the other.

    Return what was measured, and the processor time, in seconds.
    """
    one = visit(url, ask)
    statuses = {one() for _ in range(WARM_UP)}
    times = []
    begin_processor = time.process_time()
    begin = now = time.perf_counter()
    while now < begin + seconds:
        statuses.add(one())
        times.append(-now + (now := time.perf_counter()))
    processor = time.process_time() - begin_processor
    if not statuses <= {"200 OK", "302 Found"}:
        raise LoadError(f"{url} answered {sorted(statuses)}")
    return sample_of(times, now - begin), processor


def main() -> None:
    """Measure, and print the sample as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit")
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--ask", type=json.loads, default={}, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sample, processor = run(options.url, options.seconds, Ask(**options.ask))
    json.dump([asdict(sample), processor], sys.stdout)


if __name__ == "__main__":
    main()
