"""The state of the engine in memory: where the records of each log are.

Theory.  A log's records lie first in settled segments, then in blocks of the journal, in the order of their offsets.  Offsets are dense but
for what was damaged and is skipped.  Only what is durable is in here: `end` is what readers see.
Of a scatter a log is told its new end alone (tips.py); it collects its blocks when somebody asks for them (blocks.py).
"""

import asyncio
import sys
from bisect import bisect_right
from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from penstock.engines.api import LogId
from penstock.engines.local.blocks import JournalBlock, Scatters
from penstock.engines.local.frame import Kind
from penstock.engines.local.journal import JournalFile
from penstock.engines.local.ranges import RangeRow
from penstock.engines.local.segmentfile import SegmentFile
from penstock.engines.local.tips import no_tips


class SettledRange(NamedTuple):
    """Records of one log that lie in a segment."""

    segment: SegmentFile
    row: RangeRow

    @property
    def first_offset(self) -> int:
        """The first."""
        return self.row.first_offset

    @property
    def end(self) -> int:
        """One past the last."""
        return self.row.end

    @property
    def size_bytes(self) -> int:
        """Its share of the segment, by the number of records."""
        return self.segment.row.size_bytes * (self.end - self.first_offset) // max(self.segment.records, 1)

    @property
    def first_arrival_ms(self) -> int:
        """When the first arrived."""
        return self.row.first_arrival_ms

    @property
    def last_arrival_ms(self) -> int:
        """When the last arrived."""
        return self.row.last_arrival_ms


Piece = SettledRange | JournalBlock
_end = attrgetter("end")
_last_arrival = attrgetter("last_arrival_ms")


class LogCommons:
    """What all logs share."""

    def __init__(self) -> None:
        self.tips = no_tips()
        self.scatters = Scatters()
        self.watching: dict[int, Callable[[], None]] = {}  # by place: who is to be woken when the log has changed
        self.holding: dict[int, LogState] = {}  # by place: logs that have blocks in the journal, as far as they know
        self.changes = 0  # how often a log came or went

    def forget(self, file: JournalFile) -> None:
        """The oldest file of the journal is settled."""
        for log in list(self.holding.values()):
            log.forget_blocks_of(file)
        self.scatters.forget(file)
        self.tips.forget_scatters(self.scatters.begin)


class LogState:
    """One log."""

    __slots__ = (
        "_blocks", "_commons", "_grown", "_seen", "_tips", "_watchers", "closing", "log_no", "name", "place", "settled", "stream",
    )  # fmt: skip

    def __init__(self, log_no: int, name: LogId, commons: LogCommons) -> None:
        self.log_no = log_no
        self.name = name
        self._commons = commons
        self._tips = commons.tips
        self.place = self._tips.add()
        self.stream = sys.intern(name.partition("/")[0])  # the part of the name that logs of one stream share
        self.closing: Kind | None = None  # a seal or drop that is on its way: nothing more is taken in
        self.settled: list[SegmentFile] = []  # that hold records of it
        self._blocks: list[JournalBlock] = []  # in the journal, in the order of their offsets
        self._seen = commons.scatters.end  # scatters before it have given their blocks
        self._grown: asyncio.Event | None = None  # made by the first who waits
        self._watchers: tuple[Callable[[], None], ...] = ()

    @property
    def end(self) -> int:
        """One past the newest durable record."""
        return self._tips.end(self.place)

    @end.setter
    def end(self, end: int) -> None:
        self._tips.set_end(self.place, end)

    @property
    def next_offset(self) -> int:
        """What the next batch gets; ahead of `end` while a commit is under way."""
        return self._tips.next_offset(self.place)

    @next_offset.setter
    def next_offset(self, offset: int) -> None:
        self._tips.set_next_offset(self.place, offset)

    @property
    def last_arrival_ms(self) -> int:
        """When the newest durable record arrived; -1: there never was one."""
        return self._tips.last_arrival_ms(self.place)

    @last_arrival_ms.setter
    def last_arrival_ms(self, arrival_ms: int) -> None:
        self._tips.set_last_arrival_ms(self.place, arrival_ms)

    @property
    def start(self) -> int:
        """Records before it are gone."""
        return self._tips.start(self.place)

    @start.setter
    def start(self, start: int) -> None:
        self._tips.set_start(self.place, start)

    @property
    def settled_end(self) -> int:
        """Records before it are in segments, or gone; those from it on are in the journal."""
        return self._tips.settled_end(self.place)

    @property
    def sealed(self) -> bool:
        """Whether it has ended."""
        return self._tips.is_sealed(self.place)

    def close(self, by: Kind) -> None:
        """Take nothing more in: a seal or drop is on its way."""
        self.closing = by
        self._tips.set_closed(self.place, True)

    def reopen(self) -> None:
        """It is not."""
        self.closing = None
        self._tips.set_closed(self.place, self.sealed)

    def seal(self) -> None:
        """It has ended."""
        self._tips.seal(self.place)

    @property
    def blocks(self) -> list[JournalBlock]:
        """Its blocks in the journal, in the order of their offsets."""
        scatters = self._commons.scatters
        if self._seen < scatters.end:
            scattered = scatters.blocks(self._tips.scatters_since(self.place, self._seen))
            self._seen = scatters.end
            if scattered:  # all lie behind what was found before, but for batches that were written meanwhile
                at = bisect_right(self._blocks, scattered[0].end, key=_end)
                self._blocks[at:] = sorted(self._blocks[at:] + scattered, key=_end)
                self._commons.holding[self.place] = self
        return self._blocks

    @property
    def size_bytes(self) -> int:
        """About what its records take on the disk."""
        return sum(self._range(held).size_bytes for held in self.settled) + sum(block.length for block in self.blocks)

    def wake(self) -> None:
        """Let those who wait, and then those who watch, look again."""
        if self._grown is not None:
            self._grown.set()
            self._grown = None
        for watcher in self._watchers:
            watcher()
        self._note_watching()

    def growth(self) -> asyncio.Event:
        """What the next `wake` sets."""
        if self._grown is None:
            self._grown = asyncio.Event()
            self._note_watching()
        return self._grown

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called by each `wake`.  Returns the way to stop it."""
        self._watchers += (watcher,)
        self._note_watching()

        def stop() -> None:
            self._watchers = tuple(each for each in self._watchers if each is not watcher)
            self._note_watching()

        return stop

    def _note_watching(self) -> None:
        if self._grown is not None or self._watchers:
            self._commons.watching[self.place] = self.wake
        else:
            self._commons.watching.pop(self.place, None)

    def piece_at(self, offset: int) -> Piece | None:
        """The first piece that ends after `offset`, or None."""
        if offset >= self.end:
            return None
        return self._settled_where(_end, offset) or _block_where(self.blocks, _end, offset)

    def piece_since(self, at_ms: int) -> Piece | None:
        """The first piece with a record that arrived at or after `at_ms`, or None."""
        if at_ms > self.last_arrival_ms:
            return None
        before_ms = at_ms - 1
        return self._settled_where(_last_arrival, before_ms) or _block_where(self.blocks, _last_arrival, before_ms)

    def add(self, block: JournalBlock) -> None:
        """A block was written."""
        self._blocks.append(block)
        self._commons.holding[self.place] = self

    def settle(self, segment: SegmentFile, end: int) -> None:
        """Records up to `end` moved from the journal into a segment."""
        if end > self.start:  # else they were trimmed meanwhile
            self.settled.append(segment)
            segment.needed += 1
        self.settled_to(end)

    def settled_to(self, end: int) -> None:
        """No records before `end` are in the journal any more."""
        self._tips.settle_to(self.place, end)

    def leave_out(self, gap: range) -> None:
        """Give no offset of a gap to any record: damage may have taken some that had them."""
        self._tips.set_gap(self.place, gap.start, gap.stop)
        self.end = self.next_offset = gap.stop
        self.settled_to(self.settled_end)

    def blocks_in(self, file: JournalFile) -> list[JournalBlock]:
        """Its blocks in a journal file."""
        return [block for block in self.blocks if block.file is file]

    def forget_blocks_of(self, file: JournalFile) -> None:
        """The blocks of the oldest journal file are no longer needed: it is settled."""
        blocks = self._blocks
        if blocks and blocks[0].file is file:
            # What is damaged is in no segment, and gone all the same.
            self.settled_to(max(block.end for block in blocks if block.file is file))
            self._blocks = [block for block in blocks if block.file is not file]
        if not self._blocks:
            self._commons.holding.pop(self.place, None)

    def trim(self, start: int) -> None:
        """Forget what lies before `start`."""
        self.start = max(self.start, min(start, self.end))
        self.settled_to(self.start)
        self._forget_settled(self._settled_before(_end, self.start))
        gone = bisect_right(self.blocks, self.start, key=_end)
        del self.blocks[:gone]

    def forget(self) -> None:
        """It is dropped: a reader under way finds nothing more, and its files may go."""
        self._forget_settled(len(self.settled))
        self.blocks.clear()

    def _forget_settled(self, gone: int) -> None:
        """Forget the first ranges."""
        for held in self.settled[:gone]:
            held.needed -= 1
        del self.settled[:gone]

    def _range(self, segment: SegmentFile) -> SettledRange:
        row = segment.ranges.find(self.log_no)
        assert row is not None  # else it would not be in `settled`
        return SettledRange(segment, row)

    def _settled_before(self, figure: Callable[[Piece], int], most: int) -> int:
        """How many settled ranges have a figure of at most `most`; figures do not go down."""
        return bisect_right(self.settled, most, key=lambda held: figure(self._range(held)))

    def _settled_where(self, figure: Callable[[Piece], int], above: int) -> SettledRange | None:
        if not self.settled or figure(self._range(self.settled[-1])) <= above:  # most ask for what is newest
            return None
        return self._range(self.settled[self._settled_before(figure, above)])


def _block_where(blocks: list[JournalBlock], figure: Callable[[Piece], int], above: int) -> JournalBlock | None:
    at = bisect_right(blocks, above, key=figure)
    return blocks[at] if at < len(blocks) else None
