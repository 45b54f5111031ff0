"""Each module of the package has its tests where a reader looks for them.

`tests/views/test_plain.py` has those of `views/_plain.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import django_async_cbv

TESTS = Path(__file__).parent
SOURCES = Path(django_async_cbv.__file__).parent

# A module whose tests are in a file of another name, and why.
ELSEWHERE = {
    "_blocking/options.py": ("checks/test_settings.py", "a check reads them first"),
    "_testing/blocking.py": ("test_forbid_blocking.py", "users know this part alone"),
    "_testing/blocks.py": ("test_forbid_blocking.py", "a table of what blocks"),
    "_testing/calls.py": ("test_forbid_blocking.py", "a call is found, or not"),
    "_testing/dropped.py": ("test_testing.py", "users import it from `testing`"),
    "_testing/hops.py": ("test_testing.py", "users import it from `testing`"),
    "_testing/loops.py": ("test_forbid_blocking.py", "whose loop a call blocks"),
    "_testing/stacks.py": ("test_forbid_blocking.py", "a message names the line"),
    "_testing/streams.py": ("test_testing.py", "users import it from `testing`"),
    "apps.py": ("checks/test_views.py", "it registers the checks"),
    "asgi.py": ("serve/test_handler.py", "it makes this handler"),
    "audit/baseline.py": ("audit/test_command.py", "an option of the command"),
    "audit/formats.py": ("audit/test_command.py", "an option of the command"),
    "audit/paths.py": ("audit/test_hops.py", "it reads the hops of a source"),
    "audit/places.py": ("audit/test_hops.py", "it reads the hops of a source"),
    "audit/report.py": ("audit/test_command.py", "what the command prints"),
    "audit/routes.py": ("audit/test_command.py", "an option of the command"),
    "channels/base.py": ("channels/contract.py", "what each channel has to do"),
    "channels/fanout.py": ("channels/contract.py", "what each channel has to do"),
    "channels/postgres/apps.py": ("channels/test_postgres.py", "one app, one file"),
    "channels/postgres/channel.py": ("channels/test_postgres.py", "one app, one file"),
    "channels/postgres/models.py": ("channels/test_postgres.py", "one app, one file"),
    "convert/__main__.py": ("convert/test_cli.py", "a line that calls main()"),
    "convert/edits.py": ("convert/test_decide.py", "a decision shows as an edit"),
    "convert/engine.py": ("convert/test_source.py", "it converts a whole source"),
    "convert/facts.py": ("convert/test_decide.py", "a decision rests on facts"),
    "convert/files.py": ("convert/test_cli.py", "which files the command takes"),
    "convert/library.py": ("convert/test_decide.py", "a decision rests on facts"),
    "convert/names.py": ("convert/test_decide.py", "a decision rests on names"),
    "convert/report.py": ("convert/test_cli.py", "what the command prints"),
    "core/callers.py": ("core/test_problems.py", "a problem depends on who calls"),
    "core/colours.py": ("views/test_function.py", "a view answers on both sides"),
    "core/connections.py": ("serve/test_pool.py", "a pool keeps or closes them"),
    "core/crossing.py": ("serve/test_pool.py", "a job for a thread of a pool"),
    "core/executors.py": ("serve/test_pool.py", "a pool has an executor"),
    "core/foreign.py": ("core/test_reading.py", "what a queryset may run"),
    "core/guards.py": ("auth/test_mixins.py", "it guards who may see a view"),
    "core/handlers.py": ("views/test_base.py", "each view has handlers"),
    "core/hooks.py": ("core/test_twins.py", "each hook is compared with Django's"),
    "core/marks.py": ("core/test_twins.py", "each twin has a mark"),
    "core/naming.py": ("test_trace.py", "a hop has the name of its code"),
    "core/source.py": ("core/test_problems.py", "a message names file and line"),
    "core/steps.py": ("core/test_reading.py", "to read a queryset takes steps"),
    "core/threads.py": ("test_sync.py", "what run_sync() does"),
    "core/transactions.py": ("test_db.py", "what aatomic() does"),
    "core/typing.py": ("typing/test_checkers.py", "types alone"),
    "core/validation.py": ("test_forms.py", "what ais_valid() does"),
    "management/commands/async_audit.py": ("audit/test_command.py", "the command"),
    "management/commands/async_convert.py": ("convert/test_cli.py", "the command"),
    "serve/signals.py": ("serve/test_handler.py", "the handler sends signals"),
    "views/_django.py": ("views/test_function.py", "Django's classes, typed"),
    "views/_limits.py": ("views/test_streaming.py", "one stream, one file"),
    "views/_newer.py": ("test_forms.py", "what ais_valid() does, in Django's post()"),
    "views/_pump.py": ("views/test_streaming.py", "one stream, one file"),
    "views/_shutdown.py": ("views/test_streaming.py", "one stream, one file"),
    "views/_stream_response.py": ("views/test_streaming.py", "one stream, one file"),
}
# Folders of tests that are of no module: what each tries goes through many.
ACROSS = {
    "agents": "each view, under tracing agents",
    "browser": "pages and streams, in a real browser",
    "conformance": "Django's own tests, on our views",
    "ecosystem": "mixins and test suites of other packages",
    "example": "the example site",
    "faults": "clients, servers and databases that go away",
    "served": "the commands of the page on servers, and sessions under load",
    "streams": "streams on each server",
    "typing": "what type checkers see",
}


def own_tests(module: str) -> str:
    """The path of the tests of a module, below `tests/`."""
    path = Path(module)
    return str(path.with_name(f"test_{path.name.lstrip('_')}"))


MODULES = sorted(
    str(path.relative_to(SOURCES))
    for path in SOURCES.rglob("*.py")
    if path.name != "__init__.py" and path.parent.name != "migrations"
)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_its_tests(module):
    has_own = (TESTS / own_tests(module)).exists()
    assert has_own != (module in ELSEWHERE), own_tests(module)
    if not has_own:
        tests, reason = ELSEWHERE[module]
        assert (TESTS / tests).exists()
        assert reason


def test_no_module_of_the_list_is_gone():
    assert ELSEWHERE.keys() <= {*MODULES}


def test_each_folder_of_tests_is_one_of_the_package_or_goes_across():
    folders = {
        path.relative_to(TESTS).parts[0]
        for path in TESTS.rglob("test_*.py")
        if path.parent != TESTS
    }
    packages = {path.parent.name for path in SOURCES.glob("*/__init__.py")}
    assert folders - packages == ACROSS.keys()
