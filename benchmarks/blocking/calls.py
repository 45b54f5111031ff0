"""The ways to block an event loop, each for some seconds."""

import hashlib
import threading
import time

from django.db import connection

__all__ = ["KINDS"]


def sleep(seconds):
    time.sleep(seconds)


def compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(divmod(number, 7)[0] for number in range(100))


def hold_the_gil(seconds):
    sorted(range(int(seconds * _speed(_sort))), key=float)


def release_the_gil(seconds):
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", int(seconds * _speed(_hash)))


def query(seconds):
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [int(seconds * _speed(_query))])


_COUNT = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %s) "
    "SELECT count(*) FROM n"
)


def _sort(number):
    sorted(range(number), key=float)


def _hash(number):
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", number)


def _query(number):
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [number])


_speeds = {}


def _speed(work):
    """How much of a work this machine does in a second; measured by warm_up()."""
    return _speeds[work]


def warm_up():
    """Measure the speeds, in a thread whose time nobody looks at."""

    def measure():
        for work, number in ((_sort, 300_000), (_hash, 100_000), (_query, 200_000)):
            begin = time.thread_time()
            work(number)
            _speeds[work] = number / (time.thread_time() - begin)

    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()


KINDS = {
    "sleep": sleep,
    "compute": compute,
    "c-call": hold_the_gil,
    "c-call-without-gil": release_the_gil,
    "query": query,
}
