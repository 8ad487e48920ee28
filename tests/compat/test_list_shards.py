"""ListShards through boto3: pages, expiring tokens, filters."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
IDS = [f"shardId-{number:012}" for number in range(12)]


@pytest.fixture(autouse=True)
def _stream(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=12)


def _ids(answer: Any) -> list[str]:
    return [shard["ShardId"] for shard in answer["Shards"]]


def test_shards_are_listed_in_pages(kinesis: "KinesisClient") -> None:
    assert _ids(kinesis.list_shards(StreamName="a")) == IDS
    first = kinesis.list_shards(StreamName="a", MaxResults=5)
    second = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=5)
    third = kinesis.list_shards(NextToken=second["NextToken"])
    assert (_ids(first), _ids(second), _ids(third)) == (IDS[:5], IDS[5:10], IDS[10:])
    assert "NextToken" not in third
    assert _ids(kinesis.list_shards(StreamName="a", ExclusiveStartShardId=IDS[9])) == IDS[10:]


def test_a_token_remembers_the_filter_and_start(kinesis: "KinesisClient") -> None:
    arguments: dict[str, Any] = {"ShardFilter": {"Type": "AFTER_SHARD_ID", "ShardId": IDS[3]}}
    first = kinesis.list_shards(StreamName="a", MaxResults=3, **arguments)
    assert _ids(first) == IDS[4:7]
    assert _ids(kinesis.list_shards(NextToken=first["NextToken"])) == IDS[7:]


def test_a_token_expires_after_300_seconds(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused
) -> None:
    penstock.clock.stand()
    token = kinesis.list_shards(StreamName="a", MaxResults=1)["NextToken"]
    penstock.clock.advance(seconds=299)
    assert _ids(kinesis.list_shards(NextToken=token)) == IDS[1:]
    penstock.clock.advance(seconds=2)
    assert refused(kinesis.list_shards, NextToken=token)[0] == "ExpiredNextTokenException"


def test_a_token_stands_alone(kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused) -> None:
    token = kinesis.list_shards(StreamName="a", MaxResults=1)["NextToken"]
    assert refused(kinesis.list_shards, StreamName="a", NextToken=token) == (
        "InvalidArgumentException",
        "NextToken and StreamName cannot be provided together.",
    )
    for other in (
        {"ExclusiveStartShardId": IDS[0]},
        {"StreamCreationTimestamp": 0},
        {"ShardFilter": {"Type": "AT_LATEST"}},
    ):
        assert refused(kinesis.list_shards, NextToken=token, **other)[0] == "InvalidArgumentException"
    assert refused(kinesis.list_shards, NextToken=token[:-4])[0] == "InvalidArgumentException"
    stranger = penstock.client(aws_access_key_id="999999999999")
    assert refused(stranger.list_shards, NextToken=token)[0] == "InvalidArgumentException"
    kinesis.delete_stream(StreamName="a")
    kinesis.create_stream(StreamName="a", ShardCount=12)
    assert refused(kinesis.list_shards, NextToken=token)[0] == "InvalidArgumentException"


def test_filters_keep_open_shards(kinesis: "KinesisClient", penstock: PenstockServer) -> None:
    penstock.clock.advance(hours=1)
    moment = penstock.clock.now_ms / 1000
    for chosen in (
        {"Type": "AT_LATEST"}, {"Type": "AT_TRIM_HORIZON"}, {"Type": "FROM_TRIM_HORIZON"},
        {"Type": "AT_TIMESTAMP", "Timestamp": moment}, {"Type": "FROM_TIMESTAMP", "Timestamp": moment},
        {"Type": "AT_TIMESTAMP", "Timestamp": 0},
    ):  # fmt: skip
        assert _ids(kinesis.list_shards(StreamName="a", ShardFilter=chosen)) == IDS  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"ShardFilter": {"Type": "AFTER_SHARD_ID"}}, "InvalidArgumentException"),
        ({"ShardFilter": {"Type": "AT_TIMESTAMP"}}, "InvalidArgumentException"),
        ({"ShardFilter": {"Type": "AT_LATEST", "ShardId": IDS[0]}}, "InvalidArgumentException"),
        ({"ShardFilter": {"Type": "AT_TIMESTAMP", "Timestamp": 4e9}}, "InvalidArgumentException"),
        ({"ShardFilter": {"Type": "AT_LATEST"}, "ExclusiveStartShardId": IDS[0]}, "InvalidArgumentException"),
        ({"ShardFilter": {"Type": "SOME"}}, "ValidationException"),
        ({"ShardFilter": {}}, "ValidationException"),
        ({"MaxResults": 10_001}, "ValidationException"),
        ({"ExclusiveStartShardId": "x"}, "ResourceNotFoundException"),
    ],
)
def test_bad_arguments_are_refused(
    kinesis: "KinesisClient", refused: Refused, arguments: dict[str, Any], code: str
) -> None:
    assert refused(kinesis.list_shards, StreamName="a", **arguments)[0] == code


def test_a_creation_time_tells_streams_of_one_name_apart(kinesis: "KinesisClient", refused: Refused) -> None:
    created = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    assert _ids(kinesis.list_shards(StreamName="a", StreamCreationTimestamp=created)) == IDS
    earlier = created - timedelta(seconds=5)
    code, _ = refused(kinesis.list_shards, StreamName="a", StreamCreationTimestamp=earlier)
    assert code == "ResourceNotFoundException"
