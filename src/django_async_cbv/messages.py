"""Async variant of the messages mixin, which queues a message after the save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.messages import success, views
from django.http import HttpRequest, HttpResponse

from .core.flow import Answer, Call, call
from .core.hooks import SUPER
from .core.twins import TwinMixin, twin

if TYPE_CHECKING:
    # The view after this mixin in the MRO has the first two methods.
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
        # The view saves, and its save may be async.
        always=True,
    )
    def aform_valid(self, form: Any) -> Answer:
        """
        Save the form as the view does, then queue the message.

        Async variant of `form_valid()`.

        If the save fails, no message is queued.

        Runs on:
            A worker thread, in the hop of the save.
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
        # Otherwise values of the form fill in the text, and their str() may query.
        # Django queues the message in the worker thread anyway.
        pure=lambda view: (
            type(view.success_message) is str and not view.success_message
        ),
    )
    async def aget_success_message(self, cleaned_data: dict[str, str]) -> str:
        """
        Return the message. "" queues none.

        Async variant of `get_success_message()`.
        """
