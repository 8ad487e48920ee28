"""StreamId, by hand and by boto3, which sends AWS's to a host of its own, whatever its endpoint."""

from typing import Any

import pytest
from http_calls import Wire

from penstock.host.apimodels import load_model
from penstock.testing import PenstockServer

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
OTHER_ID = "aaaaaaaaaaaaaaaaaaaa-aaa"
POLICY = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kinesis:*", "Resource": "*"}}'
SHARD: Any = {"ShardId": "shardId-000000000000"}

BY_ID: dict[str, Any] = {  # what each operation needs beside the StreamId, in an order in which all of them succeed
    "DescribeStream": {},
    "DescribeStreamSummary": {},
    "ListShards": {},
    "PutRecord": {"Data": "eA==", "PartitionKey": "k"},
    "PutRecords": {"Records": [{"Data": "eA==", "PartitionKey": "k"}]},
    "GetShardIterator": {**SHARD, "ShardIteratorType": "LATEST"},
    "AddTagsToStream": {"Tags": {"k": "v"}},
    "ListTagsForStream": {},
    "RemoveTagsFromStream": {"TagKeys": ["k"]},
    "IncreaseStreamRetentionPeriod": {"RetentionPeriodHours": 48},
    "DecreaseStreamRetentionPeriod": {"RetentionPeriodHours": 24},
    "EnableEnhancedMonitoring": {"ShardLevelMetrics": ["ALL"]},
    "DisableEnhancedMonitoring": {"ShardLevelMetrics": ["ALL"]},
    "StartStreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
    "StopStreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
    "SplitShard": {"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"},
    "MergeShards": {"ShardToMerge": "shardId-000000000001", "AdjacentShardToMerge": "shardId-000000000002"},
    "UpdateShardCount": {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
    "UpdateMaxRecordSize": {"MaxRecordSizeInKiB": 2048},
    "DeleteStream": {},
}
WITH_ARN: dict[str, Any] = {  # operations that need an ARN in any case
    "TagResource": {"ResourceARN": ARN, "Tags": {"k": "v"}},
    "ListTagsForResource": {"ResourceARN": ARN},
    "UntagResource": {"ResourceARN": ARN, "TagKeys": ["k"]},
    "PutResourcePolicy": {"ResourceARN": ARN, "Policy": POLICY},
    "GetResourcePolicy": {"ResourceARN": ARN},
    "DeleteResourcePolicy": {"ResourceARN": ARN},
    "UpdateStreamMode": {"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
    "UpdateStreamRecordDistributionStrategy": {"StreamARN": ARN, "RecordDistributionStrategy": "AUTO"},
}
ELSEWHERE = {  # tested with consumers, below, or with warm throughput
    *("RegisterStreamConsumer", "DeregisterStreamConsumer", "DescribeStreamConsumer", "ListStreamConsumers"),
    *("SubscribeToShard", "GetRecords", "UpdateStreamWarmThroughput"),
}


def created(wire: Wire) -> str:
    """The id of a stream a that is made here."""
    assert wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1}).status == 200
    stream_id: str = wire.call("DescribeStreamSummary", {"StreamName": "a"}).document["StreamDescriptionSummary"][
        "StreamId"
    ]
    return stream_id


def test_operations_when_the_model_has_a_stream_id_are_all_in_a_table_here() -> None:
    operations = load_model("kinesis").operations.items()
    assert {name for name, operation in operations if operation.input and "StreamId" in operation.input.members} == (
        BY_ID.keys() | WITH_ARN.keys() | ELSEWHERE
    )


def test_stream_id_when_it_stands_alone_names_the_stream(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        stream_id = created(wire)
        for operation, more in BY_ID.items():
            answer = wire.call(operation, {"StreamId": stream_id, **more})
            assert answer.status == 200, (operation, answer.document)
        assert wire.call("ListStreams").document["StreamNames"] == []


def test_stream_id_when_an_sdk_has_an_endpoint_goes_there(penstock: PenstockServer) -> None:
    kinesis = penstock.client()
    kinesis.create_stream(StreamName="a", ShardCount=1)
    stream_id = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamId"]
    assert kinesis.describe_stream(StreamId=stream_id)["StreamDescription"]["StreamName"] == "a"


def test_stream_id_when_an_arn_stands_beside_it_must_agree(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        stream_id = created(wire)
        not_found = (400, "ResourceNotFoundException", f"Stream {OTHER_ID} under account 123456789012 not found.")
        for operation, document in WITH_ARN.items():
            assert wire.call(operation, {**document, "StreamId": OTHER_ID}).refusal == not_found, operation
            answer = wire.call(operation, {**document, "StreamId": stream_id})
            assert answer.status == 200, (operation, answer.document)
        assert wire.call("CreateStream", {"StreamName": "b", "ShardCount": 1}).status == 200
        confused = wire.call("DescribeStream", {"StreamName": "b", "StreamId": stream_id})
        assert confused.refusal[1] == "ResourceNotFoundException"
        assert wire.call("DescribeStream", {"StreamName": "a", "StreamARN": ARN, "StreamId": stream_id}).status == 200


@pytest.mark.parametrize("shorter", [False, True])
def test_stream_id_when_records_are_read_must_be_the_iterators(penstock: PenstockServer, shorter: bool) -> None:
    with Wire(penstock) as wire:
        stream_id = created(wire)
        asked = {"StreamId": stream_id, **SHARD, "ShardIteratorType": "TRIM_HORIZON"}
        iterator = wire.call("GetShardIterator", asked).document["ShardIterator"]
        assert wire.call("GetRecords", {"ShardIterator": iterator, "StreamId": stream_id}).status == 200
        wrong = OTHER_ID[:-1] if shorter else OTHER_ID
        code = "ValidationException" if shorter else "InvalidArgumentException"
        assert wire.call("GetRecords", {"ShardIterator": iterator, "StreamId": wrong}).refusal[1] == code


def test_stream_id_when_shards_are_paged_must_be_the_tokens(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        assert wire.call("CreateStream", {"StreamName": "b", "ShardCount": 3}).status == 200
        stream_id = created(wire)
        token = wire.call("ListShards", {"StreamName": "b", "MaxResults": 1}).document["NextToken"]
        wrong = wire.call("ListShards", {"NextToken": token, "StreamId": stream_id})
        assert wrong.refusal == (400, "InvalidArgumentException", "Invalid NextToken.")
        summary = wire.call("DescribeStreamSummary", {"StreamName": "b"}).document["StreamDescriptionSummary"]
        right = wire.call("ListShards", {"NextToken": token, "StreamId": summary["StreamId"]})
        assert len(right.document["Shards"]) == 2


def test_warm_throughput_when_the_stream_is_named_by_id_is_set(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        stream_id = created(wire)
        wire.call("UpdateStreamMode", {"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}})
        wire.call("UpdateAccountSettings", {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}})
        answer = wire.call("UpdateStreamWarmThroughput", {"StreamId": stream_id, "WarmThroughputMiBps": 5})
        assert (answer.status, answer.document["StreamName"]) == (200, "a")
