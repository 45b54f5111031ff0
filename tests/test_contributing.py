"""What CONTRIBUTING.md says of the tree and of versions is so."""

from __future__ import annotations

import os
import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.test_public import MODULES, ORDER

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def drawn() -> Iterator[list[str]]:
    """The modules of each row of the drawing, the lowest row first."""
    [drawing] = re.findall(r"```\n( *management\..*?)```", TEXT, re.DOTALL)
    for line in reversed(drawing.splitlines()):
        names = re.findall(r"(\w+)\.py\b", line)
        [package] = re.findall(r"^\s*([\w./]*)/ ", line) or [""]
        package = package.replace("/", ".")
        if names:
            yield [f"{package}.{name}".lstrip(".") for name in names]


def packages() -> set[str]:
    return {name.rpartition(".")[0] for name in ORDER} - {""}


class TestLayers:
    def test_the_order_has_every_module(self):
        shorts = [name.removeprefix("django_async_cbv.") for name in MODULES]
        assert sorted(ORDER) == sorted(shorts)

    def test_the_drawing_is_the_order(self):
        modules = [name for row in drawn() for name in row]
        assert modules == [name for name in ORDER if name not in packages()]

    def test_a_row_is_of_one_package(self):
        for row in drawn():
            assert len({name.rpartition(".")[0] for name in row}) == 1, row


def djangos(text: str) -> set[str]:
    return set(re.findall(r"(?:^|[^\d.])(\d\.\d)\b(?!\.)", text))


def expanded(name: str) -> Iterator[str]:
    """The environments of an entry of env_list: py{312,314}-django61 is two."""
    braces = re.search(r"\{([^}]*)\}", name)
    if braces is None:
        yield name
        return
    for one in braces[1].split(","):
        yield from expanded(name[: braces.start()] + one + name[braces.end() :])


def lines_for(environment: str, commands: str) -> list[str]:
    """The commands whose factors (`py312, py314:`) an environment has."""
    factors = set(environment.split("-"))
    found = []
    for line in commands.split("\n"):
        condition, _, command = line.partition(": ")
        if any(
            factors.issuperset(one.strip().split("-")) for one in condition.split(",")
        ):
            found.append(command)
    return found


class TestVersions:
    """Each place that names the versions of Django names the same."""

    @pytest.fixture
    def supported(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        prefix = "Framework :: Django :: "
        names = [one for one in project["classifiers"] if one.startswith(prefix)]
        return {name.removeprefix(prefix) for name in names}

    def test_tox(self, supported):
        tox = ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini", encoding="utf-8")
        deps = re.findall(r"^django(\d)(\d):", tox["testenv"]["deps"], re.MULTILINE)
        assert {".".join(one) for one in deps} == supported
        named = tox["tox"]["env_list"]
        listed = {
            f"{one[0]}.{one[1]}"
            for group in re.findall(r"django(\d\d|\{[\d,]+\})", named)
            for one in re.findall(r"\d\d", group)
        }
        assert listed == supported

    def test_each_environment_of_tox_has_commands(self, supported):
        tox = ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini", encoding="utf-8")
        entries = tox["tox"]["env_list"].split()
        names = {name for entry in entries for name in expanded(entry)}
        # .ci/summary.py asks these for both databases.
        both = {f"py313-django{one.replace('.', '')}" for one in supported}
        assert both <= names
        for name in names:
            if "-django" not in name:
                continue
            found = lines_for(name, tox["testenv"]["commands"])
            for database in ("sqlite", "postgres") if name in both else ("sqlite",):
                report = f"reports/{{env_name}}-{database}.xml"
                assert any(report in line for line in found), (name, database)

    def test_ci_asks_for_each(self, supported):
        summary = runpy.run_path(str(ROOT / ".ci" / "summary.py"), run_name="summary")
        assert summary["DJANGOS"] == supported

    @pytest.mark.parametrize(
        "page", ["README.md", "docs/index.md", "docs/how-to/migrate.md"]
    )
    def test_users_read_of_each(self, supported, page):
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        [line] = [one for one in lines if re.search(r"Django \d\.\d, ", one)]
        named = line.partition("Python")[0]
        assert djangos(named) == supported

    def test_the_others_run_with_the_newest(self, supported):
        tox = ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini", encoding="utf-8")
        newest = max(supported, key=lambda one: [*map(int, one.split("."))])
        assert tox["django"]["newest"].startswith(f"django>={newest},")
        for name in ("ecosystem", "suites", "agents", "browser", "bench-serve"):
            assert "{[django]newest}" in tox[f"testenv:{name}"]["deps"], name
        inventory = (ROOT / "docs" / "inventories" / "django.inv").read_bytes()
        assert f"\n# Version: {newest}\n".encode() in inventory

    def test_the_files_with_generated_tests_are_named(self):
        tox = ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini", encoding="utf-8")
        mark = "pytest.mark." + "generated"
        files = [
            path.relative_to(ROOT).as_posix()
            for path in sorted((ROOT / "tests").rglob("*.py"))
            if mark in path.read_text(encoding="utf-8")
        ]
        assert tox["generated"]["marked"].split() == files


class TestWhatToxPrints:
    """`toxfile.py`, with the two names of tox that it needs at run time."""

    @pytest.fixture
    def toxfile(self, monkeypatch, tmp_path):
        plugin, errors = ModuleType("tox.plugin"), ModuleType("tox.tox_env.errors")
        plugin.impl, errors.Skip = (lambda hook: hook), LookupError
        for module in (plugin, errors):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        path = ROOT / "toxfile.py"
        toxfile = ModuleType("toxfile")
        toxfile.__file__ = str(path)
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), vars(toxfile))
        (tmp_path / ".ci").symlink_to(ROOT / ".ci")
        toxfile.ROOT = tmp_path
        return toxfile

    def environment(self, folder, name, base, made):
        python = folder / name / "python"
        if made:
            python.parent.mkdir()
            python.touch()
        conf = {"env_python": python, "base_python": [base]}
        return SimpleNamespace(name=name, conf=conf)

    def ran(self, toxfile, tmp_path, capsys, environments, codes, failures=0):
        for name, code in codes.items():
            toxfile.tox_before_run_commands(environments[name])
            report = tmp_path / "reports" / f"{name}-sqlite.xml"
            report.parent.mkdir(exist_ok=True)
            report.write_text(
                "<testsuites><testcase/><testcase><skipped message='SQLite: locks'/>"
                "</testcase>"
                + "<testcase classname='tests.a' name='test_b'><failure/></testcase>"
                * failures
                + "</testsuites>"
            )
            toxfile.tox_after_run_commands(environments[name], code)

        class Environments(dict):
            def iter(self):
                return iter(self)

        toxfile.tell(SimpleNamespace(envs=Environments(environments)))
        return [line.strip() for line in capsys.readouterr().out.splitlines()]

    def test_each_environment_has_a_line(self, toxfile, tmp_path, capsys):
        made = {
            "py313": self.environment(tmp_path, "py313", "py313", made=True),
            "py314": self.environment(tmp_path, "py314", "py314", made=False),
            "suites": self.environment(tmp_path, "suites", "python3.12", made=False),
            "docs": self.environment(tmp_path, "docs", "py313", made=True),
        }
        said = self.ran(toxfile, tmp_path, capsys, made, {"py313": 0})
        assert said == [
            "",
            "What was tested:",
            "py313: passed; sqlite: 1 passed, 0 failed, 1 skipped",
            "docs: failed before its first test",
            "What was skipped, and why:",
            "py314: this machine has no Python 3.14",
            "suites: this machine has no Python 3.12",
            "1 test: SQLite: locks",
        ]

    def test_the_first_failures_are_named(self, toxfile, tmp_path, capsys):
        made = {
            name: self.environment(tmp_path, name, "py313", made=True)
            for name in ("lint", "docs")
        }
        said = self.ran(toxfile, tmp_path, capsys, made, {"docs": 1}, failures=12)
        assert "docs: failed; sqlite: 1 passed, 12 failed, 1 skipped" in said
        assert said.count("tests.a::test_b") == 10
        assert "and 2 more" in said

    def test_a_report_of_another_run_does_not_count(self, toxfile, tmp_path, capsys):
        made = {
            name: self.environment(tmp_path, name, "py313", made=True)
            for name in ("lint", "docs")
        }
        (tmp_path / "reports").mkdir()
        (tmp_path / "reports" / "docs.xml").write_text("<testcase/>")
        os.utime(tmp_path / "reports" / "docs.xml", (0, 0))
        said = self.ran(toxfile, tmp_path, capsys, made, {"lint": 0, "docs": 1})
        assert "docs: failed; sqlite: 1 passed, 0 failed, 1 skipped" in said

    def test_one_environment_has_its_own_output(self, toxfile, tmp_path, capsys):
        made = {"lint": self.environment(tmp_path, "lint", "py313", made=True)}
        assert self.ran(toxfile, tmp_path, capsys, made, {"lint": 0}) == []


EXCERPTS = re.findall(r"^```py\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", EXCERPTS)
def test_an_excerpt_is_the_source(block):
    """An excerpt names its file; `...` stands for lines that it leaves out."""
    first, _, excerpt = block.partition("\n")
    source = (ROOT / first.removeprefix("# ")).read_text(encoding="utf-8")
    source = "\n".join(line.strip() for line in source.splitlines())
    parts = re.split(r"^ *\.\.\.\n", excerpt, flags=re.MULTILINE)
    end = 0
    for part in parts:
        lines = "\n".join(line.strip() for line in part.splitlines())
        assert lines in source[end:], part
        end = source.index(lines, end) + len(lines)


def jobs(workflow: Path) -> dict[str, str]:
    """The jobs of a workflow, each with its lines."""
    text = workflow.read_text(encoding="utf-8").partition("\njobs:\n")[2]
    parts = re.split(r"^  ([\w-]+):\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


class TestWorkflows:
    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_each_job_ends_in_time(self, path):
        assert jobs(path)
        for name, job in jobs(path).items():
            # A job that runs another workflow has the times of that one.
            other = re.search(r"^    uses: \./(.*)$", job, re.MULTILINE)
            if other:
                called = (ROOT / other[1]).read_text(encoding="utf-8")
                assert "\n  workflow_call:\n" in called, name
            else:
                assert re.search(r"^    timeout-minutes: \d+$", job, re.MULTILINE), name

    def test_a_release_needs_the_tests(self):
        release = jobs(ROOT / ".github" / "workflows" / "release.yml")
        for name, job in release.items():
            if "id-token: write" in job:
                [needed] = re.findall(r"^    needs: \[(.*)\]$", job, re.MULTILINE)
                assert set(needed.split(", ")) == release.keys() - {name}
                break
        else:
            raise AssertionError("no job publishes")
        assert "./.github/workflows/tests.yml" in release["tests"]

    def test_each_environment_of_tox_that_they_name_is_there(self):
        tox = ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini", encoding="utf-8")
        deps = tox["testenv"]["deps"]
        [factors] = re.findall(
            r"django: \[(.*)\]", (WORKFLOWS[0].parent / "django.yml").read_text()
        )
        for factor in factors.split(", "):
            assert f"\n{factor}: " in deps
            for database in ("sqlite", "postgres"):
                found = lines_for(f"py313-{factor}", tox["testenv"]["commands"])
                assert any(f"-{database}.xml" in line for line in found), database


def test_each_long_environment_is_there_and_judged():
    """A name of a label that has no section is left out by tox, without a word."""
    config = (ROOT / "tox.ini").read_text(encoding="utf-8")
    [label] = re.findall(r"^    long = (.+)$", config, re.MULTILINE)
    names = label.split(", ")
    sections = set()
    for section in re.findall(r"^\[testenv:(.+)\]$", config, re.MULTILINE):
        start, _, rest = section.partition("{")
        ends, _, _ = rest.partition("}")
        sections |= {start + end for end in ends.split(",")}
    assert {*names} <= sections
    judged = runpy.run_path(str(ROOT / ".ci" / "summary.py"))["LONG"]
    # These two have no report of the one name.
    assert {*names} - {*judged} == {"audit", "audit-oscar"}
