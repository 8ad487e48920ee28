"""The settler: moves the records of a full journal file into segments, and gives their space back when they are gone.

Theory.  Order is everything: segments and their folder are durable first, then a manifest that names them is put in place, and only then is
the journal file used again.  A crash in between leaves rubbish that no manifest names, never a record that nothing holds.
Files are settled in their order, one at a time; but while one is on its way to the disk, the segments of the next are drafted in memory.
Rules of this file: one change of the manifest at a time; it never reads or changes what the committer is writing.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from penstock.core.ports import Clock, Disk
from penstock.engines.api import LogId
from penstock.engines.local import frame, manifest, segment
from penstock.engines.local.blocks import JournalBlock
from penstock.engines.local.columns import Damaged
from penstock.engines.local.journal import Journal, JournalFile
from penstock.engines.local.manifest import Manifest, SegmentRow
from penstock.engines.local.roster import Roster
from penstock.engines.local.segment import Built
from penstock.engines.local.segmentfile import SegmentFile
from penstock.engines.local.state import LogCommons, LogState
from penstock.engines.local.together import both
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import JournalMemory

logger = logging.getLogger(__name__)

FOLDER = "segments"
RETRY_MS = 1000
REST_MS = 10_000  # after that long without a file to settle, memory is let go of


class Ledger(Struct):
    """What the manifest will say next."""

    data_id: str
    number: int
    first_file_no: int
    next_log_no: int
    next_segment_no: int
    segments: list[SegmentFile] = field(default_factory=list)


class _Draft(NamedTuple):
    """A segment that is to be written."""

    stream: str
    built: Built


class Settler:
    """Settles journal files."""

    def __init__(
        self,
        disk: Disk,
        clock: Clock,
        journal: Journal,
        logs: dict[LogId, LogState],
        commons: LogCommons,
        ledger: Ledger,
        report: Callable[[str], None],
        segment_bytes: int,
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._journal = journal
        self._logs = logs
        self._commons = commons
        self._ledger = ledger
        self._report = report
        self._segment_bytes = segment_bytes
        self._roster = Roster(logs.values(), commons)
        self._wanted = asyncio.Event()
        self._changing = asyncio.Lock()
        self._memory: JournalMemory | None = None  # made when it is needed
        self._used = asyncio.Event()  # lately, the memory
        self._halted = False
        self._told: asyncio.Future[OSError | None] | None = None  # made by the first who waits for room
        self._rubbish: list[str] = []  # files that a failed settling left, or that nothing needs

    def wake(self) -> None:
        """There may be something to do."""
        self._wanted.set()

    async def run(self) -> None:
        """Settle full files and drop dead segments as they appear, for ever.  A full disk is waited out."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                async with self._changing:
                    await self._settle_all()
                    await self._drop_dead()
                    await self._journal.prepare()
            except OSError as error:
                logger.warning("the journal cannot be settled yet: %s", error)
                self._tell(error)
                await self._clock.sleep(RETRY_MS)
                self._wanted.set()

    async def rest(self) -> None:
        """Let go of the memory of settling whenever nothing has been settled for a while, for ever."""
        while True:
            await self._used.wait()
            self._used.clear()
            await self._clock.sleep(REST_MS)
            if not self._used.is_set():
                self._memory = None

    async def settle(self) -> None:
        """Settle every full file and drop dead segments now."""
        async with self._changing:
            await self._settle_all()
            await self._drop_dead()

    async def room(self) -> OSError | None:
        """Return when a file has been settled, or with the error why it could not be: for writers that are ahead of the disk."""
        if self._halted:
            return OSError("the engine is being closed")
        if self._told is None:
            self._told = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._told)

    def _tell(self, error: OSError | None) -> None:
        if self._told is not None:
            self._told.set_result(error)
            self._told = None

    async def halt(self) -> None:
        """Finish what is under way and begin nothing more: then, and only then, may the task be cancelled and files be closed."""
        await self._changing.acquire()
        self._halted = True
        self._tell(OSError("the engine is being closed"))

    async def _settle_all(self) -> None:
        await self._sweep()
        ahead: list[_Draft] | None = None
        while self._journal.full:
            file, *following = self._journal.full
            drafts = await self._draft(file) if ahead is None else ahead
            _, ahead = await both(self._settle(file, drafts), self._draft_first(following))

    async def _drop_dead(self) -> None:
        """Delete the segments that no record of any log is read from any more."""
        dead = [held for held in self._ledger.segments if not held.needed]
        if dead:
            before = self._ledger.segments
            self._ledger.segments = [held for held in before if held.needed]
            try:
                await self._publish()
            except OSError:
                self._ledger.segments = before
                raise
        for held in dead:
            held.given_up = True
            self._rubbish.append(held.row.path)
            await held.rest()
        await self._sweep()

    async def _sweep(self) -> None:
        """Delete files that no manifest names."""
        while self._rubbish:
            await self._disk.remove(self._rubbish[-1])
            self._rubbish.pop()

    async def _draft_first(self, files: Sequence[JournalFile]) -> "list[_Draft] | None":
        return await self._draft(files[0]) if files else None

    async def _draft(self, file: JournalFile) -> "list[_Draft]":
        """The segments of a full file, in memory."""
        drafts = await self._joined(file)
        if drafts is not None:
            return drafts
        content = await file.file.read(0, file.end)
        return [
            _Draft(stream, built)
            for stream, logs in self._current().streams
            for built in await self._built(logs, file, content)
        ]

    async def _joined(self, file: JournalFile) -> "list[_Draft] | None":
        """The same by the native part, from the file alone, beside the loop; None where Python is to do it."""
        if NATIVE is None:
            return None
        self._memory = self._memory or NATIVE.JournalMemory()
        self._used.set()
        roster = self._current()
        sizes = segment.HEADER_BYTES, self._segment_bytes, segment.BLOCK_TARGET_BYTES, segment.BLOCK_ALONE_BYTES
        finder = NATIVE.BlockFinder(
            self._memory, file.file.size_bytes, file.file_no, roster.rows, self._commons.tips, sizes
        )
        await file.file.feed(file.end, finder)
        made = finder.segments()
        if made is None:
            return None
        names = [stream for stream, _ in roster.streams]
        return [_Draft(names[stream], segment.joined(self._ledger.data_id, blocks)) for stream, blocks in made]

    def _current(self) -> Roster:
        """The logs that there are now."""
        if self._roster.changes != self._commons.changes:
            self._roster = Roster(self._logs.values(), self._commons)
        return self._roster

    async def _settle(self, file: JournalFile, drafts: "Sequence[_Draft]") -> None:
        """Make the segments of a full file durable, name them in a manifest, and give the file up."""
        made = [await self._write_segment(draft) for draft in drafts]
        roster = self._current()
        for held in made:
            roster.settle(held)
        self._commons.forget(file)
        self._ledger.segments += made
        self._rubbish.clear()
        self._ledger.first_file_no = file.file_no + 1
        await self._publish()
        await self._journal.recycle(file)
        self._tell(None)

    async def _write_segment(self, draft: "_Draft") -> SegmentFile:
        folder, built = f"{FOLDER}/{draft.stream}", draft.built
        path = f"{folder}/{self._ledger.next_segment_no:012d}"
        self._ledger.next_segment_no += 1
        await self._disk.make_folder(folder)
        self._rubbish.append(path)  # until all segments of the file are durable
        await self._disk.store(path, *built.parts)
        await self._disk.sync_folder(folder)
        return SegmentFile(self._disk, SegmentRow(path, built.size_bytes, built.index_checksum), built.ranges)

    async def _built(self, logs: list[LogState], file: JournalFile, content: bytes) -> list[Built]:
        """Segments of what a journal file holds of some logs, made in steps that let others run."""
        builders = [segment.Builder(self._ledger.data_id)]
        added_bytes = 0
        for log, held in [(each, held) for each in logs for held in each.blocks_in(file)]:
            if not builders[-1].takes(held.length, self._segment_bytes):
                builders.append(segment.Builder(self._ledger.data_id))
            self._add(builders[-1], log, held, content)
            added_bytes += held.length
            if added_bytes > segment.BLOCK_TARGET_BYTES:
                added_bytes = 0
                await self._clock.sleep(0)
        return [builder.finish() for builder in builders if not builder.empty]

    def _add(self, builder: segment.Builder, log: LogState, held: JournalBlock, content: bytes) -> None:
        """Add a block of a journal file.  One that is damaged is left out: its records were lost before."""
        found = frame.frame_and_body(content, held.body_at - frame.HEADER_BYTES, held.file.file_no)
        try:
            if found is None:
                raise Damaged("a frame whose checksum is wrong")
            builder.add(found[1])
        except Damaged as error:
            self._report(f"{held.file.path}: log {log.name}, records {held.first_offset} to {held.end - 1}: {error}")

    async def _publish(self) -> None:
        ledger = self._ledger
        ledger.number += 1
        await manifest.publish(
            self._disk,
            Manifest(
                data_id=ledger.data_id,
                number=ledger.number,
                first_file_no=ledger.first_file_no,
                next_log_no=ledger.next_log_no,
                next_segment_no=ledger.next_segment_no,
                logs=self._current().table(),
                segments=[held.row for held in ledger.segments],
            ),
        )
