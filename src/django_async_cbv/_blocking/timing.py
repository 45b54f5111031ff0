"""Tell a browser where the time of a request went: the header `Server-Timing`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ..trace import Recording, keep_installed
from .watchdog import log_once

__all__ = ["Timing", "Timings"]

_HEADER = "Server-Timing"


class Timings:
    """Decides which requests are timed; `decides` is a function of the request."""

    def __init__(self, decides: Callable[[Any], object]) -> None:
        self._decides = decides
        #: Ends it, once.
        self.end = keep_installed()

    def begin(self, request: Any) -> Timing | None:
        """Begin to time a request in this context, if it is to be timed."""
        if "_async_cbv_timing" in vars(request):
            # The entry point measures this request, outside of the middleware.
            return None
        try:
            if not self._decides(request):
                return None
        except Exception as error:  # noqa: BLE001 - no request is to fail by it
            log_once(
                Timings, error, "ASYNC_CBV_SERVER_TIMING failed. No header was added"
            )
            return None
        request._async_cbv_timing = timing = Timing()
        return timing


class Timing:
    """Where the time of one request goes."""

    def __init__(self) -> None:
        self._recording = Recording()
        self._recording.start()
        self._began = time.perf_counter()

    def end(self, response: Any) -> None:
        """Add the header to the response, which has not started yet."""
        now = time.perf_counter()
        self.stop()
        metrics = _metrics(self._recording, self._began, now)
        before = response.headers.get(_HEADER)
        response.headers[_HEADER] = f"{before}, {metrics}" if before else metrics

    def stop(self) -> None:
        """End without a response."""
        self._recording.stop()


def _metrics(recording: Recording, began: float, now: float) -> str:
    hops = recording.hops
    wait = sum((now if one.begun is None else one.begun) - one.asked for one in hops)
    run = sum(
        (now if one.ended is None else one.ended) - one.begun
        for one in hops
        if one.begun is not None
    )
    held = sum(
        now - one.began if one.seconds is None else one.seconds
        for one in recording.held
    )
    away = _union((one.asked, one.resumed or now) for one in hops)
    loop = max(0.0, now - began - away)
    return (
        f'hops;desc="{len(hops)}";dur={_ms(wait + run)}, wait;dur={_ms(wait)}, '
        f"run;dur={_ms(run)}, held;dur={_ms(held)}, loop;dur={_ms(loop)}"
    )


def _union(spans: Iterable[tuple[float, float]]) -> float:
    """The time that spans cover, once where they overlap."""
    covered = 0.0
    last = 0.0
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, last))
        last = max(last, end)
    return covered


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}".removesuffix(".0")
