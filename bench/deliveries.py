"""Deliveries to S3 under pressure: memory of many delivery streams at once, and many small objects.

What happens.  `memory`: delivery streams with gzip and buffers of 16 MiB have 48 MB waiting each.  A server is started on them, without a
cache of records, and delivers: into files, or to an S3 that takes 2 MB/s on a connection.  Told is the most memory that its processes
ever had, what an idle server has, and what lies between them against the bound: the sum of the buffers and 100 MiB.
`small`: records of 300 bytes for 1,000 partitions, found by jq, come at a steady rate; each becomes an object of its own a second later.
Told is how long after the last record the last object was there, how many records waited at most, and the CPU time of an object.
The S3 answers after 50 ms.

`python -m bench.deliveries [--rate OBJECTS_A_MINUTE] [--seconds S] [memory] [small]` prints one line for each.
"""

import argparse
import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.firehose import BUCKET, MB, batches, call, headers
from bench.load import HOST
from bench.payload import JSON, PUT_RECORDS_BYTES, PUT_RECORDS_COUNT
from bench.processes import tree_cpu_s, tree_peak_mib, tree_rss_mib
from bench.servers import Launch, Part, Running, penstock, running, snapshot
from bench.slows3 import slow_s3

HINT_MIB: Final = 16
BACKLOG_MB: Final = 48
ALLOWED_MIB: Final = 100
PARTITIONS: Final = 1000
LIMIT_S: Final = 300
QUERY: Final = "{customer: (.customer | tostring)}"
Stored = Callable[[], tuple[int, int]]  # objects, and bytes


@contextmanager
def serving(source: Path, home: Path, *options: str) -> Iterator[Running]:
    """A server whose data stays in a folder."""
    server = penstock(source, "penstock", Part.US, "--no-tls", *options)

    def launch(folder: Path, port: int) -> Launch:
        folder.rmdir()
        folder.symlink_to(home)
        argv, env = server.launch(folder, port)
        return Launch(argv, env | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})

    with running(replace(server, launch=launch)) as where:
        yield where


@contextmanager
def place(slow: bool, lake: Path, latency_s: float, bytes_s: float) -> Iterator[tuple[list[str], Stored]]:
    """Where objects go: what the server is told, and what is there."""
    if not slow:

        def in_files() -> tuple[int, int]:
            sizes = [
                path.stat().st_size for path in lake.rglob("d*") if path.is_file() and ".partial" not in path.parts
            ]
            return len(sizes), sum(sizes)

        yield ["--buckets", f"file://{lake}"], in_files
        return
    with slow_s3(latency_s, bytes_s) as s3:
        options = ["--buckets", "s3:", "--s3-endpoint", f"http://{HOST}:{s3.port}"]
        yield options, lambda: (s3.counts.objects, s3.counts.size_bytes)


def create(port: int, name: str, **members: Any) -> None:
    """A delivery stream to S3."""
    document = {**BUCKET, "BufferingHints": {"SizeInMBs": HINT_MIB, "IntervalInSeconds": 1}, **members}
    call(port, "CreateDeliveryStream", {"DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": document})


def progress(port: int, name: str) -> dict[str, Any]:
    """What a delivery stream has done."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("GET", f"/_penstock/firehose?name={name}")
    found: dict[str, Any] = json.loads(connection.getresponse().read())["delivery_streams"][0]["progress"]
    connection.close()
    return found


def waiting(port: int, name: str) -> int:
    """Records that are not accounted for."""
    return sum(lane["unread_records"] + lane["unaccounted_records"] for lane in progress(port, name)["lanes"])


def memory(source: Path, streams: int, *, slow: bool) -> str:
    """The most memory."""
    names = [f"d{number}" for number in range(streams)]
    with TemporaryDirectory(prefix="bench-home-") as folder, ExitStack() as stack:
        home, lake = Path(folder) / "home", Path(folder) / "lake"
        home.mkdir()
        fill(source, home, names)
        options, _ = stack.enter_context(place(slow, lake, 0, 2 * MB))
        with TemporaryDirectory() as empty, serving(source, Path(empty), *options) as where:
            idle = tree_rss_mib(where.pid)
        with serving(source, home, "--cache", "1M", *options) as where:
            began = time.monotonic()
            while any(waiting(where.port, name) for name in names):
                assert time.monotonic() - began < LIMIT_S, "not delivered"
                time.sleep(0.2)
            peak = tree_peak_mib(where.pid)
    bound = streams * HINT_MIB + ALLOWED_MIB
    kind = "slow S3" if slow else "files"
    return (
        f"memory: {streams} delivery streams to {kind}: at most {peak:.0f} MiB, {idle:.0f} when idle; between them {peak - idle:.0f}"
        f" of {bound} ({streams} x {HINT_MIB} + {ALLOWED_MIB}); {time.monotonic() - began:.0f} s"
    )


def fill(source: Path, home: Path, names: list[str]) -> None:
    """Delivery streams with records that nobody could deliver yet: their buckets are at an S3 that does not answer."""
    bodies = [JSON.body(document) for document in batches(words=True)]
    nobody = ["--buckets", "s3:", "--s3-endpoint", f"http://{HOST}:9"]
    with serving(source, home, *nobody) as where:
        connection = http.client.HTTPConnection(HOST, where.port, timeout=60)
        for name in names:
            create(where.port, name, CompressionFormat="GZIP")
            for turn in range(BACKLOG_MB * MB // (PUT_RECORDS_COUNT * PUT_RECORDS_BYTES)):
                body = bodies[turn % len(bodies)].replace(b'"bench"', f'"{name}"'.encode(), 1)
                connection.request("POST", "/", body, headers("PutRecordBatch"))
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()


def small(source: Path, rate: int, seconds: float, *, slow: bool) -> str:
    """Many objects."""
    with TemporaryDirectory(prefix="bench-home-") as folder, ExitStack() as stack:
        home, lake = Path(folder) / "home", Path(folder) / "lake"
        home.mkdir()
        options, stored = stack.enter_context(place(slow, lake, 0.05, 1000 * MB))
        where = stack.enter_context(serving(source, home, *options))
        parameters = {"MetadataExtractionQuery": QUERY, "JsonParsingEngine": "JQ-1.6"}
        processor = {
            "Type": "MetadataExtraction",
            "Parameters": [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()],
        }
        create(
            where.port,
            "d",
            BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 1},
            Prefix="customer=!{partitionKeyFromQuery:customer}/",
            ErrorOutputPrefix="failed/!{firehose:error-output-type}/",
            DynamicPartitioningConfiguration={"Enabled": True},
            ProcessingConfiguration={"Enabled": True, "Processors": [processor]},
        )
        cpu = tree_cpu_s(where.pid)
        sent, most = feed(where.port, rate, seconds)
        began = time.monotonic()
        while waiting(where.port, "d"):
            assert time.monotonic() - began < LIMIT_S, "not delivered"
            time.sleep(0.1)
        late, spent, failed = (
            time.monotonic() - began,
            tree_cpu_s(where.pid) - cpu,
            progress(where.port, "d")["failed_records"],
        )
        objects, _ = stored()
    return (
        f"small: {sent:,} records in {seconds:.0f} s ({rate:,} a minute) to {'slow S3' if slow else 'files'}: {objects:,} objects,"
        f" {failed} failed; at most {most:,} records waited; all there {late:.1f} s after the last;"
        f" {spent / objects * 1000:.1f} ms of CPU each"
    )


def feed(port: int, rate: int, seconds: float) -> tuple[int, int]:
    """Put records at a rate, ten times a second; how many, and how many waited at most."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    began, sent, most = time.monotonic(), 0, 0
    for turn in count():
        if time.monotonic() - began > seconds:
            return sent, most
        due = int((time.monotonic() - began) * rate / 60) - sent
        for first in range(0, due, PUT_RECORDS_COUNT):
            records = [
                {"Data": json.dumps({"customer": (sent + at) % PARTITIONS, "text": "x" * 260}).encode()}
                for at in range(first, min(due, first + PUT_RECORDS_COUNT))
            ]
            body = JSON.body({"DeliveryStreamName": "d", "Records": records})
            connection.request("POST", "/", body, headers("PutRecordBatch"))
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
        sent += max(due, 0)
        if turn % 10 == 0:
            most = max(most, waiting(port, "d"))
        time.sleep(0.1)
    raise AssertionError("count() ends nowhere")


def main() -> int:
    """Measure what is asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="*", default=["memory", "small"])
    options.add_argument("--rate", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--streams", type=int, nargs="*", default=[1, 4, 16])
    given = options.parse_args()
    assert {"memory", "small"}.issuperset(given.what), "memory or small"
    with snapshot() as source:
        for slow in (False, True):
            if "memory" in given.what:
                for streams in given.streams:
                    print(memory(source, streams, slow=slow), flush=True)
            if "small" in given.what:
                print(small(source, given.rate, given.seconds, slow=slow), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
