"""What the audit finds in the source of a function."""

import time

import pytest

from django_async_cbv.audit.functions import blocking_calls
from tests.audit import services
from tests.audit.services import fetch


def direct():
    time.sleep(1)


def imported():
    return fetch()


def by_module():
    return services.fetch_by_client()


def again():
    return services.fetch_again()


async def awaited():
    await services.pause()


def nothing():
    return services.compute()


@pytest.mark.parametrize(
    ("function", "name", "where"),
    [
        (direct, "time.sleep", direct),
        (imported, "httpx.get", fetch),
        (by_module, "httpx.Client", services.fetch_by_client),
        (again, "urllib.urlopen", services.fetch_again),
        (awaited, "time.sleep", services.pause),
    ],
)
def test_a_call_that_waits_is_found_where_it_is_written(function, name, where):
    [found] = blocking_calls(function)
    code = where.__code__
    assert (found.name, found.file) == (name, code.co_filename)
    assert code.co_firstlineno < found.line <= code.co_firstlineno + 2


@pytest.mark.parametrize("value", [nothing, [], {}, 1, "text", list, print, object()])
def test_other_calls_are_none(value):
    assert [*blocking_calls(value)] == []
