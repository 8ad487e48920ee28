"""Writes the sample data directory of the present storage format: `python tools/sample.py tests/samples/format-1`.

A sample is made once, when a format is released, and never again: tests/unit/engines/test_samples.py reads each of them for ever.
"""

import asyncio
import sys
from pathlib import Path

from penstock.core.ids import Millis
from penstock.engines.api import Batch, LogId, Position, Write
from penstock.engines.local.log import Options, open_log
from penstock.engines.local.meta import SqliteMeta
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks

OPTIONS = Options(journal_file_bytes=64 * 1024)
SETTLED, SEALED, TRIMMED, DROPPED = (LogId(name) for name in ("one/0", "one/1", "two/0", "two/1"))


class _StandingClock(SystemClock):
    """A second passes with each look at it."""

    def __init__(self) -> None:
        self._ms = 1_800_000_000_000

    def now_ms(self) -> Millis:
        self._ms += 1000
        return Millis(self._ms)


async def make(folder: Path) -> None:
    """Fill a folder: records in segments and in the journal, a sealed, a trimmed and a dropped log, and metadata."""
    disk, tasks = SystemDisk(folder), LoopTasks()
    log, _ = await open_log(disk, _StandingClock(), SeededEntropy(1), tasks, OPTIONS)
    await log.create([SETTLED, SEALED, TRIMMED, DROPPED])
    for number in range(200):
        names = [SETTLED, TRIMMED, DROPPED] + ([SEALED] if number < 100 else [])
        await log.append(
            [Batch(name, [b"key-%d" % (number % 7)], [b"%04d" % number + bytes(number)]) for name in names]
        )
    await log.seal(SEALED)
    await log.trim(TRIMMED, Position(0, 150))
    await log.drop([DROPPED])
    await log.settle()
    for number in range(200, 210):
        await log.append([Batch(SETTLED, ["ключ".encode(), b""], [b"%04d" % number, b"\xff\x00"])])
    meta = await SqliteMeta.open(folder / "meta.sqlite")
    await meta.commit([Write("a", b"1", 0), Write("b", b"2", 0)])
    await meta.commit([Write("a", None, 1), Write("c", b"3", 0)])
    await meta.close()
    await log.close()
    disk.close()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    asyncio.run(make(target))
