"""StartStreamEncryption and StopStreamEncryption through boto3: the states, and what answers say of records."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
KEY = "12345678-1234-1234-1234-123456789012"
KMS = "arn:aws:kms:us-east-1:123456789012:"
OTHERS = "arn:aws:kms:us-east-1:111122223333:key/" + KEY  # another account's
MRK = "mrk-" + "0" * 32


def described(kinesis: "KinesisClient") -> set[tuple[str, str | None]]:
    """What both descriptions say of the encryption."""
    full = kinesis.describe_stream(StreamName="a")["StreamDescription"]
    short = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]
    return {(each["EncryptionType"], each.get("KeyId")) for each in (full, short)}


def make_key(penstock: PenstockServer, *aliases: str) -> str:
    """A new key with aliases; its id."""
    kms = penstock.client("kms")
    key = str(kms.create_key()["KeyMetadata"]["KeyId"])
    for alias in aliases:
        kms.create_alias(AliasName=alias, TargetKeyId=key)
    return key


@pytest.mark.parametrize(
    "form", ["{key}", KMS + "key/{key}", "alias/MyAliasName", "alias/aws/kinesis", KMS + "alias/MyAliasName"]
)
def test_a_key_in_any_form_is_described_as_it_was_given(
    kinesis: "KinesisClient", penstock: PenstockServer, form: str
) -> None:
    key = form.format(key=make_key(penstock, "alias/MyAliasName", "alias/other"))
    kinesis.create_stream(StreamName="a", ShardCount=1)
    assert described(kinesis) == {("NONE", None)}
    kinesis.start_stream_encryption(StreamName="a", EncryptionType="KMS", KeyId=key)
    assert described(kinesis) == {("KMS", key)}
    kinesis.start_stream_encryption(StreamARN=ARN, EncryptionType="KMS", KeyId="alias/other")
    assert described(kinesis) == {("KMS", "alias/other")}
    kinesis.stop_stream_encryption(StreamARN=ARN, EncryptionType="KMS", KeyId=key)
    assert described(kinesis) == {("NONE", None)}
    kinesis.stop_stream_encryption(StreamName="a", EncryptionType="KMS", KeyId=key)


def record_answers(kinesis: "KinesisClient") -> list[str | None]:
    """What PutRecord, PutRecords and each record of GetRecords say of the encryption."""
    one: Any = kinesis.put_record(StreamName="a", Data=b"1", PartitionKey="k")
    many: Any = kinesis.put_records(StreamName="a", Records=[{"Data": b"2", "PartitionKey": "k"}])
    iterator = kinesis.get_shard_iterator(
        StreamName="a", ShardId="shardId-000000000000", ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=one["SequenceNumber"],
    )["ShardIterator"]  # fmt: skip
    page: list[Any] = list(kinesis.get_records(ShardIterator=iterator)["Records"])
    assert [record["Data"] for record in page] == [b"1", b"2"]
    return [answer.get("EncryptionType") for answer in (one, many, *page)]


def test_answers_about_records_say_kms_while_it_is_on(kinesis: "KinesisClient", penstock: PenstockServer) -> None:
    key = make_key(penstock)
    kinesis.create_stream(StreamName="a", ShardCount=1)
    assert record_answers(kinesis) == [None] * 4
    kinesis.start_stream_encryption(StreamName="a", EncryptionType="KMS", KeyId=key)
    assert record_answers(kinesis) == ["KMS"] * 4
    kinesis.stop_stream_encryption(StreamName="a", EncryptionType="KMS", KeyId=key)
    assert record_answers(kinesis) == [None] * 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"EncryptionType": "NONE"}, "InvalidArgumentException", "EncryptionType NONE is not valid here; it must be KMS."),
        ({"EncryptionType": "AES"}, "ValidationException", "1 validation error detected: Value 'AES' at 'encryptionType' failed to satisfy constraint: Member must satisfy enum value set: [NONE, KMS]"),
        ({"KeyId": ""}, "ValidationException", "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ({"KeyId": "MyAliasName"}, "InvalidArgumentException", "KeyId MyAliasName is not valid. It must be the id or the ARN of a key, or the name or the ARN of an alias."),
        ({"KeyId": KMS + "key/1"}, "InvalidArgumentException", f"KeyId {KMS}key/1 is not valid. It must be the id or the ARN of a key, or the name or the ARN of an alias."),
        ({"KeyId": KEY + "\n"}, "InvalidArgumentException", f"KeyId {KEY}\n is not valid. It must be the id or the ARN of a key, or the name or the ARN of an alias."),
        ({"KeyId": KMS.replace("us-east-1", "eu-west-1") + "key/" + KEY}, "KMSNotFoundException", "Invalid arn eu-west-1"),
        ({"StreamName": "b"}, "ResourceNotFoundException", "Stream b under account 123456789012 not found."),
    ],
)  # fmt: skip
def test_bad_requests_are_refused(
    kinesis: "KinesisClient", refused: Refused, arguments: dict[str, str], code: str, message: str
) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    asked = {"StreamName": "a", "EncryptionType": "KMS", "KeyId": KEY, **arguments}
    assert refused(kinesis.start_stream_encryption, **asked) == (code, message)
    assert refused(kinesis.stop_stream_encryption, **asked) == (code, message)
    assert described(kinesis) == {("NONE", None)}


@pytest.mark.parametrize(
    ("key", "code", "message"),
    [
        (KEY, "KMSNotFoundException", f"Key '{KMS}key/{KEY}' does not exist"),
        (MRK, "KMSNotFoundException", f"Key '{KMS}key/{MRK}' does not exist"),
        ("alias/none", "KMSNotFoundException", f"Alias {KMS}alias/none is not found."),
        ("alias/aws/none", "KMSNotFoundException", f"Alias {KMS}alias/aws/none is not found."),
        (OTHERS, "KMSAccessDeniedException", f"User: arn:aws:iam::123456789012:root is not authorized to perform: kinesis:StartStreamEncryption on resource: {OTHERS} because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"),
    ],
)  # fmt: skip
def test_keys_that_are_not_there_are_refused_when_encryption_is_started(
    kinesis: "KinesisClient", refused: Refused, key: str, code: str, message: str
) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    asked = {"StreamName": "a", "EncryptionType": "KMS", "KeyId": key}
    assert refused(kinesis.start_stream_encryption, **asked) == (code, message)
    kinesis.stop_stream_encryption(StreamName="a", EncryptionType="KMS", KeyId=key)


def test_the_key_can_be_changed_25_times_a_day_under_aws_limits(refused: Refused) -> None:
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1)
        asked = {"StreamName": "a", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
        for _ in range(25):
            kinesis.start_stream_encryption(**asked)
            kinesis.stop_stream_encryption(**asked)
            server.clock.advance(minutes=1)
        assert refused(kinesis.start_stream_encryption, **asked) == (
            "LimitExceededException",
            "StartStreamEncryption can be used at most 25 times in 24 hours on stream a under account 123456789012.",
        )
        server.clock.advance(hours=23, minutes=35)
        kinesis.start_stream_encryption(**asked)
        assert refused(kinesis.start_stream_encryption, **asked)[0] == "LimitExceededException"
