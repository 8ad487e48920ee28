"""KCL's items, to the attribute."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.consumer.lease import Lease
from penstock.consumer.position import SHARD_END, Checkpoint
from penstock.consumer.stores.dynamo_items import Item, item_of, lease_of, update_of
from penstock.core.hashkeys import HASH_KEY_MAX, HashRange

NAMES = st.sampled_from(["worker-a", "worker-b"])
LEASES = st.builds(
    Lease,
    key=st.just("shardId-000000000001"),
    checkpoint=st.builds(Checkpoint, st.sampled_from(["TRIM_HORIZON", "LATEST", SHARD_END, "123", "9" * 56]), st.integers(0, 9)),
    counter=st.integers(0, 2**40),
    owner=st.none() | NAMES,
    checkpoint_owner=st.none() | NAMES,
    switches=st.integers(0, 9),
    parents=st.sampled_from([(), ("a",), ("a", "b")]),
    children=st.sampled_from([(), ("c", "d")]),
    hash_keys=st.none() | st.builds(HashRange, st.integers(0, 5), st.just(HASH_KEY_MAX)),
    began_ms=st.none() | st.integers(1, 2**41),
    throughput_kbps=st.sampled_from([0.0, 1.5]),
)  # fmt: skip


@given(LEASES)
def test_item_when_read_back_then_it_is_the_same_lease(lease: Lease) -> None:
    assert lease_of(item_of(lease)) == lease


@given(LEASES, LEASES)
def test_update_when_carried_out_then_the_item_is_the_new_lease(old: Lease, new: Lease) -> None:
    item = item_of(old) | {"pendingCheckpoint": {"S": "5"}, "somebodyElses": {"S": "x"}}
    update = update_of(old, new)
    after = _carried_out(item, update.expression, update.names, update.values)
    assert lease_of(after) == new
    assert after["somebodyElses"] == {"S": "x"}
    assert ("pendingCheckpoint" in after) == (old.checkpoint == new.checkpoint)


def _carried_out(item: Item, expression: str, names: dict[str, str], values: Item) -> Item:
    after = dict(item)
    sets, _, removes = expression.partition("REMOVE ")
    for part in filter(None, sets.removeprefix("SET ").strip().split(", ")):
        name, _, value = part.partition(" = ")
        after[names[name]] = values[value]
    for name in filter(None, removes.split(", ")):
        after.pop(names[name], None)
    return after


def test_item_when_it_is_kcls_then_it_is_understood() -> None:
    item: Item = {
        "leaseKey": {"S": "shardId-000000000001"},
        "leaseOwner": {"S": "java"},
        "leaseCounter": {"N": "42"},
        "ownerSwitchesSinceCheckpoint": {"N": "1"},
        "checkpoint": {"S": "TRIM_HORIZON"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "parentShardId": {"SS": ["shardId-000000000000"]},
        "startingHashKey": {"S": "0"},
        "endingHashKey": {"S": str(HASH_KEY_MAX)},
        "throughputKBps": {"N": "3.25"},
    }
    lease = lease_of(item)
    assert lease is not None
    assert (lease.owner, lease.counter, lease.parents) == ("java", 42, ("shardId-000000000000",))
    assert lease.hash_keys == HashRange(0, HASH_KEY_MAX)


def test_item_when_it_is_another_entity_or_nonsense_then_it_is_no_lease() -> None:
    lease: Item = {"leaseKey": {"S": "x"}, "checkpoint": {"S": "LATEST"}}
    assert lease_of(lease) is not None
    assert lease_of(lease | {"entityType": {"S": "WORKER_METRIC_STATS"}}) is None
    assert lease_of({"leaseKey": {"S": "Leader"}, "ownerName": {"S": "java"}}) is None
    assert lease_of(lease | {"checkpoint": {"S": "nonsense"}}) is None
    assert lease_of(lease | {"leaseCounter": {"N": "x"}}) is None


def test_update_when_a_lease_has_no_owner_then_the_condition_says_so() -> None:
    free = Lease(key="x", checkpoint=Checkpoint("LATEST"))
    assert "attribute_not_exists(#owner)" in update_of(free, free.taken("me")).condition
    owned = replace(free, owner="a")
    assert "#owner = :owner" in update_of(owned, owned.renewed()).condition
