"""Async variants of the basic views: any handlers, a template, a redirect."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from django.http import (
    HttpRequest,
    HttpResponseGone,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.utils.decorators import classonlymethod
from django.utils.log import log_response
from django.views.generic import base

from ..core import handlers as handler
from ..core.flow import Answer, BaseAnswer, Call, Calls, call, is_in_flow, respond
from ..core.hooks import pristine
from ..core.problems import refuse
from ..core.threads import loop_is_running
from ..core.twins import TwinMixin, plan_of, twin
from . import _django
from ._django import _R, _TemplateR
from ._function import ViewFunction, around
from ._plain import has_plain_context, has_plain_url

__all__ = [
    "AsyncContextMixin",
    "AsyncRedirectView",
    "AsyncTemplateResponseMixin",
    "AsyncTemplateView",
    "AsyncView",
]

# Django's own, whatever a subclass makes of them.
_METHOD_NOT_ALLOWED = pristine(base.View.http_method_not_allowed)
_OPTIONS = pristine(base.View.options)
_REDIRECT_URL = pristine(base.RedirectView.get_redirect_url)


class _ViewIsAsync:
    """
    True where the view awaits what a mixin's dispatch() returns.

    Sync code that calls dispatch() of an instance does not await. There it is what
    Django's View has: whether a handler is async.
    """

    def __get__(self, view: AsyncView[Any] | None, cls: Any) -> bool:
        return (
            view is None
            or loop_is_running()
            or is_in_flow()
            or plan_of(cls).has_async_handler
        )


class AsyncContextMixin(base.ContextMixin, TwinMixin):
    """Async variant of `ContextMixin`."""

    @twin(
        base.ContextMixin.get_context_data,
        pure=has_plain_context,
    )
    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """
        Return the template's context.

        Async variant of `get_context_data()`.

        Runs on:
            The event loop, without a hop. So does your override.
        """


class AsyncView(_django.View[_R], TwinMixin):
    """
    Async variant of `View`: each handler and each hook may be sync or async.

    The view awaits `async def get()` on the event loop, and runs `def get()` in the
    worker thread of the request, in one hop. The same holds for each handler and for
    `dispatch()`. Async code writes `await super().get(...)`, and sync code writes
    `super().get(...)`. `setup()` is sync. Your override of `setup()` runs in the worker
    thread.
    """

    if TYPE_CHECKING:
        view_is_async: bool
    else:
        view_is_async = _ViewIsAsync()

    @classonlymethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Coroutine[Any, Any, _R]]:
        """
        Return the view function for your URLconf.

        Async code that calls the function gets a coroutine, and sync code gets the
        response. If a handler is `async def`, sync code gets a coroutine too.

        Args:
            **initkwargs: Attributes for each instance of the view.

        Returns:
            The view function, with the attributes that Django's function has.

        Raises:
            ImproperlyConfigured: If the view would skip one of your overrides. The
                message contains the fix.

        Runs on:
            The thread that imports your URLconf. No hop.
        """
        plan_of(cls, verify=True)
        refuse(cls, initkwargs)
        django_view: Any = super().as_view(**initkwargs)

        return around(django_view, ViewFunction(django_view, cls, initkwargs))

    def _last_word(self, response: Any) -> Any:
        """Return the response that leaves, after all code of the class."""
        return response

    @handler.dispatch(base.View.dispatch, calls=None)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """
        Call the handler of the request's method.

        On the event loop, the call returns a coroutine. In sync code, for example in
        the `dispatch()` of a mixin, the call returns the response. If the handler is
        async, that code waits for the response.
        """
        name = (request.method or "").lower()
        if name not in self.http_method_names:
            name = "http_method_not_allowed"
        chosen = getattr(self, name, self.http_method_not_allowed)
        return (yield respond(chosen, request, *args, **kwargs))

    # Not pure, because Django logs the request.
    @handler.http_method_not_allowed(base.View.http_method_not_allowed, calls=None)
    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Answer:
        """Answer with status 405, and log the request."""
        return (yield call(_answer, _METHOD_NOT_ALLOWED, self, request))

    @handler.options(base.View.options, calls=None)
    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer with the HTTP methods of the view."""
        return (yield Call(_answer, (_OPTIONS, self, request), inline=True))


def _answer(method: Any, view: Any, request: HttpRequest) -> Any:
    """Return the answer of a method that Django wraps in a coroutine here."""
    wrapped = method(view, request)
    try:
        wrapped.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError(f"{method!r} awaits")


def _has_plain_response(view: Any) -> bool:
    """Whether the view makes Django's own response, which does no I/O by itself."""
    return view.response_class is TemplateResponse


class AsyncTemplateResponseMixin(_django.TemplateResponseMixin[_TemplateR], TwinMixin):
    """Async variant of `TemplateResponseMixin`."""

    @twin(
        base.TemplateResponseMixin.render_to_response,
        calls=("get_template_names",),
        pure=_has_plain_response,
    )
    def arender_to_response(
        self, context: dict[str, Any], **response_kwargs: Any
    ) -> Calls[_TemplateR]:
        """
        Return the response.

        Async variant of `render_to_response()`.

        Django renders a `TemplateResponse` later, in another hop, after the
        template-response middleware.

        Runs on:
            The event loop, without a hop. A worker thread, in one hop, if
            `response_class` is a class of yours.
        """
        response_kwargs.setdefault("content_type", self.content_type)
        template = yield call(self.aget_template_names)
        arguments = {
            "request": self.request,
            "template": template,
            "context": context,
            "using": self.template_engine,
            **response_kwargs,
        }
        response: _TemplateR = yield Call(
            self.response_class, (), arguments, inline=_has_plain_response(self)
        )
        return response

    @twin(base.TemplateResponseMixin.get_template_names, pure=True)
    async def aget_template_names(self) -> list[str]:
        """
        Return the names of the templates to try.

        Async variant of `get_template_names()`.
        """


class AsyncTemplateView(
    _django.TemplateView,
    AsyncTemplateResponseMixin[_TemplateR],
    AsyncContextMixin,
    AsyncView[_TemplateR],
):
    """Async variant of `TemplateView`."""

    @handler.get(
        base.TemplateView.get,
        calls=("get_context_data", "render_to_response"),
        pure=True,
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Calls[_TemplateR]:
        """Answer with the template."""
        context = yield call(self.aget_context_data, **kwargs)
        return (yield call(self.arender_to_response, context))


class AsyncRedirectView(_django.RedirectView, AsyncView):
    """Async variant of `RedirectView`."""

    # Only the call tells whether its arguments are objects of the project.
    @twin(
        base.RedirectView.get_redirect_url,
        pure=lambda view: has_plain_url(view, view.args, view.kwargs),
        always=True,
        not_calls=("get",),
    )
    def aget_redirect_url(self, *args: Any, **kwargs: Any) -> Calls[str | None]:
        """
        Return the URL to redirect to. None answers with status 410.

        Async variant of `get_redirect_url()`.

        Runs on:
            The event loop, without a hop, if numbers and text fill in the URL. A worker
            thread, in one hop, for objects, whose text may need a query.
        """
        inline = has_plain_url(self, args, kwargs)
        url: str | None = yield Call(
            _REDIRECT_URL, (self, *args), kwargs, inline=inline
        )
        return url

    @handler.get(
        base.RedirectView.get,
        calls=("get_redirect_url",),
        # With neither, Django answers with status 410, and logs the request.
        pure=lambda view: bool(view.url or view.pattern_name),
        # It may be called with other arguments than the view's.
        always=True,
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer with the redirect, or with status 410."""
        url = yield call(self.aget_redirect_url, *args, **kwargs)
        if not url:
            gone = HttpResponseGone()
            yield call(
                log_response, "Gone: %s", request.path, response=gone, request=request
            )
            return gone
        redirect = (
            HttpResponsePermanentRedirect if self.permanent else HttpResponseRedirect
        )
        # Until Django 6.0 goes: Django 6.1 brought the attribute and the argument.
        if preserve_request := getattr(self, "preserve_request", False):
            return redirect(url, preserve_request=preserve_request)
        return redirect(url)

    @handler.head(base.RedirectView.head, calls=("get",), pure=True)
    def head(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as `get()` does."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.post(base.RedirectView.post, calls=("get",), pure=True)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as `get()` does."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.options(base.RedirectView.options, calls=("get",), pure=True)
    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as `get()` does."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.delete(base.RedirectView.delete, calls=("get",), pure=True)
    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as `get()` does."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.put(base.RedirectView.put, calls=("get",), pure=True)
    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as `get()` does."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.patch(base.RedirectView.patch, calls=("get",), pure=True)
    def patch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as `get()` does."""
        return (yield respond(self.get, request, *args, **kwargs))
