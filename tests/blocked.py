"""What the page on the detector uses: what is logged of a view, and the headers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.test import override_settings
from django.urls import path

from tests.serve.driving import serving

__all__ = ["logs_of", "served"]


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def logs_of(view: Any, where: str, *, attempts: int = 10) -> list[logging.LogRecord]:
    """
    Return the warnings of one request of a view.

    There are none if other processes had the processor: then there is a next attempt.
    """
    logger = logging.getLogger("django_async_cbv.blocking")
    handler = _Records()
    logger.addHandler(handler)
    found: list[logging.LogRecord] = []
    try:
        while attempts and not found:
            attempts -= 1
            with override_settings(ASYNC_CBV_BLOCKING={"threshold": 0.1}):
                served(view, where)
            found = [one for one in handler.records if one.levelname == "WARNING"]
    finally:
        logger.removeHandler(handler)
    return found


def served(
    view: Any, where: str, headers: dict[str, str] | None = None
) -> dict[str, str]:
    """Return the headers with which the ASGI application answers a request."""
    asked = [
        (name.lower().encode(), value.encode())
        for name, value in (headers or {}).items()
    ]

    async def main() -> Any:
        async with serving(urls=[path(where.lstrip("/"), view.as_view())]) as client:
            response = await client.get(where, headers=asked)
            if client.app.timings is not None:
                client.app.timings.end()
        assert response.status == 200
        return response.headers

    return asyncio.run(main())
