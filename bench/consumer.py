"""The consumer, measured with the server on the same machine: how many user records a second, how soon after a kill, how soon at first.

    python -m bench.consumer [--seconds 10] [--only rate|hand-over|first]

Rates count the CPU seconds of consumer and server beside the clock, because other work disturbs both.  The stream is filled before the
clock runs: 100-byte user records in aggregates of 51,200 bytes, as KPL packs them.
"""

import argparse
import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import msgspec
import psutil
from botocore.config import Config

from bench.processes import tree_cpu_s
from penstock.consumer import Connection, Consumer, Pace, Record, Rhythm
from penstock.consumer.consumer import open_store
from penstock.wire.aggregate import Aggregate

STREAM: Final = "orders"
SHARDS: Final = 4
USER_BYTES: Final = 100
AGGREGATE_BYTES: Final = 51_200
FILL_AGGREGATES: Final = 6_000  # about 2.5 million user records
FAILOVER_MS: Final = 10_000
START_S: Final = 30


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """A server in a process; its endpoint and pid."""
    command = [sys.executable, "-m", "penstock", "serve", "--host", "127.0.0.1", "--port", "0", "--no-tls"]
    child = subprocess.Popen([*command, "--data-dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + START_S
        while not (folder / "endpoint.json").exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        yield msgspec.json.decode((folder / "endpoint.json").read_bytes())["http"], child.pid
    finally:
        child.terminate()
        child.wait()


def client(endpoint: str) -> Any:
    """A boto3 client."""
    return boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def connection(endpoint: str) -> Connection:
    """The consumer's connection."""
    return Connection(endpoint=endpoint, region="us-east-1", access_key_id="test", secret_access_key="test")


def make_stream(kinesis: Any, shards: int) -> None:
    """A stream that is there when this returns."""
    kinesis.create_stream(StreamName=STREAM, ShardCount=shards)
    while kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        time.sleep(0.02)


def fill(kinesis: Any) -> int:
    """Aggregates whose records belong to their shards; how many user records they hold."""
    shards = kinesis.list_shards(StreamName=STREAM)["Shards"]
    aggregates = []
    for shard in shards:
        start = str(int(shard["HashKeyRange"]["StartingHashKey"]))
        aggregate = Aggregate(AGGREGATE_BYTES)
        number = 0
        while aggregate.add(f"key-{number % 100}", os.urandom(USER_BYTES), start):
            number += 1
        aggregates.append((aggregate.pack(), aggregate.count))
    total = 0
    for first in range(0, FILL_AGGREGATES, 100):
        batch = [aggregates[place % len(aggregates)] for place in range(first, first + 100)]
        entries = [
            {"Data": packed.data, "PartitionKey": packed.partition_key, "ExplicitHashKey": packed.explicit_hash_key}
            for packed, _ in batch
        ]
        assert kinesis.put_records(StreamName=STREAM, Records=entries)["FailedRecordCount"] == 0
        total += sum(count for _, count in batch)
    return total


def rate(endpoint: str, server_pid: int, folder: Path, total: int, fan_out: str | None) -> str:
    """Read the whole stream with one worker."""
    seen = 0

    async def work() -> tuple[float, float]:
        nonlocal seen
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def process(records: list[Record]) -> None:
            nonlocal seen
            seen += len(records)
            if seen >= total and not done.done():
                done.set_result(None)

        name = fan_out or "polling"
        consumer = Consumer(
            stream=STREAM,
            application=name,
            processor=process,
            connection=connection(endpoint),
            store=open_store(str(folder / f"{name}.db"), name, connection(endpoint)),
            fan_out=fan_out,
        )
        async with consumer:  # the clock runs while leases are made and taken
            began, cpu = time.perf_counter(), time.process_time() + tree_cpu_s(server_pid)
            await asyncio.wait_for(done, 120)
            return time.perf_counter() - began, time.process_time() + tree_cpu_s(server_pid) - cpu

    elapsed_s, cpu_s = asyncio.run(work())
    return (
        f"{'fan-out' if fan_out else 'polling':8} {total / elapsed_s:>10,.0f} user records/s;"
        f" {total / cpu_s:>9,.0f} a CPU second of consumer and server"
    )


WORKER: Final = """
import sys, time, logging
from penstock.consumer import Connection, Consumer, Pace, Rhythm
from penstock.consumer.consumer import open_store
endpoint, where, path, failover_ms = sys.argv[1:]
connection = Connection(endpoint=endpoint, region="us-east-1", access_key_id="test", secret_access_key="test")
async def process(records):
    with open(path, "a") as told:
        told.writelines(f"{time.time():.3f} {record.partition_key}\\n" for record in records)
Consumer(stream="orders", application="handover", processor=process, connection=connection,
         store=open_store(where, "handover", connection), rhythm=Rhythm(failover_ms=int(failover_ms)), pace=Pace(idle_ms=100)).run()
"""


def hand_over(endpoint: str, folder: Path, where: str) -> str:
    """Kill one of two workers while records come; how long each key of its shards was silent."""
    kinesis = client(endpoint)
    paths = [folder / f"{where.rpartition('/')[2]}-{name}" for name in "ab"]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, endpoint, where, str(path), str(FAILOVER_MS)]) for path in paths
    ]
    entries = [{"Data": b"x", "PartitionKey": f"key-{number}"} for number in range(40)]

    def told(path: Path) -> list[tuple[float, str]]:
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(at), key) for at, _, key in (line.partition(" ") for line in lines)]

    def put_until(truth: Any, limit_s: float) -> None:
        until_s = time.monotonic() + limit_s
        while not truth() and time.monotonic() < until_s:
            kinesis.put_records(StreamName=STREAM, Records=entries)
            time.sleep(0.1)

    put_until(lambda: all(told(path) for path in paths), 30)
    put_until(lambda: False, 3)
    victims = {key for at, key in told(paths[0]) if at > time.time() - 1}
    workers[0].send_signal(signal.SIGKILL)
    killed = time.time()
    put_until(lambda: {key for at, key in told(paths[1]) if at > killed} >= victims, 3 * FAILOVER_MS / 1000)
    silent = [min(at for at, key in told(paths[1]) if key == victim and at > killed) - killed for victim in victims]
    for worker in workers:
        worker.terminate()
        worker.wait()
    name = where.rpartition("/")[2]
    return f"{name:12} {max(silent):5.1f} s until the last key went on; failover time {FAILOVER_MS / 1000:.0f} s"


def first(endpoint: str, folder: Path, where: str, fan_out: str | None) -> str:
    """How soon a new application has its first record."""
    times = []
    for turn in range(3):
        application = f"first-{where.rpartition('/')[2].partition('.')[0]}-{fan_out or 'polled'}-{turn}"

        async def work(application: str = application) -> float:
            seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            async def process(records: list[Record]) -> None:
                if not seen.done():
                    seen.set_result(None)

            began = time.perf_counter()
            async with Consumer(
                stream=STREAM,
                application=application,
                processor=process,
                connection=connection(endpoint),
                store=open_store(where, application, connection(endpoint)),
                rhythm=Rhythm(),
                pace=Pace(),
                fan_out=None if fan_out is None else application,
            ):
                await asyncio.wait_for(seen, 60)
                return time.perf_counter() - began

        times.append(asyncio.run(work()))
    name, mode = where.rpartition("/")[2], "fan-out" if fan_out else "polling"
    return f"{name:12} {mode:8} {statistics.median(times):5.2f} s (most {max(times):.2f})"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["rate", "hand-over", "first"])
    only = parser.parse_args().only
    logging.getLogger("penstock").setLevel(logging.ERROR)
    print(f"{psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as text, served(Path(text) / "data") as (endpoint, pid):
        folder = Path(text)
        kinesis = client(endpoint)
        make_stream(kinesis, SHARDS)
        if only in (None, "first"):
            kinesis.put_record(StreamName=STREAM, Data=b"x", PartitionKey="key")
            for where in (str(folder / "first.db"), "dynamodb"):
                for fan_out in (None, "yes"):
                    print("first record  ", first(endpoint, folder, where, fan_out), flush=True)
        if only in (None, "hand-over"):
            for where in (str(folder / "leases.db"), "dynamodb"):
                print("after a kill  ", hand_over(endpoint, folder, where), flush=True)
        if only in (None, "rate"):
            kinesis.delete_stream(StreamName=STREAM, EnforceConsumerDeletion=True)
            time.sleep(1)
            make_stream(kinesis, SHARDS)
            total = fill(kinesis)
            for fan_out in (None, "pushed"):
                print("rate          ", rate(endpoint, pid, folder, total, fan_out), flush=True)


if __name__ == "__main__":
    main()
