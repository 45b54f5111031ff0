"""Many requests at once, of which each meets another between two of its queries."""

from __future__ import annotations

import asyncio
import os

from tests.serve.driving import PATIENCE

__all__ = ["REQUESTS", "WORKERS", "Crowd"]

# CI runs few of them. The more there are, the rarer is what they find.
REQUESTS = int(os.environ.get("TEST_MIXUP_REQUESTS", "50"))
WORKERS = 4
# How many are served at once: more than there are workers.
AT_ONCE = 40


class Crowd:
    """Requests that wait for each other, two by two: each runs amid another."""

    def __init__(self):
        self.left = 0
        self.met = 0
        self._waiting = asyncio.Event()
        self._is_awaited = False

    async def meet(self):
        """Wait until another request is here too, if there is another."""
        self.met += 1
        if self._is_awaited or self.left < 2:
            self._go()
            return
        self._is_awaited = True
        async with asyncio.timeout(PATIENCE):
            await self._waiting.wait()

    def _go(self):
        self._waiting.set()
        self._waiting = asyncio.Event()
        self._is_awaited = False

    async def visit(self, count, begin):
        """Serve requests as `begin(number)` begins them; return their answers."""
        free = asyncio.Semaphore(AT_ONCE)
        self.left = count

        async def one(number):
            async with free:
                request = begin(number)
                await sent(request)
                self.left -= 1
                if self.left < 2:
                    self._go()
                # It may wait yet for the worker that it had, which another has.
                return await request.answer()

        return await asyncio.gather(*map(one, range(count)))


async def sent(request):
    """Wait for the last byte."""
    async with asyncio.timeout(PATIENCE):
        while not request.task.done():
            if request.sent and not is_more(request.sent[-1]):
                return
            request.news.clear()
            news = asyncio.ensure_future(request.news.wait())
            await asyncio.wait({news, request.task}, return_when="FIRST_COMPLETED")
            news.cancel()


def is_more(message):
    return message["type"] != "http.response.body" or message.get("more_body", False)
