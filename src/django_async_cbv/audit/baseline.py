"""Compare a report with one that was saved: only what is new or worse counts."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .report import Entry, Report, Row

__all__ = ["BadBaseline", "Finding", "findings", "load", "save"]

VERSION = 1
_KINDS = ("held", "sync-middleware", "unknown")


class BadBaseline(Exception):  # noqa: N818 - it reads as what it is
    """A file that is no baseline, or one of another version."""


@dataclass(frozen=True)
class Finding:
    """What a run fails for."""

    text: str
    file: str = ""
    line: int = 0


def findings(
    found: Report,
    *,
    max_hops: int | None = None,
    fail_on: Collection[str] = (),
    against: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """
    What goes over a limit; with a baseline, as far as it is new or worse.

    With a limit or a baseline, a failed import always counts, because no limit is kept
    by views that nobody sees.
    """
    old = {} if against is None else against["entries"]
    result = []
    is_limited = max_hops is not None or bool(fail_on) or against is not None
    for row in found.rows:
        if row.is_failed:
            if is_limited:
                name = row.route or row.urlconf
                text = row.entries[0].reasons[0].text
                result.append(Finding(f"{name} cannot be imported: {text}"))
            continue
        for entry in row.entries:
            for method in entry.methods:
                key = _key(row, method)
                result += [
                    Finding(
                        f"{row.route} {row.view} {method}: {text}", row.file, row.line
                    )
                    for text in _worse(
                        entry,
                        old.get(key),
                        max_hops=max_hops,
                        fail_on=fail_on,
                        has_baseline=against is not None,
                    )
                ]
    if "sync-middleware" in fail_on:
        known = [] if against is None else against["middleware"]
        result += [
            Finding(f"{layer.path} is sync: a thread waits in it for each async view")
            for layer in found.stock.layers
            if layer.kind == "sync only" and layer.path not in known
        ]
    return result


def _worse(
    entry: Entry,
    old: Mapping[str, Any] | None,
    *,
    max_hops: int | None,
    fail_on: Collection[str],
    has_baseline: bool,
) -> Iterator[str]:
    most = math.inf if entry.high is None and entry.low is not None else entry.high
    if most is not None:
        said = (
            "no limit" if most == math.inf else f"{most} hop{'' if most == 1 else 's'}"
        )
        before = None if old is None else old["high"]
        if old is not None and before is None and old["low"] is not None:
            before = math.inf
        if before is not None:
            if most > before:
                yield f"{said}, {before} in the baseline"
        elif max_hops is not None and most > max_hops:
            if most < math.inf:
                yield f"{said}, at most {max_hops} allowed"
            else:
                yield (
                    "the number of its hops has no known limit, at most "
                    f"{max_hops} allowed. To accept it, use `--save`"
                )
    for kind in _KINDS:
        is_here = entry.has(kind) or (kind == "unknown" and entry.has("failed"))
        if not is_here or (old is not None and kind in old["has"]):
            continue
        # A handler that was fine is worse now, and fails the command without --fail-on.
        if kind in fail_on or (has_baseline and old is not None):
            texts = [one.text for one in entry.reasons if one.kind in {kind, "failed"}]
            yield f"{kind}: {texts[0]}"


def _key(row: Row, method: str) -> str:
    # Without line numbers, because lines move.
    return f"{row.urlconf} {row.route} {row.view} {method}"


def save(found: Report, path: str) -> None:
    """Write what a later run is compared with."""
    entries = {
        _key(row, method): {
            "low": entry.low,
            "high": entry.high,
            "has": [
                kind
                for kind in _KINDS
                if entry.has(kind) or (kind == "unknown" and entry.has("failed"))
            ],
        }
        for row in found.rows
        for entry in row.entries
        for method in entry.methods
    }
    layers = [one.path for one in found.stock.layers if one.kind == "sync only"]
    text = json.dumps(
        {"version": VERSION, "entries": entries, "middleware": layers},
        indent=1,
        sort_keys=True,
    )
    Path(path).write_text(f"{text}\n", encoding="utf-8")


def load(path: str) -> Mapping[str, Any]:
    """Read what save() has written; raise BadBaseline for anything else."""
    try:
        read: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadBaseline(f"{path} can't be read: {error.strerror}") from None
    except ValueError:
        raise BadBaseline(f"{path} is not JSON") from None
    version = read.get("version") if isinstance(read, dict) else None
    if version != VERSION:
        raise BadBaseline(
            f"{path} has version {version}, and this command reads {VERSION}"
        )
    return read  # type: ignore[no-any-return]  # one that save() has written
