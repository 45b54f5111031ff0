"""Async twins of the basic views: any handlers, a template, a redirect."""

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
    True: a mixin's dispatch() may return a coroutine, which is awaited.

    But where sync code has made a view by hand and calls its dispatch(), nobody
    awaits. There it is what Django's view says: whether a handler is async.
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

        Takes and returns what that does. An override is awaited on the event
        loop. Django's own ends inline here, without a hop.
        """


class AsyncView(_django.View[_R], TwinMixin):
    """
    Async variant of `View`: any handler, and any hook, may be async or sync.

    `async def get()` is awaited on the event loop, `def get()` runs in the
    request's worker, in one hop; the same goes for each handler and for
    dispatch(). Whatever is overridden, `super()` works in the colour it is
    called in: `await super().get(...)` on the loop, `super().get(...)` in sync
    code. setup() stays sync, and runs in the worker where it is overridden.
    """

    if TYPE_CHECKING:
        view_is_async: bool
    else:
        view_is_async = _ViewIsAsync()

    @classonlymethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Coroutine[Any, Any, _R]]:
        """
        Return the view for your URLconf, with the attributes of Django's.

        Async code gets a coroutine from it, sync code the response. Of a class with
        an `async def` handler, sync code gets a coroutine too, as of Django's views.

        Raise ImproperlyConfigured for a class in which an override would be
        skipped. The message names the override and contains the fix.
        """
        plan_of(cls, verify=True)
        refuse(cls, initkwargs)
        django_view: Any = super().as_view(**initkwargs)

        return around(django_view, ViewFunction(django_view, cls, initkwargs))

    def _last_word(self, response: Any) -> Any:
        """Give the response itself, or one in its place, behind all of the class."""
        return response

    @handler.dispatch(base.View.dispatch, calls=None)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """
        Call the handler of the request's method, sync or async.

        A coroutine on the event loop. In sync code (a mixin's `super()`) the
        response, for which that code waits where the handler is async.
        """
        name = (request.method or "").lower()
        if name not in self.http_method_names:
            name = "http_method_not_allowed"
        chosen = getattr(self, name, self.http_method_not_allowed)
        return (yield respond(chosen, request, *args, **kwargs))

    # Not pure: it logs.
    @handler.http_method_not_allowed(base.View.http_method_not_allowed, calls=None)
    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Answer:
        """Answer 405 and log the request, in one hop."""
        return (yield call(_answer, _METHOD_NOT_ALLOWED, self, request))

    @handler.options(base.View.options, calls=None)
    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer OPTIONS with the methods that have a handler, without a hop."""
        return (yield Call(_answer, (_OPTIONS, self, request), inline=True))


def _answer(method: Any, view: Any, request: HttpRequest) -> Any:
    """What a method of Django's answers that wraps it in a coroutine for us."""
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

        A TemplateResponse is made without a hop: Django's handler renders it
        later, in a hop of its own, after the template response middleware. A
        response class of the project's own is made in the worker.
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
        Return the names of the templates, in the order to try.

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
        """Answer with the template, without a hop before the rendering."""
        context = yield call(self.aget_context_data, **kwargs)
        return (yield call(self.arender_to_response, context))


class AsyncRedirectView(_django.RedirectView, AsyncView):
    """Async variant of `RedirectView`."""

    # The URL is filled in with what the call is given, so the call tells whether
    # that is objects of the project's.
    @twin(
        base.RedirectView.get_redirect_url,
        pure=lambda view: has_plain_url(view, view.args, view.kwargs),
        always=True,
        not_calls=("get",),
    )
    def aget_redirect_url(self, *args: Any, **kwargs: Any) -> Calls[str | None]:
        """
        Return the URL of the redirect, or None for 410 Gone.

        Async variant of `get_redirect_url()`.

        Filled in with numbers and text, inline; with objects, whose text may be a
        query, in one hop.
        """
        inline = has_plain_url(self, args, kwargs)
        url: str | None = yield Call(
            _REDIRECT_URL, (self, *args), kwargs, inline=inline
        )
        return url

    @handler.get(
        base.RedirectView.get,
        calls=("get_redirect_url",),
        # With neither it answers 410, and logs that.
        pure=lambda view: bool(view.url or view.pattern_name),
        # It may be called with other arguments than the view's.
        always=True,
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer with the redirect, or 410 Gone, without a hop."""
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
        # Until Django 5.2 goes: the option came with 6.1, and what is not in
        # the view is not in its Django either.
        if preserve_request := getattr(self, "preserve_request", False):
            return redirect(url, preserve_request=preserve_request)
        return redirect(url)

    @handler.head(base.RedirectView.head, calls=("get",), pure=True)
    def head(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as get() does, without a hop."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.post(base.RedirectView.post, calls=("get",), pure=True)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as get() does, without a hop."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.options(base.RedirectView.options, calls=("get",), pure=True)
    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as get() does, without a hop."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.delete(base.RedirectView.delete, calls=("get",), pure=True)
    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as get() does, without a hop."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.put(base.RedirectView.put, calls=("get",), pure=True)
    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as get() does, without a hop."""
        return (yield respond(self.get, request, *args, **kwargs))

    @handler.patch(base.RedirectView.patch, calls=("get",), pure=True)
    def patch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BaseAnswer:
        """Answer as get() does, without a hop."""
        return (yield respond(self.get, request, *args, **kwargs))
