"""The limiter: Kinesis records wait here until their shard's share of its write rate lets them pass, the most urgent first.

Theory.  A shard takes 1,000 records and 1 MiB a second.  Two token buckets fill at `rate_limit` percent of that; a record passes when
both hold enough for it.  They start empty, and hold at most DEPTH_BYTES and one second of records.
Rules of this file: pure; time is an argument, and one that goes back fills nothing.

Source: KPL's limiter.h and token_bucket.h.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from penstock.core.limits import SHARD_WRITE_BYTES_PER_S, SHARD_WRITE_RECORDS_PER_S
from penstock.producer.records import Entry

DRAIN_MS: Final = 25
DEPTH_BYTES: Final = 10 * 2**20


class _Bucket:
    """Tokens of one kind."""

    __slots__ = ("_last_ms", "_most", "_per_ms", "content")

    def __init__(self, most: float, per_ms: float, now_ms: int) -> None:
        self._most = most
        self._per_ms = per_ms
        self._last_ms = now_ms
        self.content = 0.0

    def fill(self, now_ms: int) -> None:
        """Let time pass."""
        if now_ms > self._last_ms:
            self.content = min(self._most, self.content + (now_ms - self._last_ms) * self._per_ms)
            self._last_ms = now_ms


class _Shard:
    """What waits for one shard."""

    __slots__ = ("_bytes", "_depth_bytes", "_records", "waiting")

    def __init__(self, percent: int, now_ms: int) -> None:
        records_per_s, bytes_per_s = SHARD_WRITE_RECORDS_PER_S * percent / 100, SHARD_WRITE_BYTES_PER_S * percent / 100
        self._depth_bytes = max(DEPTH_BYTES, bytes_per_s)
        self._records = _Bucket(records_per_s, records_per_s / 1000, now_ms)
        self._bytes = _Bucket(self._depth_bytes, bytes_per_s / 1000, now_ms)
        self.waiting: list[tuple[int, int, Entry]] = []  # a heap by deadline, then by arrival

    def drain(self, now_ms: int) -> Iterator[Entry]:
        """What may pass or has expired now."""
        self._records.fill(now_ms)
        self._bytes.fill(now_ms)
        while self.waiting:
            entry = self.waiting[0][2]
            if entry.expires_ms > now_ms:
                size = min(entry.size_bytes, self._depth_bytes)  # what is larger than the bucket takes all of it
                if self._records.content < 1 or self._bytes.content < size:
                    return
                self._records.content -= 1
                self._bytes.content -= size
            heapq.heappop(self.waiting)
            yield entry


class Limiter:
    """Every shard's share."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._shards: dict[str, _Shard] = {}
        self._count = 0

    def put(self, shard_id: str, entry: Entry, now_ms: int) -> None:
        """Let a record wait for its shard."""
        shard = self._shards.get(shard_id)
        if shard is None:
            shard = self._shards[shard_id] = _Shard(self._percent, now_ms)
        self._count += 1
        heapq.heappush(shard.waiting, (entry.deadline_ms, self._count, entry))

    def drain(self, now_ms: int) -> Iterator[Entry]:
        """What passes now, and what has expired (`expires_ms <= now_ms`) without having passed."""
        for shard in self._shards.values():
            if shard.waiting:
                yield from shard.drain(now_ms)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not any(shard.waiting for shard in self._shards.values())

    def keep_only(self, shard_ids: frozenset[str]) -> None:
        """Forget shards that are gone, once nothing waits for them."""
        for shard_id in [each for each, shard in self._shards.items() if not shard.waiting and each not in shard_ids]:
            del self._shards[shard_id]
