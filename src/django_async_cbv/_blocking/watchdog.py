"""A thread that sees when an event loop is late, and looks what that does instead."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple, TypeAlias

from ..core.naming import Place
from .frames import Stack, innermost, is_debugger, stack_of
from .sleeping import Sleep

try:
    import resource
except ImportError:  # Windows
    _THREAD = None
else:
    _THREAD = getattr(resource, "RUSAGE_THREAD", None)

__all__ = ["Block", "Watchdog", "log_once", "serves"]

_logger = logging.getLogger("django_async_cbv.blocking")

Kind: TypeAlias = Literal["blocked", "busy", "starved", "collected", "suspended"]

# Shares of a time: most of it, nearly all of it, almost nothing of it.
_MOST, _ALMOST, _NOTHING = 0.5, 0.75, 0.1
# Shares of the processor. A thread with less than the first waits for the GIL. The
# second is the share of other threads, compared with this thread.
_IDLE, _FEW_OTHERS = 0.02, 0.5
# A thread that waits for the GIL rests for fewer switch intervals than this.
_ASKS = 2.2
# With fewer looks, nothing is proved about a thread that used the processor little.
_FEW = 3
# After so many seconds between two looks, another thread held the GIL or the processor.
_LONG = 0.05
# Seconds after which the detector asks the system again.
_FRESH = 0.25
# The least seconds that a look counts for, even after a pause.
_LEAST = 1e-6
# The most seconds between two looks, and the number of looks after which they become
# rarer.
_RAREST, _MANY = 0.1, 100
# Shorter garbage collections delay nothing that counts.
_SHORT = 0.001
_failed: set[Any] = set()


# The request that a task serves. A weak reference, because a task may outlive the
# request.
_served: contextvars.ContextVar[weakref.ref[Any] | None] = contextvars.ContextVar(
    "django_async_cbv_served", default=None
)


def serves(request: Any) -> None:
    """Say which request this context serves, and the tasks that begin in it."""
    _served.set(weakref.ref(request))


def log_once(key: Any, error: Exception, message: str, *args: object) -> None:
    """Log the first failure of a kind; the detector disturbs nothing."""
    if key not in _failed:
        _failed.add(key)
        _logger.error(message, *args, exc_info=error)


@dataclass(frozen=True, slots=True)
class Block:
    """
    A time in which the event loop did not get to its next callbacks.

    `kind` tells why:

    - `blocked`: one function kept the event loop.
    - `busy`: several functions kept it, and none of them for long.
    - `starved`: other threads, or other processes, had the processor or the GIL.
    - `collected`: Python's garbage collector ran.
    - `suspended`: the process was stopped, for example by a signal.
    """

    kind: Kind
    #: For how many seconds the event loop was late.
    duration: float
    #: The hook or the other function that the event loop ran, and the line of it.
    hook: Place | None = None
    #: The function that blocked, and the line of the project that called it.
    call: Place | None = None
    #: How many samples of the event loop's thread found that hook, of how many.
    samples: int = 0
    looks: int = 0
    #: The functions, outermost first.
    stack: tuple[Place, ...] = ()
    #: The request that the task served.
    request: Any = field(default=None, repr=False)
    #: The functions of the threads that used the processor most meanwhile.
    threads: tuple[Place, ...] = ()


class Beat(NamedTuple):
    """A heartbeat: when it was, and when the next one is due; processor times."""

    at: float
    due: float
    # Processor seconds of the loop's thread, and of the process.
    own: float
    all: float
    #: For how long the loop's thread was ready until then, and another one ran.
    delay: float = 0.0


class _Look(NamedTuple):
    """One look at the event loop's thread while it is late."""

    at: float
    own: float | None
    all: float
    stack: Stack
    task: int | None
    request: Any
    #: For how long the thread was ready, and another one had the processor.
    delay: float


class _Pause(NamedTuple):
    begin: float
    end: float


class _Costs(NamedTuple):
    """The processor time of the process, and how this thread had to wait."""

    used: float
    waits: int
    delay: float


class _Collections:
    """When the garbage collector ran, as long as somebody wants to know."""

    def __init__(self) -> None:
        self.pauses: deque[_Pause] = deque(maxlen=100)
        self._users = 0
        self._began = 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                gc.callbacks.append(self._hear)

    def stop(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                gc.callbacks.remove(self._hear)

    def _hear(self, phase: str, _: object) -> None:
        now = time.monotonic()
        if phase == "start":
            self._began = now
        elif now - self._began > _SHORT:
            self.pauses.append(_Pause(self._began, now))


_collections = _Collections()
_nothing = contextvars.Context()


class Watchdog:
    """
    Reports each time for which an event loop is late by `threshold` seconds.

    `report` is called with a `Block`, in the thread of the watchdog. What it raises is
    logged once. `start()` and `stop()` may be called in any thread. When `stop()`
    returns, all has been reported.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        threshold: float,
        report: Callable[[Block], object],
    ) -> None:
        self.loop = loop
        self.threshold = threshold
        self._report = report
        # A shorter interval costs more than 1 % of a core.
        self._interval = max(threshold / 2, 0.05)
        # After how many seconds a late heartbeat is looked at, and how often from then
        # on.
        self._patience = threshold / 3
        self._period = min(max(threshold / 10, 0.002), 0.01)
        self._lock = threading.Lock()
        self._is_started = self._is_stopped = False
        # The loop is about to run, and has no heartbeat yet.
        self._is_expected = False
        self._sleep: Sleep | None = None
        self._thread: threading.Thread | None = None
        self._handle: asyncio.Handle | None = None
        # Empty, and not shared: no two threads may be in the same context at once.
        self._context = contextvars.Context()
        self._beat: Beat | None = None
        self._thread_id = self._native_id = self._own_id = 0
        self._clock: int | None = None
        self._runner: CodeType | None = None
        # The pairs of heartbeats between which the event loop was late.
        self._late: deque[tuple[Beat, Beat]] = deque()
        self._looks: list[_Look] = []
        self._looked_since: Beat | None = None
        self._pauses: deque[_Pause] = deque(maxlen=100)
        self._is_debugged = False
        self._used: dict[int, float] = {}
        self._seen: dict[int, Place] = {}
        self._pending: list[Block] = []
        self._system, self._own_system = _System(), _System()
        # For how long this thread waited for a processor, and when that was read.
        self._own_delay = self._read_at = 0.0

    # -- In the loop's thread ----------------------------------------------------------

    def expect(self, runner: FrameType) -> None:
        """Before start(): the loop is about to run in this thread, by that frame."""
        self._is_expected = True
        self._look_who_runs(runner)

    def start(self) -> None:
        """Begin; once."""
        with self._lock:
            if self._is_started:
                return
            self._is_started = True
        _collections.start()
        if self._is_expected:
            # From now on it is late: this may be another thread.
            now = time.monotonic()
            own, everything = self._own_time() or 0.0, time.process_time()
            delay = self._system.delay(self._native_id)
            self._beat = Beat(now, now, own, everything, delay)
        self._sleep = Sleep()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._sleep,),
            name="django_async_cbv.blocking",
            daemon=True,
        )
        if _running_loop() is self.loop:
            # The detector sees the rest of this callback too.
            self._look_who_runs(None)
            self._note_beat()
        # In an empty context, because the heartbeat would keep the context of a request
        # alive.
        try:
            self.loop.call_soon_threadsafe(self._on_beat, context=self._context)
            self._thread.start()
        except RuntimeError:
            # The loop is closed, or the system has no more threads for this process.
            self._is_stopped = True
            _collections.stop()
            self._sleep.close()
            self._system.close()
            raise

    def stop(self) -> None:
        """End; what has blocked the event loop until now is reported before."""
        with self._lock:
            if not self._is_started or self._is_stopped:
                return
            self._is_stopped = True
            if self._is_expected or self.loop.is_running():
                self._end(time.monotonic())
            if self._sleep is not None:
                self._sleep.end()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not threading.current_thread() and self._thread is not None:
            self._thread.join()

    def _look_who_runs(self, frame: FrameType | None) -> None:
        self._runner = None if frame is None else frame.f_code
        self._thread_id = threading.get_ident()
        self._native_id = threading.get_native_id()
        get_clock = getattr(time, "pthread_getcpuclockid", None)
        # Only the thread itself asks for its clock, because Python crashes for a thread
        # that has ended.
        self._clock = None if get_clock is None else get_clock(self._thread_id)

    def _on_beat(self) -> None:
        if self._is_stopped:
            return
        frame = sys._getframe(1)
        if frame.f_code is not self._runner or (
            threading.get_ident() != self._thread_id
        ):
            self._look_who_runs(frame)
        now = time.monotonic()
        before = self._beat
        if before is not None and now - before.due >= self.threshold:
            self._end(now)
        self._note_beat()
        if self._sleep is not None and not (self._late or self._pending or self._looks):
            # The thread has nothing to do unless the next beat is late.
            self._sleep.put_off(self._interval + self._patience)
        self._handle = self.loop.call_later(
            self._interval, self._on_beat, context=self._context
        )

    def _note_beat(self) -> None:
        now = time.monotonic()
        self._beat = Beat(
            now,
            now + self._interval,
            time.thread_time(),
            time.process_time(),
            self._system.delay(self._native_id),
        )

    def _end(self, now: float) -> None:
        """Note for the thread that a beat was late."""
        before = self._beat
        if before is None or now - before.due < self.threshold:
            return
        own = self._own_time()
        end = Beat(now, now, before.own if own is None else own, time.process_time())
        self._late.append((before, end))

    def _own_time(self) -> float | None:
        """The processor time of the loop's thread."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # That thread is over.
            return None

    # -- In a thread of its own --------------------------------------------------------

    def _run(self, sleep: Sleep) -> None:
        try:
            self._watch(sleep)
        except Exception as error:  # noqa: BLE001 - no request is to fail by it
            log_once(Watchdog, error, "The watchdog of an event loop failed, and ended")
        finally:
            _collections.stop()
            sleep.close()
            self._system.close()
            self._own_system.close()

    def _watch(self, sleep: Sleep) -> None:
        self._own_id = threading.get_native_id()
        delay = self._interval
        is_over = False
        while not is_over:
            before = time.monotonic()
            start = self._own_costs()
            # Reading a file releases the GIL, and getting it back may have taken long.
            rest = max(0, before + delay - time.monotonic())
            is_over = sleep.sleep(rest) or self.loop.is_closed()
            now = time.monotonic()
            beat = self._beat
            look = None
            if beat is not None and now >= beat.due + self._patience:
                # First of all, because the other thread goes on as soon as it gets the
                # GIL.
                look = self._take(now, is_first=self._looked_since is not beat)
                if self._beat is not beat:
                    look = None
            slept = now - sleep.until
            if slept > self._interval and not is_over:
                self._note_pause(now - slept, now, start)
            pending, self._pending = self._pending, []
            self._judge_late()
            if is_over:
                pending += self._pending
            self._tell(pending)
            delay = self._next(beat, look, now)

    def _own_costs(self) -> _Costs:
        used, waits = time.process_time(), _waits()
        now = time.monotonic()
        if now - self._read_at > _FRESH:
            self._read_at = now
            self._own_delay = self._own_system.delay(self._own_id)
        return _Costs(used, waits, self._own_delay)

    def _note_pause(self, begin: float, end: float, start: _Costs) -> None:
        """Tell a process that was stopped from one that had no processor, or no GIL."""
        slept = end - begin
        # The thread may have slept for long, and the loop has read this since.
        beat = self._late[0][0] if self._late else self._beat
        used = start.used if beat is None else max(start.used, beat.all)
        if not (
            time.process_time() - used > _NOTHING * slept
            # A thread that waits for the GIL asks for it after each switch interval.
            or _waits() - start.waits > slept / sys.getswitchinterval() / 4
            or self._own_system.delay(self._own_id) - start.delay > _MOST * slept
        ):
            self._pauses.append(_Pause(begin, end))

    def _next(self, beat: Beat | None, look: _Look | None, now: float) -> float:
        """Keep a look if the loop is late; return when to look again."""
        if beat is None:
            return self._interval
        if look is None:
            self._looks = []
            return max(beat.due + self._patience - now, self._period)
        if not self.loop.is_running():
            self._note_end_of_loop(beat)
            # The next run of the event loop starts with a heartbeat.
            self._beat = None
            return self._interval
        if self._looked_since is not beat:
            self._looks, self._looked_since = [], beat
            self._is_debugged = _has_debugger()
        self._looks.append(look)
        if is_debugger(look.stack.positions):
            self._is_debugged = True
        return min(self._period * max(1, len(self._looks) / _MANY), _RAREST)

    def _note_end_of_loop(self, beat: Beat) -> None:
        """Note that a loop was late when it ended."""
        if self._looks and self._looked_since is beat:
            last = self._looks[-1]
            if last.at - beat.due >= self.threshold:
                own = beat.own if last.own is None else last.own
                self._late.append((beat, Beat(last.at, last.at, own, last.all)))

    def _take(self, now: float, *, is_first: bool) -> _Look:
        frames = sys._current_frames()
        stack = stack_of(frames.get(self._thread_id), self._runner)
        task, request = self._serves()
        own, everything = self._own_time(), time.process_time()
        delay = self._system.delay(self._native_id)
        look = _Look(now, own, everything, stack, task, request, delay)
        number = 1 if is_first else len(self._looks) + 1
        if number & (number - 1) == 0:
            # The first, second, fourth and eighth look are enough to name the other
            # threads.
            self._look_at_others(frames, is_first=is_first)
        return look

    def _serves(self) -> tuple[int | None, Any]:
        """The task that the loop runs, and the request of that."""
        task = asyncio.current_task(self.loop)
        if task is None:
            return None, None
        served = _context_of(task).get(_served)
        return id(task), None if served is None else served()

    def _look_at_others(self, frames: dict[int, FrameType], *, is_first: bool) -> None:
        if is_first:
            self._used = _processor_times()
            self._seen = {}
        for thread in threading.enumerate():
            frame = frames.get(thread.ident or 0)
            if (
                frame is not None
                and thread.native_id is not None
                and thread.ident not in {self._thread_id, threading.get_ident()}
                and (place := innermost(frame)) is not None
            ):
                self._seen[thread.native_id] = place

    def _tell(self, blocks: list[Block]) -> None:
        for block in blocks:
            try:
                self._report(block)
            except Exception as error:  # noqa: BLE001 - the next one may be reported
                log_once(Watchdog._tell, error, "The report of a watchdog failed")

    # -- What it was -------------------------------------------------------------------

    def _judge_late(self) -> None:
        while self._late:
            begin, end = self._late.popleft()
            looks = self._looks if self._looked_since is begin else []
            looks = [one for one in looks if one.at <= end.at]
            if looks and self._is_debugged:
                continue
            # In the next turn, the view is known even if a middleware blocked.
            self._pending.append(self._judge(begin, end, looks))

    def _judge(self, begin: Beat, end: Beat, looks: list[_Look]) -> Block:
        pauses = [*self._pauses, *_collections.pauses]
        duration = end.at - begin.due
        lost = _overlap(pauses, begin.due, end.at)
        if duration - lost < self.threshold:
            stopped = _overlap([*self._pauses], begin.due, end.at)
            return Block("suspended" if 2 * stopped > lost else "collected", duration)
        duration -= lost
        number = len(looks)
        weights = _weigh(begin, looks, pauses)
        total = sum(weights)
        delay = self._system.delay(self._native_id)
        asleep, guilty = _guilty(begin, looks, weights, delay)
        has_computed = end.own - begin.own >= self.threshold
        if has_computed and number >= _FEW and _sum(weights, guilty) < _MOST * total:
            # The thread used the processor little, but blocked the event loop all the
            # same.
            guilty = [one for one in range(number) if not looks[one].stack.is_idle]
        # Seconds that it waited for a processor which other processes or threads used.
        waited = max(0, delay - begin.delay)
        is_late = (
            has_computed
            or duration - waited >= self.threshold
            or asleep >= _ALMOST * self.threshold
        )
        leader = _leader(looks, weights, guilty)
        time_of_leader = _sum(weights, leader)
        if (
            total
            and is_late
            and time_of_leader >= _MOST * total
            and time_of_leader / total * duration >= _ALMOST * self.threshold
        ):
            return _block(duration, [looks[one] for one in leader], number)
        if has_computed or (
            is_late and total and _sum(weights, guilty) >= _MOST * total
        ):
            return Block("busy", duration, looks=number)
        threads = self._busiest(begin, end)
        return Block("starved", duration, looks=number, threads=threads)

    def _busiest(self, begin: Beat, end: Beat) -> tuple[Place, ...]:
        """The three functions whose threads have used most of the processor."""
        used: Counter[Place] = Counter()
        for number, seconds in _processor_times().items():
            if number in self._used and number in self._seen:
                used[self._seen[number]] += seconds - self._used[number]  # type: ignore[assignment]
        least = _NOTHING * (end.at - begin.due)
        return tuple(place for place, seconds in used.most_common(3) if seconds > least)


class _System:
    """What Linux says of a thread: how long it was ready, and another one ran."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = 0
        self._file: int | None = None

    def delay(self, thread: int) -> float:
        """Seconds; 0 where that is not known."""
        with self._lock:
            if thread != self._thread:
                self._close()
                self._thread = thread
                with suppress(OSError):
                    self._file = os.open(
                        f"/proc/self/task/{thread}/schedstat", os.O_RDONLY
                    )
            if self._file is None:
                return 0.0
            try:
                return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
            except (IndexError, OSError, ValueError):  # That thread is over.
                return 0.0

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _waits() -> int:
    """How often this thread has waited; 0 where that is not known."""
    return 0 if _THREAD is None else resource.getrusage(_THREAD).ru_nvcsw


def _has_debugger() -> bool:
    """Whether a debugger has said that it is there."""
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and later.
    return monitoring is not None and (
        monitoring.get_tool(monitoring.DEBUGGER_ID) is not None
    )


def _processor_times() -> dict[int, float]:
    """Seconds of the processor that each of Python's threads has used."""
    if sys.platform != "linux":
        return {}
    found = {}
    for thread in threading.enumerate():
        if (number := thread.native_id) is not None:
            # The number of a thread's clock in glibc. Python's function reads it
            # through a pointer, which may be invalid after the thread has ended.
            with suppress(OSError):
                found[number] = time.clock_gettime((~number << 3) | 6)
    return found


def _context_of(task: asyncio.Task[Any]) -> contextvars.Context:
    if hasattr(task, "get_context"):
        return task.get_context()
    # Until Python 3.11 goes: its tasks have no get_context().
    for one in gc.get_referents(task):
        if type(one) is contextvars.Context:
            return one
    return _nothing


def _overlap(pauses: list[_Pause], begin: float, end: float) -> float:
    return sum(max(0.0, min(one.end, end) - max(one.begin, begin)) for one in pauses)


def _weigh(begin: Beat, looks: list[_Look], pauses: list[_Pause]) -> list[float]:
    """For how many seconds each look stands."""
    before = begin.due
    found = []
    for look in looks:
        seconds = look.at - before - _overlap(pauses, before, look.at)
        found.append(max(seconds, _LEAST))
        before = look.at
    return found


def _sum(weights: list[float], which: list[int]) -> float:
    return sum(weights[one] for one in which)


def _guilty(
    begin: Beat, looks: list[_Look], weights: list[float], delay: float
) -> tuple[float, list[int]]:
    """For how long a callback slept, and the looks that found one which took long."""
    found = []
    asleep = 0.0
    before, own, everything = begin.due, begin.own, begin.all
    for number, (look, still) in enumerate(
        zip(looks, _stills(looks, delay), strict=True)
    ):
        if not look.stack.is_idle:
            if look.own is None:
                # This system has no clocks of threads.
                found.append(number)
            # A thread that waits for the GIL asks for it after each switch interval.
            elif still > _ASKS * sys.getswitchinterval():
                asleep += weights[number]
                found.append(number)
            elif _took(weights[number], look.own - own, look.all - everything) and not (
                # No look was possible for so long, and the thread has gone on since.
                look.at - before > _LONG and look.stack.is_beside
            ):
                found.append(number)
        before, own, everything = look.at, look.own or own, look.all
    return asleep, found


def _took(seconds: float, own: float, everything: float) -> bool:
    """Whether a callback took some time, and not those who kept it from running."""
    if own >= _MOST * seconds:
        return True
    # The thread made many short calls that wait.
    return own > _IDLE * seconds and everything - own < _FEW_OTHERS * own


def _stills(looks: list[_Look], delay: float) -> list[float]:
    """
    For how long the thread slept around each look.

    `delay`: for how long it was ready without a processor, after the last look.
    """
    found: list[float] = []
    delays = [*(one.delay for one in looks), delay]
    first = 0
    for number, look in enumerate(looks):
        if look.own != looks[first].own:
            first = number
        last = number
        while last + 1 < len(looks) and looks[last + 1].own == look.own:
            last += 1
        still = looks[last].at - looks[first].at
        # Linux counts the wait for a processor only after the thread gets one.
        waited = max(0.0, delays[last + 1] - delays[first])
        found.append(0.0 if look.own is None else still - waited)
    return found


def _leader(looks: list[_Look], weights: list[float], guilty: list[int]) -> list[int]:
    """The looks that found the one function of the one task that took most."""
    found: dict[Any, list[int]] = {}
    for number in guilty:
        stack = looks[number].stack
        code = stack.positions[stack.hook].code if stack.positions else None
        found.setdefault((looks[number].task, code), []).append(number)
    return max(
        found.values(),
        key=lambda numbers: sum(weights[one] for one in numbers),
        default=[],
    )


def _block(duration: float, looks: list[_Look], number: int) -> Block:
    """What is to be said of a function that took most of the time."""
    [(line, _)] = Counter(map(_line_of, looks)).most_common(1)
    look = next(one for one in looks if _line_of(one) == line)
    stack = look.stack
    if not stack.positions:
        return Block("blocked", duration, samples=len(looks), looks=number)
    names = Counter(
        one.stack.called(one.stack.line) for one in looks if _line_of(one) == line
    )
    place = stack.positions[stack.line].place
    return Block(
        "blocked",
        duration,
        hook=stack.positions[stack.hook].place,
        call=place._replace(name=names.most_common(1)[0][0] or ""),
        samples=len(looks),
        looks=number,
        stack=tuple(one.place for one in reversed(stack.positions)),
        request=look.request,
    )


def _line_of(look: _Look) -> Place | None:
    """The line that a look found."""
    positions = look.stack.positions
    return positions[look.stack.line].place if positions else None
