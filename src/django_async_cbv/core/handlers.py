"""The decorator of handlers, `twins.handler()`, under a name for each name of theirs.

At run time they are one. To a type checker they differ in which attribute of a
view tells the colour: see typing.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .twins import handler

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    from .typing import Async, Either, Factory, Sync

    _T_co = TypeVar("_T_co", covariant=True)

    class _Dispatch(Protocol[_T_co]):
        @property
        def dispatch(self) -> Callable[..., _T_co]: ...

    class _HttpMethodNotAllowed(Protocol[_T_co]):
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

    dispatch: Factory[_Dispatch[Either], _Dispatch[Async], _Dispatch[Sync]]
    http_method_not_allowed: Factory[
        _HttpMethodNotAllowed[Either],
        _HttpMethodNotAllowed[Async],
        _HttpMethodNotAllowed[Sync],
    ]
    get: Factory[_Get[Either], _Get[Async], _Get[Sync]]
    head: Factory[_Head[Either], _Head[Async], _Head[Sync]]
    post: Factory[_Post[Either], _Post[Async], _Post[Sync]]
    put: Factory[_Put[Either], _Put[Async], _Put[Sync]]
    patch: Factory[_Patch[Either], _Patch[Async], _Patch[Sync]]
    delete: Factory[_Delete[Either], _Delete[Async], _Delete[Sync]]
    options: Factory[_Options[Either], _Options[Async], _Options[Sync]]
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
