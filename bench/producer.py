"""`python -m bench.producer`: user records of 100 B from a producer through a server of ours, and what comes out is counted.

Theory.  A server is a process, each producer is another; what both use of the CPU is counted, because "on 2 cores" is a budget of CPU
seconds, and other processes are on the machine.  The peers are what a Python program would use instead: boto3 by itself, and boto3 with
aws_kinesis_agg.
Rule of this file: a rate counts only records that can be read back.
"""

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import boto3
import click
import uvloop
from aws_kinesis_agg.aggregator import RecordAggregator

from bench.processes import tree_cpu_s
from bench.servers import MEMORY, OPEN, Part, Running, penstock, running, snapshot
from penstock.clients.aws import Connection
from penstock.core.hashkeys import HASH_KEY_MAX, hash_key
from penstock.producer import AsyncProducer, Producer
from penstock.wire.aggregate import user_records

DATA_BYTES: Final = 100
KEYS: Final = 1000
STREAM: Final = "bench"
AGGREGATE_BYTES: Final = 51_200
REQUEST_RECORDS: Final = 500
REQUEST_BYTES: Final = 5_000_000
IN_HAND: Final = 100_000  # futures that a program holds
CONFIG: Final = {"RateLimit": 100_000, "MaxConnections": 4, "metrics_to": "nowhere"}  # a server without AWS's limits


def connection(url: str) -> Connection:
    """Where the server is."""
    return Connection(endpoint=url, region="us-east-1", access_key_id="test", secret_access_key="test")


Records = list[tuple[str, bytes]]


def records(count: int) -> Records:
    """What is put: keys in turn, random data."""
    pool = [os.urandom(DATA_BYTES) for _ in range(1000)]
    return [(f"key-{number % KEYS:04}", pool[number % 999]) for number in range(count)]


def by_asyncio(url: str, given: Records, **config: object) -> None:
    """AsyncProducer, on uvloop, as a program on asyncio would use it."""

    async def put() -> None:
        held: deque[asyncio.Future[Any]] = deque()
        async with AsyncProducer(STREAM, {**CONFIG, **config}, connection=connection(url)) as producer:
            for key, data in given:
                held.append(await producer.put(key, data))
                if len(held) > IN_HAND:
                    await held.popleft()
        assert all(future.result().successful for future in held)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(put())


def by_asyncio_many(url: str, given: Records) -> None:
    """AsyncProducer.put_many of 500."""

    async def put() -> None:
        held: deque[asyncio.Future[Any]] = deque()
        async with AsyncProducer(STREAM, CONFIG, connection=connection(url)) as producer:
            for batch in batches(given):
                held.append(await producer.put_many(batch))
                if len(held) > IN_HAND // REQUEST_RECORDS:
                    await held.popleft()
        assert all(result.successful for future in held for result in future.result())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(put())


def batches(given: Records) -> Iterator[Records]:
    """The same records, 500 at a time."""
    for at in range(0, len(given), REQUEST_RECORDS):
        yield given[at : at + REQUEST_RECORDS]


def by_threads_many(url: str, given: Records) -> None:
    """Producer.put_many of 500, from one thread."""
    with Producer(STREAM, CONFIG, connection=connection(url)) as producer:
        futures = [producer.put_many(batch) for batch in batches(given)]
    assert all(result.successful for future in futures for result in future.result())


def by_asyncio_idempotent(url: str, given: Records) -> None:
    """The same with a unique id for each record."""
    by_asyncio(url, given, idempotent=True)


def by_threads(url: str, given: Records) -> None:
    """Producer, from one thread."""
    with Producer(STREAM, CONFIG, connection=connection(url)) as producer:
        last = [producer.put(key, data) for key, data in given][-1]
    assert last.result().successful


def boto_client(url: str) -> Any:
    """boto3, as a program would make it."""
    return boto3.client(
        "kinesis", "us-east-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
    )


def by_boto3(url: str, given: Records) -> None:
    """boto3 alone: PutRecords of 500."""
    client, batch = boto_client(url), []
    for key, data in given:
        batch.append({"PartitionKey": key, "Data": data})
        if len(batch) == REQUEST_RECORDS:
            assert not client.put_records(StreamName=STREAM, Records=batch)["FailedRecordCount"]
            batch = []
    if batch:
        assert not client.put_records(StreamName=STREAM, Records=batch)["FailedRecordCount"]


def by_aws_kinesis_agg(url: str, given: Records) -> None:
    """boto3 and aws_kinesis_agg, one aggregator for each shard as its documentation advises."""
    client = boto_client(url)
    shards = len(client.list_shards(StreamName=STREAM)["Shards"])
    packers = [RecordAggregator(AGGREGATE_BYTES) for _ in range(shards)]
    batch: list[dict[str, Any]] = []

    def send(full: Any) -> None:
        key, _, data = full.get_contents()
        batch.append({"PartitionKey": key, "Data": data})
        if len(batch) * AGGREGATE_BYTES > REQUEST_BYTES:
            assert not client.put_records(StreamName=STREAM, Records=batch)["FailedRecordCount"]
            batch.clear()

    for key, data in given:
        full = packers[hash_key(key.encode()) * shards // (HASH_KEY_MAX + 1)].add_user_record(key, data)
        if full is not None:
            send(full)
    for packer in packers:
        if packer.get_num_user_records():
            send(packer.clear_and_get())
    if batch:
        assert not client.put_records(StreamName=STREAM, Records=batch)["FailedRecordCount"]


PRODUCERS: Final[dict[str, Callable[[str, Records], None]]] = {
    "AsyncProducer.put_many": by_asyncio_many,
    "Producer.put_many": by_threads_many,
    "AsyncProducer": by_asyncio,
    "AsyncProducer, idempotent": by_asyncio_idempotent,
    "Producer": by_threads,
    "boto3 and aws_kinesis_agg": by_aws_kinesis_agg,
    "boto3": by_boto3,
}
SHARE: Final = {"boto3 and aws_kinesis_agg": 4, "boto3": 10}  # slow ones get so much less to do


def readable(started: Running) -> int:
    """How many user records can be read."""
    client, found = boto_client(started.url), 0
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        place = {"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**place)["ShardIterator"]
        while (page := client.get_records(ShardIterator=iterator, Limit=10_000))["Records"]:
            found += sum(len(user_records(record["PartitionKey"], record["Data"])) for record in page["Records"])
            iterator = page["NextShardIterator"]
    return found


def one_round(name: str, count: int, engine: str, shards: int) -> dict[str, float]:
    """A new server, a producer in a process of its own, and what came of it."""
    part, named = (Part.VARIANT, OPEN) if engine == "local" else (Part.VARIANT, MEMORY)
    with snapshot() as source, running(penstock(source, named, part, "--no-tls", "--engine", engine)) as started:
        started.create_stream(STREAM, shards)
        before_s = tree_cpu_s(started.pid)
        command = [sys.executable, "-m", "bench.producer", "--as-producer", name, started.url, str(count)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        server_s = tree_cpu_s(started.pid) - before_s
        found = readable(started)
        assert found >= count, f"{found} of {count} records can be read"
    return {
        "records/s": count / told["wall_s"],
        "records per producer CPU s": count / told["cpu_s"],
        "server CPU s per M records": server_s / count * 1e6,
        "by CPU at most, on 2 cores": count / max(told["cpu_s"], server_s, (told["cpu_s"] + server_s) / 2),
    }


def as_producer(name: str, url: str, count: int) -> None:
    """Be the producer; tell the time that it took."""
    given = records(count)
    gc.freeze()  # what a program would not hold is nothing that its collector should look through
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    PRODUCERS[name](url, given)
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s}))


@click.command()
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--records", "count", type=click.IntRange(1000), default=500_000, show_default=True, help="In each round."
)
@click.option("--shards", type=click.IntRange(1, 1000), default=4, show_default=True)
@click.option("--engine", type=click.Choice(["local", "memory"]), default="local", show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(PRODUCERS)))
@click.option("--as-producer", "role", type=(str, str, int), hidden=True)
def main(
    rounds: int, count: int, shards: int, engine: str, only: tuple[str, ...], role: tuple[str, str, int] | None
) -> None:
    """Measure producers end to end, through a server of ours, with records of 100 B."""
    if role is not None:
        as_producer(*role)
        return
    names = [name for name in PRODUCERS if not only or name in only]
    print(f"{count:,} records of {DATA_BYTES} B, {shards} shards, engine {engine}, {rounds} rounds in turns")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; median (least .. greatest)")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(one_round(name, count // SHARE.get(name, 1), engine, shards))
    for name, measured in found.items():
        print(f"\n{name}")
        for what in measured[0]:
            values = [each[what] for each in measured]
            print(f"  {what:28} {statistics.median(values):>11,.1f}  ({min(values):,.1f} .. {max(values):,.1f})")


if __name__ == "__main__":
    main()
