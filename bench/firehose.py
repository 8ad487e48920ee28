"""Firehose: direct puts acknowledged durably a second, and delivery of a backlog to files, uncompressed and as gzip.

What happens.  Each measurement is of a server just started.  `put` sends PutRecordBatch, 500 records of 1,024 bytes, over 16 connections
to a delivery stream that delivers to files meanwhile; at the end every acknowledged record must be in them.  `deliver` writes a backlog
while the destination is an endpoint that nobody answers at, then makes it S3 and takes the time until all bytes are in files; memory is
the highest of the server's process tree until then.

`python -m bench.firehose [--seconds S] [--mb N] [put] [plain] [gzip]` prints one line for each.
"""

import argparse
import gzip
import http.client
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench import payload
from bench.load import HOST, Outcome, Plan, run_apart
from bench.payload import JSON, PUT_RECORDS_BYTES, PUT_RECORDS_COUNT
from bench.processes import tree_cpu_s, tree_rss_mib
from bench.servers import Part, RefusedCall, Running, penstock, running, snapshot

NAME: Final = "bench"
TARGET: Final = "Firehose_20150804."
SCOPE: Final = "test/20260101/us-east-1/firehose/aws4_request"
AUTHORIZATION: Final = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature=00"
ROLE: Final = "arn:aws:iam::123456789012:role/bench"
BUCKET: Final = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake"}
MB: Final = 1_000_000
CONNECTIONS: Final = 16
LIMIT_S: Final = 120


def headers(operation: str) -> dict[str, str]:
    """Of a call, which nobody verifies."""
    return {
        "Content-Type": JSON.content_type,
        "X-Amz-Target": TARGET + operation,
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": AUTHORIZATION,
    }


def call(port: int, operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """Call an operation on a connection of its own.  Raises RefusedCall."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("POST", "/", JSON.body(document), headers(operation))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RefusedCall(f"{operation}: {answer.status} {body[:300].decode(errors='replace')}")
    found: dict[str, Any] = json.loads(body) if body else {}
    return found


def batches(words: bool) -> Iterator[dict[str, Any]]:
    """Documents of PutRecordBatch; with `words` of records that can be compressed, as JSON lines can."""
    for batch in range(4):
        records = payload.records(PUT_RECORDS_COUNT, PUT_RECORDS_BYTES, batch)
        data = [record.data for record in records]
        if words:  # hexadecimal digits and a few words: about 2.5 times smaller by gzip
            data = [
                (b'{"id":"' + one[:400].hex().encode() + b'","kind":"measurement","unit":"celsius","site":"' + one[:150].hex().encode())[
                    : PUT_RECORDS_BYTES - 3
                ] + b'"}\n'
                for one in data
            ]  # fmt: skip
        yield {"DeliveryStreamName": NAME, "Records": [{"Data": one} for one in data]}


def load(where: Running, seconds: float, documents: Iterator[dict[str, Any]], answers_max: int) -> Outcome:
    """Put batches for some time."""
    return run_apart(
        Plan(
            port=where.port,
            server_pid=where.pid,
            requests=[
                payload.assemble(f"{HOST}:{where.port}", headers("PutRecordBatch"), JSON.body(document))
                for document in documents
            ],
            connections=CONNECTIONS,
            warmup_s=min(1.0, seconds / 4),
            window_s=seconds,
            answers_max=answers_max,
            pattern=rb'"FailedPutCount":0\b',
            marker=b"RecordId",
            markers=PUT_RECORDS_COUNT,
        )
    )


def destination(**more: Any) -> dict[str, Any]:
    """An S3 destination with large buffers."""
    return {**BUCKET, "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 1}, **more}


def put(where: Running, lake: Path, seconds: float) -> str:
    """Direct puts, delivered meanwhile."""
    call(
        where.port,
        "CreateDeliveryStream",
        {"DeliveryStreamName": NAME, "ExtendedS3DestinationConfiguration": destination()},
    )
    outcome = load(where, seconds, batches(words=False), 10**6)
    assert not outcome.failures, outcome.failure
    wanted = outcome.acknowledged * PUT_RECORDS_BYTES
    began, peak = time.monotonic(), outcome.server_peak_mib
    while (found := stored(lake)) < wanted:
        assert time.monotonic() - began < LIMIT_S, f"{found} of {wanted} bytes delivered"
        time.sleep(0.05)
    rate = outcome.answers * PUT_RECORDS_COUNT / outcome.window_s
    return (
        f"put: {rate:,.0f} records/s acknowledged durably and delivered meanwhile; server {outcome.server_cores:.2f} cores, client"
        f" {outcome.client_cores:.2f}, others {outcome.other_cores:.2f}; p99 {outcome.latency_p99_ms:.0f} ms; {peak:.0f} MiB;"
        f" all {outcome.acknowledged:,} there {time.monotonic() - began:.1f} s after the end"
    )


def deliver(where: Running, lake: Path, compression: str, backlog_mb: int) -> str:
    """A backlog, delivered."""
    nobody = {"EndpointConfiguration": {"Url": "https://127.0.0.1:9/"}, "S3Configuration": BUCKET}
    call(
        where.port, "CreateDeliveryStream", {"DeliveryStreamName": NAME, "HttpEndpointDestinationConfiguration": nobody}
    )
    answers = backlog_mb * MB // (PUT_RECORDS_COUNT * PUT_RECORDS_BYTES)
    outcome = load(where, 60, batches(words=True), answers)
    assert not outcome.failures, outcome.failure
    wanted = outcome.acknowledged * PUT_RECORDS_BYTES
    update = {
        "DeliveryStreamName": NAME,
        "CurrentDeliveryStreamVersionId": "1",
        "DestinationId": "destinationId-000000000001",
        "ExtendedS3DestinationUpdate": destination(CompressionFormat=compression),
    }
    cpu, began, peak = tree_cpu_s(where.pid), time.monotonic(), 0.0
    call(where.port, "UpdateDestination", update)
    while (found := stored(lake, packed=compression == "GZIP", wanted=wanted)) < wanted:
        assert time.monotonic() - began < LIMIT_S, f"{found} of {wanted} bytes delivered"
        peak = max(peak, tree_rss_mib(where.pid))
        time.sleep(0.05)
    took = time.monotonic() - began
    spent = tree_cpu_s(where.pid) - cpu
    return (
        f"{compression.lower()}: {wanted / MB / took:,.0f} MB/s over {wanted / MB:,.0f} MB ({took:.1f} s, {spent:.1f} s of CPU),"
        f" at most {peak:.0f} MiB"
    )


def stored(lake: Path, *, packed: bool = False, wanted: int = 0) -> int:
    """The bytes of records in a folder; those of gzip are asked of the files' ends."""
    files = [path for path in lake.rglob(f"{NAME}-*") if path.is_file() and ".tmp" not in path.name]
    if not packed:
        return sum(path.stat().st_size for path in files)
    total = 0
    for path in files:
        with path.open("rb") as file:
            file.seek(-4, 2)
            total += int.from_bytes(file.read(4), "little")
    if total >= wanted:  # once, at the end: they are gzip indeed
        sample = gzip.decompress(files[0].read_bytes())
        assert len(sample) % PUT_RECORDS_BYTES == 0
    return total


def main() -> int:
    """Measure what is asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="*", default=["put", "plain", "gzip"])
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--mb", type=int, default=1000)
    given = options.parse_args()
    assert all(re.fullmatch("put|plain|gzip", what) for what in given.what), "put, plain or gzip"
    with snapshot() as source:
        for what in given.what:
            with TemporaryDirectory(prefix="bench-lake-") as folder:
                server = penstock(source, "penstock", Part.US, "--buckets", f"file://{folder}")
                with running(server) as where:
                    lake = Path(folder) / "lake"
                    if what == "put":
                        print(put(where, lake, given.seconds), flush=True)
                    else:
                        kind = "GZIP" if what == "gzip" else "UNCOMPRESSED"
                        print(deliver(where, lake, kind, given.mb), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
