"""What services do as a role, or as themselves, with `--auth enforced`: policies are asked, as if somebody had called."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from deliveries import Lake, create, settle, status
from function_packages import QUIET, made
from taking_function import ROLE

from penstock.testing import PenstockServer

ACCOUNT: Final = "123456789012"
QUEUE: Final = f"arn:aws:sqs:us-east-1:{ACCOUNT}:readers"
TOPIC: Final = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
STREAM: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
WAIT_S: Final = 60


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="module")
def server(buckets: Path) -> Iterator[PenstockServer]:
    with PenstockServer(auth="enforced", functions="process", buckets=f"file://{buckets}") as started:
        iam = started.client("iam")
        for role, service in (("work", "lambda"), ("firehose", "firehose")):
            principal = {"Service": f"{service}.amazonaws.com"}
            trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=document(trust))
        started.client("sqs").create_queue(QueueName="readers")
        started.client("sns").create_topic(Name="news")
        yield started


@pytest.fixture
def allow(server: PenstockServer) -> Iterator[Callable[..., None]]:
    """Gives a role a right, while the test runs."""
    given: list[tuple[str, str]] = []

    def allow(role: str, action: str, resource: str) -> None:
        name = action.replace(":", "-").replace("*", "")
        policy = document({"Effect": "Allow", "Action": action, "Resource": resource})
        server.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)
        given.append((role, name))

    yield allow
    for role, name in given:
        server.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def received(server: PenstockServer) -> list[str]:
    """What is in the queue now; it is taken."""
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName="readers")["QueueUrl"]
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def said(log: pytest.LogCaptureFixture, text: str) -> bool:
    return text in log.text


def until(condition: Callable[[], Any]) -> Any:
    end_s = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < end_s
        threading.Event().wait(0.02)
    return found


def test_records_of_events_are_sent_as_the_functions_role(
    server: PenstockServer, allow: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    client = server.client("lambda", config=QUIET)
    made(client, "told", Role=ROLE)
    for arn, action in ((QUEUE, "sqs:SendMessage"), (TOPIC, "sns:Publish")):
        client.put_function_event_invoke_config(
            FunctionName="told", DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        client.invoke(FunctionName="told", InvocationType="Event", Payload=b"1")
        session = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/work/awslambda is not authorized to perform: {action}"
        until(partial(said, caplog, session))
        assert received(server) == []
    allow("work", "sqs:SendMessage", QUEUE)
    client.put_function_event_invoke_config(
        FunctionName="told", DestinationConfig={"OnSuccess": {"Destination": QUEUE}}
    )
    client.invoke(FunctionName="told", InvocationType="Event", Payload=b"2")
    [record] = until(lambda: received(server))
    assert json.loads(record)["requestPayload"] == 2


def test_queue_when_its_policy_names_the_role_then_that_is_enough_and_a_deny_too_much(
    server: PenstockServer, allow: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    client, sqs = server.client("lambda", config=QUIET), server.client("sqs")
    url = sqs.get_queue_url(QueueName="readers")["QueueUrl"]
    made(client, "named", Role=ROLE, DeadLetterConfig={"TargetArn": QUEUE}, Handler="app.none")
    client.put_function_event_invoke_config(FunctionName="named", MaximumRetryAttempts=0)
    statement = {"Principal": {"AWS": ROLE}, "Action": "sqs:SendMessage", "Resource": QUEUE}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document({"Effect": "Allow", **statement})})
    client.invoke(FunctionName="named", InvocationType="Event", Payload=b'{"n": 1}')
    assert until(lambda: received(server)) == ['{"n": 1}']
    allow("work", "sqs:SendMessage", QUEUE)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document({"Effect": "Deny", **statement})})
    client.invoke(FunctionName="named", InvocationType="Event", Payload=b'{"n": 2}')
    until(lambda: "with an explicit deny in a resource-based policy" in caplog.text)
    assert received(server) == []
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})


def test_mappings_give_up_into_a_bucket_as_the_functions_role(
    server: PenstockServer, buckets: Path, allow: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    client, kinesis = server.client("lambda", config=QUIET), server.client("kinesis")
    allow("work", "kinesis:*", STREAM)
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    made(client, "broken", Role=ROLE, Handler="app.none")
    client.create_event_source_mapping(
        FunctionName="broken", EventSourceArn=STREAM, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::failed"}},
    )  # fmt: skip
    kinesis.put_record(StreamName="orders", PartitionKey="k", Data="one")
    until(lambda: "not authorized to perform: s3:PutObject on resource: arn:aws:s3:::failed/aws/lambda/" in caplog.text)
    allow("work", "s3:PutObject", "arn:aws:s3:::failed/aws/lambda/*")
    kinesis.put_record(StreamName="orders", PartitionKey="k", Data="two")
    until(lambda: any(path.is_file() for path in (buckets / "failed").rglob("*")))


def test_topic_sends_to_a_queue_whose_policy_lets_it(server: PenstockServer) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    url = sqs.get_queue_url(QueueName="readers")["QueueUrl"]
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, Attributes={"RawMessageDelivery": "true"})

    def read_with(source: str | None) -> list[str]:
        statement = {
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": QUEUE,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }  # fmt: skip
        policy = "" if source is None else document(statement)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        sns.publish(TopicArn=TOPIC, Message="hello")
        return received(server)

    assert read_with(None) == []
    assert read_with(TOPIC + "2") == []
    assert read_with(TOPIC) == ["hello"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})


def test_firehose_writes_objects_as_its_role(server: PenstockServer, buckets: Path, allow: Callable[..., None]) -> None:
    lake = Lake(buckets)
    create(server).put_record(DeliveryStreamName="orders", Record={"Data": b"x"})
    settle(server)
    until(lambda: "s3:PutObject on resource: arn:aws:s3:::lake/" in json.dumps(status(server)))
    assert lake.keys() == []
    allow("firehose", "s3:PutObject", "arn:aws:s3:::lake/*")
    server.clock.advance(seconds=600)
    assert list(lake.wait().values()) == [b"x"]
