"""What the tools for tests share: blocks for `with`, `async with` and `@`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Self, TypeVar

__all__ = ["Block"]

_F = TypeVar("_F", bound=Callable[..., Any])


class Block:
    """A block that is begun, ended, and checked unless it raises."""

    def start(self) -> None:
        """Begin, in this context."""
        raise NotImplementedError

    def stop(self) -> None:
        """End, at most once; in any context."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise AssertionError if something was found."""

    def one_call(self) -> Self:
        """What runs one call of a decorated function: calls may overlap."""
        raise NotImplementedError

    def add(self, one: Any) -> None:
        """Take over what one call has found."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        __tracebackhide__ = True
        self.stop()
        if kind is None:
            self.check()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        __tracebackhide__ = True
        self.__exit__(kind, error, traceback)

    def __call__(self, func: _F) -> _F:
        """Decorate a function or a coroutine function."""
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(
                f"{func.__qualname__}() is a generator, whose code runs after the "
                "decorator has ended. Use a block in it: `with "
                f"{type(self).__name__}():`"
            )
        wrapper: Any
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                one = self.one_call()
                try:
                    with one:
                        return await func(*args, **kwargs)
                finally:
                    self.add(one)

        else:

            @functools.wraps(func)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                one = self.one_call()
                try:
                    with one:
                        return func(*args, **kwargs)
                finally:
                    self.add(one)

        return wrapper  # type: ignore[no-any-return]
