"""Run something in steps, each in a hop, and all of them in one context."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections.abc import (
    Callable,
    Generator,
)
from concurrent.futures import Executor
from typing import Any, TypeVar

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    ThreadSensitiveContext,
)

from .executors import LOCAL, PartingExecutor, parting_executor
from .naming import shows
from .threads import run_sync, run_to_the_end

__all__ = ["Driven"]

_R = TypeVar("_R")

_MISSING: Any = object()


class Driven:
    """
    Something that is run in steps, each in a hop: all of them in one context.

    What sets a context variable in one step can reset it by its token in another.
    Before a step its context gets the variables of the caller, and after it the caller
    gets those that it changed, so both see what they would see in sync code.

    A worker that a pool has leased to the request is held from the first step until
    the last one, or until let_go().
    """

    def __init__(self) -> None:
        # Starts empty, so that each variable has a token. Only a token can remove a
        # variable from a context.
        self._context = contextvars.Context()
        self._tokens: _Tokens = {}
        self._callers_tokens: _Tokens = {}
        # The changes of the last steps that the caller does not have yet.
        self._changed: dict[contextvars.ContextVar[Any], Any] = {}
        # The task that has all changes.
        self._task: asyncio.Task[Any] | None = None
        self._thread: threading.Thread | None = None
        self._executor: Executor | None = None
        self._thread_context: ThreadSensitiveContext | None = None
        self._held: PartingExecutor | None = None

    @property
    def is_at_home(self) -> bool:
        """Whether this is the thread that its first step was run in."""
        return self._thread is threading.current_thread()

    async def run(self, step: Callable[[], _R]) -> _R:
        """Run a step in the request's worker, one hop."""
        self._begin()
        try:
            result = await run_sync(self._work, step, True)
        except asyncio.CancelledError:
            # The worker thread may still run this step.
            self._task = None
            raise
        except BaseException:
            self._hand_over()
            raise
        self._hand_over()
        return result

    async def run_first_to_the_end(self, step: Callable[[], _R]) -> _R:
        """Run the first step whole, though cancelled."""
        self._begin()
        try:
            return await run_to_the_end(functools.partial(self._work, step, True))
        finally:
            self._hand_over()

    def let_go(self) -> None:
        """Hold the worker no longer: no other step is to come."""
        held, self._held = self._held, None
        if held is not None:
            held.hold(-1)

    async def run_last_to_the_end(self, step: Callable[[], _R]) -> _R:
        """Run the last step whole, though cancelled, in the thread of the first one."""
        # If nobody closes a generator, the event loop closes it in another task, whose
        # variables have nothing to do with this code.
        known = self._task is not None and self._task is asyncio.current_task()
        with self._at_home():
            try:
                return await run_to_the_end(functools.partial(self._work, step, known))
            finally:
                self._hand_over()
                self.let_go()

    def _begin(self) -> None:
        if self._thread is None:
            self._executor = getattr(AsyncToSync.executors, "current", None)
            self._thread_context = SyncToAsync.thread_sensitive_context.get(None)
        if self._held is None and (leased := parting_executor()) is not None:
            leased.hold(1)
            self._held = leased

    @contextlib.contextmanager
    def _at_home(self) -> Generator[None]:
        """Have this task's hops lead to the thread of the first step."""
        executor = getattr(AsyncToSync.executors, "current", None)
        # If the thread waits for this very task, only its present executor reaches it.
        if getattr(executor, "_work_thread", None) is self._thread:
            yield
            return
        variable: contextvars.ContextVar[Any] = SyncToAsync.thread_sensitive_context
        token = variable.set(self._thread_context)
        AsyncToSync.executors.current = self._executor
        try:
            yield
        finally:
            AsyncToSync.executors.current = executor
            variable.reset(token)

    @shows(lambda _, step, *__: step)
    def _work(self, step: Callable[[], _R], bring: bool) -> _R:
        if self._thread is None:
            self._thread = threading.current_thread()
        caller = contextvars.copy_context()
        executor = getattr(AsyncToSync.executors, "current", None)
        try:
            return self._context.run(
                self._step, step, caller if bring else None, executor
            )
        finally:
            # asgiref hands its own Local over by itself.
            for variable in [*self._changed]:
                if variable.name == LOCAL:
                    variable.set(self._changed.pop(variable))

    def _step(
        self,
        step: Callable[[], _R],
        caller: contextvars.Context | None,
        executor: Executor | None,
    ) -> _R:
        if caller is None:
            AsyncToSync.executors.current = executor
        else:
            self._bring(caller)
        before = contextvars.copy_context()
        try:
            return step()
        finally:
            after = contextvars.copy_context()
            for variable, value in after.items():
                if before.get(variable, _MISSING) is not value:
                    self._changed[variable] = value
            for variable in before:
                if variable not in after:
                    self._changed[variable] = _MISSING

    def _bring(self, caller: contextvars.Context) -> None:
        for variable, value in caller.items():
            if variable.get(_MISSING) is not value:
                _set(variable, value, self._tokens)
        for variable in [*self._context]:
            if variable not in caller:
                _unset(variable, self._tokens)

    def _hand_over(self) -> None:
        changed, self._changed = self._changed, {}
        for variable, value in changed.items():
            if value is _MISSING:
                _unset(variable, self._callers_tokens)
            else:
                _set(variable, value, self._callers_tokens)
        self._task = asyncio.current_task()


_Tokens = dict[contextvars.ContextVar[Any], contextvars.Token[Any]]


def _set(variable: contextvars.ContextVar[Any], value: Any, tokens: _Tokens) -> None:
    token = variable.set(value)
    if token.old_value is contextvars.Token.MISSING:
        tokens[variable] = token


def _unset(variable: contextvars.ContextVar[Any], tokens: _Tokens) -> None:
    """Take a variable out of the context, by the token that has put it in."""
    token = tokens.pop(variable, None)
    try:
        if token is not None:
            variable.reset(token)
            return
    except (ValueError, RuntimeError):
        pass  # It was put in elsewhere, or is out already.
    # Without its token, no variable can be removed from a context.
    with contextlib.suppress(LookupError):
        variable.set(contextvars.Context().run(variable.get))
