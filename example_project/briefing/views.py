"""The pages that show why async: one day, six slow services, asked all at once.

And the day in words, sent one by one until the reader has heard enough.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import httpx
from django.http import Http404, HttpResponseBadRequest
from django.utils import timezone
from django_async_cbv.views import AsyncFormView, AsyncTemplateView
from django_async_cbv.views.streaming import ChannelView, Event, ServerSentEventsView

from briefing.channels import endings
from briefing.client import briefing, tell
from briefing.forms import DayForm
from briefing.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.http import HttpResponse, HttpResponseBase


class Briefing(AsyncTemplateView):
    """What the upstream services say about a day, today unless the address names one.

    While the answers are on their way no worker is held: the process serves other
    requests. `?in_turn=1` asks one service after the other, as sync code would;
    `?broken=moon` breaks one.
    """

    template_name = "briefing/briefing.html"

    def get_day(self) -> dt.date:
        """Return the day of the URL. Raise Http404 if there is no such day."""
        if "year" not in self.kwargs:
            return timezone.localdate()
        try:
            return dt.date(
                self.kwargs["year"], self.kwargs["month"], self.kwargs["day"]
            )
        except ValueError:
            raise Http404("There is no such day.") from None

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the report."""
        context = await super().aget_context_data(**kwargs)
        day = self.get_day()
        in_turn = "in_turn" in self.request.GET
        broken = self.request.GET.get("broken")
        context.update(
            day=day,
            before=day - dt.timedelta(1),
            after=day + dt.timedelta(1),
            in_turn=in_turn,
            broken=broken if broken in SERVICES else None,
            report=await briefing(day, in_turn=in_turn, broken=broken),
        )
        return context


class Told(AsyncFormView[DayForm]):
    """The day in words. The view waits for all words, and the page needs no script."""

    template_name = "briefing/told.html"
    form_class = DayForm

    def get_initial(self) -> dict[str, Any]:
        """Today."""
        return {"day": timezone.localdate()}

    async def aform_valid(self, form: DayForm) -> HttpResponse:
        """Show the whole text, under the form."""
        try:
            text = "".join([words async for words in tell(form.cleaned_data["day"])])
        except httpx.HTTPError:
            form.add_error(None, "The service that tells it does not answer.")
            return await self.aform_invalid(form)
        context = await self.aget_context_data(form=form, text=text)
        return self.render_to_response(context)


class Telling(ServerSentEventsView):
    """Stream the words. If the client goes, the call to the service ends."""

    http_method_names = ["post"]

    async def prepare(self) -> HttpResponseBase | None:
        """Validate the form while a status can still tell an error."""
        form = DayForm(self.request.POST)
        if not form.is_valid():
            return HttpResponseBadRequest("This is no day.")
        self.day = form.cleaned_data["day"]
        return None

    async def events(self) -> AsyncIterator[Any]:
        """Send the words. At the end, tell the page who ended the stream."""
        count, whole = 0, False
        try:
            async for words in tell(self.day):
                count += len(words.split())
                yield words
            whole = True
            yield Event("", event="end")
        finally:
            data = {"day": self.day, "words": count, "whole": whole}
            endings.publish("endings", data, event="ended")


class Endings(ChannelView):
    """Which tellings ended on the server, and after how many words."""

    channel = endings
    topics = ("endings",)
