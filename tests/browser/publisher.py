"""
Publishes numbers, from 0, on both channels, from a process of its own.

It makes the table, prints "ready", begins at a line of its input and ends with its
input. Then it prints how many numbers it has published.
"""

import sys
import threading
import time

import django
from django.core.management import call_command

__all__ = ["main"]

SECONDS = 0.02


def main() -> None:
    django.setup()
    call_command("migrate", "async_cbv_channels", verbosity=0)
    from tests.browser.urls import postgres_channel, redis_channel

    print("ready", flush=True)
    sys.stdin.readline()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
    number = 0
    while not ended.is_set():
        redis_channel.publish("numbers", number)
        postgres_channel.publish("numbers", number)
        number += 1
        time.sleep(SECONDS)
    for channel in (redis_channel, postgres_channel):
        channel.publish("numbers", "end")
    print(number, flush=True)


if __name__ == "__main__":
    main()
