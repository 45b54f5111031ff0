"""Say what of a run of Django's tests on our views was not as on Django's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["count", "differences", "problems", "unequal_overrides"]

# Twins that Django's tests have no use for, and why.
NEVER_CALLED = {
    "ProcessFormView.put": "no test sends a PUT to a form view",
    "DeletionMixin.post": "in each view of the tests BaseDeleteView.post() hides it",
}
# Twins whose Django function calls nothing but super(): lifted when an override
# stands behind them, as in the colour `lifted-behind`, and in no other.
LIFTED_FROM_BEHIND = {
    "SingleObjectTemplateResponseMixin.get_template_names",
    "MultipleObjectTemplateResponseMixin.get_template_names",
}
# Handlers whose body runs also where nothing is async, since they know only then
# which handler they call or what the form is, or need no hop for what they do.
ALWAYS_OURS = {
    "View.dispatch",
    "View.http_method_not_allowed",
    "View.options",
    "ProcessFormView.post",
    "BaseDeleteView.post",
    # They may save by async methods of forms and models.
    "FormMixin.form_valid",
    "ModelFormMixin.form_valid",
    "BaseDeleteView.form_valid",
    "DeletionMixin.delete",
    # It is known at run time what is formatted into the URL.
    "RedirectView.get_redirect_url",
    *(
        f"RedirectView.{method}"
        for method in ("get", "head", "post", "options", "delete", "put", "patch")
    ),
}
# Functions of Django's views that have no twin, and why.
UNTWINNED = {
    "View.__init__": "a constructor is not a hook",
    "View.setup": "stays sync; where it is overridden it runs in the worker",
    "View._allowed_methods": "looks at the class alone",
    "YearMixin._get_current_year": "arithmetic on a date; calls no hook",
    "YearMixin._get_next_year": "arithmetic on a date; calls no hook",
    "MonthMixin._get_current_month": "arithmetic on a date; calls no hook",
    "MonthMixin._get_next_month": "arithmetic on a date; calls no hook",
    "DayMixin._get_current_day": "arithmetic on a date; calls no hook",
    "DayMixin._get_next_day": "arithmetic on a date; calls no hook",
}


def count(report: dict[str, Any]) -> str:
    """How many tests ran, passed, were skipped, on one line."""
    outcomes = list(report["outcomes"].values())
    skipped = sum(outcome.startswith("skipped") for outcome in outcomes)
    failed = outcomes.count("failed")
    passed = len(outcomes) - skipped - failed
    return f"{len(outcomes)} run, {passed} passed, {failed} failed, {skipped} skipped"


def problems(
    report: dict[str, Any], of_django: dict[str, Any], colour: str, client: str
) -> Iterator[str]:
    """
    All that is wrong with the report of a run of ours.

    `of_django`: the report of the same tests on Django's own views.
    """
    yield from report["failures"]
    yield from differences("outcome", of_django["outcomes"], report["outcomes"])
    yield from (f"noise: {said}" for said in report["noise"])
    yield from (f"not swapped: {name}" for name in report["escaped"])
    yield from way_of_requests(report, of_django, client)
    untwinned = {*report["untwinned"]}
    yield from (f"has no twin: {name}" for name in untwinned - {*UNTWINNED})
    if colour == "as-is":
        # Nothing is async, so that all of it is one call of Django's own.
        lifted = {*report["bodies"]} - ALWAYS_OURS
        yield from (f"lifted: {name}" for name in lifted)
    elif colour in ("lifted", "lifted-async"):
        yield from lifting(report)
    elif colour == "lifted-behind":
        missing = LIFTED_FROM_BEHIND - {*report["bodies"]}
        yield from (f"not lifted: {name}" for name in missing)


def lifting(report: dict[str, Any]) -> Iterator[str]:
    """What of the twins was not called, or not lifted, where all of them are async."""
    twins = report["twins"]
    never = {name for name in twins if name not in report["reached"]}
    yield from (f"twin never called: {name}" for name in never - {*NEVER_CALLED})
    yield from (f"twin is called: {name}" for name in {*NEVER_CALLED} - never)
    unlifted = {name for name, has_body in twins.items() if has_body}
    unlifted -= {*report["bodies"], *NEVER_CALLED}
    unlifted |= {*report["unlifted"]}
    yield from (f"not lifted: {name}" for name in unlifted - LIFTED_FROM_BEHIND)
    yield from (f"lifted: {name}" for name in LIFTED_FROM_BEHIND - unlifted)


def way_of_requests(
    report: dict[str, Any], of_django: dict[str, Any], client: str
) -> Iterator[str]:
    """Whether as many requests were made, and took the way that they had to."""
    ours, djangos = report["requests"], of_django["requests"]
    sent = djangos["sent by the client"]
    wanted = {
        "sent by the client": sent,
        "answered by ASGIHandler": sent if client == "asgi" else 0,
    }
    got = {name: ours.get(name, 0) for name in wanted}
    yield from differences("requests", wanted, got)
    kind, other = "ASGIRequest", "WSGIRequest"
    if client == "sync":
        kind, other = other, kind
    if not ours.get(f"view called with {kind}"):
        yield f"no view was called with an {kind}"
    if number := ours.get(f"view called with {other}"):
        yield f"{number} views were called with an {other}"


def unequal_overrides(
    report: dict[str, Any], of_django: dict[str, Any]
) -> Iterator[str]:
    """
    Overrides that ran more or less often than Django's own views run them.

    `of_django`: the report of Django's views with the same overrides, sync.
    """
    ours, djangos = report["overrides"], of_django["overrides"]
    for test in sorted({*ours, *djangos}):
        counted = ours.get(test, {})
        # Handlers count only in the colours that override them.
        wanted = {
            hook: number
            for hook, number in djangos.get(test, {}).items()
            if hook in report["hooks"]
        }
        yield from differences(f"{test}: runs of an override", wanted, counted)


def differences(
    what: str, wanted: dict[str, Any], got: dict[str, Any]
) -> Iterator[str]:
    """Where two dictionaries differ."""
    for key in sorted({*wanted, *got}):
        if key not in wanted:
            yield f"{what}: {key}: {got[key]!r} is not of Django's"
        elif key not in got:
            yield f"{what}: {key}: {wanted[key]!r} is missing"
        elif wanted[key] != got[key]:
            yield f"{what}: {key}: Django's is {wanted[key]!r}, ours {got[key]!r}"
