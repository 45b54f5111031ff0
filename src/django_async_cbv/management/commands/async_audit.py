"""The command `manage.py async_audit`: each route, its hops, and why."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ...audit.baseline import BadBaseline, Finding, findings, load, save
from ...audit.formats import FORMATS, annotation, measured, rows_as_text, written
from ...audit.measure import CantMeasure, Measured, measure
from ...audit.report import Report, chosen, report

_FAIL_ON = ("held", "sync-middleware", "unknown")


class Command(BaseCommand):
    """Print what each route costs, without calling a view."""

    help = "Prints the hops of each routed view and middleware, and the reasons."
    # No checks, because a project in the middle of a change has errors.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        add = parser.add_argument
        add(
            "--urlconf",
            action="append",
            default=[],
            metavar="MODULE",
            help="another URLconf to look at; may be given several times",
        )
        add(
            "--format",
            default="text",
            metavar="FORMAT",
            help=f"one of {', '.join(FORMATS)}",
        )
        add(
            "--json",
            action="store_const",
            dest="format",
            const="json",
            help="the same as --format json",
        )
        add(
            "--view",
            metavar="PATTERN",
            help="only routes, names or dotted views that match, such as 'shop.*'",
        )
        add("--app", metavar="LABEL", help="only the views of an app")
        add("--sort", default="route", metavar="ORDER", help="route or hops")
        add("--only", metavar="problems", help="problems: only routes that have some")
        add("--max-hops", metavar="N", help="fail if a view may cost more hops")
        add(
            "--fail-on",
            metavar="KINDS",
            default="",
            help=f"fail for these, with commas between: {', '.join(_FAIL_ON)}",
        )
        add("--save", metavar="FILE", help="write a baseline to a file")
        add(
            "--against",
            metavar="FILE",
            help="fail only for what is new or worse than in a baseline",
        )

        add(
            "--measure",
            action="append",
            default=[],
            metavar="URL",
            help="serve a URL, print its route and hops; may be given several times",
        )
        add(
            "--method", default="GET", metavar="NAME", help="of --measure: GET or other"
        )
        add("--user", metavar="NAME", help="of --measure: who is logged in")
        add(
            "--force",
            action="store_true",
            help="of --measure: with DEBUG = False too, where a view may send mail",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the report; exit 1 if a limit is exceeded, 2 for a bad option."""
        limit, fail_on = _limits(options)
        _refuse_unknown(options)
        against = None
        if options["against"]:
            try:
                against = load(options["against"])
            except BadBaseline as error:
                fix = f"Write it again: `--save {options['against']}`"
                raise _bad(f"{error}. {fix}.") from None
        whole = report(options["urlconf"])
        _refuse_unmatched(whole, options["view"])
        if options["measure"]:
            self._measure(whole, options)
        else:
            shown = chosen(
                whole,
                view=options["view"],
                app=options["app"],
                only_problems=options["only"] == "problems",
                by_hops=options["sort"] == "hops",
            )
            self.stdout.write(written(shown, options["format"], self._style))
        if options["save"]:
            try:
                save(whole, options["save"])
            except OSError as error:
                name = options["save"]
                raise _bad(
                    f"--save {name}: {error.strerror}. Name another file."
                ) from None
        found = findings(whole, max_hops=limit, fail_on=fail_on, against=against)
        if found:
            self._fail(found, options["format"])

    def _measure(self, whole: Report, options: dict[str, Any]) -> None:
        """Print the routes of some requests, and the hops of each request."""
        found = [self._measured(whole, url, options) for url in options["measure"]]
        rows = [
            row
            for row in whole.rows
            if row.is_failed or any(row is one.row for one in found)
        ]
        shown = replace(whole, rows=rows)
        if options["format"] != "text":
            self.stdout.write(written(shown, options["format"], self._style))
        elif rows:
            self.stdout.write(rows_as_text(shown, self._style))
        for one in found:
            if options["format"] == "text":
                self.stdout.write(measured(one))
            else:
                # The output is for a program, such as a parser of JSON.
                self.stderr.write(measured(one), str)

    def _measured(self, whole: Report, url: str, options: dict[str, Any]) -> Measured:
        if not (settings.DEBUG or options["force"]):
            raise _bad(
                f"--measure {url}: DEBUG is False, and the view may send mail. To run "
                "it all the same, add `--force`."
            )
        try:
            return measure(whole, url, options["method"].upper(), options["user"])
        except CantMeasure as error:
            raise _bad(f"--measure {url}: {error}") from None

    def _style(self, name: str, text: str) -> str:
        styled: str = getattr(self.style, name)(text)
        return styled

    def _fail(self, found: list[Finding], form: str) -> None:
        if form == "github":
            lines = [
                annotation("error", one.text, one.file, one.line, "async_audit")
                for one in found
            ]
            self.stdout.write("\n".join(lines))
        lines = [one.text for one in found]
        raise CommandError("\n".join(lines), returncode=1)


def _bad(text: str) -> CommandError:
    return CommandError(text, returncode=2)


def _limits(options: dict[str, Any]) -> tuple[int | None, list[str]]:
    limit = None
    if options["max_hops"] is not None:
        text = str(options["max_hops"])
        if not text.isdecimal():
            raise _bad(f"--max-hops {text} is not a number of hops. Write 0 or more.")
        limit = int(text)
    kinds = [one.strip() for one in options["fail_on"].split(",") if one.strip()]
    for one in kinds:
        _among("--fail-on", one, _FAIL_ON)
    return limit, kinds


def _refuse_unknown(options: dict[str, Any]) -> None:
    _among("--format", options["format"], FORMATS)
    _among("--sort", options["sort"], ("route", "hops"))
    if options["only"] is not None:
        _among("--only", options["only"], ("problems",))
    if options["app"] is not None:
        labels = sorted(one.label for one in apps.get_app_configs())
        _among("--app", options["app"], labels)
    for one in options["urlconf"]:
        try:
            is_there = find_spec(one) is not None
        except (ImportError, ValueError):
            is_there = False
        if not is_there:
            raise _bad(
                f"--urlconf {one} is not a module. Write its import path, for example "
                "`--urlconf mysite.urls`."
            )


def _among(option: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise _bad(f"{option} {given} is unknown. Write one of {', '.join(known)}.")


def _refuse_unmatched(whole: Report, pattern: str | None) -> None:
    # The views of a failed import may match, and the report shows the failed import.
    if pattern is None or any(
        row.is_failed or row.matches(pattern) for row in whole.rows
    ):
        return
    wider = f"*{pattern.strip('*')}*"
    if pattern == wider or not wider.strip("*"):
        fix = "Write a part of a name that `async_audit` shows without `--view`."
    else:
        fix = f"Write for example `--view '{wider}'`."
    raise _bad(f"--view {pattern} matches no route, name or view. {fix}")
