"""What blocks the event loop fails a test by its line, and nothing else does."""

# ruff: noqa: ASYNC251, PLW0108, PTH107, PTH123, PTH208, SIM117 - as in a project

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gzip
import hashlib
import importlib
import inspect
import io
import json
import linecache
import logging
import os
import queue
import re
import shutil
import smtplib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import tracemalloc
import unittest
import urllib.request
from concurrent.futures import Future
from pathlib import Path
from time import sleep
from unittest import mock

import httpx
import psycopg
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.handlers.asgi import ASGIHandler
from django.core.mail import EmailMessage
from django.template.backends.django import DjangoTemplates
from django.test import (
    AsyncClient,
    RequestFactory,
    SimpleTestCase,
    TestCase,
    override_settings,
)
from django.urls import path
from django.utils.translation import trans_real
from django.views.csrf import csrf_failure

from django_async_cbv.forms import ais_valid
from django_async_cbv.sync import run_sync
from django_async_cbv.testing import (
    BlockedOnce,
    ForbidBlockingMixin,
    forbid_blocking,
)
from django_async_cbv.views import AsyncListView
from tests.app.forms import BookForm
from tests.models import Author

HERE = Path(__file__)
# Where nobody listens, and nobody can ask for a name.
NOWHERE = ("127.0.0.1", 1)
URL = "http://127.0.0.1:1/"
TEMPORARY = Path(tempfile.mkdtemp(prefix="blocking-"))
FILE = TEMPORARY / "file"
FILE.write_text("text")
BINARY = FILE.open("rb")
LOG = logging.getLogger("tests.to_a_file")
LOG.propagate = False
LOG.addHandler(logging.FileHandler(TEMPORARY / "log", delay=False))
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
HELD = threading.Lock()
HELD.acquire()
ONE, OTHER = socket.socketpair()


@atexit.register
def close():
    for one in (BINARY, DATABASE, ONE, OTHER, *LOG.handlers):
        one.close()
    shutil.rmtree(TEMPORARY)


def failing(call):
    """Make a call that nobody answers."""
    with contextlib.suppress(Exception):
        call()


def use(lock):
    lock.acquire()
    lock.release()


def templates(*loaders):
    options = {"loaders": loaders}
    return DjangoTemplates(
        {"NAME": "t", "DIRS": [TEMPORARY], "APP_DIRS": False, "OPTIONS": options}
    )


LOADER = "django.template.loaders.filesystem.Loader"
UNCACHED = templates(LOADER)

# What is said to be called, and a line that does it.
FOUND = {
    "time.sleep": [
        lambda: time.sleep(0.001),
    ],
    "sqlite3.Connection.execute": [
        lambda: DATABASE.execute("select 1").close(),
    ],
    "sqlite3.Connection.commit": [
        lambda: DATABASE.commit(),
    ],
    "io.TextIOWrapper.read": [
        lambda: FILE.read_text(),
        lambda: UNCACHED.get_template("file"),
    ],
    "io.TextIOWrapper.write": [
        lambda: FILE.write_text("text"),
        lambda: LOG.error("a line"),
    ],
    "io.BufferedReader.read": [
        # Path.read_bytes() has no buffer from Python 3.14 on.
        lambda: BINARY.read(),
    ],
    "builtins.open": [
        lambda: open(FILE).close(),
        lambda: shutil.copyfile(FILE, TEMPORARY / "other"),
        lambda: gzip.open(FILE).close(),
        lambda: FileSystemStorage(TEMPORARY).open("file").close(),
    ],
    "io.open": [
        lambda: FILE.open().close(),
    ],
    "os.open": [
        lambda: os.close(tempfile.mkstemp(dir=TEMPORARY)[0]),
    ],
    "os.lstat": [
        lambda: os.lstat(FILE),
        lambda: FileSystemStorage(TEMPORARY).exists("file"),
    ],
    "os.stat": [
        lambda: FILE.exists(),
    ],
    "os.listdir": [
        lambda: os.listdir(TEMPORARY),
    ],
    "os.scandir": [
        lambda: [*os.scandir(TEMPORARY)],
    ],
    "os.remove": [
        lambda: failing(lambda: os.remove(TEMPORARY / "none")),
    ],
    "os.system": [
        lambda: os.system("true"),
    ],
    "os.read": [
        lambda: subprocess.run(["true"], check=True),
    ],
    "threading.Lock.acquire": [
        lambda: HELD.acquire(timeout=0.001),
        lambda: threading.Event().wait(0.001),
        lambda: threading.Semaphore(0).acquire(timeout=0.001),
        lambda: failing(lambda: queue.Queue().get(timeout=0.001)),
        lambda: failing(lambda: Future().result(timeout=0.001)),
        # Python 3.13 and later wait for a thread without a lock of `threading`.
        *[lambda: thread_of(0.1).join()] * (sys.version_info < (3, 13)),
    ],
    "socket.socket.recv": [
        lambda: [OTHER.send(b"x"), ONE.recv(1)],
    ],
    "socket.socket.connect": [
        lambda: failing(lambda: socket.create_connection(NOWHERE)),
        lambda: failing(lambda: urllib.request.urlopen(URL)),
        lambda: failing(lambda: smtplib.SMTP(*NOWHERE)),
        lambda: failing(lambda: httpx.Client(verify=False).get(URL)),
    ],
    "socket.getaddrinfo": [
        lambda: failing(lambda: socket.getaddrinfo("localhost", 80)),
    ],
    "socket.gethostbyname": [
        lambda: failing(lambda: socket.gethostbyname("localhost")),
    ],
    "psycopg.connect": [
        lambda: failing(lambda: psycopg.connect("host=127.0.0.1 port=1")),
    ],
}
FOUND_CALLS = [(name, call) for name, calls in FOUND.items() for call in calls]


# -- What no list has, but a clock --------------------------------------------------


def lasting(call):
    """Call again until this thread has computed for long enough, whoever else does."""
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        call()


def compute():
    lasting(int)


class Hook:
    def compute(self):
        lasting(int)


SLOW = [
    lambda: compute(),
    lambda: Hook().compute(),
    lambda: lasting(lambda: sum(range(10_000))),
    lambda: lasting(lambda: sorted(range(1_000), key=str)),
    lambda: lasting(lambda: json.dumps([*range(1_000)])),
    lambda: lasting(lambda: re.match("(a+)+b", "a" * 10)),
    lambda: lasting(lambda: hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1_000)),
    lambda: lasting(lambda: PBKDF2PasswordHasher().encode("a", "b")),
    lambda: sleep(0.1),
    *[lambda: thread_of(0.1).join()] * (sys.version_info >= (3, 13)),
]


def thread_of(seconds):
    thread = threading.Thread(target=sleep, args=(seconds,))
    thread.start()
    return thread


# -- What is none, though it looks like it -----------------------------------------


async def a_sleep():
    await asyncio.sleep(0.001)


async def an_address():
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def an_address_in_figures():
    socket.getaddrinfo("127.0.0.1", 80)
    socket.gethostbyname("127.0.0.1")


async def a_connection():
    with contextlib.suppress(OSError):
        await asyncio.open_connection("localhost", 1)


async def a_process():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()


async def a_thread():
    await asyncio.to_thread(FILE.read_text)


async def a_worker_thread():
    await run_sync(time.sleep, 0.001)
    await sync_to_async(DATABASE.execute)("select 1")


async def an_executor_of_its_own():
    await asyncio.get_running_loop().run_in_executor(None, FILE.read_text)


async def sync_code_that_waits_for_async_code():
    await sync_to_async(async_to_sync(a_sleep))()


async def a_lock_that_is_free():
    use(threading.Lock())
    use(threading.RLock())


async def a_lock_that_is_only_tried():
    assert not HELD.acquire(blocking=False)
    assert not HELD.acquire(timeout=0)


async def an_event_that_is_set():
    event = threading.Event()
    event.set()
    event.wait()


async def a_queue_with_something_in_it():
    items = queue.Queue()
    items.put(1)
    items.get()


async def a_socket_that_does_not_block():
    ONE.setblocking(False)
    try:
        with contextlib.suppress(BlockingIOError):
            ONE.recv(1)
    finally:
        ONE.setblocking(True)


async def a_file_in_memory():
    io.TextIOWrapper(io.BytesIO(b"text")).read()
    io.BufferedReader(io.BytesIO(b"text")).read()
    ContentFile("text").read()


async def what_pytest_captures():
    print("a line")
    print("a line", file=sys.stderr)
    logging.getLogger("tests.captured").warning("a line")


async def an_import():
    name = "a_module_of_this_test"
    with mock.patch.object(sys, "path", [str(TEMPORARY), *sys.path]):
        importlib.invalidate_caches()
        importlib.import_module(name)
    del sys.modules[name]


async def a_traceback():
    linecache.clearcache()
    try:
        raise LookupError
    except LookupError:
        assert "raise LookupError" in traceback.format_exc()


async def where_memory_went():
    tracemalloc.start()
    try:
        str(tracemalloc.take_snapshot().statistics("lineno")[:1])
    finally:
        tracemalloc.stop()


async def what_is_cached():
    await cache.aset("key", 1)
    assert cache.get("key") == 1


async def a_mail_to_nobody():
    EmailMessage("Subject", "Text", "from@example.com", ["to@example.com"]).message()


async def a_form_of_a_model():
    await ais_valid(BookForm({"title": "Emma"}))


async def async_orm():
    assert await Author.objects.acount() == 0
    async for _ in Author.objects.all():
        pass


class Authors(AsyncListView):
    model = Author
    template_name = "page.html"


async def a_page():
    urls = mock.Mock(urlpatterns=[path("", Authors.as_view())], spec=["urlpatterns"])
    with override_settings(ROOT_URLCONF=urls):
        response = await AsyncClient().get("/")
        assert response.status_code == 200


NOT_FOUND = [
    value
    for value in [*globals().values()]
    # In Python 3.12, the module itself has the mark of a coroutine function.
    if value is not inspect
    and inspect.iscoroutinefunction(value)
    and value.__module__ == __name__
]


def found_in(call, **options):
    """The calls that a coroutine function makes, or a sync function on the loop."""

    async def main():
        result = call()
        if asyncio.iscoroutine(result):
            await result

    block = forbid_blocking(**options)
    with contextlib.suppress(AssertionError), block:
        async_to_sync(main)()
    return block


class Forbidding:
    """The blocks of this module look for themselves."""

    @pytest.fixture(autouse=True)
    def let_this_module_block(self, forbid_blocking):
        forbid_blocking.allow("tests.test_forbid_blocking:*")


class TestCalls(Forbidding, TestCase):
    def test_each_is_found_with_the_line(self):
        for name, call in FOUND_CALLS:
            line = call.__code__.co_firstlineno
            with self.subTest(name, line=line):
                block = found_in(call)
                names = {one.name for one in block.found}
                self.assertIn(name, names)
                for one in block.found:
                    place = one.stack.place
                    self.assertEqual((place.file, place.line), (__file__, line), one)
                with self.assertRaises(AssertionError) as raised:
                    block.check()
                where = f"() was called by <lambda>, tests/{HERE.name}:{line}"
                self.assertIn(where, str(raised.exception))

    def test_the_call_goes_on(self):
        async def main():
            return FILE.read_text()

        with self.assertRaises(AssertionError), forbid_blocking():
            self.assertEqual(asyncio.run(main()), "text")

    def test_each_other_is_none(self):
        (TEMPORARY / "a_module_of_this_test.py").write_text("x = 1")
        self.assertGreater(len(NOT_FOUND), 20)
        # What is read once.
        found_in(a_page)
        found_in(a_mail_to_nobody)
        for call in NOT_FOUND:
            with self.subTest(call.__name__):
                self.assertEqual([*found_in(call).found], [])

    def test_without_an_event_loop(self):
        with forbid_blocking():
            for _, call in FOUND_CALLS[:20]:
                call()


class TestTime(Forbidding, SimpleTestCase):
    """Other code is found by how long it takes."""

    def test_each_is_found_with_the_line(self):
        for call in SLOW:
            line = call.__code__.co_firstlineno
            with self.subTest(line=line):
                for _ in range(30):
                    block = found_in(call, threshold=0.03)
                    stacks = [*{one.stack for one in block.found if one.seconds}]
                    if len(stacks) == 1:
                        break
                    # Other processes kept the watchdog or the loop from running.
                self.assertEqual(len(stacks), 1, (line, block.found))
                self.assertEqual(stacks[0].place.file, __file__)
                lines = (f"tests.{HERE.stem}:<lambda>", f"tests.{HERE.stem}:main")
                self.assertLessEqual({*lines}, {*stacks[0].functions})
                with self.assertRaisesRegex(AssertionError, r"\d ms were spent"):
                    block.check()

    def test_less_is_none(self):
        for call in (compute, lambda: sleep(0.01)):
            self.assertEqual([*found_in(call, threshold=10).found], [])

    async def test_before_the_event_loop_goes_on(self):
        for _ in range(30):
            try:
                async with forbid_blocking(threshold=0.03):
                    compute()
            except AssertionError as error:
                self.assertIn("ms were spent", str(error))
                return
            # Other processes kept the watchdog from the processor.
        self.fail("Nothing was found.")

    def test_a_threshold_of_nothing(self):
        for threshold in (0, -1):
            with self.assertRaisesMessage(ValueError, "above 0"):
                forbid_blocking(threshold=threshold)


def reads_files(get_response):
    """Middleware like WhiteNoise, which looks for its files as it is made."""
    FILE.stat()
    return get_response


class TestWhatIsReadOnce(Forbidding, SimpleTestCase):
    """What a process keeps is no failure, but a warning."""

    def warned(self, call):
        with self.assertWarns(BlockedOnce) as caught, forbid_blocking():
            async_to_sync(sync_to_coroutine(call))()
        return caught

    def test_a_template(self):
        cached = templates((CACHED, [LOADER]))
        caught = self.warned(lambda: cached.get_template("file"))
        self.assertEqual(Path(caught.filename), HERE)
        self.assertIn("what the process then keeps", str(caught.warning))
        with forbid_blocking():
            async_to_sync(sync_to_coroutine(lambda: cached.get_template("file")))()

    def test_a_catalogue(self):
        with mock.patch.object(trans_real, "_translations", {}):
            self.warned(lambda: trans_real.translation("de"))

    def test_the_page_of_a_refusal(self):
        request = RequestFactory().post("/")
        self.warned(lambda: csrf_failure(request))

    @override_settings(MIDDLEWARE=[f"{__name__}.reads_files"])
    def test_middleware_that_is_made(self):
        caught = self.warned(lambda: ASGIHandler())
        self.assertIn("reads_files", str(caught.warning))

    def test_both(self):
        cached = templates((CACHED, [LOADER]))

        def both():
            cached.get_template("file")
            FILE.read_text()

        with self.assertWarns(BlockedOnce), self.assertRaises(AssertionError):
            with forbid_blocking():
                async_to_sync(sync_to_coroutine(both))()


CACHED = "django.template.loaders.cached.Loader"


def sync_to_coroutine(call):
    async def main():
        return call()

    return main


class TestBlock(Forbidding, SimpleTestCase):
    def block(self):
        time.sleep(0.001)

    async def test_with_and_async_with_and_a_decorator(self):
        with self.assertRaises(AssertionError), forbid_blocking():
            self.block()
        with self.assertRaises(AssertionError):
            async with forbid_blocking():
                self.block()

        @forbid_blocking()
        async def decorated():
            self.block()

        with self.assertRaises(AssertionError):
            await decorated()

    async def test_an_error_in_the_block_is_not_hidden(self):
        with self.assertRaises(LookupError), forbid_blocking():
            self.block()
            raise LookupError

    async def test_what_is_allowed(self):
        with forbid_blocking(allow=[f"{__name__}:TestBlock.block"]):
            self.block()
        with forbid_blocking() as block:
            self.block()
            block.allow("*:TestBlock.test_what_*")
        with self.assertRaises(AssertionError):
            with forbid_blocking(allow=["other:TestBlock.block"]):
                self.block()
        with self.assertRaisesMessage(ValueError, "'package.module:function'"):
            forbid_blocking(allow=["TestBlock.block"])

    async def test_one_in_another(self):
        with self.assertRaises(AssertionError), forbid_blocking():
            with forbid_blocking(allow=["*"]):
                self.block()

    def test_afterwards_nothing_is_left(self):
        whole = [time.sleep, open, os.stat, socket.getaddrinfo]
        with forbid_blocking():
            pass
        self.assertEqual(whole, [time.sleep, open, os.stat, socket.getaddrinfo])

    def test_other_threads_and_loops(self):
        def in_a_thread():
            asyncio.run(sync_to_coroutine(self.block)())

        thread = threading.Thread(target=in_a_thread)
        with self.assertRaisesMessage(AssertionError, "TestBlock.block, tests/"):
            with forbid_blocking():
                thread.start()
                thread.join()

    def test_many_calls_of_one_line_are_one_row(self):
        def often():
            for _ in range(3):
                self.block()

        with self.assertRaises(AssertionError) as raised, forbid_blocking():
            async_to_sync(sync_to_coroutine(often))()
        lines = str(raised.exception).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[1].endswith("The line blocked 3 times."), lines)

    async def test_a_view_that_blocks_is_named_and_not_the_test(self):
        class Blocking(Authors):
            async def aget_context_data(self, **kwargs):
                time.sleep(0.001)
                return {}

        urls = mock.Mock(
            urlpatterns=[path("", Blocking.as_view())], spec=["urlpatterns"]
        )
        with mock.patch.object(Blocking, "get_queryset", Author.objects.none):
            with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
                with self.assertRaisesMessage(
                    AssertionError, "called by Blocking.aget_context_data, tests/"
                ):
                    with forbid_blocking():
                        await self.async_client.get("/")


class TestMixin(Forbidding, SimpleTestCase):
    def outcome(self, **members):
        """What comes of a test case."""

        class Case(ForbidBlockingMixin, SimpleTestCase):
            pass

        for name, member in members.items():
            setattr(Case, name, member)
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(Case)(result)
        self.assertEqual(result.testsRun, 1)
        self.assertEqual(result.errors, [])
        return [text for _, text in result.failures]

    def test_it_fails_a_test(self):
        async def test_it(case):
            time.sleep(0.001)

        [text] = self.outcome(test_it=test_it)
        self.assertIn("time.sleep() was called by", text)

    def test_it_fails_by_what_comes_before(self):
        async def asyncSetUp(case):
            time.sleep(0.001)

        def setUp(case):
            async_to_sync(asyncSetUp)(case)

        def test_it(case):
            pass

        self.assertEqual(len(self.outcome(setUp=setUp, test_it=test_it)), 1)

    def test_what_is_allowed(self):
        async def test_it(case):
            time.sleep(0.001)

        async def test_other(case):
            time.sleep(0.001)
            case.blocking.allow("*:*test_other")

        allowed = {"allow_blocking": ["*:*test_it"]}
        self.assertEqual(self.outcome(test_it=test_it, **allowed), [])
        self.assertEqual(self.outcome(test_it=test_other), [])

    def test_nothing(self):
        async def test_it(case):
            await asyncio.sleep(0.001)

        self.assertEqual(self.outcome(test_it=test_it), [])


@pytest.mark.postgres
def test_queries_of_psycopg(postgres, forbid_blocking):
    forbid_blocking.allow("*")
    with postgres.database("blocking") as settings:
        parameters = {
            "dbname": settings["NAME"],
            "host": settings["HOST"],
            "port": settings["PORT"],
            "user": settings["USER"],
            "password": settings["PASSWORD"],
        }
        with psycopg.connect(**parameters) as connection:
            block = found_in(lambda: connection.execute("select 1"))
        assert {one.name for one in block.found} == {"psycopg.Connection.wait"}
        assert {one.stack.place.file for one in block.found} == {__file__}

        async def fetch():
            async with await psycopg.AsyncConnection.connect(**parameters) as one:
                await one.execute("select 1")

        assert not found_in(fetch).found


def test_on_uvloop(forbid_blocking):
    uvloop = pytest.importorskip("uvloop", reason="Server: uvloop is not installed")
    forbid_blocking.allow("*")

    async def main():
        time.sleep(0.001)
        compute()

    block = type(forbid_blocking)(threshold=0.03)
    with pytest.raises(AssertionError, match=r"sleep\(\) was called by main, tests"):
        with block, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    assert [bool(one.seconds) for one in block.found] == [False, True]
    assert {one.stack.place.file for one in block.found} == {__file__}
