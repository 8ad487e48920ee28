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
from penstock.producer.records import Entry, Put
from penstock.wire.aggregate import begin_packing
from penstock.wire.native import AggregatePacker

SHARD_BYTES_MAX: Final = 256 * 1024  # more for one shard in one request would be throttled as a whole
COLLECTOR_DELAY_MAX_MS: Final = 50
NEVER_MS: Final = 2**63

Request = list[Entry]


def entry_of(puts: Sequence[Put], packed: AggregatePacker | None, shard_id: str | None) -> Entry:
    """The Kinesis record of some user records; of a single one without an aggregate it is the record itself."""
    first = puts[0]
    if packed is None:
        key, explicit, data = first.partition_key, str(first.hash_key), first.data
    else:
        key, explicit, data = packed.pack()
    deadline_ms, expires_ms = min([put.deadline_ms for put in puts]), min([put.expires_ms for put in puts])
    return Entry(puts, key, explicit, data, shard_id, deadline_ms, expires_ms)


def entry_alone(put: Put, shard_id: str | None) -> Entry:
    """The Kinesis record of one user record.  A unique id needs an aggregate to travel in."""
    if put.unique_id is None:
        return entry_of((put,), None, shard_id)
    packed = begin_packing(NEVER_MS)
    packed.add(put.partition_key, put.data, put.explicit_hash_key, put.unique_id)
    return entry_of((put,), packed, shard_id)


class Packer:
    """The user records of one predicted shard, being packed.

    `due` is a heap that packers share: each deadline of a packer is in it, and some that no longer hold.
    """

    __slots__ = ("_due", "_max_bytes", "_max_count", "_packed", "_puts", "deadline_ms", "shard_id")

    def __init__(self, shard_id: str, config: ProducerConfig, due: "Due") -> None:
        self.shard_id = shard_id
        self._due = due
        self._max_bytes, self._max_count = config.aggregation_max_size, config.aggregation_max_count
        self._puts: list[Put] = []
        self._packed = begin_packing(self._max_bytes)
        self.deadline_ms = NEVER_MS

    def add(self, puts: Sequence[Put]) -> list[Entry]:
        """Take records, at least one; what had to make room for them, or was completed by them."""
        done: list[Entry] = []
        at = 0
        while at < len(puts):
            end = self._packed.add_all(puts[: at + self._max_count - len(self._puts)], at)
            self._hold(puts[at:end])
            at = end
            if at < len(puts) or len(self._puts) >= self._max_count:
                done += filter(None, (self.take(),))
        return done

    def _hold(self, puts: Sequence[Put]) -> None:
        if not puts:
            return
        self._puts += puts
        deadline_ms = min([put.deadline_ms for put in puts])
        if deadline_ms < self.deadline_ms:
            self.deadline_ms = deadline_ms
            heappush(self._due, (deadline_ms, self.shard_id))

    def take(self) -> Entry | None:
        """Everything that is held, as one Kinesis record."""
        puts = self._puts
        if not puts:
            return None
        plain = len(puts) == 1 and puts[0].unique_id is None
        entry = entry_of(puts, None if plain else self._packed, self.shard_id)
        self._puts, self._packed = [], begin_packing(self._max_bytes)
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
