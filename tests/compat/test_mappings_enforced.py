"""Mappings with `--auth enforced`: the execution role must be allowed to read the stream, when a mapping is made and as long as it reads."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from taking_function import ROLE, SOURCE, Taken, zipped

from penstock.testing import PenstockServer

STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}},
}
READING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kinesis:*", "Resource": STREAM}}
OPENING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}}
REFUSAL = "ensure the role can perform the GetRecords"


def test_mapping_when_its_role_may_not_read_then_that_is_told_and_nothing_is_given() -> None:
    taken = Taken()
    with PenstockServer(auth="enforced", functions="process") as server:
        kinesis: Any = server.client("kinesis")
        functions: Any = server.client("lambda")
        iam: Any = server.client("iam")
        kinesis.create_stream(StreamName="orders", ShardCount=1)
        iam.create_role(RoleName="work", AssumeRolePolicyDocument=json.dumps(TRUST))
        functions.create_function(
            FunctionName="work", Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped(SOURCE)},
            Environment={"Variables": {"TAKEN": taken.url}}, Timeout=30,
        )  # fmt: skip
        settings = {"FunctionName": "work", "EventSourceArn": STREAM, "StartingPosition": "TRIM_HORIZON"}
        with pytest.raises(ClientError, match=REFUSAL):
            functions.create_event_source_mapping(**settings)

        iam.put_role_policy(RoleName="work", PolicyName="reading", PolicyDocument=json.dumps(READING))
        uuid = functions.create_event_source_mapping(**settings)["UUID"]
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data="one")
        assert [record["data"] for record in taken.records(1)] == ["one"]

        iam.delete_role_policy(RoleName="work", PolicyName="reading")
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data="two")
        results = (functions.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] for _ in range(1000))
        assert any(REFUSAL in result for result in results)
        assert taken.told.empty()
        iam.put_role_policy(RoleName="work", PolicyName="reading", PolicyDocument=json.dumps(READING))
        server.clock.advance(seconds=5)
        assert [record["data"] for record in taken.records(1)] == ["two"]

        key = server.client("kms").create_key()["KeyMetadata"]["KeyId"]
        kinesis.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId=key)
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data="three")
        results = (functions.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] for _ in range(1000))
        assert any("kms:Decrypt" in result for result in results)
        assert taken.told.empty()
        iam.put_role_policy(RoleName="work", PolicyName="opening", PolicyDocument=json.dumps(OPENING))
        server.clock.advance(seconds=5)
        assert [record["data"] for record in taken.records(1)] == ["three"]
    taken.server.shutdown()
    taken.server.server_close()
