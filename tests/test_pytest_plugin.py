"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest

import django_async_cbv
from django_async_cbv import pytest_plugin

pytest_plugins = ["pytester"]

IS_INSTALLED = "django_async_cbv" in {
    point.name for point in entry_points(group="pytest11")
}
PLUGIN = "django_async_cbv.pytest_plugin"
ASYNC_PLUGINS = {"anyio": "anyio", "asyncio": "pytest_asyncio"}

NOTHING = """
import sys

def test_nothing_is_imported():
    found = [
        name for name in sys.modules
        if name.partition(".")[0] in {"asgiref", "blockbuster", "django"}
        or name.startswith("django_async_cbv")
    ]
    assert {*found} <= {"django_async_cbv", "django_async_cbv.pytest_plugin"}
"""

ALONE = """
import asyncio
import pytest

def hop(number=1):
    from django_async_cbv.sync import run_sync
    async def hops():
        for _ in range(number):
            await run_sync(len, ())
    asyncio.run(hops())

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
import asyncio
import time
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

@pytest.mark.{mark}
async def test_two_at_once_count_apart(assert_num_hops):
    async def hops(number):
        with assert_num_hops(number):
            for _ in range(number):
                await run_sync(len, ())
                await asyncio.sleep(0)
    await asyncio.gather(hops(2), hops(3))

@pytest.mark.{mark}
async def test_fails_blocking(forbid_blocking):
    time.sleep(0.001)

@pytest.mark.{mark}
async def test_does_not_block(forbid_blocking):
    await asyncio.sleep(0.001)
    await run_sync(time.sleep, 0.001)
"""

BLOCKING = """
import asyncio
import time
import warnings
import pytest

def block():
    time.sleep(0.001)

async def on_the_loop():
    block()

@pytest.fixture
def blocks():
    asyncio.run(on_the_loop())

def test_fails():
    asyncio.run(on_the_loop())

def test_fails_in_a_fixture(blocks):
    pass

def test_fails_though_the_error_is_swallowed():
    async def main():
        try:
            block()
        except Exception:
            pass
    asyncio.run(main())

def test_fails_by_its_own():
    asyncio.run(on_the_loop())
    raise LookupError

def test_does_not_block():
    block()

def test_allows(forbid_blocking):
    asyncio.run(on_the_loop())
    forbid_blocking.allow("test_it:block")

def test_allowed_by_the_settings():
    async def allowed_function():
        block()
    asyncio.run(allowed_function())

def test_skipped():
    pytest.skip("not today")

@pytest.fixture
def broken():
    raise LookupError

@pytest.mark.xfail
def test_broken_fixture(broken):
    pass

def test_fails_after_threshold():
    async def main():
        # Long enough for a few looks of a watchdog that others keep waiting.
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
    asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def let_those_tests_block(forbid_blocking):
    forbid_blocking.allow("*")


@pytest.fixture
def run(pytester, monkeypatch):
    """Run tests in a pytest of their own: with xdist or Django, in another process."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    # Others' plugins take longer than the tests, and each test names those it is about.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    if not IS_INSTALLED:
        monkeypatch.setenv(
            "PYTHONPATH", str(Path(django_async_cbv.__file__).parents[1])
        )

    def tests(source, *options, apart=False):
        pytester.makepyfile(test_it=source)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return start(
            "-p", "no:cacheprovider", "--strict-markers", "-p", PLUGIN, *options
        )

    return tests


def check(result, passed):
    """What is named so fails, as a test and not as a fixture, and nothing else."""
    expected = result.parseoutcomes()
    failed = [
        line.partition("::")[2].partition(" ")[0].rpartition("::")[2]
        for line in result.outlines
        if line.startswith("FAILED")
    ]
    assert expected.get("errors", 0) == 0
    assert expected.get("passed", 0) == passed
    assert len(failed) == expected.get("failed", 0)
    return {*failed}


def test_nothing_is_imported(run):
    check(run(NOTHING, apart=True), 1)


def test_without_django_plugin(run):
    result = run(ALONE)
    assert check(result, 5) == {
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


def test_with_djangos_test_cases(run, pytester):
    pytester.makepyfile(settings=SETTINGS)
    result = run(
        DJANGO,
        *("-p", "django", "--ds=settings", "--nomigrations"),
        "--async-cbv-hops=1",
        apart=True,
    )
    assert check(result, 3) == {"test_fails_dropped", "test_fails_live"}
    result.stdout.fnmatch_lines(
        [
            "=* 1 tests with most hops *=",
            "     2 test_it.py::InTestCase::test_case",
            "     5 hops in 5 tests",
        ]
    )


def test_with_xdist(run):
    """Both processes count, and one adds up."""
    result = run(
        ALONE,
        *("-p", "xdist", "-n", "2", "--dist", "each", "--async-cbv-hops=2"),
        *("-k", "test_awaited or test_fails_marked or test_max"),
        apart=True,
    )
    assert check(result, 4) == {"test_fails_marked"}
    result.stdout.fnmatch_lines(
        [
            "=* 2 tests with most hops *=",
            "     5 test_it.py::test_awaited",
            "     5 test_it.py::test_awaited",
            "    16 hops in 6 tests",
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
    options = []
    if name == "asyncio":
        options = ["-o", "asyncio_default_fixture_loop_scope=function"]
    result = run(source, "-p", name, *options)
    assert check(result, 3) == {
        "test_fails_blocking",
        "test_fails_dropped",
        "test_fails_marked",
    }
    result.stdout.fnmatch_lines(["*called by test_fails_blocking, test_it.py:*"])


SETTING = "async_cbv_forbid_blocking=true"


def test_nothing_blocks_any_test(run):
    result = run(
        BLOCKING,
        *("-o", SETTING, "-o", "async_cbv_allow_blocking=test_it:allowed_*"),
        *("-o", "async_cbv_blocking_threshold=0.05"),
    )
    assert check(result, 3) == {
        "test_fails",
        "test_fails_after_threshold",
        "test_fails_by_its_own",
        "test_fails_in_a_fixture",
        "test_fails_though_the_error_is_swallowed",
    }
    assert result.parseoutcomes()["xfailed"] == 1
    result.stdout.fnmatch_lines(
        [
            "1 line blocked the event loop. All other requests wait in the meantime.",
            "  time.sleep() was called by block, test_it.py:7. Use `await asyncio.sl*",
            '*allow it: `allow("test_it:block")`.',
            "* ms were spent*by *main, test_it.py:*",
        ]
    )


def test_off_unless_a_setting_says_so(run):
    result = run(BLOCKING, "-k", "test_fails and not own")
    assert check(result, 4) == set()


def test_without_blockbuster(run):
    with mock.patch.object(pytest_plugin, "find_spec", return_value=None):
        whole = run(BLOCKING, "-o", SETTING)
        one = run(BLOCKING, "-k", "test_allows")
    fix = (
        "forbid_blocking needs blockbuster. "
        "Run `pip install 'django-async-cbv[[]test]'`."
    )
    assert whole.ret == pytest.ExitCode.USAGE_ERROR
    whole.stderr.fnmatch_lines([f"ERROR: {fix}"])
    one.stdout.fnmatch_lines(["*ERROR at setup of test_allows*", fix])
    assert "Traceback" not in whole.stderr.str() + one.stdout.str()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "async_cbv_blocking_threshold=0",
            "async_cbv_blocking_threshold needs a number of seconds above 0, not '0'.",
        ),
        (
            "async_cbv_blocking_threshold=soon",
            "async_cbv_blocking_threshold needs a number of seconds above 0, "
            "not 'soon'.",
        ),
        (
            "async_cbv_allow_blocking=books.views",
            "async_cbv_allow_blocking needs package.module:function, "
            "not 'books.views'.",
        ),
    ],
)
def test_settings_that_cannot_hold(run, setting, message):
    result = run("", "-o", setting)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [f"ERROR: {message}", ""]


MARKED = """
import pytest

@pytest.mark.max_hops{arguments}
def test_marked():
    pass
"""


@pytest.mark.parametrize("arguments", ["", "()", "(-1)", "('many')", "(1, 2)"])
def test_a_marker_without_a_number(run, arguments):
    result = run(MARKED.format(arguments=arguments))
    assert check(result, 0) == {"test_marked"}
    result.stdout.fnmatch_lines(
        ["*max_hops needs a number of hops, 0 or more: @pytest.mark.max_hops(3)*"]
    )
    assert "Traceback" not in result.stdout.str()


def test_a_number_that_is_none(run):
    result = run("", "--async-cbv-hops=-1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*'-1' is not a number of tests. Write for example 10*"]
    )
