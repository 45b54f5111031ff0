"""
No override is skipped: each hook of each view, overridden in each colour and place.

Django's own view with the same override, always sync, is the measure: ours has
to call it as often, on the right side of the thread, and answer the same; or
as_view() has to refuse the class with a message that says what to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import TestCase

from django_async_cbv import views
from django_async_cbv.core.hooks import HOOKS, SUPER, TWINS
from tests.catalogue import CATALOGUE, Entry, answer, make_rows

# Beside the handlers, the methods of a view that are no hooks.
WHOLE = ("setup", "dispatch", "http_method_not_allowed")


class Ran:
    """How often each override ran, and which ran on the wrong side."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.wrong: set[str] = set()

    def note(self, name: str, colour: str) -> None:
        self.calls[name] += 1
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            side = "sync"
        else:
            side = "async"
        if side != colour:
            self.wrong.add(f"{colour} {name} ran where {side} code runs")


def override(name: str, colour: str, ran: Ran) -> Callable[..., Any]:
    """A method that overrides a hook, and does nothing but pass on to super()."""
    if colour == "sync":

        def method(self, *args, **kwargs):
            ran.note(name, colour)
            return getattr(super(method.owner, self), name)(*args, **kwargs)

    else:

        async def method(self, *args, **kwargs):
            ran.note(name, colour)
            passed_on = getattr(super(method.owner, self), method.__name__)
            return await passed_on(*args, **kwargs)

    method.__name__ = name if colour == "sync" else HOOKS.get(name, name)
    return method


def make(bases: tuple[type, ...], *methods: Any, **attributes: Any) -> type | None:
    """A class with these methods; None where Python finds no order for its bases."""
    names = {method.__name__: method for method in methods}
    try:
        made = type("Made", bases, {"__module__": __name__} | attributes | names)
    except TypeError as error:
        if "MRO" in str(error):
            return None
        raise
    for method in methods:
        method.owner = made
    return made


def places(entry: Entry, name: str, base: type, new: Callable[[], Any]) -> Iterator:
    """Classes with an override in the class, before it, and behind it."""
    yield "class", make((base,), new(), **entry.attributes)
    yield "before", make((make((), new()), base), **entry.attributes)
    yield "behind", make((base, make((), new())), **entry.attributes)
    root = [klass for klass in entry.django.__mro__ if name in vars(klass)][-1]
    yield "under", make((base, make((root,), new())), **entry.attributes)
    if base is entry.ours:
        root = getattr(views, f"Async{root.__name__}")
    yield "under ours", make((base, make((root,), new())), **entry.attributes)


class Rollback(Exception):
    pass


def visit_all(cls: type, entry: Entry, ran: Ran) -> list[Any]:
    """What the view answers to each visit, on the same rows each time."""
    answers = []
    for visit in entry.visits:
        before = ran.calls.copy()
        try:
            with transaction.atomic():
                found = answer(cls, visit)
                raise Rollback
        except Rollback:
            pass
        answers.append((visit, ran.calls - before, found))
    return answers


def refusal(cls: type) -> str | None:
    try:
        cls.as_view()
    except ImproperlyConfigured as error:
        return str(error)
    return None


class Overrides(TestCase):
    """The tests of one view; made for each below."""

    entry: Entry

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def compare(self, name, django_class, our_class, measured, ran):
        expected = visit_all(django_class, self.entry, measured)
        found = visit_all(our_class, self.entry, ran)
        self.assertEqual(expected, found)
        self.assertEqual(ran.wrong, set())

    def check(self, name, colour):
        pairs = zip(
            places(
                self.entry, name, self.entry.ours, lambda: override(name, colour, ran)
            ),
            places(
                self.entry,
                name,
                self.entry.django,
                lambda: override(name, "sync", measured),
            ),
            strict=True,
        )
        tried = 0
        ran, measured = Ran(), Ran()
        for (place, our_class), (_, django_class) in pairs:
            measured.calls.clear()
            if our_class is None or django_class is None:
                continue
            with self.subTest(hook=name, colour=colour, place=place):
                message = refusal(our_class)
                if message is None:
                    self.compare(name, django_class, our_class, measured, ran)
                    tried += 1
                else:
                    self.assertEqual(colour, "async", message)
                    self.assertIn(place, {"behind", "under", "under ours"}, message)
                    if place != "under":
                        # Nothing lost: Django does not call it there either.
                        visit_all(django_class, self.entry, measured)
                        self.assertEqual(measured.calls[name], 0)
                    self.assertRegex(message, rf"Made\.{HOOKS.get(name, name)}\(\) ")
                    self.assertIn(f"{__file__}:", message)
                    self.assertRegex(message, r"\. (Put|Derive) Made ")
        self.assertGreaterEqual(tried, 2)

    def test_hooks(self):
        hooks = self.entry.hooks()
        self.assertGreater(len(hooks), 0)
        for name in hooks:
            for colour in ("sync", "async"):
                self.check(name, colour)

    def test_handlers(self):
        for name in (*self.entry.handlers(), *WHOLE):
            for colour in ("sync", "async"):
                if (name, colour) != ("setup", "async"):
                    self.check(name, colour)

    def test_async_setup_is_refused(self):
        made = make((self.entry.ours,), override("setup", "async", Ran()))
        message = refusal(made)
        self.assertIn("Keep setup() sync, and await in", message)
        self.assertIn(f"{__file__}:", message)

    def test_a_sync_override_meets_an_async_one_by_the_bridge(self):
        """A sync override whose super() calls a hook that is overridden async."""
        hooks = set(self.entry.hooks())
        for name in sorted(hooks):
            made = [
                twin
                for klass in self.entry.ours.__mro__
                if (twin := TWINS.get(vars(klass).get(name))) is not None
            ]
            below = {called for twin in made for called in twin.calls} - {SUPER}
            for called in sorted(below & hooks):
                ran, measured = Ran(), Ran()
                our_class = make(
                    (self.entry.ours,),
                    override(name, "sync", ran),
                    override(called, "async", ran),
                    **self.entry.attributes,
                )
                django_class = make(
                    (self.entry.django,),
                    override(name, "sync", measured),
                    override(called, "sync", measured),
                    **self.entry.attributes,
                )
                with self.subTest(sync=name, its_async=called):
                    self.compare(name, django_class, our_class, measured, ran)

    def test_every_hook_at_once(self):
        """All in one class and one colour, and handlers over them."""
        for colour in ("sync", "async"):
            ran, measured = Ran(), Ran()
            names = [*self.entry.hooks(), *self.entry.handlers(), "dispatch"]
            our_class = make(
                (self.entry.ours,),
                *[override(name, colour, ran) for name in names],
                **self.entry.attributes,
            )
            django_class = make(
                (self.entry.django,),
                *[override(name, "sync", measured) for name in names],
                **self.entry.attributes,
            )
            with self.subTest(colour=colour):
                self.compare("all", django_class, our_class, measured, ran)


for _entry in CATALOGUE:
    _name = f"Test{_entry.name}"
    globals()[_name] = type(
        _name, (Overrides,), {"entry": _entry, "__module__": __name__}
    )
del Overrides
