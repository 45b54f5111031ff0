"""Pages that block the event loop, and pages that only make it late."""

import asyncio
import gc
import json
import logging
import os
import threading
from pathlib import Path

from asgiref.sync import markcoroutinefunction
from django import forms
from django.http import HttpResponse
from django.urls import path

from benchmarks.blocking import calls
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncFormView, AsyncTemplateView, AsyncView

SECONDS = 3 * float(os.environ.get("BLOCKING_THRESHOLD", "0.1"))


class ToFile(logging.Handler):
    """Writes what the detector says to a file, for the one who has asked."""

    def emit(self, record):
        names = ("kind", "view", "hook", "route", "file", "line", "duration")
        facts = {name: getattr(record, name, None) for name in names}
        facts |= {"level": record.levelname, "text": record.getMessage()}
        with Path(os.environ["BLOCKING_LOG"]).open("a") as file:
            file.write(json.dumps(facts) + "\n")


class Blocks:
    """A middleware that blocks."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response):
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request):
        if request.path.startswith("/middleware/"):
            calls.KINDS[request.path.split("/")[2]](SECONDS)
        return await self.get_response(request)


class Hook(AsyncTemplateView):
    async def aget_context_data(self, **kwargs):
        calls.KINDS[self.kwargs["kind"]](SECONDS)
        return await super().aget_context_data(**kwargs)

    async def arender_to_response(self, context, **kwargs):
        return HttpResponse("done")


class Method(AsyncView):
    async def get(self, request, kind):
        calls.KINDS[kind](SECONDS)
        return HttpResponse("done")


class Middleware(AsyncView):
    async def get(self, request, kind):
        return HttpResponse("done")


class Form(forms.Form):
    async def aclean(self):
        calls.KINDS[self.data["kind"]](SECONDS)


class Validation(AsyncFormView):
    form_class = Form

    async def aform_valid(self, form):
        return HttpResponse("done")


class Plain(AsyncView):
    async def get(self, request):
        await asyncio.sleep(0)
        return HttpResponse("done")


class Threads(AsyncView):
    """Has threads use the processor until the next request."""

    ends = threading.Event()

    async def get(self, request, number):
        self.ends.set()
        ends = Threads.ends = threading.Event()
        for index in range(number):
            threading.Thread(
                target=self.numbers if index % 2 else self.sorts,
                args=(ends,),
                daemon=True,
            ).start()
        return HttpResponse("done")

    @staticmethod
    def numbers(ends):
        number = 0
        while not ends.is_set():
            number += 1

    @staticmethod
    def sorts(ends):
        while not ends.is_set():
            sorted(range(20_000), key=float)


class Garbage(AsyncView):
    """Has two million objects, and collects them in a worker thread and here."""

    objects: list = []

    async def get(self, request):
        if not Garbage.objects:
            await run_sync(self.make)
        await run_sync(gc.collect)
        gc.collect()
        return HttpResponse("done")

    def make(self):
        while len(Garbage.objects) < 2_000_000:
            Garbage.objects.append([])


class WarmUp(AsyncView):
    async def get(self, request):
        await run_sync(calls.warm_up)
        if "DJANGO_ALLOW_ASYNC_UNSAFE" in os.environ:
            calls._query(1)
        return HttpResponse("done")


urlpatterns = [
    path("hook/<str:kind>/", Hook.as_view()),
    path("handler/<str:kind>/", Method.as_view()),
    path("middleware/<str:kind>/", Middleware.as_view()),
    path("validation/<str:kind>/", Validation.as_view()),
    path("plain/", Plain.as_view()),
    path("threads/<int:number>/", Threads.as_view()),
    path("garbage/", Garbage.as_view()),
    path("warm-up/", WarmUp.as_view()),
]
