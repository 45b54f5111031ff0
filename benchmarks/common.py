"""What the commands have in common: databases, environments, the order of a round."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load import Sample

__all__ = [
    "RESULTS",
    "database",
    "facts",
    "order",
    "prepared",
    "process_environment",
    "with_processor",
]

RESULTS = Path(__file__).parent / "results"

LIBRARIES = (
    "django",
    "asgiref",
    "django-async-cbv",
    "django-async-extensions",
    "uvicorn",
    "uvloop",
    "httptools",
    "gunicorn",
    "granian",
    "starlette",
    "django-bolt",
    "aiohttp",
    "psycopg",
)


@contextmanager
def database(
    *, url: str | None = None, postgres: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the entry for DATABASES of an empty database, of SQLite by default."""
    if url:
        import dj_database_url

        yield {**dj_database_url.parse(url)}
    elif postgres:
        from tests.postgres import server

        with server().database("benchmarks") as settings:
            yield settings
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(Path(folder) / "benchmarks.sqlite3"),
            }


def process_environment(database: dict[str, Any], **more: str) -> dict[str, str]:
    """Return the environment of each process that imports the settings."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "BENCHMARK_DATABASE": json.dumps(database),
        # The same in each process and each run.
        "PYTHONHASHSEED": "0",
        **more,
    }
    environment.pop("PYTHONDEVMODE", None)
    return environment


def prepared(environment: dict[str, str]) -> dict[str, Any]:
    """Fill the database; return what `benchmarks.prepare` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.prepare"],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def order(keys: list[str], number: int) -> list[str]:
    """
    Return the order of one round, in which neither place nor drift favours anyone.

    It is turned on by one every second round, and goes backwards in each other.
    """
    turn = (number // 2) % len(keys)
    turned = [*keys[turn:], *keys[:turn]]
    return turned[::-1] if number % 2 else turned


def with_processor(sample: Sample, seconds: float) -> dict[str, float]:
    """Return a sample with the processor time that the server took for a request."""
    return {**asdict(sample), "processor_ms": seconds / sample.requests * 1000}


def facts(database: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "database": database,
        "libraries": versions,
    }
