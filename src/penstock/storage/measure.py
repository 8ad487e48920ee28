"""How many records a second a directory's disk takes: the local engine, appending in a temporary directory beside the data.

Theory.  Several writers append batches at once, as a server's requests do; each batch counts when it is durable.  What is measured is
the engine with its load in one process, not a server.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from penstock.engines.api import Appended, Batch, LogId, RecordLog
from penstock.engines.local.log import Options, open_log
from penstock.host.clock import SystemClock, monotonic_s
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

WRITERS: Final = 16
SHARDS: Final = 8
BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 1 << 20  # at most, or one record
BEHIND_MS: Final = 20  # pause of a writer that the engine refused, because it is behind


class Measured(NamedTuple):
    """What came of it."""

    records_per_s: float
    seconds: float


def measure(folder: Path, seconds: float, record_bytes: int) -> Measured:
    """Append records of one size for so long, in a temporary directory inside `folder`.  Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=".penstock-measure-", dir=folder) as directory:
        return asyncio.run(_append(Path(directory), seconds, record_bytes))


async def _append(folder: Path, seconds: float, record_bytes: int) -> Measured:
    disk, clock = SystemDisk(folder), SystemClock()
    log, _ = await open_log(disk, clock, SystemEntropy(), LoopTasks(), Options())
    logs = [LogId(f"measure/{number}") for number in range(SHARDS)]
    count = max(1, min(BATCH_RECORDS, BATCH_BYTES // record_bytes))
    keys, data = [b"key-%d" % number for number in range(count)], [SystemEntropy().bytes(record_bytes)] * count
    try:
        await log.create(logs)
        began_s = monotonic_s()
        batches = [Batch(logs[number % SHARDS], keys, data) for number in range(WRITERS)]
        written = sum(await asyncio.gather(*(_write(log, batch, began_s + seconds, clock) for batch in batches)))
        took_s = monotonic_s() - began_s
    finally:
        await log.close()
        disk.close()
    return Measured(written / took_s, took_s)


async def _write(log: RecordLog, batch: Batch, until_s: float, clock: SystemClock) -> int:
    """Append a batch again and again; the records that were taken."""
    written = 0
    while monotonic_s() < until_s:
        [outcome] = await log.append([batch])
        if isinstance(outcome, Appended):
            written += len(batch.data)
        else:
            await clock.sleep(BEHIND_MS)
    return written
