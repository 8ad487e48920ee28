"""SubscribeToShard through boto3: starting positions, going on after a break, and ends of every kind."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
Position = dict[str, Any]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
SHARD_0 = "shardId-000000000000"


@pytest.fixture(autouse=True)
def stream(kinesis: "KinesisClient", penstock: PenstockServer) -> None:
    penstock.clock.stand()
    kinesis.create_stream(StreamName="a", ShardCount=1)


class Reader:
    """One subscription."""

    def __init__(self, kinesis: "KinesisClient", arn: str, position: Position, shard: str = SHARD_0) -> None:
        answer = kinesis.subscribe_to_shard(ConsumerARN=arn, ShardId=shard, StartingPosition=position)  # type: ignore[arg-type]
        self.stream = answer["EventStream"]
        self._events = iter(self.stream)

    def event(self) -> Any:
        """The next event."""
        return next(self._events)["SubscribeToShardEvent"]

    def data(self, count: int) -> list[bytes]:
        """The data of the next `count` records."""
        found: list[bytes] = []
        while len(found) < count:
            found += [record["Data"] for record in self.event()["Records"]]
        return found

    def rest(self) -> list[Any]:
        """Every event that is still to come."""
        return [event["SubscribeToShardEvent"] for event in self._events]


Subscribe = Callable[..., Reader]


@pytest.fixture
def subscribe(kinesis: "KinesisClient") -> Iterator[Subscribe]:
    """Begins subscriptions, and hangs up at the end of the test."""
    with ExitStack() as stack:

        def begin(arn: str, kind: str = "TRIM_HORIZON", *, shard: str = SHARD_0, **more: Any) -> Reader:
            reader = Reader(kinesis, arn, {"Type": kind, **more}, shard)
            stack.callback(reader.stream.close)
            return reader

        yield begin


def register(kinesis: "KinesisClient", name: str = "c") -> str:
    return kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName=name)["Consumer"]["ConsumerARN"]


def put(kinesis: "KinesisClient", *data: bytes) -> list[str]:
    return [kinesis.put_record(StreamName="a", Data=blob, PartitionKey="k")["SequenceNumber"] for blob in data]


def test_every_starting_position_begins_where_it_says(
    kinesis: "KinesisClient", penstock: PenstockServer, subscribe: Subscribe
) -> None:
    numbers = put(kinesis, b"0", b"1")
    penstock.clock.advance(seconds=10)
    moment = penstock.clock.now_ms / 1000
    numbers += put(kinesis, b"2", b"3")
    latest = subscribe(register(kinesis, "latest"), "LATEST")
    put(kinesis, b"4")
    for name, kind, more, first in (
        ("horizon", "TRIM_HORIZON", {}, 0),
        ("at", "AT_SEQUENCE_NUMBER", {"SequenceNumber": numbers[1]}, 1),
        ("after", "AFTER_SEQUENCE_NUMBER", {"SequenceNumber": numbers[1]}, 2),
        ("moment", "AT_TIMESTAMP", {"Timestamp": moment}, 2),
        ("before", "AT_TIMESTAMP", {"Timestamp": 0}, 0),
    ):
        found = subscribe(register(kinesis, name), kind, **more).data(5 - first)
        assert found == [str(number).encode() for number in range(first, 5)], name
    assert latest.data(1) == [b"4"]


@pytest.mark.parametrize(
    ("position", "code", "text"),
    [
        ({"Type": "AT_TIMESTAMP"}, "InvalidArgumentException", "Must specify Timestamp"),
        ({"Type": "LATEST", "Timestamp": 0}, "InvalidArgumentException", "Must specify Timestamp"),
        ({"Type": "AT_SEQUENCE_NUMBER"}, "InvalidArgumentException", "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ({"Type": "LATEST", "SequenceNumber": "0"}, "InvalidArgumentException", "Request specified LATEST and also a StartingSequenceNumber."),
        ({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1" * 56}, "InvalidArgumentException", "used in SubscribeToShard on shard"),
        ({"Type": "AT_TIMESTAMP", "Timestamp": 10**10}, "InvalidArgumentException", "in the future"),
        ({"Type": "WHEREVER"}, "ValidationException", "startingPosition.type"),
    ],
)  # fmt: skip
def test_bad_starting_positions_are_refused(
    kinesis: "KinesisClient", refused: Refused, position: Position, code: str, text: str
) -> None:
    call = {"ConsumerARN": register(kinesis), "ShardId": SHARD_0, "StartingPosition": position}
    found = refused(kinesis.subscribe_to_shard, **call)
    assert found[0] == code
    assert text in found[1]


def test_unknown_consumers_and_shards_are_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    latest = {"StartingPosition": {"Type": "LATEST"}}
    arn = register(kinesis)
    unknown = refused(kinesis.subscribe_to_shard, ConsumerARN=ARN + "/consumer/x:1", ShardId=SHARD_0, **latest)
    assert unknown[0] == "ResourceNotFoundException"
    for shard in ("shardId-000000000009", "nonsense"):
        found = refused(kinesis.subscribe_to_shard, ConsumerARN=arn, ShardId=shard, **latest)
        assert found[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("kind", ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
def test_going_on_from_the_continuation_number_loses_and_repeats_nothing(
    kinesis: "KinesisClient", penstock: PenstockServer, subscribe: Subscribe, kind: str
) -> None:
    arn = register(kinesis)
    reader = subscribe(arn, "LATEST")
    penstock.clock.advance(seconds=6)
    number = reader.event()["ContinuationSequenceNumber"]  # a heartbeat's, on an empty shard
    found: list[bytes] = []
    for turn in range(4):
        reader.stream.close()
        put(kinesis, *[f"{turn}-{number}".encode() for number in range(3)])
        penstock.clock.advance(seconds=5)
        reader = subscribe(arn, kind, SequenceNumber=number)
        while len(found) < 3 * (turn + 1):
            event = reader.event()
            found += [record["Data"] for record in event["Records"]]
            number = event["ContinuationSequenceNumber"]
    assert found == [f"{turn}-{number}".encode() for turn in range(4) for number in range(3)]


def test_a_continuation_number_is_a_place_for_iterators_too(
    kinesis: "KinesisClient", subscribe: Subscribe, refused: Refused
) -> None:
    put(kinesis, b"a")
    number = subscribe(register(kinesis)).event()["ContinuationSequenceNumber"]
    put(kinesis, b"b")
    where: dict[str, Any] = {"StreamName": "a", "ShardId": SHARD_0}
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        where["ShardIteratorType"] = kind
        iterator = kinesis.get_shard_iterator(**where, StartingSequenceNumber=number)["ShardIterator"]
        assert [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"b"]
    ahead = str(int(number) + (5 << 80))  # a place that the shard has not come to
    assert refused(kinesis.get_shard_iterator, **where, StartingSequenceNumber=ahead)[0] == "InvalidArgumentException"


def test_a_second_subscription_is_refused_and_from_five_seconds_on_takes_over(
    kinesis: "KinesisClient", penstock: PenstockServer, subscribe: Subscribe
) -> None:
    arn = register(kinesis)
    first = subscribe(arn)
    with pytest.raises(ClientError) as refusal:
        subscribe(arn)
    assert refusal.value.response["Error"]["Code"] == "ResourceInUseException"
    assert arn in refusal.value.response["Error"]["Message"]
    penstock.clock.advance(seconds=5)
    second = subscribe(arn, "LATEST")
    with pytest.raises(EventStreamError) as ending:
        first.rest()
    assert ending.value.response["Error"]["Code"] == "ResourceInUseException"
    put(kinesis, b"a")
    assert second.data(1) == [b"a"]


def test_a_subscription_lives_five_minutes(
    kinesis: "KinesisClient", penstock: PenstockServer, subscribe: Subscribe
) -> None:
    arn = register(kinesis)
    reader = subscribe(arn)
    penstock.clock.advance(minutes=4, seconds=55)
    put(kinesis, b"a")
    assert reader.data(1) == [b"a"]
    penstock.clock.advance(seconds=5)
    assert all(event["Records"] == [] for event in reader.rest())
    assert subscribe(arn).data(1) == [b"a"]


def test_deregistering_and_deleting_end_a_subscription(kinesis: "KinesisClient", subscribe: Subscribe) -> None:
    arn = register(kinesis)
    reader, other = subscribe(arn), subscribe(register(kinesis, "other"))
    kinesis.deregister_stream_consumer(ConsumerARN=arn)
    with pytest.raises(EventStreamError) as ending:
        reader.rest()
    assert ending.value.response["Error"]["Code"] == "ResourceNotFoundException"
    put(kinesis, b"a")
    assert other.data(1) == [b"a"]
    kinesis.delete_stream(StreamName="a", EnforceConsumerDeletion=True)
    with pytest.raises(EventStreamError) as ending:
        other.rest()
    assert ending.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_the_end_of_a_shard_names_its_children_and_they_go_on(kinesis: "KinesisClient", subscribe: Subscribe) -> None:
    put(kinesis, b"before")
    caught_up = subscribe(register(kinesis, "early"), "LATEST")
    kinesis.split_shard(StreamName="a", ShardToSplit=SHARD_0, NewStartingHashKey=str(2**127))
    for reader in (caught_up, subscribe(register(kinesis, "late"))):
        *events, last = reader.rest()
        assert all("ChildShards" not in event for event in events)
        assert "ContinuationSequenceNumber" not in last
        assert [child["ShardId"] for child in last["ChildShards"]] == ["shardId-000000000001", "shardId-000000000002"]
        assert [child["ParentShards"] for child in last["ChildShards"]] == [[SHARD_0]] * 2
        assert last["ChildShards"][1]["HashKeyRange"]["StartingHashKey"] == str(2**127)
    child = kinesis.put_record(StreamName="a", Data=b"after", PartitionKey="k")["ShardId"]
    assert subscribe(register(kinesis, "child"), shard=child).data(1) == [b"after"]


def test_records_as_large_as_they_may_be_are_pushed(kinesis: "KinesisClient", subscribe: Subscribe) -> None:
    kinesis.update_max_record_size(StreamARN=ARN, MaxRecordSizeInKiB=10240)
    big = bytes(10240 * 1024 - 1)
    reader = subscribe(register(kinesis), "LATEST")
    put(kinesis, b"a", big, b"b")
    assert reader.data(3) == [b"a", big, b"b"]


def test_many_subscribers_get_everything_in_order(kinesis: "KinesisClient", subscribe: Subscribe) -> None:
    readers = [subscribe(register(kinesis, f"c{number}"), "LATEST") for number in range(5)]
    sent = [f"{number}".encode() for number in range(300)]
    writer = threading.Thread(target=put, args=(kinesis, *sent))
    writer.start()
    try:
        for reader in readers:
            assert reader.data(300) == sent
    finally:
        writer.join()


def test_a_reader_that_stalls_hurts_nobody_and_gets_everything_later(
    kinesis: "KinesisClient", subscribe: Subscribe
) -> None:
    stalled, reader = (
        subscribe(register(kinesis, "stalled"), "LATEST"),
        subscribe(register(kinesis, "reader"), "LATEST"),
    )
    blobs = [bytes([number]) * (1024 * 1000) for number in range(40)]
    for blob in blobs:
        put(kinesis, blob)
        assert reader.data(1) == [blob]
    assert stalled.data(len(blobs)) == blobs
