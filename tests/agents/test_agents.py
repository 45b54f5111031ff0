"""Each view answers as without an agent, and the agent records it once, by name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.agents.tracers import AGENTS

# What each agent calls a request to a view.
NAMES = {
    "ddtrace": "tests.agents.urls.{view}",
    "newrelic": "WebTransaction/Function/tests.agents.urls:{view}.{handler}",
    "elasticapm": "{verb} tests.agents.urls.{view}",
    "sentry": "tests.agents.urls.{view}",
    # By its route.
    "opentelemetry": "{verb} {view}/{place}/",
}
# The same, of a request to a function that calls the view.
OF_FUNCTIONS = {
    "ddtrace": "tests.agents.urls.via_{view}",
    "newrelic": "WebTransaction/Function/tests.agents.urls:via_{view}",
    "elasticapm": "{verb} tests.agents.urls.via_{view}",
    "sentry": "tests.agents.urls.via_{view}",
    "opentelemetry": "{verb} by-function/{view}/{place}/",
}


def visit(agent: str, database: str) -> list[dict[str, Any]]:
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
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> list[dict[str, Any]]:
    return visit("no_agent", str(tmp_path_factory.mktemp("agents") / "db.sqlite3"))


def names_of(agent: str, one: dict[str, Any]) -> list[str]:
    """The names that an agent is to record for one visit."""
    name = NAMES[agent].format(**one)
    if agent == "newrelic" and one["view"] == "ItsPasswordChangeView":
        # Its decorator answers before any method that New Relic looks at.
        name = name.removesuffix(".get")
    if one["way"] == "by hand":
        # No request comes in. ddtrace looks at the view itself.
        return [name] if agent == "ddtrace" else []
    if one["way"] == "function":
        by_function = OF_FUNCTIONS[agent].format(**one)
        return [by_function, name] if agent == "ddtrace" else [by_function]
    return [name]


@pytest.mark.parametrize("agent", sorted(AGENTS.keys() - {"no_agent"}))
def test_each_view_answers_as_without_it_and_is_recorded_once(
    agent, expected, tmp_path
):
    found = visit(agent, str(tmp_path / "db.sqlite3"))
    for one, other in zip(found, expected, strict=True):
        where = [one[part] for part in ("view", "place", "verb", "way")]
        assert one["answer"] == other["answer"], where
        assert one["names"] == names_of(agent, one), where


def test_the_visits_are_of_every_kind(expected):
    """Else the pages that are compared could be all alike, or errors."""
    kinds = Counter(
        (one["way"], one["verb"], one["answer"]["status"]) for one in expected
    )
    for way in ("wsgi", "asgi", "atomic", "function", "by hand"):
        assert kinds[way, "GET", 200] >= (0 if way == "atomic" else 60), way
        # Of the forms, some are saved, and some are shown again with their errors.
        for verb, status in (("POST", 302), ("POST", 200), ("PUT", 200)):
            assert kinds[way, verb, status] >= 20, (way, verb, status)
    assert all(one["answer"]["status"] < 500 for one in expected)


def test_each_way_leads_to_the_same_answer(expected):
    first: dict[Any, str] = {}
    for one in expected:
        # A redirect to the login page names the URL that was asked for.
        answer = json.dumps(one["answer"]).replace("/by-function", "")
        if one["answer"]["status"] != 404:  # a page of Django's, if a server answers
            key = one["view"], one["place"]
            assert answer == first.setdefault(key, answer), one


def test_forms_that_are_valid_are_saved(expected):
    unchanged = expected[0]["answer"]["rows"]
    # Of the others, none is of a model.
    saving = re.compile(
        r"(Create|Update|Delete|ModelFormSet|InlineFormSet|WithInlines)View$"
    )
    for one in expected:
        saves = one["answer"]["status"] == 302 and saving.search(one["view"])
        assert (one["answer"]["rows"] != unchanged) is bool(saves), one
