"""Measure all contenders in alternating rounds; write table, plot and samples.

    python -m benchmarks [--postgres] [--rounds N] [--seconds N] ...

The exit status is 1 where our view is slower than the view by hand by more than the
tolerance. See README.md beside this file.

    python -m benchmarks {serve,limit,upstream,waits,release,idle,soak,trace} --help

Each of these measures the entry point for ASGI servers against other servers.

    python -m benchmarks channels --help

This one measures the fan-out of messages to thousands of subscribers.

    python -m benchmarks streams --help

This one measures the same by server-sent events, from a server to its clients.

    python -m benchmarks export --help

That measures exports against recipes of Django's own.

    python -m benchmarks blocking --help

And this one proves what the detector of blocked event loops finds, and what it costs.
"""

import argparse
import importlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import export, report
from benchmarks.common import (
    RESULTS,
    database,
    facts,
    order,
    prepared,
    process_environment,
    with_processor,
)
from benchmarks.contenders import BASELINE, CONTENDERS, OURS, PAGES, Contender, Page
from benchmarks.load import LoadError, Sample, generator, measure
from benchmarks.servers import Server, pinned, processors, running

# Each is a module of `benchmarks.serve`, and `export` of `benchmarks` itself.
COMMANDS = (
    *("serve", "limit", "upstream", "waits", "release", "idle", "soak", "trace"),
)
FAN_OUT = ("channels", "streams")


def main() -> int:
    """Do as the command line says; return the exit status."""
    if sys.argv[1:2] == ["export"]:
        return export.main(sys.argv[2:])
    if sys.argv[1:2] == ["blocking"]:
        return int(
            importlib.import_module("benchmarks.blocking.main").main(sys.argv[2:])
        )
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        command = importlib.import_module(f"benchmarks.serve.{sys.argv[1]}")
        status: int = command.main(sys.argv[2:])
        return status
    if sys.argv[1:2] and sys.argv[1] in FAN_OUT:
        command = importlib.import_module(f"benchmarks.{sys.argv[1]}")
        return int(command.main(sys.argv[2:]))
    options = _options()
    with database(url=options.database_url, postgres=options.postgres) as settings:
        environment = process_environment(
            settings, BENCHMARK_MIDDLEWARE=options.middleware
        )
        results = _measure_all(
            options, settings["ENGINE"].rpartition(".")[2], environment
        )
    options.output.mkdir(parents=True, exist_ok=True)
    return report.write(results, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--postgres",
        action="store_true",
        help="on PostgreSQL: the server that TEST_PG_HOST and the like name, or one "
        "that is started for this run",
    )
    where.add_argument(
        "--database-url", help="on this database, which is filled, so an empty one"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of one measurement")
    parser.add_argument("--connections", type=int, default=16, help="of the load")
    parser.add_argument("--threads", type=int, default=4, help="of Gunicorn's worker")
    parser.add_argument(
        "--wsgi-conn-max-age",
        type=int,
        default=0,
        help="CONN_MAX_AGE under Gunicorn and in the loop; under ASGI, where each "
        "request has its own thread, no connection can be kept",
    )
    parser.add_argument(
        "--middleware",
        choices=["startproject", "none"],
        default="startproject",
        help="without any, the view's own share of the time is largest",
    )
    parser.add_argument("--load", choices=["auto", "wrk", "asyncio"], default="auto")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS)
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=5,
        help="percent by which our view may be slower than the one by hand",
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.contenders = [
        key for key in CONTENDERS if key in {*options.contenders, OURS, BASELINE}
    ]
    return options


def _measure_all(
    options: argparse.Namespace, engine: str, environment: dict[str, str]
) -> dict[str, Any]:
    known = prepared(environment)
    missing: dict[str, str] = {
        key: reason
        for key, reason in known["missing"].items()
        if key in options.contenders
    }
    kind = generator(options.load)
    places = processors()
    servers_place, load_place = places or (None, None)
    lasting = {"BENCHMARK_CONN_MAX_AGE": str(options.wsgi_conn_max_age)}
    wsgi = environment | lasting
    with running(
        {"uvicorn": environment, "gunicorn": wsgi},
        path=CONTENDERS["sync_asgi"].path(PAGES["list"]),
        threads=options.threads,
        processor=servers_place,
    ) as servers:

        def one(contender: Contender, page: Page, seconds: int) -> dict[str, float]:
            path = contender.path(page)
            if contender.server == "none":
                with pinned(servers_place):
                    return _limit(path, seconds, wsgi)
            server = servers[contender.server]
            before = server.processor_seconds()
            with pinned(load_place):
                sample = measure(
                    server.url + path,
                    connections=options.connections,
                    seconds=seconds,
                    kind=kind,
                )
            return with_processor(sample, server.processor_seconds() - before)

        samples: dict[str, dict[str, list[dict[str, float]]]] = {}
        for key in options.pages:
            page = PAGES[key]
            keys = [
                name
                for name in options.contenders
                if name in page.contenders and name not in missing
            ]
            _warm_up(page, keys, missing, servers, one)
            keys = [name for name in keys if name not in missing]
            found = samples[key] = {name: [] for name in keys}
            for number in range(options.rounds):
                for name in order(keys, number):
                    found[name].append(one(CONTENDERS[name], page, options.seconds))
                _tell(page, number, found)
    return {
        "environment": facts(engine),
        "options": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "connections": options.connections,
            "gunicorn_threads": options.threads,
            "wsgi_conn_max_age": options.wsgi_conn_max_age,
            "middleware": options.middleware,
            "load": kind,
            "servers_on_one_processor": places is not None,
            "tolerance_percent": options.tolerance,
        },
        "pages": known["pages"],
        "missing": missing,
        "samples": samples,
    }


def _warm_up(
    page: Page,
    keys: list[str],
    missing: dict[str, str],
    servers: dict[str, Server],
    one: Callable[[Contender, Page, int], object],
) -> None:
    """See that the real servers send the same page, and put them under load once."""
    expected = None
    for key in sorted(keys, key=lambda key: key != BASELINE):
        contender = CONTENDERS[key]
        if contender.server == "none":
            continue
        try:
            url = servers[contender.server].url + contender.path(page)
            with urllib.request.urlopen(url, timeout=10) as response:
                body = response.read()
            expected = body if expected is None else expected
            if body != expected:
                raise LoadError(f"{url} is not the page that {BASELINE} serves")
            one(contender, page, 1)
        except (OSError, LoadError) as error:
            if not contender.optional:
                raise
            missing[key] = f"{type(error).__name__}: {error}"


def _limit(path: str, seconds: int, environment: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.limit", path, "--seconds", str(seconds)],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=seconds + 60,
        check=True,
    )
    sample, processor = json.loads(done.stdout)
    return with_processor(Sample(**sample), processor)


def _tell(page: Page, number: int, found: dict[str, list[dict[str, float]]]) -> None:
    rates = {key: samples[-1]["requests_per_second"] for key, samples in found.items()}
    line = "  ".join(f"{key} {rate:.0f}" for key, rate in rates.items())
    print(f"{page.key} {number + 1}: {line} requests/s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
