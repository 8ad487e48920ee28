"""kill -9 of the server while it delivers, again and again: every acknowledged record is in the bucket, from both kinds of source."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from deliveries import BUCKET, ROLE, Lake
from served import Server, server

from penstock.host.entropy import SeededEntropy

ROUNDS: Final = max(3, int(os.environ.get("PENSTOCK_KILL_ROUNDS", "3")))
LONGEST_S: Final = 1.2  # from the start of writing to the kill
BATCH: Final = 100
WAIT_S: Final = 60
SOURCE: Final = {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s", "RoleARN": ROLE}


def client(where: Server, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=where.url,
        region_name="us-east-1",
        config=config,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Writer(threading.Thread):
    """Puts numbered lines to both sources until it is told to stop or the server is gone; remembers what was acknowledged."""

    def __init__(self, where: Server, acked: dict[str, set[int]], begin: int) -> None:
        super().__init__(daemon=True)
        self._firehose, self._kinesis = client(where, "firehose"), client(where, "kinesis")
        self._acked = acked
        self._stopped = threading.Event()
        self.begun = threading.Event()  # both sources have taken something
        self.next = begin

    def run(self) -> None:
        while not self._stopped.is_set():
            numbers = range(self.next, self.next + BATCH)
            self.next += BATCH
            lines = [b"%08d %s\n" % (number, b"x" * 100) for number in numbers]
            try:
                answer = self._firehose.put_record_batch(
                    DeliveryStreamName="direct", Records=[{"Data": line} for line in lines]
                )
                assert answer["FailedPutCount"] == 0
                self._acked["direct"].update(numbers)
                records = [{"Data": line, "PartitionKey": line[:8].decode()} for line in lines]
                answer = self._kinesis.put_records(StreamName="s", Records=records)
                assert answer["FailedRecordCount"] == 0
                self._acked["read"].update(numbers)
                self.begun.set()
            except (BotoCoreError, ClientError):
                return

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def make(where: Server) -> None:
    """A stream, and two delivery streams: one that takes direct puts, one that reads the stream."""
    client(where, "kinesis").create_stream(StreamName="s", ShardCount=2)
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 0}
    for name, source in (
        ("direct", {}),
        ("read", {"DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": SOURCE}),
    ):
        client(where, "firehose").create_delivery_stream(
            DeliveryStreamName=name,
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE, "BucketARN": BUCKET, "BufferingHints": hints, "Prefix": f"{name}/",
            },
            **source,
        )  # fmt: skip


def delivered(lake: Lake, name: str) -> Iterator[int]:
    """The numbers of the lines that are in the bucket; each object is whole."""
    for key, body in lake.bodies().items():
        if key.startswith(f"{name}/"):
            lines = body.splitlines(keepends=True)
            assert all(len(line) == 110 and line.endswith(b"x\n") for line in lines), key
            yield from (int(line[:8]) for line in lines)


def test_server_when_killed_while_it_delivers_then_every_acknowledged_record_is_in_the_bucket(tmp_path: Path) -> None:
    entropy, lake = SeededEntropy(5), Lake(tmp_path / "buckets")
    acked: dict[str, set[int]] = {"direct": set(), "read": set()}
    options = ("--transition-ms", "0", "--journal-file", str(2 << 20), "--buckets", f"file://{lake.root}")
    begin = 0
    for number in range(ROUNDS):
        with server(tmp_path / "data", *options) as where:
            if number == 0:
                make(where)
            writer = Writer(where, acked, begin)
            writer.start()
            if number == 0:
                assert writer.begun.wait(WAIT_S)
            threading.Event().wait(0.1 + entropy.fraction() * LONGEST_S)
            where.process.kill()
            where.process.wait()
            writer.stop()
            begin = writer.next
    with server(tmp_path / "data", *options):
        for name, numbers in acked.items():
            assert numbers
            missing, left = numbers, WAIT_S * 10
            while (missing := missing - set(delivered(lake, name))) and left:
                threading.Event().wait(0.1)
                left -= 1
            assert not missing, f"{name}: {len(missing)} of {len(numbers)} are missing, {sorted(missing)[:5]}"
    for name, numbers in acked.items():
        found = list(delivered(lake, name))
        assert len(found) < 4 * len(numbers), "what comes twice is what was not accounted for"
