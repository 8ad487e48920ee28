"""The shard map: what a listing means, when it is stale, and how long a failing one is waited for."""

from typing import Any

import pytest

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.producer.shardmap import BACKOFF_MAX_MS, CLOSED_KEPT_MS, BadListing, ShardMap, read_listing

HALF = 2**127
PARENT = {"shard-0": HashRange(0, HASH_KEY_MAX)}
CHILDREN = {"shard-2": HashRange(HALF, HASH_KEY_MAX), "shard-1": HashRange(0, HALF - 1)}


def told(shard_id: str, start: object, end: object) -> dict[str, Any]:
    return {"ShardId": shard_id, "HashKeyRange": {"StartingHashKey": start, "EndingHashKey": end}}


def owner(shards: ShardMap, hash_key: int) -> str:
    return shards.shard_ids[shards.place(hash_key)]


def test_map_when_it_is_new_is_not_ready_and_wants_to_be_listed() -> None:
    shards = ShardMap()
    assert (shards.is_ready, shards.list_at_ms) == (False, 0)


def test_map_when_listed_knows_who_owns_a_key() -> None:
    shards = ShardMap()
    shards.listed(CHILDREN, 1)
    assert [owner(shards, key) for key in (0, HALF - 1, HALF, HASH_KEY_MAX)] == [
        "shard-1",
        "shard-1",
        "shard-2",
        "shard-2",
    ]
    assert shards.list_at_ms is None


def test_map_when_a_record_went_elsewhere_is_stale_until_it_is_listed_anew() -> None:
    shards = ShardMap()
    shards.listed(PARENT, 100)
    shards.invalidate(99)  # a request from before the listing is no news
    assert shards.is_ready
    shards.invalidate(100)
    assert (shards.is_ready, shards.list_at_ms) == (False, 100)
    shards.begin_listing()
    shards.invalidate(200)  # it is being listed already
    assert shards.list_at_ms is None


def test_map_when_listings_fail_waits_longer_each_time() -> None:
    shards = ShardMap()
    waits = []
    for _ in range(12):
        shards.begin_listing()
        shards.failed(0)
        waits.append(shards.list_at_ms)
    assert waits[:4] == [1000, 1500, 2250, 3375]
    assert waits[-1] == BACKOFF_MAX_MS
    shards.listed(PARENT, 0)
    shards.failed(0)
    assert shards.list_at_ms == 1000


def test_map_when_a_shard_is_closed_remembers_its_range_for_a_while() -> None:
    shards = ShardMap()
    shards.listed(PARENT, 0)
    shards.listed(CHILDREN, 1000)
    assert shards.hash_range("shard-0") == HashRange(0, HASH_KEY_MAX)
    shards.listed(CHILDREN, 1000 + CLOSED_KEPT_MS - 1)
    assert shards.hash_range("shard-0") is not None
    shards.listed(CHILDREN, 1000 + CLOSED_KEPT_MS)
    assert shards.hash_range("shard-0") is None
    assert shards.hash_range("shard-1") == CHILDREN["shard-1"]


def test_map_when_a_closed_shard_is_listed_again_does_not_forget_it() -> None:
    shards = ShardMap()
    shards.listed(PARENT, 0)
    shards.listed(CHILDREN, 0)
    shards.listed(PARENT, 1)
    shards.listed(PARENT, 2 * CLOSED_KEPT_MS)
    assert shards.hash_range("shard-0") is not None


def test_listing_is_read_as_listshards_tells_it() -> None:
    found = read_listing([told("a", "0", str(HALF - 1)), told("b", str(HALF), str(HASH_KEY_MAX))])
    assert found == {"a": HashRange(0, HALF - 1), "b": HashRange(HALF, HASH_KEY_MAX)}


@pytest.mark.parametrize(
    "listing",
    [
        [],
        [told("a", "0", "7")],
        [told("a", "7", "0"), told("b", "0", str(HASH_KEY_MAX))],
        [told("a", "x", str(HASH_KEY_MAX))],
        [told("a", "0", str(HASH_KEY_MAX + 1))],
        [{"ShardId": "a"}],
        [{"HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(HASH_KEY_MAX)}}],
        [told("a", None, None)],
        [None],
    ],
)
def test_listing_when_it_makes_no_sense_is_refused(listing: Any) -> None:
    with pytest.raises(BadListing):
        read_listing(listing)
