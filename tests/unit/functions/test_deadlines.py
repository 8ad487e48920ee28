"""Deadlines ring once, in their order; those that are over take no room for long."""

import asyncio

from penstock.host.clock import TestClock
from penstock.host.tasks import LoopTasks
from penstock.services.deadlines import CANCELLED_KEPT, Deadlines


def test_deadlines_when_time_passes_ring_in_their_order_but_for_those_that_were_cancelled() -> None:
    async def run() -> list[str]:
        clock, tasks, rung = TestClock(), LoopTasks(), list[str]()
        clock.stand()
        deadlines = Deadlines(clock, tasks)
        deadlines.after(300, lambda: rung.append("last"))
        cancelled = deadlines.after(100, lambda: rung.append("never"))
        deadlines.after(200, lambda: rung.append("first"))
        cancelled.cancel()
        await clock.sleep(0)
        for _ in range(6):
            clock.advance(50)
            for _ in range(5):
                await clock.sleep(0)
        await tasks.stop()
        return rung

    assert asyncio.run(run()) == ["first", "last"]


def test_deadlines_when_most_are_over_long_before_their_time_hold_few() -> None:
    async def run() -> int:
        tasks = LoopTasks()
        deadlines = Deadlines(TestClock(), tasks)
        for _ in range(50 * CANCELLED_KEPT):
            deadlines.after(900_000, lambda: None).cancel()
        await tasks.stop()
        return deadlines.held

    assert asyncio.run(run()) <= CANCELLED_KEPT + 1
