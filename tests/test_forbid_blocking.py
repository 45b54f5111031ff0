"""What blocks the event loop fails a test by its line, and nothing else does."""

# ruff: noqa: PLW0108, PTH107, PTH123, PTH208 - each call has a line of its own

from __future__ import annotations

import asyncio
import contextlib
import gzip
import importlib
import io
import linecache
import logging
import os
import queue
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
import urllib.request
from concurrent.futures import Future
from pathlib import Path
from unittest import mock

import httpx
import psycopg
import pytest
import redis
from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.mail import EmailMessage
from django.template.backends.django import DjangoTemplates
from django.test import AsyncClient, TestCase, override_settings
from django.urls import path

from django_async_cbv.forms import ais_valid
from django_async_cbv.sync import run_sync
from django_async_cbv.testing import (
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
LOG = logging.getLogger("tests.to_a_file")
LOG.propagate = False
LOG.addHandler(logging.FileHandler(TEMPORARY / "log", delay=False))
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
HELD = threading.Lock()
HELD.acquire()
ONE, OTHER = socket.socketpair()


def teardown_module():
    for one in (DATABASE, ONE, OTHER):
        one.close()
    for handler in LOG.handlers:
        handler.close()
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
        lambda: FILE.read_bytes(),
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
    ],
    "socket.socket.recv": [
        lambda: [OTHER.send(b"x"), ONE.recv(1)],
    ],
    "socket.socket.connect": [
        lambda: failing(lambda: socket.create_connection(NOWHERE)),
        lambda: failing(lambda: urllib.request.urlopen(URL)),
        lambda: failing(lambda: smtplib.SMTP(*NOWHERE)),
        lambda: failing(lambda: httpx.get(URL)),
        lambda: failing(lambda: redis.Redis(*NOWHERE).get("key")),
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
    if asyncio.iscoroutinefunction(value) and value.__module__ == __name__
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
