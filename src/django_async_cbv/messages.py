"""Async twin of the messages mixin: what it says is said after the save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.messages import success, views
from django.http import HttpRequest, HttpResponse

from .flow import Body, call
from .hooks import Twins, twin
from .registry import SUPER

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


class AsyncSuccessMessageMixin(SuccessMessageMixin, Twins):
    """Async twin of SuccessMessageMixin."""

    # The view's.
    request: HttpRequest

    @twin(views.SuccessMessageMixin.form_valid, calls=("get_success_message", SUPER))
    def aform_valid(self, form: Any) -> Body[HttpResponse]:
        """
        Do what the view does with a valid form, then queue the message.

        Twin of form_valid(). Once, and only if that did not fail; in the same hop.
        """
        response: HttpResponse = yield call(super().aform_valid, form)
        message = yield call(self.aget_success_message, form.cleaned_data)
        if message:
            yield call(success, self.request, message)
        return response

    @twin(views.SuccessMessageMixin.get_success_message, pure=True)
    async def aget_success_message(self, cleaned_data: dict[str, str]) -> str:
        """Return what to say, "" for nothing; twin of get_success_message()."""
