"""SNS by boto3: topics, subscriptions of queues, and what these get."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]
TOPIC = "arn:aws:sns:us-east-1:123456789012:news"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:readers"


@pytest.fixture
def sns(penstock: PenstockServer) -> Any:
    client = penstock.client("sns", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
    client.create_topic(Name="news", Tags=[{"Key": "k", "Value": "v"}])
    return client


@pytest.fixture
def read(penstock: PenstockServer) -> Callable[[], list[dict[str, Any]]]:
    sqs = penstock.client("sqs")
    url = sqs.create_queue(QueueName="readers")["QueueUrl"]

    def receive() -> list[dict[str, Any]]:
        found: list[dict[str, Any]]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
        return found

    return receive


Read = Callable[[], list[dict[str, Any]]]


def test_publish_brings_subscribed_queues_the_envelope(penstock: PenstockServer, sns: Any, read: Read) -> None:
    subscription = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    assert sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"] == subscription
    attributes = {"a": {"DataType": "String", "StringValue": "x"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
    message_id = sns.publish(TopicArn=TOPIC, Message="hello ✓ <&>", Subject="s", MessageAttributes=attributes)[
        "MessageId"
    ]
    [message] = read()
    document = json.loads(message["Body"])
    assert document.pop("Timestamp").endswith("Z")
    assert document.pop("Signature")
    assert document.pop("SigningCertURL").startswith("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-")
    assert document.pop("UnsubscribeURL").endswith(f"?Action=Unsubscribe&SubscriptionArn={subscription}")
    assert document == {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": TOPIC,
        "Subject": "s",
        "Message": "hello ✓ <&>",
        "SignatureVersion": "1",
        "MessageAttributes": {"a": {"Type": "String", "Value": "x"}, "b": {"Type": "Binary", "Value": "AAE="}},
    }
    assert "MessageAttributes" not in message
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.publish(TopicArn=TOPIC, Message="to nobody")
    assert read() == []


def test_publish_brings_raw_subscriptions_the_message_itself(sns: Any, read: Read) -> None:
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, Attributes={"RawMessageDelivery": "true"})
    attributes = {"n": {"DataType": "Number", "StringValue": "5"}}
    structure = json.dumps({"default": "d", "sqs": "for queues"})
    sns.publish(TargetArn=TOPIC, Message=structure, MessageStructure="json", MessageAttributes=attributes)
    [message] = read()
    assert (message["Body"], message["MessageAttributes"]) == ("for queues", attributes)


def test_publish_when_a_queue_is_gone_still_tells_the_others(penstock: PenstockServer, sns: Any, read: Read) -> None:
    for queue in (QUEUE + "-gone", QUEUE):
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=TOPIC, Message="m")
    assert [message["Body"] for message in read()] == ["m"]


def test_terraform_makes_reads_changes_and_destroys_a_topic_and_a_subscription(sns: Any, read: Read) -> None:
    attributes = sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]
    assert (attributes["Owner"], attributes["SubscriptionsConfirmed"]) == ("123456789012", "0")
    assert json.loads(attributes["Policy"])["Statement"][0]["Resource"] == TOPIC
    sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="DisplayName", AttributeValue="News")
    assert sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]["DisplayName"] == "News"
    assert sns.list_tags_for_resource(ResourceArn=TOPIC)["Tags"] == [{"Key": "k", "Value": "v"}]
    sns.tag_resource(ResourceArn=TOPIC, Tags=[{"Key": "o", "Value": "me"}])
    sns.untag_resource(ResourceArn=TOPIC, TagKeys=["k"])
    assert sns.list_tags_for_resource(ResourceArn=TOPIC)["Tags"] == [{"Key": "o", "Value": "me"}]
    arn = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, ReturnSubscriptionArn=True)["SubscriptionArn"]
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (told["Endpoint"], told["RawMessageDelivery"], told["PendingConfirmation"]) == (QUEUE, "false", "false")
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="true")
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["RawMessageDelivery"] == "true"
    listed = {"SubscriptionArn": arn, "Owner": "123456789012", "Protocol": "sqs", "Endpoint": QUEUE, "TopicArn": TOPIC}
    assert sns.list_subscriptions()["Subscriptions"] == [listed]
    assert sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"] == [listed]
    sns.delete_topic(TopicArn=TOPIC)
    sns.delete_topic(TopicArn=TOPIC)
    assert (sns.list_topics()["Topics"], sns.list_subscriptions()["Subscriptions"]) == ([], [])


def test_lists_come_in_pages(sns: Any) -> None:
    for number in range(150):
        sns.create_topic(Name=f"t{number:03d}")
    topics = [topic["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for topic in page["Topics"]]
    assert len(topics) == len(set(topics)) == 151


@pytest.mark.parametrize(
    ("call", "arguments", "code", "text"),
    [
        ("create_topic", {"Name": "a b"}, "InvalidParameter", "Invalid parameter: Topic Name"),
        ("create_topic", {"Name": "a.fifo"}, "InvalidParameter", "FifoTopic is not implemented by Penstock"),
        ("create_topic", {"Name": "news", "Attributes": {"DisplayName": "x"}}, "InvalidParameter", "already exists with different attributes"),
        ("create_topic", {}, "InvalidParameter", "Value null at 'name'"),
        ("publish", {"TopicArn": TOPIC + "x", "Message": "m"}, "NotFound", "Topic does not exist"),
        ("publish", {"TopicArn": "news", "Message": "m"}, "InvalidParameter", "TopicArn Reason: An ARN must have at least 6 elements, not 1"),
        ("publish", {"Message": "m"}, "InvalidParameter", "TopicArn or TargetArn Reason: no value for required parameter"),
        ("publish", {"PhoneNumber": "+1", "Message": "m"}, "InvalidParameter", "PhoneNumber is not implemented"),
        ("publish", {"TopicArn": TOPIC, "Message": ""}, "InvalidParameter", "Empty message"),
        ("publish", {"TopicArn": TOPIC, "Message": "x" * 262_145}, "InvalidParameter", "Message too long"),
        ("publish", {"TopicArn": TOPIC, "Message": "m", "Subject": "a\nb"}, "InvalidParameter", "Invalid parameter: Subject"),
        ("publish", {"TopicArn": TOPIC, "Message": "{", "MessageStructure": "json"}, "InvalidParameter", "failed to parse"),
        ("publish", {"TopicArn": TOPIC, "Message": "{}", "MessageStructure": "json"}, "InvalidParameter", "No default entry"),
        ("publish", {"TopicArn": TOPIC, "Message": "m", "MessageAttributes": {"a": {"DataType": "X", "StringValue": "x"}}}, "ParameterValueInvalid", "'a' is invalid"),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "a@b"}, "InvalidParameter", "protocol email is not implemented"),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "pigeon", "Endpoint": "x"}, "InvalidParameter", "does not support this protocol string: pigeon"),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": "http://x"}, "InvalidParameter", "SQS endpoint ARN"),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": QUEUE, "Attributes": {"FilterPolicy": "{}"}}, "InvalidParameter", "FilterPolicy is not implemented"),
        ("unsubscribe", {"SubscriptionArn": TOPIC + ":none"}, "NotFound", "Subscription does not exist"),
        ("get_topic_attributes", {"TopicArn": TOPIC + "x"}, "NotFound", "Topic does not exist"),
        ("list_tags_for_resource", {"ResourceArn": TOPIC + "x"}, "ResourceNotFound", "Resource does not exist"),
    ],
)  # fmt: skip
def test_bad_input_is_told_as_sns_does(
    sns: Any, refused: Refused, call: str, arguments: dict[str, Any], code: str, text: str
) -> None:
    told = refused(getattr(sns, call), **arguments)
    assert told[0] == code
    assert text in told[1]


def test_topics_outlive_their_server(tmp_path: Path) -> None:
    for start in range(2):
        with PenstockServer(data_dir=str(tmp_path), engine="local") as server:
            sns, sqs = server.client("sns"), server.client("sqs")
            if not start:
                sns.create_topic(Name="news")
                sqs.create_queue(QueueName="readers")
                sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
            else:
                sns.publish(TopicArn=TOPIC, Message="after the restart")
                url = sqs.get_queue_url(QueueName="readers")["QueueUrl"]
                [message] = sqs.receive_message(QueueUrl=url)["Messages"]
                assert json.loads(message["Body"])["Message"] == "after the restart"
                server.reset()
                assert sns.list_topics()["Topics"] == []


def test_policies_decide_who_publishes(tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": TOPIC}
    with PenstockServer(data_dir=str(tmp_path), auth="enforced") as server:
        server.client("sns").create_topic(Name="news")
        iam = server.client("iam")
        iam.create_user(UserName="ann")
        iam.put_user_policy(
            UserName="ann", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement})
        )
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        ann = server.client("sns", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
        ann.publish(TopicArn=TOPIC, Message="m")
        with pytest.raises(ClientError, match="Policy Error"):
            server.client("sns").set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue="{}")
        with pytest.raises(ClientError, match="sns:Subscribe"):
            ann.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
