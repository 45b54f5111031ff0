"""Modules made at random convert, compile, stay converted, and keep their MRO."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path

from django.views import View
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_cbv.core.twins import TwinMixin
from tests.convert.converting import Project

VIEWS = {
    "ListView": "list",
    "DetailView": "detail",
    "UpdateView": "edit",
    "FormView": "edit",
    "TemplateView": "base",
    "View": "base",
}
COMMENTS = ["", "  # noqa", "  # why", " # a\tb"]


@st.composite
def imports(draw, name: str, local: str) -> tuple[str, str]:
    """An import statement for a view, and the expression that is the view then."""
    module = f"django.views.generic.{VIEWS[name]}"
    comment = draw(st.sampled_from(COMMENTS))
    form = draw(st.sampled_from(["from", "as", "dotted", "module", "many", "whole"]))
    if form == "from":
        return f"from django.views.generic import {name}{comment}", name
    if form == "as":
        return f"from {module} import {name} as {local}{comment}", local
    if form == "dotted":
        return f"import {module}{comment}", f"{module}.{name}"
    if form == "module":
        return (
            f"from django.views import generic as {local}{comment}",
            f"{local}.{name}",
        )
    if form == "whole":
        return f"import {module} as {local}, os{comment}", f"{local}.{name}"
    return (
        f"from {module} import (  # first\n    # before\n"
        f"    {name} as {local},{comment}\n"
        f"    View as Unused{local},\n)",
        local,
    )


@st.composite
def modules(draw) -> str:
    """A module with a few views, in some scopes, under some names."""
    lines = ["import os"]
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(VIEWS)))
        statement, view = draw(imports(name, f"Local{number}"))
        made = draw(st.sampled_from([f"V{number}", name, f"Async{name}"]))
        mixin = draw(st.sampled_from(["", "Mixin, "]))
        scope = draw(st.sampled_from(["module", "if", "try", "function", "class"]))
        # The body of a class sees no names of a class around it.
        kept = "None" if scope == "class" else view
        body = draw(
            st.sampled_from(
                [
                    "    pass",
                    f"    kept = {kept}",
                    f"    def f(self):\n        return super({made}, self)",
                    "    x = 'ListView'",
                ]
            )
        )
        block = [
            *statement.splitlines(),
            "class Mixin: ...",
            f"class {made}({mixin}{view}):{draw(st.sampled_from(COMMENTS))}",
            *body.splitlines(),
            f"FOUND.append({made})",
        ]
        head = {
            "module": "",
            "if": "if FOUND is not None:",
            "try": "try:",
            "function": f"def scope{number}():",
            "class": f"class Scope{number}:",
        }[scope]
        lines += [head] if head else []
        lines += [f"    {line}" if head and line else line for line in block]
        if scope == "try":
            lines += ["finally:", "    pass"]
        elif scope == "function":
            lines += [f"scope{number}()"]
    return "\n".join(lines) + "\n"


def classes(text: str) -> list[type]:
    """The view classes that a module makes."""
    module = types.ModuleType("made")
    module.FOUND = []
    sys.modules["made"] = module
    try:
        exec(compile(text, "made.py", "exec"), vars(module))
    finally:
        del sys.modules["made"]
    return module.FOUND


def of_django(cls: type) -> list[str]:
    """The MRO without what is ours."""
    return [
        base.__qualname__
        for base in cls.__mro__
        if not base.__module__.startswith("django_async_cbv.")
    ]


@given(text=modules(), newline=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=60, deadline=None)
def test_a_module(text, newline):
    before = text.replace("\n", newline).encode()
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), {"made.py": before})
        result = project.convert()
        [change] = result.changes
        project.put("made.py", change.after)
        again = project.convert()

    assert again.changes == [], again.changes[0].diff
    # No other line ending, and no line that is gone but for those that change.
    after = change.after.decode()
    assert after.count("\n") == after.count(newline)
    names = {line for line, _, _ in change.converted}
    for number, line in enumerate(text.splitlines(), 1):
        if number not in names and "import" not in line and "    " not in line:
            assert line in after
    old, new = classes(text), classes(after.replace("\r\n", "\n"))
    left = {one.name for one in result.findings}
    assert len(old) == len(new)
    for one, other in zip(old, new, strict=True):
        assert of_django(one) == of_django(other)
        assert issubclass(other, View)
        if one.__qualname__.rpartition(".")[2] not in left and not result.findings:
            assert issubclass(other, TwinMixin), change.diff
