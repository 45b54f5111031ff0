"""
What type checkers see of twins and handlers: they alone import this module.

A twin is to a checker what an `async def` of the user's is.

A handler is one object for both colours: what `super().get()` gives depends on
who asks, where the view's own `get()` is async a coroutine, where it is sync the
response. So that an override may have either colour, and a forgotten `await` is
an error all the same, what a checker sees of a handler is a descriptor that looks
at the attribute of that name on the view. Checkers ask it, too, what an override
of the handler has to match.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    Unpack,
    overload,
)

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from .flow import Calls
from .hooks import HookOptions

__all__ = [
    "Factory",
    "Handler",
    "HandlerDecorator",
    "HookDecorator",
    "TwinDecorator",
]

MYPY = False  # which mypy takes for true

_P = ParamSpec("_P")
_T = TypeVar("_T")
_AsyncFunction = TypeVar(
    "_AsyncFunction", bound=Callable[..., Coroutine[Any, Any, Any]]
)
_Coroutine = TypeVar("_Coroutine")
_Own = TypeVar("_Own")
_Async_contra = TypeVar("_Async_contra", contravariant=True)
_Sync_contra = TypeVar("_Sync_contra", contravariant=True)
_R = TypeVar("_R", bound=HttpResponseBase)
_R_co = TypeVar("_R_co", bound=HttpResponseBase, covariant=True)


async def _native(result: _T) -> _T:
    """Give what async code does: to mypy a Coroutine, to pyright a CoroutineType."""
    return result


class TwinDecorator(Protocol):
    """Turns the method under twin() into a coroutine function."""

    @overload
    def __call__(self, method: _AsyncFunction, /) -> _AsyncFunction: ...

    # A mixin behind our view may override the same twin by an `async def`, so the
    # two have to give the same. Each checker takes one of these.
    if not MYPY:

        @overload
        def __call__(
            self,
            method: Callable[_P, Calls[_T]],
            /,
            native: Callable[[_T], _Coroutine] = _native,
        ) -> Callable[_P, _Coroutine]: ...

    @overload
    def __call__(
        self, method: Callable[_P, Calls[_T]], /
    ) -> Callable[_P, Coroutine[Any, Any, _T]]: ...


class HookDecorator(Protocol):
    """Turns the body under hook() into the sync function, and leaves a plain one."""

    @overload
    def __call__(self, method: Callable[_P, Calls[_T]], /) -> Callable[_P, _T]: ...
    @overload
    def __call__(self, method: Callable[_P, _T], /) -> Callable[_P, _T]: ...


class ResponseInEitherColour(HttpResponse, Generic[_R_co]):
    """What a handler gives that nobody overrode: it may be awaited, or not."""

    def __await__(self) -> Generator[Any, Any, _R_co]:
        """Give the response itself."""
        raise NotImplementedError


# What a view's own handler gives, to be told by.
Either: TypeAlias = ResponseInEitherColour[Any]
Async: TypeAlias = Coroutine[Any, Any, object]
Sync: TypeAlias = HttpResponseBase


class Handler(Protocol[_Own, _Async_contra, _Sync_contra, _R]):
    """A handler of ours, on the views whose own is still it, is async or is sync."""

    # pyright compares an override with this, mypy with what __get__() gives.
    def __call__(
        self, view: Any, /, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]: ...

    @overload
    def __get__(
        self, view: None, owner: Any, /
    ) -> Callable[Concatenate[Any, HttpRequest, ...], Either]: ...
    # A view whose handler is this one is found here by mypy, by pyright in the last.
    @overload
    def __get__(
        self, view: _Own, owner: Any, /
    ) -> Callable[Concatenate[HttpRequest, ...], ResponseInEitherColour[_R]]: ...
    @overload
    def __get__(
        self, view: _Async_contra, owner: Any, /
    ) -> Callable[Concatenate[HttpRequest, ...], Coroutine[Any, Any, _R]]: ...
    @overload
    def __get__(
        self, view: _Sync_contra, owner: Any, /
    ) -> Callable[Concatenate[HttpRequest, ...], _R]: ...
    @overload
    def __get__(
        self, view: object, owner: Any, /
    ) -> Callable[Concatenate[HttpRequest, ...], ResponseInEitherColour[_R]]: ...


class HandlerDecorator(Protocol[_Own, _Async_contra, _Sync_contra]):
    """Turns the method under handler() into a Handler."""

    def __call__(
        self, method: Callable[..., Calls[_R] | Coroutine[Any, Any, _R] | _R], /
    ) -> Handler[_Own, _Async_contra, _Sync_contra, _R]: ...


class Factory(Protocol[_Own, _Async_contra, _Sync_contra]):
    """The function handler(), for handlers of one name."""

    def __call__(
        self, function: Callable[..., Any], **options: Unpack[HookOptions]
    ) -> HandlerDecorator[_Own, _Async_contra, _Sync_contra]: ...
