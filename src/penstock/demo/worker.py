"""One consumer of the demo, in a process of its own: tells on standard output, in lines of JSON, what it has processed.

Rule of this file: a batch is told before its checkpoint is made, so whoever listens misses nothing if this process is killed.
"""

import os
import sys
from typing import Final

import msgspec

from penstock.consumer import (  # fmt: skip
    Batch,
    Checkpoint,
    Checkpointer,
    Connection,
    Consumer,
    Pace,
    RecordProcessor,
    Rhythm,
    SqliteStore,
)
from penstock.demo.leash import follow
from penstock.demo.outbox import Stamp

APPLICATION: Final = "penstock-demo"
FAILOVER_MS: Final = 1_000
CHECKPOINT_EVERY_MS: Final = 300
IDLE_MS: Final = 200  # five reads a second is what a shard allows

_decode_stamp = msgspec.json.Decoder(Stamp).decode


class Told(msgspec.Struct, omit_defaults=True):
    """One line."""

    shard_id: str
    begun: bool = False
    ended: bool = False  # read to its end
    numbers: list[str] = []  # sequence numbers of the records
    stamps: list[Stamp | str] = []  # theirs, or what is wrong with one
    size_bytes: int = 0
    age_ms: int = 0
    latest: bytes = b""


class Teller(RecordProcessor):
    """Tells of one shard."""

    automatic = True

    async def initialize(self, shard_id: str, at: Checkpoint) -> None:
        """Tell that it is begun."""
        self._shard_id = shard_id
        self._batches = 0
        tell(Told(shard_id, begun=True))

    async def process_records(self, batch: Batch) -> None:
        """Tell of a batch."""
        self._batches += 1
        shown = batch.records[self._batches % len(batch.records)]  # not always the last: it would be dull
        tell(
            Told(
                batch.shard_id,
                numbers=[record.sequence_number for record in batch.records],
                stamps=[_stamp(record.sequence_number, record.partition_key, record.data) for record in batch.records],
                size_bytes=sum(len(record.data) + len(record.partition_key) for record in batch.records),
                age_ms=batch.behind_ms,
                latest=shown.data,
            )
        )

    async def shard_ended(self, checkpointer: Checkpointer) -> None:
        """Tell that it is over."""
        tell(Told(self._shard_id, ended=True))


def tell(told: Told) -> None:
    """Write a line."""
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def _stamp(number: str, partition_key: str, data: bytes) -> Stamp | str:
    """The stamp of a record, or what is wrong with it."""
    try:
        stamp = _decode_stamp(data)
    except msgspec.DecodeError as error:
        return f"record {number} is damaged: {error}"
    if stamp.key != partition_key:
        return f"record {number} of {stamp.key} came with the partition key {partition_key!r}"
    return stamp


def main(endpoint: str, region: str, stream: str, leases: str) -> None:
    """Consume until told to stop, or the demo has ended."""
    follow(lambda: os._exit(1))
    Consumer(
        stream=stream,
        application=APPLICATION,
        processor=Teller,
        connection=Connection(endpoint=endpoint, region=region),
        store=SqliteStore(leases, APPLICATION),
        rhythm=Rhythm(failover_ms=FAILOVER_MS),
        pace=Pace(idle_ms=IDLE_MS),
        checkpoint_every_ms=CHECKPOINT_EVERY_MS,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
