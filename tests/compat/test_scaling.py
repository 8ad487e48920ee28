"""On-demand streams and tagged ones scale by themselves, as a client and the traffic page see it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from penstock.testing import PenstockServer

MIB = 1 << 20


def open_shards(kinesis: Any, name: str) -> list[dict[str, Any]]:
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    return [shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]


def becomes(value: Callable[[], int], wanted: int) -> bool:
    """Whether a figure comes to be what is wanted while the server is asked again and again."""
    return any(value() == wanted for _ in range(500))


def to_next_minute(server: PenstockServer) -> None:
    server.clock.advance(seconds=60 - server.clock.now_ms % 60_000 / 1000)


def put_mib(kinesis: Any, name: str, count: int, hash_key: int) -> None:
    """Put so many MiB to one hash key."""
    record = {"Data": bytes(MIB - 1), "PartitionKey": "k", "ExplicitHashKey": str(hash_key)}
    for _ in range(count // 10):
        assert kinesis.put_records(StreamName=name, Records=[record] * 10)["FailedRecordCount"] == 0


def test_on_demand_when_a_shard_is_hot_for_a_minute_then_it_is_cut_and_after_quiet_days_merged_back(
    penstock: PenstockServer,
) -> None:
    kinesis = penstock.client()
    penstock.clock.stand()
    kinesis.create_stream(StreamName="orders", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert len(open_shards(kinesis, "orders")) == 4
    to_next_minute(penstock)
    put_mib(kinesis, "orders", 60, hash_key=7)
    penstock.clock.advance(minutes=1)
    assert becomes(lambda: len(open_shards(kinesis, "orders")), 5)
    children = [shard for shard in open_shards(kinesis, "orders") if "ParentShardId" in shard]
    assert [shard["ParentShardId"] for shard in children] == ["shardId-000000000000"] * 2
    assert [int(shard["HashKeyRange"]["StartingHashKey"]) for shard in children] == [0, 2**125]
    with urlopen(penstock.endpoint_url + "/_penstock/traffic?stream=orders") as answer:
        [told] = json.load(answer)["streams"]
    assert told["peak_in_bytes_per_s_30d"] == MIB
    assert sum(shard["open"] for shard in told["shards"]) == told["open_shards"] == 5
    penstock.clock.advance(hours=71)
    assert len(open_shards(kinesis, "orders")) == 5
    penstock.clock.advance(hours=2)
    assert becomes(lambda: len(open_shards(kinesis, "orders")), 4)


def test_provisioned_when_it_is_tagged_with_bounds_then_it_grows_to_the_lower_one(penstock: PenstockServer) -> None:
    kinesis = penstock.client()
    tags = {"penstock:autoscale-min": "3", "penstock:autoscale-max": "8", "penstock:autoscale-target": "60"}
    kinesis.create_stream(StreamName="orders", ShardCount=2)
    kinesis.create_stream(StreamName="plain", ShardCount=2)
    kinesis.add_tags_to_stream(StreamName="orders", Tags=tags)
    penstock.clock.advance(minutes=1)
    assert becomes(lambda: len(open_shards(kinesis, "orders")), 3)
    assert len(open_shards(kinesis, "plain")) == 2
