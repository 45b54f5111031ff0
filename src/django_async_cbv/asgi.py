"""The ASGI entry point of a project: `from django_async_cbv.asgi import ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django

from .core.executors import hold_worker, release_worker
from .serve.pool import Release, Statistics

if TYPE_CHECKING:
    from .serve.handler import Handler

__all__ = ["Statistics", "get_asgi_application", "hold_worker", "release_worker"]


def get_asgi_application(
    *,
    workers: int = 40,
    queue: int = 1000,
    queue_timeout: float = 30.0,
    release: Release = "between",
    sync_chain: bool = True,
) -> Handler:
    """
    Return the ASGI application of the project, in place of Django's function.

    A request whose view awaits nothing runs in one worker thread, in one hop. Other
    requests go through Django's async handler.

    Args:
        workers: How many worker threads a process has at most. Each thread has
            its own database connections.
        queue: How many requests may wait for a worker thread. Further requests
            get status 503.
        queue_timeout: After how many seconds in the queue a request gets status
            503.
        release: When a request gives its worker thread back while it awaits.
            "between": if only code of Django has run there. "request": at its end.
            "always": whatever has run there.
        sync_chain: Whether a request whose view awaits nothing runs in one hop.
            If so, each middleware has two instances.

    Returns:
        The application, whose `statistics()` tells what the worker threads do.

    Raises:
        ImproperlyConfigured: If an option is not of its type, if there is no worker
            thread, or if a setting of the detector is wrong.

    Runs on:
        The caller's thread, when the server imports your ASGI module. No hop.
    """
    django.setup(set_prefix=False)
    # Not before: middleware of contrib apps is imported with it.
    from .serve.handler import Handler  # noqa: PLC0415

    return Handler(
        workers=workers,
        queue=queue,
        queue_timeout=queue_timeout,
        release=release,
        sync_chain=sync_chain,
    )
