"""How a thread sleeps until a time that another thread puts off."""

from __future__ import annotations

import os
import sys
import threading
import time

__all__ = ["Sleep"]

# The shortest time that a timer takes: 0 would stop it.
_AT_ONCE = 1e-6


class Sleep:
    """
    Has one thread sleep until a time, until other threads put it off, or end it.

    A thread that wakes takes the GIL from the thread that runs, and each release of
    the GIL until then wakes it once more. A timer of Linux is put off without a wake.
    Elsewhere, and before Python 3.13, nothing is put off, and the thread wakes.
    """

    def __init__(self) -> None:
        #: When the thread is to wake, by time.monotonic().
        self.until = 0.0
        self._lock = threading.Lock()
        self._is_ended = False
        self._timer = _new_timer()
        # A fork of the process has the timer too, and no thread that sleeps by it.
        self._pid = os.getpid()
        # Held while the thread is to go on.
        self._goes_on = threading.Lock()
        self._goes_on.acquire()

    def sleep(self, seconds: float) -> bool:
        """Sleep; return whether it was ended."""
        timer = self._timer
        if timer is None:
            self.until = time.monotonic() + seconds
            return self._goes_on.acquire(timeout=seconds)
        self._set(seconds)
        os.read(timer, 8)
        return self._is_ended

    def put_off(self, seconds: float) -> None:
        """Have the thread sleep for so long from now on, whatever it was told."""
        if self._timer is not None:
            self._set(seconds)

    def end(self) -> None:
        """Wake the thread for good; once."""
        self._is_ended = True
        self._set(0)
        self._goes_on.release()

    def close(self) -> None:
        """Free what it needs; the thread sleeps no more."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                os.close(timer)

    def _set(self, seconds: float) -> None:
        with self._lock:
            if self._timer is not None and self._pid == os.getpid():
                if self._is_ended:
                    seconds = 0
                self.until = time.monotonic() + seconds
                _set_timer(self._timer, max(seconds, _AT_ONCE))


if sys.platform == "linux" and sys.version_info >= (3, 13):

    def _new_timer() -> int | None:
        try:
            return os.timerfd_create(time.CLOCK_MONOTONIC)
        except OSError:
            # The process has too many files, or a sandbox has no timers.
            return None

    def _set_timer(timer: int, seconds: float) -> None:
        os.timerfd_settime(timer, initial=seconds)

else:

    def _new_timer() -> int | None:
        return None

    def _set_timer(timer: int, seconds: float) -> None:
        raise NotImplementedError
