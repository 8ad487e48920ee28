"""Health and metrics of the server itself: requests by operation and outcome, latencies, the lag of the event loop."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

LAG_SAMPLE_S: Final = 0.5
_LATENCY_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_BUCKET_NAMES: Final = (*map(floatToGoString, _LATENCY_BUCKETS_S), "+Inf")


class _Latencies:
    """How long the requests of one operation took."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * len(_BUCKET_NAMES)
        self.sum_s = 0.0


class RequestMetrics(Collector):
    """Counts what the exchange does.

    Cost of one observation: 0.5 us, because the counts are plain numbers until somebody asks (the library's own take 3 us, for locks
    that one event loop does not need).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._latencies: dict[str, _Latencies] = {}
        registry.register(self)

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one request."""
        key = (operation, outcome)
        counts = self._counts
        counts[key] = counts.get(key, 0) + 1
        latencies = self._latencies.get(operation)
        if latencies is None:
            latencies = self._latencies[operation] = _Latencies()
        latencies.counts[bisect_left(_LATENCY_BUCKETS_S, seconds)] += 1
        latencies.sum_s += seconds

    def collect(self) -> Iterator[Metric]:
        """The counts, as the registry wants them."""
        requests = CounterMetricFamily(
            "penstock_requests", "Requests by operation and outcome.", labels=["operation", "outcome"]
        )
        for key, count in self._counts.items():
            requests.add_metric(key, count)
        yield requests
        seconds = HistogramMetricFamily(
            "penstock_request_seconds", "Time from a request's last byte to its answer.", labels=["operation"]
        )
        for operation, latencies in self._latencies.items():
            buckets = list(zip(_BUCKET_NAMES, map(float, accumulate(latencies.counts)), strict=True))
            seconds.add_metric([operation], buckets, latencies.sum_s)
        yield seconds


async def measure_lag(registry: CollectorRegistry, monotonic_s: Callable[[], float]) -> None:
    """Keep a gauge of how late the event loop is.  It measures real time, whatever the service's clock says."""
    lag = Gauge("penstock_event_loop_lag_seconds", "How late a timer last fired.", registry=registry)
    while True:
        asked_s = monotonic_s()
        await asyncio.sleep(LAG_SAMPLE_S)
        lag.set(max(0.0, monotonic_s() - asked_s - LAG_SAMPLE_S))
