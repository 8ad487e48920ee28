"""Where measurements go: CloudWatch, Prometheus, or nowhere; and the clock that takes them there.

Theory.  A reporter takes from its meter at every turn and hands everything to a sink.  What the sink gives back was not delivered; it is
added to what is handed over next.
Rule of this file: a sink that fails costs nothing but its measurements' punctuality.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from penstock.clients.aws import Service
from penstock.clients.calls import CALL_ERRORS, error_text
from penstock.clients.metrics import Datum, Meter, Statistics, gathered
from penstock.core.ports import Clock

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family

logger = logging.getLogger(__name__)

DATUMS_MAX: Final = 20  # in one PutMetricData, as KPL and KCL send it
REQUEST_MAX_BYTES: Final = 38 * 1024
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_]+")


class Sink(Protocol):
    """Who wants measurements."""

    async def deliver(self, data: Sequence[Datum]) -> Sequence[Datum]:
        """Take measurements; what could not be taken."""
        ...


class Nowhere:
    """Nobody wants them."""

    async def deliver(self, data: Sequence[Datum]) -> Sequence[Datum]:
        """Forget them."""
        return ()


class CloudWatch:
    """PutMetricData of statistic sets, in requests that CloudWatch has always taken."""

    def __init__(self, service: Service, namespace: str, clock: Clock) -> None:
        self._service = service
        self._namespace = namespace
        self._clock = clock

    async def deliver(self, data: Sequence[Datum]) -> Sequence[Datum]:
        """Put them; what a failed request held is given back."""
        left: list[Datum] = []
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        for batch in requests(data):
            entries = [{**entry(datum), "Timestamp": now} for datum in batch]
            try:
                await self._service.call("put_metric_data", Namespace=self._namespace, MetricData=entries)
            except (*CALL_ERRORS, TimeoutError) as error:
                logger.warning("metrics were not uploaded, and will be later: %s", error_text(error))
                left += batch
        return left


def requests(data: Iterable[Datum]) -> Iterator[list[Datum]]:
    """Measurements as they fit into requests, DATUMS_MAX and REQUEST_MAX_BYTES each."""
    batch: list[Datum] = []
    held_bytes = 0
    for datum in data:
        size_bytes = len(msgspec.json.encode(entry(datum)))
        if batch and (len(batch) == DATUMS_MAX or held_bytes + size_bytes > REQUEST_MAX_BYTES):
            yield batch
            batch, held_bytes = [], 0
        batch.append(datum)
        held_bytes += size_bytes
    if batch:
        yield batch


def entry(datum: Datum) -> dict[str, Any]:
    """A measurement as PutMetricData takes it, without its time."""
    held = datum.statistics
    return {
        "MetricName": datum.metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions],
        "Unit": datum.metric.unit,
        "StatisticValues": {
            "SampleCount": held.count,
            "Sum": held.total,
            "Minimum": held.smallest,
            "Maximum": held.largest,
        },
    }


class Prometheus:
    """A collector of prometheus_client: each series is a summary whose labels are its dimensions.  For a meter that does not roll up."""

    def __init__(self, namespace: str) -> None:
        self._prefix = snake(namespace)
        self._held: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], Statistics]] = {}
        self._lock = Lock()  # Prometheus asks from a thread of its own

    async def deliver(self, data: Sequence[Datum]) -> Sequence[Datum]:
        """Add them to what is shown."""
        with self._lock:
            for datum in data:
                name = f"{self._prefix}_{snake(datum.metric.name)}"
                labels = tuple(snake(label) for label, _ in datum.dimensions)
                series = self._held.setdefault((name, labels), {})
                series.setdefault(tuple(value for _, value in datum.dimensions), Statistics()).merge(datum.statistics)
        return ()

    def collect(self) -> Iterator["Family"]:
        """Everything that was measured so far, for prometheus_client."""
        from prometheus_client.metrics_core import SummaryMetricFamily

        with self._lock:
            for (name, labels), series in self._held.items():
                family = SummaryMetricFamily(name, name, labels=labels)
                for values, held in series.items():
                    family.add_metric(values, held.count, held.total)
                yield family

    def register(self, registry: "CollectorRegistry | None" = None) -> Callable[[], None]:
        """Show it in a registry - prometheus_client's own, if none is named - until what is returned is called."""
        from prometheus_client import REGISTRY

        shown_in = registry or REGISTRY
        shown_in.register(self)
        return partial(shown_in.unregister, self)


def snake(text: str) -> str:
    """A name as Prometheus wants it: UserRecordsPut is user_records_put."""
    return _NO_NAME.sub("_", _WORDS.sub("_", text)).lower()


class Reporter:
    """Takes what a meter holds to a sink, again and again."""

    def __init__(self, meter: Meter, sink: Sink, clock: Clock, every_ms: int) -> None:
        self._meter = meter
        self._sink = sink
        self._clock = clock
        self._every_ms = every_ms
        self._left: Sequence[Datum] = ()

    async def run(self) -> None:
        """Report for ever."""
        while True:
            await self._clock.sleep(self._every_ms)
            await self.report()

    async def report(self) -> None:
        """Report now; once more when the program ends."""
        data = gathered([*self._left, *self._meter.take()])
        self._left = ()  # not told twice if this is cut off
        self._left = await self._sink.deliver(data) if data else ()
