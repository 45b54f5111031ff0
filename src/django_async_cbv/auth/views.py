"""
Async variants of the views to log in, to log out, and to change a password.

Django's dispatch() and its decorators run in the worker thread. Its super() calls the
async hooks of these classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import login, logout, update_session_auth_hash, views
from django.contrib.sites.shortcuts import get_current_site
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _

from ..core import handlers as handler
from ..core.flow import Answer, Calls, call, respond
from ..core.hooks import SUPER
from ..core.twins import TwinMixin, twin
from ..views import AsyncContextMixin, AsyncFormView, AsyncTemplateView
from ..views._plain import has_plain_context

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.forms import (
        AuthenticationForm,
        PasswordChangeForm,
        PasswordResetForm,
        SetPasswordForm,
    )
    from django.contrib.auth.tokens import PasswordResetTokenGenerator

    # A type checker sees the attributes of Django's views and not their sync handlers,
    # as in views/_django.py.
    class RedirectURLMixin:
        next_page: str | None
        redirect_field_name: str
        success_url_allowed_hosts: set[str]

        def get_success_url(self) -> str: ...
        def get_redirect_url(self, request: HttpRequest | None = None) -> str: ...
        def get_success_url_allowed_hosts(
            self, request: HttpRequest | None = None
        ) -> set[str]: ...
        def get_default_redirect_url(self) -> str: ...

    class PasswordContextMixin:
        title: Any

    class LoginView:
        authentication_form: type[AuthenticationForm] | None
        redirect_authenticated_user: bool

    class LogoutView: ...

    class PasswordResetView:
        email_template_name: str
        extra_email_context: dict[str, Any] | None
        from_email: str | None
        html_email_template_name: str | None
        subject_template_name: str
        token_generator: PasswordResetTokenGenerator

    class PasswordResetDoneView: ...

    class PasswordResetConfirmView:
        post_reset_login: bool
        post_reset_login_backend: str | None
        reset_url_token: str
        token_generator: PasswordResetTokenGenerator
        user: Any
        validlink: bool

        def get_user(self, uidb64: str) -> AbstractBaseUser | None: ...

    class PasswordResetCompleteView: ...

    class PasswordChangeView: ...

    class PasswordChangeDoneView: ...

else:
    RedirectURLMixin = views.RedirectURLMixin
    PasswordContextMixin = views.PasswordContextMixin
    LoginView = views.LoginView
    LogoutView = views.LogoutView
    PasswordResetView = views.PasswordResetView
    PasswordResetDoneView = views.PasswordResetDoneView
    PasswordResetConfirmView = views.PasswordResetConfirmView
    PasswordResetCompleteView = views.PasswordResetCompleteView
    PasswordChangeView = views.PasswordChangeView
    PasswordChangeDoneView = views.PasswordChangeDoneView

__all__ = [
    "AsyncLoginView",
    "AsyncLogoutView",
    "AsyncPasswordChangeDoneView",
    "AsyncPasswordChangeView",
    "AsyncPasswordContextMixin",
    "AsyncPasswordResetCompleteView",
    "AsyncPasswordResetConfirmView",
    "AsyncPasswordResetDoneView",
    "AsyncPasswordResetView",
    "AsyncRedirectURLMixin",
]

# Tests and agents may replace the class in Django's module.
_RedirectURLMixin = views.RedirectURLMixin


class _Redirect(_RedirectURLMixin):
    """Django's own check of `next`, with hosts that have been awaited."""

    def __init__(self, view: Any, request: HttpRequest, hosts: set[str]) -> None:
        self.request = request
        self.redirect_field_name = view.redirect_field_name
        self._hosts = hosts

    def get_success_url_allowed_hosts(self, *_: Any) -> set[str]:
        return self._hosts


class AsyncRedirectURLMixin(RedirectURLMixin, TwinMixin):
    """Async variant of `RedirectURLMixin`: where to go after the login or logout."""

    # The view's.
    request: HttpRequest

    @twin(
        views.RedirectURLMixin.get_success_url,
        calls=("get_redirect_url", "get_default_redirect_url"),
    )
    def aget_success_url(self) -> Calls[str]:
        """
        Return the URL to redirect to.

        Async variant of `get_success_url()`.
        """
        asked_for: str = yield call(self.aget_redirect_url)
        return asked_for or (yield call(self.aget_default_redirect_url))

    # Until Django 6.0 goes: the argument came with 6.1.
    @twin(
        views.RedirectURLMixin.get_redirect_url,
        calls=("get_success_url_allowed_hosts",),
    )
    def aget_redirect_url(self, request: HttpRequest | None = None) -> Calls[str]:
        """
        Return the URL that the request asks for. An unsafe URL gives "".

        Async variant of `get_redirect_url()`.

        Runs on:
            A worker thread, in one hop, because the URL may be in the body.
        """
        arguments = () if request is None else (request,)
        hosts = yield call(self.aget_success_url_allowed_hosts, *arguments)
        redirect = _Redirect(self, request or self.request, hosts)
        return (yield call(redirect.get_redirect_url))

    @twin(views.RedirectURLMixin.get_success_url_allowed_hosts, pure=True)
    async def aget_success_url_allowed_hosts(
        self, request: HttpRequest | None = None
    ) -> set[str]:
        """
        Return the hosts that a redirect may lead to.

        Async variant of `get_success_url_allowed_hosts()`.
        """

    @twin(views.RedirectURLMixin.get_default_redirect_url)
    async def aget_default_redirect_url(self) -> str:
        """
        Return the URL to redirect to if the request asks for none.

        Async variant of `get_default_redirect_url()`.
        """


class AsyncLoginView(
    LoginView, AsyncRedirectURLMixin, AsyncFormView["AuthenticationForm"]
):
    """
    Async variant of `LoginView`.

    The view checks the form and logs the user in, in one hop.
    """

    @twin(views.LoginView.get_default_redirect_url)
    async def aget_default_redirect_url(self) -> str:
        """Return `next_page`, or the setting `LOGIN_REDIRECT_URL`."""

    @twin(views.LoginView.get_form_class, pure=True)
    async def aget_form_class(self) -> type[AuthenticationForm]:
        """
        Return `authentication_form`, or `AuthenticationForm`.

        Async variant of `get_form_class()`.
        """

    @twin(views.LoginView.get_form_kwargs, calls=(SUPER,), pure=True)
    def aget_form_kwargs(self) -> Calls[dict[str, Any]]:
        """
        Return the form's arguments with the request.

        Async variant of `get_form_kwargs()`.
        """
        kwargs: dict[str, Any] = yield call(super().aget_form_kwargs)
        kwargs["request"] = self.request
        return kwargs

    @twin(
        views.LoginView.form_valid,
        calls=("get_success_url",),
        not_calls=("get_user",),
    )
    def aform_valid(self, form: AuthenticationForm) -> Answer:
        """Log the user in, give the session a new key, and redirect."""
        yield call(login, self.request, form.get_user())
        return HttpResponseRedirect((yield call(self.aget_success_url)))

    @twin(views.LoginView.get_context_data, calls=(SUPER, "get_redirect_url"))
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """
        Return the context with the site and `next`.

        Async variant of `get_context_data()`.
        """
        context: dict[str, Any] = yield call(super().aget_context_data, **kwargs)
        site: Any = yield call(get_current_site, self.request)
        redirect_url = yield call(self.aget_redirect_url)
        context.update(
            {
                self.redirect_field_name: redirect_url,
                "site": site,
                "site_name": site.name,
                **(self.extra_context or {}),
            }
        )
        return context


class AsyncLogoutView(LogoutView, AsyncRedirectURLMixin, AsyncTemplateView):
    """Async variant of `LogoutView`."""

    @handler.post(views.LogoutView.post, calls=("get_success_url", "get"))
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Log the user out, and redirect or show a page."""
        yield call(logout, request)
        redirect_to = yield call(self.aget_success_url)
        if redirect_to != request.get_full_path():
            return HttpResponseRedirect(redirect_to)
        return (yield respond(super().get, request, *args, **kwargs))

    @twin(views.LogoutView.get_default_redirect_url)
    async def aget_default_redirect_url(self) -> str:
        """Return `next_page`, `LOGOUT_REDIRECT_URL`, or the URL of this page."""

    @twin(views.LogoutView.get_context_data, calls=(SUPER,))
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """
        Return the context with the site.

        Async variant of `get_context_data()`.
        """
        context: dict[str, Any] = yield call(super().aget_context_data, **kwargs)
        site: Any = yield call(get_current_site, self.request)
        context.update(
            {
                "site": site,
                "site_name": site.name,
                "title": _("Logged out"),
                "subtitle": None,
                **(self.extra_context or {}),
            }
        )
        return context


class AsyncPasswordContextMixin(PasswordContextMixin, AsyncContextMixin):
    """Async variant of `PasswordContextMixin`."""

    @twin(
        views.PasswordContextMixin.get_context_data,
        calls=(SUPER,),
        pure=has_plain_context,
    )
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """
        Return the context with the title.

        Async variant of `get_context_data()`.
        """
        context: dict[str, Any] = yield call(super().aget_context_data, **kwargs)
        context.update(
            {"title": self.title, "subtitle": None, **(self.extra_context or {})}
        )
        return context


class AsyncPasswordResetView(
    PasswordResetView, AsyncPasswordContextMixin, AsyncFormView["PasswordResetForm"]
):
    """Async variant of `PasswordResetView`. A worker thread sends the mail."""

    @twin(views.PasswordResetView.form_valid, calls=(SUPER,))
    def aform_valid(self, form: PasswordResetForm) -> Answer:
        """
        Send the mail, and redirect.

        Async variant of `form_valid()`.
        """
        yield call(
            form.save,
            use_https=self.request.is_secure(),
            token_generator=self.token_generator,
            from_email=self.from_email,
            email_template_name=self.email_template_name,
            subject_template_name=self.subject_template_name,
            request=self.request,
            html_email_template_name=self.html_email_template_name,
            extra_email_context=self.extra_email_context,
        )
        return (yield call(super().aform_valid, form))


class AsyncPasswordResetDoneView(
    PasswordResetDoneView, AsyncPasswordContextMixin, AsyncTemplateView
):
    """Async variant of `PasswordResetDoneView`."""


class AsyncPasswordResetConfirmView(
    PasswordResetConfirmView,
    AsyncPasswordContextMixin,
    AsyncFormView["SetPasswordForm[Any]"],
):
    """Async variant of `PasswordResetConfirmView`."""

    @twin(views.PasswordResetConfirmView.get_user, not_calls=("get",))
    async def aget_user(self, uidb64: str) -> AbstractBaseUser | None:
        """
        Return the user whose password it is. None if there is no such user.

        Async variant of `get_user()`.
        """

    @twin(views.PasswordResetConfirmView.get_form_kwargs, calls=(SUPER,), pure=True)
    def aget_form_kwargs(self) -> Calls[dict[str, Any]]:
        """
        Return the form's arguments with the user.

        Async variant of `get_form_kwargs()`.
        """
        kwargs: dict[str, Any] = yield call(super().aget_form_kwargs)
        kwargs["user"] = self.user
        return kwargs

    @twin(views.PasswordResetConfirmView.form_valid, calls=(SUPER,))
    def aform_valid(self, form: SetPasswordForm[Any]) -> Answer:
        """
        Save the password, and log the user in with `post_reset_login`.

        Async variant of `form_valid()`.
        """
        user = yield call(form.save)
        yield call(self.request.session.__delitem__, views.INTERNAL_RESET_SESSION_TOKEN)
        if self.post_reset_login:
            yield call(login, self.request, user, self.post_reset_login_backend)
        return (yield call(super().aform_valid, form))

    @twin(
        views.PasswordResetConfirmView.get_context_data,
        calls=(SUPER,),
        pure=has_plain_context,
    )
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """Return the context, and whether the link is valid."""
        context: dict[str, Any] = yield call(super().aget_context_data, **kwargs)
        if self.validlink:
            context["validlink"] = True
        else:
            title = _("Password reset unsuccessful")
            context.update({"form": None, "title": title, "validlink": False})
        return context


class AsyncPasswordResetCompleteView(
    PasswordResetCompleteView, AsyncPasswordContextMixin, AsyncTemplateView
):
    """Async variant of `PasswordResetCompleteView`."""

    @twin(
        views.PasswordResetCompleteView.get_context_data,
        calls=(SUPER,),
        pure=has_plain_context,
    )
    def aget_context_data(self, **kwargs: Any) -> Calls[dict[str, Any]]:
        """
        Return the context with the URL of the login page.

        Async variant of `get_context_data()`.
        """
        context: dict[str, Any] = yield call(super().aget_context_data, **kwargs)
        context["login_url"] = resolve_url(settings.LOGIN_URL)
        return context


class AsyncPasswordChangeView(
    PasswordChangeView, AsyncPasswordContextMixin, AsyncFormView["PasswordChangeForm"]
):
    """Async variant of `PasswordChangeView`."""

    @twin(views.PasswordChangeView.get_form_kwargs, calls=(SUPER,), pure=True)
    def aget_form_kwargs(self) -> Calls[dict[str, Any]]:
        """
        Return the form's arguments with the user.

        Async variant of `get_form_kwargs()`.
        """
        kwargs: dict[str, Any] = yield call(super().aget_form_kwargs)
        kwargs["user"] = self.request.user
        return kwargs

    @twin(views.PasswordChangeView.form_valid, calls=(SUPER,))
    def aform_valid(self, form: PasswordChangeForm) -> Answer:
        """Save the password, and end the other sessions of the user."""
        yield call(form.save)
        yield call(update_session_auth_hash, self.request, form.user)
        return (yield call(super().aform_valid, form))


class AsyncPasswordChangeDoneView(
    PasswordChangeDoneView, AsyncPasswordContextMixin, AsyncTemplateView
):
    """Async variant of `PasswordChangeDoneView`."""
