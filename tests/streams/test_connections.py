"""Streams that wait have no database connection and no thread."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack

import psycopg
import pytest

from tests.streams.serving import ROOT, SINGLE, serving, until

pytestmark = [pytest.mark.server, pytest.mark.postgres]

STREAMS = int(os.environ.get("STREAMS", "200"))
AT_ONCE = min(50, STREAMS)
# The worker threads of our entry point, which keep their connections.
WORKERS = 4
PREPARE = """
import django
django.setup()
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
client = Client()
client.force_login(User.objects.create_user("jane"))
print(client.cookies[settings.SESSION_COOKIE_NAME].OutputString().partition(";")[0])
"""


@pytest.fixture(params=["django", "ours"])
def entry_point(request):
    return request.param


@pytest.mark.parametrize(
    "options",
    [{}, {"ATOMIC_REQUESTS": True}, {"CONN_MAX_AGE": 600}],
    ids=["default", "atomic", "kept"],
)
def test_none_for_those_that_wait(tmp_path, postgres, entry_point, options):
    with postgres.database("streams") as database, ExitStack() as stack:
        environment = {
            **postgres.environment(),
            "DJANGO_SETTINGS_MODULE": "tests.streams.settings_members",
            "STREAMS_DATABASE": json.dumps({**database, **options}),
        }
        cookie = subprocess.run(
            [sys.executable, "-c", PREPARE],
            cwd=ROOT,
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        mine = stack.enter_context(
            psycopg.connect(
                host=database["HOST"],
                port=database["PORT"],
                user=database["USER"],
                password=database["PASSWORD"] or None,
                dbname=database["NAME"],
                autocommit=True,
            )
        )

        def connections():
            """How many the server has, and how many of them are in a transaction."""
            return mine.execute(
                "SELECT count(*), count(*) FILTER (WHERE state <> 'idle') "
                "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [database["NAME"]],
            ).fetchone()

        if entry_point == "ours":
            environment |= {"ENTRY_POINT": "yes", "WORKERS": str(WORKERS)}
        server = stack.enter_context(serving(SINGLE, tmp_path, **environment))

        def threads():
            with server.get("/threads/") as client:
                client.read_until(b" threads")
                return int(re.search(rb"(\d+) threads", client.received)[1])

        # Those that a single stream leaves to the ones after it.
        with server.get("/members/", f"Cookie: {cookie}\r\n") as first:
            first.read_until(b"1 users")
        until(lambda: server.said("ended") == 1)
        most = WORKERS if entry_point == "ours" else 0
        until(lambda: connections()[0] <= most and not connections()[1])
        before = threads()

        clients = []
        for _ in range(STREAMS):
            client = stack.enter_context(
                server.get("/members/", f"Cookie: {cookie}\r\n")
            )
            client.read_until(b"1 users")
            clients.append(client)
        until(lambda: connections()[0] <= most and not connections()[1], seconds=5)
        assert threads() <= before + most
        # Each waits in the order in which it came.
        for begin in range(0, STREAMS, AT_ONCE):
            with server.get(f"/query/?streams={AT_ONCE}") as client:
                client.read_until(b"asked")
            for client in clients[begin : begin + AT_ONCE]:
                client.read_until(b"users again")
            until(lambda: connections()[0] <= most and not connections()[1], seconds=3)
        assert threads() <= before + most
        for client in clients:
            client.leave()
        until(lambda: server.said("ended") == STREAMS + 1)
        assert connections()[0] <= most
        assert threads() <= before + most
