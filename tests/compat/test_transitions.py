"""Transitions through boto3: what needs an ACTIVE stream, races between control operations, and botocore's waiters."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
POLICY = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "kinesis:*", "Resource": "*"}}'
KMS = {"StreamName": "a", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
HANG_S = 60

NEEDS_ACTIVE: dict[str, Any] = {
    "delete_stream": {"StreamName": "a"},
    "split_shard": {"StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"},
    "merge_shards": {
        "StreamName": "a",
        "ShardToMerge": "shardId-000000000000",
        "AdjacentShardToMerge": "shardId-000000000001",
    },
    "update_shard_count": {"StreamName": "a", "TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING"},
    "increase_stream_retention_period": {"StreamName": "a", "RetentionPeriodHours": 48},
    "decrease_stream_retention_period": {"StreamName": "a", "RetentionPeriodHours": 24},
    "update_max_record_size": {"StreamARN": ARN, "MaxRecordSizeInKiB": 2048},
    "start_stream_encryption": KMS,
    "stop_stream_encryption": KMS,
    "enable_enhanced_monitoring": {"StreamName": "a", "ShardLevelMetrics": ["ALL"]},
    "disable_enhanced_monitoring": {"StreamName": "a", "ShardLevelMetrics": ["ALL"]},
    "update_stream_mode": {"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
    "update_stream_record_distribution_strategy": {
        "StreamARN": ARN,
        "RecordDistributionStrategy": "USER_PARTITION_KEY",
    },
    "put_resource_policy": {"ResourceARN": ARN, "Policy": POLICY},
    "register_stream_consumer": {"StreamARN": ARN, "ConsumerName": "c"},
}
ENTERS_UPDATING = [
    name
    for name in NEEDS_ACTIVE
    if name
    not in (
        "delete_stream",
        "decrease_stream_retention_period",  # to what it is
        "stop_stream_encryption",  # of what is not encrypted
        "disable_enhanced_monitoring",  # of what is off
        "update_stream_record_distribution_strategy",
        "put_resource_policy",
        "register_stream_consumer",
    )
]


def client(server: PenstockServer) -> Any:
    return server.client(config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20))


def status(kinesis: Any) -> str:
    found: str = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamStatus"]
    return found


def open_stream(server: PenstockServer, kinesis: Any) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=2)
    server.clock.advance(seconds=5)
    assert status(kinesis) == "ACTIVE"


def settle(server: PenstockServer, kinesis: Any) -> None:
    """Let the transition under way come to its end."""
    server.clock.advance(seconds=5)
    for _ in range(100):  # a reshard has rounds, which go on while we ask
        if status(kinesis) == "ACTIVE":
            return
    pytest.fail("not ACTIVE")


def not_active(state: str) -> tuple[str, str]:
    return "ResourceInUseException", f"Stream a under account {ACCOUNT} not ACTIVE, instead in state {state}"


@pytest.mark.parametrize("operation", NEEDS_ACTIVE)
def test_operations_that_need_an_active_stream_are_refused_in_each_other_state(
    operation: str, refused: Refused
) -> None:
    with PenstockServer(transition_ms=5000) as server:
        server.clock.stand()
        kinesis = client(server)
        call, arguments = getattr(kinesis, operation), NEEDS_ACTIVE[operation]
        kinesis.create_stream(StreamName="a", ShardCount=2)
        if operation not in ("split_shard", "merge_shards"):  # no shard is there yet
            assert refused(call, **arguments) == not_active("CREATING")
        server.clock.advance(seconds=5)
        kinesis.increase_stream_retention_period(StreamName="a", RetentionPeriodHours=25)
        assert refused(call, **arguments) == not_active("UPDATING")
        server.clock.advance(seconds=5)
        call(**arguments)
        if operation == "delete_stream":
            return
        settle(server, kinesis)
        kinesis.delete_stream(StreamName="a", EnforceConsumerDeletion=True)
        if operation not in ("split_shard", "merge_shards"):
            assert refused(call, **arguments) == not_active("DELETING")


@pytest.mark.parametrize("operation", ENTERS_UPDATING)
def test_operations_pass_through_updating_while_records_flow(operation: str) -> None:
    with PenstockServer(transition_ms=5000) as server:
        server.clock.stand()
        kinesis = client(server)
        open_stream(server, kinesis)
        getattr(kinesis, operation)(**NEEDS_ACTIVE[operation])
        assert status(kinesis) == "UPDATING"
        put = kinesis.put_record(StreamName="a", Data=b"x", PartitionKey="k")
        iterator = kinesis.get_shard_iterator(StreamName="a", ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        assert len(kinesis.get_records(ShardIterator=iterator)["Records"]) == 1
        settle(server, kinesis)


def race(calls: list[Callable[[], object]]) -> list[str | None]:
    """What becomes of calls that begin at the same moment: None, or the code of the refusal."""
    start = threading.Barrier(len(calls))

    def one(call: Callable[[], object]) -> str | None:
        start.wait(HANG_S)
        try:
            call()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls, timeout=HANG_S))


@pytest.mark.parametrize("operation", [*ENTERS_UPDATING, "delete_stream"])
def test_one_of_many_equal_operations_at_once_wins(operation: str) -> None:
    with PenstockServer(transition_ms=5000) as server:
        server.clock.stand()
        kinesis = client(server)
        open_stream(server, kinesis)
        arguments = NEEDS_ACTIVE[operation]
        ends = race([lambda: getattr(kinesis, operation)(**arguments)] * 8)
        assert sorted(ends, key=str) == [None] + ["ResourceInUseException"] * 7


def test_one_of_all_operations_at_once_wins_and_the_stream_ends_sound() -> None:
    with PenstockServer(transition_ms=5000) as server:
        server.clock.stand()
        kinesis = client(server)
        open_stream(server, kinesis)
        names = [name for name in ENTERS_UPDATING if name != "update_stream_mode"]
        ends = race([lambda name=name: getattr(kinesis, name)(**NEEDS_ACTIVE[name]) for name in names])  # type: ignore[misc]
        assert sorted(ends, key=str) == [None] + ["ResourceInUseException"] * (len(names) - 1)
        settle(server, kinesis)
        put = kinesis.put_records(
            StreamName="a", Records=[{"Data": b"%d" % n, "PartitionKey": str(n)} for n in range(100)]
        )
        assert put["FailedRecordCount"] == 0


def test_tags_wait_for_the_stream_and_are_open_to_it_afterwards(refused: Refused) -> None:
    with PenstockServer(transition_ms=5000) as server:
        server.clock.stand()
        kinesis = client(server)
        kinesis.create_stream(StreamName="a", ShardCount=1, Tags={"k": "v"})
        assert kinesis.list_tags_for_stream(StreamName="a")["Tags"] == [{"Key": "k", "Value": "v"}]
        changes: dict[str, Any] = {
            "add_tags_to_stream": {"StreamName": "a", "Tags": {"k": "w"}},
            "tag_resource": {"ResourceARN": ARN, "Tags": {"k": "w"}},
            "remove_tags_from_stream": {"StreamName": "a", "TagKeys": ["k"]},
            "untag_resource": {"ResourceARN": ARN, "TagKeys": ["k"]},
        }
        for name, arguments in changes.items():
            assert refused(getattr(kinesis, name), **arguments) == not_active("CREATING")
        server.clock.advance(seconds=5)
        kinesis.increase_stream_retention_period(StreamName="a", RetentionPeriodHours=48)
        for name, arguments in changes.items():
            getattr(kinesis, name)(**arguments)
        assert status(kinesis) == "UPDATING"


def test_botocores_waiters_see_the_states(penstock: PenstockServer) -> None:
    """They are told first what is; then the transition ends."""

    def pass_time(**_: object) -> None:
        server.clock.advance(seconds=1)

    with PenstockServer(transition_ms=300) as server:
        server.clock.stand()
        kinesis: KinesisClient = server.client()
        kinesis.meta.events.register(
            "after-call.kinesis.DescribeStream", pass_time
        )  # a waiter's; `status` asks another
        quickly: Any = {"Delay": 0.05, "MaxAttempts": 400}
        kinesis.create_stream(StreamName="a", ShardCount=1)
        assert status(kinesis) == "CREATING"
        kinesis.get_waiter("stream_exists").wait(StreamName="a", WaiterConfig=quickly)
        assert status(kinesis) == "ACTIVE"
        kinesis.delete_stream(StreamName="a")
        assert status(kinesis) == "DELETING"
        kinesis.get_waiter("stream_not_exists").wait(StreamName="a", WaiterConfig=quickly)
        assert kinesis.list_streams()["StreamNames"] == []
