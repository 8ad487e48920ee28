"""One worker of ours on KCL's lease table, as a program: our_worker.py APPLICATION STREAM WORKER.  It tells what KCL's worker tells."""

import json
import sys
import time

from penstock.clients.aws import Connection
from penstock.consumer import Batch, Checkpoint, Checkpointer, Consumer, Pace, RecordProcessor, Rhythm
from penstock.consumer.stores.dynamodb import DynamoDBStore

FAILOVER_MS = 3_000  # KclWorker's


def tell(event: str, **more: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
    sys.stdout.flush()


class Processor(RecordProcessor):
    """Tells of one shard, and checkpoints each batch."""

    shard_id = ""

    async def initialize(self, shard_id: str, at: Checkpoint) -> None:
        self.shard_id = shard_id
        tell("initialized", shard=shard_id, **{"from": str(at)})

    async def process_records(self, batch: Batch) -> None:
        words = [record.data.split(b" ", 1)[0].decode() for record in batch.records]
        if words:
            tell("batch", shard=self.shard_id, at_ns=time.monotonic_ns(), data=words)
            await batch.checkpoint()

    async def lease_lost(self) -> None:
        tell("leaseLost", shard=self.shard_id)

    async def shard_ended(self, checkpointer: Checkpointer) -> None:
        tell("shardEnded", shard=self.shard_id)

    async def shutdown_requested(self, checkpointer: Checkpointer) -> None:
        tell("shutdownRequested", shard=self.shard_id)
        await checkpointer.checkpoint()


def main() -> None:
    """Run until killed."""
    application, stream, worker = sys.argv[1:]
    Consumer(
        stream=stream,
        application=application,
        processor=Processor,
        store=DynamoDBStore(Connection(), application),
        worker_id=worker,
        rhythm=Rhythm(failover_ms=FAILOVER_MS),
        pace=Pace(idle_ms=250),
    ).run()


if __name__ == "__main__":
    main()
