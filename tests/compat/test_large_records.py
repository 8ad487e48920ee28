"""Records of up to 10 MiB through boto3: one at a time, together, and at the limits.  CBOR is in tests/wire/test_large_cbor.py."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
MIB = 2**20
LARGEST = 10 * MIB - 1  # with a key of one byte


def pattern(size: int, seed: int) -> bytes:
    """Bytes that differ from place to place and from seed to seed."""
    block = bytes((seed + 7 * place) % 251 for place in range(251))
    return (block * (size // 251 + 1))[:size]


@pytest.fixture
def large(kinesis: "KinesisClient") -> str:
    """A stream of one shard that takes records of 10 MiB."""
    kinesis.create_stream(StreamName="a", ShardCount=1, MaxRecordSizeInKiB=10_240)
    return "a"


def test_a_record_of_10_mib_goes_through_json(
    kinesis: "KinesisClient", large: str, read_all: Callable[..., list[bytes]]
) -> None:
    one, other = pattern(LARGEST, 1), pattern(LARGEST, 2)
    kinesis.put_record(StreamName=large, Data=one, PartitionKey="k")
    answer = kinesis.put_records(StreamName=large, Records=[{"Data": other, "PartitionKey": "k"}])
    assert answer["FailedRecordCount"] == 0
    assert read_all(large) == [one, other]


def test_put_records_takes_10_mib_in_all_and_not_a_byte_more(
    kinesis: "KinesisClient", large: str, refused: Refused, read_all: Callable[..., list[bytes]]
) -> None:
    rows: list[Any] = [{"Data": pattern(2 * MIB - 1, seed), "PartitionKey": "k"} for seed in range(5)]
    assert kinesis.put_records(StreamName=large, Records=rows)["FailedRecordCount"] == 0
    assert read_all(large) == [row["Data"] for row in rows]
    rows[2]["PartitionKey"] = "kk"
    assert refused(kinesis.put_records, StreamName=large, Records=rows) == (
        "InvalidArgumentException",
        "Records size exceeds the limit of 10485760 bytes for one PutRecords request.",
    )


@pytest.mark.parametrize(("kib", "size"), [(1024, MIB), (2048, 2 * MIB), (10_240, 10 * MIB)])
def test_the_limit_of_a_stream_counts_data_and_key(
    kinesis: "KinesisClient", refused: Refused, kib: int, size: int
) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1, MaxRecordSizeInKiB=kib)
    most = pattern(size - 4, 0)
    kinesis.put_record(StreamName="a", Data=most, PartitionKey="\U0001f600")
    kinesis.put_records(StreamName="a", Records=[{"Data": most, "PartitionKey": "four"}])
    told = (
        "InvalidArgumentException",
        f"Record size of {size + 1} bytes (data and partition key) exceeds the limit of {size} bytes of stream a.",
    )
    over: Any = {"Data": most + b"x", "PartitionKey": "four"}
    assert refused(kinesis.put_record, StreamName="a", **over) == told
    assert refused(kinesis.put_records, StreamName="a", Records=[{"Data": b"", "PartitionKey": "k"}, over]) == told


def test_data_beyond_every_limit_is_refused_by_the_model(
    kinesis: "KinesisClient", large: str, refused: Refused
) -> None:
    code, message = refused(kinesis.put_record, StreamName=large, Data=bytes(10 * MIB + 1), PartitionKey="k")
    assert code == "ValidationException"
    assert message.endswith(
        "at 'data' failed to satisfy constraint: Member must have length less than or equal to 10485760"
    )


def test_a_large_record_is_a_debt_under_aws_limits() -> None:
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1, MaxRecordSizeInKiB=10_240)
        kinesis.put_record(StreamName="a", Data=bytes(LARGEST), PartitionKey="k")
        small: Any = {"StreamName": "a", "Records": [{"Data": b"x", "PartitionKey": "k"}]}
        server.clock.advance(seconds=9)
        assert kinesis.put_records(**small)["FailedRecordCount"] == 1
        server.clock.advance(seconds=2)
        assert kinesis.put_records(**small)["FailedRecordCount"] == 0


def test_lowering_the_limit_leaves_what_was_written_readable(
    kinesis: "KinesisClient", large: str, refused: Refused, read_all: Callable[..., list[bytes]]
) -> None:
    data = pattern(3 * MIB, 5)
    kinesis.put_record(StreamName=large, Data=data, PartitionKey="k")
    kinesis.update_max_record_size(StreamARN=ARN, MaxRecordSizeInKiB=1024)
    assert kinesis.describe_stream_summary(StreamName=large)["StreamDescriptionSummary"]["MaxRecordSizeInKiB"] == 1024
    assert refused(kinesis.put_record, StreamName=large, Data=data, PartitionKey="k")[0] == "InvalidArgumentException"
    assert read_all(large) == [data]
    for size in (1023, 10_241):
        code, _ = refused(kinesis.update_max_record_size, StreamARN=ARN, MaxRecordSizeInKiB=size)
        assert code == "ValidationException"
    assert (
        refused(kinesis.update_max_record_size, StreamARN=ARN[:-1] + "b", MaxRecordSizeInKiB=2048)[0]
        == "ResourceNotFoundException"
    )
