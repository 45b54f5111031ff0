"""The limit: Django's sync handler called in a loop, without server or threads.

python -m benchmarks.limit /django_sync/books/ --seconds 2
"""

import argparse
import io
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import LoadError, Sample, sample_of

WARM_UP = 50


def run(url: str, seconds: float) -> tuple[Sample, float]:
    """
    Ask the WSGI handler for `url`, one request after the other.

    Return what was measured, and the processor time, in seconds.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    from benchmarks.wsgi import application

    place = urlsplit(url)
    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)

    def ask() -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": place.path,
            "QUERY_STRING": place.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        response = application(environ, start_response)
        try:
            b"".join(response)
        finally:
            # What a server does as well: it ends the request, and its connections.
            response.close()  # type: ignore[attr-defined]

    for _ in range(WARM_UP):
        ask()
    times = []
    begin_processor = time.process_time()
    begin = now = time.perf_counter()
    while now < begin + seconds:
        ask()
        times.append(-now + (now := time.perf_counter()))
    processor = time.process_time() - begin_processor
    if set(statuses) != {"200 OK"}:
        raise LoadError(f"{url} answered {sorted(set(statuses))}")
    return sample_of(times, now - begin), processor


def main() -> None:
    """Measure, and print the sample as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit")
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    sample, processor = run(options.url, options.seconds)
    json.dump([asdict(sample), processor], sys.stdout)


if __name__ == "__main__":
    main()
