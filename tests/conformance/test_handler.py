"""
Tests of Django's own, on our ASGI handler and middleware in the place of Django's.

There is no list of exceptions. What passes on Django's handler has to pass on ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from .judge import count
from .runs import ON_SQLITE, Runs

LABELS = (
    "asgi",
    "handlers",
    "middleware",
    "middleware_exceptions",
    "csrf_tests",
    "sessions_tests",
    "messages_tests",
    "signals",
    "servers",
    "i18n.tests.LocaleMiddlewareTests",
    "i18n.tests.UnprefixedDefaultLanguageTests",
    "i18n.tests.CountrySpecificLanguageTests",
    "i18n.tests.MiscTests",
    "i18n.patterns",
    "conditional_processing",
    "requests_tests",
    "responses",
    "template_tests.test_response",
    "auth_tests.test_middleware",
    "auth_tests.test_decorators",
    "auth_tests.test_remote_user",
)
# Names of Django's that have to mean ours while the tests run.
SWAPPED = {
    "django.core.asgi.get_asgi_application",
    "django.core.handlers.asgi.ASGIHandler",
    "django.contrib.staticfiles.handlers.ASGIHandler",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.security.SecurityMiddleware",
}

# The longest first.
RUNS = (
    ("pool", "asgi"),
    ("django-bare", "asgi"),
    ("ours", "sync"),
    ("django", "asgi"),
    ("ours", "asgi"),
    ("async-chain", "asgi"),
)

pytestmark = pytest.mark.skipif(
    not ON_SQLITE, reason="SQLite: enough for what is not the database's"
)


@pytest.fixture(scope="module", autouse=True)
def begun(run: Runs) -> None:
    for handler, client in RUNS:
        run.begin_on_handler(handler, client, *LABELS)


def failed(report: dict[str, Any]) -> set[str]:
    return {test for test, end in report["outcomes"].items() if end == "failed"}


def skipped(report: dict[str, Any]) -> set[str]:
    return {
        test for test, end in report["outcomes"].items() if end.startswith("skipped")
    }


def by_label(report: dict[str, Any]) -> str:
    """How many tests of each app passed."""
    passed = Counter(
        test.partition(".")[0]
        for test, end in report["outcomes"].items()
        if end in ("passed", "expected failure")
    )
    return ", ".join(f"{app} {number}" for app, number in sorted(passed.items()))


def assert_as_good_as(report: dict[str, Any], of_django: dict[str, Any]) -> None:
    assert {*report["outcomes"]} == {*of_django["outcomes"]}
    assert skipped(report) == skipped(of_django)
    new = failed(report) - failed(of_django)
    assert not new, "\n".join(
        text for text in report["failures"] if text.partition("\n")[0] in new
    )


def assert_ours_was_used(report: dict[str, Any], *, sync_chain: bool = True) -> None:
    assert {*report["swapped"]} >= SWAPPED
    assert not report["escaped"]
    assert not report["noise"]
    assert {*report["middleware"]} >= {"SessionMiddleware", "CsrfViewMiddleware"}
    requests = report["requests"]
    # Others begin with a disconnect, or are no requests at all.
    assert requests["served by our handler"] >= requests["sent by a client"] > 50
    assert requests["answered by the async chain"] > 10
    assert (requests.get("answered by the sync chain", 0) > 10) == sync_chain


def test_as_django_runs_them(run: Runs, record_property: Callable[..., None]) -> None:
    """The sync client as it is: nothing at all fails."""
    report = run.on_handler("ours", "sync", *LABELS)

    record_property("conformance", f"our handler: {count(report)}")
    record_property("conformance", f"our handler, passed: {by_label(report)}")
    assert not report["failures"], "\n".join(report["failures"])
    assert len(report["outcomes"]) > 1500
    assert_ours_was_used(report)


@pytest.mark.parametrize("handler", ["ours", "async-chain"])
def test_with_clients_through_asgi(
    run: Runs, record_property: Callable[..., None], handler: str
) -> None:
    """
    The sync client as well goes through the ASGI handler, Django's and ours.

    Tests of what WSGI alone has, REMOTE_USER for one, fail on both.
    """
    of_django = run.on_handler("django", "asgi", *LABELS)
    report = run.on_handler(handler, "asgi", *LABELS)

    note = f"failed on Django's handler: {len(failed(of_django))}"
    record_property("conformance", f"{handler}, asgi: {count(report)} ({note})")
    assert_as_good_as(report, of_django)
    assert_ours_was_used(report, sync_chain=handler == "ours")
    assert report["requests"]["sent by a client"] > 500


def test_in_the_pool(run: Runs, record_property: Callable[..., None]) -> None:
    """No sync code waits for the event loop, so that requests get workers."""
    of_django = run.on_handler("django-bare", "asgi", *LABELS)
    report = run.on_handler("pool", "asgi", *LABELS)

    requests = report["requests"]
    leases = requests.get("leases that took a worker", 0)
    note = f"failed on Django's handler: {len(failed(of_django))}; {leases} leases"
    record_property("conformance", f"pool, asgi: {count(report)} ({note})")
    assert_as_good_as(report, of_django)
    assert_ours_was_used(report)
    assert leases >= requests["answered by the sync chain"] > 300
