"""Tell whether the sync callers of a function only return its result."""

from __future__ import annotations

import dis
import functools
import inspect
import sys
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

__all__ = ["code_passes_on", "in_tail_position", "passes_on", "start_of", "tail_called"]

_SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def in_tail_position(depth: int, *, to: CodeType) -> bool:
    """
    Whether every caller up to a frame running `to` just returns its result.

    `depth`: the frame to begin at, counted from the caller of this function;
    what that frame returns is what is asked about. A call is in tail position
    when RETURN_VALUE follows it and no `try` or `with` is around it. What is
    not recognised (a call made by C code, which has no frame; a missing
    position table; no frame that runs `to`) is answered with False.
    """
    callee = sys._getframe(depth + 1)
    while (caller := callee.f_back) is not None:
        if caller.f_code is to:
            return True
        called = _tail_call(caller.f_code, caller.f_lasti)
        if called is None or callee.f_code not in _callables(caller, callee, *called):
            return False
        callee = caller
    return False


def passes_on(function: Any, name: str) -> bool:
    """
    Whether a function returns what its calls of `super().<name>()` give, as they are.

    Nothing is known of a function without code, and of a method that is handed to
    others: then the answer is False.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    return isinstance(code, CodeType) and code_passes_on(code, name)


def code_passes_on(code: CodeType, name: str) -> bool:
    """As passes_on(), of code that may also call a variable of that name."""
    steps = [*dis.Bytecode(code)]
    for step in steps:
        start = start_of(step)
        if step.argval != name or not step.opname.startswith("LOAD_") or not start:
            continue
        if step.opname == "LOAD_CONST":
            continue
        calls = [
            other
            for other in steps
            if other.opname.startswith("CALL")
            and start_of(other) == start
            and other.offset > step.offset
        ]
        if not calls or _tail_call(code, calls[-1].offset) is None:
            return False
    return True


def tail_called(code: CodeType, place: tuple[int, int, int, int]) -> str | None:
    """
    The name of what is called at a place in the source, if its result is returned.

    `place`: the lines and columns of the call, first line, last line, first column
    and last, as in `dis.Positions`.
    """
    found = [
        step.offset
        for step in dis.Bytecode(code)
        if step.opname.startswith("CALL") and step.positions == place
    ]
    called = _tail_call(code, found[-1]) if found else None
    return None if called is None else called[1]


@functools.lru_cache(maxsize=1024)
def _tail_call(code: CodeType, lasti: int) -> tuple[str, str] | None:
    """What the call at `lasti` loads as its callable, if its result is returned."""
    if code.co_flags & _SUSPENDABLE:
        return None
    bytecode = dis.Bytecode(code)
    # Python 3.11 to 3.14 have exception_entries, which dis itself reads.
    for entry in bytecode.exception_entries:  # type: ignore[attr-defined]
        if entry.start <= lasti < entry.end:
            return None
    before = [step for step in bytecode if step.offset <= lasti]
    after = next((step for step in bytecode if step.offset > lasti), None)
    if after is None or after.opname != "RETURN_VALUE":
        return None
    *before, made = before
    start = start_of(made)
    if start is None or start[1] is None:
        return None
    for step in reversed(before):
        if (
            step.opname.startswith("LOAD_")
            and step.opname != "LOAD_CONST"  # the name of an argument, say
            and isinstance(step.argval, str)
            and start_of(step) == start
        ):
            return step.opname, step.argval
    return None


def start_of(step: dis.Instruction) -> tuple[int | None, int | None] | None:
    """The line and column where the source of an instruction begins."""
    place = step.positions
    return None if place is None else (place.lineno, place.col_offset)


def _callables(
    caller: FrameType, callee: FrameType, opname: str, name: str
) -> list[CodeType]:
    """The codes that the name may stand for, if Python code is called by it."""
    if opname in {"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"}:
        # In super().dispatch() and self.get(), the callee's first argument is the view.
        arguments = callee.f_code.co_varnames[: callee.f_code.co_argcount]
        if not arguments:
            return []
        owner = type(callee.f_locals[arguments[0]])
        found = [vars(klass).get(name) for klass in owner.__mro__]
    else:
        found = [caller.f_locals.get(name, caller.f_globals.get(name))]
    return [code for code in map(_code, found) if code is not None]


def _code(function: Any) -> CodeType | None:
    """The code that calling `function` runs, seen through partials and methods."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif isinstance(function, FunctionType):
            return function.__code__
        else:
            return None
