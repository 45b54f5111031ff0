"""End the streams of a process when its server stops, which waits for their end."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import functools
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import django
from django.core.exceptions import RequestAborted

__all__ = ["CutOff", "Leaver", "cuts_off", "end_streams"]

_SIGNALS = [
    number
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGBREAK")
    if (number := getattr(signal, name, None)) is not None
]

# Seconds that streams have to end when the process exits.
_AT_EXIT = 5.0
# Rounds of a loop, in which a server sends what the last of its streams has sent.
_ROUNDS = 20

# What is open on each loop. Changed by the loop's thread alone, and read by others.
_open: dict[asyncio.AbstractEventLoop, set[Leaver]] = {}
# Those whose server ends: what begins there ends at once.
_ending: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
# Those whose server was looked at.
_watched: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


class Leaver:
    """Something that is open for a client, and leaves when the server ends."""

    loop: asyncio.AbstractEventLoop
    # Between enter() and exit().
    is_open = False
    watches = True

    def enter(self, *, watches: bool = True) -> None:
        """
        Have this leave when the server ends; on the event loop.

        `watches`: hear of that by the signals that the server gets.
        """
        self.watches = watches
        loop = self.loop = asyncio.get_running_loop()
        if watches:
            _watch(loop)
        if threading.current_thread() is not threading.main_thread():
            _watch_exit(os.getpid())
        _open.setdefault(loop, set()).add(self)
        self.is_open = True
        if watches and loop in _ending:
            self.leave()

    def exit(self) -> None:
        """It is over; on the event loop. A second call does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        found = _open.get(self.loop)
        if found is not None:
            found.discard(self)
            if not found:
                del _open[self.loop]

    def leave(self) -> None:
        """Come to an end soon; on the event loop."""
        raise NotImplementedError


def end_streams() -> None:
    """
    End all streams and long polls of this process.

    Each stream sends its last bytes, and clients of server-sent events connect again
    after a random time. This package calls the function when your server gets SIGTERM,
    SIGINT or SIGQUIT. Call the function yourself if you run an event loop in another
    way, for example in a thread. New streams can start afterwards.

    Runs on:
        Any thread, also in a signal handler. The function does not wait.
    """
    _end(everything=True)


def _end(*, everything: bool) -> None:
    for loop in [*_open]:
        # One that is closed has no streams any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(
                _end_all, loop, everything, context=contextvars.Context()
            )


def _end_all(loop: asyncio.AbstractEventLoop, everything: bool) -> None:
    for one in [*_open.get(loop, ())]:
        if everything or one.watches:
            one.leave()


def _end_server(*_: Any) -> None:
    _ending.update([*_watched])
    # A server waits for the others itself.
    _end(everything=False)


def _watch(loop: asyncio.AbstractEventLoop) -> None:
    """Hear of the end of the server that runs this loop."""
    if threading.current_thread() is threading.main_thread():
        _chain_signals()
    if loop not in _watched:
        _watched.add(loop)
        _watch_hypercorn(loop)


class _Chained:
    """A signal handler that ends the streams, and then does what was done before."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, number: int, frame: Any) -> Any:
        _end_server()
        return self.before(number, frame)


def _chain_signals() -> None:
    for number in _SIGNALS:
        before = signal.getsignal(number)
        # Those of the system end the process at once, or do nothing.
        if callable(before) and not isinstance(before, _Chained):
            # Not in a subinterpreter.
            with contextlib.suppress(ValueError):
                signal.signal(number, _Chained(before))


@functools.cache
def _watch_exit(process: int) -> None:
    """
    Hear of the end of a process whose server runs in a daemon thread.

    That of `runserver` does: to reload, its main thread exits, and gets the signals.
    """
    # This comes before the executors end, in which a `finally` may call sync code. The
    # functions of `atexit` come after that.
    register = getattr(threading, "_register_atexit", atexit.register)
    # The process may exit already.
    with contextlib.suppress(RuntimeError):
        register(_end_at_exit, process)


def _end_at_exit(process: int) -> None:
    # A process that this one has forked has copies of the loops, which nobody runs.
    if os.getpid() != process:
        return
    loops = [loop for loop in [*_open] if loop.is_running()]
    _ending.update(loops)
    # Also those that a server would wait for: this process waits for nothing.
    end_streams()
    end = time.monotonic() + _AT_EXIT
    while time.monotonic() < end and any(map(_is_busy, loops)):
        time.sleep(0.01)
    for loop in loops:
        sent = threading.Event()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_pass_on, loop, sent, _ROUNDS)
            sent.wait(max(end - time.monotonic(), 0))


def _is_busy(loop: asyncio.AbstractEventLoop) -> bool:
    return loop in _open and loop.is_running()


def _pass_on(
    loop: asyncio.AbstractEventLoop, sent: threading.Event, rounds: int
) -> None:
    if rounds:
        loop.call_soon(_pass_on, loop, sent, rounds - 1)
    else:
        sent.set()


def _watch_hypercorn(loop: asyncio.AbstractEventLoop) -> None:
    """Hear of the event by which Hypercorn tells its processes to end, no signal."""
    if "hypercorn" not in sys.modules:
        return
    for task in asyncio.all_tasks(loop):
        code = getattr(task.get_coro(), "cr_code", None)
        if (
            code is not None
            and code.co_name == "raise_shutdown"
            and "hypercorn" in code.co_filename
        ):
            task.add_done_callback(_end_server)


if TYPE_CHECKING or django.VERSION >= (6, 1):
    CutOff = RequestAborted
else:
    # Until Django 6.0 goes: its own handler lets a RequestAborted from a response pass,
    # to the server's log, and neither closes the response nor the request's body.
    # It takes a CancelledError there for the end of the client.
    class CutOff(RequestAborted, asyncio.CancelledError):
        """Ends a response before its end, which has Django's handler clean up."""


def cuts_off() -> bool:
    """Whether the server closes the connection of a response that is not complete."""
    # Daphne leaves it open. It runs the loop by a reactor of Twisted's.
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    return not ("daphne.server" in sys.modules and getattr(reactor, "running", False))
