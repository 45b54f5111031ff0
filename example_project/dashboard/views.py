"""The page of many queries: none waits for another."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django_async_cbv.views import AsyncTemplateView

from dashboard.report import report


class Dashboard(AsyncTemplateView):
    """The site in figures; `?in_turn=1` makes one query after the other."""

    template_name = "dashboard/dashboard.html"

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the report."""
        context = await super().aget_context_data(**kwargs)
        in_turn = "in_turn" in self.request.GET
        context["in_turn"] = in_turn
        context["report"] = await report(timezone.localdate(), in_turn=in_turn)
        return context
