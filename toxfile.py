"""Say, one line each, what a run of tox has tested, what it has skipped, and why.

tox loads this file by its name. Its own report says `SKIP` for an environment, and
nothing of the tests that an environment has skipped.
"""

from __future__ import annotations

import atexit
import re
import runpy
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tox.plugin import impl
from tox.tox_env.errors import Skip

if TYPE_CHECKING:
    from tox.session.state import State
    from tox.tox_env.api import ToxEnv

ROOT = Path(__file__).parent
# How many failures of an environment are named.
MOST = 10
# When the commands of each environment began, and how they ended.
began: dict[str, float] = {}
ended: dict[str, int] = {}


@impl
def tox_add_core_config(state: State) -> None:
    """Print the lines below tox's own report."""
    if state.conf.options.command in {"run", "run-parallel", "legacy"}:
        atexit.register(tell, state)


@impl
def tox_before_run_commands(tox_env: ToxEnv) -> None:
    """Tell reports of this run from those of another."""
    # The time of a file lags behind the clock by a moment.
    began[tox_env.name] = time.time() - 1


@impl
def tox_after_run_commands(tox_env: ToxEnv, exit_code: int) -> None:
    """Note how an environment has ended."""
    ended[tox_env.name] = exit_code


def tell(state: State) -> None:
    """Print what was tested, and what was skipped."""
    names = list(state.envs.iter())
    if not ended or len(names) < 2:
        return
    tested, skipped = [], []
    reasons: Counter[str] = Counter()
    for name in names:
        if name in ended:
            end = "failed" if ended[name] else "passed"
            failures: list[str] = []
            found = counts(name, reasons, failures)
            tested.append("; ".join([f"{name}: {end}", *found]))
            tested += [f"  {one}" for one in failures[:MOST]]
            if (more := len(failures) - MOST) > 0:
                tested.append(f"  and {more} more")
        elif has_python(state.envs[name]):
            tested.append(f"{name}: failed before its first test")
        else:
            [base] = state.envs[name].conf["base_python"]
            python = re.sub(r"^py(?:thon)?(\d)\.?(\d+)$", r"Python \1.\2", base)
            skipped.append(f"{name}: this machine has no {python}")
    for why, number in reasons.most_common():
        skipped.append(f"{number} test{'s'[: number - 1]}: {why}")
    print("\nWhat was tested:", *tested, sep="\n  ")
    print("What was skipped, and why:", *(skipped or ["nothing"]), sep="\n  ")


def has_python(tox_env: ToxEnv) -> bool:
    """Whether tox has made the environment, or could not for want of an interpreter."""
    try:
        return Path(tox_env.conf["env_python"]).exists()
    except Skip:  # without tox-uv
        return False


def counts(name: str, reasons: Counter[str], failures: list[str]) -> list[str]:
    """The tests of an environment on each database; add what was skipped and failed."""
    summary: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "summary.py"))
    found = []
    for database in ("", *(f"-{one}" for one in summary["DATABASES"])):
        path = ROOT / "reports" / f"{name}{database}.xml"
        if path.exists() and path.stat().st_mtime >= began[name]:
            report = summary["read"](path)
            reasons.update(report.reasons)
            failures += report.failures
            found.append(f"{database.lstrip('-') or 'tests'}: {report}")
    return found
