"""The audit of a whole site: complete, quick, without queries, and always the same.

One site at a time, which the settings name: `--ds=tests.audit.sites.wagtail_settings`.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.test import TestCase
from django.urls import URLResolver, get_resolver

from django_async_cbv.audit.report import report
from tests.audit.schema import wrong_with

SITE = settings.ROOT_URLCONF.rpartition(".")[2].partition("_")[0]
SNAPSHOT = Path(__file__).parent / f"{SITE}.txt"


def patterns(resolver):
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from patterns(one)
        else:
            yield one


def audit(*args):
    out = io.StringIO()
    call_command("async_audit", *args, stdout=out, no_color=True)
    return out.getvalue()


def without_lines(text):
    """Django's lines move with each of its releases."""
    return re.sub(r"(\bdjango/\S+):\d+", r"\1", text)


class TestSite(TestCase):
    def test_complete_and_quick_and_without_a_query(self):
        routes = [*patterns(get_resolver())]
        before = {*sys.modules}
        began = time.perf_counter()
        with self.assertNumQueries(0):
            found = report()
        took = time.perf_counter() - began
        handlers = [row for row in found.rows if row.route.startswith("handler")]
        self.assertEqual(len(found.rows), len(routes) + len(handlers))
        print(f"\n{SITE}: {len(found.rows)} routes in {took:.2f} s")
        self.assertLess(took, 5)
        # The middleware is imported, as by Django's handler, and what that imports.
        new = {one.partition(".")[0] for one in {*sys.modules} - before}
        brought = {one.partition(".")[0] for one in settings.MIDDLEWARE}
        self.assertLessEqual(new & {*settings.INSTALLED_APPS}, brought)

    def test_json(self):
        self.assertEqual(wrong_with(json.loads(audit("--json"))), [])

    def test_text(self):
        """Written anew with AUDIT_SNAPSHOT=write in the environment."""
        text = audit()
        self.assertEqual([one for one in text.splitlines() if len(one) > 80], [])
        if os.environ.get("AUDIT_SNAPSHOT") == "write":
            SNAPSHOT.write_text(text, encoding="utf-8")
        kept = SNAPSHOT.read_text(encoding="utf-8")
        self.assertEqual(without_lines(kept), without_lines(text))
