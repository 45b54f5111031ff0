"""What mypy and pyright say of right views and of wrong ones."""

from __future__ import annotations

import pytest

from tests.typing.checkers import BOOKSHOP, CHECKERS, comments, expected, mypy, pyright

FILES = sorted(BOOKSHOP.glob("*.py"))
MISTAKES = BOOKSHOP / "mistakes.py"


@pytest.fixture(scope="module")
def found(mypy_cache):
    return {
        "mypy": mypy(BOOKSHOP, cache=mypy_cache).errors,
        "pyright": pyright().errors,
    }


@pytest.mark.parametrize("checker", CHECKERS)
def test_right_views_pass(found, checker):
    assert {place for place in found[checker] if place[0] != str(MISTAKES)} == set()


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_mistake_is_reported_and_nothing_else(found, checker):
    marked = expected([MISTAKES], checker)
    assert len(marked) > 40
    assert {
        "unreported": marked - found[checker],
        "unexpected": found[checker] - marked,
    } == {"unreported": {}, "unexpected": {}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_ignored(path):
    told = [text for _, text, _ in comments(path) if "ignore" in text or "noqa" in text]
    assert told == []
    if path != MISTAKES:
        assert [*expected([path], "mypy"), *expected([path], "pyright")] == []


class TestMarks:
    """The marks themselves are read with care, or a mistake would go unseen."""

    def read(self, tmp_path, source, checker="mypy"):
        path = tmp_path / "source.py"
        path.write_text(source)
        return {place[1:]: n for place, n in expected([path], checker).items()}

    def test_each_code_is_one_error_on_the_next_line(self, tmp_path):
        source = (
            "# error -> mypy[a] mypy[a] pyright[b]\n"
            "# A reason.\n"
            "# error -> mypy[a]\n"
            "x = 1\n"
        )
        assert self.read(tmp_path, source) == {(4, "a"): 3}
        assert self.read(tmp_path, source, "pyright") == {(4, "b"): 1}

    @pytest.mark.parametrize(
        "source",
        [
            "# error ->\nx = 1\n",
            "# error -> mypy\nx = 1\n",
            "# error -> mypy[a], pyright[b]\nx = 1\n",
            "# error -> mypi[a]\nx = 1\n",
            "# error: mypy[a]\nx = 1\n",
            "#error -> mypy[a]\nx = 1\n",
            "x = 1  # error -> mypy[a]\n",
        ],
    )
    def test_a_mark_that_expects_nothing_is_refused(self, tmp_path, source):
        with pytest.raises(ValueError, match="expects nothing"):
            self.read(tmp_path, source)
