"""The command line of the codemod: its options, its exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .files import BadInput, changed_in_git

__all__ = ["add_arguments", "main", "run"]

_DESCRIPTION = (
    "Turn views that are derived from Django's, or from django-async-extensions, into "
    "views of django-async-cbv. Shows a diff, and changes nothing without --write."
)
_BAD_INPUT = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of a command."""
    parser.add_argument(
        "paths", nargs="*", default=["."], metavar="PATHS", help="files and folders"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="change the files")
    mode.add_argument(
        "--check", action="store_true", help="exit with 1 if a file would change"
    )
    parser.add_argument(
        "--diff", action="store_true", help="print the changes; without another, so"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="convert only these classes or files: books.views.*, *List",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave these files and folders",
    )
    parser.add_argument(
        "--report", default="text", metavar="FORMAT", help="text, or json"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="how many processes read")
    parser.add_argument(
        "--force",
        action="store_true",
        help="write though git has changes in these files",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the codemod; return the exit code."""
    parser = argparse.ArgumentParser("async-convert", description=_DESCRIPTION)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(options: argparse.Namespace, out: Any = None, err: Any = None) -> int:
    """Do what the options say; return the exit code."""
    out, err = out or sys.stdout, err or sys.stderr
    try:
        return _run(options, out, err)
    except BadInput as error:
        err.write(f"{error}\n")
        return _BAD_INPUT
    except OSError as error:
        err.write(f"{error.filename or 'A file'} is not written: {error.strerror}.\n")
        return _BAD_INPUT


def _run(options: argparse.Namespace, out: Any, err: Any) -> int:
    if options.report not in ("text", "json"):
        raise BadInput(f"--report {options.report} is unknown. Write text or json.")
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"--jobs {options.jobs} starts no process. Write 1 or more.")
    if find_spec("libcst") is None:
        raise BadInput(
            "The codemod needs LibCST. Run `pip install 'django-async-cbv[convert]'`."
        )
    # Imported here, because these modules import LibCST.
    engine, report = (
        import_module(f"django_async_cbv.convert.{name}")
        for name in ("engine", "report")
    )
    paths = [Path(path).absolute() for path in options.paths]
    result = engine.convert(
        paths, only=options.only, exclude=options.exclude, jobs=options.jobs
    )
    if options.write:
        if result.changes and not options.force:
            _refuse_changed([change.source.path for change in result.changes])
        result.changes = engine.write(result.changes, result.findings.append)
    if options.report == "json":
        out.write(f"{report.as_json(result, written=options.write)}\n")
    else:
        if options.diff or not (options.write or options.check):
            for change in result.changes:
                out.write(change.diff)
        done = "converted" if options.write else "would be converted"
        for line in report.as_text(result, done):
            err.write(f"{line}\n")
    return int(bool(options.check and result.changes))


def _refuse_changed(files: list[Path]) -> None:
    changed = [*changed_in_git(files)]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise BadInput(
            f"git has changes that are not committed ({changed[0][3:]}{more}). Commit "
            "or stash them, or add `--force`."
        )
