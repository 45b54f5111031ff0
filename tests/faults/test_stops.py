"""The tool that cancels at the n-th await stops where it says, and nowhere else."""

from __future__ import annotations

import asyncio
import unittest

from tests.faults.stops import PATIENCE, Stop, counting_tasks


class StopTests(unittest.TestCase):
    def run_watched(self, work, n, *, late=False, then=None):
        """Run `work(log)` up to its n-th suspension; return the stop and the log."""
        log = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_task_factory(counting_tasks)
            task = None

            def cancel():
                task.cancel()

            stop = Stop(n, then or cancel, late=late)

            async def watched():
                nonlocal task
                stop.watch()
                task = asyncio.create_task(work(log))
                await asyncio.wait({task})

            # A task of its own, whose context is not the test's.
            await asyncio.create_task(watched())
            log.append("cancelled" if task.cancelled() else task.result())
            return stop

        return asyncio.run(main()), log

    async def three(self, log):
        for number in range(3):
            log.append(number)
            await asyncio.sleep(0)
        return "done"

    def test_each_suspension(self):
        ends = [self.run_watched(self.three, n)[1] for n in range(1, 5)]
        self.assertEqual(
            ends,
            [
                [0, "cancelled"],
                [0, 1, "cancelled"],
                [0, 1, 2, "cancelled"],
                [0, 1, 2, "done"],
            ],
        )

    def test_counts(self):
        stop, _ = self.run_watched(self.three, 4)
        self.assertEqual((stop.count, stop.fired), (3, False))
        stop, _ = self.run_watched(self.three, 3)
        self.assertEqual((stop.count, stop.fired, stop.let_go), (3, True, False))

    def test_early_is_while_it_waits_and_late_when_that_is_done(self):
        async def work(log):
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_soon(lambda: future.done() or future.set_result(None))
            try:
                await future
            except asyncio.CancelledError:
                log.append("during" if future.cancelled() else "after")
                raise

        self.assertEqual(self.run_watched(work, 1)[1], ["during", "cancelled"])
        self.assertEqual(
            self.run_watched(work, 1, late=True)[1], ["after", "cancelled"]
        )

    def test_a_task_that_is_awaited_decides_itself(self):
        """As in asyncio: who awaits a task is woken when that has ended."""

        async def slow_to_leave(log):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                log.append("inner")

        async def work(log):
            inner = asyncio.create_task(slow_to_leave(log))
            try:
                await inner
            finally:
                log.append("outer")

        self.assertEqual(self.run_watched(work, 3)[1], ["inner", "outer", "cancelled"])

    def test_tasks_of_tasks_count(self):
        async def work(log):
            await asyncio.gather(self.three(log), self.three(log))

        # Two are made, gather() is awaited once, and each suspends three times.
        ends = [self.run_watched(work, n) for n in range(1, 11)]
        self.assertEqual([stop.fired for stop, _ in ends], [True] * 9 + [False])

    def test_cancelled_before_its_first_step(self):
        """Nothing that was never awaited is left behind."""

        async def work(log):
            task = asyncio.create_task(self.three(log))
            task.cancel()
            await asyncio.wait({task})
            log.append(task.cancelled())

        with self.assertNoLogs():
            self.assertEqual(self.run_watched(work, 99)[1], [True, None])

    def test_lets_go_if_nothing_cancels(self):
        rounds = []

        async def work(log):
            await asyncio.sleep(0)
            return len(rounds)

        def then():
            asyncio.get_running_loop().call_soon(tick)

        def tick():
            rounds.append(None)
            if len(rounds) < 2 * PATIENCE:
                asyncio.get_running_loop().call_soon(tick)

        stop, log = self.run_watched(work, 1, then=then)
        self.assertTrue(stop.let_go)
        self.assertAlmostEqual(log[0], PATIENCE, delta=5)
