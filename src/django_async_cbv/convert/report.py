"""Say what was converted, and what was left and why, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .decide import Finding
from .engine import Result
from .files import shown

__all__ = ["REASONS", "SCHEMA_VERSION", "as_json", "as_text", "message"]

SCHEMA_VERSION = 1

# The text for each code: the fact with its consequence, then the fix.
REASONS = {
    "E001": (
        (
            "{name} keeps Django's classes: with ours, as_view() would refuse "
            "it, as {detail}() is async under the name of a sync method"
        ),
        (
            "rename it a{detail}() if that is a hook, change its callers, and "
            "convert again [async_cbv.E001]"
        ),
    ),
    "E002": (
        (
            "{name} keeps Django's classes: with ours, as_view() would refuse "
            "it, as {detail}() is sync under the name of an async hook"
        ),
        "give it another name, and convert again [async_cbv.E002]",
    ),
    "admin": (
        "{name} stays: {detail}() calls it from sync code, in the admin",
        "leave it: the admin awaits nothing",
    ),
    "ambiguous": (
        "{name} stays: {detail} may be something else than Django's class",
        ("import the class under a name that nothing else has, and convert again"),
    ),
    "awaited-elsewhere": (
        "{name}() is awaited on another object than self",
        "if that is a view, await a{name}() of it",
    ),
    "base-stays": (
        "{name} keeps Django's classes: its base {detail} does",
        "convert {detail} first",
    ),
    "called": (
        "{name}: sync code calls the view that {detail}.as_view() returns",
        (
            "if a handler is `async def`, await it; `run_sync()` and "
            "`async_to_sync()` help"
        ),
    ),
    "expression": (
        "{name} keeps Django's classes: a base is an expression",
        "name the base, and convert again",
    ),
    "extension-hook": (
        ("{name} keeps django-async-extensions: {detail}() has no async variant here"),
        "read uses_datetime_field as Django's property, and convert again",
    ),
    "extension-import": (
        ("{name} of django-async-extensions has nothing that is the same here"),
        ("use Django's class, and `run_sync()` or `iterate()` where it queries"),
    ),
    "extension-loose": (
        ("{name} keeps django-async-extensions: {detail}() is named and not awaited"),
        ("await self.{detail}(), or rename it a{detail}() and the base class by hand"),
    ),
    "extension-name": (
        "{name} stays the class of django-async-extensions here",
        "convert the classes that are derived from it first",
    ),
    "extension-paginator": (
        "{name} keeps django-async-extensions: it paginates with {detail}",
        "use Django's Paginator: its page is made in the worker thread",
    ),
    "extension-sync": (
        (
            "{name} keeps django-async-extensions: {detail}() is sync there and "
            "returns what callers await"
        ),
        "make it `async def`, and convert again",
    ),
    "extension-test-func": (
        (
            "{name} keeps django-async-extensions: get_test_func() returns an "
            "async function"
        ),
        "override `async def atest_func()` in its place",
    ),
    "family": (
        ("{name} keeps django-async-extensions: {detail} does, and they share hooks"),
        "convert {detail} first",
    ),
    "form-method": (
        "{name}() is the form's, of django-async-extensions",
        (
            "write `await run_sync(form.save)` for asave(), `await "
            "ais_valid(form)` for ais_valid() and aerrors"
        ),
    ),
    "generated": (
        "{name} stays: the first lines say that the file is generated",
        "change what generates it",
    ),
    "link": (
        "The file stays: it is a link",
        "name the file that it leads to",
    ),
    "no-variant": (
        "{name} keeps Django's classes: {detail} has no async variant",
        "leave it, or derive it from one that has",
    ),
    "shared-mixin": (
        "{name} stays: {detail}, which is not converted, shares it",
        "convert {detail}, or give each a mixin of its own",
    ),
    "star-import": (
        "{name} stays: {detail} may come by `import *`",
        "import the class by its name, and convert again",
    ),
    "sync-decorator": (
        (
            "{name}: {detail}() wraps the view in a sync function, so a worker "
            "thread waits"
        ),
        "let the decorator return an `async def` for async views",
    ),
    "sync-to-async": (
        ("{name} keeps Django's classes: its async {detail}() calls sync_to_async()"),
        (
            "derive it from our class, and write `return await "
            "super().{detail}(...)`, or override a hook: Django's code runs in "
            "one hop by itself"
        ),
    ),
    "taken": (
        "{name} stays: its {detail}() would become the override of a hook",
        ("give it another name, or convert the class by hand if it is meant to"),
    ),
    "third-party-base": (
        "{name} stays: its base {detail} is a view of another package",
        "derive it from our view and a mixin, or leave it",
    ),
    "type-call": (
        "type() makes a class of {name}, which stays Django's",
        "write a class statement, and convert again",
    ),
    "unchangeable": (
        "The file stays: {detail}",
        "change it by hand",
    ),
    "unknown-base": (
        ("{name} keeps Django's classes: its base {detail} is made at run time"),
        "if it is a mixin, convert the class by hand",
    ),
    "unparsable": (
        "The file stays: Python cannot parse it ({detail})",
        "mend it, or run the codemod with the Python that it is written for",
    ),
    "unreadable": (
        "The file stays: {detail}",
        "save it as UTF-8",
    ),
    "unseen-base": (
        (
            "{name} keeps Django's classes: its base {detail} is in a package "
            "that is not installed here, and may be a view"
        ),
        "run the codemod in the environment of the project",
    ),
}


def message(finding: Finding) -> str:
    """What is said of one finding, with its fix."""
    said, fix = REASONS[finding.code]
    words = {"name": finding.name, "detail": finding.detail}
    fix = fix.format(**words)
    return f"{said.format(**words)}. {fix[0].upper()}{fix[1:]}.".replace("].", "]")


def as_text(result: Result, done: str) -> Iterator[str]:
    """The lines of the report; `done` says what was done to the files."""
    for finding in result.findings:
        yield f"{shown(finding.path)}:{finding.line}: {message(finding)}"
    count = sum(len(change.converted) for change in result.changes)
    if count:
        files = len(result.changes)
        yield (
            f"{count} place{'s' * (count != 1)} in {files} file{'s' * (files != 1)} "
            f"{done}. Sort the imports with your own tool: `ruff check --select I "
            "--fix`, or isort."
        )
    else:
        yield "Nothing to convert."


def as_json(result: Result, *, written: bool) -> str:
    """The report for programs."""
    document = {
        "version": SCHEMA_VERSION,
        "written": written,
        "files": [
            {
                "path": shown(change.source.path),
                "diff": change.diff,
                "converted": [
                    {"line": line, "name": name, "to": made}
                    for line, name, made in change.converted
                ],
            }
            for change in result.changes
        ],
        "findings": [
            {
                "path": shown(one.path),
                "line": one.line,
                "code": one.code,
                "name": one.name,
                "message": message(one),
            }
            for one in result.findings
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
