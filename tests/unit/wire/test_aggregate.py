"""KPL aggregates: what is packed, what is read, and what is a plain record."""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import deaggregate_records

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange, hash_key
from penstock.wire.aggregate import MAGIC, TAG_UNIQUE_ID, Aggregate, UserRecord, unpack, user_records

SAMPLES = Path(__file__).parents[2] / "samples" / "aggregates"
KEY_ONE, KEY_TWO = (hash_key(key.encode()) for key in ("one", "two"))


def aggregate(message: bytes) -> bytes:
    """An aggregate of any message at all."""
    return MAGIC + message + hashlib.md5(message).digest()


def packed(*records: tuple[str, bytes, str | None, str | None]) -> bytes:
    made = Aggregate(2**20)
    for record in records:
        assert made.add(*record)
    return made.pack().data


def read_by_aws(data: bytes) -> list[tuple[str, str | None, bytes, int]]:
    """What aws_kinesis_agg reads from a Kinesis record."""
    kinesis = {
        "kinesisSchemaVersion": "1.0",
        "sequenceNumber": "1",
        "partitionKey": "a",
        "approximateArrivalTimestamp": 1.0,
        "data": base64.b64encode(data).decode(),
    }
    names = ("eventVersion", "eventSource", "eventID", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN")
    found = deaggregate_records([{"kinesis": kinesis, **dict.fromkeys(names, "")}])
    return [
        (
            each["kinesis"]["partitionKey"],
            each["kinesis"]["explicitHashKey"],
            base64.b64decode(each["kinesis"]["data"]),
            each["kinesis"]["subSequenceNumber"],
        )
        for each in found
    ]


def test_aggregate_when_packed_is_what_the_format_says() -> None:
    data = packed(("one", b"first", None, None), ("two", b"second", "7", None), ("one", b"", None, None))
    message = (
        b"\x0a\x03one\x0a\x03two\x12\x017"
        b"\x1a\x09\x08\x00\x1a\x05first\x1a\x0c\x08\x01\x10\x00\x1a\x06second\x1a\x04\x08\x00\x1a\x00"
    )
    assert data == b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def test_aggregate_when_packed_goes_where_its_first_record_belongs() -> None:
    made = Aggregate(1000)
    made.add("one", b"1")
    made.add("two", b"2", "5")
    assert made.pack()[:2] == ("a", str(KEY_ONE))
    made = Aggregate(1000)
    made.add("one", b"1", "5")
    made.add("two", b"2")
    assert made.pack()[:2] == ("a", "5")


def test_aggregate_when_full_takes_nothing_and_stays_as_it_was() -> None:
    made = Aggregate(60)
    assert made.add("one", b"x" * 100)  # the first one always
    made = Aggregate(60)
    assert made.add("one", b"x" * 20)
    before = made.size_bytes
    assert not made.add("one", b"x" * 20)
    assert not made.add("two", b"", None)  # its key no longer fits
    assert not made.add("one", b"", "12345678901234567890")
    assert not made.add("one", b"", None, "an id")
    assert (made.size_bytes, made.count) == (before, 1)
    assert unpack(made.pack().data) == [UserRecord("one", None, b"x" * 20)]


def test_unique_ids_when_packed_come_back_and_others_are_left_alone() -> None:
    data = packed(("one", b"1", "8", "id-1"), ("one", b"2", "8", None), ("two", b"3", "9", "id-3"))
    found = unpack(data)
    assert found is not None
    assert [record.unique_id for record in found] == ["id-1", None, "id-3"]
    assert read_by_aws(data) == [("one", "8", b"1", 0), ("one", "8", b"2", 1), ("two", "9", b"3", 2)]


def test_tags_of_others_are_no_unique_ids() -> None:
    tag = b"\x22\x07\x0a\x02id\x12\x01x"
    record = b"\x08\x00\x1a\x00" + tag
    data = aggregate(b"\x0a\x03one\x1a" + bytes([len(record)]) + record)
    assert unpack(data) == [UserRecord("one", None, b"")]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.aggregate")), ids=lambda path: path.stem)
def test_samples_of_aws_kinesis_agg_are_read_as_it_reads_them(path: Path) -> None:
    data = path.read_bytes()
    found = unpack(data)
    assert found is not None
    assert [
        (each.partition_key, each.explicit_hash_key, each.data, each.sub_sequence_number) for each in found
    ] == read_by_aws(data)


def test_pack_when_aws_kinesis_agg_packs_the_same_writes_the_same_bytes() -> None:
    theirs = RecordAggregator(2**20)
    ours = Aggregate(2**20)
    for number in range(300):
        theirs.add_user_record(f"key-{number % 7}", b"data %d" % number)
        ours.add(f"key-{number % 7}", b"data %d" % number)
    assert ours.pack().data == theirs.clear_and_get().get_contents()[2]


PLAIN = {
    "empty": b"",
    "text": b"just text",
    "magic alone": MAGIC,
    "magic and 16 bytes": MAGIC + hashlib.md5(b"").digest(),
    "wrong digest": MAGIC + b"\x0a\x03one" + b"\0" * 16,
    "one byte cut": packed(("one", b"1", None, None))[:-1],
    "one byte more": packed(("one", b"1", None, None)) + b"\0",
    "no message": aggregate(b"\xff\xff\xff"),
    "a length beyond the end": aggregate(b"\x1a\x7f\x08\x00"),
    "a length of 2**63": aggregate(b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    "no data": aggregate(b"\x0a\x01k\x1a\x02\x08\x00"),
    "no partition key": aggregate(b"\x0a\x01k\x1a\x02\x1a\x00"),
    "a key index beyond the table": aggregate(b"\x0a\x01k\x1a\x04\x08\x01\x1a\x00"),
    "a key index of 2**64-1": aggregate(b"\x0a\x01k\x1a\x0d\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x00"),
    "an explicit index beyond the table": aggregate(b"\x0a\x01k\x12\x017\x1a\x06\x08\x00\x10\x01\x1a\x00"),
    "an explicit hash key that is no number": aggregate(b"\x0a\x01k\x12\x01x\x1a\x06\x08\x00\x10\x00\x1a\x00"),
    "an explicit hash key beyond the space": packed(("k", b"", "7", None), ("k", b"", str(HASH_KEY_MAX + 1), None)),
    "groups in groups": aggregate(b"\x2b" * 5000),
    "a tag without a key": aggregate(b"\x0a\x01k\x1a\x08\x08\x00\x1a\x00\x22\x02\x12\x00"),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_unpack_when_it_is_no_aggregate_then_it_is_a_plain_record(data: bytes) -> None:
    assert unpack(data) is None
    assert unpack(data, HashRange(0, 0)) is None
    assert user_records("key", data) == [UserRecord("key", None, data)]


def test_unpack_when_an_aggregate_is_empty_then_it_has_no_records() -> None:
    assert unpack(aggregate(b"\x0a\x01k")) == []


def test_unpack_when_a_key_is_no_utf8_then_it_is_read_as_java_does() -> None:
    found = unpack(aggregate(b"\x0a\x02k\xff\x1a\x04\x08\x00\x1a\x00"))
    assert found == [UserRecord("k\N{REPLACEMENT CHARACTER}", None, b"")]


@pytest.mark.parametrize(
    ("hash_range", "kept"),
    [
        (HashRange(0, HASH_KEY_MAX), True),
        (HashRange(min(KEY_ONE, KEY_TWO), max(KEY_ONE, KEY_TWO)), True),
        (HashRange(min(KEY_ONE, KEY_TWO) + 1, HASH_KEY_MAX), False),
        (HashRange(0, max(KEY_ONE, KEY_TWO) - 1), False),
    ],
)
def test_unpack_when_one_record_belongs_elsewhere_then_none_is_given(hash_range: HashRange, kept: bool) -> None:
    data = packed(("one", b"1", None, None), ("two", b"2", None, None))
    found = unpack(data, hash_range)
    assert found is not None
    assert len(found) == 2 * kept


def test_unpack_when_an_explicit_hash_key_decides_then_the_partition_key_does_not() -> None:
    data = packed(("one", b"1", "5", None))
    assert unpack(data, HashRange(5, 5)) == [UserRecord("one", "5", b"1")]
    assert unpack(data, HashRange(KEY_ONE, KEY_ONE)) == []


def test_unique_id_of_the_tag_is_a_promise() -> None:
    assert TAG_UNIQUE_ID == "penstock-id"


def test_protobuf_when_the_server_is_imported_is_not() -> None:
    code = "import sys, penstock.app, penstock.wire.aggregate; sys.exit('google.protobuf' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
