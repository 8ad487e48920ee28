"""Health and metrics of the server itself: requests by operation and outcome, latencies, the lag of the event loop.

Rule of this file: the Prometheus library is imported by the first scrape, because most servers see none and it takes a tenth of a start.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from prometheus_client.core import Metric

LAG_SAMPLE_S: Final = 0.5
_LATENCY_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Collector(Protocol):
    """Whoever has figures to tell."""

    def collect(self) -> "Iterable[Metric]":
        """Its figures as they are now."""
        ...


def scraped(collectors: Iterable[Collector]) -> bytes:
    """What collectors tell, in Prometheus's text form."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector as Registered

    class Told(Registered):
        def collect(self) -> "Iterator[Metric]":
            for collector in collectors:
                yield from collector.collect()

    registry = CollectorRegistry()
    registry.register(Told())
    return generate_latest(registry)


class Gauge:
    """One figure."""

    def __init__(self, name: str, doc: str, value: float) -> None:
        self._name = name
        self._doc = doc
        self._value = value

    def collect(self) -> "Iterator[Metric]":
        """The figure."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily(self._name, self._doc, value=self._value)


class _Latencies:
    """How long the requests of one operation took."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0


class RequestMetrics:
    """Counts what the exchange does.

    Cost of one observation: 0.5 us, because the counts are plain numbers until somebody asks (the library's own take 3 us, for locks
    that one event loop does not need).
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._latencies: dict[str, _Latencies] = {}

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one request."""
        self.observe_all(operation, outcome, (seconds,))

    def observe_all(self, operation: str, outcome: str, seconds: Sequence[float]) -> None:
        """Count requests of one operation that ended alike, and how long each took."""
        key = (operation, outcome)
        counts = self._counts
        counts[key] = counts.get(key, 0) + len(seconds)
        latencies = self._latencies.get(operation)
        if latencies is None:
            latencies = self._latencies[operation] = _Latencies()
        for each in seconds:
            latencies.counts[bisect_left(_LATENCY_BUCKETS_S, each)] += 1
        latencies.sum_s += sum(seconds)

    def collect(self) -> "Iterator[Metric]":
        """The counts as they are now."""
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
        from prometheus_client.utils import floatToGoString

        requests = CounterMetricFamily(
            "penstock_requests", "Requests by operation and outcome.", labels=["operation", "outcome"]
        )
        for key, count in self._counts.items():
            requests.add_metric(key, count)
        yield requests
        seconds = HistogramMetricFamily(
            "penstock_request_seconds", "Time from a request's last byte to its answer.", labels=["operation"]
        )
        names = (*map(floatToGoString, _LATENCY_BUCKETS_S), "+Inf")
        for operation, latencies in self._latencies.items():
            buckets = list(zip(names, map(float, accumulate(latencies.counts)), strict=True))
            seconds.add_metric([operation], buckets, latencies.sum_s)
        yield seconds


class LoopLag:
    """How late the event loop is.  It measures real time, whatever the service's clock says."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._monotonic_s = monotonic_s

    async def measure(self) -> None:
        """Look at it again and again."""
        while True:
            asked_s = self._monotonic_s()
            await asyncio.sleep(LAG_SAMPLE_S)
            self.seconds = max(0.0, self._monotonic_s() - asked_s - LAG_SAMPLE_S)
