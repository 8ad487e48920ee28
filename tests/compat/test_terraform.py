"""The calls that Terraform's AWS provider makes for its Kinesis resources, in its order, each change waited for as it waits.

The sequences are those of the provider's internal/service/kinesis: it creates, waits, raises the retention period even to what it is, then
reads everything that it keeps in its state; a value that is missing there would be a difference in every later plan.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
Wait = Callable[[str], None]
MISSING = "ResourceNotFoundException"
TAGS_A_CALL = 10
POLLS_MAX = 10
POLL_S = 3
NAME = "orders"


@pytest.fixture(scope="module")
def slow_server() -> Iterator[PenstockServer]:
    """A server whose streams are seen CREATING, UPDATING and DELETING."""
    with PenstockServer(transition_ms=2000) as server:
        yield server


@pytest.fixture
def penstock(slow_server: PenstockServer) -> PenstockServer:
    slow_server.reset()
    slow_server.clock.stand()
    return slow_server


@pytest.fixture
def wait(kinesis: "KinesisClient", penstock: PenstockServer) -> Wait:
    """Polls the summary until the stream is ACTIVE, having seen it in the given state before."""

    def poll(pending: str) -> None:
        seen = []
        for _ in range(POLLS_MAX):
            seen.append(kinesis.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]["StreamStatus"])
            if seen[-1] == "ACTIVE":
                break
            penstock.clock.advance(seconds=POLL_S)
        assert (seen[0], seen[-1]) == (pending, "ACTIVE")

    return poll


def create(kinesis: "KinesisClient", wait: Wait, **arguments: Any) -> dict[str, Any]:
    """Creation with what is always done, and the first read."""
    kinesis.create_stream(StreamName=NAME, Tags={"made-by": "terraform"}, **arguments)
    wait("CREATING")
    kinesis.increase_stream_retention_period(StreamName=NAME, RetentionPeriodHours=24)
    return read(kinesis)


def read(kinesis: "KinesisClient") -> dict[str, Any]:
    """What the provider keeps of a stream."""
    summary = kinesis.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]
    tags = kinesis.list_tags_for_stream(StreamName=NAME)["Tags"]
    kept = {
        key: summary[key]
        for key in (
            "OpenShardCount",
            "RetentionPeriodHours",
            "StreamModeDetails",
            "EncryptionType",
            "EnhancedMonitoring",
        )
    }
    more = {key: summary.get(key) for key in ("KeyId", "MaxRecordSizeInKiB")}
    return {**kept, **more, "tags": {tag["Key"]: tag["Value"] for tag in tags}, "arn": summary["StreamARN"]}


def metrics(state: dict[str, Any]) -> list[str]:
    [monitoring] = state["EnhancedMonitoring"]
    return sorted(monitoring["ShardLevelMetrics"])


def test_stream_when_created_has_what_the_plan_said(
    kinesis: "KinesisClient", penstock: PenstockServer, wait: Wait
) -> None:
    assert penstock.client("sts").get_caller_identity()["Account"] == penstock.account_id
    provisioned: Any = {"ShardCount": 2, "StreamModeDetails": {"StreamMode": "PROVISIONED"}, "MaxRecordSizeInKiB": 2048}
    assert create(kinesis, wait, **provisioned) == {
        "OpenShardCount": 2,
        "RetentionPeriodHours": 24,
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "EncryptionType": "NONE",
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "KeyId": None,
        "MaxRecordSizeInKiB": 2048,
        "tags": {"made-by": "terraform"},
        "arn": f"arn:aws:kinesis:us-east-1:{penstock.account_id}:stream/{NAME}",
    }


def test_stream_on_demand_when_created_asks_for_no_shard_count(kinesis: "KinesisClient", wait: Wait) -> None:
    state = create(kinesis, wait, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert (state["OpenShardCount"], state["StreamModeDetails"]) == (4, {"StreamMode": "ON_DEMAND"})


def test_stream_when_every_argument_changes_is_updated_in_the_providers_order(
    kinesis: "KinesisClient", wait: Wait
) -> None:
    arn = create(kinesis, wait, ShardCount=2)["arn"]
    kinesis.update_shard_count(StreamName=NAME, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    wait("UPDATING")
    kinesis.increase_stream_retention_period(StreamName=NAME, RetentionPeriodHours=48)
    wait("UPDATING")
    kinesis.enable_enhanced_monitoring(StreamName=NAME, ShardLevelMetrics=["IncomingBytes", "OutgoingRecords"])
    wait("UPDATING")
    kinesis.start_stream_encryption(StreamName=NAME, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    wait("UPDATING")
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=4096)
    wait("UPDATING")
    state = read(kinesis)
    assert (state["OpenShardCount"], state["RetentionPeriodHours"], state["MaxRecordSizeInKiB"]) == (4, 48, 4096)
    assert (state["EncryptionType"], state["KeyId"]) == ("KMS", "alias/aws/kinesis")
    assert metrics(state) == ["IncomingBytes", "OutgoingRecords"]

    kinesis.decrease_stream_retention_period(StreamName=NAME, RetentionPeriodHours=24)
    wait("UPDATING")
    kinesis.disable_enhanced_monitoring(StreamName=NAME, ShardLevelMetrics=["OutgoingRecords"])
    wait("UPDATING")
    kinesis.stop_stream_encryption(StreamName=NAME, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    wait("UPDATING")
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    wait("UPDATING")
    state = read(kinesis)
    assert (state["RetentionPeriodHours"], state["EncryptionType"], metrics(state)) == (24, "NONE", ["IncomingBytes"])
    assert state["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}


def test_tags_when_many_go_in_tens_and_both_families_agree(kinesis: "KinesisClient", wait: Wait) -> None:
    arn = create(kinesis, wait, ShardCount=1)["arn"]
    wanted = {f"k{number:02}": f"v{number}" for number in range(35)}
    names = list(wanted)
    for at in range(0, len(names), TAGS_A_CALL):
        kinesis.add_tags_to_stream(StreamName=NAME, Tags={name: wanted[name] for name in names[at : at + TAGS_A_CALL]})
    kinesis.remove_tags_from_stream(StreamName=NAME, TagKeys=names[:TAGS_A_CALL])
    left = {"made-by": "terraform", **{name: wanted[name] for name in names[TAGS_A_CALL:]}}
    assert read(kinesis)["tags"] == left
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["made-by"])
    kinesis.tag_resource(ResourceARN=arn, Tags={"k34": "new"})
    del left["made-by"]
    newer = {tag["Key"]: tag["Value"] for tag in kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"]}
    assert newer == read(kinesis)["tags"] == {**left, "k34": "new"}


def test_stream_when_destroyed_is_polled_until_it_is_not_found(
    kinesis: "KinesisClient", penstock: PenstockServer, wait: Wait, refused: Refused
) -> None:
    arn = create(kinesis, wait, ShardCount=1)["arn"]
    kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="app")
    penstock.clock.advance(seconds=POLL_S)
    kinesis.delete_stream(StreamName=NAME, EnforceConsumerDeletion=True)
    assert kinesis.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]["StreamStatus"] == "DELETING"
    penstock.clock.advance(seconds=POLL_S)
    assert refused(kinesis.describe_stream_summary, StreamName=NAME)[0] == MISSING
    assert refused(kinesis.delete_stream, StreamName=NAME, EnforceConsumerDeletion=True)[0] == MISSING


def test_consumer_when_made_and_destroyed_is_polled_by_its_arn(
    kinesis: "KinesisClient", penstock: PenstockServer, wait: Wait, refused: Refused
) -> None:
    arn = create(kinesis, wait, ShardCount=1)["arn"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="app")["Consumer"]["ConsumerARN"]

    def described() -> Any:
        return kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]

    assert described()["ConsumerStatus"] == "CREATING"
    penstock.clock.advance(seconds=POLL_S)
    assert {key: described()[key] for key in ("ConsumerStatus", "ConsumerName", "StreamARN")} == {
        "ConsumerStatus": "ACTIVE",
        "ConsumerName": "app",
        "StreamARN": arn,
    }
    kinesis.deregister_stream_consumer(ConsumerARN=consumer)
    assert described()["ConsumerStatus"] == "DELETING"
    penstock.clock.advance(seconds=POLL_S)
    assert refused(kinesis.describe_stream_consumer, ConsumerARN=consumer)[0] == MISSING


def test_resource_policy_when_put_read_and_destroyed_is_gone(kinesis: "KinesisClient", wait: Wait) -> None:
    arn = create(kinesis, wait, ShardCount=1)["arn"]
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Sid":"writePolicy","Effect":"Allow","Principal":{"AWS":"210987654321"},'
        f'"Action":["kinesis:DescribeStreamSummary","kinesis:PutRecord"],"Resource":"{arn}"}}]}}'
    )
    kinesis.put_resource_policy(ResourceARN=arn, Policy=policy)
    assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == policy
    kinesis.delete_resource_policy(ResourceARN=arn)
    assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] in ("", "{}")


def test_data_sources_read_limits_and_shards(kinesis: "KinesisClient", wait: Wait) -> None:
    create(kinesis, wait, ShardCount=3)
    assert kinesis.describe_limits()["OpenShardCount"] == 3
    shards = kinesis.list_shards(StreamName=NAME)["Shards"]
    assert [shard["ShardId"][-1] for shard in shards] == ["0", "1", "2"]
