"""Functions that import what they call themselves. None of them is run."""
# ruff: noqa: ASYNC251, I001

from __future__ import annotations

import asyncio
import time


def of_a_module():
    import httpx

    httpx.get("http://localhost/")


def by_another_name():
    import httpx as client

    client.get("http://localhost/")


def of_a_function():
    from time import sleep as nap

    nap(1)


def of_a_class():
    from httpx import Client

    with Client() as client:
        client.get("http://localhost/")


def of_a_submodule():
    import urllib.request

    urllib.request.urlopen("http://localhost/")


def of_a_submodule_from_its_package():
    from urllib import request as asked

    asked.urlopen("http://localhost/")


def relative():
    from . import services

    services.fetch()


def relative_to_a_module():
    from .services import fetch

    fetch()


async def in_async_code():
    from time import sleep

    sleep(1)


def not_there():
    import requests

    requests.get("http://localhost/")


def not_there_from():
    from requests import Session

    Session()


def not_there_in_parts():
    import requests.api

    requests.api.get("http://localhost/")


def other_than_the_global():
    from asyncio import sleep as time

    time.sleep(1)


def unknown():
    import nowhere.at.all as nothing
    from ....... import too_far
    from .never import get

    nothing.get(), too_far.get(), get()


async def in_a_thread():
    def inner():
        from time import sleep

        sleep(1)

    await asyncio.to_thread(inner)


def nothing():
    import math

    math.sqrt(1), time.monotonic()
