"""Bad requests over HTTP: each gets AWS's refusal, at once, whatever it asks for."""

import json
from typing import Any

import pytest
from http_calls import Wire

from penstock.testing import PenstockServer

SERIALIZATION = "SerializationException"
VALIDATION = "ValidationException"
NUMBER = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"


def put(**members: Any) -> bytes:
    return json.dumps({"StreamName": "a", "PartitionKey": "k", "Data": "", **members}).encode()


@pytest.mark.parametrize(
    ("operation", "body", "code", "text"),
    [
        ("PutRecord", b"", SERIALIZATION, None),
        ("PutRecord", b"[]", SERIALIZATION, None),
        ("PutRecord", b"null", SERIALIZATION, None),
        ("PutRecord", b"{", SERIALIZATION, None),
        ("PutRecord", b"\xef\xbb\xbf" + put(), SERIALIZATION, None),
        ("PutRecord", put() + b"x", SERIALIZATION, None),
        ("PutRecord", b'{"StreamName":"\xff"}', SERIALIZATION, None),
        ("PutRecord", b'{"StreamName":"\\ud800"}', SERIALIZATION, None),
        ("PutRecord", b'{"a":' * 100_000, SERIALIZATION, None),
        ("PutRecord", b'{"Limit":NaN}', SERIALIZATION, None),
        ("PutRecord", put(StreamName=1), SERIALIZATION, NUMBER + " can not be converted to an String"),
        ("PutRecord", put(Data=1), SERIALIZATION, NUMBER + " can not be converted to a Blob"),
        ("PutRecord", put(Data=[]), SERIALIZATION, "Start of list found where not expected"),
        ("PutRecord", put(Data={}), SERIALIZATION, "Start of structure or map found where not expected."),
        (
            "PutRecord",
            put(Data="AAF="),
            SERIALIZATION,
            "'AAF=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
        ),
        (
            "PutRecord",
            put(Data="A"),
            SERIALIZATION,
            "'A' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 1",
        ),
        ("PutRecords", b'{"Records":{}}', SERIALIZATION, "Start of structure or map found where not expected."),
        ("PutRecords", b'{"Records":"x"}', SERIALIZATION, "Expected list or null"),
        ("PutRecords", b'{"Records":["x"]}', SERIALIZATION, "Expected null"),
        ("AddTagsToStream", b'{"Tags":[]}', SERIALIZATION, "Start of list found where not expected"),
        ("AddTagsToStream", b'{"Tags":"x"}', SERIALIZATION, "Expected map or null"),
        (
            "GetShardIterator",
            b'{"Timestamp":"now"}',
            SERIALIZATION,
            "class java.lang.String can not be converted to milliseconds since epoch",
        ),
        ("DeleteStream", b'{"EnforceConsumerDeletion":"x"}', SERIALIZATION, "'X' can not be converted to an Boolean"),
        (
            "PutRecord",
            b"{}",
            VALIDATION,
            "1 validation error detected: Value null at 'data' failed to satisfy constraint: Member must not be null",
        ),
        (
            "PutRecords",
            b'{"StreamName":"a","Records":[{"Data":"","PartitionKey":""},{"PartitionKey":"k"}]}',
            VALIDATION,
            "2 validation errors detected: Value '' at 'records.1.member.partitionKey' failed to satisfy constraint:"
            " Member must have length greater than or equal to 1; Value null at 'records.2.member.data' failed to"
            " satisfy constraint: Member must not be null",
        ),
        (
            "GetRecords",
            b'{"ShardIterator":"x","Limit":100000000000}',
            VALIDATION,
            "1 validation error detected: Value '1215752192' at 'limit' failed to satisfy constraint:"
            " Member must have value less than or equal to 10000",
        ),
        ("GetRecords", b'{"ShardIterator":"\xc3\xa9"}', "InvalidArgumentException", "Invalid ShardIterator."),
        (
            "DescribeStream",
            b'{"StreamName":"nope"}',
            "ResourceNotFoundException",
            "Stream nope under account 123456789012 not found.",
        ),
        (
            "CreateQueue",
            b"{}",
            "UnknownOperationException",
            "CreateQueue is not implemented by Penstock; docs/parity.md lists what is.",
        ),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else "",
)
def test_call_when_the_body_is_bad_is_refused_in_awss_words(
    penstock: PenstockServer, operation: str, body: bytes, code: str, text: str | None
) -> None:
    with Wire(penstock) as wire:
        assert wire.call(operation, body).refusal == (400, code, text)


def test_create_stream_when_a_billion_shards_are_asked_for_is_refused_at_once(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        status, code, text = wire.call("CreateStream", {"StreamName": "a", "ShardCount": 10**9}).refusal
        assert (status, code) == (400, "LimitExceededException")
        assert "additional shards that would have resulted from this request: 1000000000." in str(text)
        assert wire.call("ListStreams").document["StreamNames"] == []


def test_create_stream_when_the_shard_count_overflows_is_cut_as_java_cuts_it(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        assert wire.call("CreateStream", {"StreamName": "a", "ShardCount": 2**32 + 2}).status == 200
        assert wire.call("DescribeLimits").document["OpenShardCount"] == 2


def test_put_record_when_members_are_unknown_or_null_takes_the_rest(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        assert wire.call("PutRecord", put(Unknown=[{}], ExplicitHashKey=None)).status == 200


def test_call_when_several_clients_share_a_connection_after_refusals_still_works(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        for body in (b"junk", b"[]", b'{"Limit":0}', b'{"Limit":"x"}'):
            assert wire.call("ListStreams", body).status == 400
            assert wire.call("ListStreams").status == 200
