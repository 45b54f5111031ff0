"""What the harness asks a server for: its inside, and requests that take their time.

All contenders serve these pages, in the same words.
"""

import asyncio
import dataclasses
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.csrf import csrf_exempt

from benchmarks.models import Book


def _kilobytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(memory.split()[1])


async def inside(request: HttpRequest) -> JsonResponse:
    """Count what a server may leak."""
    return JsonResponse(
        {
            "threads": threading.active_count(),
            "tasks": len(asyncio.all_tasks()),
            "kilobytes": _kilobytes(),
            "pool": _pool(),
        }
    )


def _pool() -> dict[str, Any] | None:
    module = sys.modules.get("benchmarks.serve.entry_point")
    if module is None:
        return None
    return dataclasses.asdict(module.application.pool.statistics())


async def idle(request: HttpRequest) -> StreamingHttpResponse:
    """Send one part, and then nothing until the client goes."""
    if "query" in request.GET:
        await Book.objects.aget(pk=1)
    return StreamingHttpResponse(_parts(), content_type="text/event-stream")


async def _parts() -> AsyncIterator[str]:
    yield "data: hello\n\n"
    await asyncio.get_running_loop().create_future()


def slow_query(request: HttpRequest) -> HttpResponse:
    """Keep the database busy, in a transaction, for as long as asked."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [float(request.GET["seconds"])])
    return HttpResponse("slept")


def slow(request: HttpRequest) -> HttpResponse:
    """Keep a thread busy with what nobody can interrupt."""
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("slept")


async def wait(request: HttpRequest, pk: int) -> HttpResponse:
    """Query, wait, and query again."""
    await Book.objects.aget(pk=pk)
    await asyncio.sleep(float(request.GET["seconds"]))
    book = await Book.objects.aget(pk=pk)
    return HttpResponse(book.title)


def large(request: HttpRequest) -> HttpResponseBase:
    """Send more than any socket takes at once."""
    book = Book.objects.get(pk=1)
    return HttpResponse(book.summary.encode().ljust(2_000_000, b"."))


async def large_stream(request: HttpRequest) -> StreamingHttpResponse:
    """Send as much from a cursor that is read while the client reads."""

    async def rows() -> AsyncIterator[bytes]:
        async for book in Book.objects.order_by("pk").aiterator(100):
            yield book.summary.encode().ljust(4_000, b".")

    return StreamingHttpResponse(rows())


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """Take a body, and query."""
    count = Book.objects.count()
    return HttpResponse(f"{len(request.body)} bytes, {count} books")
