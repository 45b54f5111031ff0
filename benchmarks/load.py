"""Put load on one URL, and measure: by `wrk` where it is installed, else by asyncio.

The asyncio client runs in a process of its own, as wrk does:

    python -m benchmarks.load http://127.0.0.1:8000/ --connections 16 --seconds 2
"""

import argparse
import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

__all__ = ["LoadError", "Sample", "generator", "measure", "sample_of"]

# After this many seconds more than it was to take, a measurement has failed.
GRACE = 20


class LoadError(Exception):
    """A server did not answer each request with 200, or not in time."""


@dataclass(frozen=True)
class Sample:
    """What one measurement found."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float


def sample_of(seconds: Sequence[float], elapsed: float) -> Sample:
    """Sum up the times that single requests took, of `elapsed` seconds in all."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    count = len(seconds)
    return Sample(count, count / elapsed, cuts[49] * 1000, cuts[98] * 1000)


def generator(wanted: str = "auto") -> str:
    """Return which generator is used, "wrk" or "asyncio"."""
    if wanted != "auto":
        return wanted
    return "wrk" if shutil.which("wrk") else "asyncio"


def measure(
    url: str, *, connections: int, seconds: int, kind: str, prefix: Sequence[str] = ()
) -> Sample:
    """
    Ask for `url` over and over on that many connections, for that many seconds.

    `kind` is "wrk" or "asyncio"; `prefix` goes before the command. Raise LoadError.
    """
    if kind == "wrk":
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        # Two seconds by default, which a busy machine may take for an answer.
        command += ["--timeout", "10s", url]
    else:
        command = [sys.executable, "-m", "benchmarks.load", url]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            [*prefix, *command],
            capture_output=True,
            text=True,
            timeout=seconds + GRACE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{url}: no end after {seconds + GRACE} s") from error
    if done.returncode:
        raise LoadError(f"{url}: {done.stderr or done.stdout}")
    if kind == "wrk":
        return _parse_wrk(url, done.stdout)
    return Sample(**json.loads(done.stdout))


_TO_MS = {"us": 0.001, "ms": 1, "s": 1000}


def _parse_wrk(url: str, output: str) -> Sample:
    # Such lines are there only if there is something to tell.
    if "Non-2xx" in output or "Socket errors" in output:
        raise LoadError(f"{url}: {output}")
    count = re.search(r"(\d+) requests in ", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", output, re.MULTILINE))
    if count is None or rate is None or len(latency) != 2 or not int(count[1]):
        raise LoadError(f"{url}: {output}")
    return Sample(
        int(count[1]),
        float(rate[1]),
        _milliseconds(latency["50"]),
        _milliseconds(latency["99"]),
    )


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    if found is None:
        raise LoadError(f"wrk gave a latency of {text!r}")
    return float(found[1]) * _TO_MS[found[2]]


async def _visitor(url: str, until: float, times: list[float]) -> None:
    """Ask one request after the other on one connection until the time is over."""
    import h11

    place = urlsplit(url)
    target = f"{place.path}?{place.query}" if place.query else place.path
    request = h11.Request(method="GET", target=target, headers=[("Host", place.netloc)])
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        connection = h11.Connection(h11.CLIENT)
        try:
            while time.perf_counter() < until:
                begin = time.perf_counter()
                writer.write(connection.send(request) or b"")
                connection.send(h11.EndOfMessage())
                while not isinstance(
                    event := connection.next_event(), h11.EndOfMessage
                ):
                    if event is h11.NEED_DATA:
                        connection.receive_data(await reader.read(65536))
                    elif isinstance(event, h11.Response) and event.status_code != 200:
                        raise LoadError(f"answered {event.status_code}")
                    elif isinstance(event, h11.ConnectionClosed):
                        raise LoadError("closed the connection")
                times.append(time.perf_counter() - begin)
                if connection.our_state is h11.MUST_CLOSE:
                    break
                connection.start_next_cycle()
        finally:
            writer.close()


async def _load(url: str, connections: int, seconds: float) -> Sample:
    times: list[float] = []
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as visitors:
        for _ in range(connections):
            visitors.create_task(_visitor(url, begin + seconds, times))
    return sample_of(times, time.perf_counter() - begin)


def main() -> None:
    """Measure with the client of our own, and print the sample as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    sample = asyncio.run(_load(options.url, options.connections, options.seconds))
    json.dump(asdict(sample), sys.stdout)


if __name__ == "__main__":
    main()
