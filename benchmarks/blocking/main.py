"""Prove what the detector finds, and measure what it costs.

    python -m benchmarks blocking [--servers uvicorn-asyncio ...] [--trials 20]
    python -m benchmarks blocking --innocent [--minutes 1]
    python -m benchmarks blocking --cost [--blocks 60]

Without an option each way to block the event loop is tried, in a hook, a handler, a
middleware and the validation of a form. `--innocent` makes the event loop late by what
is no fault of a view: nothing may be accused. `--cost` is the processor time of an
empty page with the detector and without, in turn, and what it costs when idle.
The exit status is 1 where something is missed, accused, or too expensive.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from inspect import getsourcelines
from pathlib import Path
from typing import Any

from benchmarks.overhead import block
from benchmarks.servers import ROOT, free_port

PLACES = {
    "hook": ("Hook", "Hook.aget_context_data"),
    "handler": ("Method", "Method.get"),
    "middleware": ("Middleware", "Blocks.__call__"),
    "validation": ("Validation", "Form.aclean"),
}
LATE = ("idle", "1 thread", "4", "16", "40 threads", "garbage", "SIGSTOP")
KINDS = ("sleep", "compute", "c-call", "c-call-without-gil", "query")
_UVLOOP = (
    "import asyncio, uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy()); "
    "from daphne.cli import CommandLineInterface as C; C.entrypoint()"
)
_DAPHNE = ["-b", "127.0.0.1", "-p", "{port}", "-v", "0", "{app}"]
SERVERS: dict[str, list[str]] = {
    f"uvicorn-{loop}": [
        *("-m", "uvicorn", "{app}", "--port", "{port}", "--loop", loop),
        *("--no-access-log", "--log-level", "warning"),
    ]
    for loop in ("asyncio", "uvloop")
}
SERVERS |= {
    "daphne-asyncio": ["-m", "daphne", *_DAPHNE],
    "daphne-uvloop": ["-c", _UVLOOP, *_DAPHNE],
}
SERVERS |= {
    f"hypercorn-{loop}": [
        *("-m", "hypercorn", "{app}", "-b", "127.0.0.1:{port}", "-k", loop)
    ]
    for loop in ("asyncio", "uvloop")
}
SERVERS |= {
    f"granian-{loop}": [
        *("-m", "granian", "{app}", "--interface", "asgi", "--port", "{port}"),
        *("--loop", loop, "--no-access-log", "--log-level", "warning"),
    ]
    for loop in ("asyncio", "uvloop")
}
# One more on Django's application, with the middleware.
SERVERS["uvicorn-asyncio-stock"] = SERVERS["uvicorn-asyncio"]


def main(arguments: list[str]) -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks blocking", description=__doc__
    )
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--trials", type=int, default=20, help="of each kind and place")
    parser.add_argument("--threshold", type=float, default=0.1)
    parser.add_argument("--innocent", action="store_true")
    parser.add_argument("--late", nargs="+", choices=LATE, help="the innocents")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each innocent")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--requests", type=int, default=1000, help="in one block")
    parser.add_argument("--blocks", type=int, default=30, help="with and without each")
    parser.add_argument("--idle", type=float, default=20, help="seconds")
    parser.add_argument("--tolerance", type=float, default=5, help="percent")
    options = parser.parse_args(arguments)
    if options.cost:
        return _cost(options)
    status = 0
    for name in options.servers:
        with _serving(name, options.threshold) as site:
            tried = _innocent if options.innocent else _guilty
            status |= tried(site, options)
    return status


class _Site:
    """A server that runs, and what its detector says."""

    def __init__(self, name: str, port: int, log: Path, process: Any) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.process = process
        self._log = log
        self._read = 0

    def ask(self, path: str, data: bytes | None = None, *, timeout: float = 120) -> int:
        with urllib.request.urlopen(self.url + path, data, timeout) as response:
            response.read()
            return int(response.status)

    def said(self) -> list[dict[str, Any]]:
        """What was logged since the last call."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        new, self._read = lines[self._read :], len(lines)
        return [json.loads(line) for line in new]

    def warned(self, threshold: float) -> tuple[list[dict[str, Any]], list[str]]:
        """What was accused, once nothing more comes; and all that was said."""
        said: list[dict[str, Any]] = []
        deadline = time.monotonic() + 2
        warned: list[dict[str, Any]] = []
        while not warned and time.monotonic() < deadline:
            time.sleep(1.5 * threshold)
            said += self.said()
            warned = [one for one in said if one["level"] == "WARNING"]
        return warned, [one["text"] for one in said]

    def processes(self) -> list[int]:
        """The server's process and its workers."""
        found = [self.process.pid]
        for one in found:
            with suppress(OSError):
                children = Path(f"/proc/{one}/task/{one}/children").read_text()
                found += map(int, children.split())
        return found


@contextmanager
def _serving(name: str, threshold: float) -> Iterator[_Site]:
    port = free_port()
    is_stock = name.endswith("-stock")
    application = "stock" if is_stock else "ours"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = os.environ | {
            "BLOCKING_LOG": str(log),
            "BLOCKING_THRESHOLD": str(threshold),
            "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
            "DJANGO_SETTINGS_MODULE": "benchmarks.blocking.settings",
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
            ),
        }
        if is_stock:
            middleware = ["django_async_cbv.blocking.BlockingMiddleware"]
            environment["BLOCKING_MIDDLEWARE"] = json.dumps(middleware)
        command = [
            part.format(app=f"benchmarks.blocking.{application}:application", port=port)
            if "{" in part
            else part
            for part in SERVERS[name]
        ]
        with subprocess.Popen([sys.executable, *command], env=environment) as process:
            site = _Site(name, port, log, process)
            try:
                _wait(site)
                site.ask("/warm-up/")
                site.ask("/validation/sleep/", b"kind=sleep")
                time.sleep(2)
                site.said()
                yield site
            finally:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def _wait(site: _Site) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            site.ask("/plain/")
        except OSError:
            if time.monotonic() > deadline or site.process.poll() is not None:
                raise
            time.sleep(0.1)
        else:
            return


def _guilty(site: _Site, options: argparse.Namespace) -> int:
    from benchmarks.blocking import calls

    print(f"\n{site.name}, {options.threshold} s, found of {options.trials}\n")
    print(f"| | {' | '.join(KINDS)} |")
    print(f"|---|{'--:|' * len(KINDS)}")
    status = 0
    for place, (view, hook) in PLACES.items():
        cells = []
        for kind in KINDS:
            lines, first = getsourcelines(calls.KINDS[kind])
            wrong: Counter[str] = Counter()
            right = 0
            for _ in range(options.trials):
                data = f"kind={kind}".encode() if place == "validation" else None
                site.ask(f"/{place}/{kind}/", data)
                warned, texts = site.warned(options.threshold)
                if len(warned) == 1 and (
                    warned[0]["view"] == f"benchmarks.blocking.site.{view}"
                    and warned[0]["hook"] == hook
                    and warned[0]["file"] == calls.__file__
                    and first <= warned[0]["line"] < first + len(lines)
                ):
                    right += 1
                else:
                    wrong[" / ".join(texts) or "nothing"] += 1
            cells.append(f"{right}")
            status |= right < options.trials
            for text, times in wrong.items():
                print(f"{place}, {kind}: {times} times {text}", file=sys.stderr)
        print(f"| {place} | {' | '.join(cells)} |", flush=True)
    return status


def _innocent(site: _Site, options: argparse.Namespace) -> int:
    print(f"\n{site.name}, {options.threshold} s, {options.minutes:g} minutes each\n")
    print("| | accused | late for another reason |")
    print("|---|--:|---|")
    status = 0
    for name in options.late or LATE:
        number = name.partition(" ")[0]
        site.ask(f"/threads/{number if number.isdecimal() else 0}/")
        _make_late(site, name, options.minutes * 60)
        site.ask("/threads/0/")
        time.sleep(1)
        said = site.said()
        kinds = Counter(one["kind"] for one in said)
        accused = kinds.pop("blocked", 0)
        status |= bool(accused)
        others = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
        print(f"| {name} | {accused} | {others} |", flush=True)
        for one in said:
            if one["kind"] == "blocked":
                print(one["text"], file=sys.stderr)
    return status


def _make_late(site: _Site, name: str, seconds: float) -> None:
    """Ask for pages that are no trouble, while something else is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if name == "SIGSTOP":
            stopped = site.processes()
            for one in stopped:
                os.kill(one, signal.SIGSTOP)
            time.sleep(0.5)
            for one in stopped:
                os.kill(one, signal.SIGCONT)
        path = "/garbage/" if name == "garbage" else "/plain/"
        if name != "idle":
            _ask_at_once(site, path, 1 if name == "garbage" else 8)
        time.sleep(0.05)


def _ask_at_once(site: _Site, path: str, number: int) -> None:
    threads = [threading.Thread(target=site.ask, args=(path,)) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- What it costs ---------------------------------------------------------------------


def _cost(options: argparse.Namespace) -> int:
    os.environ["BLOCKING_LOG"] = os.devnull
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.blocking.settings"
    return asyncio.run(_measure(options))


async def _measure(options: argparse.Namespace) -> int:
    from django.conf import settings

    from benchmarks.blocking.ours import application as without
    from django_async_cbv.asgi import get_asgi_application

    settings.ASYNC_CBV_BLOCKING = {"threshold": 0.025}
    watched = get_asgi_application()
    loop = asyncio.get_running_loop()
    found: dict[bool, list[float]] = {True: [], False: []}
    for number in range(-1, options.blocks):
        for is_on in (True, False)[:: -1 if number % 2 else 1]:
            application = watched if is_on else without
            cost, _ = await block(application, "/plain/", options.requests)
            watched._detector.end(loop)
            if number >= 0:
                found[is_on].append(cost)
    ratios = [one / off for one, off in zip(found[True], found[False], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print("| | without, µs | with, µs | ratio (quartiles) |")
    print("|---|--:|--:|--:|")
    print(
        f"| an empty page, detector at 25 ms | {statistics.median(found[False]):.0f} "
        f"| {statistics.median(found[True]):.0f} "
        f"| {middle:.3f} ({low:.3f}-{high:.3f}) |",
        flush=True,
    )
    idle = await _idle(options.idle)
    return int(middle > 1 + options.tolerance / 100 or idle > 1)


async def _idle(seconds: float) -> float:
    """Print the percents of a core that an idle loop costs; return those at 25 ms."""
    from django_async_cbv.blocking import watch_loop

    found = {}
    for threshold in (None, 0.1, 0.025):
        stop = watch_loop(threshold=threshold) if threshold else None
        begin, used = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        percent = 100 * (time.process_time() - used) / (time.monotonic() - begin)
        found[threshold] = percent
        print(f"idle, threshold {threshold}: {percent:.2f} % of a core", flush=True)
        if stop is not None:
            stop()
    return found[0.025] - found[None]
