"""The options, what they print, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command

from django_async_cbv.convert.cli import main
from tests.convert.converting import Project

ROOT = Path(__file__).parents[2]
VIEW = "from django.views.generic import View\n\nclass V(View): ...\n"
LEFT = "class W(mixed(View)): ...\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, {"app/views.py": VIEW + LEFT})


def git(*arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


class TestModes:
    def test_a_diff_by_default(self, project, capsys):
        assert main(["app"]) == 0
        out, err = capsys.readouterr()
        assert out.splitlines()[:2] == ["--- a/app/views.py", "+++ b/app/views.py"]
        assert "-class V(View): ...\n+class V(AsyncView): ...\n" in out
        assert err.splitlines() == [
            "app/views.py:4: W keeps Django's classes: a base is an expression. "
            "Assign the base to a name, and convert again.",
            "1 place in 1 file would be converted. Sort the imports with your own "
            "tool: `ruff check --select I --fix`, or isort.",
        ]
        assert (project.folder / "app/views.py").read_text() == VIEW + LEFT

    def test_write_check_and_again(self, project, capsys):
        assert main(["app", "--check"]) == 1
        assert main(["app", "--write"]) == 0
        assert main(["app", "--check"]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("Nothing to convert.") == 1
        assert "1 place in 1 file converted." in err
        assert "(AsyncView)" in (project.folder / "app/views.py").read_text()

    def test_json(self, project, capsys):
        assert main(["--report", "json", "--write"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["version"], said["written"]) == (1, True)
        [file] = said["files"]
        assert file["path"] == "app/views.py"
        assert file["diff"].startswith("--- a/app/views.py")
        assert file["converted"] == [{"line": 3, "name": "V", "to": "AsyncView"}]
        [finding] = said["findings"]
        assert finding.pop("message").startswith("W keeps Django's classes")
        assert finding == {
            "path": "app/views.py", "line": 4, "code": "expression", "name": "W"
        }  # fmt: skip

    def test_processes_find_the_same(self, project, capsys):
        for number in range(70):
            project.put(f"app/views_{number}.py", VIEW)
        main(["--jobs", "1"])
        one = capsys.readouterr()
        main(["--jobs", "2"])
        assert capsys.readouterr() == one


class TestGit:
    @pytest.fixture
    def repository(self, project):
        git("init", "-q")
        git("add", "-A")
        git("commit", "-qm", "Begin")
        return project

    def test_a_changed_file_is_refused(self, repository, capsys):
        changed = f"{VIEW}{LEFT}# changed\n"
        repository.put("app/views.py", changed)
        assert main(["app", "--write"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("git has changes that are not committed (app/views.py)")
        assert "--force" in line
        assert (repository.folder / "app/views.py").read_text() == changed
        assert main(["app", "--write", "--force"]) == 0
        assert "(AsyncView)" in (repository.folder / "app/views.py").read_text()

    def test_a_file_that_git_does_not_know_is_refused(self, repository, capsys):
        repository.put("new/more/views.py", VIEW)
        repository.put("new/more/[v]iews.py", VIEW)
        assert main(["new", "--write"]) == 2
        assert "iews.py and 1 more)" in capsys.readouterr().err

    def test_a_staged_file_is_refused(self, repository):
        repository.put("app/views.py", f"{VIEW}# staged\n")
        git("add", "-A")
        assert main(["app", "--write"]) == 2

    def test_other_files_may_have_changes(self, repository):
        repository.put("other.txt", "changed")
        repository.put("app/models.py", "changed = True\n")
        repository.put("shop/views.py", VIEW)
        # Git would take this name for a pattern that fits all files.
        repository.put("app/*.py", VIEW)
        git("add", "app/[*].py")
        git("commit", "-qm", "Name it")
        assert main(["app", "--write"]) == 0
        assert "(AsyncView)" in (repository.folder / "app/views.py").read_text()

    def test_a_folder_behind_a_link(self, repository, tmp_path_factory, monkeypatch):
        link = tmp_path_factory.mktemp("elsewhere") / "link"
        link.symlink_to(repository.folder)
        monkeypatch.chdir(link)
        repository.put("app/models.py", "changed = True\n")
        assert main(["app", "--write"]) == 0
        repository.put("app/views.py", VIEW)
        assert main(["app", "--write"]) == 2

    def test_many_files_in_several_commands(self, repository, monkeypatch):
        for number in range(5):
            repository.put(f"app/views_{number}.py", VIEW)
        git("add", "-A")
        git("commit", "-qm", "Add")
        repository.put("app/views_4.py", f"{VIEW}# changed\n")
        monkeypatch.setattr("django_async_cbv.convert.files._GIT_FILES", 2)
        assert main(["app", "--write"]) == 2

    def test_no_git(self, repository, monkeypatch):
        repository.put("app/views.py", f"{VIEW}# changed\n")
        monkeypatch.setenv("PATH", str(repository.folder))
        assert main(["app", "--write"]) == 0

    def test_a_clean_one_is_not(self, repository):
        assert main(["app", "--write"]) == 0
        # A second run has nothing to write into the dirty tree.
        assert main(["app", "--write"]) == 0


class TestBadInput:
    """One line that names the fix, and exit code 2."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nowhere"], "nowhere does not exist. Name a file or a folder."),
            (["--report", "xml"], "--report xml is unknown. Write text or json."),
            (["--jobs", "0"], "--jobs 0 starts no process. Write 1 or more."),
        ],
    )
    def test_it(self, project, capsys, arguments, said):
        assert main(arguments) == 2
        assert capsys.readouterr().err == f"{said}\n"

    def test_options_that_exclude_each_other(self, project, capsys):
        with pytest.raises(SystemExit) as stopped:
            main(["--write", "--check"])
        assert stopped.value.code == 2

    def test_no_libcst(self, project, capsys, monkeypatch):
        monkeypatch.setattr("django_async_cbv.convert.cli.find_spec", lambda _: None)
        assert main([]) == 2
        assert capsys.readouterr().err == (
            "The codemod needs LibCST. Run `pip install 'django-async-cbv[convert]'`.\n"
        )

    def test_a_folder_that_cannot_be_written_to(self, project, capsys, monkeypatch):
        def denied(**_):
            raise PermissionError(13, "Permission denied", "app")

        monkeypatch.setattr("django_async_cbv.convert.source.tempfile.mkstemp", denied)
        assert main(["--write"]) == 2
        assert capsys.readouterr().err == "app is not written: Permission denied.\n"


class TestWithoutSettings:
    def test_the_module(self, project):
        code = (
            "import sys, runpy; sys.argv[1:] = ['app', '--check']\n"
            "try: runpy.run_module('django_async_cbv.convert', run_name='__main__')\n"
            "except SystemExit as end: assert end.code == 1, end.code\n"
            "assert not any(name.startswith('django.') for name in sys.modules)\n"
        )
        environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_the_package_needs_no_libcst(self):
        code = "import sys; sys.modules['libcst'] = None\nimport django_async_cbv.views"
        environment = {"PYTHONPATH": ":".join(sys.path)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


class TestCommand:
    def test_it_checks_what_it_has_written(self, project, capfd, monkeypatch):
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "checked_settings")
        monkeypatch.syspath_prepend(project.folder)
        project.put(
            "checked_settings.py",
            'SECRET_KEY = "x"\nROOT_URLCONF = "checked_urls"\n'
            'INSTALLED_APPS = ["django_async_cbv"]\nUSE_TZ = True\n',
        )
        project.put("checked_urls.py", "urlpatterns = []\n")
        call_command("async_convert", "app", "--write")
        assert "System check identified no issues" in capfd.readouterr().err

        project.put("app/views.py", VIEW)
        project.put("checked_urls.py", "urlpatterns = []\ndef handler404(): ...\n")
        with pytest.raises(SystemExit) as stopped:
            call_command("async_convert", "app", "--write")
        assert stopped.value.code == 1
        assert "urls.E007" in capfd.readouterr().err

    def test_a_diff_changes_nothing(self, project, capsys):
        call_command("async_convert", "app")
        assert "+class V(AsyncView)" in capsys.readouterr().out

    def test_bad_input(self, project, capsys):
        with pytest.raises(SystemExit) as stopped:
            call_command("async_convert", "nowhere")
        assert stopped.value.code == 2


def test_the_hook_installs_what_the_extra_names():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    [needed] = project["optional-dependencies"]["convert"]
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert f'additional_dependencies: ["{needed}"]' in hook
    [script] = project["scripts"].items()
    assert script == ("async-convert", f"{main.__module__}:main")
    assert hook.startswith(f"- id: {script[0]}\n")
    assert needed in tomllib.loads(text)["dependency-groups"]["test"]
