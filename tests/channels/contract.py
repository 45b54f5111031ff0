"""What each channel has to do, whatever carries its messages."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import sync_to_async
from django.core.serializers.json import DjangoJSONEncoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_async_cbv.channels import Message, Reset
from tests.faults.stops import Stop, counting_tasks

__all__ = ["GARBAGE", "Contract", "take", "until"]

PATIENCE = 30
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)
GARBAGE = [
    "",
    "x",
    "0",
    "-",
    "0-0",
    "1-1-00000000",
    "0-0-00000000",
    "99999999999999999999-99999999999999999999-00000000",
    "9" * 255,
    # Digits that are not ASCII.
    "\N{ARABIC-INDIC DIGIT ONE}-\N{ARABIC-INDIC DIGIT TWO}-00000000",
    "0" * 32,
    "f" * 32,
    "\x00",
    "\ud800",
    "١-١",  # noqa: RUF001
    "'; DROP TABLE x; --",
    "💥",
]
# More suspensions than a subscription has.
MOST = 60
EXAMPLES = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors],
)


async def take(subscriber, number):
    """The next messages."""
    async with asyncio.timeout(PATIENCE):
        return [await anext(subscriber) for _ in range(number)]


async def until(condition):
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def in_threads(*functions):
    """Call sync functions, each in a thread of its own, at the same time."""
    pool = ThreadPoolExecutor(len(functions))
    loop = asyncio.get_running_loop()
    try:
        await asyncio.gather(*(loop.run_in_executor(pool, one) for one in functions))
    finally:
        # To wait for its threads would block the loop.
        await asyncio.to_thread(pool.shutdown)


class Contract:
    """
    Mixed into a TestCase that has two methods more.

    `channel(**options)` makes one that has no messages yet, `shorten(channel)` takes
    all but the newest few from its history.
    """

    def publish(self, channel, *arguments, **named):
        """Publish from a thread that is nobody's worker, and tidy up after it."""
        return channel.publish(*arguments, **named)

    async def apublish(self, channel, *arguments, **named):
        return await sync_to_async(self.publish)(channel, *arguments, **named)

    def is_idle(self, channel):
        """Whether nothing is left of any subscriber."""
        return not channel._readers._readers

    async def lose_connections(self, channel, meanwhile):
        """Do something while the channel's readers have lost their connections."""
        [reader] = channel._readers._readers.values()
        connect = reader._connect
        back = asyncio.Event()

        async def connect_later():
            await back.wait()
            return await connect()

        reader._connect = connect_later
        with self.assertLogs("django_async_cbv.channels", "INFO") as logs:
            await sync_to_async(self.kill_readers)()
            await until(lambda: reader._outage._parts)
            await meanwhile()
            back.set()
        assert len(logs.output) == 1

    def publish_many(self, channel, topic, data, **named):
        """Publish one after the other, in any thread."""
        return [channel.publish(topic, one, **named) for one in data]

    async def publish_all(self, channel, topic, data):
        return await sync_to_async(self.publish_many)(channel, topic, data)

    # --- messages ----------------------------------------------------------------

    async def test_a_message_reaches_all_who_subscribe_to_its_topic(self):
        channel = self.channel()
        async with (
            channel.subscribe("a") as one,
            channel.subscribe("b") as other,
            channel.subscribe("a", "b", "a") as both,
        ):
            first = await self.apublish(channel, "a", 1)
            second = await self.apublish(channel, "b", {"x": [2]}, event="news")
            [at_one], [at_other] = await take(one, 1), await take(other, 1)
            assert at_one == Message(first, "a", 1)
            assert at_other == Message(second, "b", {"x": [2]}, "news")
            # The same objects: what is made of them is made once.
            assert [*map(id, await take(both, 2))] == [id(at_one), id(at_other)]
        assert self.is_idle(channel)

    async def test_apublish_gives_the_id_too(self):
        channel = self.channel()
        async with channel.subscribe("a") as messages:
            given = await channel.apublish("a", None, event="e")
            assert await take(messages, 1) == [Message(given, "a", None, "e")]

    async def test_channels_do_not_mix(self):
        one, other = self.channel(), self.channel()
        async with one.subscribe("a") as at_one, other.subscribe("a") as at_other:
            await self.apublish(other, "a", "other")
            await self.apublish(one, "a", "one")
            assert [m.data for m in await take(at_one, 1)] == ["one"]
            assert [m.data for m in await take(at_other, 1)] == ["other"]

    def test_data_are_what_json_makes_of_them(self):
        channel = self.channel()

        @EXAMPLES
        @given(
            st.lists(JSON, min_size=1, max_size=4), st.sampled_from([None, "e", "ü"])
        )
        def check(data, event):
            async def main():
                async with channel.subscribe("tópic 💬") as messages:
                    await asyncio.to_thread(
                        self.publish_many, channel, "tópic 💬", data, event=event
                    )
                    found = await take(messages, len(data))
                as_json = json.loads(json.dumps(data, cls=DjangoJSONEncoder))
                assert [one.data for one in found] == as_json
                assert {one.event for one in found} == {event}

            self.run_apart(main)

        check()

    def run_apart(self, main):
        """Run it on a loop of its own, where publishing may block."""
        thread = ThreadPoolExecutor(1)
        with thread:
            thread.submit(asyncio.run, main()).result()

    def test_what_no_subscriber_could_get_is_refused(self):
        channel = self.channel()
        for name in ("", "\0", "a\nb", "\ud800", "x" * 201):
            with self.assertRaisesRegex(ValueError, "topic"):
                channel.publish(name, 1)
            with self.assertRaisesRegex(ValueError, "topic"):
                channel.subscribe(name)
            with self.assertRaisesRegex(ValueError, "event"):
                channel.publish("a", 1, event=name)
        with self.assertRaisesRegex(TypeError, "topic"):
            channel.publish(None, 1)
        with self.assertRaisesRegex(TypeError, "got no topic"):
            channel.subscribe()
        # No browser reads them.
        with self.assertRaises(ValueError):
            channel.publish("a", float("nan"))
        with self.assertRaises(TypeError):
            channel.publish("a", object())

    # --- resuming ----------------------------------------------------------------

    async def test_who_resumes_gets_the_rest_once(self):
        channel = self.channel(buffer=5)
        ids = await self.publish_all(channel, "a", range(8))
        await self.apublish(channel, "b", "other")
        for n, since in enumerate(ids):
            async with channel.subscribe("a", since=since) as messages:
                live = await self.apublish(channel, "a", "live")
                found = await take(messages, 8 - n + len(ids[:n]))
                expected = [*ids[n + 1 :], *getattr(self, "_live", []), live]
                assert [one.id for one in found] == expected
                self._live = [*getattr(self, "_live", []), live]

    async def test_who_resumes_while_others_have_subscribed(self):
        # Their reader still has the newest messages: a small buffer, so not all.
        channel = self.channel(buffer=3)
        async with channel.subscribe("a", "b") as other:
            ids = []
            for n in range(8):
                ids.append(await self.apublish(channel, "a" if n % 2 else "b", n))
                await take(other, 1)
            for n, since in enumerate(ids):
                async with channel.subscribe("a", since=since) as messages:
                    expected = [m for m in range(n + 1, 8) if m % 2]
                    found = await take(messages, len(expected))
                    assert [one.data for one in found] == expected

    async def test_history_and_present_meet_without_a_gap(self):
        """Messages come all the time; who resumes from anywhere gets each once."""
        channel = self.channel(buffer=1000)
        total = 150
        first = await self.apublish(channel, "a", -1)

        def write():
            self.publish_many(channel, "a", range(total))

        writing = asyncio.create_task(in_threads(write))

        async def follow():
            since, found = first, []
            while len(found) < total:
                async with channel.subscribe("a", since=since) as messages:
                    # One after the other comes back, each time from where it was.
                    found += await take(messages, min(7, total - len(found)))
                    since = found[-1].id
            return [one.data for one in found]

        results = await asyncio.gather(*(follow() for _ in range(5)))
        await writing
        assert results == [[*range(total)]] * 5
        assert self.is_idle(channel)

    async def test_an_unknown_id_gives_a_reset_and_the_present(self):
        channel, other = self.channel(), self.channel()
        known = await self.apublish(channel, "a", "old")
        theirs = await self.apublish(other, "a", "of another channel")
        cut = [known[:-1], "0" + known, known.upper() + "X", " " + known]
        for since in [*GARBAGE, theirs, *cut]:
            async with channel.subscribe("a", since=since) as messages:
                assert await take(messages, 1) == [Reset()], since
                given = await self.apublish(channel, "a", since.isascii())
                [message] = await take(messages, 1)
                assert message.id == given, since

    def test_no_text_is_taken_for_an_id(self):
        channel = self.channel()
        self.publish(channel, "a", 1)

        @EXAMPLES
        @given(
            st.text(max_size=255)
            | st.from_regex(r"[0-9a-f]{1,20}(-[0-9a-f]{1,20}){0,2}", fullmatch=True)
        )
        def check(since):
            async def main():
                async with channel.subscribe("a", since=since) as messages:
                    assert await take(messages, 1) == [Reset()]

            self.run_apart(main)

        check()

    async def test_an_id_that_the_history_has_no_more_gives_a_reset(self):
        channel = self.channel(length=4)
        ids = await self.publish_all(channel, "a", range(6))
        await sync_to_async(self.shorten)(channel)
        async with channel.subscribe("a", since=ids[0]) as messages:
            assert await take(messages, 1) == [Reset()]
            await self.apublish(channel, "a", "present")
            assert [one.data for one in await take(messages, 1)] == ["present"]
        async with channel.subscribe("a", since=ids[-1]) as messages:
            assert [one.data for one in await take(messages, 1)] == ["present"]

    async def test_the_cursor_resumes_from_each_point(self):
        """Before the first message, after each, and after a reset."""
        channel = self.channel()
        known = await self.apublish(channel, "a", "old")
        async with channel.subscribe("a") as messages:
            cursors = [messages.cursor]
            for n in range(2):
                given = await self.apublish(channel, "a", n)
                await take(messages, 1)
                assert messages.cursor == given
                cursors.append(given)
        await self.apublish(channel, "b", "other")
        last = await self.apublish(channel, "a", 2)
        for n, since in enumerate(cursors):
            async with channel.subscribe("a", since=since) as messages:
                assert messages.cursor == since
                found = await take(messages, 3 - n)
                assert [one.data for one in found] == [*range(n, 3)]
                assert messages.cursor == last
        for since, first in ((known, []), ("garbage", [Reset()])):
            async with channel.subscribe("b", since=since) as messages:
                found = await take(messages, 1)
                assert found == first or found[0].data == "other"
                cursor = messages.cursor
            given = await self.apublish(channel, "b", "other")
            async with channel.subscribe("b", since=cursor) as messages:
                assert [one.id for one in await take(messages, 1)] == [given]

    async def test_a_subscription_has_no_cursor_before_it_begins(self):
        messages = self.channel().subscribe("a", since="garbage")
        assert messages.cursor is None
        await messages.aclose()

    # --- slow subscribers --------------------------------------------------------

    async def test_a_slow_subscriber_is_dropped_and_resumes(self):
        channel = self.channel(buffer=3, slow="drop")
        slow = channel.subscribe("a")
        async with slow, channel.subscribe("a") as quick:
            for n in range(10):
                await self.apublish(channel, "a", n)
                await take(quick, 1)
            found = [one async for one in slow]
            assert [one.data for one in found] == [0, 1, 2]
            assert slow.dropped
            assert not quick.dropped
            async with channel.subscribe("a", since=found[-1].id) as messages:
                rest = await take(messages, 7)
                assert [one.data for one in rest] == [*range(3, 10)]
        assert self.is_idle(channel)

    async def test_a_slow_subscriber_skips_the_oldest(self):
        channel = self.channel(buffer=3, slow="skip")
        async with channel.subscribe("a") as slow, channel.subscribe("a") as quick:
            for n in range(10):
                await self.apublish(channel, "a", n)
                await take(quick, 1)
            assert [one.data for one in await take(slow, 3)] == [7, 8, 9]
            assert (slow.skipped, quick.skipped) == (7, 0)
            assert not slow.dropped

    async def test_a_burst_drops_nobody_who_reads(self):
        channel = self.channel(buffer=10)
        async with channel.subscribe("a") as messages:
            reading = asyncio.create_task(take(messages, 100))
            await in_threads(lambda: self.publish_many(channel, "a", range(100)))
            assert [one.data for one in await reading] == [*range(100)]

    # --- ends --------------------------------------------------------------------

    async def test_cancelled_at_each_await(self):
        channel = self.channel()
        since = await self.apublish(channel, "a", "first")
        await self.apublish(channel, "a", "second")
        loop = asyncio.get_running_loop()
        before, task = asyncio.all_tasks(), None
        loop.set_task_factory(counting_tasks)
        # Somebody else stays, or nobody does.
        for others in (0, 1):
            for late in (False, True):
                for n in range(1, MOST):
                    async with contextlib.AsyncExitStack() as stack:
                        for _ in range(others):
                            await stack.enter_async_context(channel.subscribe("a"))
                        stop = Stop(n, lambda: task.cancel(), late=late)  # noqa: PLW0108

                        async def visit():
                            async with channel.subscribe("a", since=since) as messages:
                                assert [
                                    one.data for one in await take(messages, 1)
                                ] == ["second"]

                        async def watched(stop):
                            nonlocal task
                            stop.watch()
                            # A task of its own: this one goes on.
                            task = asyncio.create_task(visit())

                        await asyncio.create_task(watched(stop))
                        await asyncio.wait({task})
                        if not task.cancelled():
                            await task
                        if others:
                            [reader] = [*map(self.mailboxes, [channel])]
                            assert reader == 1
                    assert self.is_idle(channel), (n, late)
                    if not stop.fired:
                        break
                else:
                    raise AssertionError("MOST is too small.")
        loop.set_task_factory(None)
        assert asyncio.all_tasks() == before

    def mailboxes(self, channel):
        """How many subscribers the running loop has."""
        [reader] = channel._readers._readers.values()
        return len([*reader.fanout._all()])

    async def test_a_second_cancellation_cuts_nothing_short(self):
        channel = self.channel()
        messages = channel.subscribe("a")
        await messages.__aenter__()
        closing = asyncio.create_task(messages.aclose())
        await asyncio.sleep(0)
        while not closing.done():
            closing.cancel()
            await asyncio.sleep(0)
        assert self.is_idle(channel)
        assert len(asyncio.all_tasks()) == 1

    async def test_who_waits_ends_when_another_task_closes(self):
        channel = self.channel()
        messages = channel.subscribe("a")
        await messages.__aenter__()
        waiting = asyncio.create_task(take_all(messages))
        await asyncio.sleep(0)
        await messages.aclose()
        await messages.aclose()
        assert await waiting == []
        assert self.is_idle(channel)
        assert await take_all(messages) == []

    async def test_who_begins_ends_when_another_task_closes(self):
        channel = self.channel()
        async with channel.subscribe("a"):
            messages = channel.subscribe("a")
            beginning = asyncio.create_task(take_all(messages))
            await asyncio.sleep(0)
            await messages.aclose()
            assert await beginning == []
        assert self.is_idle(channel)

    async def test_a_cancelled_wait_loses_nothing(self):
        channel = self.channel()
        async with channel.subscribe("a") as messages:
            for n in range(5):
                waiting = asyncio.ensure_future(anext(messages))
                await asyncio.sleep(0)
                await self.apublish(channel, "a", n)
                # Cancelled in the very turn in which the message arrives, or before.
                waiting.cancel()
                try:
                    found = await waiting
                except asyncio.CancelledError:
                    [found] = await take(messages, 1)
                assert found.data == n

    async def test_nobody_waits_twice(self):
        channel = self.channel()
        async with channel.subscribe("a") as messages:
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, "Two tasks"):
                await anext(messages)
            waiting.cancel()
            with self.assertRaisesRegex(RuntimeError, "entered before"):
                await messages.__aenter__()

    async def test_who_forgets_to_close_leaves_nothing(self):
        channel = self.channel()
        messages = channel.subscribe("a")
        await messages.__aenter__()
        assert not self.is_idle(channel)
        del messages
        gc.collect()
        # What it has begun by call_soon_threadsafe().
        await asyncio.sleep(0)
        await asyncio.gather(
            *asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True
        )
        assert self.is_idle(channel)

    # --- loops, threads, processes -----------------------------------------------

    def test_several_event_loops(self):
        channel = self.channel()
        together = threading.Barrier(4)
        results = []

        async def follow():
            async with channel.subscribe("a") as messages:
                await asyncio.to_thread(together.wait, PATIENCE)
                results.append([one.data for one in await take(messages, 20)])

        threads = [
            threading.Thread(target=lambda: asyncio.run(follow())) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        together.wait(PATIENCE)
        self.publish_many(channel, "a", range(20))
        for thread in threads:
            thread.join(PATIENCE)
        assert results == [[*range(20)]] * 3
        assert self.is_idle(channel)

    def test_a_loop_that_ends_first(self):
        channel = self.channel()

        async def leave_it_open():
            messages = channel.subscribe("a")
            await messages.__aenter__()
            return messages

        async def follow():
            async with channel.subscribe("a") as messages:
                await self.apublish(channel, "a", 1)
                return await take(messages, 1)

        left_open = asyncio.run(leave_it_open())
        [message] = asyncio.run(follow())
        assert message.data == 1
        del left_open
        gc.collect()
        self.publish(channel, "a", 2)
        asyncio.run(follow())
        assert self.is_idle(channel)

    async def test_many_subscribers_share_one_reader(self):
        channel = self.channel()
        since = await self.apublish(channel, "a", 0)
        await self.apublish(channel, "a", 1)
        threads, tasks = threading.active_count(), len(asyncio.all_tasks())
        async with contextlib.AsyncExitStack() as stack:
            subscribers = [
                await stack.enter_async_context(channel.subscribe("a", since=since))
                for _ in range(100)
            ]
            await self.apublish(channel, "a", 2)
            for one in subscribers:
                assert [m.data for m in await take(one, 2)] == [1, 2]
            assert threading.active_count() <= threads + 1
            assert len(asyncio.all_tasks()) <= tasks + 1
            await self.check_connections(channel, 2)
        await self.check_connections(channel, 0)

    async def check_connections(self, channel, number):
        """Compare how many connections the server has of the channel's readers."""


async def take_all(messages):
    return [one async for one in messages]
