"""The writer: records to shards, shards to the engine, answers back in the order of the request.

Theory.  Records are grouped by the open shard that owns their hash key and handed to the engine in one call; each group is one batch,
written whole or not at all.  What is refused (quota, fault, engine) is refused per record and costs its neighbours nothing.
A shard that is being closed refuses its group; the group waits for the shard's children to open and is written there.
"""

import logging
from collections.abc import Mapping, Sequence
from operator import add
from typing import Final, NamedTuple

import msgspec

from penstock.core.errors import Error, ServiceError
from penstock.core.limits import KIB
from penstock.core.ports import Clock
from penstock.engines.api import (
    Appended,
    AppendError,
    Batch,
    LogId,
    NoSuchLog,
    Overloaded,
    RecordLog,
    Sealed,
)
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column, Span, lengths_of, size_of
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams import sequence
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.envelope import Seal
from penstock.services.streams.faults import FaultPlan
from penstock.services.streams.meter import Meter
from penstock.services.streams.topology import hash_key
from penstock.services.streams.traffic import Traffic
from penstock.wire.nativeparts import Placed, RequestSpread, Rows, ShardNames

logger = logging.getLogger(__name__)


class Written(NamedTuple):
    """Where a record went."""

    shard_id: str
    sequence_number: str


class WrittenRows(msgspec.Struct, frozen=True):
    """Where all records of a framed request went; the native part words the answer."""

    order: bytes  # for each record the place of its shard in `shards`, two bytes each
    shards: list[tuple[str, bytes]]  # its id, and the number of the first record, 24 bytes little-endian


class WrittenOnes(NamedTuple):
    """The same of records that were calls of their own."""

    order: bytes
    shards: list[tuple[str, bytes] | None]  # None where the shard did not take them: they are not written


class ScatteredRows(msgspec.Struct, frozen=True):
    """The same, of records that went to many shards."""

    records: int
    names: ShardNames
    placed: Placed


# What goes to fewer shards, or is less for each in the mean, is joined with what others write to them: such blocks are cheaper to read.
SCATTERED_MIN: Final = 64
SCATTERED_MIN_BYTES: Final = 16 * KIB
# Calls of one record each are a commit's only ones to their stream, so there is nothing to join.
ONES_SCATTERED_MIN: Final = 4


class _Group:
    """The records of one request that go to one shard."""

    __slots__ = ("data", "hash_keys", "keys", "places")

    def __init__(self) -> None:
        self.places: list[int] = []  # their places in the request
        self.keys: list[bytes] = []
        self.data: list[bytes] = []
        self.hash_keys: list[int | None] = []  # where the request names one

    def add(self, place: int, key: bytes, blob: bytes, hash_key: int | None) -> None:
        """One more record."""
        self.places.append(place)
        self.keys.append(key)
        self.data.append(blob)
        self.hash_keys.append(hash_key)


def _batch(log: LogId, group: _Group, seal: Seal | None) -> Batch:
    """What the engine is given of a group.  All that is counted of it is counted as the client sent it."""
    return Batch(log, group.keys, group.data) if seal is None else Batch(log, *seal.rows(log, group.keys, group.data))


def _framed_batch(log: LogId, key_lengths: bytes, data_lengths: bytes, keys: bytes, data: bytes) -> Batch:
    return Batch(log, Column(KEY_WIDTH, (Span(key_lengths, keys),)), Column(DATA_WIDTH, (Span(data_lengths, data),)))


def _written_to(held: ShardView, outcome: Appended) -> tuple[str, bytes]:
    """A shard's id, and the number of the first record."""
    number = held.number_base + sequence.tail(outcome.first, outcome.arrival_ms)
    return held.shard_id, number.to_bytes(sequence.NUMBER_BYTES, "little")


class Writer:
    """Writes records to streams."""

    def __init__(
        self, log: RecordLog, clock: Clock, meter: Meter, faults: FaultPlan, metrics: StreamMetrics, traffic: Traffic
    ) -> None:
        self._log = log
        self._clock = clock
        self._meter = meter
        self._faults = faults
        self._metrics = metrics
        self._traffic = traffic

    async def write(
        self,
        view: StreamView,
        keys: Sequence[bytes],
        data: Sequence[bytes],
        hash_keys: Sequence[int | None],
        seal: Seal | None = None,
    ) -> list[Written | ServiceError]:
        """Write records, given in columns, sealed if there is a seal; answer for each where it is, durably, or why it is not."""
        results: list[Written | ServiceError | None] = [None] * len(data)
        groups = self._group(view, keys, data, hash_keys, results)
        outcomes = await self._log.append([_batch(held.log, group, seal) for held, group in groups.items()])
        await self._conclude(view, groups, outcomes, results, seal)
        return [result for result in results if result is not None]

    async def _conclude(
        self,
        view: StreamView,
        groups: Mapping[ShardView, _Group],
        outcomes: Sequence[Appended | AppendError],
        results: list[Written | ServiceError | None],
        seal: Seal | None,
    ) -> None:
        """Answer for each record; those whose shard was closed under them are written to its children."""
        moved: list[_Group] = []
        written = 0
        for (held, group), outcome in zip(groups.items(), outcomes, strict=True):
            if isinstance(outcome, Sealed) and await self._succeeded(view, held):
                moved.append(group)
            else:
                written += self._settle(view, held, group, outcome, results)
        self._traffic.put_many(view, results, written)
        for group in moved:
            again = await self.write(view, group.keys, group.data, group.hash_keys, seal)
            for place, result in zip(group.places, again, strict=True):
                results[place] = result

    def takes_framed(self, view: StreamView) -> bool:
        """Whether records may be written as they were framed: nobody looks at each of them."""
        return view.stream.key_id is None and view.stream.distribution != "AUTO" and not self._checks(view)

    async def write_framed(
        self, view: StreamView, rows: Rows
    ) -> WrittenRows | ScatteredRows | list[Written | ServiceError]:
        """As `write`, of records that the native part has read."""
        ring, names = view.ring, view.names
        spread = rows.spread(ring.native)
        is_scattered = len(spread) >= SCATTERED_MIN or spread.size_bytes >= SCATTERED_MIN_BYTES * len(spread)
        place = await self._log.scatter(view.fan, spread) if is_scattered else None
        if place is not None and not isinstance(place, AppendError):
            result = ScatteredRows(len(rows), names, place)
            self._count_scattered(view, spread, result)
            return result
        helds = [ring.owners[owner] for owner in spread.owners()]
        if place is not None:
            return await self._conclude_framed(view, helds, [place] * len(helds), rows, spread.order())
        return await self._write_groups(view, helds, rows, spread)

    async def _write_groups(
        self, view: StreamView, helds: Sequence[ShardView], rows: Rows, spread: RequestSpread
    ) -> WrittenRows | list[Written | ServiceError]:
        """A batch for each shard."""
        batches = [_framed_batch(held.log, *group[2:]) for held, group in zip(helds, spread.groups(), strict=True)]
        outcomes = await self._log.append(batches)
        written = [outcome for outcome in outcomes if isinstance(outcome, Appended)]
        if len(written) < len(outcomes):
            return await self._conclude_framed(view, helds, outcomes, rows, spread.order())
        shards = []
        for held, batch, outcome in zip(helds, batches, written, strict=True):
            shards.append(_written_to(held, outcome))
            self._count(held, len(batch.data), size_of(batch.data) + size_of(batch.keys), outcome.arrival_ms)
        self._traffic.stream(view.stream.uid).put_many(len(rows), len(rows), 0)
        return WrittenRows(spread.order(), shards)

    async def _conclude_framed(
        self,
        view: StreamView,
        helds: Sequence[ShardView],
        outcomes: Sequence[Appended | AppendError],
        rows: Rows,
        order: bytes,
    ) -> list[Written | ServiceError]:
        """Not every record was written: answer for each."""
        groups = [_Group() for _ in helds]
        records = zip(memoryview(order).cast("H"), *rows.lists(), strict=True)
        for place, (number, key, blob, hashed) in enumerate(records):
            groups[number].add(place, key, blob, int.from_bytes(hashed, "big"))
        results: list[Written | ServiceError | None] = [None] * len(rows)
        await self._conclude(view, dict(zip(helds, groups, strict=True)), outcomes, results, None)
        return [result for result in results if result is not None]

    async def write_one(
        self, view: StreamView, key: bytes, blob: bytes, explicit: int | None, seal: Seal | None = None
    ) -> Written | ServiceError:
        """As `write`, for one record."""
        held = view.ring.find(hash_key(key) if explicit is None else explicit)
        size_bytes = len(key) + len(blob)
        if self._checks(view) and (refusal := self._refusal(view, held, size_bytes)) is not None:
            return refusal
        rows = ([key], [blob]) if seal is None else seal.rows(held.log, [key], [blob])
        [outcome] = await self._log.append([Batch(held.log, *rows)])
        if isinstance(outcome, Appended):
            self._count(held, 1, size_bytes, outcome.arrival_ms, alone=True)
            return Written(held.shard_id, str(held.number_base + sequence.tail(outcome.first, outcome.arrival_ms)))
        if isinstance(outcome, Sealed) and await self._succeeded(view, held):
            return await self.write_one(view, key, blob, explicit, seal)
        return self._failure(view, held, 1, outcome)

    async def write_ones(self, view: StreamView, rows: Rows) -> WrittenOnes | ScatteredRows:
        """As `write_one`, of records of as many calls."""
        names, owners = view.names, view.ring.owners
        spread = rows.spread(view.ring.native)
        place = await self._log.scatter(view.fan, spread) if len(spread) >= ONES_SCATTERED_MIN else None
        if isinstance(place, AppendError):
            return WrittenOnes(spread.order(), [None] * len(spread))
        if place is not None:
            result = ScatteredRows(len(rows), names, place)
            self._count_scattered(view, spread, result, alone=True)
            return result
        groups = [(owners[group[0]], _framed_batch(owners[group[0]].log, *group[2:])) for group in spread.groups()]
        outcomes = await self._log.append([batch for _, batch in groups])
        shards: list[tuple[str, bytes] | None] = []
        for (held, batch), outcome in zip(groups, outcomes, strict=True):
            if isinstance(outcome, Appended):
                shards.append(_written_to(held, outcome))
                self._count_ones(held, batch, outcome.arrival_ms)
            else:
                shards.append(None)
        return WrittenOnes(spread.order(), shards)

    def _checks(self, view: StreamView) -> bool:
        """Whether anything may refuse a record before it is written."""
        return self._meter.meters(view) or not self._faults.quiet

    async def _succeeded(self, view: StreamView, held: ShardView) -> bool:
        """Wait until a sealed shard has children; false if they cannot open now, or the stream is being deleted."""
        number = held.shard.no
        while view.stream.target and not view.stalled and view.is_open(number):
            await view.change()
        return number in view.shards and not view.is_open(number)

    def _group(
        self,
        view: StreamView,
        keys: Sequence[bytes],
        data: Sequence[bytes],
        hash_keys: Sequence[int | None],
        results: list[Written | ServiceError | None],
    ) -> dict[ShardView, _Group]:
        find = view.ring.find
        checked = self._checks(view)
        groups: dict[ShardView, _Group] = {}
        for place, (key, blob, explicit) in enumerate(zip(keys, data, hash_keys, strict=True)):
            held = find(hash_key(key) if explicit is None else explicit)
            if checked and (refusal := self._refusal(view, held, len(key) + len(blob))) is not None:
                results[place] = refusal
                continue
            group = groups.get(held)
            if group is None:
                group = groups[held] = _Group()
            group.add(place, key, blob, explicit)
        return groups

    def _refusal(self, view: StreamView, held: ShardView, size_bytes: int) -> ServiceError | None:
        stream = view.stream
        if self._faults.fails(stream.name):
            return Error.INTERNAL_FAILURE()
        throttled = self._faults.throttles(stream.name, held.shard.no)
        if throttled or not self._meter.admit_write(view, held, size_bytes, self._clock.now_ms()):
            self._metrics.refused_writes.inc()
            self._traffic.refused_write(held, 1, self._clock.now_ms())
            return Error.THROUGHPUT_EXCEEDED(shard=held.shard_id, stream=stream.name, account=stream.account)
        return None

    def _settle(
        self,
        view: StreamView,
        held: ShardView,
        group: _Group,
        outcome: Appended | AppendError,
        results: list[Written | ServiceError | None],
    ) -> int:
        """Put the outcome of a group in its places; how many records were written."""
        if isinstance(outcome, Appended):
            number, name = held.number_base + sequence.tail(outcome.first, outcome.arrival_ms), held.shard_id
            for place in group.places:
                results[place] = Written(name, str(number))
                number += sequence.NEXT_RECORD
            size_bytes = size_of(group.data) + size_of(group.keys)
            self._count(held, len(group.data), size_bytes, outcome.arrival_ms)
            return len(group.data)
        refusal = self._failure(view, held, len(group.data), outcome)
        for place in group.places:
            results[place] = refusal
        return 0

    def _count(self, held: ShardView, records: int, size_bytes: int, since_ms: int, *, alone: bool = False) -> None:
        """Count what was written."""
        self._metrics.records_in.inc(records)
        self._metrics.bytes_in.inc(size_bytes)
        self._traffic.wrote(held, records, size_bytes, self._clock.now_ms(), since_ms, alone=alone)

    def _count_ones(self, held: ShardView, batch: Batch, since_ms: int) -> None:
        """Count what calls of one record each have written."""
        sizes = list(map(add, lengths_of(batch.keys), lengths_of(batch.data)))
        self._metrics.records_in.inc(len(sizes))
        self._metrics.bytes_in.inc(sum(sizes))
        self._traffic.wrote_ones(held, sizes, self._clock.now_ms(), since_ms)

    def _count_scattered(
        self, view: StreamView, spread: RequestSpread, rows: ScatteredRows, *, alone: bool = False
    ) -> None:
        self._metrics.records_in.inc(rows.records)
        self._metrics.bytes_in.inc(spread.size_bytes)
        now_ms = self._clock.now_ms()
        took_ms = now_ms - rows.placed.arrival_ms
        self._traffic.scattered(view.stream.uid, spread, rows.names, now_ms, took_ms, alone=alone)
        if not alone:
            self._traffic.stream(view.stream.uid).put_many(rows.records, rows.records, 0)

    def _failure(self, view: StreamView, held: ShardView, records: int, outcome: AppendError) -> ServiceError:
        """Why records were not written, in AWS's words."""
        stream = view.stream
        if isinstance(outcome, NoSuchLog):  # the stream was deleted meanwhile
            return Error.STREAM_NOT_FOUND(stream=stream.name, account=stream.account)
        if isinstance(outcome, Overloaded):
            self._metrics.refused_writes.inc(records)
            self._traffic.refused_write(held, records, self._clock.now_ms())
            return Error.THROUGHPUT_EXCEEDED(shard=held.shard_id, stream=stream.name, account=stream.account)
        logger.error("write to %s of stream %s failed: %r", held.shard_id, stream.name, outcome)
        return Error.INTERNAL_FAILURE()
