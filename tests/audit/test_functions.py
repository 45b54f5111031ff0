"""What the audit finds in the source of a function."""

import sys
import time
from unittest import mock

import pytest

from django_async_cbv.audit.functions import blocking_calls
from tests.audit import local, services
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


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (local.of_a_module, "httpx.get"),
        (local.by_another_name, "httpx.get"),
        (local.of_a_function, "time.sleep"),
        (local.of_a_class, "httpx.Client"),
        (local.of_a_submodule, "urllib.urlopen"),
        (local.of_a_submodule_from_its_package, "urllib.urlopen"),
        (local.relative, "httpx.get"),
        (local.relative_to_a_module, "httpx.get"),
        (local.in_async_code, "time.sleep"),
        (local.not_there, "requests.get"),
        (local.not_there_from, "requests.Session"),
        (local.not_there_in_parts, "requests.get"),
    ],
)
def test_a_function_may_import_what_waits_itself(function, name):
    [found] = blocking_calls(function)
    assert found.name == name


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (local.of_a_module, "httpx.get"),
        (local.of_a_class, "httpx.Client"),
        (local.of_a_submodule, "urllib.urlopen"),
        (local.of_a_submodule_from_its_package, "urllib.urlopen"),
    ],
)
def test_nothing_is_imported_for_it(function, name):
    kept = {k: v for k, v in sys.modules.items() if not _is_gone(k)}
    had = {**vars(sys.modules["urllib"])}
    had.pop("request", None)
    with (
        mock.patch.dict(sys.modules, kept, clear=True),
        mock.patch.dict(vars(sys.modules["urllib"]), had, clear=True),
    ):
        before = {*sys.modules}
        [found] = blocking_calls(function)
        assert {*sys.modules} == before
    assert found.name == name


def _is_gone(module):
    return module.partition(".")[0] == "httpx" or module == "urllib.request"


@pytest.mark.parametrize(
    "function",
    [local.other_than_the_global, local.unknown, local.in_a_thread, local.nothing],
)
def test_other_imports_are_none(function):
    assert [*blocking_calls(function)] == []
