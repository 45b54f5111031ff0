"""Fill the database, and see that all contenders do the same work; prints JSON.

    BENCHMARK_DATABASE='{"ENGINE": ..., "NAME": ...}' python -m benchmarks.prepare

Fails where a page of two contenders differs by a byte, or by a query, since then their
times say nothing. An optional contender that does not answer as the others do is left
out, and the reason printed.
"""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

# Before the models are imported.
django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from benchmarks.contenders import BASELINE, CONTENDERS, PAGES, Contender, Page  # noqa: E402
from benchmarks.data import fill  # noqa: E402
from benchmarks.urls import missing  # noqa: E402


def ask(contender: Contender, page: Page) -> tuple[bytes, int]:
    """Return the body of a page, and how many queries it took."""
    path = contender.path(page)
    with CaptureQueriesContext(connection) as queries:
        if contender.server == "uvicorn":
            # Called from sync code, so that its sync parts run here, in this thread and
            # on this connection.
            response = async_to_sync(AsyncClient().get)(path)
        else:
            response = Client().get(path)
    if response.status_code != 200:
        raise AssertionError(f"{path} answered {response.status_code}")
    return response.content, len(queries)


def compare(contender: Contender) -> None:
    """Raise AssertionError where a page is not what the baseline's is."""
    for page in PAGES.values():
        if contender.key not in page.contenders:
            continue
        expected, queries_expected = ask(CONTENDERS[BASELINE], page)
        body, queries = ask(contender, page)
        where = contender.path(page)
        if body != expected:
            raise AssertionError(f"{where} is not the page that {BASELINE} serves")
        if queries != queries_expected:
            raise AssertionError(
                f"{where} takes {queries} queries, {BASELINE} {queries_expected}"
            )


def main() -> None:
    """Fill, compare, and print who is missing and what each page is."""
    fill()
    for contender in CONTENDERS.values():
        if contender.key in missing:
            continue
        try:
            compare(contender)
        except Exception as error:
            if not contender.optional:
                raise
            missing[contender.key] = f"{type(error).__name__}: {error}"
    facts = {}
    for page in PAGES.values():
        body, queries = ask(CONTENDERS[BASELINE], page)
        facts[page.key] = {"bytes": len(body), "queries": queries}
    json.dump({"missing": missing, "pages": facts}, sys.stdout)


if __name__ == "__main__":
    main()
