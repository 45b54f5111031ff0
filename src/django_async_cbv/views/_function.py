"""The callable that `as_view()` returns: it answers async callers and sync ones."""

from __future__ import annotations

import asyncio.coroutines
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FrameType, FunctionType
from typing import Any

from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import AsyncToSync, iscoroutinefunction
from django.core.handlers.base import BaseHandler
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin
from django.views.generic import base

# The import connects a signal receiver, which has to see the first connection.
from .. import db as _db  # noqa: F401
from ..core.colours import BothColours
from ..core.flow import BaseAnswer, Calls, Flow, call, respond
from ..core.hooks import ANAMES, is_of_a_framework, names_read, pristine
from ..core.marks import COROUTINE_MARKS, mark_of
from ..core.plan import Plan
from ..core.problems import refuse_attributes
from ..core.threads import loop_is_running, run_to_the_end
from ..core.transactions import WorkerBlock, forget, request_blocks
from ..core.twins import adopt, plan_of

__all__ = [
    "ViewFunction",
    "around",
    "is_made_in_worker",
    "is_set_up_in_worker",
    "may_validate_async",
    "validates_async",
]

# Django's functions, which a subclass or an agent may replace in the class.
_INIT = base.View.__init__
_SETUP = pristine(base.View.setup)
_SET_UP = names_read(_SETUP)

# Code that may call the view indirectly (see ViewFunction.__call__()).
_ASYNC_TO_SYNC = AsyncToSync.__call__.__code__
_RUN_UNTIL_FUTURE = CurrentThreadExecutor.run_until_future.__code__
_IN_TRANSACTION = transaction.atomic(lambda: None).__code__
# Sentry's SDK replaces this method.
_MAKE_VIEW_ATOMIC = pristine(BaseHandler.make_view_atomic).__code__
_MIDDLEWARE = MiddlewareMixin.__init__.__code__
# Files whose functions ask for others: inspect, and on Python 3.11 asyncio.
_BETWEEN = {inspect.__file__, functools.__file__, asyncio.coroutines.__file__}


class _Mark:
    """
    What marks each view as a coroutine function.

    The mark is on the class. A mark in the `__dict__` of a view would be copied by
    functools.wraps(), and would make sync decorators look async.
    """

    def __init__(self, mark: Any) -> None:
        self.mark = mark

    def __get__(self, view: Any, owner: Any = None) -> Any:
        asking = None if view is None else _asking()
        if asking is None or (
            # Python sees through functools.partial(), which takes no attributes from
            # the view. Django would refuse it under ATOMIC_REQUESTS as async. As sync,
            # it is called in a worker thread, in Django's own transaction.
            _stands_for(asking.f_locals["view"], view)
            if asking.f_code is _MAKE_VIEW_ATOMIC
            # Other code asks where no event loop runs, and calls the view there.
            # Examples are a test with middleware around the view, and an agent's
            # wrapper. They learn what their call will return.
            else loop_is_running() or view.is_async or _goes_to_a_loop()
        ):
            return self.mark
        return None


def _asking() -> FrameType | None:
    """The frame of who asks, if that needs another answer than others do."""
    frame: FrameType | None = sys._getframe(2)
    asks: FrameType | None = None
    # A few frames of inspect, asgiref or a proxy come between.
    for _ in range(6):
        if frame is None:
            break
        code = frame.f_code
        if code in {_MAKE_VIEW_ATOMIC, _MIDDLEWARE}:
            return frame
        if (
            asks is None
            and code.co_filename not in _BETWEEN
            and code.co_name != "__getattr__"
        ):
            asks = frame
        frame = frame.f_back
    return asks if asks is not None and _was_given_a_request(asks) else None


def _was_given_a_request(frame: FrameType) -> bool:
    """
    Whether a function has a request among its arguments, and so is to call the view.

    Django's handler is none of these. It makes a sync function of what is async, and
    leaves the transaction of ATOMIC_REQUESTS to that.
    """
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS)
    given = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    # wrapt passes the arguments of a call as one tuple.
    given += [one for value in given if type(value) is tuple for one in value[:1]]
    # By type, because isinstance() would evaluate a lazy object.
    types = [*map(type, given)]
    return any(issubclass(one, HttpRequest) for one in types) and not any(
        issubclass(one, BaseHandler) for one in types
    )


def _stands_for(asked: Any, view: Any) -> bool:
    """Whether something is a view, or an agent's proxy of it, and no partial()."""
    while asked is not view:
        if isinstance(asked, functools.partial) or not hasattr(asked, "__wrapped__"):
            return False
        asked = asked.__wrapped__
    return True


class ViewFunction(BothColours):
    """
    A view for the URLconf: in async code a coroutine function, in sync code a sync one.

    It has the attributes of the function that Django's `as_view()` returns.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_awaits",
        "_cls",
        "_initkwargs",
        "_opt_outs",
        "_sync",
    )

    def __init__(self, django_view: Any, cls: Any, initkwargs: dict[str, Any]) -> None:
        self._cls = cls
        self._initkwargs = initkwargs
        self._awaits: tuple[Plan | None, dict[str, bool]] = (None, {})
        # The attributes that decorators set on dispatch(), for example csrf_exempt,
        # without the mark that makes dispatch() async.
        mark = mark_of(cls.dispatch)
        dispatch = cls.dispatch if mark is None else mark.function
        attributes = vars(self)
        for name in functools.WRAPPER_ASSIGNMENTS:
            if hasattr(django_view, name):
                attributes[name] = getattr(django_view, name)
        attributes["__annotations__"] = getattr(cls.dispatch, "__annotations__", {})
        attributes.update(view_class=cls, view_initkwargs=initkwargs)
        attributes.update(
            {
                name: vars(dispatch)[name]
                for name in vars(dispatch).keys() - COROUTINE_MARKS.keys() - {"_twin"}
            }
        )
        self._opt_outs = _OptOuts(getattr(dispatch, "_non_atomic_requests", ()))
        attributes["_non_atomic_requests"] = self._opt_outs

        def sync_view(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
            return Flow(self._serve(plan_of(cls), request, args, kwargs)).enter()

        # Django reads the opt-outs from a sync wrapper (see _OptOuts).
        sync_view._non_atomic_requests = self._opt_outs  # type: ignore[attr-defined]
        self._sync = sync_view

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """
        Answer a request: with a coroutine in async code, with a response in sync code.

        A coroutine is what callers get on an event loop, what `async_to_sync()` gets
        on the way to one, and what all get of a class with an `async def` handler, as
        of Django's views. All others get the response. Their thread waits for async
        hooks, and any transaction is theirs: Django makes the one of ATOMIC_REQUESTS
        around a sync wrapper.
        """
        if not loop_is_running() and (
            sys._getframe(1).f_code is _IN_TRANSACTION
            or not (self.is_async or _goes_to_a_loop())
        ):
            plan = plan_of(self._cls, verify=True)
            return Flow(self._serve(plan, request, args, kwargs)).enter()
        return self.answer(request, args, kwargs)

    @property
    def is_async(self) -> bool:
        """Whether sync code gets a coroutine too: a handler is an `async def`."""
        return plan_of(self._cls, verify=True).has_async_handler

    def awaits(self, method: str) -> bool:
        """
        Whether it may have something to await for requests of this method.

        Of a class that was changed since its last request, it is what held before.
        """
        plan = plan_of(self._cls)
        known, found = self._awaits
        if known is not plan:
            self._awaits = plan, (found := {})
        if method not in found:
            own = frozenset(self._initkwargs.keys() & ANAMES.keys())
            found[method] = plan.with_own(own).awaits(method) or (
                method in {"POST", "PUT"}
                and may_validate_async(self._cls, self._initkwargs)
            )
        return found[method]

    def as_sync(self) -> Callable[..., Any] | None:
        """A sync function for it, or None where sync callers get a coroutine too."""
        return None if self.is_async else self._sync

    async def answer(
        self,
        request: HttpRequest,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        finish: Callable[[Any], Any] | None = None,
    ) -> HttpResponseBase:
        """Answer a request on the event loop, and finish a response to be rendered."""
        plan = plan_of(self._cls, verify=True)
        body = self._serve(plan, request, args, kwargs)
        if aliases := self.atomic_aliases():
            body = _in_transactions(aliases, body)
        if finish is not None:
            body = _finished(body, finish)
        response: HttpResponseBase = await Flow(body, unwinds=bool(aliases)).run()
        return response

    def atomic_aliases(self) -> list[str]:
        """The databases in whose transactions each request runs."""
        return self._opt_outs.atomic_aliases()

    def _serve(
        self,
        plan: Plan,
        request: HttpRequest,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> BaseAnswer:
        """Make the view and answer one request; overrides run in the worker thread."""
        cls = self._cls
        if is_made_in_worker(plan, self._initkwargs):
            view = yield call(cls, **self._initkwargs)
        else:
            view = cls(**self._initkwargs)
        if is_set_up_in_worker(plan):
            yield call(view.setup, request, *args, **kwargs)
        else:
            view.setup(request, *args, **kwargs)
        if "request" not in vars(view) and not (yield call(hasattr, view, "request")):
            raise AttributeError(
                f"{cls.__name__} instance has no 'request' attribute. Did you override "
                "setup() and forget to call super()?"
            )
        adopt(view)
        refuse_attributes(view)
        response = yield respond(view.dispatch, request, *args, **kwargs)
        return view._last_word(response)

    def __copy__(self) -> ViewFunction:
        return self

    def __deepcopy__(self, memo: Any) -> ViewFunction:
        return self

    def __repr__(self) -> str:
        return f"<view {self._cls.__module__}.{self._cls.__qualname__}>"


for _name, _value in COROUTINE_MARKS.items():
    setattr(ViewFunction, _name, _Mark(_value))


def is_made_in_worker(plan: Plan, initkwargs: Iterable[str]) -> bool:
    """Whether to make a view runs code of the project's."""
    cls: Any = plan.cls
    return cls.__init__ is not _INIT or plan.reads_descriptors(initkwargs)


def is_set_up_in_worker(plan: Plan) -> bool:
    """Whether the setup() of a view runs code of the project's."""
    cls: Any = plan.cls
    return cls.setup is not _SETUP or plan.reads_descriptors(_SET_UP)


def around(django_view: Any, view: ViewFunction) -> Any:
    """
    The view, in the proxy that an agent's `View.as_view()` gave Django's view.

    A proxy of wrapt's tells what it calls, and can be told another.
    """
    if type(django_view) is FunctionType or not hasattr(django_view, "__wrapped__"):
        return view
    innermost = django_view
    while type(innermost.__wrapped__) is not FunctionType:
        innermost = innermost.__wrapped__
    innermost.__wrapped__ = view
    return django_view


def _finished(body: Calls[Any], finish: Callable[[Any], Any]) -> Calls[Any]:
    response = yield from body
    if callable(getattr(response, "render", None)):
        response = yield call(finish, response)
    return response


def may_validate_async(cls: Any, initkwargs: Mapping[str, Any]) -> bool:
    """Whether forms of an edit view may have async validation, or can't be known."""
    for name in ("get_form_class", "get_form", "get_formset_class", "get_formset"):
        if not is_of_a_framework(_definer(cls, name)):
            return True
    return validates_async(cls, initkwargs)


def validates_async(cls: Any, initkwargs: Mapping[str, Any]) -> bool:
    """Whether a form that an edit view names has async validation."""
    classes = [
        initkwargs.get(name, getattr(cls, name, None))
        for name in ("form_class", "formset_class")
    ]
    classes += [getattr(one, "form", None) for one in classes]
    return any(name.startswith("aclean") for one in classes if one for name in dir(one))


def _definer(cls: type, name: str) -> type:
    return next((one for one in cls.__mro__ if name in vars(one)), object)


def _goes_to_a_loop() -> bool:
    """Whether asgiref's async_to_sync() calls, and so will await what it is given."""
    frame: FrameType | None = sys._getframe(2)
    # async_to_sync() may also wait and run sync code in its thread meanwhile.
    while frame is not None and frame.f_code is not _RUN_UNTIL_FUTURE:
        if frame.f_code is _ASYNC_TO_SYNC:
            return True
        frame = frame.f_back
    return False


class _OptOuts(set[str]):
    """
    The databases for which the user put transaction.non_atomic_requests() on a view.

    Django reads this attribute under ATOMIC_REQUESTS, and refuses an async view that
    has not opted out. Such a view is told to have opted out of all: it makes the
    transactions itself. A sync wrapper, to which functools.wraps() has copied this
    attribute, opts out of what the user said, and no more.
    """

    def __contains__(self, alias: object) -> bool:
        asking = _asking()
        if asking is None or iscoroutinefunction(asking.f_locals["view"]):
            return True
        return super().__contains__(alias)

    def atomic_aliases(self) -> list[str]:
        """The databases to make the request atomic in, the outermost first."""
        opted_out = list(self)
        return [
            alias
            for alias, options in reversed(connections.settings.items())
            if options["ATOMIC_REQUESTS"] and alias not in opted_out
        ]


def _in_transactions(aliases: list[str], body: Calls[HttpResponseBase]) -> BaseAnswer:
    """Run a body in a transaction of each database; an exception rolls back."""
    blocks = request_blocks(aliases)
    try:
        for block in blocks:
            yield call(block.enter)
        response = yield from body
        for block in reversed(blocks):
            yield call(block.leave, None, None, None)
    except GeneratorExit:
        # The event loop has dropped this task, so nothing is left that could run a
        # rollback.
        raise
    except BaseException as error:
        yield call(_roll_back, blocks, error)
        raise
    finally:
        forget(*blocks)
    return response


async def _roll_back(blocks: list[WorkerBlock], error: BaseException) -> None:
    """Leave what is still open, even when cancelled."""
    details = type(error), error, error.__traceback__

    def leave() -> None:
        with contextlib.ExitStack() as rest:
            for block in blocks:
                if block.is_open:
                    rest.callback(block.leave, *details)

    # Traces and messages show the name of the wrapped function.
    leave.__wrapped__ = blocks[0].leave  # type: ignore[attr-defined]
    await run_to_the_end(leave)
