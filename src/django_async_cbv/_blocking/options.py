"""The settings of the detector and of the header `Server-Timing`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..core.problems import Problem

__all__ = ["Options", "blocking_options", "timing_option", "wrong_settings"]

_BLOCKING, _TIMING = "ASYNC_CBV_BLOCKING", "ASYNC_CBV_SERVER_TIMING"


class Options(NamedTuple):
    """What `ASYNC_CBV_BLOCKING` may have, and the defaults."""

    #: Seconds for which the event loop may be late.
    threshold: float = 0.1
    #: Seconds until the same line is logged again.
    repeat_after: float = 60.0


def blocking_options() -> Options | None:
    """The options that the settings name; None if they name none."""
    _refuse(_wrong_blocking())
    given = getattr(settings, _BLOCKING, None)
    return None if given is None else Options(**given)


def timing_option() -> Callable[[Any], object] | None:
    """What decides on the header of a response; None if no response gets it."""
    _refuse(_wrong_timing())
    given = _timing()
    if given is None:
        given = settings.DEBUG
    if isinstance(given, bool):
        return _always if given else None
    return given  # type: ignore[no-any-return]


def wrong_settings() -> Iterator[Problem]:
    """What is wrong with the settings."""
    yield from _wrong_blocking()
    yield from _wrong_timing()


def _always(_: Any) -> bool:
    return True


def _timing() -> Any:
    given = getattr(settings, _TIMING, None)
    return import_string(given) if isinstance(given, str) else given


def _refuse(found: Iterator[Problem]) -> None:
    for problem in found:
        raise ImproperlyConfigured(str(problem))


def _wrong_blocking() -> Iterator[Problem]:
    given = getattr(settings, _BLOCKING, None)
    if given is None:
        return
    if not isinstance(given, dict):
        yield _problem(
            f"{_BLOCKING} is not a dictionary", 'Write `{"threshold": 0.1}` or `None`'
        )
        return
    for name, value in given.items():
        if name not in Options._fields:
            near = get_close_matches(str(name), Options._fields, 1, 0.0)[0]
            yield _problem(f"{_BLOCKING} has no option {name!r}", f'Write `"{near}"`')
        elif not _is_positive(value):
            default = Options._field_defaults[name]
            yield _problem(
                f"{_BLOCKING}[{name!r}] is {value!r}, which is not a number of seconds "
                "above 0",
                f'Write `"{name}": {default:g}`',
            )


def _is_positive(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 < value < math.inf
    )


def _wrong_timing() -> Iterator[Problem]:
    try:
        given = _timing()
    except ImportError as error:
        yield _problem(
            f"{_TIMING} can't be imported: {error}",
            "Write the dotted path of a function that takes the request, for example "
            f'`{_TIMING} = "books.timing.is_shown"`',
        )
        return
    if given is not None and not isinstance(given, bool) and not callable(given):
        yield _problem(
            f"{_TIMING} is {given!r}, which is not a function",
            "Write `True`, `False` or a function that takes the request",
        )


def _problem(what: str, fix: str) -> Problem:
    return Problem(
        "async_cbv.E015",
        f"{what}. The application does not start",
        f"{fix}.",
        ("settings",),
    )
