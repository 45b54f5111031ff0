"""The ASGI entry point of a project: `from django_async_cbv.asgi import ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django

from .core.executors import hold_worker, release_worker

if TYPE_CHECKING:
    from .serve.handler import Handler
    from .serve.pool import Release

__all__ = ["get_asgi_application", "hold_worker", "release_worker"]


def get_asgi_application(
    *,
    workers: int = 40,
    queue: int = 1000,
    queue_timeout: float = 30.0,
    release: Release = "between",
    sync_chain: bool = True,
) -> Handler:
    """
    Give the project's ASGI application, in the place of Django's function.

    `workers`: how many threads there are at most, each with connections of its own.
    `queue`: how many requests may wait for one; more are answered with status 503.
    `queue_timeout`: seconds that a request waits before it is answered with 503.
    `release`: when a request that waits for something else gives its worker back.
    `sync_chain`: whether requests whose view awaits nothing run in one worker, whole.
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
