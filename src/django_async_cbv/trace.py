"""Record the switches from the event loop to worker threads: who, where, how long."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import logging
import os
import sys
import sysconfig
import threading
import time
import weakref
from asyncio.base_events import BaseEventLoop
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, unwrap
from pathlib import Path
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    GeneratorType,
)
from typing import Any, TypeAlias

import asgiref
import django
from asgiref.sync import AsyncToSync, SyncToAsync, markcoroutinefunction
from django.core.handlers.base import BaseHandler

from .core.naming import (
    Place,
    Unnamed,
    name_of,
    place_of,
    runs_beside_others,
    unnamed,
)
from .core.waiting import FirstWait

__all__ = ["Hop", "Place", "Recording", "Repeated", "Span", "on_hop"]

_logger = logging.getLogger("django_async_cbv.trace")


class Hop:
    """
    One switch from the event loop to a worker thread and back.

    Times are those of `time.perf_counter()`.
    """

    # Class attributes, so that a new hop costs less.
    begun: float | None = None
    ended: float | None = None
    resumed: float | None = None
    #: The name of the worker thread.
    thread: str | None = None
    #: The class of the exception that the function raised.
    error: str | None = None
    #: Whether the task that waited was cancelled.
    cancelled: bool = False
    #: Whether it is one of the queries of an agather(), which run at the same time.
    beside_others: bool = False

    def __init__(
        self,
        function: Place | Unnamed,
        asked_by: Place | None,
        request: int | None,
        asked: float,
    ) -> None:
        self._function = function
        #: The nearest line that is not Django's, asgiref's or this package's.
        self.asked_by = asked_by
        #: A number that the hops of one request share. None outside of requests.
        self.request = request
        self.asked = asked

    @property
    def function(self) -> Place:
        """The function that ran in the worker thread."""
        found = self._function
        if isinstance(found, Place):
            return found
        self._function = place = name_of(found)
        return place

    @property
    def wait(self) -> float | None:
        """Seconds from the call to the first line in the worker thread."""
        return None if self.begun is None else self.begun - self.asked

    @property
    def run(self) -> float | None:
        """Seconds in the worker thread."""
        if self.begun is None or self.ended is None:
            return None
        return self.ended - self.begun

    @property
    def resume(self) -> float | None:
        """Seconds from the end of the function until its task went on."""
        if self.ended is None or self.resumed is None:
            return None
        return self.resumed - self.ended


@dataclass(eq=False, slots=True)
class Span:
    """
    Something other than a hop that took time.

    A task awaited, code used a thread of its own, or a worker thread waited.
    """

    function: Place
    asked_by: Place | None
    began: float
    #: None until it is over.
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """A line that asked for the same function again and again."""

    function: Place
    asked_by: Place | None
    count: int


class Recording:
    """
    The hops from `start()` to `stop()`.

    Args:
        everywhere: Whether to record the hops of all tasks and threads. If not, only
            those of this context and of the tasks that start in it.
        awaits: Whether to record what tasks await between hops, which needs a timer.
    """

    def __init__(self, *, everywhere: bool = False, awaits: bool = False) -> None:
        self.everywhere = everywhere
        self.awaits = awaits
        self.is_open = False
        #: The hops, in the order of their calls.
        self.hops: list[Hop] = []
        #: Worker threads that waited for async code.
        self.held: list[Span] = []
        #: Calls of `asyncio.to_thread()` and `run_in_executor()`.
        self.threads: list[Span] = []
        #: What tasks awaited after the start, or after a hop.
        self.awaited: list[Span] = []

    @property
    def count(self) -> int:
        """The number of hops."""
        return len(self.hops)

    def start(self) -> None:
        """
        Start recording, in this context and in tasks that start in it.

        Runs on:
            The caller's thread. No hop.
        """
        _install()
        self.is_open = True
        if self.everywhere:
            _add_everywhere(self)
            return
        _recordings.set((*_open_here(), self) if _recordings.get() else (self,))
        if self.awaits and (task := _current_task()) is not None:
            _look_at(task, (self,))

    def stop(self) -> None:
        """
        Stop recording, in all tasks.

        Runs on:
            The caller's thread. No hop.
        """
        if not self.is_open:
            return
        self.is_open = False
        if self.everywhere:
            _remove_everywhere(self)
        else:
            # No token, because a fixture may end in another context.
            here = _recordings.get()
            _recordings.set(() if here == (self,) else _open_here())
        _uninstall()

    def repeated(self, times: int = 5) -> list[Repeated]:
        """
        Return what one request, or the code outside of requests, called too often.

        The queries of an `agather()` run at the same time, so they do not count.

        Args:
            times: How often one line may ask for the same function.

        Returns:
            A `Repeated` for each line and function.

        Runs on:
            The caller's thread. No hop.
        """
        found = Counter(
            (hop.function, hop.asked_by, hop.request)
            for hop in self.hops
            if not hop.beside_others
        )
        most: dict[tuple[Place, Place | None], int] = {}
        for (function, asked_by, _), count in found.items():
            if count > times:
                most[function, asked_by] = max(count, most.get((function, asked_by), 0))
        return [Repeated(*key, count) for key, count in most.items()]


_recordings: contextvars.ContextVar[tuple[Recording, ...]] = contextvars.ContextVar(
    "django_async_cbv_recordings", default=()
)
_request: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "django_async_cbv_request", default=None
)
_numbers = itertools.count(1)
_everywhere: tuple[Recording, ...] = ()
_callbacks: tuple[Callable[[Hop], object], ...] = ()
_lock = threading.RLock()
# The places whose failure was logged already.
_failed: set[Any] = set()


class _Inside(threading.local):
    """The hops that this thread is at, one inside the other."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []
        self.name = threading.current_thread().name


_inside = _Inside()


def _open_here() -> tuple[Recording, ...]:
    return tuple(one for one in _recordings.get() if one.is_open)


def _add_everywhere(recording: Recording) -> None:
    global _everywhere  # noqa: PLW0603
    with _lock:
        _everywhere = (*_everywhere, recording)


def _remove_everywhere(recording: Recording) -> None:
    global _everywhere  # noqa: PLW0603
    with _lock:
        _everywhere = tuple(one for one in _everywhere if one is not recording)


def on_hop(callback: Callable[[Hop], object]) -> Callable[[], None]:
    """
    Call a function with each hop of this process, when the hop is over.

    The first exception of the callback is logged. All are swallowed.

    Args:
        callback: A sync function that takes a `Hop`. It must not block.

    Returns:
        A function that ends the calls.

    Runs on:
        The event loop that waited for the hop.
    """
    global _callbacks  # noqa: PLW0603
    with _lock:
        _install()
        _callbacks = (*_callbacks, callback)
    is_called = True

    def stop() -> None:
        nonlocal is_called
        global _callbacks  # noqa: PLW0603
        with _lock:
            if is_called:
                is_called = False
                rest = [*_callbacks]
                rest.remove(callback)
                _callbacks = tuple(rest)
                _uninstall()

    return stop


def _log_once(key: Any, error: Exception, message: str, *args: object) -> None:
    if key not in _failed:
        _failed.add(key)
        _logger.error(message, *args, exc_info=error)


# -- What is put around others' methods while somebody records ------------------------

_Wrap: TypeAlias = Callable[[Any], Any]
_users = 0
# For each wrapper: the class, the name, the value before, and the wrapper.
_installed: list[tuple[type, str, Any, Any]] = []
_MISSING: Any = object()


def watch(cls: type) -> None:
    """Record the hops of a RequestExecutor, or the requests of a Django handler."""
    with _lock:
        for name, wrap in _OF_OURS.items():
            if name in vars(cls):
                _watched.append((cls, name, wrap))
                if _users:
                    _put_around(cls, name, wrap)


def keep_installed() -> Callable[[], None]:
    """
    Leave the wrappers in place between two recordings; return what ends that.

    To change a class takes longer than to record a request, and Python caches nothing
    of one that is changed again and again.
    """
    _install()
    return functools.cache(_uninstall)


def original_of(function: Any) -> Any:
    """What was there before the recorder put its own function around it."""
    while getattr(function, "__globals__", None) is globals():
        function = function.__wrapped__
    return function


def _install() -> None:
    global _users  # noqa: PLW0603
    with _lock:
        _users += 1
        if _users > 1:
            return
        for cls, name, wrap in _watched:
            _put_around(cls, name, wrap)
        if (uvloop := sys.modules.get("uvloop")) is not None:
            _put_around(uvloop.Loop, "run_in_executor", _run_in_executor)


def _put_around(cls: type, name: str, wrap: _Wrap) -> None:
    original = getattr(cls, name)
    # uvloop's class inherits the method from a class in C.
    own = vars(cls).get(name, _MISSING)
    wrapper = functools.wraps(original)(wrap(original))
    setattr(cls, name, wrapper)
    _installed.append((cls, name, own, wrapper))


def _uninstall() -> None:
    """Put back what was there, unless somebody else has wrapped it since."""
    global _users  # noqa: PLW0603
    with _lock:
        _users -= 1
        if _users:
            return
        for cls, name, own, wrapper in _installed:
            # A wrapper that stays inside another one passes each call on.
            if vars(cls).get(name) is not wrapper:
                continue
            if own is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, own)
        _installed.clear()


def _cross(original: Any) -> Any:
    @markcoroutinefunction
    def call(self: Any, func: Any, /, **options: Any) -> Any:
        recordings = _listeners()
        if recordings is None or type(func) is _Job:
            return original(self, func, **options)
        return _crossed(original, recordings, self, func, options)

    return call


async def _crossed(
    original: Any,
    recordings: tuple[Recording, ...],
    executor: Any,
    func: Any,
    options: dict[str, Any],
) -> Any:
    hop = _asked(func, (), recordings, 2)
    try:
        return await original(executor, _Job(hop, func), **options)
    except asyncio.CancelledError:
        hop.cancelled = True
        raise
    finally:
        _back(hop, recordings, _looked_at(recordings))


class _Job:
    """What crosses, with its hop."""

    __slots__ = ("func", "hop")

    def __init__(self, hop: Hop, func: Callable[[], Any]) -> None:
        self.hop = hop
        self.func = func

    def __call__(self) -> Any:
        return _run(self.hop, self.func)


def _run(hop: Hop, func: Callable[[], Any]) -> Any:
    """Run what crosses, in the worker thread."""
    __traceback_hide__ = True
    inside = _inside
    hops = inside.hops
    hops.append(hop)
    hop.thread = inside.name
    hop.begun = time.perf_counter()
    try:
        return func()
    except BaseException as error:
        hop.error = type(error).__name__
        raise
    finally:
        hop.ended = time.perf_counter()
        hops.pop()


def _async_to_sync(original: Any) -> Any:
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        recordings = _listeners() if _inside.hops else None
        spans = _noted("held", self.awaitable, args, recordings, in_worker=True)
        try:
            return original(self, *args, **kwargs)
        finally:
            for span in spans:
                span.seconds = time.perf_counter() - span.began

    return call


def _run_in_executor(original: Any) -> Any:
    def call(self: Any, executor: Any, func: Any, *args: Any) -> Any:
        recordings = _listeners()
        if recordings is None:
            return original(self, executor, func, *args)
        if not _is_asgirefs(func):
            spans = _noted("threads", func, args, recordings)
            future = original(self, executor, func, *args)
            for span in spans:
                future.add_done_callback(functools.partial(_end, span))
            return future
        # SyncToAsync.__call__() passes the function that crosses as the last argument.
        *others, child = func.args
        # Another wrapper of this module may have come before.
        if child.func is _run:
            return original(self, executor, func, *args)
        hop = _asked(child.func, child.args, recordings, 3)
        # Other wrappers still see asgiref's partial.
        timed = functools.partial(_run, hop, child)
        func = functools.partial(func.func, *others, timed)
        future = original(self, executor, func, *args)
        # First of all callbacks, so that the hop is complete when the waiting task goes
        # on.
        task = _looked_at(recordings)
        future.add_done_callback(functools.partial(_arrived, hop, recordings, task))
        return future

    return call


def _is_asgirefs(func: Any) -> bool:
    """Whether sync_to_async() has a function called in a thread."""
    return isinstance(func, functools.partial) and isinstance(
        getattr(func.func, "__self__", None), SyncToAsync
    )


def _arrived(
    hop: Hop,
    recordings: tuple[Recording, ...],
    task: asyncio.Task[Any] | None,
    future: Any,
) -> None:
    hop.cancelled = future.cancelled()
    _back(hop, recordings, task)


def _end(span: Span, _: object) -> None:
    if span.seconds is None:
        span.seconds = time.perf_counter() - span.began


def _get_response_async(original: Any) -> Any:
    async def call(self: Any, request: Any) -> Any:
        token = _request.set(next(_numbers))
        try:
            return await original(self, request)
        finally:
            _reset(token)

    return call


def _get_response(original: Any) -> Any:
    def call(self: Any, request: Any) -> Any:
        token = _request.set(next(_numbers))
        try:
            return original(self, request)
        finally:
            _reset(token)

    return call


def _reset(token: contextvars.Token[int | None]) -> None:
    # Not reset(token), because asgiref may have moved this call to another context.
    before = token.old_value
    _request.set(None if before is contextvars.Token.MISSING else before)


_OF_OURS: dict[str, _Wrap] = {
    "cross": _cross,
    "get_response_async": _get_response_async,
}
_watched: list[tuple[type, str, _Wrap]] = [
    (AsyncToSync, "__call__", _async_to_sync),
    (BaseEventLoop, "run_in_executor", _run_in_executor),
    (BaseHandler, "get_response", _get_response),
    (BaseHandler, "get_response_async", _get_response_async),
]


# -- What is noted ---------------------------------------------------------------------


def _listeners() -> tuple[Recording, ...] | None:
    """Who records here; None if nobody is to hear of a hop."""
    here = _recordings.get()
    if not _everywhere:
        if not here:
            return () if _callbacks else None
        if len(here) == 1 and here[0].is_open:
            return here
    found = (*(one for one in here if one.is_open), *_everywhere)
    return found if found or _callbacks else None


def _asked(
    func: Any, args: tuple[Any, ...], recordings: tuple[Recording, ...], depth: int
) -> Hop:
    """A new hop, in the coroutine that asks for it, so many frames further up."""
    function: Place | Unnamed
    beside_others = False
    try:
        plain = unnamed(func)
        function = plain or place_of(func, args)
        beside_others = plain is None and runs_beside_others(func, args)
        asker = _asker(sys._getframe(depth), in_worker=False)
    except Exception as error:  # noqa: BLE001 - no request is to fail by its recorder
        function, asker = _not_named(error), None
    request = _request.get()
    if asker is _HANDLER or (asker is None and _is_by_signal(function)):
        # Django makes this hop before or after each request. Without a number of its
        # own, such hops would count as repeated.
        asker, request = None, next(_numbers) if request is None else request
    hop = Hop(function, asker, request, time.perf_counter())
    if beside_others:
        hop.beside_others = True
    for recording in recordings:
        recording.hops.append(hop)
        if recording.awaits and _looks.looks.waiting:
            _look_no_more()
    return hop


def _back(
    hop: Hop, recordings: tuple[Recording, ...], task: asyncio.Task[Any] | None
) -> None:
    """Note that the event loop goes on after a hop."""
    hop.resumed = time.perf_counter()
    for callback in _callbacks:
        try:
            callback(hop)
        except Exception as error:  # noqa: BLE001 - no request is to fail by it
            _log_once(
                callback, error, "A callback of on_hop() failed: %s", place_of(callback)
            )
    if task is not None:
        _look_at(task, recordings)


def _noted(
    kind: str,
    func: Any,
    args: tuple[Any, ...],
    recordings: tuple[Recording, ...] | None,
    *,
    in_worker: bool = False,
) -> list[Span]:
    """A new span, in a list of one; none if nobody records."""
    if not recordings:
        return []
    place, asker = _named(func, args, sys._getframe(2), in_worker=in_worker)
    span = Span(place, asker, time.perf_counter())
    for recording in recordings:
        getattr(recording, kind).append(span)
    return [span]


def _named(
    func: Any, args: tuple[Any, ...], frame: FrameType, *, in_worker: bool
) -> tuple[Place, Place | None]:
    """What is called, and who asked for it."""
    try:
        return place_of(func, args), _asker(frame, in_worker=in_worker)
    except Exception as error:  # noqa: BLE001 - no request is to fail by its recorder
        return _not_named(error), None


def _not_named(error: Exception) -> Place:
    _log_once(_named, error, "A function in a worker thread could not be named.")
    return Place("?")


def _is_by_signal(function: Place | Unnamed) -> bool:
    """Whether Django sends a signal to sync receivers."""
    file = (
        function.file
        if isinstance(function, Place)
        else function[0].__code__.co_filename
    )
    return (file or "").startswith(_SIGNALS)


# Stands for a line of the project where the server asks for the hop.
_HANDLER = Place("a request")
_ASYNC = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR


_RUN = _run.__code__


def _asker(frame: FrameType | None, *, in_worker: bool) -> Place | None:
    """The nearest line that is a project's, up to where the task or the hop begins."""
    while frame is not None:
        code = frame.f_code
        if not code.co_flags & _ASYNC and (not in_worker or code is _RUN):
            return None
        side = side_of(code.co_filename)
        if side == "framework":
            frame = frame.f_back
        elif side is None:
            return _line(code.co_qualname, code.co_filename, frame.f_lineno)
        else:
            return None if in_worker else _HANDLER
    return None


def place_at(code: CodeType, line: int | None) -> Place:
    """A line of a function, named as its author knows it."""
    return _line(code.co_qualname, code.co_filename, line)


# The key is not the code object, because Python hashes all of its contents each time.
@functools.lru_cache(maxsize=1024)
def _line(name: str, file: str, line: int | None) -> Place:
    return Place(name.rpartition("<locals>.")[2], file, line)


def _folder(file: str | None) -> str:
    return str(Path(file or "").parent) + os.sep


_DJANGO = _folder(django.__file__)
_HERE = _folder(__file__)
_LIBRARY = sysconfig.get_path("stdlib") + os.sep
# Packages are in the library's folder, or in a folder of an environment.
_INSTALLED = "-packages" + os.sep
# The search for the line that asks stops at a frame of these files, which serve
# requests.
_REQUESTS = (
    str(Path(_DJANGO, "core", "handlers")) + os.sep,
    str(Path(_DJANGO, "test", "client.py")),
    str(Path(_HERE, "serve", "handler.py")),
)
# Until Django 5.2 goes: its asend() calls sync receivers in another task.
_SIGNALS = str(Path(_DJANGO, "dispatch")) + os.sep
_OTHERS = (_DJANGO, _HERE, _folder(asgiref.__file__), "<frozen ")


def is_framework(file: str) -> bool:
    """Whether a file is Django's, asgiref's, Python's or this package's."""
    return side_of(file) is not None


@functools.cache
def side_of(file: str) -> str | None:
    """Whose a file is: "framework", "request" at its edge, None for all others'."""
    if file.startswith(_REQUESTS):
        return "request"
    in_library = file.startswith(_LIBRARY) and _INSTALLED not in file
    return "framework" if in_library or file.startswith(_OTHERS) else None


@functools.cache
def whose(file: str) -> str:
    """The same, where all others' are a "package" or the "project"."""
    return side_of(file) or ("package" if _INSTALLED in file else "project")


# -- What is awaited between two hops --------------------------------------------------


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


# Seconds after which a waiting task is looked at. Shorter waits are left out.
_AFTER = 0.001


class _Looks:
    """The tasks of one event loop that are to be looked at, by one timer for all."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = None if loop is None else weakref.ref(loop)
        # Weak references, which keep no task and no context of a request alive.
        self.waiting: dict[
            weakref.ref[asyncio.Task[Any]], tuple[float, tuple[Recording, ...]]
        ] = {}
        self.is_timed = False

    def time(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        if not self.is_timed:
            self.is_timed = True
            loop.call_later(seconds, self.look, loop, context=contextvars.Context())

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at each task that has waited long enough, and come back for others."""
        self.is_timed = False
        now = time.perf_counter()
        first = None
        # In the order of their times.
        for key, (since, recordings) in [*self.waiting.items()]:
            if now - since < _AFTER * 0.9:
                first = since
                break
            del self.waiting[key]
            if (task := key()) is not None:
                _look(task, recordings, since)
        if first is not None:
            self.time(loop, first + _AFTER - now)


class _LooksHere(threading.local):
    """The looks of the event loop that runs in this thread."""

    looks = _Looks()


_looks = _LooksHere()


def _looked_at(recordings: tuple[Recording, ...]) -> asyncio.Task[Any] | None:
    """The current task, if somebody is to hear what it awaits."""
    for recording in recordings:
        if recording.awaits:
            return _current_task()
    return None


def _look_at(task: asyncio.Task[Any], recordings: tuple[Recording, ...]) -> None:
    """Look what a task waits for, unless it makes a hop before."""
    loop = task.get_loop()
    looks = _looks.looks
    if looks.loop is None or looks.loop() is not loop:
        looks = _looks.looks = _Looks(loop)
    key = weakref.ref(task)
    looks.waiting.pop(key, None)
    looks.waiting[key] = time.perf_counter(), recordings
    looks.time(loop, _AFTER)


def _look_no_more() -> None:
    """This task makes a hop."""
    if (task := _current_task()) is not None:
        _looks.looks.waiting.pop(weakref.ref(task), None)


def _look(
    task: asyncio.Task[Any], recordings: tuple[Recording, ...], since: float
) -> None:
    recordings = tuple(one for one in recordings if one.is_open and one.awaits)
    if task.done() or not recordings:
        return
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None:
        # The task goes on in a moment.
        _look_at(task, recordings)
        return
    place = _waits_at(task.get_coro())
    span = None
    if place is not None:
        span = Span(place, None, since)
        for recording in recordings:
            recording.awaited.append(span)

    def again(waiter: Any) -> None:
        if span is not None:
            _end(span, waiter)
        _look_at(task, recordings)

    waiter.add_done_callback(again, context=contextvars.Context())


_SUSPENDED: dict[type, tuple[str, str]] = {
    AsyncGeneratorType: ("ag_frame", "ag_await"),
    CoroutineType: ("cr_frame", "cr_await"),
    FirstWait: ("frame", "coroutine"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
}


# Functions that wait for a hop.
_HOPS = (_crossed.__code__, unwrap(SyncToAsync.__call__).__code__)


def _waits_at(coroutine: Any) -> Place | None:
    """The innermost line of a project's in a suspended coroutine; None in a hop."""
    found = None
    while (names := _SUSPENDED.get(type(coroutine))) is not None:
        frame = getattr(coroutine, names[0])
        if frame is not None and frame.f_code in _HOPS:
            return None
        if frame is not None and side_of(frame.f_code.co_filename) is None:
            found = frame
        coroutine = getattr(coroutine, names[1])
    if found is None:
        return None
    code = found.f_code
    return _line(code.co_qualname, code.co_filename, found.f_lineno)
