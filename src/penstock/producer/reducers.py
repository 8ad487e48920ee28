"""Reducers: where records wait for company.  User records become Kinesis records, and those become PutRecords requests.

Theory.  A reducer holds what came until it is full or the most urgent of what it holds is due.  There is one for each predicted shard
(a Packer: its records travel in one aggregate and must land together), and one before the wire (the Collector).
Rules of this file: pure; nothing is larger than its bounds, except a single record that is so by itself; order is kept.

Source: KPL's reducer.h, aggregator.h and collector.h.
"""

from collections.abc import Sequence
from heapq import heappush
from typing import Final

from penstock.producer.config import ProducerConfig
from penstock.producer.records import Entry, Lot, UnderWay
from penstock.wire.aggregate import begin_packing
from penstock.wire.nativeparts import AggregatePacker

SHARD_BYTES_MAX: Final = 256 * 1024  # more for one shard in one request would be throttled as a whole
COLLECTOR_DELAY_MAX_MS: Final = 50
NEVER_MS: Final = 2**63

Request = list[Entry]


def entry_of(lots: Sequence[Lot], packed: AggregatePacker | None, shard_id: str | None) -> Entry:
    """The Kinesis record of some user records; of a single one without an aggregate it is the record itself."""
    first = lots[0]
    if packed is None:
        key, explicit, data = first.partition_keys[0], str(first.hash_keys[0]), first.data[0]
    else:
        key, explicit, data = packed.pack()
    deadline_ms, expires_ms = min([lot.deadline_ms for lot in lots]), min([lot.expires_ms for lot in lots])
    return Entry(lots, key, explicit, data, shard_id, deadline_ms, expires_ms)


def entry_alone(lot: Lot, shard_id: str | None) -> Entry:
    """The Kinesis record of one user record.  A unique id needs an aggregate to travel in."""
    packed = None
    if _has_id(lot):
        packed = begin_packing(NEVER_MS)
        _pack(packed, lot, 1)
    return entry_of((lot,), packed, shard_id)


def _has_id(lot: Lot) -> bool:
    return lot.unique_ids is not None and lot.unique_ids[0] is not None


def _pack(packed: AggregatePacker, lot: Lot, most: int) -> int:
    return packed.add_columns(lot.partition_keys, lot.data, lot.explicit_hash_keys, lot.unique_ids, most)


class Packer:
    """The user records of one predicted shard, being packed.

    `due` is a heap that packers share: each deadline of a packer is in it, and some that no longer hold.
    """

    __slots__ = ("_due", "_lots", "_max_bytes", "_max_count", "_packed", "_under_way", "deadline_ms", "shard_id")

    def __init__(self, shard_id: str, config: ProducerConfig, due: "Due", under_way: UnderWay) -> None:
        self.shard_id = shard_id
        self._due = due
        self._under_way = under_way
        self._max_bytes, self._max_count = config.aggregation_max_size, config.aggregation_max_count
        self._lots: list[Lot] = []
        self._packed = begin_packing(self._max_bytes)
        self.deadline_ms = NEVER_MS

    def add(self, lot: Lot) -> list[Entry]:
        """Take records; what had to make room for them, or was completed by them."""
        done: list[Entry] = []
        rest = [lot]
        while rest:
            lot = rest[0]
            taken = _pack(self._packed, lot, self._max_count - self._packed.count)
            if taken:
                piece, *rest = self._under_way.cut(lot, filter(None, (range(taken), range(taken, len(lot)))))
                self._hold(piece)
            if rest or self._packed.count >= self._max_count:
                done += filter(None, (self.take(),))
        return done

    def _hold(self, lot: Lot) -> None:
        self._lots.append(lot)
        if lot.deadline_ms < self.deadline_ms:
            self.deadline_ms = lot.deadline_ms
            heappush(self._due, (lot.deadline_ms, self.shard_id))

    def take(self) -> Entry | None:
        """Everything that is held, as one Kinesis record."""
        lots, packed = self._lots, self._packed
        if not lots:
            return None
        plain = packed.count == 1 and not _has_id(lots[0])
        entry = entry_of(lots, None if plain else packed, self.shard_id)
        self._lots, self._packed = [], begin_packing(self._max_bytes)
        self.deadline_ms = NEVER_MS
        return entry


Due = list[tuple[int, str]]


class Collector:
    """Kinesis records that wait for a PutRecords request."""

    def __init__(self, config: ProducerConfig) -> None:
        self._config = config
        self._delay_ms = min(COLLECTOR_DELAY_MAX_MS, config.record_max_buffered_time // 5) * config.aggregation_enabled
        self._reset()

    def _reset(self) -> None:
        self._entries: Request = []
        self._size_bytes = 0
        self._shard_bytes: dict[str | None, int] = {}
        self.deadline_ms = NEVER_MS

    def add(self, entry: Entry) -> list[Request]:
        """Take a record; the requests that this completes, at most two."""
        size_bytes = entry.size_bytes
        done = []
        if self._entries and self._size_bytes + size_bytes > self._config.collection_max_size:
            done.append(self.take())
        self._entries.append(entry)
        self._size_bytes += size_bytes
        of_shard = self._shard_bytes.get(entry.shard_id, 0) + size_bytes
        self._shard_bytes[entry.shard_id] = of_shard
        self.deadline_ms = min(self.deadline_ms, entry.deadline_ms + self._delay_ms)
        crowded = entry.shard_id is not None and of_shard >= SHARD_BYTES_MAX
        if crowded or len(self._entries) >= self._config.collection_max_count:
            done.append(self.take())
        return done

    def take(self) -> Request:
        """Everything that is held."""
        entries = self._entries
        self._reset()
        return entries

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._entries
