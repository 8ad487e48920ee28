"""What a consumer counts, under KCL's names where KCL has one."""

from collections import defaultdict
from typing import Final

from penstock.consumer.feed import Page

OPERATION: Final = "ProcessTask"


class Measures:
    """Totals since the start, by name and shard; "" is the worker itself."""

    def __init__(self) -> None:
        self.totals: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.levels: dict[tuple[str, str], float] = {}

    def processed(self, shard_id: str, page: Page, took_ms: int) -> None:
        """A batch was taken."""
        self.totals["RecordsProcessed", shard_id] += len(page.records)
        self.totals["DataBytesProcessed", shard_id] += page.size_bytes
        self.totals["RecordProcessor.processRecords.Time", shard_id] += took_ms
        self.levels["MillisBehindLatest", shard_id] = page.behind_ms

    def failed(self, shard_id: str) -> None:
        """A processor raised."""
        self.totals["RecordProcessor.processRecords.Failure", shard_id] += 1

    def dead(self, shard_id: str, records: int) -> None:
        """Records went to the dead letters."""
        self.totals["DeadLetters", shard_id] += records

    def checkpointed(self, shard_id: str) -> None:
        """A checkpoint was written."""
        self.totals["UpdateLease.Success", shard_id] += 1

    def add(self, name: str, count: float = 1, shard_id: str = "") -> None:
        """Something else happened."""
        self.totals[name, shard_id] += count

    def level(self, name: str, value: float, shard_id: str = "") -> None:
        """Something stands at a value."""
        self.levels[name, shard_id] = value

    def forget(self, shard_id: str) -> None:
        """The shard is not ours any more: its levels say nothing."""
        for key in [key for key in self.levels if key[1] == shard_id]:
            del self.levels[key]
