"""What clients measure: numbers with names and dimensions, gathered into statistic sets until somebody takes them.

Theory.  A measurement is a number with a name, a unit, a level and dimensions.  Numbers with the same name and dimensions become one
statistic set (count, sum, smallest, largest) until they are taken away, so memory depends on the number of series and not on traffic.
Dimensions are a path, from the general to the particular: (StreamName, orders), (ShardId, 7).  With `rolls_up` a number counts at each
station of its path as well, from the first `Metric.rooted` dimensions on; that is worked out when numbers are taken, so measuring costs
one addition.
Rules of this file:
  1. Pure: measuring never fails and never blocks.
  2. Beyond SERIES_MAX new series are left out.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

SERIES_MAX: Final = 10_000

Dimensions = tuple[tuple[str, str], ...]


class Level(IntEnum):
    """How much is measured."""

    NONE = 0
    SUMMARY = 1
    DETAILED = 2


class Metric(NamedTuple):
    """What can be measured."""

    name: str
    unit: str  # as CloudWatch names it: Count, Bytes, Milliseconds, ...
    level: Level
    rooted: int = 0  # how many of the first dimensions belong to the name: without them there is no series


@dataclass(slots=True)
class Statistics:
    """A statistic set."""

    count: int = 0
    total: float = 0.0
    smallest: float = 0.0
    largest: float = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Take a number that was measured `times` times."""
        self.merge(Statistics(times, value * times, value, value))

    def merge(self, other: "Statistics") -> None:
        """Take what another set holds."""
        if not other.count:
            return
        self.smallest = min(self.smallest, other.smallest) if self.count else other.smallest
        self.largest = max(self.largest, other.largest) if self.count else other.largest
        self.count += other.count
        self.total += other.total


class Datum(NamedTuple):
    """One series, since it was last taken."""

    metric: Metric
    dimensions: Dimensions
    statistics: Statistics


class Meter:
    """What is measured, until it is taken.  To be used by one thread at a time."""

    def __init__(self, level: Level, *, rolls_up: bool) -> None:
        self._level = level
        self._rolls_up = rolls_up
        self._series: dict[tuple[Metric, Dimensions], Statistics] = {}
        self._full = False

    def put(self, metric: Metric, value: float, dimensions: Dimensions = (), times: int = 1) -> None:
        """Count a number, measured `times` times."""
        if metric.level <= self._level:
            self.merge(Datum(metric, dimensions, Statistics(times, value * times, value, value)))

    def merge(self, datum: Datum) -> None:
        """Count what was gathered elsewhere, or could not be delivered."""
        if datum.metric.level > self._level:
            return
        held = self._series.get((datum.metric, datum.dimensions))
        if held is None:
            if len(self._series) >= SERIES_MAX:
                self._leave_out(datum)
                return
            held = self._series[datum.metric, datum.dimensions] = Statistics()
        held.merge(datum.statistics)

    def _leave_out(self, datum: Datum) -> None:
        if not self._full:
            logger.warning("more than %d series are measured; %s is left out", SERIES_MAX, datum.metric.name)
        self._full = True

    def take(self) -> list[Datum]:
        """Everything that was measured since the last time, rolled up."""
        taken, self._series = self._series, {}
        data = [Datum(metric, dimensions, held) for (metric, dimensions), held in taken.items()]
        return gathered(station for datum in data for station in _stations(datum)) if self._rolls_up else data


def _stations(datum: Datum) -> Iterable[Datum]:
    """A datum at each station of its path."""
    metric, dimensions, held = datum
    for depth in range(min(metric.rooted, len(dimensions)), len(dimensions) + 1):
        yield Datum(metric, dimensions[:depth], held)


def gathered(data: Iterable[Datum]) -> list[Datum]:
    """Each series once, with all that was measured of it."""
    found: dict[tuple[Metric, Dimensions], Statistics] = {}
    for metric, dimensions, held in data:
        found.setdefault((metric, dimensions), Statistics()).merge(held)
    return [Datum(metric, dimensions, held) for (metric, dimensions), held in found.items()]
