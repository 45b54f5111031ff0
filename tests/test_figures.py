"""The figures of the documentation show what was measured, and what runs."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.test import RequestFactory, TestCase

from benchmarks import figures
from benchmarks.common import RESULTS
from django_async_cbv.views import AsyncListView
from tests.app.models import Book

LOOP, WORKER = "event loop", "worker thread"


def compare(name: str, drawn: str) -> None:
    """Drawn anew with FIGURES=write in the environment."""
    path = figures.FOLDER / f"{name}.svg"
    if os.environ.get("FIGURES") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == drawn


def test_the_plot_shows_what_was_measured():
    results = json.loads((RESULTS / "delay.json").read_text())
    compare("delay", figures.delay(results))


class TestOneRequest(TestCase):
    def test_the_lanes_are_those_of_a_request(self):
        steps = async_to_sync(self.steps)()
        compare("request", figures.lanes("One request", [LOOP, WORKER], steps))

    async def steps(self) -> list[tuple[str, str]]:
        loop = threading.get_ident()
        steps: list[tuple[str, str]] = []

        def step(label: str) -> None:
            here = LOOP if threading.get_ident() == loop else WORKER
            steps.append((here, label))

        class Shelf(AsyncListView):
            model = Book
            template_name = "page.html"

            async def dispatch(self, *args: Any, **kwargs: Any) -> Any:
                step("dispatch()")
                return await super().dispatch(*args, **kwargs)

            def get_queryset(self) -> Any:
                step("get_queryset()")
                return super().get_queryset()

            def get_allow_empty(self) -> Any:
                step("get_allow_empty()")
                return super().get_allow_empty()

            async def aget_context_data(self, **kwargs: Any) -> Any:
                step("aget_context_data()")
                context = await super().aget_context_data(**kwargs)
                step("await fetch_prices()")
                await asyncio.sleep(0)
                return context

            def get_context_object_name(self, *args: Any) -> Any:
                step("get_context_data()")
                return super().get_context_object_name(*args)

            def get_template_names(self) -> Any:
                step("render_to_response()")
                return super().get_template_names()

        response = await Shelf.as_view()(RequestFactory().get("/"))
        response.add_post_render_callback(lambda response: step("render()"))
        await sync_to_async(response.render)()
        return steps
