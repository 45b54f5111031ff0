"""The sleep of a watchdog's thread: put off, ended, and freed."""

from __future__ import annotations

import threading
import time

import pytest

from django_async_cbv._blocking import sleeping
from django_async_cbv._blocking.sleeping import Sleep

LONG = 600.0


def has_timers():
    sleep = Sleep()
    try:
        return sleep._timer is not None
    finally:
        sleep.close()


@pytest.fixture(params=["a timer", "no timer"])
def sleep(request, monkeypatch):
    """Without a timer: as before Python 3.13, and on other systems than Linux."""
    if request.param == "no timer":
        monkeypatch.setattr(sleeping, "_new_timer", lambda: None)
    elif not has_timers():
        pytest.skip("Python 3.13 or later, on Linux: timers")
    sleep = Sleep()
    yield sleep
    sleep.close()


def test_it_wakes_in_time(sleep):
    begin = time.monotonic()
    assert sleep.sleep(0.001) is False
    assert begin + 0.001 <= sleep.until <= time.monotonic()
    assert sleep.sleep(0) is False


def test_it_is_ended_before_and_meanwhile(sleep):
    found = []
    thread = threading.Thread(target=lambda: found.append(sleep.sleep(LONG)))
    thread.start()
    sleep.end()
    # What has ended is not put off.
    sleep.put_off(LONG)
    thread.join()
    assert found == [True]


def test_it_is_freed_once(sleep):
    sleep.close()
    sleep.close()
    sleep.put_off(LONG)
    sleep.end()


@pytest.mark.skipif(not has_timers(), reason="Python 3.13 or later, on Linux: timers")
class TestPuttingOff:
    def test_the_thread_does_not_wake_meanwhile(self, monkeypatch):
        """The thread that puts it off has the last word."""
        sleep = Sleep()
        sets = []
        is_set = threading.Event()
        set_timer = sleeping._set_timer

        def noting(timer, seconds):
            set_timer(timer, seconds)
            sets.append(seconds)
            is_set.set()

        monkeypatch.setattr(sleeping, "_set_timer", noting)
        found = []
        thread = threading.Thread(target=lambda: found.append(sleep.sleep(LONG)))
        thread.start()
        is_set.wait()
        sleep.put_off(2 * LONG)
        assert sleep.until > time.monotonic() + LONG
        sleep.put_off(0)
        thread.join()
        sleep.close()
        assert found == [False]
        assert sets == [LONG, 2 * LONG, sleeping._AT_ONCE]

    def test_a_system_without_timers(self, monkeypatch):
        def fail(_):
            raise OSError

        monkeypatch.setattr(sleeping.os, "timerfd_create", fail)
        sleep = Sleep()
        assert sleep._timer is None
        assert sleep.sleep(0.001) is False
