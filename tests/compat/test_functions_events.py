"""Asynchronous invocations from end to end: real functions, a real queue, topic and bucket, and a second function."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from function_packages import QUIET, made, package

from penstock.testing import PenstockServer

RUNTIME = f"python3.{sys.version_info.minor}"
SOURCE = (
    "def handler(event, context):\n    if event.get('fail'):\n        raise ValueError('as asked')\n    return 'done'\n"
)
PATIENCE_S = 60


def received(sqs: Any, queue: str) -> dict[str, Any]:
    """The next message of a queue, which is taken from it."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
        if found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
            message: dict[str, Any] = found[0]
            return message
    raise AssertionError("nothing came")


def test_what_became_of_events_is_told_to_queues_topics_buckets_and_functions(tmp_path: Path) -> None:
    with PenstockServer(buckets=f"file://{tmp_path}") as server:
        client, sqs, sns = (server.client(name, config=QUIET) for name in ("lambda", "sqs", "sns"))
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
        code: dict[str, Any] = {"Code": {"ZipFile": package(SOURCE)}, "Runtime": RUNTIME}
        made(client, **code, DeadLetterConfig={"TargetArn": queue_arn})
        next_arn = made(client, "next", **code)["FunctionArn"]

        def tell(on_success: str, on_failure: str) -> None:
            config = {"OnSuccess": {"Destination": on_success}, "OnFailure": {"Destination": on_failure}}
            client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0, DestinationConfig=config)

        tell(queue_arn, "arn:aws:s3:::records")
        asked = client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 1}')
        record = json.loads(received(sqs, queue)["Body"])
        assert (record["requestContext"]["condition"], record["requestPayload"], record["responsePayload"]) == (
            "Success",
            {"n": 1},
            "done",
        )
        assert record["requestContext"]["requestId"] == asked["ResponseMetadata"]["RequestId"]

        client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"fail": 1}')
        assert json.loads(received(sqs, queue)["Body"]) == {"fail": 1}, "the dead letter, which follows the record"
        [path] = [path for path in (tmp_path / "records").rglob("*") if path.is_file()]
        failed = json.loads(path.read_bytes())
        assert (failed["requestContext"]["condition"], failed["responsePayload"]["errorMessage"]) == (
            "RetriesExhausted",
            "as asked",
        )

        tell(topic, queue_arn)
        client.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")
        assert json.loads(received(sqs, queue)["Body"])["requestContext"]["condition"] == "Success"

        tell(next_arn, "")
        client.put_function_event_invoke_config(
            FunctionName="next", DestinationConfig={"OnSuccess": {"Destination": queue_arn}}
        )
        client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 2}')
        handed_on = json.loads(received(sqs, queue)["Body"])
        assert handed_on["requestPayload"]["requestPayload"] == {"n": 2}, (
            "the record of the first is the event of the second"
        )


def test_an_event_that_nobody_could_process_is_a_dead_letter() -> None:
    with PenstockServer() as server:
        client, sqs = server.client("lambda", config=QUIET), server.client("sqs", config=QUIET)
        queue = sqs.create_queue(QueueName="dead")["QueueUrl"]
        target = {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:dead"}
        made(client, Code={"ZipFile": package(SOURCE)}, Runtime=RUNTIME, DeadLetterConfig=target)
        client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
        client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"fail": 1}')
        letter = received(sqs, queue)
        assert letter["Body"] == '{"fail": 1}'
        told = {name: (value["DataType"], value["StringValue"]) for name, value in letter["MessageAttributes"].items()}
        assert (told["ErrorCode"], told["ErrorMessage"]) == (("Number", "200"), ("String", "as asked"))
