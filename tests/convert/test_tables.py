"""The tables, read from the sources, are what an import gives."""

from __future__ import annotations

import importlib

from django.views.generic import View

from django_async_cbv.convert import tables
from django_async_cbv.core.hooks import HOOKS, TWINS
from tests.swapping.swapped_classes import django_views


def test_each_of_our_classes_has_its_place():
    for django, ours in tables.MODULES.items():
        module = importlib.import_module(ours)
        for name in module.__all__:
            assert tables.ours_for(django, name.removeprefix("Async")) == (ours, name)


def test_each_view_of_django_is_there():
    for name, cls in django_views().items():
        if not issubclass(cls, Exception):
            assert tables.ours_for(cls.__module__, name), name


def test_the_hooks_are_those_that_are_declared():
    djangos = {
        one.__name__
        for one in TWINS
        if one.__module__.startswith("django.")
        and one.__name__[0] != "_"
        and one.__name__ not in tables.handlers()
    }
    # The generic formset views have hooks of their own, which Django has not.
    assert tables.hooks() == djangos
    assert djangos <= HOOKS.keys()


def test_the_handlers_are_those_of_django():
    handlers = {*View.http_method_names, "dispatch", "http_method_not_allowed"}
    assert tables.handlers() == handlers
