"""
Break each twin of the package in turn, and see whether Django's own tests notice.

    python -m tests.conformance.mutate [--only TEXT] [--kinds KIND,...] [--jobs N]
        [--also 'tests/core/test_twins.py ...'] [--report FILE]

By hand, not in CI: it takes half an hour. Each mutant is a copy of the installed
package with one place changed:

  delete   a twin or handler is taken out of its class
  drop     `yield call(...)` gives None, and the call is not made
  negate   a condition is the other way round
  remove   a statement is left out, a `return` returns None
  calls    a hook is left out of the declared call graph
  pure     a twin is declared to do no I/O
  impure   a twin is no longer declared to do none

Those of Django's tests that reach the twin are run on it, in the colours in which
the mutant could show, and judged as in test_generic_views.py. What survives is
given, with --also, to tests of the project's own.
"""

from __future__ import annotations

import argparse
import ast
import collections
import functools
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .django_source import django_tests
from .judge import differences

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
LABEL = "generic_views"
RUN_SECONDS = 300
ALSO_SECONDS = 900
KINDS = ("delete", "drop", "negate", "remove", "calls", "pure", "impure")


@dataclass(frozen=True)
class Mutant:
    """One place of the package, and what stands there instead."""

    kind: str
    file: str
    line: int
    # The class and method, or the function.
    where: str
    start: int
    end: int
    old: str
    new: str
    # Of Django's, as in the reports; None for a function beside the twins.
    twin: str | None
    # With this kind of `calls`: the hook that is left out.
    hook: str | None = None

    def __str__(self) -> str:
        old = " ".join(self.old.split())
        if len(old) > 60:
            old = f"{old[:57]}..."
        change = old if self.kind in ("delete", "calls") else f"{old} -> {self.new}"
        return f"{self.kind:7} {self.file}:{self.line} {self.where}: {change}"


# --- The mutants ----------------------------------------------------------------


class Source:
    """A file of the package, in which places are found by what ast says of them."""

    def __init__(self, path: Path, root: Path) -> None:
        self.file = str(path.relative_to(root))
        self.text = path.read_text()
        self.tree = ast.parse(self.text)
        self.lines = [len(line) for line in self.text.splitlines(keepends=True)]

    def offset(self, line: int, column: int) -> int:
        """The place in the text of a place that ast gives, in bytes of a line."""
        start = sum(self.lines[: line - 1])
        text = self.text[start : start + self.lines[line - 1]]
        return start + len(text.encode()[:column].decode())

    def span(self, node: Any) -> tuple[int, int]:
        """Where the source of a node begins and ends."""
        start = self.offset(node.lineno, node.col_offset)
        return start, self.offset(node.end_lineno, node.end_col_offset)

    def mutants(self) -> Iterator[Mutant]:
        """All the mutants of a file."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                        yield from self.of_method(node, method)
            elif isinstance(node, ast.FunctionDef):
                yield from self.of_body(node, node.name, None)

    def of_method(self, cls: ast.ClassDef, method: Any) -> Iterator[Mutant]:
        declared = next(
            (
                decorator
                for decorator in method.decorator_list
                if isinstance(decorator, ast.Call)
                # As in @twin(...) and @handler.get(...).
                and ast.unparse(decorator.func).partition(".")[0] in {"twin", "handler"}
            ),
            None,
        )
        where = f"{cls.name}.{method.name}"
        if declared is None:
            yield from self.of_body(method, where, None)
            return
        twin = ".".join(ast.unparse(declared.args[0]).split(".")[-2:])
        make = functools.partial(self.make, where=where, twin=twin)
        start = min(decorator.lineno for decorator in method.decorator_list)
        first = self.offset(start, 0)
        last = self.span(method)[1]
        indent = " " * method.col_offset
        yield Mutant(
            "delete",
            self.file,
            start,
            where,
            first,
            last,
            f"def {method.name}",
            f"{indent}pass",
            twin,
        )
        yield from self.of_body(method, where, twin)
        keywords = {keyword.arg: keyword.value for keyword in declared.keywords}
        if isinstance(keywords.get("calls"), ast.Tuple):
            for element in keywords["calls"].elts:
                yield from self.without(element, keywords["calls"], make)
        pure = keywords.get("pure")
        if pure is None:
            end = self.span(declared)[1] - 1
            # What has a trailing comma takes another keyword as it is.
            comma = "" if self.text[:end].rstrip().endswith(",") else ", "
            yield make("pure", declared, f"{comma}pure=True)", start=end, old="")
        else:
            yield make("impure", pure, "False")
            if not isinstance(pure, ast.Constant):
                yield make("pure", pure, "True")

    def without(self, element: Any, calls: ast.Tuple, make: Any) -> Iterator[Mutant]:
        """Mutants without an element of `calls`."""
        left = [one for one in calls.elts if one is not element]
        texts = [self.text[slice(*self.span(one))] for one in left]
        new = f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
        hook = None
        if isinstance(element, ast.Constant):
            hook = element.value
        elif isinstance(element, ast.Name) and element.id == "SUPER":
            hook = "super()"
        else:  # a tuple of hooks that several share: mutated where it is used once
            return
        yield make(
            "calls", calls, new, old=f"calls {hook!r}", hook=hook, line=element.lineno
        )

    def of_body(self, function: Any, where: str, twin: str | None) -> Iterator[Mutant]:
        """Mutants of what a function does."""
        make = functools.partial(self.make, where=where, twin=twin)
        is_documented = ast.get_docstring(function) is not None
        for statement in function.body[is_documented:]:
            for node in ast.walk(statement):
                match node:
                    case ast.Yield() | ast.YieldFrom():
                        yield make("drop", node, "None")
                    case ast.If(test=test) | ast.IfExp(test=test):
                        text = self.text[slice(*self.span(test))]
                        yield make("negate", test, f"not ({text})")
                    case ast.Return(value=ast.expr()):
                        if not isinstance(node.value, ast.Yield | ast.YieldFrom):
                            yield make("remove", node, "return None")
                    case ast.AugAssign() | ast.Raise() | ast.Assign() | ast.Expr():
                        value = getattr(node, "value", None)
                        if not isinstance(value, ast.Yield | ast.YieldFrom):
                            yield make("remove", node, "pass")

    def make(
        self,
        kind: str,
        node: Any,
        new: str,
        *,
        where: str,
        twin: str | None,
        start: int | None = None,
        old: str | None = None,
        hook: str | None = None,
        line: int | None = None,
    ) -> Mutant:
        first, last = self.span(node)
        first = first if start is None else start
        found = self.text[first:last] if old is None else old
        line = line or node.lineno
        return Mutant(kind, self.file, line, where, first, last, found, new, twin, hook)


# --- The runs ---------------------------------------------------------------------


class Lab:
    """Runs Django's tests on copies of the package."""

    def __init__(self, package: Path, folder: Path) -> None:
        self.package = package
        self.folder = folder
        self.tests = django_tests()
        self.baselines: dict[str, dict[str, Any]] = {}

    def run(
        self, package: Path, colour: str, labels: list[str]
    ) -> tuple[dict[str, Any] | None, str]:
        """Run tests; return the report, if there is one, and what was printed."""
        handle, name = tempfile.mkstemp(".json", dir=self.folder)
        os.close(handle)
        report = Path(name)
        command = [sys.executable, "-I", str(HERE / "swap.py"), "--client", "asgi"]
        command += ["--tests", str(self.tests), "--package", str(package.parent)]
        command += ["--colour", colour, "--report", str(report), *labels]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, "timeout"
        text = report.read_text()
        report.unlink()
        said = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        return (json.loads(text) if text else None), said

    def baseline(self, colour: str) -> dict[str, Any]:
        """The report of the package as it is."""
        if colour not in self.baselines:
            found, said = self.run(self.package, colour, [LABEL])
            if found is None or found["failures"]:
                reason = found["failures"][0] if found else said
                raise SystemExit(f"{colour} fails without any mutant: {reason}")
            self.baselines[colour] = found
        return self.baselines[colour]

    def copy(self, mutant: Mutant) -> Path:
        """A copy of the package that has the mutant in it."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        package = folder / self.package.name
        shutil.copytree(self.package, package)
        path = package / mutant.file
        text = path.read_text()
        path.write_text(text[: mutant.start] + mutant.new + text[mutant.end :])
        return package

    def try_out(self, mutant: Mutant) -> str | None:
        """Run what could kill a mutant; return what did."""
        package = self.copy(mutant)
        try:
            for colour in colours(mutant):
                if killed := self.killed_by(mutant, package, colour):
                    return f"{colour}: {killed}"
        finally:
            shutil.rmtree(package.parent)
        return None

    def killed_by(self, mutant: Mutant, package: Path, colour: str) -> str | None:
        baseline = self.baseline(colour)
        labels = [LABEL]
        if mutant.twin is not None and mutant.kind != "delete":
            labels = baseline["reached"].get(mutant.twin, [])
            if not labels:
                return None
        report, said = self.run(package, colour, labels)
        if report is None:
            return said
        for wrong in self.wrong(report, baseline):
            return wrong.strip().replace("\n", " ... ")[:200]
        return None

    @staticmethod
    def wrong(report: dict[str, Any], baseline: dict[str, Any]) -> Iterator[str]:
        """How a report differs from that of the package as it is, in what it ran."""
        for failure in report["failures"]:
            name, _, text = failure.strip().partition("\n")
            yield f"{name.rpartition('.')[2]}: {text.rpartition(chr(10))[2]}"
        yield from report["noise"]
        for test in report["outcomes"]:
            yield from differences(
                f"{test.rpartition('.')[2]} runs of an override",
                baseline["overrides"].get(test, {}),
                report["overrides"].get(test, {}),
            )
        yield from differences(
            "has no twin",
            dict.fromkeys(baseline["untwinned"]),
            dict.fromkeys(report["untwinned"]),
        )

    def killed_also(self, mutant: Mutant, tests: str) -> str | None:
        """Run tests of the project's own on a mutant; return the first that failed."""
        package = self.copy(mutant)
        environment = os.environ | {"PYTHONPATH": str(package.parent)}
        command = [sys.executable, "-m", "pytest", "-qx", "-pno:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, "--no-header", *shlex.split(tests)],
                cwd=CHECKOUT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=ALSO_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "timeout"
        finally:
            shutil.rmtree(package.parent)
        if not done.returncode:
            return None
        lines = done.stdout.splitlines() + done.stderr.splitlines()
        return next(
            (line for line in lines if line.startswith(("FAILED", "ERROR", "SUBFAIL"))),
            lines[-1] if lines else "?",
        )[:200]


def colours(mutant: Mutant) -> list[str]:
    """The runs in which a mutant could show."""
    if mutant.kind == "calls":
        if mutant.hook == "super()":
            return ["lifted-behind"]
        if mutant.hook in ("get", "post", "delete"):  # handlers, async ones
            return ["lifted-async"]
        return [f"lifted:{mutant.hook}"]
    if mutant.kind == "impure":  # costs a hop, and no more
        return []
    return ["lifted", "lifted-behind", "lifted-async"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="text in what a mutant is called")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of them")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--also", default="", help="tests for what survives")
    parser.add_argument("--report", type=Path, help="a file for the whole table")
    parser.add_argument("--list", action="store_true", help="list the mutants only")
    options = parser.parse_args()

    spec = importlib.util.find_spec("django_async_cbv")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    mutants = [
        mutant
        for path in sorted((installed / "views").glob("*.py"))
        for mutant in Source(path, installed).mutants()
        if mutant.kind in options.kinds.split(",") and options.only in str(mutant)
    ]
    for mutant in mutants:
        if options.list:
            print(mutant)
    if options.list:
        return

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        lab = Lab(installed, Path(folder))
        for colour in sorted({one for mutant in mutants for one in colours(mutant)}):
            lab.baseline(colour)
        with ThreadPoolExecutor(options.jobs) as pool:
            killed = dict(zip(mutants, pool.map(lab.try_out, mutants), strict=True))
            left = [mutant for mutant in mutants if not killed[mutant]]
            also: dict[Mutant, str | None] = {}
            if options.also:
                kill = functools.partial(lab.killed_also, tests=options.also)
                also = dict(zip(left, pool.map(kill, left), strict=True))

    table = collections.Counter((one.kind, bool(killed[one])) for one in mutants)
    print(f"\n{'kind':8}{'mutants':>9}{'killed':>9}{'also':>9}{'left':>9}")
    for kind in KINDS:
        dead, alive = table[kind, True], table[kind, False]
        later = sum(one.kind == kind and bool(by) for one, by in also.items())
        if dead or alive:
            print(f"{kind:8}{dead + alive:9}{dead:9}{later:9}{alive - later:9}")
    print("\nNot killed by Django's own tests:")
    for mutant in left:
        print(f"{mutant}\n        {also.get(mutant) or 'SURVIVED'}")
    if options.report:
        lines = [f"{one}\n        {killed[one] or also.get(one)}" for one in mutants]
        options.report.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
