"""Async variants of the access mixins, which check a user before the view runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth import mixins
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect

from ..core import handlers as handler
from ..core.flow import BaseAnswer, Call, Calls, call, respond
from ..core.guards import tests_of, truth
from ..core.hooks import SUPER
from ..core.twins import TwinMixin, django_super, twin

if TYPE_CHECKING:
    # A type checker must not see the sync dispatch() of Django's mixins. It would
    # report the user's `async def dispatch()`.
    class DjangoLoginRequiredMixin: ...

    class DjangoPermissionRequiredMixin:
        permission_required: str | Iterable[str] | None

        def get_permission_required(self) -> Iterable[str]: ...
        def has_permission(self) -> bool: ...

    class DjangoUserPassesTestMixin:
        def test_func(self) -> bool | None: ...
        def get_test_func(self) -> Callable[[], bool | None]: ...

else:
    DjangoLoginRequiredMixin = mixins.LoginRequiredMixin
    DjangoPermissionRequiredMixin = mixins.PermissionRequiredMixin
    DjangoUserPassesTestMixin = mixins.UserPassesTestMixin

# Tests and agents may replace the class in Django's module.
_AccessMixin = mixins.AccessMixin

__all__ = [
    "AsyncAccessMixin",
    "AsyncLoginRequiredMixin",
    "AsyncPermissionRequiredMixin",
    "AsyncUserPassesTestMixin",
]


class AsyncAccessMixin(mixins.AccessMixin, TwinMixin):
    """Async variant of `AccessMixin`: answer users who may not see a view."""

    # The view's.
    request: HttpRequest

    @twin(mixins.AccessMixin.get_login_url, pure=True)
    async def aget_login_url(self) -> str:
        """
        Return the URL of the login page.

        Async variant of `get_login_url()`.
        """

    @twin(mixins.AccessMixin.get_permission_denied_message, pure=True)
    async def aget_permission_denied_message(self) -> str:
        """
        Return the message of `PermissionDenied`.

        Async variant of `get_permission_denied_message()`.
        """

    @twin(mixins.AccessMixin.get_redirect_field_name, pure=True)
    async def aget_redirect_field_name(self) -> str | None:
        """
        Return the name of the query parameter with the URL to come back to.

        Async variant of `get_redirect_field_name()`.
        """

    @twin(
        mixins.AccessMixin.handle_no_permission,
        calls=(
            "get_permission_denied_message",
            "get_login_url",
            "get_redirect_field_name",
        ),
    )
    def ahandle_no_permission(self) -> Calls[HttpResponseRedirect]:
        """
        Redirect anonymous users to the login page.

        Async variant of `handle_no_permission()`.

        Raises:
            PermissionDenied: For users who are logged in. With `raise_exception`, for
                all users.
        """
        if self.raise_exception or (yield call(_is_authenticated, self.request)):
            message = yield call(self.aget_permission_denied_message)
            raise PermissionDenied(message)
        # Django's method reads the awaited values from the attributes of a stand-in.
        answers = _AccessMixin()
        answers.request = self.request  # type: ignore[attr-defined]  # a view's
        answers.login_url = yield call(self.aget_login_url)
        answers.redirect_field_name = yield call(self.aget_redirect_field_name)
        return (yield Call(answers.handle_no_permission))


class AsyncLoginRequiredMixin(DjangoLoginRequiredMixin, AsyncAccessMixin):
    """Async variant of `LoginRequiredMixin`."""

    @handler.dispatch(
        mixins.LoginRequiredMixin.dispatch, calls=("handle_no_permission", SUPER)
    )
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """
        Let in users who are logged in.

        Runs on:
            A worker thread, which reads the user. A sync handler runs in the same hop.
            Before an async handler, the check makes one hop.
        """
        if not (yield call(_is_authenticated, request)):
            return (yield call(self.ahandle_no_permission))
        below = django_super(DjangoLoginRequiredMixin, self)
        return (yield respond(below.dispatch, request, *args, **kwargs))


class AsyncPermissionRequiredMixin(DjangoPermissionRequiredMixin, AsyncAccessMixin):
    """Async variant of `PermissionRequiredMixin`."""

    @twin(mixins.PermissionRequiredMixin.get_permission_required, pure=True)
    async def aget_permission_required(self) -> Iterable[str]:
        """
        Return the permissions that a user needs.

        Async variant of `get_permission_required()`.
        """

    @twin(
        mixins.PermissionRequiredMixin.has_permission,
        calls=("get_permission_required",),
    )
    def ahas_permission(self) -> Calls[bool]:
        """
        Return whether the user has all permissions.

        Async variant of `has_permission()`.
        """
        permissions = yield call(self.aget_permission_required)
        return (yield call(_has_permissions, self.request, permissions))

    @handler.dispatch(
        mixins.PermissionRequiredMixin.dispatch,
        calls=("has_permission", "handle_no_permission", SUPER),
    )
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """
        Let in users who have the permissions.

        Raises:
            ImproperlyConfigured: If the check returns something that has to be awaited.
                Access is denied.

        Runs on:
            A worker thread. A sync handler runs in the same hop. Your
            `ahas_permission()` runs on the event loop.
        """
        verdict = yield call(self.ahas_permission)
        names = "ahas_permission", "has_permission"
        if not (yield _granted(verdict, self, *names)):
            return (yield call(self.ahandle_no_permission))
        below = django_super(DjangoPermissionRequiredMixin, self)
        return (yield respond(below.dispatch, request, *args, **kwargs))


class AsyncUserPassesTestMixin(DjangoUserPassesTestMixin, AsyncAccessMixin):
    """Async variant of `UserPassesTestMixin`."""

    @twin(mixins.UserPassesTestMixin.test_func)
    async def atest_func(self) -> bool | None:
        """
        Return whether the user may see the view.

        Async variant of `test_func()`.
        """

    @twin(mixins.UserPassesTestMixin.get_test_func, calls=("test_func",), pure=True)
    def aget_test_func(self) -> Calls[Callable[[], Any]]:
        """
        Return the function that checks the user.

        Async variant of `get_test_func()`.
        """
        yield from ()
        return self.atest_func

    @handler.dispatch(
        mixins.UserPassesTestMixin.dispatch,
        calls=("get_test_func", "handle_no_permission", SUPER),
    )
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """
        Let in users who pass the test.

        Raises:
            ImproperlyConfigured: If the test returns something that has to be awaited.
                Access is denied.

        Runs on:
            A worker thread. A sync handler runs in the same hop. Your `atest_func()`
            runs on the event loop.
        """
        test = yield call(self.aget_test_func)
        verdict = yield call(test)
        names = tests_of(self, test, "aget_test_func", "get_test_func")
        if not (yield _granted(verdict, self, *names)):
            return (yield call(self.ahandle_no_permission))
        below = django_super(DjangoUserPassesTestMixin, self)
        return (yield respond(below.dispatch, request, *args, **kwargs))


def _is_authenticated(request: Any) -> bool:
    """Whether the user is logged in; reads the session."""
    return truth(request.user.is_authenticated, request.user, "is_authenticated")


def _has_permissions(request: Any, permissions: Any) -> Any:
    return request.user.has_perms(permissions)


def _granted(verdict: Any, view: Any, *names: str) -> Call:
    """Ask for the truth of a verdict, in the worker if that may be work."""
    inline = verdict is None or isinstance(verdict, bool)
    return Call(truth, (verdict, view, *names), inline=inline)
