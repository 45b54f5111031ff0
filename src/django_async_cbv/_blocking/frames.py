"""What a thread runs, by its frames alone: which function, which line, which call."""

from __future__ import annotations

import ast
import functools
import linecache
import opcode
import os
from asyncio import base_events, events
from collections.abc import Iterable
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from types import CodeType, FrameType
from typing import NamedTuple

from ..core.naming import Place
from ..trace import is_framework, whose

__all__ = ["Position", "Stack", "innermost", "is_debugger", "stack_of"]

# More frames than a request has. The outer ones tell nothing.
_DEPTH = 500
_ASYNC = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE
# asyncio runs each callback in the first function, and waits between callbacks in the
# second.
_HANDLE: CodeType = events.Handle._run.__code__
_ONCE: CodeType = base_events.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]
_RESUME = opcode.opmap["RESUME"]
_DEBUGGERS = ("pydevd", "_pydevd", "debugpy")


class Position(NamedTuple):
    """Where a frame is. It keeps the code alive, and nothing that the code works on."""

    code: CodeType
    instruction: int

    @property
    def place(self) -> Place:
        """The function, and the line of it."""
        line = _positions(self.code)[self.instruction // 2][0]
        line = line or self.code.co_firstlineno
        return Place(_name(self.code), self.code.co_filename, line)


class Stack(NamedTuple):
    """What the event loop's thread runs in a callback, innermost first."""

    positions: tuple[Position, ...]
    #: Whether the loop runs no callback.
    is_idle: bool

    @property
    def is_beside(self) -> bool:
        """Whether no long call of the project's has just ended here."""
        if not self.positions:
            return False
        code, instruction = self.positions[0]
        begins = instruction < 0 or code.co_code[instruction] == _RESUME
        return begins or self._is_framework(self.line)

    @property
    def line(self) -> int:
        """The innermost frame of the project's; of a package's if it has none."""
        sides = [self._whose(index) for index in range(self._end)]
        for side in ("project", "package"):
            if side in sides:
                return sides.index(side)
        return 0

    @property
    def hook(self) -> int:
        """The function from which the event loop got to the line: mostly a hook."""
        line = self.line
        found = next((one for one in range(line, self._end) if self._awaits(one)), line)
        for index in range(found, self._end):
            if self._is_framework(index):
                break
            if self._whose(index) == "project":
                found = index
        return found

    @property
    def _end(self) -> int:
        """Where an async function of Django's is: who awaits that blocks nothing."""
        for index in range(len(self.positions)):
            if self._awaits(index) and self._is_framework(index):
                return index
        return len(self.positions)

    def _awaits(self, index: int) -> bool:
        return bool(self.positions[index].code.co_flags & _ASYNC)

    def _is_framework(self, index: int) -> bool:
        return is_framework(self.positions[index].code.co_filename)

    def _whose(self, index: int) -> str:
        return whose(self.positions[index].code.co_filename)

    def called(self, index: int) -> str | None:
        """What a frame calls, as it is written there."""
        if name := _call_at(*self.positions[index]):
            return name
        return _name(self.positions[index - 1].code) if index else None


@functools.lru_cache(maxsize=1024)
def _positions(
    code: CodeType,
) -> tuple[tuple[int | None, int | None, int | None, int | None], ...]:
    return tuple(code.co_positions())


def stack_of(frame: FrameType | None, runner: CodeType | None) -> Stack:
    """
    What a loop's thread does.

    `runner` is what calls the callbacks of that loop, once that is known.
    """
    found: list[Position] = []
    while frame is not None and len(found) < _DEPTH:
        code = frame.f_code
        if code is _HANDLE:
            return Stack(tuple(found), is_idle=False)
        if code is _ONCE:
            return Stack((), is_idle=True)
        if code is runner:
            # uvloop has no frame of its own while it runs a callback or waits.
            return Stack(tuple(found), is_idle=not found)
        found.append(Position(code, frame.f_lasti))
        frame = frame.f_back
    if runner is None:
        return Stack(tuple(found), is_idle=False)
    # The thread has ended.
    return Stack((), is_idle=True)


def is_debugger(positions: Iterable[Position]) -> bool:
    """Whether somebody looks at the program by a debugger."""
    return any(_debugs(one.code.co_filename) for one in positions)


@functools.lru_cache(maxsize=4096)
def _debugs(file: str) -> bool:
    name = os.path.basename(file)  # noqa: PTH119 - it may be `<string>`
    if name in {"bdb.py", "pdb.py"}:
        return is_framework(file)
    return name.startswith(_DEBUGGERS)


def innermost(frame: FrameType | None) -> Place | None:
    """The innermost function of a thread that is a project's or a package's."""
    first = None
    depth = 0
    while frame is not None and depth < _DEPTH:
        code = frame.f_code
        first = first or code
        if not is_framework(code.co_filename):
            return _function(code)
        frame = frame.f_back
        depth += 1
    return None if first is None else _function(first)


def _function(code: CodeType) -> Place:
    return Place(_name(code), code.co_filename, code.co_firstlineno)


def _name(code: CodeType) -> str:
    return code.co_qualname.rpartition("<locals>.")[2]


@functools.lru_cache(maxsize=1024)
def _call_at(code: CodeType, instruction: int) -> str | None:
    """The function of the call that an instruction belongs to; None if it is none."""
    first, last, begin, end = _positions(code)[instruction // 2]
    if first is None or last is None or begin is None or end is None:
        return None
    lines = [
        line.encode() for line in linecache.getlines(code.co_filename)[first - 1 : last]
    ]
    if len(lines) != last - first + 1:
        return None
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][begin:]
    try:
        node = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return _dotted(node.func) if isinstance(node, ast.Call) else None


def _dotted(node: ast.expr) -> str | None:
    """`Book.objects.filter().count` of a call, without what is passed."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    if isinstance(node, ast.Call):
        return f"{_dotted(node.func) or ''}()"
    return None
