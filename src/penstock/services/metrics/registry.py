"""What the services count, in Prometheus form.  A service is handed its counters; nothing here knows who counts.

Counts are plain numbers until somebody asks: one event loop needs none of the locks of the library's own counters, which take 1.5 us.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Counter:
    """A number that grows."""

    __slots__ = ("doc", "name", "value")

    def __init__(self, name: str, doc: str) -> None:
        self.name = name
        self.doc = doc
        self.value = 0

    def inc(self, count: int = 1) -> None:
        """Count.  Cost: 0.05 us."""
        self.value += count


class StreamMetrics:
    """Counters of the streams service."""

    def __init__(self) -> None:
        self._counters: list[Counter] = []
        self.records_in = self._counter("records_in", "Records written.")
        self.bytes_in = self._counter("bytes_in", "Bytes written, data and partition keys.")
        self.records_out = self._counter("records_out", "Records read.")
        self.bytes_out = self._counter("bytes_out", "Bytes read, data and partition keys.")
        self.refused_writes = self._counter("refused_writes", "Records refused because their shard was over its quota.")
        self.refused_reads = self._counter("refused_reads", "Reads refused because their shard was over its quota.")
        self.refused_calls = self._counter(
            "refused_calls", "Control-plane calls refused because their account was over its rate."
        )
        self.events_out = self._counter("events_out", "Events with records pushed to fan-out consumers.")
        self.refused_subscriptions = self._counter(
            "refused_subscriptions", "Subscriptions refused: another was too recent, or calls too frequent."
        )

    def _counter(self, name: str, doc: str) -> Counter:
        made = Counter(f"penstock_streams_{name}", doc)
        self._counters.append(made)
        return made

    def collect(self) -> "Iterator[Metric]":
        """The counts as they are now."""
        from prometheus_client.core import CounterMetricFamily

        for counter in self._counters:
            yield CounterMetricFamily(counter.name, counter.doc, value=counter.value)
