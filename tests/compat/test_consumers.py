"""Fan-out consumers through boto3: register, describe, list, tag, deregister."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
UNKNOWN = ARN + "/consumer/c:1"


@pytest.fixture(autouse=True)
def stream(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)


def register(kinesis: "KinesisClient", name: str = "c", **more: Any) -> str:
    return kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName=name, **more)["Consumer"]["ConsumerARN"]


def test_a_consumer_is_described_by_its_arn_and_by_its_name(kinesis: "KinesisClient") -> None:
    made = kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName="c")["Consumer"]
    created = made["ConsumerCreationTimestamp"]
    assert made["ConsumerARN"] == f"{ARN}/consumer/c:{int(created.timestamp())}"
    assert made["ConsumerStatus"] == "CREATING"
    by_arn = kinesis.describe_stream_consumer(ConsumerARN=made["ConsumerARN"])["ConsumerDescription"]
    by_name = kinesis.describe_stream_consumer(StreamARN=ARN, ConsumerName="c")["ConsumerDescription"]
    both = kinesis.describe_stream_consumer(StreamARN=ARN, ConsumerName="c", ConsumerARN=made["ConsumerARN"])
    assert by_arn == by_name == both["ConsumerDescription"]
    assert by_arn == {**made, "ConsumerStatus": "ACTIVE", "StreamARN": ARN}
    summary = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]
    assert summary["ConsumerCount"] == 1


def test_a_deregistered_consumer_is_gone_and_its_name_is_free(kinesis: "KinesisClient", refused: Refused) -> None:
    first = register(kinesis)
    kinesis.deregister_stream_consumer(StreamARN=ARN, ConsumerName="c")
    assert refused(kinesis.describe_stream_consumer, ConsumerARN=first)[0] == "ResourceNotFoundException"
    assert refused(kinesis.deregister_stream_consumer, ConsumerARN=first)[0] == "ResourceNotFoundException"
    register(kinesis)
    kinesis.deregister_stream_consumer(ConsumerARN=register(kinesis, "d"))
    assert [found["ConsumerName"] for found in kinesis.list_stream_consumers(StreamARN=ARN)["Consumers"]] == ["c"]


def test_an_arn_of_an_earlier_consumer_of_that_name_names_nothing(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused
) -> None:
    first = register(kinesis)
    kinesis.deregister_stream_consumer(ConsumerARN=first)
    penstock.clock.advance(seconds=1)
    assert register(kinesis) != first
    assert refused(kinesis.describe_stream_consumer, ConsumerARN=first)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "InvalidArgumentException"),
        ({"ConsumerName": "c"}, "InvalidArgumentException"),
        ({"StreamARN": ARN}, "InvalidArgumentException"),
        ({"StreamARN": ARN, "ConsumerName": "none"}, "ResourceNotFoundException"),
        ({"StreamARN": ARN + "b", "ConsumerName": "c"}, "ResourceNotFoundException"),
        ({"ConsumerARN": UNKNOWN}, "ResourceNotFoundException"),
        ({"ConsumerARN": ARN}, "ValidationException"),
        ({"ConsumerARN": UNKNOWN.replace("123456789012", "210987654321")}, "AccessDeniedException"),
    ],
)
def test_a_consumer_that_is_not_well_named_is_refused(
    kinesis: "KinesisClient", refused: Refused, members: dict[str, str], code: str
) -> None:
    register(kinesis)
    for call in (kinesis.describe_stream_consumer, kinesis.deregister_stream_consumer):
        assert refused(call, **members)[0] == code


def test_names_that_disagree_are_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="b", ShardCount=1)
    arn = register(kinesis)
    register(kinesis, "d")
    for other in ({"ConsumerName": "d"}, {"StreamARN": ARN[:-1] + "b"}):
        assert refused(kinesis.describe_stream_consumer, ConsumerARN=arn, **other)[0] == "InvalidArgumentException"


def test_a_taken_name_and_an_unknown_stream_are_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    register(kinesis)
    code, message = refused(kinesis.register_stream_consumer, StreamARN=ARN, ConsumerName="c")
    assert (code, message) == (
        "ResourceInUseException",
        "Consumer c under stream a and account 123456789012 already exists.",
    )
    nowhere = refused(kinesis.register_stream_consumer, StreamARN=ARN + "b", ConsumerName="c")
    assert nowhere == ("ResourceNotFoundException", "Stream ab under account 123456789012 not found.")


def test_a_stream_has_at_most_twenty_consumers(kinesis: "KinesisClient", refused: Refused) -> None:
    for number in range(20):
        register(kinesis, f"c{number}")
    assert refused(kinesis.register_stream_consumer, StreamARN=ARN, ConsumerName="c20")[0] == "LimitExceededException"
    kinesis.deregister_stream_consumer(StreamARN=ARN, ConsumerName="c3")
    register(kinesis, "c20")


def test_an_on_demand_stream_of_a_committed_account_has_at_most_fifty(
    kinesis: "KinesisClient", refused: Refused
) -> None:
    kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    kinesis.create_stream(StreamName="d", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    arn = ARN[:-1] + "d"
    for number in range(50):
        kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=f"c{number}")
    assert refused(kinesis.register_stream_consumer, StreamARN=arn, ConsumerName="c50")[0] == "LimitExceededException"


def test_five_can_be_creating_at_once() -> None:
    with PenstockServer(transition_ms=60_000) as server:
        server.clock.stand()
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1)
        server.clock.advance(minutes=1)
        for number in range(5):
            register(kinesis, f"c{number}")
        with pytest.raises(kinesis.exceptions.LimitExceededException):
            register(kinesis, "c5")
        described = kinesis.describe_stream_consumer(StreamARN=ARN, ConsumerName="c0")["ConsumerDescription"]
        assert described["ConsumerStatus"] == "CREATING"
        position = {"Type": "LATEST"}
        with pytest.raises(kinesis.exceptions.ResourceInUseException, match="is not in ACTIVE status"):
            kinesis.subscribe_to_shard(
                ConsumerARN=described["ConsumerARN"], ShardId="shardId-000000000000", StartingPosition=position
            )
        server.clock.advance(minutes=1)
        register(kinesis, "c5")


def test_consumers_are_listed_by_name_page_by_page(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused
) -> None:
    names = [f"c{number:02}" for number in range(7)]
    for name in reversed(names):
        register(kinesis, name)
    found, page = [], kinesis.list_stream_consumers(StreamARN=ARN, MaxResults=3)
    while "NextToken" in page:
        assert len(page["Consumers"]) == 3
        found += page["Consumers"]
        page = kinesis.list_stream_consumers(StreamARN=ARN, MaxResults=3, NextToken=page["NextToken"])
    found += page["Consumers"]
    assert [each["ConsumerName"] for each in found] == names
    assert {each["ConsumerStatus"] for each in found} == {"ACTIVE"}

    created = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    again = kinesis.list_stream_consumers(StreamARN=ARN, StreamCreationTimestamp=created)
    assert len(again["Consumers"]) == 7
    token = kinesis.list_stream_consumers(StreamARN=ARN, MaxResults=1)["NextToken"]
    assert refused(kinesis.list_stream_consumers, StreamARN=ARN, NextToken=token, StreamCreationTimestamp=created) == (
        "InvalidArgumentException",
        "NextToken and StreamCreationTimestamp cannot be provided together.",
    )
    other = refused(kinesis.list_stream_consumers, StreamARN=ARN, StreamCreationTimestamp=0)
    assert other[0] == "ResourceNotFoundException"
    kinesis.create_stream(StreamName="b", ShardCount=1)
    foreign = refused(kinesis.list_stream_consumers, StreamARN=ARN[:-1] + "b", NextToken=token)
    assert foreign[0] == "InvalidArgumentException"
    penstock.clock.advance(seconds=301)
    assert refused(kinesis.list_stream_consumers, StreamARN=ARN, NextToken=token)[0] == "ExpiredNextTokenException"


def test_tags_of_a_consumer_are_its_own(kinesis: "KinesisClient", refused: Refused) -> None:
    arn = register(kinesis, Tags={"a": "1", "b": "2"})
    first = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == first
    kinesis.tag_resource(ResourceARN=arn, Tags={"b": "3", "c": "4"})
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["a", "none"])
    held = [{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}]
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == held
    assert kinesis.list_tags_for_resource(ResourceARN=ARN)["Tags"] == []
    assert refused(kinesis.tag_resource, ResourceARN=arn, Tags={"aws:x": ""})[0] == "InvalidArgumentException"
    many = {f"k{number}": "" for number in range(51)}
    bad = refused(kinesis.register_stream_consumer, StreamARN=ARN, ConsumerName="d", Tags=many)
    assert bad[0] in ("LimitExceededException", "ValidationException")
    for call, more in (
        (kinesis.list_tags_for_resource, {}),
        (kinesis.tag_resource, {"Tags": {"a": ""}}),
        (kinesis.untag_resource, {"TagKeys": ["a"]}),
    ):
        assert refused(call, ResourceARN=UNKNOWN, **more)[0] == "ResourceNotFoundException"


def test_a_stream_with_consumers_is_deleted_only_when_that_is_said(kinesis: "KinesisClient", refused: Refused) -> None:
    arn = register(kinesis)
    assert refused(kinesis.delete_stream, StreamName="a")[0] == "ResourceInUseException"
    kinesis.delete_stream(StreamName="a", EnforceConsumerDeletion=True)
    assert kinesis.list_streams()["StreamNames"] == []
    assert refused(kinesis.describe_stream_consumer, ConsumerARN=arn)[0] == "ResourceNotFoundException"
    kinesis.create_stream(StreamName="a", ShardCount=1)
    assert kinesis.list_stream_consumers(StreamARN=ARN)["Consumers"] == []
    kinesis.delete_stream(StreamName="a")
