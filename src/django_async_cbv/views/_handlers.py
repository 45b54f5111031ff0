"""
The decorators of handlers, one a name: at run time each of them is `hooks.handler()`.

They differ to type checkers. What `super().get()` gives depends on who asks:
where the view's own `get()` is async a coroutine, where it is sync the response.
So that an override may have either colour, and a forgotten `await` is an error
all the same, what a checker sees of a handler is a descriptor that looks at the
attribute of that name on the view. Checkers ask it, too, what an override of the
handler has to match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hooks import handler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence
    from typing import Any, Concatenate, Generic, Protocol, TypeAlias, TypeVar, overload

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from ..flow import Body

    _T_co = TypeVar("_T_co", covariant=True)
    _Own = TypeVar("_Own")
    _Async_contra = TypeVar("_Async_contra", contravariant=True)
    _Sync_contra = TypeVar("_Sync_contra", contravariant=True)
    _Both = TypeVar("_Both")
    _R = TypeVar("_R", bound=HttpResponse)
    _BaseR = TypeVar("_BaseR", bound=HttpResponseBase)
    _BaseR_co = TypeVar("_BaseR_co", bound=HttpResponseBase, covariant=True)

    class ResponseInEitherColour(HttpResponseBase):
        """What a handler gives that nobody overrode: it answers to both colours."""

        def __await__(self) -> Generator[Any, Any, HttpResponseBase]: ...

    class HttpResponseInEitherColour(HttpResponse, ResponseInEitherColour, Generic[_BaseR_co]):
        """The same of a handler whose response is known better."""

        def __await__(self) -> Generator[Any, Any, _BaseR_co]: ...

    _Async: TypeAlias = Coroutine[Any, Any, object]
    _Sync: TypeAlias = HttpResponseBase

    class _Dispatch(Protocol[_T_co]):
        @property
        def dispatch(self) -> Callable[..., _T_co]: ...

    class _NotAllowed(Protocol[_T_co]):
        @property
        def http_method_not_allowed(self) -> Callable[..., _T_co]: ...

    class _Get(Protocol[_T_co]):
        @property
        def get(self) -> Callable[..., _T_co]: ...

    class _Head(Protocol[_T_co]):
        @property
        def head(self) -> Callable[..., _T_co]: ...

    class _Post(Protocol[_T_co]):
        @property
        def post(self) -> Callable[..., _T_co]: ...

    class _Put(Protocol[_T_co]):
        @property
        def put(self) -> Callable[..., _T_co]: ...

    class _Patch(Protocol[_T_co]):
        @property
        def patch(self) -> Callable[..., _T_co]: ...

    class _Delete(Protocol[_T_co]):
        @property
        def delete(self) -> Callable[..., _T_co]: ...

    class _Options(Protocol[_T_co]):
        @property
        def options(self) -> Callable[..., _T_co]: ...

    class Handler(
        Protocol[_Own, _Async_contra, _Sync_contra, _Both, _BaseR]
    ):
        # pyright compares an override with this, mypy with what __get__() gives.
        def __call__(
            _self, self: Any, /, request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]: ...

        @overload
        def __get__(
            self, view: None, owner: Any, /
        ) -> Callable[Concatenate[Any, HttpRequest, ...], _Both]: ...
        # mypy takes a view whose handler is this one for `own`, pyright for none of
        # the three.
        @overload
        def __get__(
            self, view: _Own, owner: Any, /
        ) -> Callable[Concatenate[HttpRequest, ...], _Both]: ...
        @overload
        def __get__(
            self, view: _Async_contra, owner: Any, /
        ) -> Callable[Concatenate[HttpRequest, ...], Coroutine[Any, Any, _BaseR]]: ...
        @overload
        def __get__(
            self, view: _Sync_contra, owner: Any, /
        ) -> Callable[Concatenate[HttpRequest, ...], _BaseR]: ...
        @overload
        def __get__(
            self, view: object, owner: Any, /
        ) -> Callable[Concatenate[HttpRequest, ...], _Both]: ...

    class Decorator(Protocol[_Own, _Async_contra, _Sync_contra]):
        @overload
        def __call__(
            self, method: Callable[..., Body[_R] | Coroutine[Any, Any, _R]], /
        ) -> Handler[_Own, _Async_contra, _Sync_contra, HttpResponseInEitherColour[_R], _R]: ...
        @overload
        def __call__(
            self,
            method: Callable[
                ..., Body[HttpResponseBase] | Coroutine[Any, Any, HttpResponseBase]
            ],
            /,
        ) -> Handler[
            _Own, _Async_contra, _Sync_contra, ResponseInEitherColour, HttpResponseBase
        ]: ...

    class Factory(Protocol[_Own, _Async_contra, _Sync_contra]):
        def __call__(
            self,
            function: Callable[..., Any],
            *,
            calls: Sequence[str] | None = (),
            pure: bool | Callable[[Any], bool] = False,
        ) -> Decorator[_Own, _Async_contra, _Sync_contra]: ...

    dispatch: Factory[_Dispatch[ResponseInEitherColour], _Dispatch[_Async], _Dispatch[_Sync]]
    http_method_not_allowed: Factory[
        _NotAllowed[ResponseInEitherColour], _NotAllowed[_Async], _NotAllowed[_Sync]
    ]
    get: Factory[_Get[ResponseInEitherColour], _Get[_Async], _Get[_Sync]]
    head: Factory[_Head[ResponseInEitherColour], _Head[_Async], _Head[_Sync]]
    post: Factory[_Post[ResponseInEitherColour], _Post[_Async], _Post[_Sync]]
    put: Factory[_Put[ResponseInEitherColour], _Put[_Async], _Put[_Sync]]
    patch: Factory[_Patch[ResponseInEitherColour], _Patch[_Async], _Patch[_Sync]]
    delete: Factory[_Delete[ResponseInEitherColour], _Delete[_Async], _Delete[_Sync]]
    options: Factory[_Options[ResponseInEitherColour], _Options[_Async], _Options[_Sync]]
else:
    dispatch = http_method_not_allowed = handler
    get = head = post = put = patch = delete = options = handler

__all__ = [
    "delete",
    "dispatch",
    "get",
    "head",
    "http_method_not_allowed",
    "options",
    "patch",
    "post",
    "put",
]
