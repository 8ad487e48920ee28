"""A scatter: the records of one call for many logs, which cost next to nothing a log.

Theory.  The frames of all its groups are written by the native part at once, and are those that the committer would write of each batch.
What is left to do for a log is to give it offsets and to show them, in rows of tips; records are cut from the frames by who reads them.
Rules of this file: all or nothing; offsets are given in the order of the queue, and seen by readers when the frames are durable.
"""

import asyncio
from typing import NamedTuple

from penstock.engines.api import AppendError
from penstock.engines.local.blocks import Kept, ScatteredBlocks
from penstock.engines.local.cache import TailCache
from penstock.engines.local.journal import JournalFile
from penstock.engines.local.state import LogCommons
from penstock.wire.nativeparts import Fanned, Placed, Spread


class ScatterEntry(NamedTuple):
    """A spread that waits, and who waits for it."""

    logs: Fanned
    spread: Spread
    done: "asyncio.Future[Placed | AppendError | None]"

    @property
    def size_bytes(self) -> int:
        """In the journal."""
        return self.spread.frames_bytes


class Scatter:
    """A spread in a group that is being built; `placed` is what it is answered once it is durable."""

    def __init__(self, placed: Placed, size_bytes: int, commons: LogCommons) -> None:
        self.placed = placed
        self.size_bytes = size_bytes
        self._commons = commons
        self._content = b""

    def encode(self, file: JournalFile, group: int) -> list[bytes]:
        """Its frames."""
        self._content = self.placed.frames(file.file_no, group)
        return [self._content]

    def apply(self, file: JournalFile, at: int, tail: TailCache) -> None:
        """Let readers see what is durable, from `at` on in the file, and wake those who wait for it."""
        kept, commons = Kept(self._content, at), self._commons
        number = commons.scatters.add(ScatteredBlocks(file, kept, self.placed.blocks()))
        tail.add(kept, self.size_bytes)
        self.placed.show(commons.tips, number)
        if commons.watching:
            for wake in [wake for place in self.placed.places if (wake := commons.watching.get(place)) is not None]:
                wake()

    def roll_back(self) -> None:
        """It was not written."""
        self.placed.roll_back(self._commons.tips)


def plan(entry: ScatterEntry, now_ms: int, commons: LogCommons) -> Scatter | None:
    """Give a spread its offsets; None, and nothing given, where one of its logs takes no records."""
    placed = entry.spread.place(entry.logs, commons.tips, now_ms)
    return None if placed is None else Scatter(placed, entry.size_bytes, commons)
