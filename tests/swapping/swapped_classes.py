"""Which of Django's classes are swapped for which of ours, and whether all were."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = [
    "AppSwapper",
    "django_views",
    "find_escaped",
    "made_from",
    "swap_app_classes",
    "swap_views",
]

MODULES = ("base", "detail", "list", "edit", "dates")
# Modules of django.contrib, each with the module of our package.
APP_MODULES = {
    "django.contrib.auth.mixins": "django_async_cbv.auth.mixins",
    "django.contrib.auth.views": "django_async_cbv.auth.views",
    "django.contrib.messages.views": "django_async_cbv.messages",
}


def django_views() -> dict[str, type]:
    """Django's generic views and mixins, by name, those without a class of ours too."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"django.views.generic.{name}")
        found |= {
            key: value
            for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        }
    return found


def swap_views(originals: dict[str, type]) -> None:
    """Put each of our classes wherever Django's of the same name is looked up."""
    from django_async_cbv import views

    for name in views.__all__:
        ours = getattr(views, name)
        django_name = name.removeprefix("Async")
        # Of the formset views Django has none.
        django_class = originals.get(django_name)
        if django_class is None:
            continue
        places = (
            module
            for key, module in list(sys.modules.items())
            if key.partition(".")[0] == "django"
        )
        for place in places:
            if vars(place).get(django_name) is django_class:
                setattr(place, django_name, ours)


def swap_app_classes(originals: dict[str, type], *names: str) -> None:
    """
    Put our classes in the place of those of Django's apps, and of nothing before.

    Such a module can be imported only when the apps are ready. `names`: of these
    modules alone. What was swapped is added to `originals`.
    """
    for name in names or APP_MODULES:
        theirs = importlib.import_module(name)
        ours = importlib.import_module(APP_MODULES[name])
        for key in ours.__all__:
            django_name = key.removeprefix("Async")
            originals[django_name] = getattr(theirs, django_name)
            setattr(theirs, django_name, getattr(ours, key))


class AppSwapper(importlib.abc.MetaPathFinder):
    """
    Swaps the classes of Django's apps as soon as anybody imports their modules.

    For code that imports them while the apps are loaded, too early for
    `swap_app_classes()`. Stands at the front of sys.meta_path.
    """

    def __init__(self, originals: dict[str, type]) -> None:
        self.originals = originals
        # Ours too: one of them may be what imports Django's.
        self.waiting = {*APP_MODULES, *APP_MODULES.values()}
        self.depth = 0
        self.executed: list[str] = []

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name not in self.waiting:
            return None
        self.waiting.remove(name)
        spec = importlib.util.find_spec(name)
        loader: Any = spec and spec.loader
        execute = loader.exec_module

        def execute_and_swap(module: ModuleType) -> None:
            self.depth += 1
            try:
                execute(module)
            finally:
                self.depth -= 1
            if name in APP_MODULES:
                self.executed.append(name)
            # One of these modules imports another; a swap needs all of them whole.
            if not self.depth:
                while self.executed:
                    swap_app_classes(self.originals, self.executed.pop())

        loader.exec_module = execute_and_swap
        return spec


def made_from(roots: dict[str, type]) -> Iterator[type]:
    """The classes made from any of these, and these themselves; each once."""

    def subclasses(cls: type) -> set[type]:
        return {cls}.union(*map(subclasses, cls.__subclasses__()))

    yield from set().union(*map(subclasses, roots.values()))


def find_escaped(originals: dict[str, type]) -> list[str]:
    """The classes made from Django's views that are not made from ours."""
    from django_async_cbv.core.twins import TwinMixin

    return sorted(
        f"{cls.__module__}.{cls.__qualname__}"
        for cls in made_from(originals)
        if not issubclass(cls, TwinMixin)
        and cls not in originals.values()
        # A stand-in of detail.py's, which is Django's mixin on purpose.
        and not cls.__module__.startswith("django_async_cbv.")
    )
