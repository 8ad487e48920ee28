"""The metrics service: what its operations share, put together once."""

from msgspec import Struct

from penstock.core.ports import Clock, Tasks
from penstock.engines.api import MetaStore
from penstock.services.metrics.store import MetricStore


class Metrics(Struct, frozen=True):
    """Everything that an operation of this service may need."""

    store: MetricStore
    clock: Clock

    async def clear(self) -> None:
        """Forget every metric.  Background work must have been stopped."""
        await self.store.clear()

    async def close(self) -> None:
        """Write what is in memory.  Background work must have been stopped.  Raises MetaUnavailable, Conflict."""
        await self.store.flush()


async def open_metrics(meta: MetaStore, *, clock: Clock, tasks: Tasks, series_max: int) -> Metrics:
    """Start the service: read which metrics there are, begin the background work."""
    store = MetricStore(meta, clock, series_max)
    await store.open()
    tasks.spawn(store.run(), "metrics")
    return Metrics(store, clock)
