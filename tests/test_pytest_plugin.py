"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

import django_async_cbv

pytest_plugins = ["pytester"]

IS_INSTALLED = "django_async_cbv" in {
    point.name for point in entry_points(group="pytest11")
}
PLUGIN = [] if IS_INSTALLED else ["-p", "django_async_cbv.pytest_plugin"]
ASYNC_PLUGINS = {"anyio": "anyio", "asyncio": "pytest_asyncio"}

ALONE = """
import asyncio
import sys
import pytest

def hop(number=1):
    from django_async_cbv.sync import run_sync
    async def hops():
        for _ in range(number):
            await run_sync(len, ())
    asyncio.run(hops())

def test_nothing_is_imported():
    found = [
        name for name in sys.modules
        if name.partition(".")[0] in {"asgiref", "django", "django_async_cbv"}
    ]
    assert {*found} <= {"django_async_cbv", "django_async_cbv.pytest_plugin"}

def test_max(assert_max_hops):
    with assert_max_hops(1, info="few") as hops:
        hop()
    assert hops.count == 1

def test_num(assert_num_hops):
    with assert_num_hops(2):
        hop(2)

def test_fails_max(assert_max_hops):
    with assert_max_hops(1, info="the info"):
        hop(2)

def test_fails_num(assert_num_hops):
    with assert_num_hops(2, info="the info"):
        hop(1)

@pytest.mark.max_hops(2)
def test_marked():
    hop(2)

@pytest.mark.max_hops(1)
def test_fails_marked():
    hop(2)

@pytest.mark.max_hops(0)
def test_error_of_its_own():
    hop(2)
    raise LookupError

def test_awaited(forbid_dropped_coroutines, forbid_repeated_hops):
    hop(5)

async def lost():
    pass

def test_fails_dropped(forbid_dropped_coroutines):
    lost()

def test_fails_repeated(forbid_repeated_hops):
    hop(6)

def test_allowed(forbid_repeated_hops):
    forbid_repeated_hops.allow("len")
    hop(6)
"""

DJANGO = """
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.test import LiveServerTestCase, TestCase, TransactionTestCase
from django_async_cbv.testing import HopAssertionsMixin
from urllib.request import urlopen

class InTestCase(HopAssertionsMixin, TestCase):
    async def test_case(self):
        with self.assertNumHops(2):
            await Group.objects.acount()
            await Group.objects.acount()

@pytest.mark.max_hops(1)
class InTransactionTestCase(HopAssertionsMixin, TransactionTestCase):
    async def test_transactions(self):
        with self.assertMaxHops(1):
            await Group.objects.acount()

class Live(LiveServerTestCase):
    @pytest.mark.max_hops(0)
    def test_fails_live(self):
        urlopen(self.live_server_url).close()

    @pytest.mark.usefixtures("forbid_dropped_coroutines")
    async def test_fails_dropped(self):
        Group.objects.acount()

def test_function(db, assert_num_hops):
    from asgiref.sync import async_to_sync
    with assert_num_hops(1):
        async_to_sync(Group.objects.acount)()
"""

SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
ROOT_URLCONF = "settings"
SECRET_KEY = "secret"
STATIC_URL = "static/"
USE_TZ = True

async def view(request):
    from asgiref.sync import sync_to_async
    from django.http import HttpResponse
    await sync_to_async(len)(())
    return HttpResponse()

from django.urls import path
urlpatterns = [path("", view)]
"""

ASYNC = """
import pytest
from django_async_cbv.sync import run_sync

@pytest.mark.{mark}
async def test_block(assert_num_hops):
    with assert_num_hops(2):
        await run_sync(len, ())
        await run_sync(len, ())

@pytest.mark.max_hops(1)
@pytest.mark.{mark}
async def test_fails_marked():
    await run_sync(len, ())
    await run_sync(len, ())

async def lost():
    pass

@pytest.mark.{mark}
async def test_fails_dropped(forbid_dropped_coroutines):
    lost()
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run tests in a process of their own, and say which failed."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    if not IS_INSTALLED:
        monkeypatch.setenv(
            "PYTHONPATH", str(Path(django_async_cbv.__file__).parents[1])
        )

    def tests(source, *options):
        pytester.makepyfile(test_it=source)
        return pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "--strict-markers", *PLUGIN, *options
        )

    return tests


def check(result, passed):
    """What is named so fails, as a test and not as a fixture, and nothing else."""
    expected = result.parseoutcomes()
    names = {
        line.partition("::")[2].partition(" ")[0].rpartition("::")[2]
        for line in result.outlines
        if line.startswith("FAILED")
    }
    assert expected.get("errors", 0) == 0
    assert expected["passed"] == passed
    assert len(names) == expected["failed"]
    return names


def test_without_django_plugin(run):
    result = run(ALONE, "-p", "no:django", "-p", "no:xdist")
    assert check(result, 6) == {
        "test_error_of_its_own",
        "test_fails_dropped",
        "test_fails_marked",
        "test_fails_max",
        "test_fails_num",
        "test_fails_repeated",
    }
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: 2 hops, at most 1 allowed.",
            "E*1. len*waited*ran*",
            "E*asked for by hops, test_it.py:*",
            "E*the info",
            "E*AssertionError: 1 hop, 2 expected.",
            "2 hops, at most 1 allowed.",
            "*lost() was called by test_fails_dropped, test_it.py:*",
            "*len made 6 hops, asked for by hops, test_it.py:*",
        ]
    )


def test_with_djangos_test_cases_and_xdist(run, pytester):
    pytester.makepyfile(settings=SETTINGS)
    result = run(
        DJANGO, "--ds=settings", "-p", "no:anyio", "-n", "2", "--async-cbv-hops=1"
    )
    assert check(result, 3) == {"test_fails_dropped", "test_fails_live"}
    result.stdout.fnmatch_lines(
        [
            "=* 1 tests with most hops *=",
            "     2 test_it.py::InTestCase::test_case",
            "     5 hops in 5 tests",
        ]
    )


@pytest.mark.parametrize(
    "name", [name for name, module in ASYNC_PLUGINS.items() if find_spec(module)]
)
def test_with_a_plugin_for_async_tests(run, name):
    mark = "anyio" if name == "anyio" else "asyncio"
    source = ASYNC.replace("{mark}", mark)
    if name == "anyio":
        source += "\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    result = run(source, "-p", "no:django", "-p", "no:xdist")
    assert check(result, 1) == {"test_fails_dropped", "test_fails_marked"}


def test_a_number_that_is_none(run):
    result = run("", "-p", "no:django", "--async-cbv-hops=-1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'-1' is not a number of tests: use 10*"])
