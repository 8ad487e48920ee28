"""Blocks in the journal that are not settled yet, as readers find them.

Theory.  What a batch wrote to a log is a block, and the log has it in a list.  A scatter writes to hundreds of logs that nobody may read
before they are settled: its blocks stay one object for all of them, until a log is asked for its own.
Rule of this file: a scatter is seen by all logs or by none; it goes when its file is settled.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from penstock.engines.local import frame
from penstock.engines.local.columns import Records, cut_one_run
from penstock.engines.local.journal import JournalFile
from penstock.wire.nativeparts import PlacedBlocks


class Kept:
    """What the tail cache holds of the journal until it needs the room: the records of a block, or frames as they lie in the file."""

    __slots__ = ("at", "content")

    def __init__(self, content: Records | bytes, at: int) -> None:
        self.content: Records | bytes | None = content
        self.at = at  # where in the file it begins


class JournalBlock(msgspec.Struct, gc=False):
    """A block that lies in the journal.  There are many: what refers to one is never referred to by it."""

    first_offset: int
    end: int
    first_arrival_ms: int
    last_arrival_ms: int
    file: JournalFile
    body_at: int
    length: int
    kept: Kept | None = None

    @property
    def is_cut(self) -> bool:
        """Whether `held` costs nothing."""
        return self.kept is not None and isinstance(self.kept.content, Records)

    def held(self) -> Records | None:
        """Its records, if they are in memory.  Cost: 2 us, and a copy, where they lie in a scatter's frames."""
        if self.kept is None or self.kept.content is None:
            return None
        content = self.kept.content
        if isinstance(content, Records):
            return content
        at = self.body_at - self.kept.at
        count = self.end - self.first_offset
        return cut_one_run(content, at, at + self.length, self.first_offset, self.first_arrival_ms, count)


class ScatteredBlocks(NamedTuple):
    """The blocks of one scatter."""

    file: JournalFile
    kept: Kept
    placed: PlacedBlocks

    def block(self, group: int) -> JournalBlock:
        """The block of a group."""
        row = self.placed.row(group)
        assert row is not None, "who asks was told of it"
        first, end, frame_at, length = row
        body_at, arrival_ms = self.kept.at + frame_at + frame.HEADER_BYTES, self.placed.arrival_ms
        return JournalBlock(first, end, arrival_ms, arrival_ms, self.file, body_at, length, self.kept)


class Scatters:
    """The scatters of all files that are not settled yet, numbered from the first there ever was."""

    def __init__(self) -> None:
        self._held: list[ScatteredBlocks] = []
        self.begin = 0  # the first that is still held
        self.end = 0  # one past the last

    def add(self, blocks: ScatteredBlocks) -> int:
        """Take in the next one; its number."""
        self._held.append(blocks)
        self.end += 1
        return self.end - 1

    def blocks(self, groups: Iterable[tuple[int, int]]) -> list[JournalBlock]:
        """The blocks of groups, each by the number of its scatter and its own in it."""
        return [self._held[number - self.begin].block(group) for number, group in groups]

    def forget(self, file: JournalFile) -> None:
        """The oldest file is settled."""
        held = [each for each in self._held if each.file is not file]
        self.begin += len(self._held) - len(held)
        self._held = held
