"""Put load on one URL, and measure: by `wrk` where it is installed, else by asyncio.

The asyncio client runs in a process of its own, as wrk does:

    python -m benchmarks.load http://127.0.0.1:8000/ --connections 16 --seconds 2

It reads the length of an answer, and nothing else, so that one processor for the load
is enough for one processor of a server. `Sample.generator_share` tells whether it was.
"""

import argparse
import asyncio
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

__all__ = ["GET", "Ask", "LoadError", "Sample", "generator", "measure", "sample_of"]

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
    # How much of one processor the generator took.
    generator_share: float = 0.0


@dataclass(frozen=True)
class Ask:
    """What each request is, beside its URL."""

    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def raw(self, url: str) -> bytes:
        """Return the request as it goes over the wire."""
        place = urlsplit(url)
        target = f"{place.path}?{place.query}" if place.query else place.path
        headers = {"Host": place.netloc, **self.headers}
        if self.body:
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()

    def script(self) -> str:
        """Return the request as wrk's script has it."""
        lines = [f'wrk.method = "{self.method}"', f"wrk.body = [==[{self.body}]==]"]
        lines += [
            f'wrk.headers["{name}"] = [==[{value}]==]'
            for name, value in self.headers.items()
        ]
        return "\n".join(lines)


GET = Ask()


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
    url: str,
    *,
    connections: int,
    seconds: int,
    kind: str,
    prefix: Sequence[str] = (),
    ask: Ask = GET,
) -> Sample:
    """
    Ask for `url` over and over on that many connections, for that many seconds.

    `kind` is "wrk" or "asyncio"; `prefix` goes before the command. Raise LoadError.
    """
    with _command(url, connections, seconds, kind, ask) as command:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
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
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise LoadError(f"{url}: {done.stderr or done.stdout}")
    if kind == "wrk":
        sample = _parse_wrk(url, done.stdout)
    else:
        sample = Sample(**json.loads(done.stdout))
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return replace(sample, generator_share=used / seconds)


@contextmanager
def _command(
    url: str, connections: int, seconds: int, kind: str, ask: Ask
) -> Iterator[list[str]]:
    if kind != "wrk":
        yield [
            *(sys.executable, "-m", "benchmarks.load", url),
            *("--connections", str(connections), "--seconds", str(seconds)),
            *("--ask", json.dumps(asdict(ask))),
        ]
        return
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    # Two seconds by default, which a busy machine may take for an answer.
    command += ["--timeout", "10s", url]
    if ask == GET:
        yield command
        return
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(ask.script())
        script.flush()
        yield [*command, "--script", script.name]


_TO_MS = {"us": 0.001, "ms": 1, "s": 1000}


def _parse_wrk(url: str, output: str) -> Sample:
    # Such lines are there only if there is something to tell.
    if "Non-2xx" in output or "Socket errors" in output:
        raise LoadError(f"{url}: {output}")
    count = re.search(r"(\d+) requests in ", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)\s*$", output, re.MULTILINE))
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


class _Visitor(asyncio.Protocol):
    """Asks one request after the other on one connection until the time is over."""

    def __init__(self, request: bytes, until: float, times: list[float]) -> None:
        self.request = request
        self.until = until
        self.times = times
        # True: the server has closed the connection between two requests.
        self.over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    # Not BaseTransport: it can't write. uvloop's is no subclass of asyncio's.
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.buffer = b""
        self.size = -1
        self.begin = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if self.size < 0 and not self._read_head():
            return
        if self.size:
            if len(self.buffer) < self.size:
                return
        elif not self.buffer.endswith(b"0\r\n\r\n"):
            return
        now = time.perf_counter()
        self.times.append(now - self.begin)
        if now >= self.until:
            self._finish(None)
        else:
            self._ask()

    def _read_head(self) -> bool:
        """Learn how long the answer is; 0: it comes in chunks."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if self.buffer[9:10] not in b"23":
            self._finish(LoadError(f"answered {self.buffer[:500]!r}"))
            return False
        head = self.buffer[: end + 2].lower()
        place = head.find(b"\r\ncontent-length:")
        if place >= 0:
            place += len(b"\r\ncontent-length:")
            length = int(head[place : head.index(b"\r\n", place)])
            self.size = end + 4 + length
        else:
            self.size = 0
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if self.over.done():
            return
        if self.buffer:
            self._finish(LoadError(f"lost the connection: {error}"))
        else:
            self.over.set_result(True)

    def _finish(self, error: LoadError | None) -> None:
        if not self.over.done():
            if error is None:
                self.over.set_result(False)
            else:
                self.over.set_exception(error)
        self.transport.close()


async def _load(url: str, ask: Ask, connections: int, seconds: float) -> Sample:
    loop = asyncio.get_running_loop()
    place = urlsplit(url)
    request = ask.raw(url)
    times: list[float] = []
    begin = time.perf_counter()
    until = begin + seconds

    async def visit() -> None:
        is_closed = True
        while is_closed and time.perf_counter() < until:
            _, visitor = await loop.create_connection(
                lambda: _Visitor(request, until, times), place.hostname, place.port
            )
            is_closed = await visitor.over

    async with asyncio.TaskGroup() as visitors:
        for _ in range(connections):
            visitors.create_task(visit())
    return sample_of(times, time.perf_counter() - begin)


def main() -> None:
    """Measure with the client of our own, and print the sample as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--ask", type=json.loads, default={}, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = _load(options.url, Ask(**options.ask), options.connections, options.seconds)
    try:
        import uvloop
    except ImportError:
        sample = asyncio.run(work)
    else:
        sample = uvloop.run(work)
    json.dump(asdict(sample), sys.stdout)


if __name__ == "__main__":
    main()
