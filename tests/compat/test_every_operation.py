"""Each of the 39 classic operations with boto3: that it succeeds, and that every error which the API model documents for it is met.

The table of arguments is the whole test: one good call for each operation, and what makes it bad.  What cannot be provoked yet is named
with its reason in LATER, and a test sees to it that nothing is in both.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

SHARD: Final = "shardId-000000000000"
ACCOUNT: Final = "123456789012"
MIDDLE: Final = str(2**126)
ARN: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"
STRANGE_ARN: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s/what"  # fits the model's pattern and names nothing
OTHERS_ARN: Final = "arn:aws:kinesis:us-east-1:999999999999:stream/s"
POLICY: Final = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},'
    f'"Action":"kinesis:GetRecords","Resource":"{ARN}"}}]}}'
)
SERVICE: Final = botocore.session.get_session().get_service_model("kinesis")
NEWER: Final = ("Channel", "Queue", "RecordDistributionStrategy")  # what came after the classic operations
OPERATIONS: Final = [name for name in SERVICE.operation_names if not any(word in name for word in NEWER)]

Arguments = dict[str, Any]


class World:
    """A server with one stream `s` of two shards and a consumer `c`, and the calls made on it."""

    def __init__(self, server: PenstockServer) -> None:
        self.server = server
        self._streams: list[Any] = []
        self.client = server.client(config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
        self.call("CreateStream", StreamName="s", ShardCount=2)
        server.clock.advance(seconds=10)
        answer = self.call("RegisterStreamConsumer", StreamARN=ARN, ConsumerName="c")
        self.consumer = answer["Consumer"]["ConsumerARN"]
        server.clock.advance(seconds=10)

    def call(self, operation: str, **arguments: Any) -> Any:
        """Make a call by the operation's name."""
        mapping = {api: method for method, api in self.client.meta.method_to_api_mapping.items()}
        answer = getattr(self.client, mapping[operation])(**arguments)
        if "EventStream" in answer:
            self._streams.append(answer["EventStream"])
        return answer

    def close(self) -> None:
        """End what is left of subscriptions."""
        for stream in self._streams:
            stream.close()

    def iterator(self) -> str:
        """An iterator of the first shard."""
        answer = self.call("GetShardIterator", StreamName="s", ShardId=SHARD, ShardIteratorType="LATEST")
        return str(answer["ShardIterator"])

    def good(self, operation: str) -> Arguments:
        """Arguments with which an operation succeeds."""
        if operation in ("UpdateStreamWarmThroughput",):
            self.call("UpdateStreamMode", StreamARN=ARN, StreamModeDetails={"StreamMode": "ON_DEMAND"})
            self.call("UpdateAccountSettings", **GOOD["UpdateAccountSettings"])
            self.server.clock.advance(seconds=10)
        if operation == "GetRecords":
            return {"ShardIterator": self.iterator()}
        if operation == "DecreaseStreamRetentionPeriod":
            self.call("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)
            self.server.clock.advance(seconds=10)
        if operation == "StopStreamEncryption":
            self.call("StartStreamEncryption", **GOOD["StartStreamEncryption"])
            self.server.clock.advance(seconds=10)
        if operation == "DeleteResourcePolicy":
            self.call("PutResourcePolicy", **GOOD["PutResourcePolicy"])
        if operation in BY_CONSUMER:
            return {"ConsumerARN": self.consumer, **BY_CONSUMER[operation]}
        return GOOD[operation]


BY_CONSUMER: Final[dict[str, Arguments]] = {
    "DescribeStreamConsumer": {},
    "DeregisterStreamConsumer": {},
    "SubscribeToShard": {"ShardId": SHARD, "StartingPosition": {"Type": "LATEST"}},
}
GOOD: Final[dict[str, Arguments]] = {
    "AddTagsToStream": {"StreamName": "s", "Tags": {"a": "b"}},
    "CreateStream": {"StreamName": "new", "ShardCount": 1},
    "DecreaseStreamRetentionPeriod": {"StreamName": "s", "RetentionPeriodHours": 24},
    "DeleteResourcePolicy": {"ResourceARN": ARN},
    "DeleteStream": {"StreamName": "s", "EnforceConsumerDeletion": True},
    "DescribeAccountSettings": {},
    "DescribeLimits": {},
    "DescribeStream": {"StreamName": "s"},
    "DescribeStreamSummary": {"StreamName": "s"},
    "DisableEnhancedMonitoring": {"StreamName": "s", "ShardLevelMetrics": ["ALL"]},
    "EnableEnhancedMonitoring": {"StreamName": "s", "ShardLevelMetrics": ["ALL"]},
    "GetResourcePolicy": {"ResourceARN": ARN},
    "GetShardIterator": {"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "LATEST"},
    "IncreaseStreamRetentionPeriod": {"StreamName": "s", "RetentionPeriodHours": 48},
    "ListShards": {"StreamName": "s"},
    "ListStreamConsumers": {"StreamARN": ARN},
    "ListStreams": {},
    "ListTagsForResource": {"ResourceARN": ARN},
    "ListTagsForStream": {"StreamName": "s"},
    "MergeShards": {"StreamName": "s", "ShardToMerge": SHARD, "AdjacentShardToMerge": "shardId-000000000001"},
    "PutRecord": {"StreamName": "s", "Data": b"1", "PartitionKey": "a"},
    "PutRecords": {"StreamName": "s", "Records": [{"Data": b"1", "PartitionKey": "a"}]},
    "PutResourcePolicy": {"ResourceARN": ARN, "Policy": POLICY},
    "RegisterStreamConsumer": {"StreamARN": ARN, "ConsumerName": "d"},
    "RemoveTagsFromStream": {"StreamName": "s", "TagKeys": ["a"]},
    "SplitShard": {"StreamName": "s", "ShardToSplit": SHARD, "NewStartingHashKey": MIDDLE},
    "StartStreamEncryption": {"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
    "StopStreamEncryption": {"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
    "TagResource": {"ResourceARN": ARN, "Tags": {"a": "b"}},
    "UntagResource": {"ResourceARN": ARN, "TagKeys": ["a"]},
    "UpdateAccountSettings": {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}},
    "UpdateMaxRecordSize": {"StreamARN": ARN, "MaxRecordSizeInKiB": 2048},
    "UpdateShardCount": {"StreamName": "s", "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING"},
    "UpdateStreamMode": {"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
    "UpdateStreamWarmThroughput": {"StreamARN": ARN, "WarmThroughputMiBps": 10},
}
# What makes a good call one with an invalid argument, beyond what the model says of it; a stream named wrongly where nothing is listed.
INVALID: Final[dict[str, Arguments]] = {
    "AddTagsToStream": {"Tags": {"a": "\x00"}},
    "CreateStream": {"ShardCount": None},
    "DecreaseStreamRetentionPeriod": {"RetentionPeriodHours": 23},
    "DeregisterStreamConsumer": {"ConsumerARN": None},
    "DescribeStreamConsumer": {"ConsumerARN": None},
    "GetRecords": {"ShardIterator": "nonsense"},
    "GetShardIterator": {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
    "IncreaseStreamRetentionPeriod": {"RetentionPeriodHours": 9000},
    "ListShards": {"NextToken": "nonsense"},
    "ListStreamConsumers": {"NextToken": "nonsense", "StreamARN": ARN},
    "ListStreams": {"NextToken": "nonsense"},
    "MergeShards": {"AdjacentShardToMerge": SHARD},
    "PutRecord": {"ExplicitHashKey": str(2**128)},
    "PutRecords": {"Records": [{"Data": b"1", "PartitionKey": "a", "ExplicitHashKey": str(2**128)}]},
    "PutResourcePolicy": {"Policy": "no policy"},
    "SplitShard": {"NewStartingHashKey": "0"},
    "SubscribeToShard": {"StartingPosition": {"Type": "AT_TIMESTAMP"}},
    "TagResource": {"Tags": {"aws:a": "b"}},
}
# What breaks the model's constraints.
UNSOUND: Final[dict[str, Arguments]] = {
    "CreateStream": {"StreamName": "no name"},
    "MergeShards": {"ShardToMerge": "no name"},
    "SplitShard": {"ShardToSplit": "no name"},
    "UpdateAccountSettings": {"MinimumThroughputBillingCommitment": {"Status": "MAYBE"}},
    "UpdateMaxRecordSize": {"MaxRecordSizeInKiB": 1},
    "UpdateShardCount": {"TargetShardCount": 0},
    "UpdateStreamMode": {"StreamModeDetails": {"StreamMode": "SOME"}},
    "UpdateStreamWarmThroughput": {"WarmThroughputMiBps": -1},
}
# What the errors of KMS are documented for.
KMS: Final = ("GetRecords", "PutRecord", "PutRecords", "StartStreamEncryption")
LATER: Final[dict[tuple[str, str], str]] = {
    **{
        (operation, code): "only an external KMS says so; tests/unit/streams/test_stream_keys.py holds how it is told"
        for operation in KMS
        for code in ("KMSOptInRequired", "KMSThrottlingException")
    },
    **{
        (operation, "KMSAccessDeniedException"): "with --auth open an account may use its keys; tests/unit/streams/test_stream_keys.py denies it"
        for operation in KMS[:-1]
    },
    **{
        (operation, "InternalFailureException"): "a fault of the server's side; tests/faults provokes it with a full disk"
        for operation in (
            "DeleteResourcePolicy", "GetRecords", "GetResourcePolicy", "GetShardIterator", "ListTagsForResource",
            "PutRecord", "PutRecords", "PutResourcePolicy", "TagResource", "UntagResource",
        )
    },
    **{
        (operation, "ResourceInUseException"): "the operation only reads; nothing that Penstock does stands in its way"
        for operation in ("GetResourcePolicy", "ListShards", "ListStreamConsumers", "ListTagsForResource")
    },
    ("ListShards", "LimitExceededException"): "1,000 calls a second; tests/unit/streams/test_admission.py makes them",
    ("UpdateAccountSettings", "InvalidArgumentException"): "its one argument is an enumeration",
}  # fmt: skip


def changed(operation: str, arguments: Arguments, arn: str) -> Arguments:
    """A good call on another stream, by its ARN."""
    how = dict(arguments)
    if "ConsumerARN" in how:
        how["ConsumerARN"] = f"{arn}/consumer/c:1700000000"
    elif "ResourceARN" in how:
        how["ResourceARN"] = arn
    else:
        how.pop("StreamName", None)
        how["StreamARN"] = arn
    return how


def not_found(world: World, operation: str, good: Arguments) -> None:
    """No such stream, consumer or iterated shard."""
    if operation == "GetRecords":
        world.call("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
        world.server.clock.advance(seconds=10)
        world.call(operation, **good)
    world.call(operation, **changed(operation, good, ARN + "-not"))


def invalid(world: World, operation: str, good: Arguments) -> None:
    """An argument that makes no sense."""
    if operation in INVALID:
        bad = {**good, **INVALID[operation]}
        if "NextToken" in bad and operation == "ListShards":
            del bad["StreamName"]
        world.call(operation, **{key: value for key, value in bad.items() if value is not None})
    else:
        world.call(operation, **changed(operation, good, STRANGE_ARN))


def in_use(world: World, operation: str, good: Arguments) -> None:
    """The stream is busy, or its name or consumer is taken."""
    if operation in ("CreateStream", "RegisterStreamConsumer", "SubscribeToShard"):
        world.call(operation, **good)
        world.server.clock.advance(seconds=2)
    elif operation in ("AddTagsToStream", "RemoveTagsFromStream", "TagResource", "UntagResource"):
        world.call("CreateStream", StreamName="t", ShardCount=1)
        good = changed(operation, good, ARN.removesuffix("s") + "t")
    else:
        world.call("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=100)
    world.call(operation, **good)


def over_limit(world: World, operation: str, good: Arguments) -> None:
    """Call after call, until there are too many; what else they say on the way does not matter."""
    for _ in range(1500):
        try:
            world.call(operation, **good)
        except ClientError as error:
            if error.response["Error"]["Code"] == "LimitExceededException":
                raise


def expired_token(world: World, operation: str, good: Arguments) -> None:
    """A token that is five minutes old."""
    if operation == "ListStreams":
        world.call("CreateStream", StreamName="t", ShardCount=1)
        token = world.call(operation, Limit=1)["NextToken"]
    else:
        if operation == "ListStreamConsumers":
            world.call("RegisterStreamConsumer", StreamARN=ARN, ConsumerName="d")
        token = world.call(operation, **good, MaxResults=1)["NextToken"]
    world.server.clock.advance(minutes=6)
    world.call(operation, NextToken=token, **({"StreamARN": ARN} if operation == "ListStreamConsumers" else {}))


def expired_iterator(world: World, operation: str, good: Arguments) -> None:
    """An iterator that is five minutes old."""
    world.server.clock.advance(minutes=6)
    world.call(operation, **good)


def throttled(world: World, operation: str, good: Arguments) -> None:
    """More than a shard carries."""
    world.server.faults.throttle("s")
    for _ in range(20):
        answer = world.call(operation, **good)
        if answer.get("FailedRecordCount"):
            raise ClientError({"Error": {"Code": answer["Records"][0]["ErrorCode"]}}, operation)


def encrypted(world: World) -> tuple[Any, str]:
    """Encrypt the stream with a new key and write to it; a client of KMS, and the key."""
    kms = world.server.client("kms")
    key = str(kms.create_key()["KeyMetadata"]["KeyId"])
    world.call("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=1000)
    world.server.clock.advance(seconds=10)
    world.call("StartStreamEncryption", StreamName="s", EncryptionType="KMS", KeyId=key)
    world.server.clock.advance(seconds=10)
    world.call("PutRecord", StreamName="s", Data=b"1", PartitionKey="a", ExplicitHashKey="0")
    return kms, key


def with_key(world: World, operation: str, good: Arguments, key: str, days: int = 0) -> None:
    """The call, when a change of the key must have been noticed."""
    world.server.clock.advance(hours=24 * days, minutes=5)
    if operation == "GetRecords":
        start = world.call("GetShardIterator", StreamName="s", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
        good = {"ShardIterator": start["ShardIterator"]}
    world.call(operation, **good, **({"KeyId": key} if operation == "StartStreamEncryption" else {}))


def key_disabled(world: World, operation: str, good: Arguments) -> None:
    """The stream's key is disabled."""
    kms, key = encrypted(world)
    kms.disable_key(KeyId=key)
    with_key(world, operation, {name: value for name, value in good.items() if name != "KeyId"}, key)


def key_pending(world: World, operation: str, good: Arguments) -> None:
    """The stream's key is about to be deleted."""
    kms, key = encrypted(world)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with_key(world, operation, {name: value for name, value in good.items() if name != "KeyId"}, key)


def key_gone(world: World, operation: str, good: Arguments) -> None:
    """The stream's key was deleted."""
    kms, key = encrypted(world)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with_key(world, operation, {name: value for name, value in good.items() if name != "KeyId"}, key, days=7)


def key_of_another(world: World, operation: str, good: Arguments) -> None:
    """The key is another account's."""
    key = world.server.client("kms", aws_access_key_id="999999999999").create_key()["KeyMetadata"]["Arn"]
    world.call(operation, **{**good, "KeyId": key})


PROVOKE: Final[dict[str, Callable[[World, str, Arguments], Any]]] = {
    "ResourceNotFoundException": not_found,
    "InvalidArgumentException": invalid,
    "ResourceInUseException": in_use,
    "LimitExceededException": over_limit,
    "ExpiredNextTokenException": expired_token,
    "ExpiredIteratorException": expired_iterator,
    "ProvisionedThroughputExceededException": throttled,
    "KMSDisabledException": key_disabled,
    "KMSInvalidStateException": key_pending,
    "KMSNotFoundException": key_gone,
    "KMSAccessDeniedException": key_of_another,
    "AccessDeniedException": lambda world, name, good: world.call(name, **changed(name, good, OTHERS_ARN)),
    "DryRunOperationException": lambda world, name, good: world.call(name, **good, DryRun=True),
    "ValidationException": lambda world, name, good: world.call(
        name, **{**good, **UNSOUND.get(name, {"ResourceARN": "no-arn"})}
    ),
}


def documented() -> Iterator[tuple[str, str]]:
    """Every operation with every error that the model documents for it."""
    for operation in OPERATIONS:
        for shape in SERVICE.operation_model(operation).error_shapes:
            yield operation, shape.name


ALL: Final = list(documented())


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    """A server with AWS's limits and transitions that take a while."""
    with PenstockServer(limits="aws", transition_ms=1000) as started:
        yield started


@pytest.fixture
def world(server: PenstockServer) -> Iterator[World]:
    """A world of its own."""
    server.faults.clear()
    server.reset()
    server.clock.stand()
    made = World(server)
    yield made
    made.close()


def test_operations_when_counted_then_they_are_the_39() -> None:
    assert len(OPERATIONS) == 39
    assert set(LATER) <= set(ALL)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_when_it_is_called_rightly_then_it_succeeds(world: World, operation: str) -> None:
    answer = world.call(operation, **world.good(operation))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(("operation", "code"), [one for one in ALL if one not in LATER])
def test_operation_when_it_is_called_wrongly_then_it_answers_the_documented_error(
    world: World, operation: str, code: str
) -> None:
    good = world.good(operation)
    with pytest.raises(ClientError) as caught:
        PROVOKE[code](world, operation, good)
    assert caught.value.response["Error"]["Code"] == code
