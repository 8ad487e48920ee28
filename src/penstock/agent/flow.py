"""One flow at work: it reads what has grown, makes records of it, and hands batches over.

Theory.  A turn lets following.py look for new names, reads every file that has grown to its end, and hands over what is full or old enough.
Between turns it sleeps.  A file in which nothing moves for QUIET_MS is put to rest, and what it holds of a last line is taken for whole
where a later file has taken its place.  Reading waits where too much is unsent, so files wait on disk while nobody takes records.
Rule of this file: a place is told to the checkpoints when the ledger says so, never when something was read.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.agent import files
from penstock.agent.buffers import Batch, Buffer, Ledger, aggregated
from penstock.agent.checkpoints import CheckpointError, Checkpoints
from penstock.agent.delivery import Sender
from penstock.agent.following import Following
from penstock.agent.meter import Meter
from penstock.agent.pattern import FilePattern
from penstock.agent.processing import Chain
from penstock.agent.settings import FlowSettings
from penstock.agent.source import Fed, Rules, Source
from penstock.agent.tracking import Finding, compare
from penstock.core.limits import MIB
from penstock.core.ports import Clock

CHUNK_BYTES: Final = 128 * 1024
READ_MAX_BYTES: Final = 4 * MIB  # of one file before the others have their turn
QUIET_MS: Final = 60_000  # nothing has moved for so long: the file is put to rest
NAP_MAX_MS: Final = 200  # how long a stop may go unnoticed


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
        self._following = Following(self.flow_id, plan.pattern, plan.rules, settings.refresh_ms, clock)
        self._sender = sender(Ledger(self._following.moved))
        self._stopping = False

    @property
    def unsent_records(self) -> int:
        """Records that were handed over and are not delivered yet."""
        return self._sender.unsent_records

    @property
    def file_count(self) -> int:
        """How many files are followed."""
        return len(self._following.sources)

    @property
    def troubled(self) -> bool:
        """Whether something cannot be read."""
        return self._following.troubled

    @property
    def behind_bytes(self) -> int:
        """What is known to be in the files and was not read."""
        return sum(max(0, source.size - source.position) for source in self._following.sources.values())

    async def begin(self) -> None:
        """Find the files and where to begin in them.  Raises CheckpointError."""
        rows, known = await asyncio.to_thread(self._checkpoints.load, self.flow_id)
        from_end = self._plan.settings.initial_position == "END_OF_FILE"
        await self._following.begin(rows, known=known, from_end=from_end)

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

    @property
    def must_save(self) -> bool:
        """Whether places have moved."""
        return self._following.must_save

    async def save(self) -> None:
        """Save the places that have moved.  Raises CheckpointError; they are tried again at the next call."""
        rows, gone = unsaved = self._following.take_unsaved()
        directory, now_ms = self._plan.pattern.directory, self._clock.now_ms()
        try:
            await asyncio.to_thread(self._checkpoints.save, self.flow_id, directory, rows, gone, now_ms)
        except CheckpointError:
            self._following.put_back(unsaved)
            raise

    def touch(self) -> None:
        """Have every row saved anew, so that none grows old while its file is there."""
        self._following.touch()

    def close(self) -> None:
        """Let go of the files."""
        self._following.close()

    async def turn(self) -> bool:
        """Look, read, hand over; whether anything was read, or waits to be."""
        if await self._following.refresh():
            await self._rest_quiet()
        moved = False
        for source, found in await self._following.grown():
            if not self._stopping:
                moved |= await self._read(source, found)
        await self._flush_waiting()
        await self._hand_over([self._buffer.due(self._clock.now_ms())])
        return moved or self._following.unexamined

    async def _read(self, source: Source, found: files.Moved) -> bool:
        """Read what a file has more than was read of it; whether that was anything."""
        source.modified_ms, source.changed = found.modified_ms, False
        finding = compare(found.size, source.position, source.tail, found.before)
        if finding is Finding.REPLACED:
            await self._process(source, source.finish())  # what was held will never be continued
            self.meter.counts.files_truncated += 1
            source = self._following.restart(source, found.size)
            source.changed = False
        source.size = found.size
        if finding is Finding.SAME:
            return False
        try:
            return await self._read_on(source, self._following.open[source.key])
        except OSError as error:
            source.changed = True
            self._following.trouble(source, error)
            return False

    async def _read_on(self, source: Source, descriptor: int) -> bool:
        moved = 0
        while moved < READ_MAX_BYTES and not self._stopping:
            chunk = await self._following.in_thread(os.pread, descriptor, CHUNK_BYTES, source.position)
            if not chunk:
                break
            moved += len(chunk)
            self.meter.counts.bytes_read += len(chunk)
            await self._process(source, source.feed(chunk, self._clock.now_ms()))
        if moved:
            self._following.gave(source)
        return moved > 0

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

    async def _hand_over(self, batches: Sequence[Batch | None]) -> None:
        for batch in batches:
            if batch is not None:
                await self._sender.put(batch)

    async def _flush_waiting(self) -> None:
        """Take multi-line records for whole whose next line does not come."""
        now_ms = self._clock.now_ms()
        for source in self._following.sources.values():
            if source.holds_record and not 0 <= now_ms - source.moved_ms < self._plan.settings.buffer_age_ms:
                await self._process(source, Fed(source.flush(), source.window))

    async def _rest_quiet(self) -> None:
        """Put files to rest in which nothing moves; a last line without its end is whole if a later file has come."""
        now_ms = self._clock.now_ms()
        sources = list(self._following.sources.values())
        newest_ms = max((source.modified_ms for source in sources), default=0)
        for source in sources:
            if 0 <= now_ms - source.moved_ms < QUIET_MS or source.changed or source.size > source.position:
                continue
            if source.holds_part and (source.modified_ms < newest_ms or not source.lasting):
                await self._process(source, source.finish())
            self._following.rest(source)

    async def _finish_all(self) -> None:
        for source in self._following.sources.values():
            await self._process(source, source.finish())

    async def _nap(self, duration_ms: int) -> None:
        while duration_ms > 0 and not self._stopping:
            await self._clock.sleep(min(duration_ms, NAP_MAX_MS))
            duration_ms -= NAP_MAX_MS
