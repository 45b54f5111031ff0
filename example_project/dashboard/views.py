"""The page of many queries: none waits for another."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django_async_cbv.views import AsyncTemplateView

from dashboard.report import compare, report


class Dashboard(AsyncTemplateView):
    """The site in figures.

    `?in_turn=1` makes one query after the other, `?compare=1` measures both ways.
    """

    template_name = "dashboard/dashboard.html"

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the report."""
        context = await super().aget_context_data(**kwargs)
        in_turn = "in_turn" in self.request.GET
        context["in_turn"] = in_turn
        today = timezone.localdate()
        context["comparison"] = (
            await compare(today) if "compare" in self.request.GET else None
        )
        context["report"] = await report(today, in_turn=in_turn)
        return context
