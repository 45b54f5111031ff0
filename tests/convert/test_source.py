"""Bytes that are kept, and files that are replaced whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from django_async_cbv.convert import engine, source
from tests.convert.converting import Project, codes

VIEW = "from django.views.generic import View{0}class V(View): ...{0}"
OURS = "from django_async_cbv.views import AsyncView{0}class V(AsyncView): ...{0}"


@pytest.mark.parametrize(
    ("head", "encoding", "newline"),
    [
        ("", "utf-8", "\r\n"),
        ("", "utf-8", "\r"),
        ("", "utf-8-sig", "\n"),
        ("# \u20ac \U0001f40d\n", "utf-8-sig", "\r\n"),
        ("# -*- coding: latin-1 -*-\n# \xe9\xff\n", "latin-1", "\n"),
        ("# coding: cp1252\n# \u20ac\n", "cp1252", "\r\n"),
        ("# coding: shift_jis\n# \u65e5\u672c\n", "shift_jis", "\n"),
        ("x = '\x0c'\n\x0c\n# \u2028 \x85\n", "utf-8", "\n"),
        ("# tabs\t\n\n\n", "utf-8", "\n"),
        ("x = 1 \\\n  + 2   \n", "utf-8", "\n"),
    ],
)
def test_bytes_are_kept(tmp_path, head, encoding, newline):
    head = head.replace("\n", newline)
    before = (head + VIEW.format(newline) + f"# end{newline}  ").encode(encoding)
    project = Project(tmp_path, {"views.py": before})

    [after] = project.converted().values()

    wanted = (head + OURS.format(newline) + f"# end{newline}  ").encode(encoding)
    assert after == wanted


def test_newlines_are_those_of_the_file(tmp_path):
    before = VIEW.format("\r\n") + "is_view = isinstance(1, View)\r\n"
    project = Project(tmp_path, {"views.py": before.encode()})
    [after] = project.converted().values()
    assert after.count(b"\r\n") == after.count(b"\n") == 4


def test_no_line_but_those_of_names_is_touched(tmp_path):
    before = b"x=  1 ;y =2\n" + VIEW.format("\n").encode() + b"\tz = 3\n".lstrip()
    project = Project(tmp_path, {"views.py": before})
    [after] = project.converted().values()
    lines = zip(before.splitlines(), after.splitlines(), strict=True)
    assert sum(old != new for old, new in lines) == 2


def test_letters_that_the_encoding_has_not(tmp_path):
    # What UTF-7 gives back is not what was there.
    text = "# coding: utf-7\n" + VIEW.format("\n").replace("...", "'+AGE-'")
    result = Project(tmp_path, {"views.py": text.encode()}).convert()
    assert codes(result) == ["unreadable"]


class TestWrite:
    @pytest.fixture
    def project(self, tmp_path):
        return Project(tmp_path, {"views.py": VIEW.format("\n").encode()})

    @pytest.fixture
    def view(self, tmp_path) -> Path:
        return tmp_path / "views.py"

    def write(self, result):
        return engine.write(result.changes, result.findings.append)

    def test_the_mode_stays(self, project, view):
        view.chmod(0o750)
        self.write(project.convert())
        assert stat.S_IMODE(view.stat().st_mode) == 0o750
        assert view.read_text() == OURS.format("\n")
        assert [one.name for one in view.parent.glob("*views*")] == ["views.py"]

    def test_a_link_is_left(self, project, view, tmp_path):
        (tmp_path / "link.py").symlink_to(view)
        (tmp_path / "folder").mkdir()
        (tmp_path / "elsewhere").symlink_to(tmp_path / "folder")
        (tmp_path / "folder" / "more.py").write_bytes(view.read_bytes())

        result = project.convert("link.py")
        assert (result.changes, codes(result)) == ([], ["link"])
        result = project.convert("elsewhere")
        assert (result.changes, codes(result)) == ([], ["link"])
        result = project.convert()
        names = [change.source.path.name for change in result.changes]
        assert (names, codes(result)) == (["more.py", "views.py"], ["link"])

    def test_a_file_that_becomes_a_link_is_left(self, project, view, tmp_path):
        result = project.convert()
        other = tmp_path / "other.txt"
        other.write_bytes(view.read_bytes())
        view.unlink()
        view.symlink_to(other)
        assert self.write(result) == []
        assert codes(result) == ["unchangeable"]
        assert other.read_text() == VIEW.format("\n")

    def test_a_file_that_changed_meanwhile_is_left(self, project, view):
        result = project.convert()
        view.write_text("x = 1\n")
        assert self.write(result) == []
        assert codes(result) == ["unchangeable"]
        assert view.read_text() == "x = 1\n"

    def test_a_failure_leaves_the_old_file(self, project, view, monkeypatch):
        def full(_):
            raise OSError(28, "No space left on device")

        result = project.convert()
        monkeypatch.setattr(source.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            self.write(result)
        assert view.read_text() == VIEW.format("\n")
        assert [one.name for one in view.parent.glob("*views*")] == ["views.py"]

    def test_only_what_was_asked_for(self, project, view, tmp_path):
        other = tmp_path / "app" / "views.py"
        project.put("app/views.py", view.read_bytes())
        self.write(project.convert("app"))
        assert other.read_text() == OURS.format("\n")
        assert view.read_text() == VIEW.format("\n")
