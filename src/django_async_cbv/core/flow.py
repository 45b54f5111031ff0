"""
Run a body that is written once, as a generator of calls, in as few hops as it can be.

Each call is made where it belongs, on the event loop or in a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Generator
from types import CoroutineType, MethodType
from typing import Any, NoReturn, TypeAlias, TypeVar, final

from django.http import HttpResponse, HttpResponseBase

from .marks import carried_mark, is_async, is_in_a_slot
from .naming import shows
from .tailcalls import in_tail_position
from .threads import (
    OWN,
    Hop,
    loop_is_running,
    run_sync,
    run_to_the_end,
    wait_for,
    worker,
)

__all__ = [
    "Call",
    "Calls",
    "Flow",
    "as_call",
    "call",
    "in_worker",
    "refuse_coroutine",
    "respond",
    "run_call",
    "run_in_sync_code",
]

_R = TypeVar("_R")


@final
class Call:
    """
    A call that a body asks for: `result = yield call(func, *args, **kwargs)`.

    Whoever runs the body makes the call where it belongs: an async function is
    awaited on the loop, a sync one runs in the request's worker, and one of our
    own functions says itself what it comes to (see Mark.resolve()).
    """

    __slots__ = (
        "args",
        "choice",
        "func",
        "inline",
        "is_sync",
        "kwargs",
        "response",
    )

    def __init__(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        inline: bool = False,
        response: bool = False,
        is_sync: bool = False,
        choice: Any = None,
    ) -> None:
        self.func = func
        self.args = args
        self.kwargs = {} if kwargs is None else kwargs
        # Whether the function does no I/O, so that it may run on the event loop.
        self.inline = inline
        # Whether this calls a handler or dispatch(). Their sync frames may return a
        # flow with the rest of the work (see Flow.enter).
        self.response = response
        # Whether a plan knows that the function is sync. Asking each time takes a
        # microsecond.
        self.is_sync = is_sync
        # The plan's choice for a function of Django. It tells whose code the function
        # runs.
        self.choice = choice


# A lifted body yields calls, receives their results and returns an _R. A function
# without arguments, for example a partial(), may be yielded as it is.
Calls: TypeAlias = Generator[Call | Callable[[], Any], Any, _R]
# The lifted body of a handler.
Answer: TypeAlias = Calls[HttpResponse]
BaseAnswer: TypeAlias = Calls[HttpResponseBase]


def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Call:
    """Ask, from a lifted body, for `func(*args, **kwargs)` where it belongs."""
    return Call(func, args, kwargs)


def as_call(asked: Call | Callable[[], Any]) -> Call:
    """The call that a body asks for."""
    if type(asked) is Call:
        return asked
    if isinstance(asked, functools.partial):
        return Call(asked.func, asked.args, asked.keywords)
    return Call(asked)


def in_worker(body: Calls[_R]) -> Calls[_R]:
    """
    Run a body whose own lines belong in a worker, as well as the calls it asks for.

    That is a body that reads an attribute which a view's class gives as a property.
    """
    send: Callable[[], Any] = functools.partial(body.send, None)
    try:
        while True:
            # The flow moves to a worker thread for this call, and returns from there.
            yield _HERE
            try:
                step = send()
            except StopIteration as stop:
                result: _R = stop.value
                return result
            try:
                send = functools.partial(body.send, (yield step))
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - for the body to handle
                send = functools.partial(body.throw, error)
    finally:
        body.close()


def respond(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Call:
    """As call(), for a handler or dispatch(), which may end on the loop."""
    return Call(func, args, kwargs, response=True)


def _nothing() -> None:
    pass


_HERE = Call(_nothing, is_sync=True)


def is_in_flow() -> bool:
    """Whether a view, or a hook, of ours runs further up in this thread's stack."""
    return bool(worker.flows)


class Flow:
    """
    One run of a body, and of the bodies that it calls, to its end.

    A body runs on the loop until it asks for a sync call. Then the whole flow
    moves to the worker and goes on there, call after call, until something has
    to be awaited. So a hop is paid for a run of sync calls, however long, and
    no worker is held while something is awaited.

    `unwinds`: a cancellation goes on into the bodies, which have something to
    put back, once the worker has ended the call that it is in.
    """

    __slots__ = (
        "_abandoned",
        "_error",
        "_hop",
        "_job",
        "_stack",
        "_unwinds",
        "_value",
        "awaiting",
    )

    def __init__(
        self, body: Calls[Any], first: Call | None = None, *, unwinds: bool = False
    ) -> None:
        self._stack: list[Calls[Any]] = [body]
        self._unwinds = unwinds
        self._value: Any = None
        self._error: BaseException | None = None
        # The first call of the body, if the body has started already.
        self._job = first
        self._abandoned = False
        self._hop: Hop | None = None
        # The call that the event loop has to run or await. No worker thread starts it,
        # so nothing is lost if the event loop never runs it.
        self.awaiting: Call | Flow | None = None

    async def run(self) -> Any:
        """Run on the loop to the end; return or raise as the body does."""
        while True:
            if self.awaiting is None:
                self._advance(on_loop=True)
            if self._job is not None:
                try:
                    await run_sync(self._work_in_hop)
                except BaseException as error:
                    # The task was cancelled. The worker thread ends its present call,
                    # so that no save is split, and starts no other.
                    self._abandoned = True
                    if not self._unwinds:
                        self._drop()
                        raise
                    await self._take_back(error)
                    continue
            if self.awaiting is None:
                return self._result()
            awaiting, self.awaiting = self.awaiting, None
            try:
                self._value = _settled(awaiting, await _run(awaiting))
            except BaseException as error:  # noqa: BLE001 - for the body to handle
                self._error = error

    async def _take_back(self, error: BaseException) -> None:
        """Go on with an error on the loop, once the worker is done with this flow."""
        # When the worker thread ends this empty job, it has ended all jobs before, even
        # if the task is cancelled again.
        with contextlib.suppress(asyncio.CancelledError):
            await run_to_the_end(_nothing)
        self._abandoned = False
        self._drop()
        self._job = None
        self._value, self._error = None, error

    def _drop(self) -> None:
        """Close a coroutine of the user's that nobody is going to await."""
        awaiting, self.awaiting = self.awaiting, None
        if isinstance(awaiting, Call) and awaiting.func is _given:
            awaiting.args[0].close()

    def enter(self) -> Any:
        """
        Run from sync code, in its thread and hop, as far as all is sync.

        Return the result, or wait for what has to be awaited. Where the
        callers up to our own job do nothing but pass the result on, hand them
        the flow instead, and with it the thread back.
        """
        self._work()
        if self.awaiting is None:
            return self._result()
        if in_tail_position(1, to=_JOB):
            return self
        return wait_for(self.run)

    @shows(lambda self: functools.partial(self._job.func, *self._job.args))
    def _work_in_hop(self) -> None:
        """Go on in the worker, as long as the task that waits is not cancelled."""
        self._hop = worker.hops[-1]
        self._work()
        self._hop = None

    def _work(self) -> None:
        """Go on in this worker thread until the end or something to await."""
        worker.flows += 1
        try:
            self._advance(on_loop=False)
        finally:
            worker.flows -= 1

    def _advance(self, *, on_loop: bool) -> None:  # noqa: PLR0912, PLR0915 - a table
        """Go on until the end, or a call that this side can't make."""
        stack = self._stack
        step = self._job
        self._job = None
        hop = self._hop
        while stack and not (self._abandoned or (hop is not None and hop.cancelled)):
            if step is None:
                value, error = self._value, self._error
                self._value = self._error = None
                if isinstance(error, GeneratorExit):
                    # A GeneratorExit would tell the generator that it is closed.
                    error = _as_runtime_error(error)
                try:
                    if error is None:
                        asked = stack[-1].send(value)
                    else:
                        asked = stack[-1].throw(error)
                    step = asked if type(asked) is Call else as_call(asked)
                except StopIteration as stop:
                    stack.pop()
                    self._value = stop.value
                    continue
                except BaseException as raised:  # noqa: BLE001 - for the caller
                    stack.pop()
                    self._error = raised
                    continue
            try:
                target = _resolve(step)
                if type(target) is not Call:
                    stack.append(target)
                    step = None
                    continue
                if not target.is_sync and is_async(target.func):
                    # The event loop makes this call, because even its first lines
                    # belong there.
                    self.awaiting = target
                    return
                if on_loop and not (target.inline or _is_pure(target)):
                    target.is_sync = True
                    self._job = target
                    return
                executor = worker.executor
                if not (
                    executor is None
                    or executor.is_foreign
                    or on_loop
                    or _is_ours_alone(target)
                ):
                    executor.is_foreign = True
                if target.response:
                    value = _make_response(target)
                    if type(value) is Flow:
                        self.awaiting = value
                        return
                    if type(value) is CoroutineType:
                        _refuse_lost(target, value)
                        # Django's options() returns a coroutine in sync code. So do
                        # other methods, if view_is_async is True.
                        self.awaiting = Call(_given, (value,))
                        return
                else:
                    value = target.func(*target.args, **target.kwargs)
                    if type(value) is CoroutineType and is_in_a_slot(target.func):
                        self.awaiting = Call(_given, (value,))
                        return
                    _settled(target, value)
                self._value = value
            except BaseException as raised:  # noqa: BLE001 - for the body to handle
                self._error = raised
            step = None

    def _result(self) -> Any:
        """What the outermost body returned or raised."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # Break the cycle between the exception and the frame of its traceback.
                del error
        return self._value


OWN.add(Flow)


def _is_pure(target: Call) -> bool:
    """Whether Django's function does no I/O on this view; only the loop asks."""
    choice = target.choice
    return choice is not None and bool(
        choice.is_pure(getattr(target.func, "__self__", None))
    )


def _is_ours_alone(target: Call) -> bool:
    """Whether a call runs Django's and this package's code, and none of a project's."""
    owner = getattr(target.func, "__self__", None)
    if target.choice is not None:
        return bool(target.choice.is_djangos_alone(owner))
    return type(owner) in OWN


def run_in_sync_code(body: Calls[Any]) -> Any:
    """
    Run a body in sync code, which calls what it asks for in its place.

    From the first Call on, which may have to be awaited, a flow runs the rest.
    """
    send = body.send
    try:
        asked = send(None)
        while type(asked) is not Call:
            try:
                given = asked()
            except BaseException as error:  # noqa: BLE001 - for the body to handle
                asked = body.throw(error)
            else:
                asked = send(given)
    except StopIteration as stop:
        return stop.value
    return Flow(body, asked).enter()


def _only(first: Call) -> Calls[Any]:
    return (yield first)


def _refuse_lost(target: Call, coroutine: CoroutineType[Any, Any, Any]) -> None:
    """Raise TypeError for the coroutine of an `async def` under a sync decorator."""
    function = inspect.unwrap(target.func)
    if function is not target.func and is_async(function):
        coroutine.close()
        raise TypeError(
            f"{target.func!r} is sync, but returned a coroutine, which never ran. A "
            "decorator that knows nothing of async would end before the body begins. "
            "Put the decorator on a sync method."
        )


def _as_runtime_error(error: GeneratorExit) -> RuntimeError:
    raised = RuntimeError("The view raised GeneratorExit.")
    raised.__cause__ = error
    return raised


def _settled(target: Call | Flow, value: _R) -> _R:
    """Return the result of a call; raise TypeError for one that nobody has awaited."""
    if isinstance(value, CoroutineType) and type(target) is Call:
        refuse_coroutine(target.func, value)
    return value


def refuse_coroutine(func: Any, coroutine: CoroutineType[Any, Any, Any]) -> NoReturn:
    """Raise TypeError for a coroutine that a function gave in the place of a value."""
    given, called = coroutine.__qualname__, coroutine.__name__
    coroutine.close()
    function = inspect.unwrap(getattr(func, "__func__", func))
    code = getattr(function, "__code__", None)
    name = getattr(function, "__qualname__", None) or repr(func)
    if (view := getattr(func, "__self__", None)) is not None:
        own = getattr(function, "__name__", name)
        name = f"{type(view).__name__}.{own}"
        if coroutine.cr_code is Flow.run.__code__:
            # The user has called the method of Django that runs this coroutine.
            given = called = f"super().{own}"
        elif called == own:
            called = f"super().{own}"
        elif hasattr(type(view), called):
            called = f"self.{called}"
    if is_async(function):
        fix = f"Await it: `return await {called}(...)`"
    else:
        fix = "Await it in an `async def` method"
    place = "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"
    raise TypeError(
        f"{name}() returned a coroutine of {given}(), which nobody awaits. The request "
        f"fails, because there is no result to go on with. {fix}.{place}"
    )


async def _given(coroutine: CoroutineType[Any, Any, Any]) -> Any:
    return await coroutine


def _make_response(target: Call) -> Any:
    return target.func(*target.args, **target.kwargs)


# Below this frame, code may return a flow instead of a response.
_JOB = _make_response.__code__


async def _run(awaiting: Call | Flow) -> Any:
    if isinstance(awaiting, Flow):
        return await awaiting.run()
    return await awaiting.func(*awaiting.args, **awaiting.kwargs)


def _resolve(asked: Call) -> Call | Calls[Any]:
    """What a call comes to: itself, or what the twin that it calls says."""
    method: Any = asked.func
    # Only for Python's own method type. A proxy shows the attributes of the object
    # behind it.
    function = method.__func__ if type(method) is MethodType else method
    mark = carried_mark(function)
    if mark is None:
        return asked
    if mark.wrapper is function:
        target = mark.resolve(method.__self__, asked.args, asked.kwargs)
    elif is_async(method):
        return asked
    else:
        target = mark.resolve_around(method, asked)
    return target  # type: ignore[no-any-return]  # one of the two


def run_call(first: Call, *, as_coroutine: bool = False) -> Any:
    """
    Make a call from a handler, on whichever side the caller is.

    On the loop: a coroutine to await. In sync code: the result itself, after
    waiting for what is async in it. `as_coroutine`: sync code that is not
    working for a request gets the coroutine as well, as it would of a plain
    async function.
    """
    flow = Flow(_only(first))
    if loop_is_running() or (as_coroutine and not worker.flows):
        return flow.run()
    return flow.enter()
