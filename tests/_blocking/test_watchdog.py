"""What the watchdog of a loop finds, whom it does not accuse, and that it ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import logging
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_async_cbv._blocking import watchdog as module
from django_async_cbv._blocking.frames import Position, Stack
from django_async_cbv._blocking.watchdog import Watchdog, serves

THRESHOLD = 0.03
SECONDS = 4 * THRESHOLD
PATIENCE = 20


@pytest.fixture(autouse=True)
def blocks(forbid_blocking):
    """To block the loop is what these tests are about."""
    forbid_blocking.stop()


def watched(page, threshold=THRESHOLD):
    """What is found while a page runs."""
    found = []

    async def main():
        watchdog = Watchdog(asyncio.get_running_loop(), threshold, found.append)
        watchdog.start()
        try:
            await asyncio.create_task(page())
        finally:
            watchdog.stop()

    asyncio.run(main())
    return found


def blocked(page):
    """The blocks of a page that is to have one."""
    for _ in range(30):
        found = accused(watched(page))
        # Another function that is accused is a fault, however busy the machine is.
        if len(found) == 1 or len({one.hook.name for one in found}) > 1:
            return found
        # Other processes kept the watchdog, or the loop, from the processor.
    return []


def accused(found):
    return [block for block in found if block.kind == "blocked"]


def pause():
    time.sleep(SECONDS)


def compute():
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        sum(range(100))


def call():
    begin = time.thread_time()
    sorted(range(20_000), key=float)
    number = 20_000 * SECONDS / (time.thread_time() - begin)
    sorted(range(int(number)), key=float)


def call_without_the_gil():
    begin = time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10_000)
    number = 10_000 * SECONDS / (time.thread_time() - begin)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", int(number))


@pytest.mark.parametrize("work", [pause, compute, call, call_without_the_gil])
def test_it_names_the_function_and_what_that_calls(work):
    async def hook():
        work()

    [block] = blocked(hook)
    assert block.hook.name == "hook"
    assert block.hook.line == hook.__code__.co_firstlineno + 1
    assert block.call.file == __file__
    code = work.__code__
    assert code.co_firstlineno < block.call.line <= code.co_firstlineno + 5
    assert block.duration >= THRESHOLD
    assert 0 < block.samples <= block.looks
    assert [one.name for one in block.stack][-2:] == ["hook", work.__name__]


def test_what_is_called_is_named():
    async def hook():
        pause()

    [block] = blocked(hook)
    assert block.call.name == "time.sleep"


def test_the_request_is_that_of_the_task_and_of_its_children():
    class Request:
        pass

    request = Request()

    async def hook():
        pause()

    async def page():
        serves(request)
        await asyncio.gather(hook())

    [block] = blocked(page)
    assert block.request is request


def test_a_request_is_not_kept():
    class Request:
        pass

    async def page():
        request = Request()
        serves(request)
        pause()
        # The heartbeat and the tasks from now on have this context.
        await asyncio.sleep(0)
        return weakref.ref(request)

    async def both():
        nonlocal kept
        kept = await page()

    kept = None
    found = watched(both)
    found.clear()
    gc.collect()
    assert kept() is None


def test_waiting_is_no_block():
    async def page():
        await asyncio.sleep(2 * THRESHOLD)

    assert accused(watched(page, 0.5)) == []


def test_what_goes_on_when_it_ends_is_reported():
    async def page():
        await asyncio.sleep(0)
        pause()

    assert len(blocked(page)) == 1


def of_runs(*pages):
    """What is found of a loop that runs several times, and rests after each."""
    found = []
    loop = asyncio.new_event_loop()
    watchdog = Watchdog(loop, THRESHOLD, found.append)
    watchdog.start()
    for page in pages:
        loop.run_until_complete(page())
        pause()
    watchdog.stop()
    loop.close()
    return found


def test_a_loop_that_rests_is_not_late():
    async def page():
        await asyncio.sleep(0.01)

    # Other processes may keep the loop from the processor, but not each time.
    assert any(of_runs(page, page) == [] for _ in range(30))


def test_a_loop_that_ends_while_it_is_late_has_been_late():
    async def page():
        await asyncio.sleep(0.01)
        pause()

    found = (accused(of_runs(page)) for _ in range(30))
    assert len(next(filter(None, found))) == 1


def test_the_thread_ends_with_the_loop():
    threads = set(threading.enumerate())
    callbacks = [*gc.callbacks]

    async def main():
        watchdog = Watchdog(asyncio.get_running_loop(), THRESHOLD, print)
        watchdog.start()
        watchdog.start()
        await asyncio.sleep(0)
        return watchdog

    watchdog = asyncio.run(main())
    watchdog._thread.join(PATIENCE)
    assert set(threading.enumerate()) <= threads
    assert gc.callbacks == callbacks
    watchdog.stop()
    watchdog.stop()


def test_it_can_end_before_it_began():
    loop = asyncio.new_event_loop()
    watchdog = Watchdog(loop, THRESHOLD, print)
    watchdog.stop()
    watchdog.start()
    watchdog.stop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert not watchdog._thread.is_alive()


def test_beats_in_time_leave_the_thread_asleep():
    """Unless it has something to do."""
    loop = asyncio.new_event_loop()
    # No stall of the machine is as long.
    watchdog = Watchdog(loop, PATIENCE, print)
    put_off = []
    watchdog._sleep = SimpleNamespace(put_off=put_off.append)
    watchdog._on_beat()
    watchdog._on_beat()
    assert put_off == [watchdog._interval + watchdog._patience] * 2
    for work in ("_late", "_pending", "_looks"):
        getattr(watchdog, work).append(None)
        watchdog._on_beat()
        getattr(watchdog, work).clear()
    # A late one is for the thread to judge.
    watchdog._beat = watchdog._beat._replace(due=time.monotonic() - PATIENCE)
    watchdog._on_beat()
    assert len(watchdog._late) == 1
    assert len(put_off) == 2
    loop.close()


def test_a_report_that_fails_is_logged_once(caplog, monkeypatch):
    monkeypatch.setattr(module, "_failed", set())

    def report(_):
        raise ValueError("no")

    async def main():
        watchdog = Watchdog(asyncio.get_running_loop(), THRESHOLD, report)
        watchdog.start()
        for _ in range(2):
            pause()
            await asyncio.sleep(2 * THRESHOLD)
        watchdog.stop()

    with caplog.at_level(logging.ERROR, "django_async_cbv.blocking"):
        asyncio.run(main())
    assert [record.exc_info[0] for record in caplog.records] == [ValueError]


def test_it_sleeps_in_a_debugger():
    source = "import time\nasync def hook(seconds):\n    time.sleep(seconds)\n"
    namespace = {}
    exec(compile(source, "/ide/_pydevd_bundle/pydevd.py", "exec"), namespace)
    hook = namespace["hook"]
    assert accused(watched(lambda: hook(SECONDS))) == []


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python 3.12 or later: sys.monitoring"
)
def test_it_sleeps_while_a_debugger_monitors():
    async def hook():
        pause()

    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.DEBUGGER_ID, "a debugger")
    try:
        assert accused(watched(hook)) == []
    finally:
        monitoring.free_tool_id(monitoring.DEBUGGER_ID)


def hook():
    """Stand for a hook."""


def other():
    """Stand for another one."""


IDLE = Stack((), is_idle=True)
HOOK = Stack((Position(hook.__code__, 2),), is_idle=False)
OTHER = Stack((Position(other.__code__, 2),), is_idle=False)


def look(at, own, everything, stack, task=1, delay=0.0):
    return module._Look(at, own, everything, stack, task, None, delay)


def looks(stacks, *, own=0.0, others=0.0, step=0.02, tasks=None):
    """Looks at each `step`, while the threads use that share of the processor."""
    return [
        look(
            number * step,
            number * step * own,
            number * step * (own + others),
            stack,
            1 if tasks is None else tasks[number - 1],
        )
        for number, stack in enumerate(stacks, 1)
    ]


def judged(found, *, threshold=0.1, own=None, pauses=(), collections=(), delay=0.0):
    """What is said of a time of 0.2 seconds in which these looks were taken."""
    watchdog = Watchdog(asyncio.new_event_loop(), threshold, print)
    watchdog.loop.close()
    watchdog._pauses.extend(module._Pause(*one) for one in pauses)
    watchdog._system.delay = lambda _: delay
    last = found[-1] if found else look(0, 0, 0, IDLE)
    used = last.own or 0.0 if own is None else own
    begin, end = module.Beat(0, 0, 0, 0), module.Beat(0.2, 0.2, used, last.all)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module._collections, "pauses", [module._Pause(*one) for one in collections]
        )
        block = watchdog._judge(begin, end, found)
    return block.kind, block.samples, block.looks


class TestJudgement:
    """Who is to blame, by numbers that are made up."""

    def test_guilty(self):
        ten = [HOOK] * 10
        # It sleeps; so it does while others compute. It computes. It calls, and calls.
        assert judged(looks(ten)) == ("blocked", 10, 10)
        assert judged(looks(ten, others=1.9)) == ("blocked", 10, 10)
        assert judged(looks(ten, own=0.9)) == ("blocked", 10, 10)
        assert judged(looks(ten, own=0.2)) == ("blocked", 10, 10)
        # It has kept the GIL, and was seen once.
        assert judged(looks([HOOK], own=1, step=0.2)) == ("blocked", 1, 1)
        # It had half of the processor, and that was too long.
        assert judged(looks(ten, own=0.5, others=1.5), threshold=0.09)[0] == "blocked"

    def test_starved(self):
        ten = [HOOK] * 10
        assert judged(looks([IDLE] * 10))[0] == "starved"
        assert judged(looks([IDLE] * 6 + [HOOK] * 4))[0] == "starved"
        # It asks for the GIL, which takes a little time of the processor.
        assert judged(looks(ten, own=0.01, others=1))[0] == "starved"
        assert judged(looks(ten, own=0.2, others=1))[0] == "starved"
        # It sleeps for less than who waits for the GIL does between two requests.
        few = looks([HOOK] * 2, own=0.01, others=1, step=0.1)
        assert judged(few)[0] == "starved"
        # Other processes had the processor.
        assert judged(looks(ten, own=0.3), delay=0.15)[0] == "starved"
        assert judged([], own=0)[0] == "starved"
        # It was ready all the time, as Linux says when it goes on.
        assert judged(looks(ten), delay=0.18)[0] == "starved"
        assert judged(looks(ten, own=0.2, others=0.15))[0] == "starved"

    def test_busy(self):
        both = [HOOK, OTHER] * 5
        assert judged(looks(both, own=0.9, tasks=[*range(10)]))[0] == "busy"
        # The same hook of many requests.
        assert judged(looks([HOOK] * 10, own=0.9, tasks=[*range(10)]))[0] == "busy"
        assert judged([], own=0.2)[0] == "busy"
        # Nobody was seen, and a function that has just begun took no time.
        begun = Stack((Position(hook.__code__, 0),), is_idle=False)
        assert judged(looks([begun], own=1, step=0.2))[0] == "busy"

    def test_the_most_of_a_time_is_blamed(self):
        assert judged(looks([HOOK] * 8 + [OTHER] * 2, own=0.9)) == ("blocked", 8, 10)

    def test_stopped(self):
        assert judged(looks([HOOK] * 10), pauses=[(0.01, 0.19)])[0] == "suspended"
        assert judged(looks([HOOK] * 10), collections=[(0, 0.15)])[0] == "collected"
        both = {"pauses": [(0, 0.04)], "collections": [(0.04, 0.15)]}
        assert judged(looks([HOOK] * 10), **both)[0] == "collected"
        # The rest is too long as well.
        assert judged(looks([HOOK] * 10), collections=[(0, 0.05)])[0] == "blocked"

    def test_without_a_clock_of_threads(self):
        blind = [one._replace(own=None) for one in looks([HOOK] * 10)]
        assert judged(blind)[0] == "blocked"
        blind = [one._replace(own=None) for one in looks([IDLE] * 10)]
        assert judged(blind)[0] == "starved"

    def test_no_frame_of_pythons(self):
        bare = Stack((), is_idle=False)
        assert judged(looks([bare] * 10)) == ("blocked", 10, 10)


class TestPauses:
    """A process that was stopped is told from one in which the GIL was held."""

    @pytest.fixture
    def noted(self, monkeypatch):
        def noted(*, used=0.0, waits=1, delay=0.0):
            watchdog = Watchdog(asyncio.new_event_loop(), 0.1, print)
            watchdog.loop.close()
            monkeypatch.setattr(time, "process_time", lambda: used)
            monkeypatch.setattr(module, "_waits", lambda: waits)
            monkeypatch.setattr(watchdog._own_system, "delay", lambda _: delay)
            watchdog._note_pause(1.0, 2.0, module._Costs(0, 0, 0))
            return bool(watchdog._pauses)

        return noted

    def test_nothing_ran(self, noted):
        assert noted()

    def test_something_ran(self, noted):
        assert not noted(used=0.9)

    def test_this_thread_has_waited_for_the_gil(self, noted):
        assert not noted(used=0.01, waits=200)

    def test_this_thread_has_waited_for_a_processor(self, noted):
        assert not noted(delay=0.9)


def test_collections_are_noted_while_somebody_watches():
    collections = module._Collections()
    collections.start()
    collections.start()
    try:
        collections.stop()
        assert collections._hear in gc.callbacks
        collections._hear("start", {})
        collections._began -= 1
        collections._hear("stop", {})
        collections._hear("start", {})
        collections._hear("stop", {})
    finally:
        collections.stop()
    assert collections._hear not in gc.callbacks
    [pause] = collections.pauses
    assert pause.end - pause.begin >= 1


def test_the_context_of_a_task_is_found():
    variable = contextvars.ContextVar("variable")

    async def main():
        variable.set("here")
        task = asyncio.current_task()
        return module._context_of(task).get(variable)

    assert asyncio.run(main()) == "here"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux: what the system says")
class TestSystem:
    def test_the_processor_times_of_threads(self):
        times = module._processor_times()
        assert times[threading.get_native_id()] <= time.thread_time()

    def test_a_thread_that_is_over(self):
        system = module._System()
        ends = threading.Event()
        thread = threading.Thread(target=ends.wait)
        thread.start()
        number = thread.native_id
        assert system.delay(number) >= 0
        ends.set()
        thread.join()
        # Python's thread is over before the system's.
        while Path(f"/proc/self/task/{number}").exists():
            os.sched_yield()
        assert system.delay(number) >= 0
        assert module._System().delay(number) == 0
        assert system.delay(threading.get_native_id()) >= 0
        system.close()
        system.close()


def test_heartbeats_of_many_loops_do_not_meet_in_one_context(caplog):
    """Two threads that ran the same context at once ended a heartbeat for good."""
    loops = [asyncio.new_event_loop() for _ in range(2)]
    one, other = [Watchdog(loop, 0.1, lambda block: None) for loop in loops]
    try:
        assert one._context is not other._context
        handles = []
        for watchdog in (one, other):
            loop = watchdog.loop

            def note(*args, _later=loop.call_later, **named):
                handles.append(_later(*args, **named))
                return handles[-1]

            loop.call_later = note
            watchdog._on_beat()
        contexts = [handle._context for handle in handles]
        assert contexts[0] is not contexts[1]
    finally:
        for loop in loops:
            loop.close()


def test_a_start_that_fails_leaves_nothing():
    loop = asyncio.new_event_loop()
    loop.close()
    callbacks = len(gc.callbacks)
    watchdog = Watchdog(loop, 0.1, lambda block: None)
    with pytest.raises(RuntimeError, match="closed"):
        watchdog.start()
    watchdog.stop()
    assert len(gc.callbacks) == callbacks
