"""A channel that was made, and used, before its process forked."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest

import pytest

from tests.brokers import RedisUnavailable, own_redis

# In a process of its own: the one that runs the tests has threads.
SCRIPT = """
import asyncio, os, sys

from django_async_cbv.channels import LocalChannel, Reset
from django_async_cbv.channels.redis import RedisChannel

local, redis = LocalChannel(), RedisChannel(sys.argv[1])


async def visit(channel, topic, since=None):
    async with channel.subscribe("a", topic, since=since) as messages:
        found = await anext(messages) if since else None
        given = channel.publish(topic, 1)
        message = await anext(messages)
        assert (message.id, message.topic) == (given, topic), message
        return found


last = {}
for channel in (local, redis):
    asyncio.run(visit(channel, "before"))
    last[channel] = channel.publish("a", "seen")
    channel.publish("a", "missed")
child = os.fork()
who = "parent" if child else "child"
found = asyncio.run(visit(redis, who, last[redis]))
assert found.data == "missed", found
found = asyncio.run(visit(local, who, last[local]))
# The ids of a LocalChannel are those of one process.
assert found.data == "missed" if child else isinstance(found, Reset), found
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.server
class TestFork(unittest.TestCase):
    def test_both_processes_go_on(self):
        try:
            _, url = self.enterContext(own_redis())
        except RedisUnavailable as reason:
            self.skipTest(f"Redis: {reason}")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, url],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr
