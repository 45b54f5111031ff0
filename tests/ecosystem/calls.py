"""What a handler calls of a middleware that stays the class that it is."""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextlib import ExitStack, contextmanager
from unittest import mock

from django.utils.module_loading import import_string

__all__ = ["noting", "without_places"]

METHODS = (
    *("__call__", "process_request", "process_view", "process_exception"),
    *("process_template_response", "process_response"),
)


def place():
    """Whether the code that runs blocks the loop of whoever serves the request."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "off the loop"
    return "on the loop"


def described(result):
    return getattr(result, "status_code", result)


@contextmanager
def noting(paths):
    """Note each call of these classes, its order, its result, and where it is."""
    calls = []
    with ExitStack() as stack:
        for cls in map(import_string, paths):
            for name in METHODS:
                if hasattr(cls, name):
                    method = noted(calls, cls, name)
                    stack.enter_context(mock.patch.object(cls, name, method))
        yield calls


def noted(calls, cls, name):
    method = getattr(cls, name)

    def note(*told):
        calls.append((cls.__name__, name, *told))

    async def awaited(coroutine):
        try:
            result = await coroutine
        except Exception as error:
            note("raised", repr(error))
            raise
        note("gave", described(result))
        return result

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        note("is called", len(args), place())
        try:
            result = method(self, *args, **kwargs)
        except Exception as error:
            note("raised", repr(error))
            raise
        if inspect.iscoroutine(result):
            return awaited(result)
        note("gave", described(result))
        return result

    return call


def without_places(calls):
    """
    The calls, their results and their order, wherever they were.

    Before sync views a class with two modes is sync, and under Django's handler not.
    """
    return [told[:-1] if told[2] == "is called" else told for told in calls]
