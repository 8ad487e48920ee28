"""CBOR over HTTP, as the Java SDKs speak it."""

import struct
from typing import Any

import cbor2
import pytest
from http_calls import CBOR, Wire

from penstock.testing import PenstockServer

SHARD = "shardId-000000000000"
DATA = bytes(range(256))


def indefinite(document: Any) -> bytes:
    """A document with maps and lists of indefinite length, as the Java SDKs write them."""
    match document:
        case dict():
            pairs = (indefinite(key) + indefinite(value) for key, value in document.items())
            return b"\xbf" + b"".join(pairs) + b"\xff"
        case list():
            return b"\x9f" + b"".join(map(indefinite, document)) + b"\xff"
        case _:
            return cbor2.dumps(document)


def tagged(body: bytes) -> dict[int, list[Any]]:
    """What each tag in a body holds, untouched."""
    found: dict[int, list[Any]] = {}

    def keep(value: Any, _immutable: bool) -> Any:
        found.setdefault(1, []).append(value)
        return value

    cbor2.loads(body, semantic_decoders={1: keep})
    return found


def read_all(wire: Wire, **position: Any) -> Any:
    iterator = wire.call_cbor("GetShardIterator", {"StreamName": "a", "ShardId": SHARD, **position})
    assert iterator.status == 200, iterator.document
    return wire.call_cbor("GetRecords", {"ShardIterator": iterator.document["ShardIterator"]})


@pytest.mark.parametrize("encode", [cbor2.dumps, indefinite], ids=["definite", "indefinite"])
def test_records_when_put_and_read_in_cbor_are_bytes(penstock: PenstockServer, encode: Any) -> None:
    with Wire(penstock) as wire:
        created = wire.call_cbor("CreateStream", encode({"StreamName": "a", "ShardCount": 1}))
        assert (created.status, created.body, created.headers["content-type"]) == (200, b"", CBOR)
        one = wire.call_cbor("PutRecord", encode({"StreamName": "a", "Data": DATA, "PartitionKey": "k\U0001f600"}))
        assert one.document["ShardId"] == SHARD
        rows = [{"Data": b"", "PartitionKey": "k"}, {"Data": DATA, "PartitionKey": "k", "ExplicitHashKey": "0"}]
        many = wire.call_cbor("PutRecords", encode({"StreamName": "a", "Records": rows}))
        assert many.document["FailedRecordCount"] == 0
        page = read_all(wire, ShardIteratorType="TRIM_HORIZON").document
    assert [record["Data"] for record in page["Records"]] == [DATA, b"", DATA]
    assert page["Records"][0]["PartitionKey"] == "k\U0001f600"
    assert page["MillisBehindLatest"] == 0


def test_records_when_put_in_one_format_are_the_same_in_the_other(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        wire.call("PutRecord", {"StreamName": "a", "Data": "AAE=", "PartitionKey": "k"})
        wire.call_cbor("PutRecord", {"StreamName": "a", "Data": b"\0\2", "PartitionKey": "k"})
        in_cbor = read_all(wire, ShardIteratorType="TRIM_HORIZON").document["Records"]
        iterator = wire.call(
            "GetShardIterator", {"StreamName": "a", "ShardId": SHARD, "ShardIteratorType": "TRIM_HORIZON"}
        ).document
        in_json = wire.call("GetRecords", iterator).document["Records"]
    assert [record["Data"] for record in in_cbor] == [b"\0\1", b"\0\2"]
    assert [record["Data"] for record in in_json] == ["AAE=", "AAI="]
    assert [record["SequenceNumber"] for record in in_cbor] == [record["SequenceNumber"] for record in in_json]


def test_timestamps_when_answered_in_cbor_are_tag_1_with_integer_milliseconds(penstock: PenstockServer) -> None:
    before_ms = penstock.clock.now_ms
    with Wire(penstock) as wire:
        wire.call_cbor("CreateStream", {"StreamName": "a", "ShardCount": 1})
        wire.call_cbor("PutRecord", {"StreamName": "a", "Data": b"", "PartitionKey": "k"})
        answers = [
            wire.call_cbor("DescribeStream", {"StreamName": "a"}),
            wire.call_cbor("DescribeStreamSummary", {"StreamName": "a"}),
            wire.call_cbor("ListStreams", {}),
            read_all(wire, ShardIteratorType="TRIM_HORIZON"),
        ]
    for answer in answers:
        moments = tagged(answer.body).get(1, [])
        assert len(moments) == 1
        assert isinstance(moments[0], int)
        assert before_ms <= moments[0] <= penstock.clock.now_ms


@pytest.mark.parametrize("form", ["integer", "double"])
def test_timestamps_when_asked_in_cbor_are_milliseconds(penstock: PenstockServer, form: str) -> None:
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        wire.call_cbor("PutRecord", {"StreamName": "a", "Data": b"old", "PartitionKey": "k"})
        penstock.clock.advance(minutes=1)
        asked_ms: float = penstock.clock.now_ms
        wire.call_cbor("PutRecord", {"StreamName": "a", "Data": b"new", "PartitionKey": "k"})
        at = cbor2.CBORTag(1, asked_ms if form == "integer" else float(asked_ms))
        page = read_all(wire, ShardIteratorType="AT_TIMESTAMP", Timestamp=at).document
    assert [record["Data"] for record in page["Records"]] == [b"new"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "SerializationException"),
        (b"{}", "SerializationException"),
        (b"\x80", "SerializationException"),
        (b"\xa1\x61a" * 100_000, "SerializationException"),
        (b"\xa0\x00", "SerializationException"),
        (b"\xa1\x61a\x5b" + struct.pack(">Q", 2**40), "SerializationException"),
        (b"\xa1\x61a\x9b" + struct.pack(">Q", 2**40), "SerializationException"),
        (b"\xa1\x61a\xc2\x41\x01", "SerializationException"),
        (cbor2.dumps({"StreamName": b"a"}), "SerializationException"),
        (cbor2.dumps({"StreamName": "a", "Data": "AAE="}), "SerializationException"),
        (cbor2.dumps({"StreamName": cbor2.undefined}), "SerializationException"),
        (cbor2.dumps({"StreamName": "a", "PartitionKey": "k"}), "ValidationException"),
        (cbor2.dumps({"StreamName": "nope", "Data": b"", "PartitionKey": "k"}), "ResourceNotFoundException"),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else "",
)
def test_refusal_when_the_request_is_cbor_is_cbor(penstock: PenstockServer, body: bytes, code: str) -> None:
    with Wire(penstock) as wire:
        reply = wire.call_cbor("PutRecord", body)
    assert reply.headers["content-type"] == CBOR
    assert reply.refusal[:2] == (400, code)


def test_refusal_when_the_operation_is_unknown_in_cbor_is_cbor(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        assert wire.call_cbor("Nope", {}).document == {"__type": "UnknownOperationException"}
