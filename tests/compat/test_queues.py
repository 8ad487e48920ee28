"""SQS by boto3, by forms as older clients send them, by the AWS CLI and Terraform's calls."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]
VALUE, MISSING = "InvalidParameterValue", "AWS.SimpleQueueService.NonExistentQueue"


@pytest.fixture
def sqs(penstock: PenstockServer) -> Any:
    return penstock.client("sqs", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))


@pytest.fixture
def url(sqs: Any) -> str:
    made: str = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    return made


def received(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **options).get("Messages", [])
    return found


def bodies(sqs: Any, url: str, **options: Any) -> list[str]:
    return [message["Body"] for message in received(sqs, url, **options)]


def test_messages_are_sent_received_hidden_and_deleted(penstock: PenstockServer, sqs: Any, url: str) -> None:
    assert url == f"{penstock.endpoint_url}/123456789012/jobs"
    attributes = {
        "timestamp": {"DataType": "Number", "StringValue": "1493147359900"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello ✓", MessageAttributes=attributes)
    assert sent["MD5OfMessageAttributes"] == "235c5c510d26fb653d073faed50ae77c", "as AWS has answered"
    [message] = received(sqs, url, AttributeNames=["All"], MessageAttributeNames=["time.*", "timestamp"])
    assert (message["MessageId"], message["Body"], message["MD5OfBody"]) == (
        sent["MessageId"], "hello ✓", sent["MD5OfMessageBody"],
    )  # fmt: skip
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert bodies(sqs, url) == []
    penstock.clock.advance(seconds=31)
    [again] = received(sqs, url, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert again["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert "MessageAttributes" not in again
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])  # of the first receive: nothing
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=0)
    [third] = received(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=3600)
    penstock.clock.advance(minutes=30)
    assert bodies(sqs, url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    penstock.clock.advance(hours=1)
    assert bodies(sqs, url) == []


def test_messages_come_in_the_order_in_which_they_were_sent(sqs: Any, url: str) -> None:
    for number in range(25):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    found: list[str] = []
    while page := bodies(sqs, url, MaxNumberOfMessages=10):
        found += page
    assert found == [str(number) for number in range(25)]


def test_receive_waits_for_a_message_until_its_time_is_over(penstock: PenstockServer, sqs: Any, url: str) -> None:
    def in_background(**options: Any) -> tuple[threading.Thread, list[str]]:
        found: list[str] = []
        client = penstock.client("sqs")
        thread = threading.Thread(target=lambda: found.extend(bodies(client, url, WaitTimeSeconds=20, **options)))
        thread.start()
        return thread, found

    core = penstock._running._services

    async def count() -> int:
        from penstock.composition.queues import open_queues

        queues = await core.room.open(open_queues)
        return sum(map(len, queues._waiting.values()))

    def waiting() -> int:
        return penstock._call(count())

    def settled(wanted: int) -> None:
        assert next(looks for looks in range(100_000) if waiting() == wanted) >= 0

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "600"})

    thread, found = in_background()
    settled(1)
    sqs.send_message(QueueUrl=url, MessageBody="sent meanwhile")
    thread.join(60)
    assert found == ["sent meanwhile"]
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=10)
    thread, found = in_background()
    settled(1)
    penstock.clock.advance(seconds=10)
    thread.join(60)
    assert found == ["delayed"]
    thread, found = in_background()
    settled(1)
    penstock.clock.advance(seconds=20)
    thread.join(60)
    assert (found, waiting()) == ([], 0)
    thread, found = in_background()
    settled(1)
    sqs.delete_queue(QueueUrl=url)
    thread.join(60)
    assert (found, waiting()) == ([], 0)


def test_batches_tell_of_each_entry(sqs: Any, url: str, refused: Refused) -> None:
    entries = [
        {"Id": "a", "MessageBody": "1"},
        {"Id": "b", "MessageBody": "\x00"},
        {"Id": "c", "MessageBody": "3", "DelaySeconds": 901},
    ]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["a"]
    assert [(each["Id"], each["Code"], each["SenderFault"]) for each in answer["Failed"]] == [
        ("b", "InvalidMessageContents", True), ("c", VALUE, True),
    ]  # fmt: skip
    [message] = received(sqs, url)
    handles = [{"Id": "x", "ReceiptHandle": message["ReceiptHandle"]}, {"Id": "y", "ReceiptHandle": "junk"}]
    hidden = [{**each, "VisibilityTimeout": 9} for each in handles]
    for answer in (
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden),
        sqs.delete_message_batch(QueueUrl=url, Entries=handles),
    ):
        assert [each["Id"] for each in answer["Successful"]] == ["x"]
        assert [(each["Id"], each["Code"]) for each in answer["Failed"]] == [("y", "ReceiptHandleIsInvalid")]
    prefix = "AWS.SimpleQueueService."
    for batch, code in (
        ([], "EmptyBatchRequest"),
        ([{"Id": str(number), "MessageBody": "m"} for number in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": "a", "MessageBody": "m"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "MessageBody": "m"}], "InvalidBatchEntryId"),
        ([{"Id": str(number), "MessageBody": "m" * 600_000} for number in range(2)], "BatchRequestTooLong"),
    ):
        assert refused(sqs.send_message_batch, QueueUrl=url, Entries=batch)[0] == prefix + code


def test_queues_are_made_once_listed_purged_and_deleted(
    penstock: PenstockServer, sqs: Any, url: str, refused: Refused
) -> None:
    assert sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "30"})["QueueUrl"] == url
    code, message = refused(sqs.create_queue, QueueName="jobs", Attributes={"VisibilityTimeout": "31"})
    assert (code, message) == (
        "QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute VisibilityTimeout",
    )  # fmt: skip
    for name in ("a1", "a2", "a3"):
        sqs.create_queue(QueueName=name)
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="a", PaginationConfig={"PageSize": 2})
    assert [each.rpartition("/")[2] for page in pages for each in page["QueueUrls"]] == ["a1", "a2", "a3"]
    assert sqs.get_queue_url(QueueName="jobs", QueueOwnerAWSAccountId="123456789012")["QueueUrl"] == url
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number), DelaySeconds=60 * number)
    [held] = received(sqs, url)
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    names = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )
    assert [counted[name] for name in names] == ["0", "1", "2"]
    sqs.purge_queue(QueueUrl=url)
    assert refused(sqs.purge_queue, QueueUrl=url)[0] == "AWS.SimpleQueueService.PurgeQueueInProgress"
    penstock.clock.advance(minutes=2)
    assert bodies(sqs, url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
    sqs.delete_queue(QueueUrl=url)
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="m") == (MISSING, "The specified queue does not exist.")
    sqs.create_queue(QueueName="jobs")
    assert bodies(sqs, url) == []


def test_messages_that_fail_too_often_go_to_the_other_queue(penstock: PenstockServer, sqs: Any, url: str) -> None:
    failed = sqs.create_queue(QueueName="failed")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:failed"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        assert bodies(sqs, url) == ["poison"]
        penstock.clock.advance(seconds=2)
    assert bodies(sqs, url) == []
    [message] = received(sqs, failed, AttributeNames=["DeadLetterQueueSourceArn", "ApproximateReceiveCount"])
    assert message["Body"] == "poison"
    assert message["Attributes"] == {
        "DeadLetterQueueSourceArn": arn.replace("failed", "jobs"),
        "ApproximateReceiveCount": "1",
    }


def test_messages_that_fail_too_often_are_given_to_who_waits_at_the_other_queue(
    penstock: PenstockServer, sqs: Any, url: str
) -> None:
    failed = sqs.create_queue(QueueName="failed")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:failed"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert bodies(sqs, url) == ["poison"]
    with ThreadPoolExecutor(1) as beside:
        waits = beside.submit(bodies, sqs, failed, WaitTimeSeconds=20)
        for _ in range(50):
            sqs.get_queue_url(QueueName="failed")  # it waits by now
        assert bodies(sqs, url) == []
        done = any(waits.done() or bodies(sqs, url) for _ in range(1000))
        penstock.clock.advance(seconds=20)  # or it would wait for ever
        assert done
        assert waits.result() == ["poison"]


def test_messages_expire(penstock: PenstockServer, sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
    sqs.send_message(QueueUrl=url, MessageBody="old")
    penstock.clock.advance(seconds=61)
    sqs.send_message(QueueUrl=url, MessageBody="new")
    assert bodies(sqs, url, MaxNumberOfMessages=10) == ["new"]


@pytest.mark.parametrize(
    ("call", "arguments", "code", "text"),
    [
        ("create_queue", {"QueueName": "a b"}, VALUE, "Can only include alphanumeric characters, hyphens, or underscores."),
        ("create_queue", {"QueueName": "x.fifo"}, "AWS.SimpleQueueService.UnsupportedOperation", "FIFO queues are not implemented"),
        ("create_queue", {"QueueName": "x", "Attributes": {"FifoQueue": "true"}}, "AWS.SimpleQueueService.UnsupportedOperation", "FIFO"),
        ("create_queue", {"QueueName": "x", "Attributes": {"Colour": "red"}}, "InvalidAttributeName", "Unknown Attribute Colour."),
        ("create_queue", {"QueueName": "x", "Attributes": {"DelaySeconds": "901"}}, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."),
        ("create_queue", {"QueueName": "x", "Attributes": {"DelaySeconds": "\u0665"}}, "InvalidAttributeValue", "DelaySeconds"),
        ("create_queue", {"QueueName": "x", "Attributes": {"Policy": "{"}}, "InvalidAttributeValue", "Policy"),
        ("create_queue", {"QueueName": "x", "Attributes": {"RedrivePolicy": "{}"}}, VALUE, "Redrive policy must have"),
        ("create_queue", {}, VALUE, "Value null at 'queueName'"),
        ("get_queue_url", {"QueueName": "none"}, MISSING, "The specified queue does not exist."),
        ("send_message", {"QueueUrl": "jobs", "MessageBody": "m"}, "InvalidAddress", "The address jobs is not valid for this endpoint."),
        ("send_message", {"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
        ("send_message", {"MessageBody": "\ufffe"}, "InvalidMessageContents", "'#xfffe'"),
        ("send_message", {"MessageBody": "x" * 1_048_577}, VALUE, "Message must be shorter than 1048576 bytes."),
        ("send_message", {"MessageBody": "m", "DelaySeconds": -1}, VALUE, "Value -1 for parameter DelaySeconds is invalid."),
        ("send_message", {"MessageBody": "m", "MessageGroupId": "g"}, VALUE, "not valid for this queue type"),
        ("send_message", {"MessageBody": "m", "MessageAttributes": {"a": {"DataType": "Colour", "StringValue": "x"}}}, VALUE, "invalid message attribute type"),
        ("send_message", {"MessageBody": "m", "MessageAttributes": {"a": {"DataType": "String"}}}, VALUE, "must contain non-empty message attribute value"),
        ("send_message", {"MessageBody": "m", "MessageAttributes": {"AWS.a": {"DataType": "String", "StringValue": "x"}}}, VALUE, "'AWS.a' is invalid"),
        ("send_message", {"MessageBody": "m", "MessageAttributes": {str(n): {"DataType": "String", "StringValue": "x"} for n in range(11)}}, VALUE, "[11] exceeds"),
        ("receive_message", {"MaxNumberOfMessages": 11}, VALUE, "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."),
        ("receive_message", {"WaitTimeSeconds": 21}, VALUE, "Reason: Must be >= 0 and <= 20, if provided."),
        ("receive_message", {"VisibilityTimeout": 43201}, VALUE, "VisibilityTimeout"),
        ("receive_message", {"AttributeNames": ["Colour"]}, "InvalidAttributeName", "Unknown Attribute Colour."),
        ("get_queue_attributes", {"AttributeNames": ["Colour"]}, "InvalidAttributeName", "Unknown Attribute Colour."),
        ("delete_message", {"ReceiptHandle": "junk"}, "ReceiptHandleIsInvalid", 'The input receipt handle "junk" is not a valid receipt handle.'),
        ("change_message_visibility", {"ReceiptHandle": "AAAA", "VisibilityTimeout": 1}, "ReceiptHandleIsInvalid", "AAAA"),
    ],
)  # fmt: skip
def test_bad_input_is_told_with_the_codes_of_old(
    sqs: Any, url: str, refused: Refused, call: str, arguments: dict[str, Any], code: str, text: str
) -> None:
    if not call.startswith("create") and "QueueName" not in arguments:
        arguments = {"QueueUrl": url, **arguments}
    told = refused(getattr(sqs, call), **arguments)
    assert told[0] == code
    assert text in told[1]


def form(server: PenstockServer, url: str, **fields: Any) -> ElementTree.Element:
    """What a client of the query protocol is answered, without namespaces."""
    body = urlencode({"Version": "2012-11-05", **{name.replace("__", "."): text for name, text in fields.items()}})
    request = AWSRequest("POST", url, {"content-type": "application/x-www-form-urlencoded"}, body)
    SigV4Auth(Credentials(*server.credentials), "sqs", server.region).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    root = ElementTree.fromstring(answer.content)
    assert root.tag.startswith("{http://queue.amazonaws.com/doc/2012-11-05/}")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def test_older_clients_speak_forms_to_the_queue_itself(penstock: PenstockServer) -> None:
    made = form(
        penstock, penstock.endpoint_url, Action="CreateQueue", QueueName="jobs",
        Attribute__1__Name="VisibilityTimeout", Attribute__1__Value="40", Tag__1__Key="k", Tag__1__Value="v",
    )  # fmt: skip
    url = made.findtext("CreateQueueResult/QueueUrl")
    assert url == f"{penstock.endpoint_url}/123456789012/jobs"
    here: dict[str, Any] = {"server": penstock, "url": url, "QueueUrl": url}
    sent = form(
        **here, Action="SendMessage", MessageBody="a <b> & c", MessageAttribute__1__Name="timestamp",
        MessageAttribute__1__Value__DataType="Number", MessageAttribute__1__Value__StringValue="1493147359900",
    )  # fmt: skip
    assert sent.findtext("SendMessageResult/MD5OfMessageAttributes") == "235c5c510d26fb653d073faed50ae77c"
    batch = form(
        **here, Action="SendMessageBatch", SendMessageBatchRequestEntry__1__Id="x", SendMessageBatchRequestEntry__1__MessageBody="2",
        SendMessageBatchRequestEntry__2__Id="y", SendMessageBatchRequestEntry__2__MessageBody="\0",
    )  # fmt: skip
    assert batch.findtext("SendMessageBatchResult/SendMessageBatchResultEntry/Id") == "x"
    assert batch.findtext("SendMessageBatchResult/BatchResultErrorEntry/Code") == "InvalidMessageContents"
    found = form(
        **here, Action="ReceiveMessage", MaxNumberOfMessages="10", AttributeName__1="All", MessageAttributeName__1="All"
    )
    first, _ = found.findall("ReceiveMessageResult/Message")
    assert first.findtext("Body") == "a <b> & c"
    assert first.findtext("MessageAttribute/Name") == "timestamp"
    assert first.findtext("MessageAttribute/Value/StringValue") == "1493147359900"
    system = {each.findtext("Name"): each.findtext("Value") for each in first.findall("Attribute")}
    assert system["ApproximateReceiveCount"] == "1"
    gone = form(**here, Action="DeleteMessage", ReceiptHandle=first.findtext("ReceiptHandle"))
    assert gone.findtext("ResponseMetadata/RequestId")
    told = form(**here, Action="GetQueueAttributes", AttributeName__1="VisibilityTimeout", AttributeName__2="QueueArn")
    shown = {each.findtext("Name"): each.findtext("Value") for each in told.iter("Attribute")}
    assert shown == {"VisibilityTimeout": "40", "QueueArn": "arn:aws:sqs:us-east-1:123456789012:jobs"}
    tags = form(**here, Action="ListQueueTags")
    assert [(each.findtext("Key"), each.findtext("Value")) for each in tags.iter("Tag")] == [("k", "v")]
    listed = form(penstock, penstock.endpoint_url, Action="ListQueues")
    assert [each.text for each in listed.iter("QueueUrl")] == [url]
    missing = form(penstock, penstock.endpoint_url, Action="GetQueueUrl", QueueName="none")
    assert (missing.findtext("Error/Code"), missing.findtext("Error/Type")) == (MISSING, "Sender")
    wrong = form(**here, Action="ReceiveMessage", MaxNumberOfMessages="11")
    assert wrong.findtext("Error/Code") == VALUE


def test_queues_outlive_their_server_with_what_is_hidden(tmp_path: Path) -> None:
    handles: list[str] = []
    for start in range(2):
        with PenstockServer(data_dir=str(tmp_path), engine="local") as server:
            sqs = server.client("sqs")
            if not start:
                url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
                for body in ("hidden", "waiting"):
                    sqs.send_message(QueueUrl=url, MessageBody=body)
                handles += [message["ReceiptHandle"] for message in received(sqs, url)]
            else:
                url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
                assert bodies(sqs, url, MaxNumberOfMessages=10) == ["waiting"]
                sqs.delete_message(QueueUrl=url, ReceiptHandle=handles[0])
                server.clock.advance(hours=1)
                assert bodies(sqs, url, MaxNumberOfMessages=10) == ["waiting"]
                server.reset()
                assert "QueueUrls" not in sqs.list_queues()


def test_the_cli_sends_and_receives(penstock: PenstockServer) -> None:
    def aws(*words: str) -> Any:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_PAGER": "", **penstock.environment()}
        command = [str(Path(sys.executable).with_name("aws")), "sqs", *words]
        command += [
            "--endpoint-url",
            penstock.endpoint_url,
        ]  # version 1 of the CLI asks AWS for SQS, whatever the environment says
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    url = aws("create-queue", "--queue-name", "jobs")["QueueUrl"]
    aws("send-message", "--queue-url", url, "--message-body", "from the CLI")
    [message] = aws("receive-message", "--queue-url", url, "--wait-time-seconds", "1")["Messages"]
    assert message["Body"] == "from the CLI"
    aws("delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])


def test_terraform_makes_reads_changes_and_destroys_a_queue(sqs: Any) -> None:
    url = sqs.create_queue(
        QueueName="jobs",
        Attributes={"DelaySeconds": "0", "MessageRetentionPeriod": "345600", "SqsManagedSseEnabled": "true"},
        tags={"Name": "jobs"},
    )["QueueUrl"]
    read = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (read["MessageRetentionPeriod"], read["SqsManagedSseEnabled"]) == ("345600", "true")
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"Name": "jobs"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60", "Policy": ""})
    sqs.tag_queue(QueueUrl=url, Tags={"Owner": "me"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["Name"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"Owner": "me"}
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"] == {
        "VisibilityTimeout": "60"
    }
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(ClientError, match="NonExistentQueue"):
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])


def test_policies_of_queues_and_users_decide(tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "sqs:SendMessage", "Resource": "*"}
    with PenstockServer(data_dir=str(tmp_path), auth="enforced") as server:
        sqs = server.client("sqs")
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
        url = sqs.create_queue(QueueName="jobs", Attributes={"Policy": policy})["QueueUrl"]
        key_id, secret = server.other_account("222222222222")
        other = server.client("sqs", aws_access_key_id=key_id, aws_secret_access_key=secret)
        other.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "from afar"}])
        with pytest.raises(ClientError, match="sqs:ReceiveMessage"):
            other.receive_message(QueueUrl=url)
        assert bodies(sqs, url) == ["from afar"]
        with pytest.raises(ClientError, match="Invalid value for the parameter Policy"):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": "{}"})
        sqs.send_message(QueueUrl=url, MessageBody="still allowed")
