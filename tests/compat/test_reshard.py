"""SplitShard, MergeShards and UpdateShardCount as boto3 sees them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

ACCOUNT: Final = "123456789012"
TOP: Final = 2**128 - 1
MIDDLE: Final = str(2**127)
Refused = Callable[..., tuple[str, str]]


def shard(number: int) -> str:
    """A shard's id."""
    return f"shardId-{number:012d}"


def shards_of(kinesis: "KinesisClient", **how: Any) -> dict[str, Any]:
    """The shards of stream `s` by id."""
    return {found["ShardId"]: found for found in kinesis.list_shards(StreamName="s", **how)["Shards"]}


def create(kinesis: "KinesisClient", count: int, **how: Any) -> None:
    """Make stream `s`."""
    kinesis.create_stream(StreamName="s", ShardCount=count, **how)


def count_to(kinesis: "KinesisClient", target: int) -> Any:
    """UpdateShardCount of stream `s`."""
    return kinesis.update_shard_count(StreamName="s", TargetShardCount=target, ScalingType="UNIFORM_SCALING")


def test_split_shard_when_it_is_open_then_two_children_take_its_range(kinesis: "KinesisClient") -> None:
    create(kinesis, 1)
    last = kinesis.put_record(StreamName="s", Data=b"1", PartitionKey="a")["SequenceNumber"]
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=MIDDLE)
    found = shards_of(kinesis)
    assert list(found) == [shard(0), shard(1), shard(2)]
    parent, lower, upper = found.values()
    assert int(parent["SequenceNumberRange"]["EndingSequenceNumber"]) >= int(last)
    assert lower["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(2**127 - 1)}
    assert upper["HashKeyRange"] == {"StartingHashKey": MIDDLE, "EndingHashKey": str(TOP)}
    for child in (lower, upper):
        assert child["ParentShardId"] == shard(0)
        assert "AdjacentParentShardId" not in child
        numbers = child["SequenceNumberRange"]
        assert "EndingSequenceNumber" not in numbers
        assert int(numbers["StartingSequenceNumber"]) > int(parent["SequenceNumberRange"]["EndingSequenceNumber"])


def test_merge_shards_when_they_are_neighbours_then_one_child_has_both_as_parents(kinesis: "KinesisClient") -> None:
    create(kinesis, 2)
    kinesis.merge_shards(StreamName="s", ShardToMerge=shard(1), AdjacentShardToMerge=shard(0))
    child = shards_of(kinesis)[shard(2)]
    assert {child["ParentShardId"], child["AdjacentParentShardId"]} == {shard(0), shard(1)}
    assert child["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(TOP)}


def test_get_records_when_a_closed_shard_ends_then_it_names_the_children_and_no_next_iterator(
    kinesis: "KinesisClient",
) -> None:
    create(kinesis, 1)
    kinesis.put_record(StreamName="s", Data=b"1", PartitionKey="a")
    kinesis.put_record(StreamName="s", Data=b"2", PartitionKey="a")
    iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard(0), ShardIteratorType="TRIM_HORIZON")
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=MIDDLE)
    first: Any = kinesis.get_records(ShardIterator=iterator["ShardIterator"], Limit=1)
    assert "ChildShards" not in first
    last: Any = kinesis.get_records(ShardIterator=first["NextShardIterator"])
    assert [record["Data"] for record in last["Records"]] == [b"2"]
    assert last.get("NextShardIterator") is None
    assert last["ChildShards"] == [
        {
            "ShardId": shard(1),
            "ParentShards": [shard(0)],
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(2**127 - 1)},
        },
        {
            "ShardId": shard(2),
            "ParentShards": [shard(0)],
            "HashKeyRange": {"StartingHashKey": MIDDLE, "EndingHashKey": str(TOP)},
        },
    ]


def test_get_records_when_merged_shards_end_then_their_child_names_both_parents(kinesis: "KinesisClient") -> None:
    create(kinesis, 2)
    kinesis.merge_shards(StreamName="s", ShardToMerge=shard(0), AdjacentShardToMerge=shard(1))
    iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard(1), ShardIteratorType="LATEST")
    page = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert [child["ParentShards"] for child in page["ChildShards"]] == [[shard(0), shard(1)]]


def test_put_record_when_its_shard_was_split_then_it_goes_to_the_child(kinesis: "KinesisClient") -> None:
    create(kinesis, 1)
    before = kinesis.put_record(StreamName="s", Data=b"1", PartitionKey="a", ExplicitHashKey=str(TOP))
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=MIDDLE)
    after = kinesis.put_record(
        StreamName="s",
        Data=b"2",
        PartitionKey="a",
        ExplicitHashKey=str(TOP),
        SequenceNumberForOrdering=before["SequenceNumber"],
    )
    assert after["ShardId"] == shard(2)
    assert int(after["SequenceNumber"]) > int(before["SequenceNumber"])


CHAIN: Final = [4, 8, 5, 3, 6, 6]


def test_update_shard_count_when_called_again_and_again_then_ranges_are_even_each_time(
    kinesis: "KinesisClient",
) -> None:
    create(kinesis, 4)
    before = 4
    for target in CHAIN:
        answer = count_to(kinesis, target)
        assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (before, target)
        assert answer["StreamName"] == "s"
        assert answer["StreamARN"].endswith(":stream/s")
        before = target
        held = sorted(
            (int(one["HashKeyRange"]["StartingHashKey"]), int(one["HashKeyRange"]["EndingHashKey"]))
            for one in shards_of(kinesis, ShardFilter={"Type": "AT_LATEST"}).values()
        )
        assert len(held) == target
        assert all(abs(end - start - TOP // target) < 2**42 for start, end in held)
        assert [start for start, _ in held] == [0, *(end + 1 for _, end in held[:-1])]


def test_update_shard_count_when_a_shard_count_is_not_nested_then_every_step_is_a_split_or_a_merge(
    kinesis: "KinesisClient",
) -> None:
    create(kinesis, 4)
    count_to(kinesis, 5)
    found = shards_of(kinesis)
    assert len(found) == 15  # four splits, then three merges; the number of shards that AWS was seen to make
    children: dict[str, int] = {}
    for one in found.values():
        for parent in (one.get("ParentShardId"), one.get("AdjacentParentShardId")):
            if parent is not None:
                children[parent] = children.get(parent, 0) + 1
    for one, born in children.items():
        assert "EndingSequenceNumber" in found[one]["SequenceNumberRange"]
        assert born in (1, 2)


def test_list_shards_when_a_stream_has_generations_then_each_filter_sees_its_own(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    penstock.clock.stand()
    create(kinesis, 1)
    penstock.clock.advance(seconds=10)
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=MIDDLE)
    description = kinesis.describe_stream(StreamName="s")["StreamDescription"]
    between = description["StreamCreationTimestamp"].timestamp() + 5
    penstock.clock.advance(seconds=10)
    kinesis.merge_shards(StreamName="s", ShardToMerge=shard(1), AdjacentShardToMerge=shard(2))

    def numbers(kind: str, **how: Any) -> list[int]:
        return [int(one[-12:]) for one in shards_of(kinesis, ShardFilter={"Type": kind, **how})]

    assert numbers("FROM_TRIM_HORIZON") == [0, 1, 2, 3]
    assert numbers("AT_TRIM_HORIZON") == [0]
    assert numbers("AT_LATEST") == [3]
    assert numbers("AT_TIMESTAMP", Timestamp=between) == [0]
    assert numbers("AT_TIMESTAMP", Timestamp=between + 10) == [1, 2]
    assert numbers("FROM_TIMESTAMP", Timestamp=between + 10) == [1, 2, 3]
    assert numbers("AFTER_SHARD_ID", ShardId=shard(1)) == [2, 3]


def test_closed_shards_when_retention_is_over_then_they_vanish(
    penstock: PenstockServer, kinesis: "KinesisClient", refused: Refused
) -> None:
    create(kinesis, 1)
    kinesis.put_record(StreamName="s", Data=b"1", PartitionKey="a")
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=MIDDLE)
    penstock.clock.advance(hours=23)
    assert list(shards_of(kinesis)) == [shard(0), shard(1), shard(2)]
    penstock.clock.advance(hours=2)
    assert list(shards_of(kinesis)) == [shard(1), shard(2)]
    assert shards_of(kinesis)[shard(1)]["ParentShardId"] == shard(0)
    assert refused(kinesis.get_shard_iterator, StreamName="s", ShardId=shard(0), ShardIteratorType="TRIM_HORIZON") == (
        "ResourceNotFoundException",
        f"Shard {shard(0)} in stream s under account {ACCOUNT} does not exist",
    )
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(2), NewStartingHashKey=str(3 * 2**126))
    assert list(shards_of(kinesis)) == [shard(1), shard(2), shard(3), shard(4)]


@pytest.mark.parametrize("key", ["0", "1", str(2**127 - 1), str(2**127), str(TOP)])
def test_split_shard_when_the_key_leaves_a_child_too_little_then_it_is_refused(
    kinesis: "KinesisClient", refused: Refused, key: str
) -> None:
    create(kinesis, 2)
    assert refused(kinesis.split_shard, StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=key) == (
        "InvalidArgumentException",
        f"NewStartingHashKey {key} used in SplitShard() on shard {shard(0)} in stream s under account {ACCOUNT}"
        f" is not both greater than one plus the shard's StartingHashKey 0"
        f" and less than the shard's EndingHashKey {2**127 - 1}.",
    )


@pytest.mark.parametrize("key", ["2", str(2**127 - 2)])
def test_split_shard_when_the_key_is_just_inside_then_it_is_split(kinesis: "KinesisClient", key: str) -> None:
    create(kinesis, 2)
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=key)
    assert shards_of(kinesis)[shard(3)]["HashKeyRange"]["StartingHashKey"] == key


def test_reshard_when_shards_are_closed_missing_or_apart_then_it_is_refused(
    kinesis: "KinesisClient", refused: Refused
) -> None:
    create(kinesis, 3)
    kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey="1000")
    closed = (
        "InvalidArgumentException",
        f"Shard {shard(0)} in stream s under account {ACCOUNT} has already been merged or split,"
        " and thus is not eligible for merging or splitting.",
    )
    assert refused(kinesis.split_shard, StreamName="s", ShardToSplit=shard(0), NewStartingHashKey="100") == closed
    assert refused(kinesis.merge_shards, StreamName="s", ShardToMerge=shard(0), AdjacentShardToMerge=shard(1)) == closed
    assert refused(kinesis.merge_shards, StreamName="s", ShardToMerge=shard(1), AdjacentShardToMerge=shard(0)) == closed
    for pair in ((3, 1), (1, 1), (1, 3)):
        assert refused(
            kinesis.merge_shards, StreamName="s", ShardToMerge=shard(pair[0]), AdjacentShardToMerge=shard(pair[1])
        ) == (
            "InvalidArgumentException",
            f"Shards {shard(pair[0])} and {shard(pair[1])} in stream s under account {ACCOUNT}"
            " are not an adjacent pair of shards eligible for merging",
        )
    assert refused(kinesis.split_shard, StreamName="s", ShardToSplit="nonsense", NewStartingHashKey="100") == (
        "ResourceNotFoundException",
        f"Could not find shard nonsense in stream s under account {ACCOUNT}.",
    )
    assert refused(kinesis.split_shard, StreamName="s", ShardToSplit=shard(9), NewStartingHashKey="100") == (
        "ResourceNotFoundException",
        f"Shard {shard(9)} in stream s under account {ACCOUNT} does not exist",
    )
    assert refused(kinesis.split_shard, StreamName="t", ShardToSplit=shard(0), NewStartingHashKey="100") == (
        "ResourceNotFoundException",
        f"Stream t under account {ACCOUNT} not found.",
    )


def test_update_shard_count_when_it_is_over_double_or_under_half_then_it_is_refused(
    kinesis: "KinesisClient", refused: Refused
) -> None:
    create(kinesis, 5)
    assert refused(count_to, kinesis=kinesis, target=11) == (
        "LimitExceededException",
        "UpdateShardCount cannot scale up over double your current open shard count."
        " Current open shard count: 5 Target shard count: 11",
    )
    assert refused(count_to, kinesis=kinesis, target=2) == (
        "LimitExceededException",
        "UpdateShardCount cannot scale down below half your current open shard count."
        " Current open shard count: 5 Target shard count: 2",
    )
    assert refused(count_to, kinesis=kinesis, target=10_001)[0] == "LimitExceededException"
    assert refused(count_to, kinesis=kinesis, target=0)[0] == "ValidationException"
    assert len(shards_of(kinesis)) == 5
    count_to(kinesis, 10)


def test_reshard_when_the_stream_is_on_demand_then_it_is_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="s", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for operation, how in (
        (kinesis.split_shard, {"ShardToSplit": shard(0), "NewStartingHashKey": "100"}),
        (kinesis.merge_shards, {"ShardToMerge": shard(0), "AdjacentShardToMerge": shard(1)}),
        (kinesis.update_shard_count, {"TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING"}),
    ):
        assert refused(operation, StreamName="s", **how)[0] == "ValidationException"


def test_update_shard_count_when_called_eleven_times_in_a_day_under_aws_limits_then_the_last_is_refused(
    refused: Refused,
) -> None:
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client()
        create(kinesis, 2)
        for number in range(10):
            count_to(kinesis, 2 + number % 2)
            server.clock.advance(minutes=10)
        assert refused(count_to, kinesis=kinesis, target=3)[0] == "LimitExceededException"
        server.clock.advance(hours=23)
        count_to(kinesis, 3)


def test_reshard_when_it_takes_a_while_then_the_stream_is_updating_and_takes_reads_and_writes(
    refused: Refused,
) -> None:
    with PenstockServer(transition_ms=1000) as server:
        server.clock.stand()
        kinesis = server.client()
        create(kinesis, 1)
        server.clock.advance(seconds=2)
        kinesis.split_shard(StreamName="s", ShardToSplit=shard(0), NewStartingHashKey=MIDDLE)
        assert kinesis.describe_stream(StreamName="s")["StreamDescription"]["StreamStatus"] == "UPDATING"
        assert kinesis.put_record(StreamName="s", Data=b"1", PartitionKey="a")["ShardId"] == shard(0)
        for operation, how in (
            (kinesis.split_shard, {"ShardToSplit": shard(0), "NewStartingHashKey": MIDDLE}),
            (kinesis.update_shard_count, {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}),
            (kinesis.delete_stream, {}),
        ):
            assert refused(operation, StreamName="s", **how) == (
                "ResourceInUseException",
                f"Stream s under account {ACCOUNT} not ACTIVE, instead in state UPDATING",
            )
        server.clock.advance(seconds=2)
        assert kinesis.describe_stream(StreamName="s")["StreamDescription"]["StreamStatus"] == "ACTIVE"
        assert kinesis.put_record(StreamName="s", Data=b"2", PartitionKey="a")["ShardId"] in (shard(1), shard(2))
