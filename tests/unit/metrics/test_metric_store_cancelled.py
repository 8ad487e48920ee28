"""A flush that is cut off at any point: nothing is lost, and nothing counted twice."""

import asyncio
from pathlib import Path

import pytest

from penstock.core.ids import AccountId, Region
from penstock.core.limits import MINUTE_MS
from penstock.engines.local.meta import SqliteMeta
from penstock.host.clock import TestClock
from penstock.services.metrics.aggregate import Aggregate
from penstock.services.metrics.series import Metric, Place
from penstock.services.metrics.store import MetricStore

HERE = Place(AccountId("123456789012"), Region("us-east-1"))
SERIES = 40


def put(store: MetricStore, now_ms: int) -> None:
    for number in range(SERIES):
        data = Aggregate()
        data.add(1)
        store.record(store.series(HERE, Metric("App", f"m{number}"), "None"), now_ms, data)


async def totals(store: MetricStore, now_ms: int) -> set[float]:
    """The sums that the series have."""
    found, minute = set(), now_ms // MINUTE_MS
    for one in list(store.all()):
        minutes = await store.read([one], minute - 60, minute + 1)
        found.add(sum(data.total for data in minutes.values()))
    return found


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 40, 60, 80, 100, 200])
def test_flush_when_it_is_cancelled_then_nothing_is_lost_or_counted_twice(tmp_path: Path, turns: int) -> None:
    async def scenario() -> None:
        clock, meta = TestClock(), await SqliteMeta.open(tmp_path / "meta.sqlite")
        store = MetricStore(meta, clock, 1000)
        await store.open()
        put(store, clock.now_ms())
        await store.flush()
        put(store, clock.now_ms())
        flush = asyncio.get_running_loop().create_task(store.flush())
        for _ in range(turns):
            await clock.sleep(0)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
        assert await totals(store, clock.now_ms()) == {2.0}
        await store.flush()
        again = MetricStore(meta, clock, 1000)
        await again.open()
        assert await totals(again, clock.now_ms()) == {2.0}
        await meta.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))
