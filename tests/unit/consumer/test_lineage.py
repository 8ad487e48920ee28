"""Which leases are made, which may start, and which are done with."""

from penstock.consumer.lease import Lease
from penstock.consumer.lineage import HASH_KEYS, Shard, children_of, done_with, has_hole, may_start, missing
from penstock.consumer.position import AT_TIMESTAMP, ENDED, FROM_OLDEST, LATEST, Begin, Checkpoint
from penstock.core.hashkeys import HashRange

OLDEST = Begin()
NEWEST = Begin(LATEST)
HALF = HASH_KEYS // 2
LOW, HIGH, ALL = HashRange(0, HALF - 1), HashRange(HALF, HASH_KEYS - 1), HashRange(0, HASH_KEYS - 1)
PARENT = Shard("p", ALL, open=False)
CHILDREN = [Shard("c1", LOW, ("p",)), Shard("c2", HIGH, ("p",))]
SPLIT = [*reversed(CHILDREN), PARENT]


def leases(**checkpoints: Checkpoint) -> dict[str, Lease]:
    parents = {shard.shard_id: shard.parents for shard in [*SPLIT, Shard("m", ALL, ("c1", "c2"))]}
    keys = {"p": ALL, "c1": LOW, "c2": HIGH, "m": ALL}
    return {
        name: Lease(key=name, checkpoint=at, parents=parents.get(name, ()), hash_keys=keys[name])
        for name, at in checkpoints.items()
    }


def made(shards: list[Shard], have: dict[str, Lease], begin: Begin) -> list[tuple[str, str]]:
    return [(lease.key, lease.checkpoint.sequence) for lease in missing(shards, have, begin)]


def test_missing_when_there_are_no_leases_then_parents_come_first() -> None:
    assert made(SPLIT, {}, OLDEST) == [("p", "TRIM_HORIZON"), ("c1", "TRIM_HORIZON"), ("c2", "TRIM_HORIZON")]


def test_missing_when_begun_at_the_latest_then_closed_shards_have_none() -> None:
    assert made(SPLIT, {}, NEWEST) == [("c1", LATEST), ("c2", LATEST)]


def test_missing_when_begun_at_a_time_then_closed_shards_have_one() -> None:
    assert {at for _, at in made(SPLIT, {}, Begin(AT_TIMESTAMP, 5))} == {AT_TIMESTAMP}


def test_missing_when_a_parent_is_leased_then_children_begin_at_their_first_record() -> None:
    assert made(SPLIT, leases(p=FROM_OLDEST), NEWEST) == [("c1", "TRIM_HORIZON"), ("c2", "TRIM_HORIZON")]


def test_missing_when_a_child_is_leased_then_its_parent_was_done_with() -> None:
    assert made(SPLIT, leases(c1=FROM_OLDEST), OLDEST) == [("c2", "TRIM_HORIZON")]


def test_missing_when_a_grandchild_merges_then_the_way_to_it_is_made() -> None:
    merged = [Shard("m", ALL, ("c1", "c2")), *SPLIT]
    assert made(merged, leases(p=ENDED, c1=ENDED), NEWEST) == [("c2", "TRIM_HORIZON"), ("m", "TRIM_HORIZON")]


def test_missing_when_a_listing_goes_in_circles_then_it_ends() -> None:
    ring = [Shard("a", LOW, ("b",)), Shard("b", HIGH, ("a",))]
    assert {name for name, _ in made(ring, {}, OLDEST)} == {"a", "b"}


def test_may_start_when_a_parent_is_at_work_then_not() -> None:
    have = leases(p=Checkpoint("5"), c1=FROM_OLDEST)
    assert not may_start(have["c1"], have)
    assert may_start(have["p"], have)


def test_may_start_when_one_of_two_parents_has_ended_then_not() -> None:
    have = leases(c1=ENDED, c2=Checkpoint("5"), m=FROM_OLDEST)
    assert not may_start(have["m"], have)
    assert not may_start(have["c1"], have)


def test_may_start_when_parents_are_gone_or_ended_then_it_may() -> None:
    have = leases(c1=ENDED, m=FROM_OLDEST)
    assert may_start(have["m"], have)


def test_hole_when_every_key_is_at_work_then_there_is_none() -> None:
    assert not has_hole(leases(c1=FROM_OLDEST, c2=Checkpoint("5"), p=ENDED).values())
    assert not has_hole(leases(p=Checkpoint("5"), c1=FROM_OLDEST).values())


def test_hole_when_keys_are_nobodys_then_it_is_seen() -> None:
    assert has_hole(leases(c1=FROM_OLDEST, p=ENDED).values())
    assert has_hole(leases(c2=FROM_OLDEST).values())
    assert has_hole(leases(p=ENDED).values())


def test_hole_when_a_range_is_not_known_then_nothing_is_concluded() -> None:
    assert not has_hole([Lease(key="c1", checkpoint=FROM_OLDEST)])


def test_done_with_when_children_have_begun_then_the_parent_may_go() -> None:
    have = leases(p=ENDED, c1=Checkpoint("5"), c2=ENDED)
    have["p"] = have["p"].over(("c1", "c2"))
    assert [lease.key for lease in done_with(have)] == ["p"]


def test_done_with_when_a_child_has_not_begun_or_is_missing_then_the_parent_stays() -> None:
    for rest in ({"c2": FROM_OLDEST}, {}):
        have = leases(p=FROM_OLDEST, c1=Checkpoint("5"), **rest)
        have["p"] = have["p"].over(("c1", "c2"))
        assert not done_with(have)


def test_children_when_listed_then_they_are_found() -> None:
    assert children_of("p", SPLIT) == ("c1", "c2")
    assert children_of("c1", SPLIT) == ()
