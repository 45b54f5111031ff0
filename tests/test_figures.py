"""The figures of the documentation show what was measured, and what runs."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import render
from django.test import RequestFactory, TestCase
from django.views import View

from benchmarks import contenders, figures, report
from django_async_cbv.views import AsyncListView
from tests.app.models import Book
from tests.hops import count_hops

LOOP, WORKER = "event loop", "worker thread"
NAMES = ("get_context_data", "aget_context_data")


ROOT = Path(__file__).parent.parent


def compare(name: str, made: str) -> None:
    """Made anew with FIGURES=write in the environment."""
    path = figures.FOLDER / name
    if os.environ.get("FIGURES") == "write":
        path.write_text(made, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == made


@pytest.mark.parametrize("name", figures.MEASURED)
def test_a_figure_shows_what_was_measured(name):
    source, make = figures.MEASURED[name]
    compare(name, make(figures.results_of(source)))


def test_a_figure_is_on_a_page():
    text = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    files = [path.name for path in figures.FOLDER.iterdir()]
    assert files
    assert [name for name in files if f"figures/{name}" not in text] == []


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/comparison.md"])
def test_a_page_says_what_the_views_cost(page):
    ratios = [
        f"{row.ratio:.3f}"
        for name in ("sqlite3", "detail-25-rounds")
        for samples in figures.results_of(name)["samples"].values()
        for row in report.rows(samples)
        if row.key == contenders.OURS
    ]
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    if page == "docs/comparison.md":
        assert f"has a ratio of {ratios[-1]}." in text
    else:
        assert f"answers {min(ratios)} to {max(ratios)} times as many requests" in text


def test_the_page_on_hops_says_what_they_cost():
    text = (ROOT / "docs" / "explanation" / "hops.md").read_text(encoding="utf-8")
    plain = figures.results_of("serve-sqlite3-age60")["samples"]["plain"]
    for key, words in (("stock", "takes {:.1f} ms"), ("ours", "and takes {:.1f} ms")):
        time = median(one["processor_ms"] for one in plain[key])
        assert words.format(time) in " ".join(text.split())


class TestTwoViews(TestCase):
    def test_the_bars_are_the_hops_of_two_views(self):
        class ByHand(View):
            async def get(self, request):
                books = [book async for book in Book.objects.order_by("pk")]
                total = await Book.objects.acount()
                first = await Book.objects.afirst()
                context = {"object_list": books, "total": total, "first": first}
                return await sync_to_async(render)(request, "page.html", context)

        class Shelf(AsyncListView):
            model = Book
            template_name = "page.html"
            ordering = "pk"

            def get_context_data(self, **kwargs):
                total, first = Book.objects.count(), Book.objects.first()
                return super().get_context_data(total=total, first=first, **kwargs)

        rows = [
            ("a view by hand, with an await for each query", self.hops(ByHand)),
            ("a view of this package", self.hops(Shelf)),
        ]
        compare("hops.svg", figures.bars_of("Hops of one page", rows))

    def hops(self, view):
        async def respond():
            with count_hops() as hops:
                response = await view.as_view()(RequestFactory().get("/"))
                if not getattr(response, "is_rendered", True):
                    await sync_to_async(response.render)()
            return hops.count

        return async_to_sync(respond)()


def test_the_bars_are_the_connections_of_the_page_on_sizing():
    page = ROOT / "docs" / "how-to" / "deploy" / "sizing.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    requests, processes, threads = 100, 4, 20
    allowed = 100 - 3
    for words in (
        f"So {requests} requests are in flight.",
        "The example has four cores, so each of four processes has 25 requests",
        "PostgreSQL allows 100 connections if you do not change `max_connections`, and "
        "reserves 3 of them.",
        f"That is {threads} for each process.",
    ):
        assert words in text
    rows = [
        ("Django's ASGI handler", requests),
        ("Django's ASGI handler with a pool", processes * threads),
        ("the entry point of this package", processes * threads),
    ]
    limit = (f"PostgreSQL allows {allowed}", allowed)
    compare("sizing.svg", figures.bars_of("Connections", rows, limit))


def test_the_order_is_that_of_a_class_that_is_refused():
    class PricesMixin:
        async def aget_context_data(self, **kwargs):
            return await super().aget_context_data(**kwargs)

    class TotalMixin:
        def get_context_data(self, **kwargs):
            return super().get_context_data(**kwargs)

    class BookList(TotalMixin, PricesMixin, AsyncListView):
        model = Book

    with pytest.raises(ImproperlyConfigured, match=r"async_cbv\.E003"):
        BookList.as_view()

    end = BookList.__mro__.index(AsyncListView)
    groups = [*((one,) for one in BookList.__mro__[1:end]), BookList.__mro__[end:]]
    rows = [
        (
            group[0].__name__,
            *(any(name in vars(one) for one in group) for name in NAMES),
        )
        for group in groups
    ]
    names = [f"{name}()" for name in NAMES]
    compare("mro.svg", figures.order("The order of the classes", names, rows))


class TestOneRequest(TestCase):
    def test_the_lanes_are_those_of_a_request(self):
        steps = async_to_sync(self.steps)()
        compare("request.svg", figures.lanes("One request", [LOOP, WORKER], steps))

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
        step("the view returns")
        response.add_post_render_callback(lambda response: step("render()"))
        await sync_to_async(response.render)()
        return steps
