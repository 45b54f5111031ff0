"""Begin something when a coroutine waits for the first time."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["FirstWait", "begin_with_wait"]

_R = TypeVar("_R")


class FirstWait:
    """What a coroutine waits for, given to the task once."""

    __slots__ = ("_future", "coroutine")

    # A suspended coroutine has a frame too. Tools that show where a task waits read
    # this attribute.
    frame = None

    def __init__(self, coroutine: Coroutine[Any, Any, Any], future: Any) -> None:
        self.coroutine = coroutine
        self._future = [future]

    def __iter__(self) -> FirstWait:
        return self

    def __next__(self) -> Any:
        if self._future:
            return self._future.pop()
        raise StopIteration


@types.coroutine
def begin_with_wait(
    coroutine: Coroutine[Any, Any, _R], begin: Callable[[], object]
) -> Generator[Any, Any, _R]:
    """Await a coroutine; call `begin` before its first wait, if it has one."""
    try:
        wait = FirstWait(coroutine, coroutine.send(None))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    begin()
    while True:
        try:
            yield from wait
        except BaseException as error:  # noqa: BLE001 - it is the coroutine's
            try:
                wait = FirstWait(coroutine, coroutine.throw(error))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
        else:
            result: _R = yield from coroutine
            return result
