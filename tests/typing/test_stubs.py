"""To type checkers our views are what Django's are in its stubs, and have twins."""

from __future__ import annotations

import importlib
import re

import pytest

from django_async_cbv import views
from django_async_cbv.core.twins import HOOKS
from django_async_cbv.views import _formsets
from tests.typing.checkers import mypy

PRELUDE = """
import {modules}
from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.template.response import TemplateResponse
from django_async_cbv import views
from tests.typing.bookshop.forms import BookForm, ConfirmForm, ContactForm
from tests.typing.bookshop.models import Author, Book
"""
HANDLERS = {
    *("delete", "dispatch", "get", "head", "http_method_not_allowed"),
    *("options", "patch", "post", "put"),
}
# Arguments to try, right ones and wrong ones.
ARGUMENTS = [
    "",
    "[Book]",
    "[ContactForm]",
    "[BookForm]",
    "[int]",
    "[JsonResponse]",
    "[TemplateResponse]",
    "[HttpResponseBase]",
    "[Book, BookForm]",
    "[Book, ConfirmForm]",
    "[BookForm, Book]",
    "[Book, BookForm, HttpResponse]",
]
# In our stead the two have overloads there, by whether the object has a model.
OVERLOADED = {"get_context_object_name"}


def django_class(name):
    """Where the class is that ours is the twin of, and the class."""
    module = getattr(views, name).__module__.rpartition(".")[2]
    # Of formsets Django has no views, and ours are twins of their own.
    is_django = module != "formsets"
    path = f"django.views.generic.{module}" if is_django else _formsets.__name__
    return path, getattr(importlib.import_module(path), name.removeprefix("Async"))


class Generated:
    """A module that reveals types, line by line, and what mypy says of each line."""

    def __init__(self):
        modules = {django_class(name)[0] for name in views.__all__}
        self.lines = PRELUDE.format(modules=", ".join(sorted(modules))).splitlines()

    def add(self, line):
        self.lines.append(line)
        return len(self.lines)

    def check(self, folder, cache):
        self.path = folder / "generated.py"
        self.path.write_text("\n".join(self.lines) + "\n")
        self.report = mypy(self.path, cache=cache)

    def revealed(self, line):
        return self.report.revealed.get((str(self.path), line), "nothing")

    def codes(self, line):
        return sorted(code for _, at, code in self.report.errors if at == line)


@pytest.fixture(scope="module")
def revealed(tmp_path_factory, mypy_cache):
    """For each class and attribute: what mypy knows of Django's, and of ours."""
    generated = Generated()
    where = {}
    for name in views.__all__:
        path, cls = django_class(name)
        argument = next(
            one
            for base, one in [
                (views.AsyncDeletionMixin, "[Book]"),
                (views.AsyncBaseDeleteView, "[Book, ConfirmForm]"),
                (views.AsyncModelFormMixin, "[Book, BookForm]"),
                (views.AsyncFormMixin, "[ContactForm]"),
                (views.AsyncSingleObjectMixin, "[Book]"),
                (views.AsyncMultipleObjectMixin, "[Book]"),
                (object, ""),
            ]
            if issubclass(getattr(views, name), base)
            and (base is not views.AsyncDeletionMixin or name == base.__name__)
        )
        generated.add(
            f"def of_{name}(theirs: {path}.{cls.__name__}{argument}, "
            f"ours: views.{name}{argument}) -> None:"
        )
        for attribute in sorted(vars_of(cls)):
            twin = HOOKS.get(attribute, attribute)
            for kind, ours in {"same": attribute, "twin": twin}.items():
                if kind == "same" or twin != attribute:
                    where[name, kind, attribute] = (
                        generated.add(f"    reveal_type(theirs.{attribute})"),
                        generated.add(f"    reveal_type(ours.{ours})"),
                    )
    generated.check(tmp_path_factory.mktemp("revealed"), mypy_cache)
    return {
        key: (*map(generated.revealed, lines), *map(generated.codes, lines))
        for key, lines in where.items()
    }


def vars_of(cls):
    """The names of a class that are public, but for those of all Python classes."""
    names = {name for base in cls.__mro__ for name in vars(base)}
    return {name for name in names if not name.startswith("_")} | annotations_of(cls)


def annotations_of(cls):
    """What Django's stubs say that a view has when it runs."""
    names = {"request", "args", "kwargs"} if hasattr(cls, "as_view") else set()
    if hasattr(cls, "get_object") and hasattr(cls, "as_view"):
        names.add("object")
    return names | ({"object_list"} if hasattr(cls, "get_paginate_by") else set())


def test_attributes_and_sync_hooks_are_djangos(revealed):
    differ = {
        (name, attribute): (theirs, ours, wrong)
        for (name, kind, attribute), (theirs, ours, refused, wrong) in revealed.items()
        if kind == "same"
        and attribute not in HANDLERS | {"as_view", "view_is_async"}
        # What the stubs leave out ours may leave out or have.
        and not refused
        and (wrong or theirs != ours)
    }
    assert differ == {}


def test_a_twin_takes_and_returns_what_its_hook_does(revealed):
    twins = {
        (name, attribute): (theirs, ours, wrong)
        for (name, kind, attribute), (theirs, ours, refused, wrong) in revealed.items()
        if kind == "twin" and not refused and attribute not in OVERLOADED
    }
    assert {attribute for _, attribute in twins} == set(public_hooks()) - OVERLOADED
    differ = {
        key: (theirs, ours, wrong)
        for key, (theirs, ours, wrong) in twins.items()
        if wrong or ours not in {awaited(theirs), simplified(awaited(theirs))}
    }
    assert differ == {}


def public_hooks():
    return [name for name in HOOKS if not name.startswith("_")]


def awaited(function):
    """The type of a function as if it were async."""
    signature, arrow, result = function.rpartition(" -> ")
    return f"{signature}{arrow}typing.Coroutine[Any, Any, {result}]"


def simplified(function):
    """As mypy says it where it has made two types one: text is a sequence of text."""
    return function.replace("str | typing.Sequence[str", "typing.Sequence[str")


def test_a_handler_gives_what_djangos_does_to_both_colours(revealed):
    differ = {}
    for (name, kind, attribute), (theirs, ours, refused, wrong) in revealed.items():
        if kind == "same" and attribute in HANDLERS and not refused:
            result = theirs.rpartition(" -> ")[2]
            if wrong or not ours.endswith(f"ResponseInEitherColour[{result}]"):
                differ[name, attribute] = (theirs, ours, wrong)
    assert differ == {}
    assert {attribute for _, _, attribute in revealed} >= HANDLERS


def test_as_view_gives_a_coroutine_function(revealed):
    for (_, _, attribute), (theirs, ours, _, wrong) in revealed.items():
        if attribute == "as_view":
            assert not wrong
            made, _, result = theirs.rpartition(" -> ")
            assert re.sub(r"\bcls: type\[.*?\], ?", "", ours) == (
                f"{made} -> typing.Coroutine[Any, Any, {result}]"
            )


def test_type_arguments_are_those_of_djangos_stubs(tmp_path, mypy_cache):
    generated = Generated()
    where = {}
    for name in views.__all__:
        path, cls = django_class(name)
        for index, argument in enumerate(ARGUMENTS):
            where[name, argument] = (
                generated.add(f"d{index}_{name}: {path}.{cls.__name__}{argument}"),
                generated.add(f"o{index}_{name}: views.{name}{argument}"),
            )
    generated.check(tmp_path, mypy_cache)
    codes = {key: tuple(map(generated.codes, lines)) for key, lines in where.items()}
    assert {key: both for key, both in codes.items() if both[0] != both[1]} == {}
    # Each of the right ones is taken by some view, each wrong one by none.
    taken = {argument for (_, argument), (ours, _) in codes.items() if not ours}
    assert taken == {*ARGUMENTS} - {
        "[int]",
        "[BookForm, Book]",
        "[Book, BookForm, HttpResponse]",
    }
