"""Measure servers and entry points in alternating rounds, page by page.

    python -m benchmarks serve [--only ours gthread] [--pages list] [--rounds 3]

Writes tables and samples to benchmarks/results/. The exit status is 1 where a ratio is
below what is expected: see `benchmarks/serve/contenders.py`.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.common import facts, process_environment, with_processor
from benchmarks.contenders import Contender, Page
from benchmarks.load import GET, Ask, LoadError, Sample
from benchmarks.serve import report
from benchmarks.serve.contenders import CONTENDERS, OURS, PAGES
from benchmarks.serve.harness import (
    Machine,
    add_options,
    alternate,
    answer_of,
    database_on,
    form_of,
    machine,
    servers,
)
from benchmarks.servers import Server, ServerError, pinned


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    options = _options(arguments)
    where = machine(options.load)
    status = 0
    for engine in options.databases:
        with database_on(engine, where.load_place) as settings:
            for age in options.ages:
                status |= _Run(options, where, engine, settings, age).measure()
    return status


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks serve", description=__doc__
    )
    add_options(parser, seconds=2)
    parser.add_argument(
        "--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS)
    )
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument(
        "--databases",
        nargs="+",
        choices=["sqlite3", "postgresql"],
        default=["sqlite3", "postgresql"],
    )
    parser.add_argument(
        "--ages", nargs="+", type=int, default=[0, 60], help="values of CONN_MAX_AGE"
    )
    parser.add_argument("--connections", type=int, default=16, help="of the load")
    parser.add_argument(
        "--threads", type=int, default=4, help="or workers, of each server"
    )
    options = parser.parse_args(arguments)
    options.only = [key for key in CONTENDERS if key in {*options.only, OURS}]
    return options


class _Run:
    """All pages on one database with one CONN_MAX_AGE."""

    def __init__(
        self,
        options: argparse.Namespace,
        where: Machine,
        engine: str,
        settings: dict[str, Any],
        age: int,
    ) -> None:
        self.options = options
        self.where = where
        self.settings = settings
        self.stem = f"serve-{engine}-age{age}"
        self.missing: dict[str, str] = {}
        self.samples: dict[str, dict[str, list[dict[str, float]]]] = {}
        self.results = {
            "environment": facts(engine),
            "options": {
                "age": age,
                "seconds": options.seconds,
                "connections": options.connections,
                "threads": options.threads,
                "load": where.load,
            },
            "missing": self.missing,
            "samples": self.samples,
        }
        self.age = age

    def measure(self) -> int:
        """Measure, write the tables after each page, return the exit status."""
        self._leave_out()
        names = [
            CONTENDERS[key].server
            for key in self.options.only
            if key not in self.missing and CONTENDERS[key].server != "none"
        ]
        with servers(
            self.where,
            names,
            self.settings,
            age=self.age,
            threads=self.options.threads,
        ) as self.servers:
            for key in self.options.pages:
                self._page(PAGES[key])
                lines, status = report.serve(self.results)
                report.keep(self.options.output, self.stem, self.results, lines)
        print("\n".join(lines), flush=True)
        return status

    def _leave_out(self) -> None:
        """Leave out the servers that can't be started here."""
        for key in self.options.only:
            contender = CONTENDERS[key]
            if not contender.optional:
                continue
            try:
                with servers(
                    self.where, [contender.server], self.settings, age=0, threads=1
                ):
                    pass
            except ServerError as error:
                self.missing[key] = str(error)

    def _page(self, page: Page) -> None:
        ask = GET
        if page.is_form:
            ask = form_of(self._url(CONTENDERS[OURS], page))
        keys = self._warm_up(page, ask)
        self.samples[page.key] = alternate(
            keys,
            self.options.rounds,
            lambda key: self._one(CONTENDERS[key], page, ask, self.options.seconds),
            lambda sample: f"{sample['processor_ms'] * 1000:.0f}",
            f"{self.stem} {page.key}, µs",
        )

    def _warm_up(self, page: Page, ask: Ask) -> list[str]:
        """See that all send the same page; return who does."""
        expected = None
        keys = []
        for key in self.options.only:
            contender = CONTENDERS[key]
            if key not in page.contenders or key in self.missing:
                continue
            try:
                if contender.server != "none":
                    answer = answer_of(self._url(contender, page), ask)
                    expected = answer if expected is None else expected
                    if answer != expected:
                        raise LoadError(f"{key} answered {answer}, not {expected}")
                self._one(contender, page, ask, 1)
            except (OSError, LoadError) as error:
                if not contender.optional:
                    raise
                self.missing[f"{key}, {page.key}"] = str(error)[:500]
                print(f"{key} is left out: {error}"[:500], flush=True)
            else:
                keys.append(key)
        return keys

    def _url(self, contender: Contender, page: Page) -> str:
        return self.servers[contender.server].url + contender.path(page)

    def _one(
        self, contender: Contender, page: Page, ask: Ask, seconds: int
    ) -> dict[str, float]:
        if contender.server == "none":
            return self._limit(contender.path(page), ask, seconds)
        server: Server = self.servers[contender.server]
        before = server.processor_seconds()
        sample = self.where.measure(
            self._url(contender, page),
            connections=self.options.connections,
            seconds=seconds,
            ask=ask,
        )
        return with_processor(sample, server.processor_seconds() - before)

    def _limit(self, path: str, ask: Ask, seconds: int) -> dict[str, float]:
        command = [sys.executable, "-m", "benchmarks.limit", path]
        command += ["--seconds", str(seconds), "--ask", json.dumps(asdict(ask))]
        environment = process_environment(
            self.settings, BENCHMARK_CONN_MAX_AGE=str(self.age)
        )
        with pinned(self.where.server_place):
            done = subprocess.run(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                timeout=seconds + 60,
                check=True,
            )
        sample, processor = json.loads(done.stdout)
        return with_processor(Sample(**sample), processor)
