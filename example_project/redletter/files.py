"""Static files and uploads, served by the site itself: one command is all it takes.

A site with visitors leaves both to its web server; here every ASGI server shall do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.staticfiles.views import serve as serve_static
from django.core.exceptions import SuspiciousFileOperation
from django.http import FileResponse, Http404
from django.views.decorators.http import require_safe
from django.views.static import serve as serve_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import IO, Any

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


async def _chunks(file: IO[bytes], size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """`file`, `size` bytes at a time, each block read in a thread."""
    while chunk := await asyncio.to_thread(file.read, size):
        yield chunk


async def _streamed(
    serve: Callable[..., HttpResponseBase], request: HttpRequest, **options: Any
) -> HttpResponseBase:
    """What Django's view `serve` answers, found in a thread, streamed from there.

    Raises Http404 for a path that leads out of its folder, too.
    """
    try:
        response = await asyncio.to_thread(serve, request, **options)
    except SuspiciousFileOperation:
        raise Http404("There is nothing outside.") from None
    if isinstance(response, FileResponse) and response.file_to_stream:
        response.streaming_content = _chunks(response.file_to_stream)
    return response


@require_safe
async def static(request: HttpRequest, path: str) -> HttpResponseBase:
    """A file of an app's `static` folder, `path` below it."""
    response = await _streamed(serve_static, request, path=path, insecure=True)
    response.headers["Cache-Control"] = "max-age=60"
    return response


@require_safe
async def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """An uploaded file, `path` below MEDIA_ROOT."""
    root = str(settings.MEDIA_ROOT)
    return await _streamed(serve_file, request, path=path, document_root=root)
