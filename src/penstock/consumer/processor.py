"""What users write: a class with methods for the life of a shard, or a function of a list of records.

Theory.  A processor is made for each tenure of a shard and gets its records in order, each at least once: what was processed and not
checkpointed when a worker dies is given to the next one again.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from penstock.consumer.feed import Record
from penstock.consumer.position import Checkpoint


class BadCheckpoint(ValueError):
    """A checkpoint that is behind the last one, or ahead of what was given to the processor."""


class ProcessorBroken(Exception):
    """A processor that cannot go on.  Raised by one, it is not asked again: its shard begins anew, from the last checkpoint."""


class Checkpointer(Protocol):
    """Says how far a processor has come."""

    async def checkpoint(self, at: Record | Checkpoint | None = None) -> None:
        """Note that everything up to a record was processed; without one, everything that was given.

        Raises LeaseLost where another worker has the shard now, StoreUnavailable where the store does not answer (try again),
        BadCheckpoint.
        """
        ...


class Batch(Struct, frozen=True):
    """Records of one shard, in order, and a way to say that they were processed."""

    shard_id: str
    records: list[Record]
    behind_ms: int  # age of the last one against the newest of the shard
    checkpointer: Checkpointer

    async def checkpoint(self, at: Record | Checkpoint | None = None) -> None:
        """As `Checkpointer.checkpoint` does."""
        await self.checkpointer.checkpoint(at)


class RecordProcessor:
    """Processes one shard while this worker holds its lease.  Override what you need; `process_records` you do."""

    automatic = False  # True: checkpoints are made for you, after batches that were processed

    async def initialize(self, shard_id: str, at: Checkpoint) -> None:
        """Before the first batch; `at` is the last checkpoint."""

    async def process_records(self, batch: Batch) -> None:
        """Process a batch.  It is given again if this raises, as the consumer's `retry` says."""
        raise TypeError(f"{type(self).__name__} has no process_records")

    async def lease_lost(self) -> None:
        """After another worker has taken the shard: nothing can be checkpointed any more."""

    async def shard_ended(self, checkpointer: Checkpointer) -> None:
        """After the last batch of a shard that a reshard has closed; when this returns the shard counts as processed."""

    async def shutdown_requested(self, checkpointer: Checkpointer) -> None:
        """Before the shard goes to another worker, or this one stops: the last chance to checkpoint."""

    async def close(self) -> None:
        """After everything else, whatever has happened."""


Function = Callable[[list[Record]], Awaitable[object]]
DeadLetters = Callable[[str, list[Record], Exception], Awaitable[object]]


class FunctionProcessor(RecordProcessor):
    """An async function of a list of records, with automatic checkpoints."""

    automatic = True

    def __init__(self, function: Function) -> None:
        self._function = function

    async def process_records(self, batch: Batch) -> None:
        """Call the function."""
        await self._function(batch.records)
