"""Delivery streams that read a Kinesis stream, and partitions."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from delivery_world import DeliveryWorld, data_of
from streams_world import CALLER, run, turns

from penstock.core.errors import ServiceError
from penstock.services.firehose.entries import Entry
from penstock.services.firehose.ops.stream import CreateDeliveryStreamRequest, create_delivery_stream
from penstock.services.firehose.processing.api import Processed
from penstock.services.streams.ops.record import PutRecordsRequest, put_records
from penstock.services.streams.ops.reshard import SplitShardRequest, split_shard
from penstock.services.streams.ops.stream import (
    CreateStreamRequest,
    DeleteStreamRequest,
    create_stream,
    delete_stream,
)
from penstock.wire.aggregate import Aggregate

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
ROLE = "arn:aws:iam::123456789012:role/firehose"
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 60}


async def reading(world: DeliveryWorld, shards: int = 2) -> None:
    """A stream `s`, and a delivery stream `d` that reads it."""
    await world.start()
    await create_stream(world.streams, CALLER, CreateStreamRequest(stream_name="s", shard_count=shards))
    await put(world, b"before\n")
    source: dict[str, object] = {"KinesisStreamARN": ARN, "RoleARN": ROLE}
    await create_delivery_stream(
        world.firehose,
        CALLER,
        CreateDeliveryStreamRequest(
            delivery_stream_name="d",
            delivery_stream_type="KinesisStreamAsSource",
            kinesis_stream_source_configuration=source,
            extended_s3_destination_configuration={
                "RoleARN": ROLE,
                "BucketARN": "arn:aws:s3:::lake",
                "BufferingHints": HINTS,
            },
        ),
    )
    await turns(30)


async def put(world: DeliveryWorld, *data: bytes) -> None:
    """Put records into the stream, each under a key of its own."""
    keys = [f"key {number}" for number in range(len(data))]
    request = PutRecordsRequest(
        stream_name="s", data=list(data), partition_keys=list(keys), explicit_hash_keys=[None] * len(data)
    )
    await put_records(world.streams, CALLER, request)
    await turns(30)


def lines(*numbers: int) -> list[bytes]:
    return [b"%d\n" % number for number in numbers]


def test_source_when_a_delivery_stream_is_made_then_it_is_read_from_its_latest_records_on() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world)
        await put(world, *lines(*range(20)))
        await world.clock.advance(61_000)
        assert sorted(data_of(world.objects())) == sorted(b"%d" % number for number in range(20))
        await world.clock.advance(11_000)
        assert world.told.metrics["DataReadFromKinesisStream.Records"] == 20
        stream = world.streams.directory.find(CALLER.account, CALLER.region, "s")
        assert stream is not None
        assert sum(shard.tally.gets.records for shard in world.streams.traffic.of(stream)) == 20
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


def test_source_when_it_is_split_and_the_server_stops_then_every_record_is_delivered() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world, 1)
        await put(world, *lines(*range(10)))
        split = SplitShardRequest(
            stream_name="s", shard_to_split="shardId-000000000000", new_starting_hash_key=str(2**127)
        )
        await split_shard(world.streams, CALLER, split)
        await turns(50)
        await put(world, *lines(*range(10, 20)))
        await world.stop()
        await world.start()
        await turns(50)
        await put(world, *lines(*range(20, 30)))
        await world.clock.advance(61_000)
        await turns(50)
        await world.clock.advance(61_000)
        assert {int(line) for line in data_of(world.objects())} == set(range(30))
        assert await world.unaccounted() == 0
        await world.stop()
        await world.start()
        await world.clock.advance(61_000)
        assert len(list(data_of(world.objects()))) == 30
        await world.stop()

    run(story())


def test_source_when_records_are_aggregates_of_kpl_then_they_are_opened() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world, 1)
        aggregate = Aggregate(50_000)
        for number in range(5):
            assert aggregate.add(f"k{number}", b"%d\n" % number)
        await put(world, b"plain\n", aggregate.pack().data, b"\xf3\x89\x9a\xc2 no aggregate\n")
        await world.clock.advance(61_000)
        found = b"".join(world.objects().values())
        assert found == b"plain\n0\n1\n2\n3\n4\n\xf3\x89\x9a\xc2 no aggregate\n"
        await world.stop()

    run(story())


def test_source_when_it_is_deleted_then_the_delivery_stream_is_at_rest_and_another_stream_is_not_taken_for_it() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world, 1)
        await delete_stream(world.streams, CALLER, DeleteStreamRequest(stream_name="s"))
        await turns(50)
        await create_stream(world.streams, CALLER, CreateStreamRequest(stream_name="s", shard_count=1))
        await put(world, b"of another stream\n")
        await world.clock.advance(120_000)
        await world.stop()
        await world.start()
        await world.clock.advance(120_000)
        assert world.objects() == {}
        assert (await world.status()).progress is None
        await world.stop()

    run(story())


def test_source_when_it_is_a_kinesis_stream_then_direct_puts_are_refused() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world)
        with pytest.raises(ServiceError, match="is not permitted on KinesisStreamAsSource delivery stream type"):
            await world.put(b"x")
        await world.stop()

    run(story())


def test_metrics_when_a_stream_is_read_then_they_have_awss_names_and_nothing_throttles() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world)
        await put(world, b"a\n", b"bc\n")
        await world.clock.advance(11_000)
        told = world.told.metrics
        assert (told["DataReadFromKinesisStream.Records"], told["DataReadFromKinesisStream.Bytes"]) == (2, 5)
        throttled = ("ThrottledGetRecords", "ThrottledGetShardIterator", "ThrottledDescribeStream")
        assert [told[name] for name in throttled] == [0, 0, 0]
        assert "KinesisMillisBehindLatest" in told
        await world.stop()

    run(story())


def test_source_when_its_key_is_refused_then_that_is_told_and_reading_goes_on_when_it_is_not() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await reading(world)
        disabled = ServiceError("KMSDisabledException", "the key is disabled")
        with patch.object(world.streams.reader, "scan", side_effect=disabled):
            await put(world, b"a\n")
            await world.clock.advance(20_000)
            assert world.told.metrics["KMSKeyDisabled"] > 1
            error = (await world.progress()).errors[-1]
            assert (error.stage, error.code) == ("source", "KMSDisabledException")
            assert error.message.endswith("cannot be read: KMSDisabledException: the key is disabled")
        await world.clock.advance(63_000)
        assert list(data_of(world.objects())) == [b"a"]
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


class KeysFromData:
    """A step that gives each record `data` up to its first comma as partition key `c`."""

    async def process(self, entries: Sequence[Entry]) -> Processed:
        from msgspec.structs import replace

        kept = []
        for entry in entries:
            value = entry.data.partition(b",")[0].decode()
            kept.append(replace(entry, partition_keys={"c": value} if value else {}))
        return Processed(kept, [], 0)


PARTITIONED: dict[str, Any] = {
    "Prefix": "c=!{partitionKeyFromQuery:c}/!{timestamp:yyyy}/",
    "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/",
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
    "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "MetadataExtraction", "Parameters": []}]},
}


def test_partitions_when_records_have_keys_then_each_has_its_objects() -> None:
    async def story() -> None:
        world = DeliveryWorld(steps=[KeysFromData()])
        await world.start()
        await world.create(**PARTITIONED)
        await world.put(b"x,1\n", b"y,2\n", b"x,3\n", b",4\n")
        await world.clock.advance(1_000)
        await world.clock.advance(61_000)
        assert list(data_of(world.objects("c=x/2023/"))) == [b"x,1", b"x,3"]
        assert list(data_of(world.objects("c=y/2023/"))) == [b"y,2"]
        [error] = world.errors("bad/processing-failed/")
        assert error["rawData"] == "LDQK"
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


def test_partitions_when_500_are_active_then_records_of_others_go_to_the_error_prefix() -> None:
    async def story() -> None:
        world = DeliveryWorld(steps=[KeysFromData()])
        await world.start()
        await world.create(**PARTITIONED)
        await world.put(*[b"%d,\n" % number for number in range(500)])
        await world.clock.advance(1_000)
        await world.put(b"0,again\n", b"one more,\n")
        await world.clock.advance(1_000)
        await world.clock.advance(130_000)
        assert len(world.objects("c=")) == 500
        assert list(data_of(world.objects("c=0/"))) == [b"0,", b"0,again"]
        [error] = world.errors("bad/processing-failed/")
        assert "Limit" in error["errorCode"]
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())
