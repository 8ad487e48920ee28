"""Traffic: what went in and out of each shard lately, counted as it happens.

Theory.  A shard counts in the current second; the first call of another second folds what was counted into two rings, one of the last 60
seconds and one of the last 60 minutes.  A stream's figures are the sums over its shards, made when somebody asks.
Rules of this file:
  1. No clock and no I/O: time is an argument.  One that steps back begins the rings anew.
  2. Called once per shard and request or page, never per record.  (A record that its quota refuses is counted by itself.)
  3. Bounded: rings are made at a shard's first traffic, and dropped with the shard or after an hour without any.
  4. What one request writes to many shards is counted by the native part, in the same spans; whoever asks a shard gets both.
  5. Counts are of this process, and lost with it.  What has to outlive it is in peaks.py.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Final, NamedTuple

from penstock.core.errors import Error, ServiceError
from penstock.core.ids import Millis, StreamUid
from penstock.core.limits import SECOND_MS, SHARD_WRITE_BYTES_PER_S, SHARD_WRITE_RECORDS_PER_S
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.quota import ShardRates
from penstock.services.streams.state import shard_log
from penstock.services.streams.tally import Calls, ShardTally, StreamTally
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import RequestSpread, ShardNames, WriteCounts

SPANS: Final = 60  # finished seconds and minutes that are remembered
PLACES: Final = SPANS + 1  # and the current one
AGE_SPAN_MS: Final = 30_000  # an iterator age is the highest of the current and the last span of this length


class Counts(NamedTuple):
    """Six figures of a shard or stream: totals, or rates a second."""

    in_bytes: float = 0  # written, data and partition keys
    in_records: float = 0
    out_bytes: float = 0  # read by GetRecords and pushed to consumers
    out_records: float = 0
    refused_writes: float = 0  # records that were over their shard's quota
    refused_reads: float = 0  # calls that were

    def per_second(self, seconds: float) -> "Counts":
        """Totals of that many seconds, as rates."""
        return Counts(*(count / seconds for count in self))

    def plus_written(self, size_bytes: int, records: int) -> "Counts":
        """With more that was written."""
        return self._replace(in_bytes=self.in_bytes + size_bytes, in_records=self.in_records + records)

    def highest(self, other: "Counts") -> "Counts":
        """Each figure where it is higher."""
        return Counts(*map(max, self, other))

    def write_load(self, capacity: ShardRates) -> float:
        """Of rates: how many shards' write capacity they are worth."""
        return max(
            self.in_bytes / (capacity.write_bytes or SHARD_WRITE_BYTES_PER_S),
            self.in_records / (capacity.write_records or SHARD_WRITE_RECORDS_PER_S),
        )


SHARDS_A_TURN: Final = 200  # that are walked between two turns of the loop: about a millisecond's work

NOTHING: Final = Counts()
FIELDS: Final = len(NOTHING)


def total(parts: Iterable[Sequence[float]]) -> Counts:
    """The sums of each figure."""
    columns = list(zip(*parts, strict=True))
    return Counts(*map(sum, columns)) if columns else NOTHING


class _Ring:
    """The counts of the last spans of one length; spans are numbered from the epoch."""

    __slots__ = ("_cells", "_last")

    def __init__(self, span: int) -> None:
        self._cells = array("q")  # made when there is something to add
        self._last = span

    def add(self, span: int, counts: Sequence[int]) -> None:
        if not self._cells:
            self._cells = array("q", bytes(8 * FIELDS * PLACES))
        else:
            self._clear(max(self._last + 1, span - SPANS), span + 1)
        self._last = span
        at = span % PLACES * FIELDS
        for field, count in enumerate(counts, at):
            self._cells[field] += count

    def _clear(self, first: int, end: int) -> None:
        """Empty the places of spans; to the last place, and on from the first."""
        while first < end:
            at = first % PLACES
            count = min(end - first, PLACES - at)
            self._cells[at * FIELDS : (at + count) * FIELDS] = array("q", bytes(8 * FIELDS * count))
            first += count

    def empty_since(self, first: int) -> bool:
        """Whether nothing was added in the spans from `first` on."""
        return not self._cells or self._last < first

    def add_to(self, sums: list[int], first: int, end: int) -> None:
        """Add the counts of the spans from `first` up to `end`, one behind the other, to sums of them."""
        span, end = max(first, self._last - SPANS), min(end, self._last + 1) if self._cells else first
        while span < end:
            at = span % PLACES
            count = min(end - span, PLACES - at)
            within = slice((span - first) * FIELDS, (span - first + count) * FIELDS)
            sums[within] = map(add, sums[within], self._cells[at * FIELDS : (at + count) * FIELDS])
            span += count

    def sum(self, first: int, end: int) -> Counts:
        """The totals of the spans from `first` up to `end`, as far as they are remembered."""
        if not self._cells:
            return NOTHING
        spans = range(max(first, self._last - SPANS), min(end, self._last + 1))
        places = [span % PLACES * FIELDS for span in spans]
        return total(self._cells[at : at + FIELDS] for at in places)


class ShardTraffic:
    """The counts of one shard."""

    __slots__ = (
        "_ages", "_minutes", "_second", "_seconds", "_wide",
        "aside", "cut",
        "in_bytes", "in_records", "log", "no", "out_bytes", "out_records", "refused_reads", "refused_writes", "tally", "uid",
    )  # fmt: skip

    def __init__(self, uid: StreamUid, no: int, now_ms: int, wide: Mapping[StreamUid, WriteCounts]) -> None:
        self.log = shard_log(uid, no)
        self.uid = uid
        self.no = no
        self._wide = wide
        self.tally = ShardTally()
        self.aside: ShardTally | None = None  # what was tallied before the last cut
        self.cut = 0  # the last that this shard knows of
        self._begin(now_ms // SECOND_MS)

    def _begin(self, second: int) -> None:
        self.in_bytes = self.in_records = self.out_bytes = self.out_records = 0
        self.refused_writes = self.refused_reads = 0
        self._second = second
        self._seconds = _Ring(second)
        self._minutes = _Ring(second // 60)
        self._ages = (0, -1, -1)  # number of the current span, highest age in it and in the one before; -1: no read

    def at(self, now_ms: int) -> "ShardTraffic":
        """These counts, ready for what happens now.  Cost: 0.1 us."""
        if now_ms // SECOND_MS != self._second:
            self._turn(now_ms // SECOND_MS)
        return self

    def _turn(self, second: int) -> None:
        if second < self._second:
            self._begin(second)
            return
        counted = (
            self.in_bytes, self.in_records, self.out_bytes, self.out_records, self.refused_writes, self.refused_reads,
        )  # fmt: skip
        if any(counted):
            self._seconds.add(self._second, counted)
            self._minutes.add(self._second // 60, counted)
            self.in_bytes = self.in_records = self.out_bytes = self.out_records = 0
            self.refused_writes = self.refused_reads = 0
        self._second = second

    def put_aside(self, cut: int) -> None:
        """Keep apart what was tallied before a cut."""
        self.cut = cut
        if self.tally.empty:
            return
        if self.aside is not None:
            self.tally.merge(self.aside)
        self.aside, self.tally = self.tally, ShardTally()

    def note_age(self, age_ms: int, now_ms: int) -> None:
        """Remember how far behind the tip a reader was."""
        span = now_ms // AGE_SPAN_MS
        number, current, before = self._ages
        if span != number:
            current, before = -1, current if span == number + 1 else -1
        self._ages = (span, max(current, age_ms), before)

    def age_ms(self, now_ms: int) -> int | None:
        """How far behind the tip the slowest reader of the last half minute or so was; None if nobody read."""
        number, current, before = self._ages
        gone = now_ms // AGE_SPAN_MS - number
        age = max(current, before) if gone == 0 else current if gone == 1 else -1
        return age if age >= 0 else None

    def seconds(self, count: int, now_ms: int) -> Counts:
        """Mean rates over the last `count` (1 .. 60) finished seconds."""
        second = self.at(now_ms)._second
        counts = self._seconds.sum(second - count, second)
        if (wide := self._wide.get(self.uid)) is not None:
            counts = counts.plus_written(*wide.seconds(self.no, second - count, second))
        return counts.per_second(count)

    def minute(self, number: int, now_ms: int) -> Counts:
        """Mean rates over a minute, numbered from the epoch, that is over; nothing if it is more than an hour ago."""
        return self.at(now_ms)._minutes_sum(number, number + 1).per_second(60)

    def add_minutes(self, sums: list[int], first: int, end: int, now_ms: int) -> None:
        """Add the counts of minutes that are over, FIELDS of each, to sums of them.  Cost: 15 us an hour."""
        self.at(now_ms)._minutes.add_to(sums, first, end)
        if (wide := self._wide.get(self.uid)) is not None:
            for number in range(first, end):
                size_bytes, records = wide.minutes(self.no, number, number + 1)
                at = (number - first) * FIELDS
                sums[at] += size_bytes
                sums[at + 1] += records

    def idle(self, now_ms: int) -> bool:
        """Whether nothing that is remembered happened."""
        second = self.at(now_ms)._second
        pending = self.in_bytes or self.in_records or self.out_bytes or self.out_records
        refused = self.refused_writes or self.refused_reads
        if pending or refused or self.age_ms(now_ms) is not None:
            return False
        first, wide = second // 60 - SPANS, self._wide.get(self.uid)
        return self._minutes.empty_since(first) and (
            wide is None or not any(wide.minutes(self.no, first, second // 60 + 1))
        )

    def _minutes_sum(self, first: int, end: int) -> Counts:
        counts = self._minutes.sum(first, end)
        if (wide := self._wide.get(self.uid)) is not None:
            counts = counts.plus_written(*wide.minutes(self.no, first, end))
        return counts


def lots(shards: Sequence[ShardTraffic]) -> Iterator[Sequence[ShardTraffic]]:
    """Shards in lots of SHARDS_A_TURN; who walks many lets others run in between."""
    return (shards[at : at + SHARDS_A_TURN] for at in range(0, len(shards), SHARDS_A_TURN))


class Traffic:
    """The counts of every shard that had traffic within the last hour."""

    def __init__(self) -> None:
        self._shards: dict[str, ShardTraffic] = {}  # by log id
        self._streams: dict[StreamUid, StreamTally] = {}  # what was tallied since the last cut
        self._cut = 0  # how many there were
        self._wide: dict[StreamUid, WriteCounts] = {}  # of requests that wrote to many shards

    def stream(self, uid: StreamUid) -> StreamTally:
        """The tally of a stream."""
        tally = self._streams.get(uid)
        if tally is None:
            tally = self._streams[uid] = StreamTally()
        return tally

    def put_many(self, view: StreamView, results: Sequence[object], written: int) -> None:
        """Count a PutRecords of whose records `written` were; those that have no result yet are counted when they do."""
        settled, throttled = len(results), 0
        if written < settled:
            refused = [each.code for each in results if isinstance(each, ServiceError)]
            settled, throttled = written + len(refused), refused.count(Error.THROUGHPUT_EXCEEDED.code)
        self.stream(view.stream.uid).put_many(settled, written, throttled)

    def cut(self) -> dict[StreamUid, StreamTally]:
        """End a time of tallies: what streams tallied in it.  What shards did can be taken one after the other, while they tally on."""
        self._cut += 1
        taken, self._streams = self._streams, {}
        return taken

    def take_tally(self, counts: ShardTraffic) -> ShardTally | None:
        """What a shard tallied until the last cut, since it was taken last; None if nothing."""
        if counts.cut != self._cut:
            counts.put_aside(self._cut)
        taken, counts.aside = counts.aside, None
        return taken

    def wrote(
        self, held: ShardView, records: int, size_bytes: int, now_ms: Millis, since_ms: int = 0, *, alone: bool = False
    ) -> None:
        """Count a batch that was written, begun at `since_ms`; `alone`: by PutRecord."""
        counts = self._of(held, now_ms)
        counts.in_records += records
        counts.in_bytes += size_bytes
        if alone:
            counts.tally.ones.add_one(size_bytes, now_ms - since_ms)
        else:
            counts.tally.manies.add(records, size_bytes, now_ms - since_ms)

    def wrote_ones(self, held: ShardView, sizes_bytes: Sequence[int], now_ms: Millis, since_ms: int) -> None:
        """As `wrote` `alone`, of several records."""
        counts = self._of(held, now_ms)
        counts.in_records += len(sizes_bytes)
        counts.in_bytes += sum(sizes_bytes)
        counts.tally.ones.add_ones(sizes_bytes, now_ms - since_ms)

    def scattered(
        self,
        uid: StreamUid,
        spread: RequestSpread,
        names: ShardNames,
        now_ms: Millis,
        took_ms: int,
        *,
        alone: bool = False,
    ) -> None:
        """As `wrote`, of many shards of a stream; `alone`: by PutRecords of one record each.  Cost: 0.05 us a shard."""
        counts = self._wide.get(uid)
        if counts is None:
            assert NATIVE is not None, "what is spread was spread by it"
            counts = self._wide[uid] = NATIVE.WriteCounts()
        counts.add(spread, names, now_ms // SECOND_MS, max(took_ms, 0), alone)

    def take_scattered(self, uid: StreamUid, *, alone: bool) -> Calls:
        """The calls of `scattered` on a stream since the last time, of one kind; `taken_scattered` has those of each shard."""
        return Calls.of(self._wide[uid].take_calls(alone)) if uid in self._wide else Calls()

    def taken_scattered(self, uid: StreamUid, number: int, *, alone: bool) -> Calls:
        """What a shard had of the calls that were taken last."""
        row = self._wide[uid].taken(number, alone) if uid in self._wide else None
        return Calls() if row is None else Calls.of(row)

    def read(
        self, held: ShardView, records: int, size_bytes: int, behind_ms: int, now_ms: Millis, took_ms: int | None = None
    ) -> None:
        """Count a page that ended `behind_ms` behind the tip: pushed, or read by a GetRecords that took `took_ms`."""
        counts = self._of(held, now_ms)
        if took_ms is None:
            counts.tally.pushes.add(records, size_bytes, behind_ms)
        else:
            counts.tally.gets.add(records, size_bytes, took_ms)
            counts.tally.ages.add(behind_ms)
        counts.out_records += records
        counts.out_bytes += size_bytes
        counts.note_age(behind_ms, now_ms)

    def refused_write(self, held: ShardView, records: int, now_ms: Millis) -> None:
        """Count records that were over the shard's quota."""
        counts = self._of(held, now_ms)
        counts.refused_writes += records
        counts.tally.refused_writes += records

    def refused_read(self, held: ShardView, now_ms: Millis) -> None:
        """Count a call that was over the shard's quota."""
        counts = self._of(held, now_ms)
        counts.refused_reads += 1
        counts.tally.refused_reads += 1

    def _of(self, held: ShardView, now_ms: Millis) -> ShardTraffic:
        counts = self._shards.get(held.log)
        if counts is None:
            counts = self._shards[held.log] = ShardTraffic(held.shard.uid, held.shard.no, now_ms, self._wide)
        if counts.cut != self._cut:
            counts.put_aside(self._cut)
        return counts.at(now_ms)

    def _meet(self) -> None:
        """Know the shards that only `scattered` has counted."""
        for uid, wide in self._wide.items():
            for number in wide.take_new():
                counts = ShardTraffic(uid, number, 0, self._wide)
                self._shards.setdefault(counts.log, counts)

    def find(self, held: ShardView) -> ShardTraffic | None:
        """The counts of a shard, or None if it had no traffic lately."""
        self._meet()
        return self._shards.get(held.log)

    def of(self, view: StreamView) -> list[ShardTraffic]:
        """The counts of the shards of a stream, open or closed, that had traffic lately."""
        self._meet()
        if not self._shards:
            return []
        return [counts for held in view.shards.values() if (counts := self._shards.get(held.log)) is not None]

    def by_stream(self) -> dict[StreamUid, list[ShardTraffic]]:
        """All counts, by stream."""
        self._meet()
        streams: dict[StreamUid, list[ShardTraffic]] = {}
        for counts in self._shards.values():
            streams.setdefault(counts.uid, []).append(counts)
        return streams

    def forget(self, gone: Iterable[ShardTraffic]) -> None:
        """Drop the counts of shards."""
        for counts in gone:
            self._shards.pop(counts.log, None)
            if counts.uid in self._wide:
                self._wide[counts.uid].forget(counts.no)
        left = {counts.uid for counts in self._shards.values()}
        for uid in [uid for uid in self._wide if uid not in left]:
            del self._wide[uid]
