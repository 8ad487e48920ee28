"""The classic example, with a real function: an encrypted stream of two shards, and a mapping, made as Terraform makes them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from taking_function import Taken, make_function

from penstock.testing import PenstockServer


@pytest.fixture
def taken() -> Iterator[Taken]:
    sink = Taken()
    yield sink
    sink.server.shutdown()
    sink.server.server_close()


def make_stream(server: PenstockServer) -> str:
    """As aws_kinesis_stream does."""
    kinesis: Any = server.client("kinesis")
    key = server.client("kms").create_key()["KeyMetadata"]["KeyId"]
    kinesis.create_stream(StreamName="orders", ShardCount=2, StreamModeDetails={"StreamMode": "PROVISIONED"})
    kinesis.get_waiter("stream_exists").wait(StreamName="orders")
    kinesis.increase_stream_retention_period(StreamName="orders", RetentionPeriodHours=48)
    kinesis.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId=key)
    summary = kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]
    assert (summary["RetentionPeriodHours"], summary["EncryptionType"], summary["OpenShardCount"]) == (48, "KMS", 2)
    return str(summary["StreamARN"])


def test_example_when_records_are_put_then_the_function_takes_them_in_order_and_once(taken: Taken) -> None:
    with PenstockServer() as server:
        kinesis: Any = server.client("kinesis")
        functions: Any = server.client("lambda")
        stream = make_stream(server)
        kinesis.put_record(StreamName="orders", PartitionKey="early", Data=b"before the mapping")
        make_function(functions, taken)
        made = functions.create_event_source_mapping(
            EventSourceArn=stream, FunctionName="work", StartingPosition="LATEST", BatchSize=100, Enabled=True
        )
        assert functions.get_event_source_mapping(UUID=made["UUID"])["State"] == "Enabled"
        entries = [{"PartitionKey": f"k{turn % 7}", "Data": str(turn).encode()} for turn in range(250)]
        kinesis.put_records(StreamName="orders", Records=entries)
        records = taken.records(len(entries))
        assert len(records) == len({record["id"] for record in records}) == len(entries)
        for key in {entry["PartitionKey"] for entry in entries}:
            mine = [int(record["data"]) for record in records if record["key"] == key]
            assert mine == sorted(mine)
        assert functions.get_event_source_mapping(UUID=made["UUID"])["LastProcessingResult"] == "OK"


def test_example_when_a_record_is_poisoned_then_only_it_is_given_up_and_its_document_is_in_the_bucket(
    taken: Taken, tmp_path: Path
) -> None:
    with PenstockServer(buckets=f"file://{tmp_path}") as server:
        kinesis: Any = server.client("kinesis")
        functions: Any = server.client("lambda")
        stream = make_stream(server)
        make_function(functions, taken)
        functions.create_event_source_mapping(
            EventSourceArn=stream, FunctionName="work", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
            BisectBatchOnFunctionError=True, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::failed"}},
        )  # fmt: skip
        data = ["a", "b", "poison", "c"]
        kinesis.put_records(StreamName="orders", Records=[{"PartitionKey": "k", "Data": text} for text in data])
        assert [record["data"] for record in taken.records(3)] == ["a", "b", "c"]
        [path] = [path for path in tmp_path.rglob("*") if path.is_file() and "aws" in path.parts]
        document = json.loads(path.read_text())
        assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert document["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        }
        assert document["KinesisBatchInfo"]["batchSize"] == 1
        [record] = document["payload"]["Records"]
        assert base64.b64decode(record["kinesis"]["data"]) == b"poison"


def test_example_when_records_are_given_up_then_a_queue_gets_the_document_itself_or_through_a_topic(
    taken: Taken,
) -> None:
    with PenstockServer() as server:
        kinesis: Any = server.client("kinesis")
        functions: Any = server.client("lambda")
        sqs: Any = server.client("sqs")
        sns: Any = server.client("sns")
        stream = make_stream(server)
        make_function(functions, taken)
        url = sqs.create_queue(QueueName="lost")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="lost")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        uuid = functions.create_event_source_mapping(
            EventSourceArn=stream, FunctionName="work", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )["UUID"]  # fmt: skip
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data="poison")
        document = _received(sqs, url)
        assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert document["requestContext"]["functionArn"].endswith(":function:work")
        assert document["KinesisBatchInfo"]["streamArn"] == stream
        assert "payload" not in document

        functions.update_event_source_mapping(UUID=uuid, DestinationConfig={"OnFailure": {"Destination": topic}})
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data="poison")
        notification = _received(sqs, url)
        assert json.loads(notification["Message"])["KinesisBatchInfo"]["batchSize"] == 1


def _received(sqs: Any, url: str) -> Any:
    """The next message of a queue."""
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])
