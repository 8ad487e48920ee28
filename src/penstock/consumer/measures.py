"""What a consumer measures, under KCL's names and dimensions where KCL has them.

Rule of this file: pure; measuring never fails.
"""

from typing import Final

from penstock.clients.metrics import Dimensions, Level, Meter, Metric
from penstock.consumer.feed import Page

PROCESS: Final = ("Operation", "ProcessTask")
RENEW: Final = ("Operation", "RenewAllLeases")
TAKE: Final = ("Operation", "TakeLeases")

RECORDS: Final = Metric("RecordsProcessed", "Count", Level.SUMMARY)
BYTES: Final = Metric("DataBytesProcessed", "Bytes", Level.SUMMARY)
BEHIND: Final = Metric("MillisBehindLatest", "Milliseconds", Level.SUMMARY)
PROCESS_TIME: Final = Metric("RecordProcessor.processRecords.Time", "Milliseconds", Level.SUMMARY)
PROCESS_SUCCESS: Final = Metric(
    "RecordProcessor.processRecords.Success", "Count", Level.SUMMARY
)  # 1, or 0 where it raised
FETCH_SUCCESS: Final = Metric("KinesisDataFetcher.getRecords.Success", "Count", Level.DETAILED)  # 1, or 0
CHECKPOINTS: Final = Metric("UpdateLease.Success", "Count", Level.DETAILED)
DEAD_LETTERS: Final = Metric("DeadLetters", "Count", Level.SUMMARY)
CURRENT: Final = Metric("CurrentLeases", "Count", Level.SUMMARY)
LOST: Final = Metric("LostLeases", "Count", Level.SUMMARY)
RENEW_SUCCESS: Final = Metric("RenewLease.Success", "Count", Level.DETAILED)  # 1, or 0
TAKEN: Final = Metric("TakenLeases", "Count", Level.SUMMARY)


class Measures:
    """One worker's measurements, until they are taken."""

    def __init__(self) -> None:
        self.meter = Meter(Level.DETAILED, rolls_up=False)

    def processed(self, shard_id: str, page: Page, took_ms: int) -> None:
        """A batch was taken."""
        where = _shard(shard_id)
        self.meter.put(RECORDS, len(page.records), where)
        self.meter.put(BYTES, page.size_bytes, where)
        self.meter.put(PROCESS_TIME, took_ms, where)
        self.meter.put(PROCESS_SUCCESS, 1, where)
        self.meter.put(BEHIND, page.behind_ms, where)

    def failed(self, shard_id: str) -> None:
        """A processor raised."""
        self.meter.put(PROCESS_SUCCESS, 0, _shard(shard_id))

    def dead(self, shard_id: str, records: int) -> None:
        """Records went to the dead letters."""
        self.meter.put(DEAD_LETTERS, records, _shard(shard_id))

    def checkpointed(self, shard_id: str) -> None:
        """A checkpoint was written."""
        self.meter.put(CHECKPOINTS, 1, _shard(shard_id))

    def fetched(self, shard_id: str, *, well: bool) -> None:
        """Records were asked for."""
        self.meter.put(FETCH_SUCCESS, int(well), _shard(shard_id))

    def taken(self) -> None:
        """A lease was taken."""
        self.meter.put(TAKEN, 1, (TAKE,))

    def lost(self) -> None:
        """A lease was found to be another's."""
        self.meter.put(LOST, 1, (RENEW,))

    def renewed(self, *, well: bool) -> None:
        """A renewal was tried."""
        self.meter.put(RENEW_SUCCESS, int(well), (RENEW,))

    def holds(self, leases: int) -> None:
        """So many leases are held."""
        self.meter.put(CURRENT, leases, (RENEW,))


def _shard(shard_id: str) -> Dimensions:
    return (PROCESS, ("ShardId", shard_id))
