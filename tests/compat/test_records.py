"""Records through boto3: puts, iterators of all kinds, reads, and what they refuse."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ACCOUNT = "123456789012"
SHARD_0, SHARD_1 = "shardId-000000000000", "shardId-000000000001"


@pytest.fixture
def stream(kinesis: "KinesisClient") -> str:
    kinesis.create_stream(StreamName="a", ShardCount=2)
    return "a"


def test_put_record_goes_to_the_shard_of_its_key(kinesis: "KinesisClient", stream: str) -> None:
    for key in ("x", "y", "grün", "キー", "k" * 256):
        half = int.from_bytes(hashlib.md5(key.encode()).digest(), "big") >> 127
        assert kinesis.put_record(StreamName=stream, Data=b"d", PartitionKey=key)["ShardId"] == (SHARD_0, SHARD_1)[half]
    for hash_key, shard in ((0, SHARD_0), (2**127 - 1, SHARD_0), (2**127, SHARD_1), (2**128 - 1, SHARD_1)):
        put = kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="x", ExplicitHashKey=str(hash_key))
        assert put["ShardId"] == shard


def test_put_records_answers_in_order_and_reads_back_in_order(kinesis: "KinesisClient", stream: str) -> None:
    records = [{"Data": f"{n}".encode(), "PartitionKey": f"key-{n % 7}"} for n in range(500)]
    answer = kinesis.put_records(StreamName=stream, Records=records)  # type: ignore[arg-type]
    assert (answer["FailedRecordCount"], len(answer["Records"])) == (0, 500)
    for shard in (SHARD_0, SHARD_1):
        iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        page = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
        sent = [
            (put["SequenceNumber"], record["PartitionKey"], record["Data"])
            for record, put in zip(records, answer["Records"], strict=True)
            if put["ShardId"] == shard
        ]
        read = [(found["SequenceNumber"], found["PartitionKey"], found["Data"]) for found in page["Records"]]
        assert read == sent
        numbers = [int(found["SequenceNumber"]) for found in page["Records"]]
        assert numbers == sorted(set(numbers))
        assert {number.bit_length() for number in numbers} == {186}
        assert page["MillisBehindLatest"] == 0


def test_sequence_numbers_for_ordering_must_be_ones_we_issued(
    kinesis: "KinesisClient", refused: Refused, stream: str
) -> None:
    put: dict[str, Any] = {"StreamName": stream, "Data": b"", "PartitionKey": "x"}
    first = kinesis.put_record(**put)["SequenceNumber"]
    second = kinesis.put_record(**put, SequenceNumberForOrdering=first)["SequenceNumber"]
    assert int(second) > int(first)
    for foreign in ("0", str(int(first) + (1 << 160)), str(int(first) + (10**6 << 36)), str(int(first) & ~0xF)):
        code, message = refused(kinesis.put_record, **put, SequenceNumberForOrdering=foreign)
        assert code == "InvalidArgumentException"
        assert message.startswith("ExclusiveMinimumSequenceNumber ")
        assert message.endswith(f" used in PutRecord on stream a under account {ACCOUNT} is invalid.")


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"StreamName": "nope"}, "ResourceNotFoundException", f"Stream nope under account {ACCOUNT} not found."),
        ({"PartitionKey": ""}, "ValidationException", "1 validation error detected: Value '' at 'partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ({"PartitionKey": "k" * 257}, "ValidationException", "Member must have length less than or equal to 256"),
        ({"ExplicitHashKey": "-1"}, "ValidationException", "Value '-1' at 'explicitHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38})"),
        ({"ExplicitHashKey": str(2**128)}, "InvalidArgumentException", f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {2**128}"),
        ({"Data": bytes(2**20)}, "InvalidArgumentException", "exceeds the limit of 1048576 bytes"),
        ({"Data": bytes(10 * 2**20 + 1)}, "ValidationException", "Value 'java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]' at 'data' failed to satisfy constraint: Member must have length less than or equal to 10485760"),
        ({"DryRun": True}, "DryRunOperationException", ""),
    ],
)  # fmt: skip
def test_put_record_invalid_is_refused_and_writes_nothing(
    kinesis: "KinesisClient",
    refused: Refused,
    read_all: Callable[..., list[bytes]],
    stream: str,
    change: dict[str, Any],
    code: str,
    text: str,
) -> None:
    put = {"StreamName": stream, "Data": b"d", "PartitionKey": "x", **change}
    found = refused(kinesis.put_record, **put)
    assert found[0] == code
    assert text in found[1]
    entry = {name: value for name, value in put.items() if name not in ("StreamName", "DryRun")}
    good = {"Data": b"good", "PartitionKey": "x"}
    batch = {"StreamName": put["StreamName"], "Records": [good, entry], **({"DryRun": True} if "DryRun" in put else {})}
    assert refused(kinesis.put_records, **batch)[0] == code
    assert read_all(stream) + read_all(stream, SHARD_1) == []


def test_put_records_takes_500_records_and_10_mib(kinesis: "KinesisClient", refused: Refused, stream: str) -> None:
    one = {"Data": b"d", "PartitionKey": "x"}
    code, message = refused(kinesis.put_records, StreamName=stream, Records=[one] * 501)
    assert code == "ValidationException"
    assert "at 'records' failed to satisfy constraint: Member must have length less than or equal to 500" in message
    assert refused(kinesis.put_records, StreamName=stream, Records=[])[0] == "ValidationException"
    large = {"Data": bytes(2**20 - 1), "PartitionKey": "x"}
    assert kinesis.put_records(StreamName=stream, Records=[large] * 10)["FailedRecordCount"] == 0  # type: ignore[list-item]
    assert (
        refused(kinesis.put_records, StreamName=stream, Records=[large] * 10 + [one])[0] == "InvalidArgumentException"
    )


def test_iterators_of_every_kind_begin_where_they_say(
    kinesis: "KinesisClient", penstock: PenstockServer, read_all: Callable[..., list[bytes]]
) -> None:
    penstock.clock.stand()
    kinesis.create_stream(StreamName="a", ShardCount=1)
    start = kinesis.list_shards(StreamName="a")["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    numbers, times = [], []
    for n in range(4):
        times.append(penstock.clock.now_ms / 1000)
        numbers.append(kinesis.put_record(StreamName="a", Data=b"%d" % n, PartitionKey="k")["SequenceNumber"])
        penstock.clock.advance(seconds=10)
    everything = [b"0", b"1", b"2", b"3"]

    def read(kind: str, **arguments: object) -> list[bytes]:
        return read_all("a", ShardIteratorType=kind, **arguments)

    assert read("TRIM_HORIZON") == everything
    assert read("LATEST") == []
    assert read("AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2]) == everything[2:]
    assert read("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2]) == everything[3:]
    assert read("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[3]) == []
    assert read("AT_SEQUENCE_NUMBER", StartingSequenceNumber=start) == everything
    assert read("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=start) == everything
    assert read("AT_TIMESTAMP", Timestamp=times[1]) == everything[1:]
    assert read("AT_TIMESTAMP", Timestamp=times[1] + 5) == everything[2:]
    assert read("AT_TIMESTAMP", Timestamp=0) == everything
    assert read("AT_TIMESTAMP", Timestamp=penstock.clock.now_ms / 1000 - 1) == []
    penstock.clock.advance(hours=24, seconds=-25)
    assert read("AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[0]) == everything[2:]  # trimmed: the horizon


def test_latest_iterator_sees_what_comes_after_it(kinesis: "KinesisClient", stream: str) -> None:
    kinesis.put_record(StreamName=stream, Data=b"before", PartitionKey="x", ExplicitHashKey="0")
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_0, ShardIteratorType="LATEST")[
        "ShardIterator"
    ]
    kinesis.put_record(StreamName=stream, Data=b"after", PartitionKey="x", ExplicitHashKey="0")
    for _ in range(2):  # an iterator may be used again
        assert [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"after"]
    assert kinesis.get_records(ShardIterator=f'"{iterator}"')["Records"][0]["Data"] == b"after"


def _numbered(text: str) -> dict[str, str]:
    return {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": text}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"ShardId": "shardId-000000000005", "ShardIteratorType": "LATEST"}, "ResourceNotFoundException", f"Shard shardId-000000000005 in stream a under account {ACCOUNT} does not exist"),
        ({"ShardId": "x", "ShardIteratorType": "LATEST"}, "ResourceNotFoundException", f"Could not find shard x in stream a under account {ACCOUNT}."),
        ({"ShardIteratorType": "SOMEWHERE"}, "ValidationException", "Member must satisfy enum value set: [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP]"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}, "InvalidArgumentException", "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ({"ShardIteratorType": "LATEST", "StartingSequenceNumber": "5"}, "InvalidArgumentException", "Request specified LATEST and also a StartingSequenceNumber."),
        ({"ShardIteratorType": "AT_TIMESTAMP"}, "InvalidArgumentException", "Must specify Timestamp"),
        ({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 4e9}, "InvalidArgumentException", "can not be in the future"),
        (_numbered("5"), "InvalidArgumentException", "Invalid StartingSequenceNumber. It encodes shardId-000000000005, while it was used in a call to a shard with shardId-000000000000"),
        (_numbered("0"), "InvalidArgumentException", f"StartingSequenceNumber 21267647932558653966460912964485513216 used in GetShardIterator on shard shardId-000000000000 in stream a under account {ACCOUNT} is invalid because it did not come from this stream."),
        (_numbered(str(0x13BB2CC3D80000000000000000000000)), "InvalidArgumentException", f"StartingSequenceNumber 26227199374822427428162556223570313216 used in GetShardIterator on shard shardId-000000000000 in stream a under account {ACCOUNT} is invalid."),
        (_numbered(str(0x20000000000800000000000000000000000000000000002)), "InvalidArgumentException", "is invalid."),
        (_numbered("x"), "ValidationException", "Member must satisfy regular expression pattern: 0|([1-9]\\d{0,128})"),
    ],
)  # fmt: skip
def test_get_shard_iterator_invalid_is_refused(
    kinesis: "KinesisClient", refused: Refused, stream: str, arguments: dict[str, Any], code: str, text: str
) -> None:
    found = refused(kinesis.get_shard_iterator, **{"StreamName": stream, "ShardId": SHARD_0, **arguments})
    assert found[0] == code
    assert text in found[1]


def test_a_sequence_number_of_the_other_shard_or_the_future_is_refused(
    kinesis: "KinesisClient", refused: Refused, stream: str
) -> None:
    put = kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="x", ExplicitHashKey="0")["SequenceNumber"]
    asked = {"StreamName": stream, "ShardId": SHARD_1, **_numbered(put)}
    assert "It encodes shardId-000000000000" in refused(kinesis.get_shard_iterator, **asked)[1]
    ahead = {"StreamName": stream, "ShardId": SHARD_0, **_numbered(str(int(put) + (1 << 80)))}
    assert refused(kinesis.get_shard_iterator, **ahead)[1].endswith("is invalid.")


def test_iterators_expire_after_five_minutes(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused, stream: str
) -> None:
    penstock.clock.stand()
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_0, ShardIteratorType="LATEST")[
        "ShardIterator"
    ]
    penstock.clock.advance(minutes=4, seconds=50)
    following = kinesis.get_records(ShardIterator=iterator)["NextShardIterator"]
    penstock.clock.advance(seconds=10)
    code, message = refused(kinesis.get_records, ShardIterator=iterator)
    assert code == "ExpiredIteratorException"
    assert "which is further in the future than the tolerated delay of 300000 milliseconds." in message
    assert kinesis.get_records(ShardIterator=following)["Records"] == []


def test_foreign_iterators_are_refused(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused, stream: str
) -> None:
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_0, ShardIteratorType="LATEST")[
        "ShardIterator"
    ]
    invalid = ("InvalidArgumentException", "Invalid ShardIterator.")
    assert refused(kinesis.get_records, ShardIterator=("B" if iterator[0] == "A" else "A") + iterator[1:]) == invalid
    assert refused(kinesis.get_records, ShardIterator="hello") == invalid
    for other in ({"aws_access_key_id": "999999999999"}, {"region_name": "eu-west-1"}):
        assert refused(penstock.client(**other).get_records, ShardIterator=iterator) == invalid
    assert refused(kinesis.get_records, ShardIterator="x" * 513)[0] == "ValidationException"
    kinesis.create_stream(StreamName="other", ShardCount=1)
    wrong = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/other"
    assert refused(kinesis.get_records, ShardIterator=iterator, StreamARN=wrong)[0] == "InvalidArgumentException"


def test_an_iterator_outlives_its_stream_by_name(kinesis: "KinesisClient", refused: Refused, stream: str) -> None:
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_1, ShardIteratorType="LATEST")[
        "ShardIterator"
    ]
    kinesis.delete_stream(StreamName=stream)
    gone = ("ResourceNotFoundException", f"Shard {SHARD_1} in stream a under account {ACCOUNT} does not exist")
    assert refused(kinesis.get_records, ShardIterator=iterator) == gone
    kinesis.create_stream(StreamName=stream, ShardCount=2)
    kinesis.put_record(StreamName=stream, Data=b"new", PartitionKey="x", ExplicitHashKey=str(2**128 - 1))
    assert [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"new"]


def test_get_records_pages_by_limit_and_by_10_mib(kinesis: "KinesisClient", stream: str) -> None:
    put: Any = {"Data": bytes(1_000_000), "PartitionKey": "x", "ExplicitHashKey": "0"}
    for _ in range(2):
        kinesis.put_records(StreamName=stream, Records=[put] * 10)
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_0, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    sizes = []
    page: Any = {}
    for limit in (10_000, 3, 10_000):
        page = kinesis.get_records(ShardIterator=iterator, Limit=limit)
        sizes.append(len(page["Records"]))
        iterator = page["NextShardIterator"]
    assert sizes == [10, 3, 7]
    assert page["MillisBehindLatest"] == 0


def test_millis_behind_latest_is_the_age_of_what_was_read(
    kinesis: "KinesisClient", penstock: PenstockServer, stream: str
) -> None:
    penstock.clock.stand()
    for _ in range(2):
        kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="x", ExplicitHashKey="0")
        penstock.clock.advance(seconds=60)
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_0, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    page = kinesis.get_records(ShardIterator=iterator, Limit=1)
    assert 120_000 <= page["MillisBehindLatest"] < 180_000
    assert kinesis.get_records(ShardIterator=page["NextShardIterator"])["MillisBehindLatest"] == 0


def test_limits_aws_refuses_per_record_and_recovers() -> None:
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client(config=Config(retries={"total_max_attempts": 1}))
        kinesis.create_stream(StreamName="a", ShardCount=2)
        half = {"Data": bytes(512 * 1024 - 1), "PartitionKey": "x", "ExplicitHashKey": "0"}
        other = {"Data": b"small", "PartitionKey": "x", "ExplicitHashKey": str(2**128 - 1)}
        answer = kinesis.put_records(StreamName="a", Records=[half, half, half, other])
        assert answer["FailedRecordCount"] == 1
        assert answer["Records"][2] == {
            "ErrorCode": "ProvisionedThroughputExceededException",
            "ErrorMessage": f"Rate exceeded for shard {SHARD_0} in stream a under account {ACCOUNT}.",
        }
        server.clock.advance(seconds=1)
        assert kinesis.put_records(StreamName="a", Records=[half, half])["FailedRecordCount"] == 0
        small = {"Data": b"", "PartitionKey": "x", "ExplicitHashKey": str(2**128 - 1)}
        server.clock.advance(seconds=2)
        failed = [kinesis.put_records(StreamName="a", Records=[small] * 500)["FailedRecordCount"] for _ in range(3)]
        assert failed[0] == 0
        assert failed[2] > 0

        iterator = kinesis.get_shard_iterator(StreamName="a", ShardId=SHARD_1, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        _read_five_times(kinesis, iterator)
        with pytest.raises(ClientError, match=f"Rate exceeded for shard {SHARD_1}"):
            _read_five_times(kinesis, iterator)  # one more may have become free meanwhile
        server.clock.advance(seconds=1)
        kinesis.get_records(ShardIterator=iterator)


def _read_five_times(kinesis: Any, iterator: str) -> None:
    for _ in range(5):
        kinesis.get_records(ShardIterator=iterator, Limit=1)


def test_faults_are_suffered_until_cleared(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused, stream: str
) -> None:
    put: dict[str, Any] = {"StreamName": stream, "Data": b"", "PartitionKey": "x", "ExplicitHashKey": "0"}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD_0, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    penstock.faults.throttle(stream, SHARD_0)
    assert refused(kinesis.put_record, **put)[0] == "ProvisionedThroughputExceededException"
    assert refused(kinesis.get_records, ShardIterator=iterator)[0] == "ProvisionedThroughputExceededException"
    kinesis.put_record(**{**put, "ExplicitHashKey": str(2**128 - 1)})
    penstock.faults.clear()
    penstock.faults.fail_puts(stream, 0.5)
    record = {"Data": b"d", "PartitionKey": "x", "ExplicitHashKey": "0"}
    answer = kinesis.put_records(StreamName=stream, Records=[record] * 500)  # type: ignore[list-item]
    failed = [row for row in answer["Records"] if "ErrorCode" in row]
    assert 150 < len(failed) == answer["FailedRecordCount"] < 350
    assert failed[0] == {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure"}
    assert len(kinesis.get_records(ShardIterator=iterator)["Records"]) == 500 - len(failed)


@settings(max_examples=25)
@given(records=st.lists(st.tuples(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)), min_size=1, max_size=20))  # fmt: skip
def test_whatever_is_put_is_read(penstock_server: PenstockServer, records: list[tuple[bytes, str]]) -> None:
    penstock_server.reset()
    kinesis = penstock_server.client()
    kinesis.create_stream(StreamName="a", ShardCount=1)
    kinesis.put_records(StreamName="a", Records=[{"Data": data, "PartitionKey": key} for data, key in records])
    iterator = kinesis.get_shard_iterator(StreamName="a", ShardId=SHARD_0, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    found = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [(record["Data"], record["PartitionKey"]) for record in found] == records
