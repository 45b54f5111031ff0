"""What runs code as soon as somebody asks for an attribute of it."""

from __future__ import annotations

import asyncio
import functools
import time
import types

from django.utils.functional import SimpleLazyObject


def fail():
    raise AssertionError("The audit ran this")


class Meta(type):
    @property
    def __module__(cls):
        fail()


class WithMeta(metaclass=Meta):
    pass


class Module(types.ModuleType):
    def __getattribute__(self, name):
        fail()


class Anything:
    def __getattr__(self, name):
        fail()


config = SimpleLazyObject(fail)
lazy_module = Module("lazy")


def around_a_class():
    pass


around_a_class.__wrapped__ = WithMeta


def around_an_object():
    pass


around_an_object.__wrapped__ = functools.partial(print)


def cycle():
    pass


cycle.__wrapped__ = cycle


def reads_lazy():
    return config.get("x")


def calls_lazy():
    return config()


def reads_module():
    return lazy_module.get()


def makes():
    return WithMeta()


def wrapped():
    return around_a_class(), around_an_object(), cycle()


def shadowed(time):
    return time.sleep(1)


async def in_a_thread():
    def inner():
        time.sleep(1)

    await asyncio.to_thread(inner)
    await asyncio.to_thread(lambda: time.sleep(1))


anything = Anything()
