"""Event source mappings: how fast a stream is given to a real Python function, and how soon a record is there.

What happens.  Throughput: a stream of two shards is filled, then a mapping is made that begins at its oldest record; the function
counts the records of each event and tells the sum over UDP.  The time is that from the first batch to the last.  Latency: records are
put one by one, each with the time of its put; the function tells how long ago that was when it began.

With `--mappings N` so many mappings, each of a stream of its own, are made instead, and left alone.

`python -m bench.mapping [--mappings N] [--records N] [--batch N] [--factor N] [--rounds N]`
"""

import argparse
import io
import os
import socket
import statistics
import struct
import time
import zipfile
from typing import Any, Final

import boto3
from botocore.config import Config

from bench.load import HOST
from bench.processes import cpu_times, tree_rss_mib
from bench.servers import Part, Running, penstock, running, snapshot

STREAM: Final = "bench"
RECORD_BYTES: Final = 512
PUT_COUNT: Final = 500
SHARDS: Final = 2
PUTS: Final = 300
PAUSE_S: Final = 0.02
WAIT_S: Final = 120.0
REST_S: Final = 20

SOURCE: Final = """
import base64, os, socket, struct, time

sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.connect(("127.0.0.1", int(os.environ["SINK"])))

def handler(event, context):
    now = time.time_ns()
    records = event["Records"]
    first = base64.b64decode(records[0]["kinesis"]["data"])
    sink.send(struct.pack("<QQq", len(records), now, now - int(first[:20])))
"""


class Sink:
    """Where functions tell what they were given."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.settimeout(WAIT_S)
        self.port: int = self._socket.getsockname()[1]

    def take(self) -> tuple[int, int, int]:
        """Of one invocation: how many records, when, and how old the first was, in ns."""
        records, at_ns, age_ns = struct.unpack("<QQq", self._socket.recv(64))
        return records, at_ns, age_ns


def zipped() -> bytes:
    """The function's code."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", SOURCE)
    return body.getvalue()


class Bench:
    """One server with a stream and a function."""

    def __init__(self, started: Running) -> None:
        self.sink = Sink()
        options: dict[str, Any] = {
            "endpoint_url": started.url, "region_name": "us-east-1", "config": Config(retries={"total_max_attempts": 1}),
            "aws_access_key_id": "123456789012", "aws_secret_access_key": "x",
        }  # fmt: skip
        self.kinesis: Any = boto3.client("kinesis", **options)
        self.functions: Any = boto3.client("lambda", **options)
        self.kinesis.create_stream(StreamName=STREAM, ShardCount=SHARDS)
        self.functions.create_function(
            FunctionName="work", Runtime="python3.12", Role="arn:aws:iam::123456789012:role/work", Handler="app.handler",
            Code={"ZipFile": zipped()}, Environment={"Variables": {"SINK": str(self.sink.port)}}, Timeout=60,
        )  # fmt: skip

    def fill(self, records: int) -> None:
        """Put records, 500 at a time."""
        data = b"%020d" % time.time_ns() + b"x" * (RECORD_BYTES - 20)
        for at in range(0, records, PUT_COUNT):
            entries = [{"PartitionKey": f"key-{at + turn}", "Data": data} for turn in range(PUT_COUNT)]
            assert self.kinesis.put_records(StreamName=STREAM, Records=entries)["FailedRecordCount"] == 0

    def map(self, **settings: Any) -> None:
        """Make the mapping."""
        self.functions.create_event_source_mapping(
            FunctionName="work", EventSourceArn=f"arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}", **settings
        )

    def drain(self, records: int) -> float:
        """Wait until all have been given; seconds from the first batch's beginning to the last's."""
        left, first_ns, last_ns, first_records = records, 0, 0, 0
        while left > 0:
            count, at_ns, _ = self.sink.take()
            left -= count
            if not first_ns:
                first_ns, first_records = at_ns, count
            last_ns = at_ns
        return (last_ns - first_ns) / 1e9 * records / (records - first_records)

    def latencies(self) -> list[float]:
        """From before a put to the function's beginning, in ms."""
        found = []
        for turn in range(PUTS):
            data = b"%020d" % time.time_ns() + b"x" * (RECORD_BYTES - 20)
            self.kinesis.put_record(StreamName=STREAM, PartitionKey=str(turn), Data=data)
            found.append(self.sink.take()[2] / 1e6)
            time.sleep(PAUSE_S)
        return sorted(found)


def resting(started: Running, count: int) -> str:
    """What mappings cost that nothing is put for."""
    bench = Bench(started)
    before = tree_rss_mib(started.pid)
    for number in range(count):
        name = f"stream-{number}"
        bench.kinesis.create_stream(StreamName=name, ShardCount=1)
        arn = f"arn:aws:kinesis:us-east-1:123456789012:stream/{name}"
        bench.functions.create_event_source_mapping(FunctionName="work", EventSourceArn=arn, StartingPosition="LATEST")
    more = tree_rss_mib(started.pid) - before
    time.sleep(REST_S / 4)
    times = cpu_times(started.pid)
    time.sleep(REST_S)
    used_s = times.until(cpu_times(started.pid)).server_s
    return f"{count:,} mappings of {count:,} streams: {more:.0f} MiB more, {used_s:.2f} s of CPU in {REST_S} s at rest"


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=400_000)
    options.add_argument("--batch", type=int, default=1000)
    options.add_argument("--factor", type=int, default=1)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--mappings", type=int, default=0)
    asked = options.parse_args()
    rates, costs, memory = [], [], []
    with snapshot() as source:
        server = penstock(source, "penstock", Part.US, "--no-tls", "--engine", "local")
        if asked.mappings:
            with running(server) as started:
                print(resting(started, asked.mappings))
            return
        for _ in range(asked.rounds):
            with running(server) as started:
                bench = Bench(started)
                bench.fill(asked.records)
                before = cpu_times(started.pid)
                bench.map(StartingPosition="TRIM_HORIZON", BatchSize=asked.batch, ParallelizationFactor=asked.factor)
                took_s = bench.drain(asked.records)
                used = before.until(cpu_times(started.pid))
                rates.append(asked.records / took_s)
                costs.append(used.server_s / asked.records * 1e6)
                memory.append(tree_rss_mib(started.pid))
        with running(server) as started:
            bench = Bench(started)
            bench.map(StartingPosition="LATEST")
            waits = bench.latencies()[:]
    print(
        f"{asked.records:,} records of {RECORD_BYTES} B in batches of {asked.batch:,}: {statistics.median(rates):,.0f} a second"
        f" ({min(rates):,.0f} to {max(rates):,.0f}), {statistics.median(costs):.1f} us of CPU a record, the functions' among it,"
        f" {max(memory):.0f} MiB\nput to function: {waits[len(waits) // 2]:.2f} ms in the median,"
        f" {waits[len(waits) * 99 // 100]:.2f} ms at the 99th percentile\nload average at the end: {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
