"""The two sides of the README's example give the same page."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import RequestFactory

from tests.library import answer, make_books

README = Path(__file__).parent.parent / "README.md"


def side(sign: str):
    """The view of the lines with a sign, and of those without."""
    text = README.read_text(encoding="utf-8")
    lines = text.partition("```diff\n")[2].partition("```")[0].splitlines()
    source = "\n".join(line[1:] for line in lines if line[:1] in {sign, " ", ""})
    names = {"__name__": "library.views"}
    exec(compile(source, str(README), "exec"), names)
    return names["BookList"]


@pytest.mark.django_db
def test_both_sides_of_the_example_give_the_same_page():
    make_books()
    before = side("-").as_view()(RequestFactory().get("/")).context_data
    after = answer(side("+")).context_data
    assert after.keys() == before.keys()
    for name in ("prices", "stock"):
        assert after[name] == before[name]
        assert after[name]["Emma"]


def test_it_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 120
