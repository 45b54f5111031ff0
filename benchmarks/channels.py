"""Measure one process with thousands of subscribers, and another that publishes.

    python -m benchmarks channels [--subscribers 5000] [--messages 20] [--every 5]

Each subscriber is a task that reads a channel, as a streaming view does, without the
view. It prints how long a message takes from `publish()` to the last subscribers, how
many deliveries one process makes in a second when messages come without a pause, and
what a subscriber costs in memory. The exit status is 1 if a message is lost, or the
99th percentile is above three seconds.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil

from benchmarks.common import process_environment

__all__ = ["KINDS", "TOPIC", "broker", "channel", "main", "publisher"]

KINDS = ("redis", "postgres")
TOPIC = "prices"
# Seconds.
LONGEST, PATIENCE = 3.0, 600


def main(arguments: list[str]) -> int:
    """Measure as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks channels")
    parser.add_argument("--subscribers", type=int, default=5000)
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--every", type=float, default=5, help="seconds")
    parser.add_argument("--burst", type=int, default=20, help="without a pause")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args(arguments)
    return max(_measured_apart(kind, options) for kind in options.only)


@contextmanager
def broker(kind: str) -> Iterator[dict[str, str]]:
    """Run Redis or PostgreSQL; yield the environment of all that use the channel."""
    with ExitStack() as stack:
        more = {"BENCHMARK_CHANNELS": kind}
        if kind == "redis":
            from tests.brokers import own_redis

            _, more["BENCHMARK_REDIS"] = stack.enter_context(own_redis())
            database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        else:
            from tests.postgres import server

            database = stack.enter_context(server().database("channels"))
        environment = process_environment(database, **more)
        if kind == "postgres":
            subprocess.run(
                [sys.executable, "-m", "django", "migrate", "async_cbv_channels"],
                env=environment,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        yield environment


def _measured_apart(kind: str, options: argparse.Namespace) -> int:
    """Measure in a process of its own, so that nothing of another run is in memory."""
    with broker(kind) as environment:
        command = [sys.executable, "-m", "benchmarks.channels"]
        settings = json.dumps(vars(options))
        return subprocess.run(
            [*command, "subscribe", settings], env=environment, check=False
        ).returncode


def publisher(number: int, every: float) -> list[str]:
    """Return the command that publishes, when it reads a line."""
    command = [sys.executable, "-m", "benchmarks.channels", "publish"]
    return [*command, str(number), str(every)]


def channel() -> Any:
    """Return the channel that the environment names, for a project that is set up."""
    if os.environ["BENCHMARK_CHANNELS"] == "redis":
        from django_async_cbv.channels.redis import RedisChannel

        return RedisChannel(os.environ["BENCHMARK_REDIS"])
    from django_async_cbv.channels.postgres import PostgresChannel

    return PostgresChannel()


def _set_up() -> Any:
    import django

    django.setup()
    return channel()


def _publish(number: int, every: float) -> None:
    """Publish in a process of its own; each message carries the time."""
    news = _set_up()
    # The connection is open before the first message.
    news.publish("nobody", 0)
    sys.stdin.readline()
    begin = time.monotonic()
    for n in range(number):
        time.sleep(max(0.0, begin + n * every - time.monotonic()))
        news.publish(TOPIC, time.time())


class _Run:
    def __init__(self, channel: Any, subscribers: int) -> None:
        self._channel = channel
        self._number = subscribers
        self._missing = 0
        self._all_received = asyncio.Event()
        self.delays: list[float] = []

    async def subscribe(self) -> None:
        async with self._channel.subscribe(TOPIC) as messages:
            self._ready()
            async for message in messages:
                self.delays.append(time.time() - message.data)
                self._missing -= 1
                if not self._missing:
                    self._all_received.set()

    def _ready(self) -> None:
        self._missing += 1
        if self._missing == self._number:
            self._all_received.set()

    async def begin(self) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.subscribe()) for _ in range(self._number)]
        await self._all_received.wait()
        return tasks

    async def publish(self, number: int, every: float) -> float:
        """Have another process publish; return the seconds until all is received."""
        self.delays = []
        self._missing = number * self._number
        self._all_received.clear()
        other = await asyncio.create_subprocess_exec(
            *publisher(number, every), stdin=subprocess.PIPE
        )
        assert other.stdin is not None
        begun = time.perf_counter()
        other.stdin.write(b"go\n")
        async with asyncio.timeout(PATIENCE):
            await other.wait()
            await self._all_received.wait()
        return time.perf_counter() - begun


async def _measure(options: dict[str, Any]) -> int:
    process = psutil.Process()
    news = _set_up()
    before, threads = process.memory_info().rss, process.num_threads()
    run = _Run(news, options["subscribers"])
    tasks = await run.begin()
    kilobytes = (process.memory_info().rss - before) / 1024 / options["subscribers"]
    per_subscriber = (len(asyncio.all_tasks()) - 2) / options["subscribers"]
    more_threads = process.num_threads() - threads
    await run.publish(options["messages"], options["every"])
    delays = statistics.quantiles(run.delays, n=100)
    worst = max(run.delays)
    await run.publish(options["burst"], 0)
    # From the first message that arrives: a process takes its time to start.
    seconds = max(run.delays)
    deliveries = options["burst"] * options["subscribers"] / seconds
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    left = len(asyncio.all_tasks()) - 1
    print(
        f"{os.environ['BENCHMARK_CHANNELS']}: {options['subscribers']} subscribers, "
        f"{options['messages']} messages, one every {options['every']:g} s\n"
        f"  from publish to receipt: median {delays[49]:.3f} s, "
        f"p99 {delays[98]:.3f} s, longest {worst:.3f} s\n"
        f"  a burst of {options['burst']}: {deliveries:,.0f} deliveries a second\n"
        f"  a subscriber: {kilobytes:.1f} kB, {per_subscriber:.3g} tasks\n"
        f"  more threads: {more_threads}, tasks left at the end: {left}",
        flush=True,
    )
    return int(delays[98] > LONGEST or left > 0)


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        _publish(int(sys.argv[2]), float(sys.argv[3]))
    else:
        sys.exit(asyncio.run(_measure(json.loads(sys.argv[2]))))
