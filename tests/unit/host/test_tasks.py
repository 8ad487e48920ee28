"""Background tasks: owned, ended in order, and none fails unseen."""

import asyncio
import logging

import pytest

from penstock.host.clock import TestClock
from penstock.host.tasks import LoopTasks


def test_stop_when_tasks_run_then_each_is_cancelled_in_the_order_of_its_start() -> None:
    async def scenario() -> None:
        tasks, clock = LoopTasks(), TestClock()
        ended: list[int] = []

        async def work(number: int) -> None:
            try:
                await clock.sleep(3_600_000)
            finally:
                await clock.sleep(0)  # takes a turn to tidy up
                ended.append(number)

        for number in range(5):
            tasks.spawn(work(number), f"work {number}")
        await clock.sleep(0)
        await tasks.stop()
        assert ended == [0, 1, 2, 3, 4]
        await tasks.stop()

    asyncio.run(scenario())


def test_stop_when_a_task_starts_another_on_its_way_out_then_that_ends_too() -> None:
    async def scenario() -> None:
        tasks, clock = LoopTasks(), TestClock()
        ended: list[str] = []

        async def late() -> None:
            try:
                await clock.sleep(3_600_000)
            finally:
                ended.append("late")

        async def work() -> None:
            try:
                await clock.sleep(3_600_000)
            finally:
                tasks.spawn(late(), "late")
                await clock.sleep(0)
                await clock.sleep(0)

        tasks.spawn(work(), "work")
        await clock.sleep(0)
        await tasks.stop()
        assert ended == ["late"]

    asyncio.run(scenario())


def test_spawn_when_a_task_fails_then_it_is_logged_by_name_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        tasks, clock = LoopTasks(), TestClock()
        done: list[str] = []

        async def fail() -> None:
            raise ValueError("broken")

        async def succeed() -> None:
            await clock.sleep(0)
            done.append("well")

        tasks.spawn(fail(), "the bad one")
        tasks.spawn(succeed(), "the good one")
        for _ in range(5):
            await clock.sleep(0)
        assert done == ["well"]
        await tasks.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    [record] = caplog.records
    assert "the bad one" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


def test_spawn_when_a_task_is_cancelled_then_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        tasks, clock = LoopTasks(), TestClock()
        tasks.spawn(clock.sleep(3_600_000), "sleeper")
        await clock.sleep(0)
        await tasks.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert caplog.records == []
