"""Streams through boto3: create, delete, describe, list, limits, retention, record size."""

import json
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ACCOUNT = "123456789012"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/"


def test_create_stream_provisioned_describes_even_shards(kinesis: "KinesisClient", penstock: PenstockServer) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=3, Tags={"team": "data"}, MaxRecordSizeInKiB=2048)
    kinesis.get_waiter("stream_exists").wait(StreamName="a", WaiterConfig={"Delay": 0, "MaxAttempts": 5})
    stream = kinesis.describe_stream(StreamName="a")["StreamDescription"]
    assert (stream["StreamARN"], stream["StreamStatus"]) == (ARN + "a", "ACTIVE")
    assert stream["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert (stream["RetentionPeriodHours"], stream["EncryptionType"]) == (24, "NONE")
    assert stream["EnhancedMonitoring"] == [{"ShardLevelMetrics": []}]
    assert stream["StreamCreationTimestamp"].timestamp() * 1000 == pytest.approx(penstock.clock.now_ms, abs=60_000)
    assert [shard["HashKeyRange"] for shard in stream["Shards"]] == [
        {"StartingHashKey": "0", "EndingHashKey": "113427455640312821154458202477256070484"},
        {
            "StartingHashKey": "113427455640312821154458202477256070485",
            "EndingHashKey": "226854911280625642308916404954512140969",
        },
        {
            "StartingHashKey": "226854911280625642308916404954512140970",
            "EndingHashKey": "340282366920938463463374607431768211455",
        },
    ]
    assert all("EndingSequenceNumber" not in shard["SequenceNumberRange"] for shard in stream["Shards"])
    summary = kinesis.describe_stream_summary(StreamARN=ARN + "a")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["ConsumerCount"], summary["MaxRecordSizeInKiB"]) == (3, 0, 2048)
    assert kinesis.list_tags_for_stream(StreamName="a")["Tags"] == [{"Key": "team", "Value": "data"}]


def test_create_stream_on_demand_has_four_shards(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert summary["OpenShardCount"] == 4


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"StreamName": "taken", "ShardCount": 1}, "ResourceInUseException", f"Stream taken under account {ACCOUNT} already exists."),
        ({"StreamName": "b", "ShardCount": 0}, "ValidationException", "1 validation error detected: Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1"),
        ({"StreamName": "b c", "ShardCount": 1}, "ValidationException", "1 validation error detected: Value 'b c' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
        ({"StreamName": "b"}, "InvalidArgumentException", "ShardCount must be specified"),
        ({"StreamName": "b", "ShardCount": 1, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}, "ValidationException", "ShardCount can not be set"),
        ({"StreamName": "b", "ShardCount": 1, "Tags": {"aws:x": "y"}}, "InvalidArgumentException", "Tag keys can not begin with aws:"),
        ({"StreamName": "b", "ShardCount": 1, "Tags": {f"k{n}": "" for n in range(51)}}, "LimitExceededException", "at most 50 tags"),
        ({"StreamName": "b", "ShardCount": 20_000}, "LimitExceededException", f"This request would exceed the shard limit for the account {ACCOUNT} in us-east-1. Current shard count for the account: 1. Limit: 20000. Number of additional shards that would have resulted from this request: 20000. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits."),
    ],
)  # fmt: skip
def test_create_stream_invalid_is_refused(
    kinesis: "KinesisClient", refused: Refused, arguments: dict[str, Any], code: str, text: str
) -> None:
    kinesis.create_stream(StreamName="taken", ShardCount=1)
    found = refused(kinesis.create_stream, **arguments)
    assert found[0] == code
    assert text in found[1]
    assert kinesis.list_streams()["StreamNames"] == ["taken"]


def test_delete_stream_frees_its_name_and_records(
    kinesis: "KinesisClient", read_all: Callable[..., list[bytes]]
) -> None:
    for data in (b"old", b"new"):
        kinesis.create_stream(StreamName="a", ShardCount=1)
        kinesis.put_record(StreamName="a", Data=data, PartitionKey="k")
        assert read_all("a") == [data]
        kinesis.delete_stream(StreamARN=ARN + "a")
        kinesis.get_waiter("stream_not_exists").wait(StreamName="a", WaiterConfig={"Delay": 0, "MaxAttempts": 5})


@pytest.mark.parametrize(
    "call",
    [
        "describe_stream", "describe_stream_summary", "delete_stream", "list_shards", "list_tags_for_stream",
    ],
)  # fmt: skip
def test_operations_on_an_unknown_stream_are_refused(kinesis: "KinesisClient", refused: Refused, call: str) -> None:
    expected = ("ResourceNotFoundException", f"Stream nope under account {ACCOUNT} not found.")
    assert refused(getattr(kinesis, call), StreamName="nope") == expected
    assert refused(getattr(kinesis, call), StreamARN=ARN + "nope") == expected


def test_a_stream_that_is_named_badly_is_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    assert refused(kinesis.describe_stream)[0] == "InvalidArgumentException"
    assert refused(kinesis.describe_stream, StreamName="b", StreamARN=ARN + "a")[0] == "InvalidArgumentException"
    other = ARN.replace(ACCOUNT, "111122223333") + "a"
    code, message = refused(kinesis.describe_stream, StreamARN=other)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: kinesis:DescribeStream on resource: {other}"
        " because no resource-based policy allows the kinesis:DescribeStream action"
    )


def test_a_stream_id_names_its_stream(kinesis: "KinesisClient", penstock: PenstockServer) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    stream_id = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamId"]
    # boto3 sends a StreamId to a host name made of it, whatever endpoint it was given: so by hand.
    credential = "Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(
        penstock.endpoint_url,
        json.dumps({"StreamId": stream_id}).encode(),
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "Kinesis_20131202.DescribeStreamSummary",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": f"AWS4-HMAC-SHA256 {credential}",
        },
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["StreamDescriptionSummary"]["StreamName"] == "a"


def test_accounts_and_regions_do_not_see_each_other(penstock: PenstockServer) -> None:
    clients = [
        penstock.client(aws_access_key_id=key, region_name=region)
        for key, region in (("111111111111", "us-east-1"), ("222222222222", "us-east-1"), ("111111111111", "eu-west-1"))
    ]
    for number, client in enumerate(clients):
        client.create_stream(StreamName="same", ShardCount=1 + number)
    for number, client in enumerate(clients):
        summary = client.describe_stream_summary(StreamName="same")["StreamDescriptionSummary"]
        assert summary["OpenShardCount"] == 1 + number
        assert client.list_streams()["StreamNames"] == ["same"]
    assert (
        "111111111111" in clients[0].describe_stream_summary(StreamName="same")["StreamDescriptionSummary"]["StreamARN"]
    )
    clients[0].delete_stream(StreamName="same")
    assert clients[1].list_streams()["StreamNames"] == ["same"]


def test_list_streams_pages_by_name(kinesis: "KinesisClient") -> None:
    names = [f"s{number:03}" for number in range(105)]
    for name in reversed(names):
        kinesis.create_stream(StreamName=name, ShardCount=1)
    first = kinesis.list_streams()
    assert (first["StreamNames"], first["HasMoreStreams"]) == (names[:100], True)
    assert [summary["StreamName"] for summary in first["StreamSummaries"]] == names[:100]
    rest = kinesis.list_streams(NextToken=first["NextToken"])
    assert (rest["StreamNames"], rest["HasMoreStreams"]) == (names[100:], False)
    assert kinesis.list_streams(ExclusiveStartStreamName="s003", Limit=2)["StreamNames"] == ["s004", "s005"]
    found = [
        name
        for page in kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 7})
        for name in page["StreamNames"]
    ]
    assert found == names


def test_describe_stream_pages_shards(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=130)
    first = kinesis.describe_stream(StreamName="a")["StreamDescription"]
    assert (len(first["Shards"]), first["HasMoreShards"]) == (100, True)
    last = first["Shards"][-1]["ShardId"]
    rest = kinesis.describe_stream(StreamName="a", ExclusiveStartShardId=last)["StreamDescription"]
    assert [shard["ShardId"] for shard in rest["Shards"]] == [f"shardId-{number:012}" for number in range(100, 130)]
    assert not rest["HasMoreShards"]


def test_describe_limits_counts(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=3)
    kinesis.create_stream(StreamName="b", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    limits = kinesis.describe_limits()
    assert (limits["OpenShardCount"], limits["ShardLimit"]) == (7, 20_000)
    assert (limits["OnDemandStreamCount"], limits["OnDemandStreamCountLimit"]) == (1, 50)


def test_on_demand_streams_have_a_limit(kinesis: "KinesisClient", refused: Refused) -> None:
    for number in range(50):
        kinesis.create_stream(StreamName=f"s{number}", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    arguments = {"StreamName": "more", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
    assert refused(kinesis.create_stream, **arguments)[0] == "LimitExceededException"


def test_retention_moves_in_its_direction_only(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    kinesis.increase_stream_retention_period(StreamName="a", RetentionPeriodHours=24)  # an equal value succeeds
    kinesis.increase_stream_retention_period(StreamName="a", RetentionPeriodHours=48)
    assert kinesis.describe_stream(StreamName="a")["StreamDescription"]["RetentionPeriodHours"] == 48
    assert refused(kinesis.increase_stream_retention_period, StreamName="a", RetentionPeriodHours=47) == (
        "InvalidArgumentException",
        "Requested retention period (47 hours) for stream a can not be shorter than existing retention period (48 hours)."
        " Use DecreaseRetentionPeriod API.",
    )
    assert refused(kinesis.decrease_stream_retention_period, StreamName="a", RetentionPeriodHours=49) == (
        "InvalidArgumentException",
        "Requested retention period (49 hours) for stream a can not be longer than existing retention period (48 hours)."
        " Use IncreaseRetentionPeriod API.",
    )
    assert refused(kinesis.increase_stream_retention_period, StreamName="a", RetentionPeriodHours=8761) == (
        "InvalidArgumentException",
        "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.",
    )
    assert refused(kinesis.decrease_stream_retention_period, StreamName="a", RetentionPeriodHours=23) == (
        "InvalidArgumentException",
        "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
    )
    kinesis.decrease_stream_retention_period(StreamName="a", RetentionPeriodHours=24)
    assert kinesis.describe_stream(StreamName="a")["StreamDescription"]["RetentionPeriodHours"] == 24


def test_records_expire_and_a_longer_retention_brings_none_back(
    kinesis: "KinesisClient", penstock: PenstockServer, read_all: Callable[..., list[bytes]]
) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    kinesis.put_record(StreamName="a", Data=b"old", PartitionKey="k")
    penstock.clock.advance(hours=23, minutes=59)
    kinesis.put_record(StreamName="a", Data=b"young", PartitionKey="k")
    assert read_all("a") == [b"old", b"young"]
    penstock.clock.advance(minutes=2)
    assert read_all("a") == [b"young"]
    kinesis.increase_stream_retention_period(StreamName="a", RetentionPeriodHours=72)
    assert read_all("a") == [b"young"]
    penstock.clock.advance(hours=71)
    assert read_all("a") == [b"young"]


def test_update_max_record_size_lets_larger_records_in(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    record = {"StreamName": "a", "Data": bytes(2**20), "PartitionKey": "k"}
    assert refused(kinesis.put_record, **record)[0] == "InvalidArgumentException"
    kinesis.update_max_record_size(StreamARN=ARN + "a", MaxRecordSizeInKiB=10240)
    assert kinesis.put_record(**record)["ShardId"] == "shardId-000000000000"  # type: ignore[arg-type]
    largest = {**record, "Data": bytes(10 * 2**20 - 1)}
    assert kinesis.put_record(**largest)["ShardId"] == "shardId-000000000000"  # type: ignore[arg-type]
    assert (
        refused(kinesis.update_max_record_size, StreamARN=ARN + "a", MaxRecordSizeInKiB=512)[0] == "ValidationException"
    )


def test_states_are_seen_while_a_transition_lasts() -> None:
    with PenstockServer(transition_ms=5000) as server:
        server.clock.stand()
        kinesis = server.client()

        def status() -> str:
            found: str = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamStatus"]
            return found

        kinesis.create_stream(StreamName="a", ShardCount=1)
        assert status() == "CREATING"
        assert kinesis.describe_stream(StreamName="a")["StreamDescription"]["Shards"] == []
        with pytest.raises(kinesis.exceptions.ResourceInUseException, match="not ACTIVE, instead in state CREATING"):
            kinesis.delete_stream(StreamName="a")
        with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
            kinesis.put_record(StreamName="a", Data=b"", PartitionKey="k")
        server.clock.advance(seconds=5)
        assert status() == "ACTIVE"
        kinesis.increase_stream_retention_period(StreamName="a", RetentionPeriodHours=48)
        assert status() == "UPDATING"
        kinesis.put_record(StreamName="a", Data=b"", PartitionKey="k")  # reads and writes go on
        server.clock.advance(seconds=5)
        kinesis.delete_stream(StreamName="a")
        assert status() == "DELETING"
        server.clock.advance(seconds=5)
        assert kinesis.list_streams()["StreamNames"] == []


def test_caller_identity_is_the_account_of_the_key(penstock: PenstockServer) -> None:
    identity = penstock.client("sts", aws_access_key_id="111122223333").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == ("111122223333", "arn:aws:iam::111122223333:root")
    assert penstock.client("sts").get_caller_identity()["Account"] == ACCOUNT
