"""Each view answers as without an agent, and the agent records it once, by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents.tracers import AGENTS

# What each agent calls a request to a view.
NAMES = {
    "ddtrace": "tests.agents.urls.{view}",
    "newrelic": "WebTransaction/Function/tests.agents.urls:{view}.{method}",
    "elasticapm": "{verb} tests.agents.urls.{view}",
    "sentry": "tests.agents.urls.{view}",
    # By its route.
    "opentelemetry": "{verb} {view}/{place}/",
}


def visit(agent: str, database: str) -> list[dict]:
    """What came of the visits, in a process of its own: agents patch for good."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.agents.visiting", agent],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.agents.settings",
            "AGENTS_DATABASE": database,
        },
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> list[dict]:
    return visit("no_agent", str(tmp_path_factory.mktemp("agents") / "db.sqlite3"))


@pytest.mark.parametrize("agent", sorted(AGENTS.keys() - {"no_agent"}))
def test_each_view_answers_as_without_it_and_is_recorded_once(
    agent, expected, tmp_path
):
    found = visit(agent, str(tmp_path / "db.sqlite3"))
    assert len(found) == len(expected) > 200
    for one, other in zip(found, expected, strict=True):
        where = (one["view"], one["place"], one["server"])
        assert one["answer"] == other["answer"], where
        assert other["answer"][0] != "500", where
        name = NAMES[agent].format(
            view=one["view"],
            place=one["place"],
            verb=one["verb"],
            method=one["handler"],
        )
        if agent == "newrelic" and one["view"] == "ItsPasswordChangeView":
            # Its decorator answers before any method that New Relic looks at.
            name = name.removesuffix(".get")
        assert one["names"] == [name], where
