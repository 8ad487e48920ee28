"""The simulated loop: virtual time, one order, and no run that hangs."""

import asyncio
from collections.abc import Callable

import pytest

from penstock.host.sim.clock import EPOCH_MS, SimClock
from penstock.host.sim.loop import Halted, SimLoop, Stuck
from penstock.host.sim.tasks import SimTasks

HOUR_MS = 3_600_000


def test_sleep_when_nothing_else_is_ready_then_time_jumps() -> None:
    loop = SimLoop()
    clock = SimClock(loop)

    async def work() -> None:
        await clock.sleep(50 * HOUR_MS)

    loop.run(work(), within_ms=100 * HOUR_MS)
    assert clock.now_ms() == EPOCH_MS + 50 * HOUR_MS


def test_sleepers_when_their_times_differ_then_they_wake_in_that_order_and_else_in_their_own() -> None:
    loop = SimLoop()
    clock = SimClock(loop)
    woken: list[str] = []

    async def sleeper(name: str, duration_ms: int) -> None:
        await clock.sleep(duration_ms)
        woken.append(name)

    async def work() -> None:
        tasks = [loop.create_task(sleeper(name, ms)) for name, ms in (("c", 3), ("a", 1), ("b", 2))]
        tasks += [loop.create_task(sleeper(f"d{number}", 5)) for number in range(10)]
        for task in tasks:
            await task

    loop.run(work())
    assert woken == ["a", "b", "c", *(f"d{number}" for number in range(10))]


def test_jump_when_the_clock_is_set_back_then_sleepers_do_not_care() -> None:
    loop = SimLoop()
    clock = SimClock(loop)

    async def work() -> None:
        clock.jump(-HOUR_MS)
        await clock.sleep(10)

    loop.run(work())
    assert clock.now_ms() == EPOCH_MS - HOUR_MS + 10


def test_run_when_nobody_can_ever_go_on_then_it_says_who_waits() -> None:
    loop = SimLoop()

    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match=r"test_sim_loop\.py"):
        loop.run(work())
    loop.drop_everything()


def test_run_when_the_time_is_over_then_it_says_so() -> None:
    loop = SimLoop()
    clock = SimClock(loop)

    async def work() -> None:
        while True:
            await clock.sleep(1000)

    with pytest.raises(Stuck, match="not done in time"):
        loop.run(work(), within_ms=10_000)
    loop.drop_everything()


def test_halt_after_when_the_steps_are_done_then_the_world_ends_between_two_awaits() -> None:
    def steps_of(limit: int) -> int:
        loop = SimLoop()
        clock = SimClock(loop)
        done = 0

        async def work() -> None:
            nonlocal done
            while True:
                await clock.sleep(0)
                done += 1

        loop.halt_after(limit)
        with pytest.raises(Halted):
            loop.run(work())
        loop.drop_everything()
        return done

    assert [steps_of(limit) for limit in (1, 2, 3, 10)] == [0, 1, 2, 9]


def test_drop_everything_when_tasks_wait_then_they_unwind_in_the_order_of_their_start() -> None:
    loop = SimLoop()
    ended: list[int] = []

    async def waiter(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def work() -> None:
        for number in range(5):
            loop.create_task(waiter(number))
        await SimClock(loop).sleep(1)
        loop.halt()
        await asyncio.Event().wait()

    with pytest.raises(Halted):
        loop.run(work())
    loop.drop_everything()
    assert ended == [0, 1, 2, 3, 4]


def test_tasks_when_one_fails_then_it_is_kept_and_the_others_go_on() -> None:
    loop = SimLoop()
    tasks = SimTasks()

    async def fail() -> None:
        raise ValueError("it failed")

    async def wait() -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        tasks.spawn(fail(), "one")
        tasks.spawn(wait(), "two")
        await SimClock(loop).sleep(1)
        await tasks.stop()

    loop.run(work())
    [(name, error)] = tasks.failures
    assert (name, str(error)) == ("one", "it failed")


def test_locks_and_timeouts_of_asyncio_when_used_then_they_work_on_virtual_time() -> None:
    loop = SimLoop()
    lock = asyncio.Lock()
    order: list[str] = []

    async def holder(name: str) -> None:
        async with lock:
            order.append(name)
            await SimClock(loop).sleep(1000)

    async def work() -> None:
        tasks = [loop.create_task(holder(name)) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.Event().wait()
        for task in tasks:
            await task

    loop.run(work())
    assert order == ["a", "b"]


def test_callbacks_when_they_raise_then_the_loop_keeps_the_complaint() -> None:
    loop = SimLoop()

    def fail(value: Callable[[], None]) -> None:
        value()

    async def work() -> None:
        loop.call_soon(fail, lambda: [][1])
        await SimClock(loop).sleep(1)

    loop.run(work())
    assert len(loop.complaints) == 1
