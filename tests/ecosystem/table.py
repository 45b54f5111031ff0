"""The table of the docs: what the cases have measured, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from itertools import groupby

import django

from tests.ecosystem.trying import Case, Outcome

__all__ = ["as_markdown"]

HELD = "A worker thread waits while the async hook awaits."


def result(case: Case, ours: Outcome, awaiting: Outcome) -> str:
    if case.refused:
        when = "each request fails" if ours.is_routed else "the site does not start"
        return f"{when}: “{case.refused}”"
    is_noted = case.note or awaiting.held
    return "works, with a note" if is_noted else "works as it is"


def notes(case: Case, ours: Outcome, awaiting: Outcome) -> str:
    said = [case.note]
    if awaiting.held and not case.refused:
        said.append(HELD)
    if case.middleware:
        number = {0: "no hop", 1: "1 hop"}.get(ours.added, f"{ours.added} hops")
        said.append(f"The middleware adds {number} to a request.")
    return " ".join(filter(None, said))


def heading(package: str) -> str:
    if package == "Django":
        # Each release of it is tested elsewhere.
        return "## Django " + ".".join(map(str, django.VERSION[:2]))
    return f"## {package} {version(package)}"


def as_markdown(rows: Iterable[tuple[Case, tuple[Outcome, Outcome]]]) -> str:
    """A section for each package, a row for each case."""
    lines = []
    # Django first.
    rows = sorted(rows, key=lambda row: (row[0].package != "Django", row[0].package))
    for package, of_package in groupby(rows, lambda row: row[0].package):
        lines += [
            "",
            heading(package),
            "",
            "| | result | hops | with an async hook | note |",
            "|---|---|---|---|---|",
        ]
        for case, (ours, awaiting) in of_package:
            hops, more = "", ""
            if not case.refused:
                hops, more = str(ours.hops), f"{awaiting.hops} (`{case.hook}`)"
            lines.append(
                "| {} | {} | {} | {} | {} |".format(
                    case.what.replace("|", r"\|"),
                    result(case, ours, awaiting),
                    hops,
                    more,
                    notes(case, ours, awaiting),
                )
            )
    return "\n".join([*lines, ""])
