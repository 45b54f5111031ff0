"""The call graph beside each twin is the one of Django."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.contrib.auth import mixins as access
from django.contrib.auth import views as auth
from django.contrib.messages import views as django_messages
from django.utils.functional import cached_property
from django.views.generic import base, dates, detail, edit
from django.views.generic import list as django_list

from django_async_cbv import messages, views
from django_async_cbv.auth import mixins as async_access
from django_async_cbv.auth import views as async_auth
from django_async_cbv.core.hooks import HOOKS, SUPER, TWINS, Bridge, Hook, Override
from django_async_cbv.core.marks import mark_of
from django_async_cbv.views import _formsets, _streaming, streaming

# Django's modules, each with where our classes of the same names are.
MODULES = {
    base: views,
    detail: views,
    django_list: views,
    edit: views,
    dates: views,
    # As Django's would be, had it such views.
    _formsets: views,
    _streaming: streaming,
    access: async_access,
    auth: async_auth,
    django_messages: messages,
}
HANDLERS = {*base.View.http_method_names, "http_method_not_allowed"}
# Of a view, what is neither a hook nor a handler.
NOT_HOOKS = {"as_view", "setup", "view_is_async", "uses_datetime_field"}


def django_classes() -> Iterator[type]:
    for module in MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                yield value


def ours_of(klass: type) -> type:
    """Our class of the same name as one of Django's."""
    module = next(one for one in MODULES if one.__name__ == klass.__module__)
    return getattr(MODULES[module], f"Async{klass.__name__}")


def owner_of(twin: Hook) -> type:
    """The class of Django's that defines what a twin is of."""
    return next(
        klass
        for klass in django_classes()
        if vars(klass).get(twin.name) is twin.function
    )


def called_by(owner: type, function: Any, bound: dict[str, str] | None = None) -> set:
    """
    The hooks and handlers that a function of Django's calls on its view.

    Read from its source, through private methods, properties, and functions
    that the view is passed to. `bound`: the text that arguments stand for, for
    the names that are put together at run time.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    arguments = [one.arg for one in definition.args.args]
    # put(*args, **kwargs) of Django's has no other name for it either.
    view = arguments[0]
    module = inspect.getmodule(function)
    found: set[str] = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == view:
                found |= reached(owner, node.attr)
            elif isinstance(node.value, ast.Call) and is_name(node.value.func, "super"):
                # LogoutView.post() goes on to another method of its super().
                is_same = node.attr == function.__name__
                found.add(SUPER if is_same else node.attr)
        elif isinstance(node, ast.Call) and is_name(node.func, "getattr"):
            if is_name(node.args[0], view):
                for name in texts(node.args[1], bound or {}):
                    found |= reached(owner, name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.args and is_name(node.args[0], view):
                values = {
                    word.arg: word.value.value
                    for word in node.keywords
                    if isinstance(word.value, ast.Constant)
                }
                helper = getattr(module, node.func.id, None)
                if inspect.isfunction(helper):
                    found |= called_by(owner, helper, values)
    return found


def is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def texts(node: ast.AST, bound: dict[str, str]) -> list[str]:
    """The names that an expression may stand for: a text, or "text%s" % name."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Name):
        assert isinstance(node.left, ast.Constant)
        return [node.left.value % bound[node.right.id]]
    if isinstance(node, ast.Call):  # request.method.lower(): any handler
        return []
    assert isinstance(node, ast.Name), ast.dump(node)
    return []


def reached(owner: type, name: str) -> set[str]:
    """What is called by naming an attribute of the view."""
    if name in HOOKS or name in HANDLERS:
        return {name}
    value = inspect.getattr_static(owner, name, None)
    if isinstance(value, cached_property):
        return called_by(owner, value.func)
    if inspect.isfunction(value) and name not in {"dispatch", "setup"}:
        return called_by(owner, value)
    return set()


@pytest.mark.parametrize(
    "twin", TWINS.values(), ids=lambda twin: twin.function.__qualname__
)
class TestTwin:
    def test_calls_are_those_of_djangos_source(self, twin):
        if twin.calls is None:
            # Any handler: known at run time; and two that Django wraps.
            names = ("dispatch", "http_method_not_allowed", "options")
            assert twin.function in {getattr(base.View, name) for name in names}
            return
        calls = called_by(owner_of(twin), twin.function)
        assert set(twin.calls) == calls
        assert len(set(twin.calls)) == len(twin.calls)

    def test_signature_is_djangos(self, twin):
        ours = list(inspect.signature(twin.body).parameters.values())
        theirs = list(inspect.signature(twin.function).parameters.values())
        # Until Django 6.0 goes: these have an argument since 6.1.
        if django.VERSION < (6, 1) and twin.name in {
            "get_redirect_url",
            "get_success_url_allowed_hosts",
        }:
            ours = ours[: len(theirs)]
        assert [(one.name, one.kind, one.default) for one in ours] == [
            (one.name, one.kind, one.default) for one in theirs
        ]

    def test_it_is_defined_in_the_class_of_djangos_name(self, twin):
        owner = owner_of(twin)
        ours = ours_of(owner)
        assert vars(ours)[twin.aname] is twin.wrapper
        *_, app, last = owner.__module__.split(".")
        last = app if app == "messages" else last
        assert ours.__module__.rpartition(".")[2] == last.removeprefix("_")

    def test_it_calls_others_only_if_it_is_lifted(self, twin):
        is_lifted = inspect.isgeneratorfunction(twin.body)
        assert is_lifted == (twin.calls is None or bool(twin.calls) or twin.always)

    def test_it_is_documented(self, twin):
        if not twin.name.startswith("_"):
            assert inspect.getdoc(twin.wrapper)


def test_every_hook_and_handler_of_django_has_a_twin_at_each_level():
    for klass in django_classes():
        for name, value in vars(klass).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                # The auth views' dispatch() stays Django's own: see their module.
                stays = name in NOT_HOOKS or (klass.__module__, name) == (
                    auth.__name__,
                    "dispatch",
                )
                if not stays:
                    assert value in TWINS, f"{klass.__name__}.{name}"


def test_every_class_of_django_has_one_of_ours_that_stands_right_before_it():
    """In a view of ours, ours and Django's classes alternate, in Django's order."""
    for klass in django_classes():
        ours = ours_of(klass)
        assert issubclass(ours, klass)
        order = [one for one in ours.__mro__ if one in klass.__mro__]
        assert order == list(klass.__mro__)
        names = [one.__name__ for one in ours.__mro__ if one.__name__ != "TwinMixin"]
        for name in [one.__name__ for one in klass.__mro__ if one is not object]:
            assert names.index(f"Async{name}") + 1 == names.index(name)


class TestTwins:
    def test_no_bridge_on_a_class_of_the_library(self):
        for name in views.__all__:
            for value in vars(getattr(views, name)).values():
                assert not isinstance(mark_of(value), Bridge | Override)

    def test_each_twin_is_annotated_with_what_a_caller_gets(self):
        for twin in TWINS.values():
            returns = str(twin.wrapper.__annotations__["return"])
            for one in ("Answer", "Calls", "Generator"):
                assert one not in returns, twin.function
