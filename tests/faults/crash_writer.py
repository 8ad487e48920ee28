"""A process that writes to the engine until it is killed, and notes each answer: `crash_writer.py DIRECTORY NOTES SEED`.

A note is written after the answer was there, straight to the file: whatever is noted was acknowledged.
Each record says which it is: log, client (of this process), number of the client's record, place in its batch, size of the batch.
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[1] / "conformance"))

from data_directory import engine
from plain_spread import scatter

from penstock.engines.api import Appended, Batch, LogId, Position
from penstock.engines.local.log import LocalLog, Options
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks

CLIENTS: Final = 6
SHARED: Final = LogId("shared/0")
PAYLOAD_MAX_BYTES: Final = 3000


def record(told: str, length: int) -> bytes:
    """A record whose every byte follows from its words."""
    words = told.encode()
    noise = hashlib.sha256(words).digest()
    return words + b"|" + (noise * (length // 32 + 1))[:length]


class Writer:
    """What the clients share."""

    def __init__(self, log: LocalLog, notes: int, seed: int) -> None:
        self.log = log
        self.seed = seed
        self._notes = notes

    def note(self, *words: object) -> None:
        os.write(self._notes, (" ".join(map(str, words)) + "\n").encode())

    async def client(self, number: int) -> None:
        """Append, now to a log of its own, now to the one that all share, now to both at once."""
        draw = SeededEntropy(self.seed * 100 + number).fraction
        own, name, written = LogId(f"own-{number}/0"), f"{self.seed}.{number}", 0
        await self.log.create([own, SHARED])
        while True:
            logs, count = [[own], [SHARED], [own, SHARED]][int(draw() * 3)], 1 + int(draw() * 30)
            batches = []
            for log in logs:
                data = [
                    record(f"{log} {name} {written + place} {place} {count}", int(draw() * PAYLOAD_MAX_BYTES))
                    for place in range(count)
                ]
                written += count
                batches.append(Batch(log, [name.encode()] * count, data))
            outcomes = await (scatter(self.log, batches) if len(logs) > 1 else self.log.append(batches))
            for batch, outcome in zip(batches, outcomes, strict=True):
                if isinstance(outcome, Appended):
                    for place, held in enumerate(batch.data):
                        digest = hashlib.sha256(held).hexdigest()
                        self.note("record", batch.log, outcome.first.offset + place, outcome.arrival_ms, digest)

    async def owner(self) -> None:
        """Make logs, seal them, drop some, and trim the shared one."""
        for number in range(1_000_000):
            log = LogId(f"brief-{self.seed}/{number}")
            await self.log.create([log])
            self.note("created", log)
            [outcome] = await self.log.append([Batch(log, [b"key"], [record(f"{log} owner {number} 0 1", 10)])])
            if isinstance(outcome, Appended):
                end = await self.log.seal(log)
                self.note("sealed", log, end.offset)
            if number % 2:
                self.note("dropping", log)
                await self.log.drop([log])
                self.note("dropped", log)
            bounds = await self.log.bounds(SHARED)
            start = max(bounds.start.offset, bounds.end.offset - 3000)
            self.note("trimming", SHARED, start)
            await self.log.trim(SHARED, Position(0, start))
            self.note("trimmed", SHARED, start)


async def main(directory: Path, notes: Path, seed: int) -> None:
    """Write until the end."""
    descriptor = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with engine(directory, options=Options(journal_file_bytes=1 << 20, tail_cache_bytes=1 << 20)) as log:
        await log.create([SHARED])
        writer, tasks = Writer(log, descriptor, seed), LoopTasks()
        for number in range(CLIENTS):
            tasks.spawn(writer.client(number), f"client {number}")
        writer.note("ready")
        await writer.owner()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
