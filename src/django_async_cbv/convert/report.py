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
            "{name} keeps Django's classes, because {detail}() is async under a "
            "sync name, and as_view() of this package would raise "
            "ImproperlyConfigured"
        ),
        (
            "rename it a{detail}() if that is a hook, change its callers, and convert "
            "again [async_cbv.E001]"
        ),
    ),
    "E002": (
        (
            "{name} keeps Django's classes, because {detail}() is sync under an "
            "async name, and as_view() of this package would raise "
            "ImproperlyConfigured"
        ),
        "give it another name, and convert again [async_cbv.E002]",
    ),
    "admin": (
        "{name} stays, because {detail}() of the admin calls it from sync code",
        "leave the class as it is, because the admin awaits nothing",
    ),
    "ambiguous": (
        "{name} stays, because {detail} may be another class than Django's",
        "import the class under a name that nothing else has, and convert again",
    ),
    "awaited-elsewhere": (
        "{name}() is awaited on another object than self",
        "if that is a view, await a{name}() of it",
    ),
    "base-stays": (
        "{name} keeps Django's classes, because its base {detail} keeps them",
        "convert {detail} first",
    ),
    "called": (
        "{name}: sync code calls the view that {detail}.as_view() returns",
        (
            "if a handler is `async def`, await it; `run_sync()` and `async_to_sync()`"
            " help"
        ),
    ),
    "expression": (
        "{name} keeps Django's classes: a base is an expression",
        "assign the base to a name, and convert again",
    ),
    "extension-hook": (
        ("{name} keeps django-async-extensions: {detail}() has no async variant here"),
        "read uses_datetime_field as Django's property, and convert again",
    ),
    "extension-import": (
        "This package has no replacement for {name} of django-async-extensions",
        "use Django's class, and `run_sync()` or `iterate()` where it queries",
    ),
    "extension-loose": (
        (
            "{name} keeps django-async-extensions, because no `await` is in front of "
            "{detail}()"
        ),
        ("await self.{detail}(), or rename it a{detail}() and the base class by hand"),
    ),
    "extension-name": (
        "{name} stays the class of django-async-extensions here",
        "convert the classes that are derived from it first",
    ),
    "extension-paginator": (
        "{name} keeps django-async-extensions, because it paginates with {detail}",
        "use Django's Paginator, which runs in the worker thread",
    ),
    "extension-sync": (
        (
            "{name} keeps django-async-extensions, because {detail}() is sync there "
            "and returns an awaitable"
        ),
        "make it `async def`, and convert again",
    ),
    "extension-test-func": (
        (
            "{name} keeps django-async-extensions: get_test_func() returns an async "
            "function"
        ),
        "override `async def atest_func()` instead",
    ),
    "family": (
        (
            "{name} keeps django-async-extensions, because {detail} keeps it and they "
            "share hooks"
        ),
        "convert {detail} first",
    ),
    "form-method": (
        "{name}() is a method of a form of django-async-extensions",
        (
            "write `await run_sync(form.save)` for asave(), `await ais_valid(form)` "
            "for ais_valid() and aerrors"
        ),
    ),
    "generated": (
        (
            "{name} stays, because the first lines of the file say that a program "
            "wrote it"
        ),
        "change the program that writes the file",
    ),
    "link": (
        "The file stays, because it is a link",
        "give the command the file that the link points to",
    ),
    "no-variant": (
        "{name} keeps Django's classes: {detail} has no async variant",
        "leave it, or use a base class that has an async variant",
    ),
    "shared-mixin": (
        "{name} stays, because {detail}, which stays too, shares it",
        "convert {detail}, or give each class a mixin of its own",
    ),
    "star-import": (
        "{name} stays, because {detail} may come from `import *`",
        "import the class by its name, and convert again",
    ),
    "sync-decorator": (
        (
            "{name}: {detail}() wraps the view in a sync function, so a worker thread "
            "waits"
        ),
        "let the decorator return an `async def` for async views",
    ),
    "sync-to-async": (
        "{name} keeps Django's classes: its async {detail}() calls sync_to_async()",
        (
            "derive it from the async class, and write `return await "
            "super().{detail}(...)`, or override a hook. Django's code then runs in "
            "one hop"
        ),
    ),
    "taken": (
        "{name} stays, because its {detail}() would become the override of a hook",
        "give it another name, or convert the class by hand if it is meant to",
    ),
    "third-party-base": (
        "{name} stays, because its base {detail} is a view of another package",
        "derive it from a view of this package and a mixin, or leave it",
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
        (
            "{name} keeps Django's classes, because Python makes its base {detail} at "
            "run time"
        ),
        "if it is a mixin, convert the class by hand",
    ),
    "unparsable": (
        "The file stays: Python cannot parse it ({detail})",
        "fix it, or run the codemod with the Python version of the project",
    ),
    "unreadable": (
        "The file stays: {detail}",
        "save it as UTF-8",
    ),
    "unseen-base": (
        (
            "{name} keeps Django's classes, because its base {detail} is in a package "
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
