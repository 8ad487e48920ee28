"""Exposition: the metrics that are kept, as Prometheus reads them at GET /metrics.

Theory.  Namespace and name of a metric become one name, its dimensions labels beside account, region and unit; it is a summary (count and
sum of the values that this process took) and a gauge, the highest value of its newest minute.
Rules of this file:
  1. What is told is valid whatever names clients chose: other characters become `_`, labels that meet are told apart by more of them,
     and of two metrics that cannot be told apart only the first is told.
  2. Bounded: EXPORTED_MAX series with data of the last hour; how many were left out is told too.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from penstock.core.limits import HOUR_MS, MINUTE_MS
from penstock.services.metrics.service import Metrics
from penstock.services.metrics.store import Series

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX: Final = "penstock_cloudwatch"
EXPORTED_MAX: Final = 2000
_UNFIT = re.compile(r"[^a-zA-Z0-9_]+")
_OWN_LABELS: Final = ("account", "region", "unit")


class Exposition:
    """Tells the metrics of a service."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> "Iterator[Metric]":
        """Every family."""
        from prometheus_client.core import GaugeMetricFamily

        metrics = self._metrics
        since = (metrics.clock.now_ms() - HOUR_MS) // MINUTE_MS
        series = [one for one in metrics.store.all() if one.minute >= since]
        families: dict[str, dict[tuple[tuple[str, str], ...], Series]] = {}
        for one in series[:EXPORTED_MAX]:
            name = f"{PREFIX}_{fitted(one.metric.namespace)}_{fitted(one.metric.name)}".lower()
            families.setdefault(name, {}).setdefault(tuple(sorted(labels_of(one).items())), one)
        told = sum(map(len, families.values()))
        for name, members in families.items():
            yield from _family(name, members)
        yield GaugeMetricFamily(f"{PREFIX}_series", "Series that are kept.", value=sum(1 for _ in metrics.store.all()))
        left_out = len(series) - told
        yield GaugeMetricFamily(
            f"{PREFIX}_series_left_out", "Series with recent data that are not told.", value=left_out
        )


def _family(name: str, members: dict[tuple[tuple[str, str], ...], Series]) -> "Iterator[Metric]":
    from prometheus_client.core import Metric

    metric = next(iter(members.values())).metric
    about = f"{metric.name} of {metric.namespace}"
    taken = Metric(name, f"{about}: what this process took.", "summary")
    newest = Metric(f"{name}_maximum", f"{about}: the highest value of its newest minute.", "gauge")
    for labels, one in members.items():
        taken.add_sample(f"{name}_count", dict(labels), one.count)
        taken.add_sample(f"{name}_sum", dict(labels), one.total)
        newest.add_sample(newest.name, dict(labels), one.high)
    yield taken
    yield newest


def labels_of(series: Series) -> dict[str, str]:
    """The labels of a series."""
    labels = dict(zip(_OWN_LABELS, (*series.place, series.unit), strict=True))
    for name, value in series.metric.dimensions:
        label = fitted(name)
        while label in labels:
            label += "_"
        labels[label] = value
    return labels


def fitted(name: str) -> str:
    """A name of letters, digits and `_` that begins with no digit."""
    plain = _UNFIT.sub("_", name).strip("_")
    return plain if plain and not plain[0].isdigit() else "x" + plain
