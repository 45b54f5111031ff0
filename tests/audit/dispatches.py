"""Sync dispatch() methods and handlers: which keep their thread, and which do not."""

from __future__ import annotations

import contextvars
import functools

from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin, UserPassesTestMixin
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

# Each with whether a thread waits in it.
TABLE: list[tuple[type, bool]] = []


def case(*, held):
    def add(cls):
        TABLE.append((cls, held))
        return cls

    return add


def passing(function):
    @functools.wraps(function)
    def wrapper(self, request, *args, **kwargs):
        return function(self, request, *args, **kwargs)

    return wrapper


def counting(function):
    @functools.wraps(function)
    def wrapper(self, request, *args, **kwargs):
        response = function(self, request, *args, **kwargs)
        response["X-Counted"] = "1"
        return response

    return wrapper


@case(held=False)
class Tail:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class TwoArguments:
    def dispatch(self, request, *args, **kwargs):
        return super(TwoArguments, self).dispatch(  # noqa: UP008
            request,
            *args,
            **kwargs,
        )


@case(held=False)
class WorkBefore:
    def dispatch(self, request, *args, **kwargs):
        self.tenant = request.headers.get("X-Tenant")
        with transaction.atomic():
            self.number = 1
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class Branch:
    def dispatch(self, request, *args, **kwargs):
        if request.method == "TRACE":
            return HttpResponse(status=405)
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class Login(LoginRequiredMixin):
    pass


@case(held=False)
class Test(UserPassesTestMixin):
    def test_func(self):
        return True


@case(held=False)
class TailOnTail(WorkBefore, Branch):
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class Named:
    def dispatch(self, request, *args, **kwargs):
        method = super().dispatch
        return method(request, *args, **kwargs)


@case(held=False)
class Passing:
    @passing
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class Decorated:
    @method_decorator(login_required)
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class Exempt:
    @method_decorator(csrf_exempt)
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=False)
class Methods:
    @method_decorator(require_http_methods(["GET"]))
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=True)
class Header:
    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Header"] = "1"
        return response


@case(held=True)
class Kept:
    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        return response


@case(held=True)
class Atomic:
    def dispatch(self, request, *args, **kwargs):
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)


@case(held=True)
class Catching:
    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        except LookupError:
            return HttpResponse(status=404)


@case(held=True)
class Finally:
    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.is_done = True


@case(held=True)
class Conditional:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs) or HttpResponse()


@case(held=True)
class Dropping:
    def dispatch(self, request, *args, **kwargs):
        super().dispatch(request, *args, **kwargs)
        return HttpResponse("another")


@case(held=True)
class InContext:
    def dispatch(self, request, *args, **kwargs):
        context = contextvars.copy_context()
        return context.run(super().dispatch, request, *args, **kwargs)


@case(held=True)
class TailOnHeader(Header):
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=True)
class AtomicOnTail(Tail):
    def dispatch(self, request, *args, **kwargs):
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)


@case(held=True)
class Counting:
    @counting
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=True)
class NeverCached:
    @method_decorator(never_cache)
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


@case(held=True)
class Dynamic:
    def dispatch(self, request, *args, **kwargs):
        name = "dispatch"
        return getattr(super(), name)(request, *args, **kwargs)


@case(held=False)
class Handler:
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)


@case(held=True)
class HandlerWithHeader:
    def get(self, request, *args, **kwargs):
        response = super().get(request, *args, **kwargs)
        response["X-Header"] = "1"
        return response


@case(held=True)
class SyncHook:
    def render_to_response(self, context, **kwargs):
        return super().render_to_response(context, **kwargs)


def user():
    return User(username="jane", is_active=True)
