"""The metrics of streams: what a client does on them is told in namespace AWS/Kinesis, by stream, shard and consumer."""

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def figures(server: PenstockServer, *others: str, after_s: float = 10) -> dict[str, Any]:
    """Count, sum, minimum and maximum of each metric with just these dimensions' values, once they were measured."""
    server.clock.advance(seconds=after_s)

    async def read() -> dict[str, Any]:
        app = server._running
        store = app._services.metrics.store
        minute = app.clock.now_ms() // 60_000
        found = {}
        for series in list(store.all()):
            values = {value for _, value in series.metric.dimensions}
            if series.metric.namespace == "AWS/Kinesis" and values == {"orders", *others}:
                [data] = (await store.read([series], minute - 5, minute + 1)).values()
                found[series.metric.name] = (data.count, data.total, data.low, data.high)
        return found

    return server._call(read())


@pytest.fixture
def orders(kinesis: "KinesisClient", penstock: PenstockServer) -> "KinesisClient":
    penstock.clock.stand()
    penstock.clock.advance(seconds=60 - penstock.clock.now_ms % 60_000 / 1000)  # so that all is told of one minute
    kinesis.create_stream(StreamName="orders", ShardCount=2)
    return kinesis


def iterator(kinesis: "KinesisClient", shard: str = "shardId-000000000000") -> str:
    found = kinesis.get_shard_iterator(StreamName="orders", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    return found["ShardIterator"]


def entries(*data: bytes, hash_key: str = "0") -> list[Any]:
    return [{"Data": each, "PartitionKey": "kk", "ExplicitHashKey": hash_key} for each in data]


def test_stream_when_records_are_put_one_by_one_then_they_are_told(penstock: PenstockServer, orders: Any) -> None:
    for data in (b"a" * 8, b"b" * 98):
        orders.put_record(StreamName="orders", Data=data, PartitionKey="kk")
    found = figures(penstock)
    assert found["IncomingRecords"] == (2, 2, 1, 1)
    assert found["IncomingBytes"] == found["PutRecord.Bytes"] == (2, 110, 10, 100)
    assert found["PutRecord.Success"] == (2, 2, 1, 1)
    assert found["WriteProvisionedThroughputExceeded"] == (2, 0, 0, 0)
    assert found["PutRecord.Latency"][0] == 2
    assert not {name for name in found if name.startswith(("PutRecords.", "GetRecords.", "Outgoing"))}


def test_stream_when_records_are_put_together_then_they_are_told(penstock: PenstockServer, orders: Any) -> None:
    orders.put_records(StreamName="orders", Records=[*entries(b"1", b"2"), *entries(b"3", hash_key=str(2**127))])
    orders.put_records(StreamName="orders", Records=entries(b"4"))
    found = figures(penstock)
    assert found["PutRecords.TotalRecords"] == found["PutRecords.SuccessfulRecords"] == (2, 4, 1, 3)
    assert found["PutRecords.Success"] == (2, 2, 1, 1)
    assert found["PutRecords.FailedRecords"] == found["PutRecords.ThrottledRecords"] == (2, 0, 0, 0)
    assert found["IncomingRecords"] == (3, 4, 1, 2)
    assert found["PutRecords.Bytes"][1] == 12


def test_stream_when_writes_are_throttled_then_they_are_told(penstock: PenstockServer, orders: Any) -> None:
    penstock.faults.throttle("orders", "shardId-000000000000")
    orders.put_records(StreamName="orders", Records=[*entries(b"1"), *entries(b"3", hash_key=str(2**127))])
    orders.put_records(StreamName="orders", Records=entries(b"1", b"2"))
    with pytest.raises(ClientError):
        orders.put_record(StreamName="orders", Data=b"", PartitionKey="k", ExplicitHashKey="0")
    found = figures(penstock)
    assert found["PutRecords.ThrottledRecords"][1] == 3
    assert found["PutRecords.SuccessfulRecords"] == (2, 1, 0, 1)
    assert found["PutRecords.Success"] == (2, 1, 0, 1)
    assert found["PutRecord.Success"] == (1, 0, 0, 0)
    assert found["WriteProvisionedThroughputExceeded"][1] == 4


def test_stream_when_it_is_read_then_it_is_told(penstock: PenstockServer, orders: Any) -> None:
    orders.put_records(StreamName="orders", Records=entries(b"1", b"2"))
    orders.get_records(ShardIterator=iterator(orders), Limit=1)
    orders.get_records(ShardIterator=iterator(orders))
    penstock.faults.throttle("orders")
    with pytest.raises(ClientError):
        orders.get_records(ShardIterator=iterator(orders))
    found = figures(penstock)
    assert found["GetRecords.Records"] == found["OutgoingRecords"] == (2, 3, 1, 2)
    assert found["GetRecords.Bytes"] == (2, 9, 3, 6)
    assert found["GetRecords.Success"] == (3, 2, 0, 1)
    assert found["ReadProvisionedThroughputExceeded"][1] == 1
    assert found["GetRecords.IteratorAgeMilliseconds"][0] == 2


def test_shards_when_enhanced_monitoring_is_on_then_they_have_metrics_of_their_own(
    penstock: PenstockServer, orders: Any
) -> None:
    orders.put_records(StreamName="orders", Records=entries(b"1"))
    assert figures(penstock, "shardId-000000000000") == {}
    orders.enable_enhanced_monitoring(
        StreamName="orders", ShardLevelMetrics=["IncomingRecords", "IteratorAgeMilliseconds"]
    )
    orders.put_records(StreamName="orders", Records=entries(b"1", b"2"))
    orders.get_records(ShardIterator=iterator(orders))
    found = figures(penstock, "shardId-000000000000")
    assert set(found) == {"IncomingRecords", "IteratorAgeMilliseconds"}
    assert found["IncomingRecords"] == (1, 2, 2, 2)
    assert figures(penstock, "shardId-000000000001") == {}


def test_consumers_when_they_are_pushed_records_then_it_is_told(penstock: PenstockServer, orders: Any) -> None:
    arn = orders.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
    consumer = orders.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    orders.put_records(StreamName="orders", Records=entries(b"1", b"2"))
    place = {"ShardId": "shardId-000000000000", "StartingPosition": {"Type": "TRIM_HORIZON"}}
    pushed = orders.subscribe_to_shard(ConsumerARN=consumer, **place)["EventStream"]
    assert next(iter(pushed))["SubscribeToShardEvent"]["Records"]
    with pytest.raises(ClientError):
        orders.subscribe_to_shard(ConsumerARN=consumer, **place)
    pushed.close()
    found = figures(penstock, "c")
    assert found["SubscribeToShardEvent.Records"] == (1, 2, 2, 2)
    assert found["SubscribeToShardEvent.Bytes"] == (1, 6, 6, 6)
    assert found["SubscribeToShard.Success"] == (2, 1, 0, 1)
    assert found["SubscribeToShard.RateExceeded"] == (2, 1, 0, 1)
    assert figures(penstock)["OutgoingRecords"] == (1, 2, 2, 2)
