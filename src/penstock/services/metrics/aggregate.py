"""Aggregates: what is kept of the values of one metric in one minute.

Theory.  An aggregate is a count, a sum, the lowest and the highest value, and a histogram for percentiles.  Aggregates of the same data
are the same however the data was split and in whatever order it came, but for the rounding of sums; so minutes merge into periods.
The histogram has buckets of equal ratio: a percentile is told within 1 %.  Where more than BUCKETS_MAX are filled, each two neighbours
become one, at which the error doubles; how far that went depends on the data alone.
Rules of this file:
  1. Pure; values are finite, and counts above 0.
  2. A minute holds percentiles only if every value in it is known and none is negative, as on AWS: a statistic set tells its values only
     where its lowest is its highest.
  3. The fields are part of the data directory's format: add with a default, never rename or move.
"""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

RATIO: Final = 1.02  # of a bucket's end to its start
BUCKETS_MAX: Final = 128
_LOG_RATIO: Final = math.log(RATIO)


class Aggregate(msgspec.Struct, array_like=True):
    """The values of one metric in some time.  A new one is empty."""

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    buckets: dict[int, float] | None = msgspec.field(default_factory=dict)  # counts by bucket; None: no percentiles
    zeros: float = 0.0  # how many values were 0
    halvings: int = 0  # how often neighbouring buckets became one

    def add(self, value: float, count: float = 1.0) -> None:
        """Take in a value that occurred `count` times.  Cost: 0.6 us."""
        self.count += count
        self.total += value * count
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value
        if self.buckets is None:
            return
        if value > 0:
            place = -(-math.ceil(math.log(value) / _LOG_RATIO) >> self.halvings)
            self.buckets[place] = self.buckets.get(place, 0.0) + count
            if len(self.buckets) > BUCKETS_MAX:
                self._halve()
        elif value == 0:
            self.zeros += count
        else:
            self._forget_values()

    def add_set(self, count: float, total: float, low: float, high: float) -> None:
        """Take in a statistic set."""
        if low == high:
            self.add(low, count)
            self.total += total - low * count
            return
        self.count += count
        self.total += total
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._forget_values()

    def merge(self, other: "Aggregate") -> None:
        """Take in the values of another, which stays as it is."""
        self.count += other.count
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        if self.buckets is None or other.buckets is None:
            self._forget_values()
            return
        self.zeros += other.zeros
        while self.halvings < other.halvings:
            self._halve()
        shift = self.halvings - other.halvings
        for place, count in other.buckets.items():
            here = -(-place >> shift)
            self.buckets[here] = self.buckets.get(here, 0.0) + count
        while len(self.buckets) > BUCKETS_MAX:
            self._halve()

    def _halve(self) -> None:
        assert self.buckets is not None
        halved: dict[int, float] = {}
        for place, count in self.buckets.items():
            here = -(-place >> 1)
            halved[here] = halved.get(here, 0.0) + count
        self.buckets = halved
        self.halvings += 1

    def _forget_values(self) -> None:
        self.buckets, self.zeros, self.halvings = None, 0.0, 0

    def percentile(self, share: float) -> float | None:
        """The lowest value that at least `share` (0 .. 1) of the values do not exceed; None where the values are not known."""
        if self.buckets is None or not self.count:
            return None
        if share in (0, 1):
            return self.high if share else self.low
        wanted = share * (self.zeros + sum(self.buckets.values()))
        passed = self.zeros
        if passed and passed >= wanted:
            return max(0.0, self.low)
        for place in sorted(self.buckets):
            passed += self.buckets[place]
            if passed >= wanted:
                return self._value_at(place)
        return self.high

    def _value_at(self, place: int) -> float:
        """The middle of a bucket, so that no value in it is further away than half its ratio."""
        width = 1 << self.halvings
        ratio = RATIO**width
        middle = 2 * math.exp(place * width * _LOG_RATIO) / (1 + ratio)
        return min(max(middle, self.low), self.high)


def merged(parts: Iterable[Aggregate]) -> Aggregate:
    """One aggregate of several."""
    whole = Aggregate()
    for part in parts:
        whole.merge(part)
    return whole
