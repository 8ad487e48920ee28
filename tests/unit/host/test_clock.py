"""Clocks: sleepers of a TestClock wake in order when it is advanced, and by themselves as real time passes."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from penstock.host.clock import SystemClock, TestClock, monotonic_s

HOUR_MS = 3_600_000
HANG_S = 60


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run one scenario; one that hangs fails."""

    async def guarded() -> None:
        async with asyncio.timeout(HANG_S):
            await scenario

    asyncio.run(guarded())


def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start work beside the scenario."""
    return asyncio.get_running_loop().create_task(work)


async def turns(clock: TestClock, count: int = 5) -> None:
    """Let the other tasks run."""
    for _ in range(count):
        await clock.sleep(0)


class Sleepers:
    """Tasks that sleep and then say so."""

    def __init__(self, clock: TestClock) -> None:
        self.clock = clock
        self.woken: list[str] = []

    def begin(self, name: str, duration_ms: int) -> asyncio.Task[Any]:
        async def sleep() -> None:
            await self.clock.sleep(duration_ms)
            self.woken.append(name)

        return begin(sleep())


def test_advance_when_it_passes_several_sleepers_then_they_wake_in_the_order_of_their_times() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleepers = Sleepers(clock)
        tasks = [sleepers.begin(name, hours * HOUR_MS) for name, hours in (("c", 3), ("a", 1), ("d", 9), ("b", 2))]
        await turns(clock)
        clock.advance(4 * HOUR_MS)
        await turns(clock)
        assert sleepers.woken == ["a", "b", "c"]
        clock.advance(5 * HOUR_MS)
        await turns(clock)
        assert sleepers.woken == ["a", "b", "c", "d"]
        assert all(task.done() for task in tasks)

    run(scenario())


def test_advance_when_sleepers_sleep_equally_long_then_they_wake_in_the_order_in_which_they_fell_asleep() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleepers = Sleepers(clock)
        tasks = [sleepers.begin(f"{number:02d}", HOUR_MS) for number in range(20)]
        await turns(clock)
        clock.advance(2 * HOUR_MS)
        for task in tasks:
            await task
        assert sleepers.woken == sorted(sleepers.woken)

    run(scenario())


def test_advance_when_it_does_not_reach_a_sleeper_then_that_one_sleeps_on() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleepers = Sleepers(clock)
        sleeping = sleepers.begin("a", HOUR_MS)
        await turns(clock)
        clock.advance(HOUR_MS - 10_000)
        await turns(clock)
        assert sleepers.woken == []
        clock.advance(10_000)
        await sleeping

    run(scenario())


def test_advance_when_a_sleeper_was_cancelled_then_the_others_wake() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleepers = Sleepers(clock)
        tasks = [sleepers.begin(str(number), number * HOUR_MS) for number in (1, 2, 3)]
        await turns(clock)
        tasks[0].cancel()
        tasks[1].cancel()
        await turns(clock)
        clock.advance(5 * HOUR_MS)
        await tasks[2]
        assert sleepers.woken == ["3"]

    run(scenario())


def test_advance_when_a_woken_sleeper_sleeps_again_then_its_time_counts_from_then() -> None:
    async def scenario() -> None:
        clock = TestClock()
        times: list[int] = []

        async def tick() -> None:
            while True:
                await clock.sleep(HOUR_MS)
                times.append(clock.now_ms())

        ticking = begin(tick())
        await turns(clock)
        for _ in range(3):
            clock.advance(HOUR_MS)
            await turns(clock)
        assert len(times) == 3
        assert all(after - before >= HOUR_MS for before, after in itertools.pairwise(times))
        ticking.cancel()

    run(scenario())


def test_now_when_advanced_then_it_moves_by_that_and_goes_on_with_real_time() -> None:
    clock, system = TestClock(), SystemClock()
    before_ms = system.now_ms()
    clock.advance(HOUR_MS)
    now_ms = clock.now_ms()
    assert before_ms + HOUR_MS <= now_ms <= system.now_ms() + HOUR_MS
    clock.reset()
    assert before_ms <= clock.now_ms() <= system.now_ms()


def test_advance_when_it_would_go_back_then_it_is_refused() -> None:
    with pytest.raises(AssertionError):
        TestClock().advance(-1)


def test_sleep_when_nobody_advances_then_real_time_wakes_it() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleepers = Sleepers(clock)
        before_ms, before_s = clock.now_ms(), monotonic_s()
        tasks = [sleepers.begin("later", 30), sleepers.begin("sooner", 10), sleepers.begin("never", HOUR_MS)]
        await tasks[0]
        assert sleepers.woken == ["sooner", "later"]
        assert clock.now_ms() >= before_ms + 30
        assert monotonic_s() - before_s >= 0.028
        tasks[2].cancel()

    run(scenario())


def test_sleep_when_part_of_it_is_advanced_then_real_time_does_the_rest() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleeping = begin(clock.sleep(HOUR_MS))
        await turns(clock)
        clock.advance(HOUR_MS - 20)
        assert not sleeping.done()
        await sleeping

    run(scenario())


def test_clock_when_it_stands_then_only_an_advance_moves_it_until_a_reset() -> None:
    async def scenario() -> None:
        clock = TestClock()
        sleepers = Sleepers(clock)
        tasks = [sleepers.begin("before", 20)]
        await turns(clock)
        clock.stand()
        at_ms = clock.now_ms()
        tasks.append(sleepers.begin("after", 20))
        await SystemClock().sleep(50)
        assert (clock.now_ms(), sleepers.woken) == (at_ms, [])
        clock.advance(20)
        await asyncio.gather(*tasks)
        assert clock.now_ms() == at_ms + 20
        clock.reset()
        assert clock.now_ms() >= at_ms + 50

    run(scenario())


@pytest.mark.parametrize("duration_ms", [0, -1])
def test_sleep_when_there_is_nothing_to_sleep_then_it_gives_way_once(duration_ms: int) -> None:
    async def scenario() -> None:
        for clock in (TestClock(), SystemClock()):
            others = begin(TestClock().sleep(0))
            await clock.sleep(duration_ms)
            assert not others.done() or others.result() is None
            await others

    run(scenario())


def test_system_clock_when_slept_then_that_much_has_passed() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        before_s = monotonic_s()
        await clock.sleep(5)
        assert monotonic_s() - before_s >= 0.0045

    run(scenario())
