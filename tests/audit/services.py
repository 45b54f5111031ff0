"""Functions that call services, as a project has them in a module of its own."""

import subprocess
import time
from time import sleep
from urllib import request

import httpx

from tests.hops import count_hops


def fetch():
    return httpx.get("http://localhost/")


def fetch_by_client():
    with httpx.Client() as client:
        return client.get("http://localhost/")


def fetch_again():
    fetch_again()
    return request.urlopen("http://localhost/")


async def pause():
    sleep(1)  # noqa: ASYNC251 - this is to be found


def compute():
    return sum(range(10)), count_hops, subprocess.PIPE, time.monotonic()
