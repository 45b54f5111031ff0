"""What the audit finds in the source of a function."""

import re
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from django_async_cbv.audit.functions import _WAITS, blocking_calls
from django_async_cbv.audit.report import _waiting_calls
from tests.audit import local, mails, services
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


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (mails.by_function, "send_mail"),
        (mails.by_module, "send_mass_mail"),
        (mails.to_admins, "mail_admins"),
        (mails.to_managers, "mail_managers"),
        (mails.at_once, "EmailMessage.send"),
        (mails.by_name, "EmailMessage.send"),
        (mails.by_one_of_two, "EmailMessage.send"),
        (mails.by_subclass, "EmailMessage.send"),
        (mails.by_local_class, "EmailMessage.send"),
        (mails.in_async_code, "send_mail"),
    ],
)
def test_an_email_waits_for_its_server(function, name):
    [found] = blocking_calls(function)
    assert found.name == f"django.core.mail.{name}"


@pytest.mark.parametrize(
    "function",
    [mails.writes_only, mails.sends_something_else, mails.may_send_something_else],
)
def test_other_methods_send_no_email(function):
    assert [*blocking_calls(function)] == []


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (local.of_a_module, "httpx.get waits in a thread: worth async"),
        (
            local.in_async_code,
            "time.sleep blocks the event loop; await asyncio.sleep() instead",
        ),
        (
            mails.by_function,
            "django.core.mail.send_mail waits in a thread: Django has no async mail",
        ),
        (
            mails.in_async_code,
            "django.core.mail.send_mail blocks the event loop; use run_sync()",
        ),
    ],
)
def test_the_advice_is_what_can_be_done(function, said):
    assert [one.text for one in _waiting_calls(function)] == [said]


def test_the_page_names_each_call():
    page = (Path(__file__).parents[2] / "docs/how-to/tools/audit.md").read_text()
    for module, names in _WAITS.items():
        [row] = [one for one in page.splitlines() if one.startswith(f"| `{module}` |")]
        assert {*re.findall(r"`(\w+)\(\)`", row)} == names
