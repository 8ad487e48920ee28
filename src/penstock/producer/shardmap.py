"""The shard map: which shard a hash key is predicted to go to.

Theory.  ListShards with AT_LATEST tells the open shards and their ranges.  The map is READY until a record lands where it was not
expected: then it is stale, predicts nothing, and wants to be listed anew.  Listings that fail are repeated after a pause that grows.
A shard that is no longer listed is remembered for a while: answers that name it are still on their way.
Rules of this file: pure; time is an argument; a listing that makes no sense is a failed one.

Source: KPL's shard_map.cc.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.wire.aggregate import explicit_hash_key

BACKOFF_FIRST_MS: Final = 1000
BACKOFF_MAX_MS: Final = 30_000
BACKOFF_FACTOR: Final = 1.5
CLOSED_KEPT_MS: Final = 60_000


class BadListing(ValueError):
    """What ListShards told is no shard map."""


def read_listing(shards: Iterable[Mapping[str, Any]]) -> dict[str, HashRange]:
    """The ranges of shards as ListShards tells them.  Raises BadListing."""
    found: dict[str, HashRange] = {}
    try:
        for shard in shards:
            told = shard["HashKeyRange"]
            start, end = explicit_hash_key(told["StartingHashKey"]), explicit_hash_key(told["EndingHashKey"])
            if start is None or end is None or start > end:
                raise BadListing(f"a shard from {told['StartingHashKey']} to {told['EndingHashKey']}")
            found[str(shard["ShardId"])] = HashRange(start, end)
    except (KeyError, TypeError) as error:
        raise BadListing(f"a shard without {error}") from None
    if max((held.end for held in found.values()), default=-1) != HASH_KEY_MAX:
        raise BadListing(f"{len(found)} shards that leave out the last hash key")
    return found


class ShardMap:
    """What is known of a stream's shards."""

    def __init__(self) -> None:
        self._ends: list[int] = []  # of the open shards' ranges, ascending
        self.shard_ids: list[str] = []  # of the open shards, in this order
        self._ranges: dict[str, HashRange] = {}  # of open shards, and for a while of closed ones
        self._forget_ms: dict[str, int] = {}  # when a closed shard is forgotten
        self._backoff_ms = BACKOFF_FIRST_MS
        self._updated_ms = -1
        self.is_ready = False
        self.list_at_ms: int | None = 0  # when it wants to be listed; None: it does not

    def place(self, hash_key: int) -> int:
        """Where in `shard_ids` the owner of a key is, in a map that is ready.  Cost: 0.2 us."""
        return bisect_left(self._ends, hash_key)

    def places(self, hash_keys: Iterable[int]) -> list[int]:
        """`place` for many."""
        ends = self._ends
        return [bisect_left(ends, hash_key) for hash_key in hash_keys]

    def hash_range(self, shard_id: str) -> HashRange | None:
        """The range of a shard, open or lately closed; None if it is not known."""
        return self._ranges.get(shard_id)

    def begin_listing(self) -> None:
        """It is being listed; `listed` or `failed` will follow."""
        self.list_at_ms = None

    def listed(self, shards: Mapping[str, HashRange], now_ms: int) -> None:
        """Take what was listed, as `read_listing` gives it."""
        for shard_id in [shard_id for shard_id, at_ms in self._forget_ms.items() if at_ms <= now_ms]:
            del self._forget_ms[shard_id]
            del self._ranges[shard_id]
        for shard_id in self._ranges.keys() - shards.keys() - self._forget_ms.keys():
            self._forget_ms[shard_id] = now_ms + CLOSED_KEPT_MS
        for shard_id in shards.keys() & self._forget_ms.keys():
            del self._forget_ms[shard_id]
        self._ranges |= shards
        ordered = sorted((held.end, shard_id) for shard_id, held in shards.items())
        self._ends = [end for end, _ in ordered]
        self.shard_ids = [shard_id for _, shard_id in ordered]
        self._backoff_ms = BACKOFF_FIRST_MS
        self._updated_ms = now_ms
        self.is_ready, self.list_at_ms = True, None

    def failed(self, now_ms: int) -> None:
        """A listing failed: another one later."""
        self.list_at_ms = now_ms + self._backoff_ms
        self._backoff_ms = min(BACKOFF_MAX_MS, int(self._backoff_ms * BACKOFF_FACTOR))

    def invalidate(self, seen_ms: int) -> None:
        """A record went elsewhere in a request that began at `seen_ms`; no news if the map is younger than that."""
        if self.is_ready and seen_ms >= self._updated_ms:
            self.is_ready, self.list_at_ms = False, seen_ms
