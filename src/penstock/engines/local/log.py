"""The durable record log: what api.py asks of an engine, put together from journal, segments and their caretakers.

Theory.  Writes go through the committer; reads never wait for it.  A page is collected piece by piece - segments, then the journal, the
newest from memory - and every piece is checked before it is believed.  What is damaged is skipped and reported; the rest is served.
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

from penstock.core.limits import KIB
from penstock.core.ports import Clock, Disk, DiskFull, Entropy, Tasks
from penstock.engines.api import (
    Appended,
    AppendError,
    Batch,
    Bounds,
    Fan,
    LogId,
    NoSuchLog,
    Overloaded,
    Page,
    Position,
    TooLarge,
    Unavailable,
)
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns
from penstock.engines.local.blocks import JournalBlock
from penstock.engines.local.cache import BlockCache, TailCache
from penstock.engines.local.columns import Block, Damaged, Records
from penstock.engines.local.committer import AppendEntry, Committer, ControlEntry, Rows, group_bytes
from penstock.engines.local.frame import Kind
from penstock.engines.local.journal import Journal
from penstock.engines.local.recovery import Recovered, recover
from penstock.engines.local.scatter import ScatterEntry
from penstock.engines.local.segment import BlockRow
from penstock.engines.local.settler import Settler
from penstock.engines.local.state import LogState, Piece
from penstock.engines.local.tips import fanned
from penstock.engines.page import fit
from penstock.engines.taskless import TasklessFuture
from penstock.wire.nativeparts import Fanned, Placed, Spread

logger = logging.getLogger(__name__)

_INCARNATION: Final = 0  # offsets of a log in a data directory never begin again
UNSETTLED_FILES_MAX: Final = 4  # more, and writers wait for the settler
RETRY_AFTER_MS: Final = 100


class Options(NamedTuple):
    """Sizes of the engine."""

    journal_file_bytes: int = 32 << 20
    tail_cache_bytes: int = 32 << 20
    block_cache_bytes: int = 32 << 20
    max_disk_bytes: int | None = None  # writes are refused when the files hold more
    commit_wait_ms: int = 0  # how long a commit waits for more to join it
    segment_bytes: int = 1 << 30  # largest segment, but for one block that is larger


CUT_KEPT_MIN_BYTES: Final = 16 * KIB  # of a scatter: smaller blocks are cut as fast as they are found again


class LocalLog:
    """RecordLog on a disk."""

    def __init__(self, disk: Disk, clock: Clock, tasks: Tasks, found: Recovered, options: Options) -> None:
        self._tasks = tasks
        self._disk = disk
        self._clock = clock
        self._options = options
        self._logs = found.logs
        self._ledger = found.ledger
        self._commons = found.commons
        self._journal = Journal(
            disk, found.ledger.data_id, options.journal_file_bytes, found.next_file_no, found.last_group
        )
        self._journal.full = list(found.journal_files)
        self._blocks = BlockCache(options.block_cache_bytes)
        self._settler = Settler(
            disk, clock, self._journal, self._logs, self._commons, self._ledger, self._report, options.segment_bytes
        )
        tail = TailCache(options.tail_cache_bytes)
        self._committer = Committer(
            self._journal, clock, self._logs, self._commons, tail, self._settler.wake, options.commit_wait_ms
        )
        self.damage = list(found.damage)  # a line for each thing that cannot be read

    async def start(self, spares: Sequence[str]) -> None:
        """Begin the background work, the writing of the first journal files among it: a new directory is ready without them."""
        await self._journal.adopt_found(spares)
        self._tasks.spawn(self._committer.run(), "journal")
        self._tasks.spawn(self._journal.run(), "journal")
        self._tasks.spawn(self._settler.run(), "settling")
        self._tasks.spawn(self._settler.rest(), "settling")
        self._settler.wake()

    async def close(self) -> None:
        """Finish what is queued or under way, end the background work, close the files."""
        await self._committer.drain()
        await self._settler.halt()
        await self._tasks.stop()
        await self._journal.close()
        for segment in self._ledger.segments:
            await segment.rest()

    @property
    def disk_bytes(self) -> int:
        """What the engine's files take."""
        return self._journal.used_bytes + sum(held.row.size_bytes for held in self._ledger.segments)

    @property
    def failure(self) -> str | None:
        """Why no write is taken any more, or None."""
        return str(self._committer.failure) if self._committer.failure is not None else None

    async def settle(self) -> None:
        """Settle every full journal file now, and drop the segments that nothing needs."""
        await self._settler.settle()

    async def create(self, logs: Sequence[LogId]) -> None:
        """Begin empty logs."""
        waits = []
        for name in dict.fromkeys(logs):
            held = self._logs.get(name)
            if held is None or held.closing is Kind.DROP:
                log = LogState(self._ledger.next_log_no, name, self._commons)
                self._ledger.next_log_no += 1
                waits.append(self._control(Kind.CREATE, log))
        await _all(waits)

    async def drop(self, logs: Sequence[LogId]) -> None:
        """Forget logs and their records."""
        doomed = [self._logs[name] for name in dict.fromkeys(logs) if name in self._logs]
        for log in doomed:
            log.close(Kind.DROP)  # now: what is appended or created from here on is not of this log
        if self._committer.failure is not None:  # a log whose creation was left open may be there after all
            raise Unavailable(f"the journal failed: {self._committer.failure}")
        await _all([self._control(Kind.DROP, log) for log in doomed])
        self._settler.wake()

    async def names(self) -> Sequence[LogId]:
        """Every log that exists."""
        return sorted(self._logs)

    async def append(self, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
        """Write batches; return when they are durable."""
        rows = [
            Rows(batch.log, Column.of(batch.keys, KEY_WIDTH), Column.of(batch.data, DATA_WIDTH)) for batch in batches
        ]
        size_bytes = group_bytes(rows)
        refusal = await self._refusal(size_bytes)
        if refusal is not None:
            return [refusal for _ in batches]
        done: TasklessFuture[list[Appended | AppendError]] = TasklessFuture(loop=asyncio.get_running_loop())
        self._committer.submit(AppendEntry(rows, done, size_bytes))
        return await done

    async def scatter(self, fan: Fan, spread: Spread) -> Placed | AppendError | None:
        """Write the groups of a spread; return when they are durable."""
        logs = self._fanned(fan)
        if logs is None:
            return None
        refusal = await self._refusal(spread.frames_bytes)
        if refusal is not None:
            return refusal
        done: TasklessFuture[Placed | AppendError | None] = TasklessFuture(loop=asyncio.get_running_loop())
        self._committer.submit(ScatterEntry(logs, spread, done))
        return await done

    def _fanned(self, fan: Fan) -> Fanned | None:
        """The logs of a fan; None unless all of them exist.  One that is dropped later is closed."""
        if fan.found is None:
            found = [log for name in fan.logs if (log := self._logs.get(name)) is not None]
            if len(found) == len(fan.logs):
                fan.found = fanned([log.place for log in found], [log.log_no for log in found])
        return cast("Fanned | None", fan.found)

    async def _refusal(self, size_bytes: int) -> AppendError | None:
        """Why so many bytes cannot be taken; waits while the disk is behind."""
        if size_bytes > self._journal.largest_group_bytes // 2:
            return TooLarge(f"{size_bytes} bytes in one append")
        while (
            len(self._journal.full) > UNSETTLED_FILES_MAX
        ):  # back-pressure: who writes faster than the disk waits for it
            error = await self._settler.room()
            if isinstance(error, DiskFull):
                return Unavailable(str(error))
            if error is not None:
                return Overloaded(RETRY_AFTER_MS)
        most = self._options.max_disk_bytes
        if most is not None and self.disk_bytes + size_bytes > most:
            logger.error(
                "the data directory holds %d bytes, --max-disk allows %d: writes are refused", self.disk_bytes, most
            )
            return Unavailable("over --max-disk")
        return None

    async def read(self, log: LogId, position: Position, max_records: int, max_bytes: int) -> Page:
        """Records from a position on."""
        found = self._find(log)
        offset = first = _clamp(found, position)
        keys: list[Column] = []
        data: list[Column] = []
        arrivals: list[int] = []
        left_bytes = max_bytes
        while len(arrivals) < max_records and (piece := found.piece_at(offset)) is not None:
            records, end = await self._records_at(found, piece, offset)
            if records is None or records.first_offset > offset:  # a gap that damage left
                if arrivals:
                    break
                offset = first = end if records is None else records.first_offset
                continue
            skip = offset - records.first_offset
            most = max_records - len(arrivals)
            taken, used = fit(records.keys, records.data, skip, most, left_bytes, empty=not arrivals)
            keys.append(records.keys[skip : skip + taken])
            data.append(records.data[skip : skip + taken])
            arrivals += records.arrivals_ms[skip : skip + taken]
            offset += taken
            left_bytes -= used
            if skip + taken < len(records.data):
                break
        if not arrivals and found.piece_at(offset) is None:  # offsets that damage took lie before the end
            offset = first = found.end
        end_now = Position(_INCARNATION, found.end)
        at = Position(_INCARNATION, first)
        cells = Column.joined(keys, KEY_WIDTH), Column.joined(data, DATA_WIDTH)
        return Page(at, *cells, arrivals, Position(_INCARNATION, offset), end_now, found.sealed)

    async def find_time(self, log: LogId, at_ms: int) -> Position:
        """The first record that arrived at or after a moment."""
        found = self._find(log)
        piece = found.piece_since(at_ms)
        if piece is None:
            return Position(_INCARNATION, found.end)
        offset = piece.first_offset
        if piece.first_arrival_ms < at_ms:
            offset = await self._offset_since(found, piece, at_ms)
        return Position(_INCARNATION, max(offset, found.start))

    async def bounds(self, log: LogId) -> Bounds:
        """What the log holds."""
        found = self._find(log)
        last = found.last_arrival_ms if found.last_arrival_ms >= 0 else None
        return Bounds(Position(_INCARNATION, found.start), Position(_INCARNATION, found.end), last, found.sealed)

    async def size_bytes(self, log: LogId) -> int:
        """What its blocks take of the journal, and its share of the segments, by records."""
        return self._find(log).size_bytes

    async def seal(self, log: LogId) -> Position:
        """End the log."""
        found = self._find(log)
        if not found.sealed:
            await self._control(Kind.SEAL, found)
        return Position(_INCARNATION, found.end)

    async def trim(self, log: LogId, before: Position) -> None:
        """Forget the records before a position."""
        found = self._find(log)
        start = _clamp(found, before)
        if start > found.start:
            await self._control(Kind.TRIM, found, start)
            self._settler.wake()

    async def wait(self, log: LogId, position: Position) -> None:
        """Return when there is something at or after a position, or never will be."""
        found = self._find(log)
        while not found.sealed and found.end <= _clamp(found, position):
            await found.growth().wait()
            if self._logs.get(log) is not found:
                raise NoSuchLog(log)

    def watch(self, log: LogId, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called when the log has grown, was sealed or dropped."""
        return self._find(log).watch(watcher)

    def _find(self, log: LogId) -> LogState:
        found = self._logs.get(log)
        if found is None:
            raise NoSuchLog(log)
        return found

    def _control(self, kind: Kind, log: LogState, number: int = 0) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committer.submit(ControlEntry(kind, log, number, done))
        return done

    async def _records_at(self, log: LogState, piece: Piece, offset: int) -> tuple[Records | None, int]:
        """The block with the record at `offset` (or the next one behind a gap), and where it ends; None where it is damaged."""
        if isinstance(piece, JournalBlock):
            return await self._journal_records(log, piece), piece.end
        row: BlockRow | None = None
        try:
            row = await piece.segment.block_at(log.log_no, offset)
            if row is None:
                return None, piece.end
            key = (piece.segment.row.path, row.at)
            held = self._blocks.get(key)
            if held is None:
                held = self._cut(key, await piece.segment.read_block(row))
        except Damaged as error:
            lost = piece if row is None else row  # without an index, everything there
            if not piece.segment.given_up:  # else it was trimmed or dropped while it was being read
                where = f"records {lost.first_offset} to {lost.end - 1}"
                self._report(f"{piece.segment.row.path}: log {log.name}, {where}: {error}")
            return None, lost.end
        return held, row.end

    async def _journal_records(self, log: LogState, block: JournalBlock) -> Records | None:
        if block.is_cut:
            return block.held()
        key = (block.file.path, block.body_at)
        held = self._blocks.get(key)
        if held is not None:
            return held
        held = block.held()
        if held is not None:
            if block.length >= CUT_KEPT_MIN_BYTES:
                self._blocks.put(key, held, block.length)
            return held
        body = await block.file.read_frame(block.body_at, block.length)
        try:
            if body is None:
                raise Damaged("a frame whose checksum is wrong")
            return self._cut(key, columns.decode(body))
        except Damaged as error:
            self._report(f"{block.file.path}: log {log.name}, records {block.first_offset} to {block.end - 1}: {error}")
            return None

    async def _offset_since(self, log: LogState, piece: Piece, at_ms: int) -> int:
        """The first record within a piece that arrived at or after `at_ms`; the piece has one."""
        first = piece.first_offset
        if not isinstance(piece, JournalBlock):
            try:
                row = await piece.segment.block_since(log.log_no, at_ms)
            except Damaged as error:
                if not piece.segment.given_up:
                    where = f"records {piece.first_offset} to {piece.end - 1}"
                    self._report(f"{piece.segment.row.path}: log {log.name}, {where}: {error}")
                return piece.end
            first = row.first_offset if row is not None else piece.end
        records, end = await self._records_at(log, piece, first)
        if records is None:
            return end
        return records.first_offset + bisect_left(records.arrivals_ms, at_ms)

    def _cut(self, key: tuple[str, int], block: Block) -> Records:
        records = columns.records_of(block)
        self._blocks.put(key, records, block.size_bytes)
        return records

    def _report(self, line: str) -> None:
        if line not in self.damage:
            self.damage.append(line)
            logger.error("damaged, and skipped: %s", line)


async def _all(waits: Sequence["asyncio.Future[None]"]) -> None:
    for wait in waits:
        await wait


def _clamp(log: LogState, position: Position) -> int:
    if position.incarnation != _INCARNATION:
        return log.start if position.incarnation < _INCARNATION else log.end
    return min(max(position.offset, log.start), log.end)


async def open_log(
    disk: Disk, clock: Clock, entropy: Entropy, tasks: Tasks, options: Options
) -> tuple[LocalLog, Recovered]:
    """Open the log of a data directory, or begin one; also what recovery found.  `tasks` are its own: closing ends them."""
    found = await recover(disk, entropy, options.journal_file_bytes)
    log = LocalLog(disk, clock, tasks, found, options)
    await log.start(found.spares)
    return log, found
