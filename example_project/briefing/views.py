"""The page that shows why async: one day, six slow services, asked all at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import Http404
from django.utils import timezone
from django_async_cbv.views import AsyncTemplateView

from briefing.client import briefing
from briefing.services import SERVICES


class Briefing(AsyncTemplateView):
    """What the upstream services say about a day, today unless the address names one.

    While the answers are on their way no worker is held: the process serves other
    requests. `?in_turn=1` asks one service after the other, as sync code would;
    `?broken=moon` breaks one.
    """

    template_name = "briefing/briefing.html"

    def get_day(self) -> dt.date:
        """The day of the address; raises Http404 where the calendar has none such."""
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
