"""Resource policies of streams and consumers, through boto3."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"


def policy(resource: str = ARN, **changed: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "111122223333"},
        "Action": "kinesis:GetRecords",
        "Resource": resource,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **changed}]})


@pytest.fixture
def consumer_arn(kinesis: "KinesisClient") -> str:
    """An ACTIVE consumer of stream a."""
    kinesis.create_stream(StreamName="a", ShardCount=1)
    return kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName="c")["Consumer"]["ConsumerARN"]


def test_a_policy_is_kept_as_it_was_put_replaced_and_deleted(
    kinesis: "KinesisClient", refused: Refused, consumer_arn: str
) -> None:
    first, second = policy(), " " + policy(Effect="Deny")
    for arn in (ARN, consumer_arn):
        assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == "{}"
        kinesis.put_resource_policy(ResourceARN=arn, Policy=first)
        assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == first
        kinesis.put_resource_policy(ResourceARN=arn, Policy=second)
        assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == second
    kinesis.delete_resource_policy(ResourceARN=ARN)
    assert kinesis.get_resource_policy(ResourceARN=ARN)["Policy"] == "{}"
    assert kinesis.get_resource_policy(ResourceARN=consumer_arn)["Policy"] == second, "each resource has its own"
    kinesis.delete_resource_policy(ResourceARN=consumer_arn)
    for arn in (ARN, consumer_arn):
        assert refused(kinesis.delete_resource_policy, ResourceARN=arn) == (
            "ResourceNotFoundException", f"No resource policy found for resource ARN {arn}.",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The policy is not valid: it is not JSON"),
        ("[" * 20_000, "The policy is not valid: it is not JSON"),
        ("{}", "The policy is not valid: Statement must be an object"),
        (policy(Action="s3:GetObject"), "The policy is not valid: Action s3:GetObject is not valid"),
        (policy() + " " * 20_480, "The policy is larger than 20480 bytes."),
    ],
    ids=["empty", "deep", "no statement", "foreign action", "large"],
)
def test_a_bad_policy_is_refused_and_the_one_before_stays(
    kinesis: "KinesisClient", refused: Refused, text: str, message: str
) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    kinesis.put_resource_policy(ResourceARN=ARN, Policy=policy())
    assert refused(kinesis.put_resource_policy, ResourceARN=ARN, Policy=text) == ("InvalidArgumentException", message)
    assert kinesis.get_resource_policy(ResourceARN=ARN)["Policy"] == policy()


def test_policies_of_what_does_not_exist_are_refused(
    kinesis: "KinesisClient", refused: Refused, consumer_arn: str
) -> None:
    calls = {
        kinesis.get_resource_policy: {},
        kinesis.delete_resource_policy: {},
        kinesis.put_resource_policy: {"Policy": policy()},
    }
    for call, more in calls.items():
        assert refused(call, ResourceARN=ARN[:-1] + "b", **more) == (
            "ResourceNotFoundException", "Stream b under account 123456789012 not found.",
        )  # fmt: skip
        for gone in (consumer_arn + "1", consumer_arn.replace("consumer/c", "consumer/d")):
            assert refused(call, ResourceARN=gone, **more)[0] == "ResourceNotFoundException"
        assert refused(call, ResourceARN="nonsense", **more)[0] == "ValidationException"
        assert refused(call, ResourceARN=ARN + "/shard/1", **more)[0] == "InvalidArgumentException"
        foreign = ARN.replace("123456789012", "111122223333")
        assert refused(call, ResourceARN=foreign, **more)[0] == "AccessDeniedException"
        assert refused(call, ResourceARN=foreign + "/consumer/c:1", **more)[0] == "AccessDeniedException"


def test_policies_need_an_active_resource_and_are_deleted_with_it(refused: Refused) -> None:
    with PenstockServer(transition_ms=1000) as server:
        server.clock.stand()
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1)
        assert refused(kinesis.put_resource_policy, ResourceARN=ARN, Policy=policy()) == (
            "ResourceInUseException",
            "Stream a under account 123456789012 not ACTIVE, instead in state CREATING",
        )
        server.clock.advance(seconds=1)
        kinesis.put_resource_policy(ResourceARN=ARN, Policy=policy())
        consumer = kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName="c")["Consumer"]
        arn = consumer["ConsumerARN"]
        created_s = int(consumer["ConsumerCreationTimestamp"].timestamp())
        assert refused(kinesis.put_resource_policy, ResourceARN=arn, Policy=policy(arn)) == (
            "ResourceInUseException",
            f"Consumer c with creation timestamp {created_s} under stream a and account 123456789012 is not in ACTIVE status.",
        )
        server.clock.advance(seconds=1)
        kinesis.put_resource_policy(ResourceARN=arn, Policy=policy(arn))
        kinesis.delete_stream(StreamName="a", EnforceConsumerDeletion=True)
        server.clock.advance(seconds=1)
        kinesis.create_stream(StreamName="a", ShardCount=1)
        server.clock.advance(seconds=1)
        assert kinesis.get_resource_policy(ResourceARN=ARN)["Policy"] == "{}"


def test_a_policy_that_could_not_be_evaluated_is_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "kinesis:GetRecords",
        "Resource": ARN,
        "Condition": {"StringResembles": {"aws:username": "a"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert refused(kinesis.put_resource_policy, ResourceARN=ARN, Policy=document)[0] == "InvalidArgumentException"
    assert kinesis.get_resource_policy(ResourceARN=ARN)["Policy"] == "{}"
