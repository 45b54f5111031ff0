"""
What stands in the place of a method, on the class that defines it, is called through.

Agents that trace and spies put it there: over each hook and handler of each class of
ours, and over the function of Django's that it is of.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.db import transaction
from django.test import TestCase

from django_async_cbv.core.hooks import HOOKS, TWINS, Hook
from django_async_cbv.core.problems import problems
from tests import proxies
from tests.catalogue import CATALOGUE, Entry, Visit, answer, make_rows


class Spy:
    """Puts wrappers in the place of methods, and counts their calls."""

    def __init__(self) -> None:
        self.views: list[Any] = []

    @contextlib.contextmanager
    def wraps(self, cls: type, name: str, kind: Callable[..., Any]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            original = vars(cls)[name]
            setattr(cls, name, kind(self, original))
            stack.callback(setattr, cls, name, original)
            yield


def plain(spy: Spy, original: Any) -> Any:
    """As functools.wraps() makes it, of the colour of what it wraps."""
    if iscoroutinefunction(original):

        @functools.wraps(original)
        async def traced(self, *args, **kwargs):
            spy.views.append(self)
            return await original(self, *args, **kwargs)

    else:

        @functools.wraps(original)
        def traced(self, *args, **kwargs):
            spy.views.append(self)
            result = original(self, *args, **kwargs)
            return result

    return traced


def bare(spy: Spy, original: Any) -> Any:
    """A sync function that tells nothing of what it wraps."""

    def traced(self, *args, **kwargs):
        spy.views.append(self)
        result = original(self, *args, **kwargs)
        return result

    return traced


def sync_wraps(spy: Spy, original: Any) -> Any:
    """A sync function around what may be async, which copies its attributes."""
    return functools.wraps(original)(bare(spy, original))


def partial(spy: Spy, original: Any) -> Any:
    """A method of another kind than a function."""

    def traced(self, method, *args, **kwargs):
        spy.views.append(self)
        return method(self, *args, **kwargs)

    return functools.partialmethod(traced, original)


class _Bound(proxies.Proxy):
    def __init__(self, parent: Proxy, method: Any, view: Any) -> None:
        super().__init__(method)
        self._self_parent = parent
        self._self_view = view

    def __call__(self, *args, **kwargs):
        self._self_parent._self_spy.views.append(self._self_view)
        result = self.__wrapped__(*args, **kwargs)
        return result


class Proxy(proxies.Proxy):
    """As wrapt makes it: in all that can be asked the function that it wraps."""

    def __init__(self, spy: Spy, original: Any) -> None:
        super().__init__(original)
        self._self_spy = spy

    def __hash__(self):
        return hash(self.__wrapped__)

    def __eq__(self, other):
        return self.__wrapped__ == other

    def __get__(self, view, owner=None):
        return _Bound(self, self.__wrapped__.__get__(view, owner), view)


KINDS = (plain, bare, sync_wraps, partial, Proxy)


class DispatchMixin:
    """A sync mixin that is not done when its super() is."""

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Mixin"] = "passed"
        return response


def passing_on(cls: type, name: str) -> Any:
    """An async override of a hook, for a class that has it."""
    aname = HOOKS[name]

    async def method(self, *args, **kwargs):
        return await getattr(super(method.owner, self), aname)(*args, **kwargs)

    method.__name__ = aname
    return method


def made(entry: Entry, *bases: type, hook: str = "") -> type:
    namespace = dict(entry.attributes)
    if hook:
        method = passing_on(entry.ours, hook)
        namespace[HOOKS[hook]] = method
    cls = type("Made", (*bases, entry.ours), namespace)
    if hook:
        method.owner = cls
    return cls


class Rollback(Exception):
    pass


def visit(cls: type, one: Visit) -> Any:
    try:
        with transaction.atomic():
            found = answer(cls, one)
            raise Rollback
    except Rollback:
        return found


def twins_of(entry: Entry) -> list[Hook]:
    """The twins that a view of ours meets, each at its level."""
    return [twin for twin in TWINS.values() if twin.home in entry.ours.__mro__]


class Wrapped(TestCase):
    """The tests of one view; made for each below."""

    entry: Entry

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def variants(self) -> Iterator[tuple[str, type]]:
        yield "untouched", made(self.entry)
        yield "sync mixin", made(self.entry, DispatchMixin)
        if "get_context_data" in self.entry.hooks():
            yield "async hook", made(self.entry, hook="get_context_data")
            yield "both", made(self.entry, DispatchMixin, hook="get_context_data")
        else:
            yield "async hook", made(self.entry, hook="get_redirect_url")

    def expected(self, twin: Hook, one: Visit) -> int:
        """How often Django calls its function on its own view, spied on there."""
        django = type("Made", (self.entry.django,), dict(self.entry.attributes))
        spy = Spy()
        with spy.wraps(twin.owner, twin.name, plain):
            visit(django, one)
        return len(spy.views)

    def check(self, cls, twin, place, one, kind, count):
        spy = Spy()
        before = visit(cls, one)
        with spy.wraps(*place, kind):
            # The first request finds the wrapper in a plan that knows none.
            self.assertEqual(visit(cls, one), before)
            self.assertEqual(len(spy.views), count)
            for view in spy.views:
                self.assertIsInstance(view, cls)
            self.assertEqual(list(problems(cls)), [])
        spy.views.clear()
        self.assertEqual(visit(cls, one), before)
        self.assertEqual(spy.views, [])

    def test_each_method_of_ours_and_of_djangos(self):
        # One visit a method: the others differ in what is answered alone.
        visits = {one.method: one for one in reversed(self.entry.visits)}
        variants = list(self.variants())
        called = 0
        for twin in twins_of(self.entry):
            for one in visits.values():
                count = self.expected(twin, one)
                if not count:
                    continue
                called += 1
                for variant, cls in variants:
                    for place in ((twin.home, twin.aname), (twin.owner, twin.name)):
                        kind = KINDS[called % len(KINDS)]
                        with self.subTest(
                            place=place, visit=one.method, view=variant, kind=kind
                        ):
                            self.check(cls, twin, place, one, kind, count)
        self.assertGreater(called, 2)


for _entry in CATALOGUE:
    _name = f"Test{_entry.name}"
    globals()[_name] = type(
        _name, (Wrapped,), {"entry": _entry, "__module__": __name__}
    )
del Wrapped
