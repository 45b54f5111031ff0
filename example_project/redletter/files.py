"""Static files and uploads, served by the site itself: one command is all it takes.

A site with visitors leaves both to its web server; here every ASGI server shall do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.staticfiles.views import serve as serve_static
from django.http import FileResponse
from django.views.decorators.http import require_safe
from django.views.static import serve as serve_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import IO

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


async def _chunks(file: IO[bytes], size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """`file`, `size` bytes at a time, each block read in a thread."""
    while chunk := await asyncio.to_thread(file.read, size):
        yield chunk


def _stream(response: HttpResponseBase) -> HttpResponseBase:
    """Let the server stream the file of `response` without blocking the event loop."""
    if isinstance(response, FileResponse):
        response.streaming_content = _chunks(response.file_to_stream)
    return response


@require_safe
async def static(request: HttpRequest, path: str) -> HttpResponseBase:
    """A file of an app's `static` folder, `path` below it. Looked up in a thread."""
    response = _stream(
        await asyncio.to_thread(serve_static, request, path, insecure=True)
    )
    response.headers["Cache-Control"] = "max-age=60"
    return response


@require_safe
async def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """An uploaded file, `path` below MEDIA_ROOT. Looked up in a thread."""
    root = str(settings.MEDIA_ROOT)
    return _stream(
        await asyncio.to_thread(serve_file, request, path, document_root=root)
    )
