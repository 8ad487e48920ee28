"""The files that a flow follows: found, opened, renamed, closed, forgotten; and what the checkpoints are to know of them.

Theory.  A file is kept open while it gives bytes, so that one that is renamed or deleted is read to its end.  A name that is new in the
directory is a file that is read from its start; a file that has lost its name, or got one that the pattern does not mean, is followed
until it is quiet and everything of it was delivered.
Rules of this file:
  1. What a thread does is blocking and short (files.py); what is decided is tracking.py's.
  2. A row is dropped in the same step in which its file gets its new name, or after its last line was delivered.
  3. Trouble is told once, and tried again.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from penstock.agent import files
from penstock.agent.buffers import MARK_BYTES, Place
from penstock.agent.pattern import FilePattern
from penstock.agent.source import Rules, Source
from penstock.agent.tracking import FileKey, Finding, Origin, Row, Seen, Start, changes, compare, first_starts
from penstock.core.limits import MIB
from penstock.core.ports import Clock

logger = logging.getLogger(__name__)

OPEN_MAX: Final = 64  # files kept open, those that moved last
LOOK_EVERY_MS: Final = 250  # a directory in which names come and go all the time is not looked at more often

Answer = TypeVar("Answer")


class Unsaved(NamedTuple):
    """What the checkpoints do not know yet."""

    rows: Sequence[Row]
    gone: frozenset[str]  # names that are nobody's any more


class Following:
    """The files of one flow."""

    def __init__(self, flow_id: str, pattern: FilePattern, rules: Rules, refresh_ms: int, clock: Clock) -> None:
        """`refresh_ms`: the directory is looked at no less often than that."""
        self.sources: dict[FileKey, Source] = {}
        self.open: dict[FileKey, int] = {}  # descriptors, the file that moved last at the end
        self._flow_id = flow_id
        self._pattern = pattern
        self._rules = rules
        self._refresh_ms = refresh_ms
        self._clock = clock
        self._numbers: dict[int, Source] = {}  # those whose places still matter
        self._count = 0
        self._dirty: dict[int, Source] = {}  # whose row is to be saved
        self._gone: set[str] = set()
        self._told: dict[str, str] = {}  # trouble, by name
        self._looked_ms: int | None = None
        self._stamp = 0
        self._waiting_rows: Sequence[Row] | None = None  # of the checkpoints, while the directory cannot be read
        self._saved = False  # once, at least
        self._thread = ThreadPoolExecutor(1, f"files of {flow_id}")

    async def begin(self, rows: Sequence[Row], *, known: bool, from_end: bool) -> None:
        """Find the files, and where to begin in each."""
        seen = await self._look({row.key for row in rows})
        if seen is None:  # what comes when the directory does is new, but for what the rows tell
            self._waiting_rows = rows
            return
        self._waiting_rows = None
        for start in first_starts(seen, rows, known=known, from_end=from_end):
            await self._follow(start)
        self._gone |= {row.name for row in rows} - {entry.name for entry in seen}

    async def refresh(self) -> bool:
        """Look at the directory if names may have changed, or for long nobody did; whether it was looked at."""
        if not await self._must_look():
            return False
        if self._waiting_rows is not None:
            await self.begin(self._waiting_rows, known=True, from_end=False)
            return True
        seen = await self._look(set(self.sources))
        if seen is None:
            return True
        found = changes(self.sources, seen)
        for key, entry in found.names.items():
            self._notice(self.sources[key], entry)
        for key in found.gone:
            self._lose_name(self.sources[key])
        for entry in found.new:
            await self._follow(Start(entry, Origin.START))
        return True

    async def grown(self) -> list[tuple[Source, files.Moved]]:
        """The files that may have something new, the oldest first; those that were closed are opened for it."""
        for source in self.sources.values():
            if source.changed and source.key not in self.open and self._make_room():
                try:
                    await self._descriptor(source.key, source.name)
                except OSError as error:
                    self.trouble(source, error)
        ordered = sorted((self.sources[key] for key in self.open), key=lambda source: source.number)
        probes = [
            files.Probe(
                source.key,
                self.open[source.key],
                source.position,
                len(source.tail),
                -1 if source.changed else source.modified_ms,
            )
            for source in ordered
        ]
        found = await self.in_thread(files.poll, probes)
        return [(source, found[source.key]) for source in ordered if source.key in found]

    def restart(self, source: Source, size: int) -> Source:
        """A file that was emptied or written anew is another one, under the same key."""
        logger.info("%s: %s was truncated; it is read from its start", self._flow_id, source.name)
        self._numbers.pop(source.number)
        self._dirty.pop(source.number, None)
        return self._adopt(
            Seen(source.name or "", source.key, size, source.modified_ms, source.covered), Place(0, b""), source.name
        )

    def moved(self, number: int, place: Place) -> None:
        """A file is delivered up to a place."""
        source = self._numbers.get(number)
        if source is not None and place.offset > source.delivered.offset:
            source.delivered = place
            self._dirty[number] = source

    def gave(self, source: Source) -> None:
        """A file was read with success."""
        self._told.pop(source.name or "", None)
        self.open[source.key] = self.open.pop(source.key)

    def rest(self, source: Source) -> None:
        """Close a file that is quiet, and forget it if the pattern does not mean it and all of it is delivered."""
        self._close(source.key)
        if not source.lasting and source.delivered.offset >= source.safe:
            self._lose_name(source)
            self.sources.pop(source.key)
            self._numbers.pop(source.number)
            self._dirty.pop(source.number, None)

    @property
    def troubled(self) -> bool:
        """Whether something cannot be read."""
        return bool(self._told)

    @property
    def unexamined(self) -> bool:
        """Whether there are files that could be opened now and were not yet."""
        waiting = any(source.changed and key not in self.open for key, source in self.sources.items())
        return waiting and not self._told and any(not self.sources[key].changed for key in self.open)

    @property
    def must_save(self) -> bool:
        """Whether there is something that the checkpoints do not know."""
        return bool(self._dirty or self._gone) or not self._saved

    def take_unsaved(self) -> Unsaved:
        """What they are to know now."""
        rows = [row for source in self._dirty.values() if (row := source.row) is not None]
        unsaved = Unsaved(rows, frozenset(self._gone - {row.name for row in rows}))
        self._dirty, self._gone, self._saved = {}, set(), True
        return unsaved

    def put_back(self, unsaved: Unsaved) -> None:
        """It could not be saved."""
        self._gone |= unsaved.gone - {source.name for source in self.sources.values()}
        self.touch()

    def touch(self) -> None:
        """Have every row saved anew, so that none grows old while its file is there."""
        self._dirty |= {source.number: source for source in self.sources.values()}

    def trouble(self, source: Source | None, error: OSError) -> None:
        """Something cannot be read; None: the directory."""
        self._tell(source.name or "" if source is not None else "", error)

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self.open.values():
            os.close(descriptor)
        self.open.clear()
        self._thread.shutdown(wait=False)

    async def in_thread(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """Make a call that blocks, on the flow's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    async def _must_look(self) -> bool:
        if self._looked_ms is None:
            return True
        since_ms = self._clock.now_ms() - self._looked_ms
        if not 0 <= since_ms < self._refresh_ms:
            return True
        return since_ms >= LOOK_EVERY_MS and await self.in_thread(files.stamp, self._pattern.directory) != self._stamp

    async def _look(self, followed: set[FileKey]) -> list[Seen] | None:
        """The directory as it is, or None where it cannot be read."""
        self._looked_ms = self._clock.now_ms()
        try:
            self._stamp = await self.in_thread(files.stamp, self._pattern.directory)
            seen = await self.in_thread(files.look, self._pattern, followed)
        except OSError as error:
            self._tell("", error)
            return None
        self._told.pop("", None)
        return seen

    def _notice(self, source: Source, entry: Seen) -> None:
        """What a look shows of a file that is known."""
        source.changed |= (entry.size, entry.modified_ms) != (source.position, source.modified_ms)
        source.size, source.covered = entry.size, entry.covered
        if source.name != entry.name:
            logger.info("%s: %s is %s now", self._flow_id, source.name, entry.name)
            self._lose_name(source)
            source.name = entry.name
            self._dirty[source.number] = source

    def _lose_name(self, source: Source) -> None:
        if source.name is not None:
            self._gone.add(source.name)  # unless another is saved under it in the same step
        source.name = None

    async def _follow(self, start: Start) -> None:
        """Follow a file from its start, its end, or the place where it was left."""
        entry, place = start.seen, Place(0, b"")
        try:
            descriptor = await self._descriptor(entry.key, entry.name)
            if descriptor is not None and start.origin is not Origin.START:
                place = await self._place(start, descriptor)
        except OSError as error:
            self._tell(entry.name, error)
            place = Place(entry.size, b"") if start.origin is Origin.END else start.place
        self._adopt(entry, place, entry.name)
        if len(self.open) > OPEN_MAX:
            self._close(entry.key)
        logger.info("%s: follows %s from %d", self._flow_id, entry.name, place.offset)

    async def _place(self, start: Start, descriptor: int) -> Place:
        size = start.seen.size
        if start.origin is Origin.END:
            offset = await self.in_thread(files.last_line_end, descriptor, size, MIB)
            return Place(offset, await self.in_thread(files.mark, descriptor, offset, MARK_BYTES))
        offset, mark = start.place
        before = await self.in_thread(files.mark, descriptor, offset, len(mark))
        return Place(0, b"") if compare(size, offset, mark, before) is Finding.REPLACED else start.place

    def _adopt(self, entry: Seen, place: Place, name: str | None) -> Source:
        self._count += 1
        source = Source(self._count, entry, self._rules, place, self._clock.now_ms())
        source.name = name
        self.sources[entry.key] = source
        self._numbers[source.number] = source
        self._dirty[source.number] = source
        return source

    async def _descriptor(self, key: FileKey, name: str | None) -> int | None:
        """An open file's descriptor; None where its name is another's by now, which the next look tells."""
        descriptor = self.open.get(key)
        if descriptor is None and name is not None:
            descriptor = await self.in_thread(files.open_file, self._pattern.directory, name, key)
        if descriptor is not None:
            self.open[key] = descriptor
        return descriptor

    def _make_room(self) -> bool:
        """Close what moved longest ago and was read to its end, until one more file may be open; whether one may."""
        for key in list(self.open)[: max(0, len(self.open) - OPEN_MAX + 1)]:
            if not self.sources[key].changed:
                self._close(key)
        return len(self.open) < OPEN_MAX

    def _close(self, key: FileKey) -> None:
        if (descriptor := self.open.pop(key, None)) is not None:
            os.close(descriptor)

    def _tell(self, name: str, error: OSError) -> None:
        if self._told.get(name) != error.strerror:
            self._told[name] = error.strerror or ""
            logger.warning("%s: %s/%s: %s", self._flow_id, self._pattern.directory, name, error.strerror)
