"""The committer: one task that turns whatever is waiting into one group, and answers when it is durable (group commit).

Theory.  Appends and control entries queue up while a commit is under way; the next commit takes them all.  Batches of one log become
one frame.  Order is decided here and nowhere else: a batch that queued behind a seal is refused, one before it is written.
Rules of this file:
  1. State that readers see changes only after the commit, and in the order of the queue; answers go out in that order too.
  2. A commit that failed leaves nobody a claim: its appends are Indeterminate, and the engine takes no more writes until it is opened anew.
  3. A disk that is full refuses before anything is written; the next group tries again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field

from penstock.core.ports import Clock, DiskFull
from penstock.engines.api import (
    Appended,
    AppendError,
    Indeterminate,
    LogId,
    NoSuchLog,
    Position,
    Sealed,
    Unavailable,
)
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, frame, scatter
from penstock.engines.local.blocks import JournalBlock, Kept
from penstock.engines.local.cache import TailCache
from penstock.engines.local.columns import Records
from penstock.engines.local.frame import Kind
from penstock.engines.local.journal import Journal, JournalFile
from penstock.engines.local.scatter import Scatter, ScatterEntry
from penstock.engines.local.state import LogCommons, LogState
from penstock.wire.nativeparts import Placed

logger = logging.getLogger(__name__)

# A group takes no further entry that would make it larger.  Measured with 8 MB in flight: two groups beat one, since the next one's
# writers prepare it while the first is being synced; four lose more to the syncs.
GROUP_TARGET_BYTES = 4 << 20
BATCH_BYTES = frame.HEADER_BYTES + columns.ONE_RUN_BYTES  # of a frame without its records

Outcome = Appended | AppendError


class Rows(NamedTuple):
    """A batch as columns; made before the queue, so that it happens while another commit is under way."""

    log: LogId
    keys: Column
    data: Column


class AppendEntry(NamedTuple):
    """Batches that wait, and who waits for them."""

    batches: Sequence[Rows]
    done: "asyncio.Future[list[Outcome]]"
    size_bytes: int  # at most, in a group


class ControlEntry(NamedTuple):
    """A change of a log that waits."""

    kind: Kind
    log: LogState
    number: int  # TRIM: the new start
    done: "asyncio.Future[None]"


Entry = AppendEntry | ScatterEntry | ControlEntry


class _Frame(Struct):
    """One frame of the group being built."""

    kind: Kind
    log: LogState
    number: int = 0
    first_offset: int = 0
    arrival_ms: int = 0
    batches: list[Rows] = field(default_factory=list)
    records: Records | None = None  # what the batches hold, once no more can join
    pieces: Sequence[bytes] = ()  # of its body, from then on
    size_bytes: int = 0  # in the journal

    def close(self) -> None:
        """Make its body: nothing joins it any more."""
        self.pieces = self._body()
        self.size_bytes = frame.HEADER_BYTES + sum(map(len, self.pieces))

    def encode(self, file: JournalFile, group: int) -> list[bytes]:
        """Its bytes, in pieces."""
        return frame.encode(self.kind, file.file_no, group, self.pieces)

    def roll_back(self) -> None:
        """It was not written."""
        self.log.next_offset = self.log.end
        self.log.reopen()

    def _body(self) -> list[bytes]:
        match self.kind:
            case Kind.RECORDS:
                keys = Column.joined([batch.keys for batch in self.batches], KEY_WIDTH)
                data = Column.joined([batch.data for batch in self.batches], DATA_WIDTH)
                self.records = Records(self.first_offset, keys, data, [self.arrival_ms] * len(data))
                return columns.encode_rows(self.log.log_no, self.first_offset, self.arrival_ms, keys, data)
            case Kind.CREATE:
                return frame.encode_control(self.kind, self.log.log_no, name=self.log.name)
            case Kind.SEAL:
                return frame.encode_control(self.kind, self.log.log_no, self.log.next_offset)
            case Kind.TRIM:
                return frame.encode_control(self.kind, self.log.log_no, self.number)
            case _:
                return frame.encode_control(self.kind, self.log.log_no)


Planned = _Frame | Scatter
Answer = list[Outcome] | Placed | None


def group_bytes(batches: Sequence[Rows]) -> int:
    """What batches take in a group, at most."""
    return sum(
        [
            BATCH_BYTES + columns.RECORD_BYTES * len(data) + keys.size_bytes + data.size_bytes
            for _, keys, data in batches
        ]
    )


def _entry_bytes(entry: Entry) -> int:
    return BATCH_BYTES + len(entry.log.name.encode()) if isinstance(entry, ControlEntry) else entry.size_bytes


class Committer:
    """Writes groups."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        logs: dict[LogId, LogState],
        commons: LogCommons,
        tail: TailCache,
        on_full: Callable[[], None],
        wait_ms: int,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._logs = logs
        self._commons = commons
        self._tail = tail
        self._on_full = on_full
        self._wait_ms = wait_ms
        self._queue: list[Entry] = []
        self._waiting = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.failure: OSError | None = None

    def submit(self, entry: Entry) -> None:
        """Queue an entry for the next group."""
        self._queue.append(entry)
        self._idle.clear()
        self._waiting.set()

    async def run(self) -> None:
        """Commit groups, for ever."""
        while True:
            await self._waiting.wait()
            self._idle.clear()
            if self._wait_ms:
                await self._clock.sleep(self._wait_ms)
            entries = self._take()
            await self._commit(entries)
            if not self._queue:
                self._idle.set()

    async def drain(self) -> None:
        """Return when nothing is queued or under way."""
        await self._idle.wait()

    def _take(self) -> list[Entry]:
        most = min(GROUP_TARGET_BYTES, self._journal.largest_group_bytes)
        size_bytes = count = 0
        for entry in self._queue:
            size_bytes += _entry_bytes(entry)
            if count and size_bytes > most:
                break
            count += 1
        taken, self._queue = self._queue[:count], self._queue[count:]
        if not self._queue:
            self._waiting.clear()
        return taken

    async def _commit(self, entries: Sequence[Entry]) -> None:
        if self.failure is not None:
            self._refuse(entries, Unavailable(f"the journal failed: {self.failure}"))
            return
        frames, outcomes = self._plan(entries)
        for planned in frames:
            if isinstance(planned, _Frame):
                planned.close()
        total = sum([planned.size_bytes for planned in frames])
        try:
            file = await self._journal.reserve(total + frame.pad(total)) if frames else None
        except DiskFull as error:
            logger.error("the disk is full: free space or raise the volume's size; writes are refused until then")
            _roll_back(frames)
            self._refuse(entries, Unavailable(str(error)))
            return
        except OSError as error:
            self._fail(frames, entries, error, Unavailable(str(error)))
            return
        if file is not None and not await self._write(file, frames, entries):
            return
        self._answer(entries, outcomes)
        if self._journal.full:
            self._on_full()

    async def _write(self, file: JournalFile, frames: Sequence[Planned], entries: Sequence[Entry]) -> bool:
        group = self._journal.group + 1
        encoded = [planned.encode(file, group) for planned in frames]
        try:
            at = await self._journal.commit(file, frame.group(encoded))
        except OSError as error:
            self._fail(frames, entries, error, Indeterminate(str(error)))
            return False
        for planned in frames:
            if isinstance(planned, Scatter):
                planned.apply(file, at, self._tail)
            else:
                self._apply(planned, file, at + frame.HEADER_BYTES)
            at += planned.size_bytes
        return True

    def _plan(self, entries: Sequence[Entry]) -> tuple[list[Planned], list[Answer]]:
        """The frames of a group, and what each append is answered once they are durable."""
        arrival_ms: int = self._clock.now_ms()  # of what is planned next, at the earliest
        frames: list[Planned] = []
        growing: dict[int, _Frame] = {}  # by log number: the frame that its next batch joins
        outcomes: list[Answer] = []
        for entry in entries:
            if isinstance(entry, AppendEntry):
                outcomes.append([self._plan_batch(batch, arrival_ms, frames, growing) for batch in entry.batches])
                continue
            if isinstance(entry, ScatterEntry):
                scattered = scatter.plan(entry, arrival_ms, self._commons)
                if scattered is not None:
                    frames.append(scattered)
                    growing.clear()  # what joined an earlier frame would lie before the scatter's records
                    arrival_ms = max(arrival_ms, scattered.placed.arrival_ms)
                outcomes.append(None if scattered is None else scattered.placed)
                continue
            growing.pop(entry.log.log_no, None)
            frames.append(_Frame(entry.kind, entry.log, entry.number))
            if entry.kind in (Kind.SEAL, Kind.DROP):
                entry.log.close(entry.kind)
            outcomes.append(None)
        return frames, outcomes

    def _plan_batch(self, batch: Rows, now_ms: int, frames: list[Planned], growing: dict[int, _Frame]) -> Outcome:
        log = self._logs.get(batch.log)
        if log is None or log.closing is Kind.DROP:
            return NoSuchLog(batch.log)
        if log.sealed or log.closing is Kind.SEAL:
            return Sealed(Position(0, log.next_offset))
        planned = growing.get(log.log_no)
        if planned is None:
            arrival_ms = max(now_ms, log.last_arrival_ms)
            planned = _Frame(Kind.RECORDS, log, first_offset=log.next_offset, arrival_ms=arrival_ms)
            growing[log.log_no] = planned
            frames.append(planned)
        first = Position(0, log.next_offset)
        planned.batches.append(batch)
        log.next_offset += len(batch.data)
        return Appended(first, planned.arrival_ms)

    def _apply(self, planned: _Frame, file: JournalFile, body_at: int) -> None:
        """Let readers see what is durable."""
        log, records = planned.log, planned.records
        match planned.kind:
            case Kind.RECORDS:
                assert records is not None
                end, arrival_ms = planned.first_offset + len(records.data), planned.arrival_ms
                length, kept = planned.size_bytes - frame.HEADER_BYTES, Kept(records, body_at)
                block = JournalBlock(planned.first_offset, end, arrival_ms, arrival_ms, file, body_at, length, kept)
                log.add(block)
                log.end, log.last_arrival_ms = end, arrival_ms
                self._tail.add(kept, length)
            case Kind.CREATE:
                self._logs.setdefault(log.name, log)
                self._commons.changes += 1
            case Kind.DROP:
                if self._logs.get(log.name) is log:
                    del self._logs[log.name]
                    self._commons.changes += 1
                log.forget()
            case Kind.SEAL:
                log.seal()
            case Kind.TRIM:
                log.trim(planned.number)
            case _:
                raise AssertionError(planned.kind)
        log.wake()

    def _answer(self, entries: Sequence[Entry], outcomes: Sequence[Answer]) -> None:
        for entry, answer in zip(entries, outcomes, strict=True):
            if not entry.done.done():  # else who asked has gone
                done: asyncio.Future[Any] = entry.done
                done.set_result(answer)

    def _refuse(self, entries: Sequence[Entry], error: AppendError) -> None:
        for entry in entries:
            if entry.done.done():
                continue
            if isinstance(entry, AppendEntry):
                entry.done.set_result([error] * len(entry.batches))
            elif isinstance(entry, ScatterEntry):
                entry.done.set_result(error)
            else:
                entry.done.set_exception(error)

    def _fail(self, frames: Sequence[Planned], entries: Sequence[Entry], error: OSError, answer: AppendError) -> None:
        logger.critical("the journal cannot be written: %s; restart once the disk is well: reads go on", error)
        self.failure = error
        _roll_back(frames)
        self._refuse(entries, answer)


def _roll_back(frames: Sequence[Planned]) -> None:
    for planned in frames:
        planned.roll_back()
