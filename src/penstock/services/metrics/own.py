"""Metrics of Penstock's own services, as AWS's services have them: kept beside those that clients put, under namespaces of AWS."""

import logging
from collections.abc import Mapping
from typing import Protocol

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.services.metrics.aggregate import Aggregate
from penstock.services.metrics.series import Metric, Place
from penstock.services.metrics.store import MetricStore

logger = logging.getLogger(__name__)


class Sampled(Protocol):
    """Values that were added up."""

    @property
    def count(self) -> float:
        """How many."""
        ...

    @property
    def total(self) -> float:
        """Their sum."""
        ...

    @property
    def low(self) -> float:
        """The lowest."""
        ...

    @property
    def high(self) -> float:
        """The highest."""
        ...


class Measured(Protocol):
    """One figure of a service's."""

    @property
    def name(self) -> str:
        """The metric's name."""
        ...

    @property
    def unit(self) -> str:
        """Its unit."""
        ...

    @property
    def sample(self) -> Sampled:
        """The values."""
        ...


class OwnMetrics:
    """The metrics of one of AWS's namespaces."""

    def __init__(self, store: MetricStore, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._full = False

    def take(
        self, account: AccountId, region: Region, dimensions: Mapping[str, str], at_ms: Millis, measure: Measured
    ) -> None:
        """Keep a figure of the minute of `at_ms`; one that there is no room for is dropped."""
        metric, sample = Metric.of(self._namespace, measure.name, dict(dimensions)), measure.sample
        try:
            series = self._store.series(Place(account, region), metric, measure.unit)
        except ServiceError as refused:
            if not self._full:
                logger.warning("metrics of %s are not kept for now: %s", self._namespace, refused.message)
            self._full = True
            return
        self._full = False
        data = Aggregate()
        data.add_set(sample.count, sample.total, sample.low, sample.high)
        self._store.record(series, at_ms, data)
