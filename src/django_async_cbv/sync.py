"""Run sync code from the event loop, and wait for async code in a worker thread."""

from .core.threads import iterate, run_sync, to_async, wait_for

__all__ = ["iterate", "run_sync", "to_async", "wait_for"]
