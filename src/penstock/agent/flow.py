"""One flow at work: it looks at its directory, reads what has grown, makes records, and hands batches over.

Theory.  A turn looks for new names where the directory has changed or a while has passed, reads every file that has grown to its end, and
hands over what is full or old enough.  Between turns it sleeps.  Files are kept open while they give bytes, so that one that is renamed
or deleted is read to its end; a file in which nothing moves for QUIET_MS is closed, and what it holds of a last line is taken for whole
where a later file has taken its place.
Rules of this file:
  1. What a thread does is blocking and short (files.py); every decision is tracking.py's, source.py's or buffers.py's.
  2. A place is told to the checkpoints when the ledger says so.
  3. Trouble with a file is told once, and tried again at the next look.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from penstock.agent import files
from penstock.agent.buffers import MARK_BYTES, Batch, Buffer, Ledger, Place, aggregated
from penstock.agent.checkpoints import CheckpointError, Checkpoints
from penstock.agent.delivery import Sender
from penstock.agent.meter import Meter
from penstock.agent.pattern import FilePattern
from penstock.agent.processing import Chain
from penstock.agent.settings import FlowSettings
from penstock.agent.source import Fed, Rules, Source
from penstock.agent.tracking import (
    FileKey,
    Finding,
    Origin,
    Row,
    Seen,
    Start,
    changes,
    compare,
    first_starts,
)
from penstock.core.limits import MIB
from penstock.core.ports import Clock

logger = logging.getLogger(__name__)

CHUNK_BYTES: Final = 128 * 1024
READ_MAX_BYTES: Final = 4 * MIB  # of one file before the others have their turn
QUIET_MS: Final = 60_000  # nothing has moved for so long: it is closed
OPEN_MAX: Final = 64  # files kept open, the ones that moved last
NAP_MAX_MS: Final = 200  # how long a stop may go unnoticed
LOOK_EVERY_MS: Final = 250  # a directory in which names come and go all the time is not looked at more often

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow as it was configured, made ready."""

    settings: FlowSettings
    pattern: FilePattern
    rules: Rules
    chain: Chain


class Flow:
    """The reading half of a flow."""

    def __init__(
        self, plan: Plan, sender: Callable[[Ledger], Sender], key_bytes: int, checkpoints: Checkpoints, clock: Clock, meter: Meter
    ) -> None:  # fmt: skip
        settings = plan.settings
        self.flow_id = settings.flow_id
        self.target = settings.target
        self.meter = meter
        self._plan = plan
        self._clock = clock
        self._checkpoints = checkpoints
        self._buffer = Buffer(settings.buffer_records, settings.batch_bytes, settings.buffer_age_ms, key_bytes)
        self._sender = sender(Ledger(self._moved))
        self._sources: dict[FileKey, Source] = {}
        self._numbers: dict[int, Source] = {}  # those whose places still matter
        self._count = 0
        self._open: dict[FileKey, int] = {}  # descriptors, the file that moved last at the end
        self._dirty: dict[int, Source] = {}  # whose row is to be saved
        self._gone: set[str] = set()  # names whose rows are to be dropped
        self._told: dict[str, str] = {}  # trouble that was told, by name
        self._looked_ms: int | None = None
        self._stamp = 0
        self._rows: list[Row] | None = None  # the checkpoints, while the directory cannot be read
        self._begun = False  # the checkpoints know of the flow
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, f"files of {self.flow_id}")

    @property
    def unsent_records(self) -> int:
        """Records that were handed over and are not delivered yet."""
        return self._sender.unsent_records

    @property
    def file_count(self) -> int:
        """How many files are followed."""
        return len(self._sources)

    @property
    def behind_bytes(self) -> int:
        """What is known to be in the files and was not read."""
        return sum(max(0, source.size - source.position) for source in self._sources.values())

    async def begin(self) -> None:
        """Find the files and where to begin in them.  Raises CheckpointError."""
        rows, known = await asyncio.to_thread(self._checkpoints.load, self.flow_id)
        seen = await self._look({row.key for row in rows})
        if seen is None:  # what comes when the directory does is new, but for what the rows tell
            self._rows = rows
            return
        await self._begin(seen, rows, known=known)

    async def _begin(self, seen: list[Seen], rows: list[Row], *, known: bool) -> None:
        self._rows = None
        from_end = self._plan.settings.initial_position == "END_OF_FILE"
        for start in first_starts(seen, rows, known=known, from_end=from_end):
            await self._follow(start)
        self._gone |= {row.name for row in rows} - {entry.name for entry in seen}

    async def run(self, *, once: bool = False) -> None:
        """Read until `stop`; with `once`, until everything that is there was read."""
        while not self._stopping:
            moved = await self.turn()
            if once and not moved:
                break
            if not moved:
                await self._nap(self._plan.settings.poll_ms)
        if once:
            await self._finish_all()
        await self._hand_over([self._buffer.take()])

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stopping = True

    async def save(self) -> None:
        """Save the places that have moved.  Raises CheckpointError; they are tried again at the next call."""
        dirty, self._dirty = self._dirty, {}
        gone, self._gone = self._gone, set()
        rows = [row for source in dirty.values() if (row := source.row) is not None]
        names = {row.name for row in rows}
        try:
            await asyncio.to_thread(
                self._checkpoints.save,
                self.flow_id,
                self._plan.pattern.directory,
                rows,
                gone - names,
                self._clock.now_ms(),
            )
            self._begun = True
        except CheckpointError:
            self._dirty = {**dirty, **self._dirty}
            self._gone |= gone
            raise

    @property
    def must_save(self) -> bool:
        """Whether places have moved."""
        return bool(self._dirty or self._gone) or not self._begun

    def touch(self) -> None:
        """Have every row saved anew, so that none grows old while its file is there."""
        self._dirty |= {source.number: source for source in self._sources.values()}

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        self._thread.shutdown(wait=False)

    async def turn(self) -> bool:
        """Look, read, hand over; whether anything was read."""
        if await self._must_look():
            await self._look_again()
        moved = False
        for key, found in (await self._in_thread(files.poll, self._probes())).items():
            if not self._stopping:
                moved |= await self._read(self._sources[key], found)
        for source in [source for source in self._sources.values() if source.key not in self._open]:
            if source.size > source.position and not self._stopping:
                moved |= await self._open_again(source)
        await self._flush_waiting()
        await self._hand_over([self._buffer.due(self._clock.now_ms())])
        return moved

    def _probes(self) -> list[files.Probe]:
        """The open files, the oldest first, so that the lines of a rotated one come before those of the next."""
        sources = sorted((self._sources[key] for key in self._open), key=lambda source: source.number)
        return [
            files.Probe(source.key, self._open[source.key], source.position, len(source.tail), source.modified_ms)
            for source in sources
        ]

    async def _must_look(self) -> bool:
        if self._looked_ms is None:
            return True
        since_ms = self._clock.now_ms() - self._looked_ms
        if not 0 <= since_ms < self._plan.settings.refresh_ms:
            return True
        return (
            since_ms >= LOOK_EVERY_MS
            and await self._in_thread(files.stamp, self._plan.pattern.directory) != self._stamp
        )

    async def _look(self, followed: set[FileKey]) -> list[Seen] | None:
        """The directory as it is, or None where it cannot be read."""
        self._looked_ms = self._clock.now_ms()
        try:
            self._stamp = await self._in_thread(files.stamp, self._plan.pattern.directory)
            seen = await self._in_thread(files.look, self._plan.pattern, followed)
        except OSError as error:
            self._trouble("", f"{self._plan.pattern.directory}: {error.strerror}")
            return None
        self._told.pop("", None)
        return seen

    async def _look_again(self) -> None:
        seen = await self._look({row.key for row in self._rows} if self._rows is not None else set(self._sources))
        if seen is None:
            return
        if self._rows is not None:
            await self._begin(seen, self._rows, known=True)
            return
        found = changes(self._sources, seen)
        for key, entry in found.names.items():
            self._rename(self._sources[key], entry)
        for key in found.gone:
            self._name_is_gone(self._sources[key])
        for entry in found.new:
            await self._follow(Start(entry, Origin.START))
        await self._rest_quiet()

    def _rename(self, source: Source, entry: Seen) -> None:
        source.size, source.modified_ms, source.covered = entry.size, entry.modified_ms, entry.covered
        if source.name != entry.name:
            logger.info("%s: %s is %s now", self.flow_id, source.name, entry.name)
            self._name_is_gone(source)
            source.name = entry.name
            self._dirty[source.number] = source

    def _name_is_gone(self, source: Source) -> None:
        if source.name is not None and not any(
            other is not source and other.name == source.name for other in self._sources.values()
        ):
            self._gone.add(source.name)
        source.name = None

    async def _follow(self, start: Start) -> None:
        """Follow a file from its start, its end, or the place where it was left."""
        entry, place = start.seen, Place(0, b"")
        try:
            descriptor = await self._descriptor(entry.key, entry.name)
            if descriptor is not None and start.origin is not Origin.START:
                place = await self._place(start, descriptor)
        except OSError as error:
            self._trouble(entry.name, f"{entry.name}: {error.strerror}")
            place = Place(entry.size, b"") if start.origin is Origin.END else start.place
        self._adopt(entry, place)
        logger.info("%s: follows %s from %d", self.flow_id, entry.name, place.offset)

    async def _place(self, start: Start, descriptor: int) -> Place:
        size = start.seen.size
        if start.origin is Origin.END:
            offset = await self._in_thread(files.last_line_end, descriptor, size, MIB)
            return Place(offset, await self._in_thread(files.mark, descriptor, offset, MARK_BYTES))
        offset, mark = start.place
        before = await self._in_thread(files.mark, descriptor, offset, len(mark))
        return Place(0, b"") if compare(size, offset, mark, before) is Finding.REPLACED else start.place

    def _adopt(self, entry: Seen, place: Place) -> Source:
        self._count += 1
        source = Source(self._count, entry, self._plan.rules, place, self._clock.now_ms())
        self._sources[entry.key] = source
        self._numbers[source.number] = source
        self._dirty[source.number] = source
        return source

    async def _open_again(self, source: Source) -> bool:
        """Open a file that has grown while it was closed, and read it; whether that gave anything."""
        try:
            descriptor = await self._descriptor(source.key, source.name)
        except OSError as error:
            self._trouble(source.name or "", f"{source.name}: {error.strerror}")
            return False
        if descriptor is None:  # its name is another's: the next look tells
            return False
        probe = files.Probe(source.key, descriptor, source.position, len(source.tail), -1)
        found = await self._in_thread(files.poll, [probe])
        return source.key in found and await self._read(source, found[source.key])

    async def _read(self, source: Source, found: files.Moved) -> bool:
        """Read what a file has more than was read of it; whether that was anything."""
        source.modified_ms = found.modified_ms
        finding = compare(found.size, source.position, source.tail, found.before)
        if finding is Finding.REPLACED:
            source = self._restart(source, found.size)
        source.size = found.size
        if finding is Finding.SAME:
            return False
        try:
            return await self._read_on(source, self._open[source.key])
        except OSError as error:
            self._trouble(source.name or "", f"{source.name}: {error.strerror}")
            return False

    async def _read_on(self, source: Source, descriptor: int) -> bool:
        moved = 0
        while moved < READ_MAX_BYTES and not self._stopping:
            chunk = await self._in_thread(os.pread, descriptor, CHUNK_BYTES, source.position)
            if not chunk:
                break
            moved += len(chunk)
            self.meter.counts.bytes_read += len(chunk)
            await self._process(source, source.feed(chunk, self._clock.now_ms()))
        if moved:
            self._told.pop(source.name or "", None)
            self._open[source.key] = self._open.pop(source.key)  # the last of those that moved
        return moved > 0

    def _restart(self, source: Source, size: int) -> Source:
        """A file that was emptied or written anew is another one, under the same key."""
        logger.info("%s: %s was truncated; it is read from its start", self.flow_id, source.name)
        self.meter.counts.files_truncated += 1
        self._numbers.pop(source.number)
        self._dirty.pop(source.number, None)
        entry = Seen(source.name or "", source.key, size, source.modified_ms, source.covered)
        return self._adopt(entry, Place(0, b""))

    async def _process(self, source: Source, fed: Fed) -> None:
        counts = self.meter.counts
        counts.records_parsed += len(fed.records)
        skipped = self._plan.chain.skipped
        records = self._plan.chain.apply(fed.records)
        counts.records_skipped += self._plan.chain.skipped - skipped
        counts.records_truncated += records.truncated
        if self._plan.settings.aggregated_bytes and self._plan.settings.delivery_stream:
            records = aggregated(records, self._plan.settings.aggregated_bytes)
        full = self._buffer.add(records, source.number, fed.window, self._clock.now_ms())
        await self._hand_over(full)
        await self._hand_over([self._buffer.passed(source.number, fed.window.place(source.safe))])

    async def _hand_over(self, batches: "list[Batch] | list[Batch | None]") -> None:
        for batch in batches:
            if batch is not None:
                await self._sender.put(batch)

    def _moved(self, number: int, place: Place) -> None:
        source = self._numbers.get(number)
        if source is not None and place.offset > source.delivered.offset:
            source.delivered = place
            self._dirty[number] = source

    async def _flush_waiting(self) -> None:
        """Take multi-line records for whole whose next line does not come."""
        now_ms = self._clock.now_ms()
        for source in self._sources.values():
            if source.holds_record and now_ms - source.moved_ms >= self._plan.settings.buffer_age_ms:
                await self._process(source, Fed(source.flush(), source.window))

    async def _rest_quiet(self) -> None:
        """Take the last line for whole where nothing comes any more, and close what is quiet."""
        now_ms = self._clock.now_ms()
        newest_ms = max((source.modified_ms for source in self._sources.values()), default=0)
        for source in list(self._sources.values()):
            if now_ms - source.moved_ms < QUIET_MS or source.size > source.position:
                continue
            lasting = source.name is not None and source.covered
            if source.holds_part and (source.modified_ms < newest_ms or not lasting):
                await self._process(source, source.finish())
            self._close(source.key)
            if not lasting and source.delivered.offset >= source.safe:
                self._forget(source)

    async def _finish_all(self) -> None:
        for source in self._sources.values():
            await self._process(source, source.finish())

    def _forget(self, source: Source) -> None:
        """Follow a file no more that the pattern does not mean, once all of it is delivered."""
        self._name_is_gone(source)
        self._sources.pop(source.key)
        self._numbers.pop(source.number)
        self._dirty.pop(source.number, None)

    async def _descriptor(self, key: FileKey, name: str | None) -> int | None:
        descriptor = self._open.get(key)
        if descriptor is None and name is not None:
            descriptor = await self._in_thread(files.open_file, self._plan.pattern.directory, name, key)
        if descriptor is not None:
            self._open[key] = descriptor
        for other in list(self._open)[: max(0, len(self._open) - OPEN_MAX)]:
            if other in self._sources and self._sources[other].position >= self._sources[other].size:
                self._close(other)
        return descriptor

    def _close(self, key: FileKey) -> None:
        if (descriptor := self._open.pop(key, None)) is not None:
            os.close(descriptor)

    def _trouble(self, name: str, text: str) -> None:
        if self._told.get(name) != text:
            self._told[name] = text
            logger.warning("%s: %s", self.flow_id, text)

    async def _nap(self, duration_ms: int) -> None:
        while duration_ms > 0 and not self._stopping:
            await self._clock.sleep(min(duration_ms, NAP_MAX_MS))
            duration_ms -= NAP_MAX_MS

    async def _in_thread(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
