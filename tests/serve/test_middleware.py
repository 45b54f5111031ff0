"""Django's middleware on the loop: what it answers, in how many hops, and whose."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
import threading
from inspect import iscoroutinefunction
from pathlib import Path
from unittest import mock, skipUnless

import django
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.sessions import backends
from django.contrib.sessions.middleware import SessionMiddleware
from django.core import mail
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string

from django_async_cbv.serve import middleware as ours
from django_async_cbv.serve.middleware import INLINE, Inline, swapped
from tests.hops import count_hops
from tests.serve import inline_table
from tests.serve.chain import (
    InlineHandler,
    Request,
    import_swapped,
    the_same_each_time,
    visit,
)
from tests.serve.inline_table import COOKIE, GERMAN, GZIPPED, Case, get

DOCS_TABLE = Path(__file__).parents[2] / "docs" / "middleware-table.md"
CASES = list(inline_table.cases())
INSTALLED = [name for name in INLINE if inline_table.HAS_CSP or ".csp." not in name]

# All others of Django's, each with the reason for which it is left alone.
LEFT_ALONE = {
    "django.contrib.admindocs.middleware.XViewMiddleware": "it loads the user",
    "django.contrib.auth.middleware.PersistentRemoteUserMiddleware": "it is async",
    "django.contrib.auth.middleware.RemoteUserMiddleware": "it is async",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware": "it queries",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware": "it queries",
    "django.contrib.sites.middleware.CurrentSiteMiddleware": "it queries",
    "django.middleware.cache.CacheMiddleware": "it waits for the cache",
    "django.middleware.cache.FetchFromCacheMiddleware": "it waits for the cache",
    "django.middleware.cache.UpdateCacheMiddleware": "it waits for the cache",
}
# Every one that a site may have, in the order that Django's docs give.
WHOLE = [
    inline_table.SECURITY,
    inline_table.GZIP,
    inline_table.CONDITIONAL,
    inline_table.SESSION,
    inline_table.LOCALE,
    inline_table.LINKS,
    inline_table.COMMON,
    inline_table.CSRF,
    inline_table.AUTH,
    inline_table.MESSAGE,
    inline_table.FRAMES,
    *([inline_table.CSP] if inline_table.HAS_CSP else []),
]
EVERYTHING = {
    "MIDDLEWARE": WHOLE,
    "MANAGERS": [],
    **({"SECURE_CSP": {"script-src": ["nonce"]}} if inline_table.HAS_CSP else {}),
}


class TestTable(TestCase):
    """Each case of the table: its hops, and that the answer is Django's."""

    async def test_hops(self):
        for case in CASES:
            with self.subTest(case.name, when=case.when, request=case.request):
                self.assertEqual(await case.measured(), case.expected)

    async def test_answers(self):
        for case in CASES:
            with self.subTest(case.name, when=case.when, request=case.request):
                djangos = await case.answered(ASGIHandler)
                self.assertNotEqual(djangos.status, 500)
                self.assertEqual(await case.answered(InlineHandler), djangos)

    def test_every_middleware_has_a_case(self):
        self.assertEqual({case.middleware for case in CASES}, set(INSTALLED))

    async def test_every_hop_is_needed(self):
        """On the loop it would block, but for what takes only time."""
        blocking = {
            (case.name, case.when)
            for case in CASES
            if case.expected and "a body of more than" not in case.when
        }
        blocked = set()
        for case in CASES:
            if (case.name, case.when) in blocking - blocked:
                djangos = await case.answered(ASGIHandler)
                with mock.patch.object(ours, "_call", call_on_the_loop):
                    if await case.answered(InlineHandler) != djangos:
                        blocked.add((case.name, case.when))
        self.assertEqual(blocked, blocking)

    @skipUnless(django.VERSION >= (6, 0), "The docs tell of Django 6.0 and later.")
    async def test_the_docs_print_this_table(self):
        """Written anew with MIDDLEWARE_TABLE=write in the environment."""
        table = inline_table.as_markdown(
            [(case, await case.measured()) for case in CASES]
        )
        if os.environ.get("MIDDLEWARE_TABLE") == "write":
            await sync_to_async(DOCS_TABLE.write_text)(table)
        self.assertEqual(await sync_to_async(DOCS_TABLE.read_text)(), table)


async def call_on_the_loop(inline, method, *args):
    return method(*args)
