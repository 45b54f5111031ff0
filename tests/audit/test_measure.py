"""`async_audit --measure`: a request that is served, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import re
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import close_old_connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TestCase, override_settings

from tests.models import Author


def audit(*args):
    return outputs(*args)[0]


def outputs(*args):
    out, error = io.StringIO(), io.StringIO()
    call_command("async_audit", *args, stdout=out, stderr=error, no_color=True)
    return out.getvalue(), error.getvalue()


@override_settings(ROOT_URLCONF="tests.audit.measured", ALLOWED_HOSTS=["testserver"])
class TestMeasure(TestCase):
    # All of them are rolled back.
    databases = "__all__"

    def test_hops_and_prediction(self):
        text = audit("--measure", "/authors/", "--measure", "/prices/", "--force")
        found = re.findall(
            r"GET (\S+): status 200, predicted: (\d+)-(\d+), the middleware included\n"
            r"(\d+) hops?\.",
            text,
        )
        self.assertEqual([one[0] for one in found], ["/authors/", "/prices/"])
        for _, low, high, hops in found:
            self.assertLessEqual(int(low), int(hops))
            self.assertGreaterEqual(int(high), int(hops))
        self.assertIn("Authors.get", text)

    def test_no_other_route_is_printed(self):
        with override_settings(MIDDLEWARE=["tests.audit.chains.OwnSync"]):
            text = audit("--measure", "/authors/", "--force")
        self.assertTrue(text.startswith("authors/ "))
        self.assertIn("tests.audit.measured.Authors", text)
        for one in ("prices/", "write/", "Middleware", "Each request also", "HELD"):
            self.assertNotIn(one, text)
        text = audit("--measure", "/authors/", "--measure", "/authors/?a=1", "--force")
        self.assertEqual(text.count("tests.audit.measured.Authors"), 1)

    def test_other_formats_have_the_same_routes(self):
        text, measured = outputs(
            *("--measure", "/authors/", "--force", "--json", "--app", "auth")
        )
        found = json.loads(text)
        self.assertEqual([one["route"] for one in found["routes"]], ["authors/"])
        self.assertIn("GET /authors/: status 200", measured)

    def test_a_failed_import_is_printed_with_it(self):
        text = audit(
            *("--measure", "/authors/", "--force"),
            *("--urlconf", "tests.audit.failing"),
        )
        self.assertIn("LookupError: no such settings", text)

    def test_what_it_writes_is_rolled_back(self):
        text = audit("--measure", "/write/", "--method", "post", "--force")
        self.assertIn("POST /write/: status 200", text)
        self.assertFalse(Author.objects.exists())

    def test_the_connection_with_the_transaction_stays_open(self):
        """Of a database in memory it always does: so the call is looked for."""
        with mock.patch.object(
            BaseDatabaseWrapper,
            "close_if_unusable_or_obsolete",
            side_effect=AssertionError,
        ) as closes:
            self.assertIn("status 200", audit("--measure", "/authors/", "--force"))
            closes.assert_not_called()
            with pytest.raises(AssertionError):
                close_old_connections()

    def test_a_user(self):
        User.objects.create(username="jane", is_active=True)
        text = audit("--measure", "/who/", "--force", "--user", "jane")
        self.assertIn("status 200", text)
        self.assertIn("status 302", audit("--measure", "/who/", "--force"))
        self.assertFalse(Session.objects.exists())

    def test_no_request_without_debug_or_force(self):
        with pytest.raises(CommandError) as caught:
            audit("--measure", "/write/", "--method", "post")
        self.assertEqual(caught.value.returncode, 2)

    def test_debug(self):
        with override_settings(DEBUG=True):
            text = audit("--measure", "/nowhere/")
        self.assertTrue(text.startswith("\nGET /nowhere/: status 404"), text)
