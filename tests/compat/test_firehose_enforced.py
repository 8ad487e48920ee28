"""Firehose under `--auth enforced`: policies say who may do what to which delivery stream; and what a reset leaves."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from deliveries import create, to_lake

from penstock.testing import PenstockServer

ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/"


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer(auth="enforced") as started:
        yield started


@pytest.fixture(scope="module")
def ann(server: PenstockServer) -> Any:
    """A client of a user who may put into delivery streams that begin with `app-`."""
    iam = server.client("iam")
    iam.create_user(UserName="ann")
    statement = {"Effect": "Allow", "Action": "firehose:Put*", "Resource": f"{ARN}app-*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy)
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    return boto3.client(
        "firehose",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
    )


def denied(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    return str(error["Message"])


def test_put_when_the_delivery_stream_is_in_the_policy_then_it_is_allowed_there_only(
    server: PenstockServer, ann: Any
) -> None:
    create(server, "app-1")
    create(server, "other")
    record = {"Data": b"x"}
    assert ann.put_record(DeliveryStreamName="app-1", Record=record)["RecordId"]
    assert ann.put_record_batch(DeliveryStreamName="app-1", Records=[record])["FailedPutCount"] == 0
    text = denied(ann.put_record, DeliveryStreamName="other", Record=record)
    assert f"is not authorized to perform: firehose:PutRecord on resource: {ARN}other" in text
    assert "firehose:ListDeliveryStreams" in denied(ann.list_delivery_streams)
    assert "firehose:CreateDeliveryStream" in denied(
        ann.create_delivery_stream, DeliveryStreamName="app-2", ExtendedS3DestinationConfiguration=to_lake()
    )
    # who may not ask does not learn what there is
    assert "not authorized" in denied(ann.describe_delivery_stream, DeliveryStreamName="none")


def test_reset_when_asked_then_no_delivery_stream_is_left() -> None:
    from urllib.request import Request, urlopen

    with PenstockServer() as server:
        firehose = create(server)
        firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"x"})
        urlopen(Request(f"{server.endpoint_url}/_penstock/reset", method="POST"), timeout=60).close()
        assert firehose.list_delivery_streams()["DeliveryStreamNames"] == []
        create(server)
        assert firehose.list_delivery_streams()["DeliveryStreamNames"] == ["orders"]
