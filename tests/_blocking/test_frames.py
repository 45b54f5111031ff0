"""What a stack is about: the line, the hook, and what that calls."""

from __future__ import annotations

import asyncio
import bdb
import sys

import pytest
from django.test import SimpleTestCase

from django_async_cbv._blocking.frames import (
    Position,
    Stack,
    innermost,
    is_debugger,
    stack_of,
)

PACKAGE = "/site/lib/site-packages/package/module.py"
DJANGO = sys.modules["django"].__file__.replace("__init__", "somewhere")


def function(name, file, *, is_async=False):
    """A function that stands in a file, as a position in it."""
    kind = "async def" if is_async else "def"
    namespace = {}
    exec(compile(f"{kind} {name}():\n    return 1", file, "exec"), namespace)
    return Position(namespace[name].__code__, 0)


def own(name, **options):
    return function(name, "/site/books/views.py", **options)


def theirs(name, **options):
    return function(name, PACKAGE, **options)


def djangos(name, **options):
    return function(name, DJANGO, **options)


SERVER = function("run", "/site/lib/site-packages/server.py", is_async=True)

# Innermost first; the names of the line's function and of the hook's.
STACKS = {
    "a hook": (
        [own("hook", is_async=True), djangos("view", is_async=True)],
        "hook",
        "hook",
    ),
    "a function that a hook calls": (
        [own("prices"), own("hook", is_async=True), djangos("view", is_async=True)],
        "prices",
        "hook",
    ),
    "a package that a hook calls": (
        [theirs("read"), theirs("get"), own("hook", is_async=True)],
        "hook",
        "hook",
    ),
    "an async function that a hook awaits": (
        [own("prices", is_async=True), own("hook", is_async=True)],
        "prices",
        "hook",
    ),
    "the ORM, for a hook": (
        [djangos("execute"), djangos("count"), own("hook", is_async=True)],
        "hook",
        "hook",
    ),
    "a form that a hook validates": (
        [own("clean"), djangos("is_valid"), own("hook", is_async=True)],
        "clean",
        "hook",
    ),
    "a sync function that Django calls on the loop": (
        [own("clean"), djangos("sync"), djangos("view", is_async=True)],
        "clean",
        "clean",
    ),
    "a hook that another hook's super() comes to": (
        [
            own("queryset", is_async=True),
            djangos("context", is_async=True),
            own("context", is_async=True),
        ],
        "queryset",
        "queryset",
    ),
    "a middleware of the project's around a view": (
        [
            own("hook", is_async=True),
            djangos("get_response", is_async=True),
            own("middleware", is_async=True),
        ],
        "hook",
        "hook",
    ),
    "a project's function in a package's, for a hook": (
        [own("key"), theirs("sort"), own("hook", is_async=True)],
        "key",
        "hook",
    ),
    "a package's middleware": (
        [theirs("middleware", is_async=True), djangos("inner", is_async=True)],
        "middleware",
        "middleware",
    ),
    "a callback of the project's": (
        [own("prices"), own("callback")],
        "prices",
        "callback",
    ),
    "Django alone": (
        [djangos("execute"), djangos("view", is_async=True)],
        "execute",
        "execute",
    ),
    "Django, for a view that a middleware of the project's awaits": (
        [
            djangos("resolve"),
            djangos("get_response", is_async=True),
            own("middleware", is_async=True),
        ],
        "resolve",
        "resolve",
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_names_the_line_and_the_hook(name):
    positions, line, hook = STACKS[name]
    stack = Stack((*positions, djangos("handler", is_async=True), SERVER), False)
    assert stack.positions[stack.line].place.name == line
    assert stack.positions[stack.hook].place.name == hook


class Seen:
    """Sees what its caller calls, as it stands in the code."""

    def __init__(self):
        self.names = []

    def look(self, *_, **__):
        frame = sys._getframe(1)
        stack = Stack((Position(frame.f_code, frame.f_lasti),), False)
        self.names.append(stack.called(0))
        return self

    @property
    def attribute(self):
        frame = sys._getframe(1)
        here = sys._getframe()
        positions = (
            Position(here.f_code, here.f_lasti),
            Position(frame.f_code, frame.f_lasti),
        )
        self.names.append(Stack(positions, False).called(1))
        return self

    def __iter__(self):
        frame = sys._getframe(1)
        positions = (
            Position(sys._getframe().f_code, 0),
            Position(frame.f_code, frame.f_lasti),
        )
        self.names.append(Stack(positions, False).called(1))
        return iter(())


class TestCalled(SimpleTestCase):
    """What is called is named as it is written."""

    def setUp(self):
        self.seen = Seen()

    def test_calls(self):
        seen, look, some = self.seen, self.seen.look, [self.seen]
        look()
        look("secret", key="secret")
        seen.look()
        self.seen.look()
        some[0].look()
        seen.look().look("é")
        _ = [look(one) for one in range(1)]
        if look(1) and not look(2):
            pass
        assert seen.names == [
            *("look", "look", "seen.look", "self.seen.look", "look"),
            *("seen.look", "seen.look().look", "look", "look", "look"),
        ]

    def test_over_several_lines(self):
        seen = self.seen
        seen.look(
            "a",
            "b",
        )
        (
            seen
            .look()
            .look("c")
        )  # fmt: skip
        # Python says where the name of the method begins.
        assert [name.rpartition(".")[2] for name in seen.names] == ["look"] * 3

    def test_what_is_no_call_is_named_by_what_runs(self):
        seen = self.seen
        _ = seen.attribute
        for _ in seen:
            pass
        assert seen.names == ["Seen.attribute", "Seen.__iter__"]

    def test_a_function_without_source_has_no_call(self):
        assert Stack((own("hook"),), False).called(0) is None


class TestStackOf(SimpleTestCase):
    def test_of_a_callback_it_is_what_the_loop_runs(self):
        found = []

        async def page():
            found.append(stack_of(sys._getframe(), None))

        asyncio.run(page())
        names = [one.code.co_name for one in found[0].positions]
        assert (names, found[0].is_idle) == (["page"], False)

    def test_a_loop_that_waits_is_idle(self):
        found = []

        async def page():
            loop = asyncio.get_running_loop()
            select = loop._selector.select

            def look(timeout):
                found.append(stack_of(sys._getframe(), None))
                return select(timeout)

            loop._selector.select = look
            await asyncio.sleep(0)
            del loop._selector.select

        asyncio.run(page())
        assert found
        assert all(one.is_idle and not one.positions for one in found)

    def test_a_loop_without_frames_is_known_by_what_runs_it(self):
        frame = sys._getframe()
        assert stack_of(frame, frame.f_code).is_idle

        def callback():
            return stack_of(sys._getframe(), frame.f_code)

        assert not callback().is_idle
        assert len(callback().positions) == 1

    def test_a_thread_that_is_over(self):
        assert stack_of(None, self.test_a_thread_that_is_over.__code__).is_idle


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (bdb.__file__, True),
        ("/site/lib/site-packages/debugpy/_vendored/pydevd/pydevd.py", True),
        ("/ide/_pydevd_bundle/pydevd_frame.py", True),
        ("/site/books/pdb.py", False),
        ("/site/books/views.py", False),
    ],
)
def test_a_debugger_is_known_by_its_files(file, expected):
    assert is_debugger([own("hook"), function("wait", file)]) is expected


def test_a_thread_is_named_by_the_functions_of_the_project():
    place = innermost(sys._getframe())
    assert place.name == "test_a_thread_is_named_by_the_functions_of_the_project"
    assert innermost(None) is None
