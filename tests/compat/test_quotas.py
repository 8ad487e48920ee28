"""Quotas through boto3: AWS's rates of calls, and numbers of the server's and of a stream's own."""

import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ACCOUNT = "123456789012"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/a"
ONCE: Any = {"config": Config(retries={"total_max_attempts": 1})}
RECORD: Any = {"StreamName": "a", "Data": b"12345678", "PartitionKey": "k"}


def before_refusal(call: Callable[..., object], arguments: Any, most: int) -> tuple[int, tuple[str, str]]:
    """How many calls pass before the first that is refused for its rate, and what that one is told.

    The server's clock goes on meanwhile, so a slow machine sees more of them pass than the rate says, and never fewer.
    """
    for passed in range(most):
        try:
            call(**arguments)
        except ClientError as error:
            told = error.response["Error"]
            if told["Code"] in ("LimitExceededException", "ProvisionedThroughputExceededException"):
                return passed, (told["Code"], told["Message"])
    pytest.fail(f"{most} calls passed")


def passes(call: Callable[..., object], arguments: Any, count: int) -> bool:
    """Whether `count` calls are not refused."""
    for _ in range(count):
        call(**arguments)
    return True


def refused_calls(server: PenstockServer) -> float:
    with urllib.request.urlopen(server.endpoint_url + "/metrics") as page:
        lines = page.read().decode().splitlines()
    [found] = [line.split()[1] for line in lines if line.startswith("penstock_streams_refused_calls_total")]
    return float(found)


@pytest.mark.parametrize(
    ("operation", "arguments", "rate"),
    [
        ("describe_stream", {"StreamName": "a"}, 10),
        ("describe_stream_summary", {"StreamARN": ARN}, 20),
        ("delete_stream", {"StreamName": "none"}, 5),
        ("list_streams", {}, 5),
        ("describe_limits", {}, 1),
        ("split_shard", {"StreamName": "none", "ShardToSplit": "0", "NewStartingHashKey": "5"}, 5),
        ("update_shard_count", {"StreamName": "none", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}, 10),
        ("list_tags_for_stream", {"StreamName": "a"}, 5),
        ("tag_resource", {"ResourceARN": ARN, "Tags": {"k": "v"}}, 5),
        ("increase_stream_retention_period", {"StreamName": "a", "RetentionPeriodHours": 24}, 5),
        ("list_stream_consumers", {"StreamARN": ARN}, 5),
        ("start_stream_encryption", {"StreamName": "none", "EncryptionType": "KMS", "KeyId": "alias/x"}, 5),
        ("enable_enhanced_monitoring", {"StreamName": "a", "ShardLevelMetrics": ["ALL"]}, 5),
        ("get_resource_policy", {"ResourceARN": ARN}, 5),
        ("describe_account_settings", {}, 5),
    ],
)
def test_control_calls_over_their_rate_are_refused_under_aws_limits(
    operation: str, arguments: dict[str, Any], rate: int
) -> None:
    stream = arguments.get("StreamName", "a") if arguments else None
    message = (
        f"Rate exceeded for stream {stream} under account {ACCOUNT}."
        if stream
        else f"Rate exceeded for account {ACCOUNT}."
    )
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client(**ONCE)
        kinesis.create_stream(StreamName="a", ShardCount=1)
        call = getattr(kinesis, operation)
        passed, told = before_refusal(call, arguments, 50 * rate)
        assert passed >= rate
        assert told == ("LimitExceededException", message)
        assert refused_calls(server) == 1
        server.clock.advance(seconds=1)
        assert before_refusal(call, arguments, 50 * rate)[0] >= rate


def test_what_is_refused_has_not_begun() -> None:
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client(**ONCE)
        names = [f"s{number:03}" for number in range(250)]
        number = iter(names)
        passed, told = before_refusal(lambda: kinesis.create_stream(StreamName=next(number), ShardCount=1), {}, 250)
        assert told == ("LimitExceededException", f"Rate exceeded for stream {names[passed]} under account {ACCOUNT}.")
        assert kinesis.list_streams()["StreamNames"] == names[:passed]
        kinesis.delete_stream(StreamName=names[0])  # has a rate of its own


def test_control_calls_are_free_without_aws_limits(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    assert passes(kinesis.describe_stream, {"StreamName": "a"}, 60)
    assert passes(kinesis.describe_limits, {}, 20)
    assert refused_calls(penstock) == 0


def test_five_streams_at_most_come_and_go_at_once_under_aws_limits(refused: Refused) -> None:
    with PenstockServer(limits="aws", transition_ms=10_000) as server:
        server.clock.stand()
        kinesis = server.client(**ONCE)
        for number in range(5):
            kinesis.create_stream(StreamName=f"s{number}", ShardCount=1)
            server.clock.advance(seconds=1)
        assert refused(kinesis.create_stream, StreamName="a", ShardCount=1) == (
            "LimitExceededException",
            "This request would have exceed the limit on the number of streams that can simultaneously be in CREATING or"
            f" DELETING for the account {ACCOUNT}. Limit: 5.",
        )
        server.clock.advance(seconds=10)
        kinesis.create_stream(StreamName="a", ShardCount=1)


TAGS = {
    "penstock:write-records-per-second": "4",
    "penstock:write-bytes-per-second": "1000000",
    "penstock:read-bytes-per-second": "1000000",
    "penstock:read-calls-per-second": "3",
}


@pytest.mark.parametrize("limits", ["off", "aws"])
def test_a_streams_own_numbers_hold_whatever_the_limits(limits: str) -> None:
    with PenstockServer(limits=limits) as server:
        kinesis = server.client(**ONCE)
        kinesis.create_stream(StreamName="a", ShardCount=1, Tags=TAGS)
        kinesis.create_stream(StreamName="free", ShardCount=1)
        many = [{"Data": b"x", "PartitionKey": "k"} for _ in range(100)]
        answer = kinesis.put_records(StreamName="a", Records=many)
        assert 90 <= answer["FailedRecordCount"] <= 96
        failed = [record for record in answer["Records"] if "ErrorCode" in record]
        assert failed[0]["ErrorCode"] == "ProvisionedThroughputExceededException"
        assert (
            failed[0]["ErrorMessage"]
            == f"Rate exceeded for shard shardId-000000000000 in stream a under account {ACCOUNT}."
        )
        assert kinesis.put_records(StreamName="free", Records=many)["FailedRecordCount"] == 0
        iterator = kinesis.get_shard_iterator(
            StreamName="a", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        assert before_refusal(kinesis.get_records, {"ShardIterator": iterator}, 100)[0] >= 3
        kinesis.untag_resource(ResourceARN=ARN, TagKeys=list(TAGS))
        assert kinesis.put_records(StreamName="a", Records=many)["FailedRecordCount"] == 0


def test_bytes_of_a_streams_own_are_bounded(kinesis: "KinesisClient", penstock: PenstockServer) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1, Tags={"penstock:write-bytes-per-second": "90"})
    for _ in range(2):
        assert before_refusal(kinesis.put_record, RECORD, 1000)[0] >= 10
        penstock.clock.advance(seconds=1)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_a_tag_that_is_no_rate_is_refused(kinesis: "KinesisClient", refused: Refused, value: str) -> None:
    key = "penstock:write-bytes-per-second"
    expected = ("InvalidArgumentException", f"The value of tag {key} must be a whole number from 1 to 9999999999999.")
    assert refused(kinesis.create_stream, StreamName="a", ShardCount=1, Tags={key: value}) == expected
    kinesis.create_stream(StreamName="a", ShardCount=1)
    assert refused(kinesis.add_tags_to_stream, StreamName="a", Tags={key: value}) == expected
    assert refused(kinesis.tag_resource, ResourceARN=ARN, Tags={key: value}) == expected


def test_numbers_of_the_server_hold_without_aws_limits() -> None:
    settings: Any = {"shard_write_records": 3, "shard_read_calls": 2, "shard_write": "1K", "shard_read": "1M"}
    with PenstockServer(**settings) as server:
        kinesis = server.client(**ONCE)
        kinesis.create_stream(StreamName="a", ShardCount=1)
        assert before_refusal(kinesis.put_record, RECORD, 200)[0] >= 3
        server.clock.advance(seconds=5)
        assert 1 <= before_refusal(kinesis.put_record, {**RECORD, "Data": bytes(900)}, 50)[0] <= 2
        iterator = kinesis.get_shard_iterator(
            StreamName="a", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        assert before_refusal(kinesis.get_records, {"ShardIterator": iterator}, 100)[0] >= 2
        kinesis.add_tags_to_stream(StreamName="a", Tags={"penstock:write-records-per-second": "50"})
        server.clock.advance(seconds=5)
        assert passes(kinesis.put_record, RECORD, 20), "a stream's own number is nearer"
