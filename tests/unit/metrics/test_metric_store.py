"""The store: what is put is read back, before and after it was written, and nothing grows without bound."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.core.limits import DAY_MS, HOUR_MS, METRIC_PENDING_MAX, MINUTE_MS
from penstock.engines.api import MetaUnavailable, Write
from penstock.engines.memory import MemoryMeta
from penstock.host.clock import TestClock
from penstock.services.metrics.aggregate import Aggregate
from penstock.services.metrics.series import HOURS, SERIES, Metric, Place
from penstock.services.metrics.store import MetricStore, Series

HERE = Place(AccountId("123456789012"), Region("us-east-1"))
METRIC = Metric.of("App", "Latency", {"b": "2", "a": "1"})


class Flaky(MemoryMeta):
    """A MetaStore whose commits fail on demand."""

    broken = False

    async def commit(self, writes: Any) -> None:
        if self.broken:
            raise MetaUnavailable("the disk is full")
        await super().commit(writes)


class World:
    def __init__(self, series_max: int = 100) -> None:
        self.clock = TestClock()
        self.clock.stand()  # or a minute may end in between
        self.meta = Flaky()
        self.series_max = series_max
        self.store = MetricStore(self.meta, self.clock, series_max)

    @property
    def minute(self) -> int:
        return self.clock.now_ms() // MINUTE_MS

    async def reopen(self) -> None:
        self.store = MetricStore(self.meta, self.clock, self.series_max)
        await self.store.open()

    def put(self, value: float, metric: Metric = METRIC, ago_ms: int = 0) -> Series:
        data = Aggregate()
        data.add(value)
        series = self.store.series(HERE, metric, "None")
        self.store.record(series, self.clock.now_ms() - ago_ms, data)
        return series

    async def values(self, metric: Metric = METRIC) -> list[float]:
        """The sums of all minutes that are kept."""
        units = self.store.metrics(HERE).get(metric, {})
        found = await self.store.read(list(units.values()), 0, self.minute + 200)
        return [data.total for data in found.values()]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_data_when_it_is_put_then_it_is_read_before_and_after_it_was_written() -> None:
    async def scenario() -> None:
        world = World()
        world.put(1)
        world.put(2)
        assert await world.values() == [3]
        await world.store.flush()
        assert await world.values() == [3]
        world.put(4)
        assert await world.values() == [7]
        await world.store.flush()
        await world.reopen()
        assert await world.values() == [7]

    run(scenario())


def test_data_when_it_is_of_the_past_then_it_joins_its_own_minute() -> None:
    async def scenario() -> None:
        world = World()
        world.put(1, ago_ms=13 * DAY_MS)
        world.put(2)
        await world.store.flush()
        world.put(3, ago_ms=13 * DAY_MS)
        assert await world.values() == [4, 2]

    run(scenario())


def test_flush_when_the_disk_refuses_then_nothing_is_lost_and_memory_stays_bounded() -> None:
    async def scenario() -> None:
        world = World()
        world.put(1)
        await world.store.admit(METRIC_PENDING_MAX)
        world.meta.broken = True
        with pytest.raises(MetaUnavailable):
            await world.store.flush()
        with pytest.raises(MetaUnavailable):
            await world.store.admit(1)
        world.meta.broken = False
        await world.store.admit(1)
        await world.reopen()
        assert await world.values() == [1]

    run(scenario())


def test_flush_when_another_process_has_written_the_same_hour_then_both_are_kept() -> None:
    async def scenario() -> None:
        world, other = World(), World()
        other.meta = world.meta
        await other.reopen()
        world.put(1)
        other.put(2)
        await asyncio.gather(world.store.flush(), other.store.flush())
        assert await world.values() == [3]

    run(scenario())


def test_series_when_there_are_too_many_then_new_ones_are_refused_while_all_are_busy() -> None:
    async def scenario() -> None:
        world = World(series_max=3)
        for number in range(3):
            world.put(1, Metric("App", f"m{number}"))
        with pytest.raises(ServiceError) as caught:
            world.put(1, Metric("App", "m3"))
        assert caught.value.code == "ThrottlingException"
        world.put(1, Metric("App", "m0"))

    run(scenario())


def test_series_when_there_are_too_many_then_the_one_idle_longest_makes_room() -> None:
    async def scenario() -> None:
        world = World(series_max=3)
        for number in range(3):
            world.put(1, Metric("App", f"m{number}"))
            await world.store.flush()
            world.clock.advance(5 * HOUR_MS)
        world.put(1, Metric("App", "new"))
        assert [metric.name for metric in world.store.metrics(HERE)] == ["m1", "m2", "new"]
        await world.store.flush()
        await world.reopen()
        assert {metric.name for metric in world.store.metrics(HERE)} == {"m1", "m2", "new"}

    run(scenario())


def test_sweep_when_data_is_older_than_15_days_then_it_is_gone_from_the_disk() -> None:
    async def scenario() -> None:
        world = World()
        await world.store.sweep()
        world.put(1)
        world.put(1, Metric("App", "other"))
        await world.store.flush()
        world.clock.advance(10 * DAY_MS)
        world.put(2)
        await world.store.flush()
        world.clock.advance(6 * DAY_MS)
        await world.store.sweep()
        await world.store.flush()
        assert await world.values() == [2]
        assert len(await world.meta.scan(HOURS)) == 1
        assert len(await world.meta.scan(SERIES)) == 1

    run(scenario())


def test_sweep_when_the_clock_has_gone_far_ahead_then_it_ends_soon() -> None:
    async def scenario() -> None:
        world = World()
        await world.store.sweep()
        world.put(1)
        await world.store.flush()
        world.clock.advance(100 * 366 * DAY_MS)
        await world.store.sweep()
        assert await world.meta.scan(HOURS) == []

    run(scenario())


def test_clear_when_called_then_the_store_is_empty() -> None:
    async def scenario() -> None:
        world = World()
        world.put(1)
        await world.store.flush()
        await world.meta.commit([Write("streams/x", b"", 0)])
        await world.store.clear()
        assert [key for key, _ in await world.meta.scan("")] == ["streams/x"]
        assert await world.values() == []

    run(scenario())
