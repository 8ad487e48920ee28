"""Tallies: what the calls on a shard or stream were like since somebody last looked, for its CloudWatch metrics.

Theory.  Calls are added up as they happen: how many, the sum of their figures, the lowest and the highest.  Whoever measures takes a tally
away and leaves an empty one (measures.py).
Rules of this file: no clock and no I/O; a tally is of one size, however much is added.
Cost: 0.15 us a call, once per shard and request.
"""

import math
from collections.abc import Sequence

import msgspec

from penstock.wire.nativeparts import CallsRow


class Sample(msgspec.Struct, frozen=True):
    """Values of one figure, added up."""

    count: float
    total: float
    low: float
    high: float


def single(value: float) -> Sample:
    """A value that was seen once."""
    return Sample(1, value, value, value)


def counted(total: float, calls: float) -> Sample:
    """Occurrences within so many calls, each of which had none or some; nothing else is known of them."""
    return Sample(max(calls, 1), total, min(total, 0 if calls > 1 else total), total)


def shares(good: int, bad: int) -> Sample:
    """Calls that succeeded, as 1, and calls that did not, as 0."""
    return Sample(good + bad, good, 0 if bad else 1, 1 if good else 0)


class Figure:
    """Values that are added up."""

    __slots__ = ("count", "high", "low", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total: float = 0
        self.low: float = math.inf
        self.high: float = -math.inf

    def add(self, value: float) -> None:
        """Add a value."""
        self.count += 1
        self.total += value
        if not self.low <= value <= self.high:
            self.low, self.high = min(self.low, value), max(self.high, value)

    def merge(self, other: "Figure") -> None:
        """Add another's values."""
        self.count += other.count
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def sample(self) -> Sample:
        """What was added; only where anything was."""
        return Sample(self.count, self.total, self.low, self.high)


class Calls:
    """Calls of one kind that moved records.  It is three figures in one, since it is the hot path."""

    __slots__ = (
        "bytes_high", "bytes_low", "count", "ms_high", "ms_low", "records", "records_high", "records_low", "size_bytes", "took_ms",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = self.records = self.size_bytes = self.took_ms = 0
        self.records_low = self.bytes_low = self.ms_low = math.inf
        self.records_high = self.bytes_high = self.ms_high = -math.inf

    @classmethod
    def of(cls, row: CallsRow) -> "Calls":
        """Calls that the native part has added up."""
        calls = cls()
        calls.count = row[0]
        if calls.count:
            calls.records, calls.size_bytes, calls.took_ms = row[1]
            calls.records_low, calls.bytes_low, calls.ms_low = row[2]
            calls.records_high, calls.bytes_high, calls.ms_high = row[3]
        return calls

    def add(self, records: int, size_bytes: int, took_ms: int) -> None:
        """Add a call."""
        self.count += 1
        self.records += records
        self.size_bytes += size_bytes
        self.took_ms += took_ms
        if not self.bytes_low <= size_bytes <= self.bytes_high:
            self.bytes_low, self.bytes_high = min(self.bytes_low, size_bytes), max(self.bytes_high, size_bytes)
        if not self.ms_low <= took_ms <= self.ms_high:
            self.ms_low, self.ms_high = min(self.ms_low, took_ms), max(self.ms_high, took_ms)
        if not self.records_low <= records <= self.records_high:
            self.records_low, self.records_high = min(self.records_low, records), max(self.records_high, records)

    def add_one(self, size_bytes: int, took_ms: int) -> None:
        """Add a call that moved one record."""
        self.count += 1
        self.records += 1
        self.size_bytes += size_bytes
        self.took_ms += took_ms
        if not self.bytes_low <= size_bytes <= self.bytes_high:
            self.bytes_low, self.bytes_high = min(self.bytes_low, size_bytes), max(self.bytes_high, size_bytes)
            self.records_low, self.records_high = min(self.records_low, 1), max(self.records_high, 1)
        if not self.ms_low <= took_ms <= self.ms_high:
            self.ms_low, self.ms_high = min(self.ms_low, took_ms), max(self.ms_high, took_ms)

    def add_ones(self, sizes_bytes: Sequence[int], took_ms: int) -> None:
        """Add calls that moved one record each, in the same time."""
        for size_bytes in sizes_bytes:
            self.add_one(size_bytes, took_ms)

    def merge(self, other: "Calls") -> None:
        """Add another's calls."""
        self.count += other.count
        self.records += other.records
        self.size_bytes += other.size_bytes
        self.took_ms += other.took_ms
        self.bytes_low, self.bytes_high = min(self.bytes_low, other.bytes_low), max(self.bytes_high, other.bytes_high)
        self.ms_low, self.ms_high = min(self.ms_low, other.ms_low), max(self.ms_high, other.ms_high)
        self.records_low = min(self.records_low, other.records_low)
        self.records_high = max(self.records_high, other.records_high)

    @property
    def records_sample(self) -> Sample:
        """The records of each call."""
        return Sample(self.count, self.records, self.records_low, self.records_high)

    @property
    def bytes_sample(self) -> Sample:
        """The bytes of each call."""
        return Sample(self.count, self.size_bytes, self.bytes_low, self.bytes_high)

    @property
    def took_sample(self) -> Sample:
        """The milliseconds that each call took, or told."""
        return Sample(self.count, self.took_ms, self.ms_low, self.ms_high)


class ShardTally:
    """What happened on a shard.  A PutRecords counts once for each shard that it writes to."""

    __slots__ = ("ages", "gets", "manies", "ones", "pushes", "refused_reads", "refused_writes")

    def __init__(self) -> None:
        self.ones = Calls()  # PutRecord
        self.manies = Calls()  # PutRecords
        self.gets = Calls()  # GetRecords
        self.pushes = Calls()  # events of subscriptions; what they took is how far they were behind
        self.ages = Figure()  # how far the pages of GetRecords ended behind the tip
        self.refused_writes = 0  # records over the quota
        self.refused_reads = 0  # calls over the quota

    @property
    def empty(self) -> bool:
        """Whether nothing happened."""
        calls = self.ones.count or self.manies.count or self.gets.count or self.pushes.count
        return not (calls or self.refused_writes or self.refused_reads)

    def merge(self, other: "ShardTally") -> None:
        """Add what happened on another shard."""
        for name in ("ones", "manies", "gets", "pushes"):
            getattr(self, name).merge(getattr(other, name))
        self.ages.merge(other.ages)
        self.refused_writes += other.refused_writes
        self.refused_reads += other.refused_reads


class ConsumerTally:
    """What a fan-out consumer was given."""

    __slots__ = ("events", "refused", "subscribed")

    def __init__(self) -> None:
        self.events = Calls()
        self.subscribed = 0
        self.refused = 0  # too early or too often


class StreamTally:
    """What happened on a stream and belongs to no one shard of it."""

    __slots__ = (
        "consumers",
        "failed_ones",
        "manies_total",
        "manies_written",
        "refused_records",
        "throttled",
        "wholly_failed",
    )

    def __init__(self) -> None:
        self.consumers: dict[str, ConsumerTally] = {}  # by name
        self.failed_ones = 0  # PutRecord
        self.manies_total = Figure()  # the records of each PutRecords
        self.manies_written = Figure()  # and how many of them were written
        self.refused_records = 0  # of PutRecords
        self.throttled = 0  # of them those over the quota
        self.wholly_failed = 0  # PutRecords of which no record was written

    def put_many(self, records: int, written: int, throttled: int) -> None:
        """Count a PutRecords."""
        self.manies_total.add(records)
        self.manies_written.add(written)
        if written < records:
            self.refused_records += records - written
            self.throttled += throttled
            self.wholly_failed += not written

    def consumer(self, name: str) -> ConsumerTally:
        """The tally of a consumer."""
        held = self.consumers.get(name)
        if held is None:
            held = self.consumers[name] = ConsumerTally()
        return held
