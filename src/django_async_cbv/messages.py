"""Async variant of the messages mixin: what it says is said after the save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.messages import success, views
from django.http import HttpRequest, HttpResponse

from .core.flow import Answer, Call, call
from .core.hooks import SUPER
from .core.twins import TwinMixin, twin

if TYPE_CHECKING:
    # What it is mixed into, and stands before, has the first two.
    class SuccessMessageMixin:
        success_message: str

        def form_valid(self, form: Any) -> HttpResponse: ...
        async def aform_valid(self, form: Any) -> HttpResponse: ...
        def get_success_message(self, cleaned_data: dict[str, str]) -> str: ...

else:
    SuccessMessageMixin = views.SuccessMessageMixin

__all__ = ["AsyncSuccessMessageMixin"]


class AsyncSuccessMessageMixin(SuccessMessageMixin, TwinMixin):
    """Async variant of `SuccessMessageMixin`."""

    # The view's.
    request: HttpRequest

    @twin(
        views.SuccessMessageMixin.form_valid,
        calls=("get_success_message", SUPER),
        # The save, which may be async, is the view's.
        always=True,
    )
    def aform_valid(self, form: Any) -> Answer:
        """
        Do what the view does with a valid form, then queue the message.

        Async variant of `form_valid()`.

        Once, and only if that did not fail; in the same hop.
        """
        response: HttpResponse = yield call(super().aform_valid, form)
        is_stored = "cleaned_data" in getattr(form, "__dict__", ())
        cleaned_data = yield Call(getattr, (form, "cleaned_data"), inline=is_stored)
        message = yield call(self.aget_success_message, cleaned_data)
        if message:
            yield call(success, self.request, message)
        return response

    @twin(
        views.SuccessMessageMixin.get_success_message,
        # Else it is filled in with objects of the project's, whose text may be a
        # query. To queue it is in the worker anyway.
        pure=lambda view: (
            type(view.success_message) is str and not view.success_message
        ),
    )
    async def aget_success_message(self, cleaned_data: dict[str, str]) -> str:
        """
        Return what to say, "" for nothing.

        Async variant of `get_success_message()`.
        """
