"""Writers that never stop while a stream goes from 4 to 64 to 3 shards: every acknowledged record is read once, in order per key."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import pytest

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

WRITERS: Final = 16
KEYS: Final = 8  # of each writer
COUNTS: Final = (8, 16, 32, 64, 32, 16, 8, 4, 3)
ROUNDS_BETWEEN: Final = 2  # rounds of each writer between two changes of the shard count, at least


class Feeder:
    """Writers, each with its own keys and one request in flight, so that the order of its records per key is known."""

    def __init__(self, make_client: Callable[[], "KinesisClient"]) -> None:
        self._make_client = make_client
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self.acknowledged: dict[str, int] = defaultdict(int)  # records by key; the n-th carries the number n
        self.rounds = [0] * WRITERS
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> "Feeder":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_rounds(self, count: int) -> None:
        """Return when every writer has made `count` rounds more."""
        with self._moved:
            goal = [done + count for done in self.rounds]
            assert self._moved.wait_for(
                lambda: all(done >= wanted for done, wanted in zip(self.rounds, goal, strict=True)), timeout=60
            )

    def _write(self, number: int) -> None:
        client = self._make_client()
        keys = [f"writer-{number}-key-{index}" for index in range(KEYS)]
        while not self._stop.is_set():
            entries = [(key, self.acknowledged[key] + step) for step in range(3) for key in keys]
            answer = client.put_records(
                StreamName="load",
                Records=[{"Data": str(count).encode(), "PartitionKey": key} for key, count in entries],
            )
            assert answer["FailedRecordCount"] == 0, answer
            for key in keys:
                self.acknowledged[key] += 3
            with self._moved:
                self.rounds[number] += 1
                self._moved.notify_all()


def records_of(client: "KinesisClient", shard: str) -> Iterator[tuple[str, int, int]]:
    """Key, number and sequence number of each record of a closed or quiet shard."""
    iterator: str | None = client.get_shard_iterator(
        StreamName="load", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    while iterator is not None:
        page = client.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            yield record["PartitionKey"], int(record["Data"]), int(record["SequenceNumber"])
        iterator = page.get("NextShardIterator")
        if not page["Records"] and not page["MillisBehindLatest"]:
            return


def parents_first(client: "KinesisClient") -> list[str]:
    """The stream's shards, each after its parents."""
    shards = {
        shard["ShardId"]: shard
        for page in client.get_paginator("list_shards").paginate(StreamName="load")
        for shard in page["Shards"]
    }
    for shard in shards.values():
        for parent in (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")):
            assert parent is None or parent < shard["ShardId"], "children are numbered after their parents"
    return sorted(shards)


@pytest.mark.parametrize("engine", ["memory", "local"])
def test_writers_when_the_stream_is_resharded_under_them_then_each_record_is_read_once_and_in_order(
    engine: str,
) -> None:
    with PenstockServer(engine=engine) as server:
        client = server.client()
        client.create_stream(StreamName="load", ShardCount=4)
        with Feeder(server.client) as feeder:
            for count in COUNTS:
                feeder.wait_for_rounds(ROUNDS_BETWEEN)
                client.update_shard_count(StreamName="load", TargetShardCount=count, ScalingType="UNIFORM_SCALING")
            feeder.wait_for_rounds(ROUNDS_BETWEEN)
        assert client.describe_stream_summary(StreamName="load")["StreamDescriptionSummary"]["OpenShardCount"] == 3
        read: dict[str, list[int]] = defaultdict(list)
        last_number: dict[str, int] = {}
        for shard in parents_first(client):
            for key, number, sequence_number in records_of(client, shard):
                read[key].append(number)
                assert sequence_number > last_number.get(key, 0), "sequence numbers rise along a key's lineage"
                last_number[key] = sequence_number
        assert {key: list(range(count)) for key, count in feeder.acknowledged.items()} == read
