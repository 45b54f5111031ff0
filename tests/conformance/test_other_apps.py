"""
Tests of Django's other apps that use its generic views, with ours in their place.

Django's autocomplete view becomes ours here, as it is derived from its generic views;
its login and password views, its access mixins and its messages mixin are swapped
for ours themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .judge import count
from .runs import ON_SQLITE, Runs

LABELS = (
    "admin_views.test_autocomplete_view",
    "async.tests.ViewTests",
    "auth_tests.test_mixins",
    "auth_tests.test_views",
    "messages_tests.test_mixins",
)
# What can't pass on a view that is always async, and why.
EXCEPTIONS = {
    "async.tests.ViewTests.test_base_view_class_is_sync": (
        "asserts that view_is_async is False, which AsyncView is not"
    ),
    "async.tests.ViewTests.test_views_are_correctly_marked": (
        "asserts that view_is_async is False for a view with sync handlers"
    ),
    "async.tests.ViewTests.test_mixed_views_raise_error": (
        "asserts that View.view_is_async refuses handlers of both colours"
    ),
    "async.tests.ViewTests.test_options_handler_responds_correctly": (
        "asserts that View.options() wraps its response in a coroutine in sync code"
    ),
    "async.tests.ViewTests.test_http_method_not_allowed_responds_correctly": (
        "asserts that View.http_method_not_allowed() wraps its response likewise"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def begun(run: Runs, asked_for: list[dict[str, Any]]) -> None:
    if ON_SQLITE:
        for params in asked_for:
            run.begin(params["colour"], "asgi", *LABELS)


@pytest.mark.skipif(not ON_SQLITE, reason="SQLite: enough for what is not the views'")
@pytest.mark.parametrize("colour", ["as-is", "lifted"])
def test_of_other_apps(
    run: Runs, record_property: Callable[..., None], colour: str
) -> None:
    report = run(colour, "asgi", *LABELS)

    failed = {test for test, end in report["outcomes"].items() if end == "failed"}

    expected = f"{len(EXCEPTIONS)} failures are expected, see {Path(__file__).name}"
    record_property(
        "conformance", f"{colour}, asgi, other apps: {count(report)} ({expected})"
    )
    new = failed - {*EXCEPTIONS}
    assert not new, "\n".join(
        text for text in report["failures"] if text.partition("\n")[0] in new
    )
    assert failed == {*EXCEPTIONS}
    assert not report["escaped"]
    assert report["requests"]["view called with ASGIRequest"] > 200
    overridden = {"test_func", "has_permission", "get_default_redirect_url", "get_user"}
    assert overridden <= {*report["hooks"]} or colour == "as-is"
