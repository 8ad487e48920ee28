"""The source of a delivery stream: its shards, read each from its checkpoint on, in the order of their lineage.

Theory.  Direct puts are a hidden stream with one shard (inlet.py), a Kinesis stream has any number: both are read the same way.  Which
shards may be read is services/streams/course.py's to say.  Each has a lane: a task that reads pages, makes a run of each and gives it
away, and a ledger of what is accounted for.  Checkpoints of all lanes are stored together, by one task, as often as the store takes them.
Rules of this file:
  1. A checkpoint never passes a run that is not accounted for.
  2. A lane waits for room before it reads, and one reads at a time: so no more than one page comes in beyond the room that there is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from penstock.core.errors import Error, ServiceError
from penstock.core.limits import MIB, SECOND_MS
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import (
    AppendError,
    Change,
    Conflict,
    MetaStore,
    MetaUnavailable,
    Page,
    Position,
    RecordLog,
    Write,
)
from penstock.engines.column import size_of
from penstock.services.firehose.entries import Entry
from penstock.services.firehose.holds import Hold, Ledger
from penstock.services.firehose.state import CHECKPOINTS, Checkpoint, Kept, decode_checkpoint, encode
from penstock.services.firehose.unpacking import entries_of
from penstock.services.streams.course import Plan, link_of, plan
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.reader import Reader, is_last, millis_behind

logger = logging.getLogger(__name__)

PAGE_RECORDS: Final = 10_000
PAGE_BYTES: Final = MIB
RETRY_MS: Final = SECOND_MS
TRIM_MS: Final = 10 * SECOND_MS  # how often what is accounted for is given up, of direct puts


class Mark(NamedTuple):
    """A place in a shard; `ended`: it is a closed shard's end, and all is accounted for."""

    position: Position
    ended: bool = False


class Run(NamedTuple):
    """Records that were read together."""

    hold: Hold  # one of its counts is the receiver's
    entries: Sequence[Entry]
    oldest_ms: int


class Read(NamedTuple):
    """What a page was like, for metrics."""

    held: ShardView
    records: int
    size_bytes: int  # of their data
    key_bytes: int
    behind_ms: int
    took_ms: int


class _Lane:
    """One shard."""

    def __init__(self, held: ShardView, start: Position, moved: Callable[[], None]) -> None:
        self.held = held
        self.stored = Mark(start)
        self.ledger: Ledger[Mark] = Ledger(self.stored, moved)
        self.behind_ms = 0
        self.position = start  # how far it was read


class Source:
    """Reads one delivery stream's source."""

    def __init__(
        self,
        uid: str,
        since: int,
        view: StreamView,
        *,
        reader: Reader,
        log: RecordLog,
        meta: MetaStore,
        clock: Clock,
        tasks: Tasks,
        room: Callable[[], Awaitable[None]],
        take: Callable[[Run], None],
        told: Callable[[Read], None],
        refused: Callable[[str, str], None],
    ) -> None:
        self._uid = uid
        self._since = since
        self.view = view
        self._is_inlet = view.stream.is_hidden
        self._reader = reader
        self._log = log
        self._meta = meta
        self._clock = clock
        self._tasks = tasks
        self._room = room
        self._take = take
        self._told = told
        self._refused = refused
        self._lanes: dict[int, _Lane] = {}
        self._kept: dict[int, Kept] = {}  # by shard
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        self._ended = asyncio.Event()
        self._trimmed_ms = clock.now_ms()

    @property
    def behind_ms(self) -> int:
        """How far the slowest lane was behind when it last read."""
        return max((lane.behind_ms for lane in self._lanes.values()), default=0)

    @property
    def lanes(self) -> list[tuple[ShardView, Mark, Position]]:
        """Of each shard that was read: what is accounted for, and how far it was read."""
        return [(lane.held, lane.ledger.accounted, lane.position) for lane in self._lanes.values()]

    async def run(self) -> None:
        """Read for ever, or until the stream is gone."""
        prefix = f"{CHECKPOINTS}{self._uid}/"
        unwatch = self._meta.watch(prefix, self._apply)
        try:
            self._apply([Change(key, held) for key, held in await self._meta.scan(prefix)])
            self._tasks.spawn(self._store(), "checkpoints")
            self._tasks.spawn(self._watch_shards(), "shards")
            while True:
                self._ended.clear()
                self._plan()
                await self._ended.wait()
        finally:
            unwatch()

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            no = int(key.rpartition("/")[2])
            if now is None:
                self._kept.pop(no, None)
            elif now.version > self._version(no):
                self._kept[no] = Kept(decode_checkpoint(now.value), now.version)

    def _version(self, no: int) -> int:
        known = self._kept.get(no)
        return 0 if known is None else known.version

    def _plan(self) -> None:
        """Start the lanes that may be read now."""
        for no in self._course().start:
            if no not in self._lanes:
                known = self._kept.get(no)
                start = Position(0, 0) if known is None else known.checkpoint.position
                lane = _Lane(self.view.shards[no], start, self._moved.set)
                self._lanes[no] = lane
                self._tasks.spawn(self._follow(lane), f"lane {no}")

    def _course(self) -> Plan:
        finished = {no: known.checkpoint.finished for no, known in self._kept.items()}
        return plan([link_of(held.shard) for held in self.view.shards.values()], self._since, finished)

    async def _watch_shards(self) -> None:
        while True:
            await self.view.change()
            self._ended.set()

    async def _follow(self, lane: _Lane) -> None:
        """Read a shard to its end."""
        position = lane.position
        while True:
            try:
                async with self._turn:
                    await self._room()
                    began_ms = self._clock.now_ms()
                    page = await self._reader.scan(self.view, lane.held, position, PAGE_RECORDS, PAGE_BYTES)
                    ended = is_last(self.view, lane.held, page)
                    self._give(lane, page, self._clock.now_ms() - began_ms, ended=ended)
            except (ServiceError, AppendError) as error:
                if isinstance(error, ServiceError) and error.code == Error.SHARD_DOES_NOT_EXIST.code:
                    return  # the stream was deleted
                code = error.code if isinstance(error, ServiceError) else Error.INTERNAL_FAILURE.code
                self._refused(code, f"{lane.held.shard_id} cannot be read: {error}")
                await self._clock.sleep(RETRY_MS)
                continue
            position = page.next
            if ended:
                return
            if page.next == page.end:
                await (self.view.change() if page.sealed else self._wait(lane, position))

    async def _wait(self, lane: _Lane, position: Position) -> None:
        try:
            await self._reader.wait(self.view, lane.held, position)
        except ServiceError:  # the stream was deleted: the next scan says so
            await self._clock.sleep(RETRY_MS)

    def _give(self, lane: _Lane, page: Page, took_ms: int, *, ended: bool) -> None:
        """Give a page away as a run."""
        lane.position = page.next
        lane.behind_ms = millis_behind(page, self._clock.now_ms())
        if not page.data and not ended:
            return
        hold = lane.ledger.open(Mark(page.next, ended))
        if not page.data:
            hold.drop()
            return
        entries = entries_of(lane.held, page, is_direct=self._is_inlet)
        key_bytes, size_bytes = size_of(page.keys), size_of(page.data)
        self._told(Read(lane.held, len(page.data), size_bytes, key_bytes, lane.behind_ms, took_ms))
        self._take(Run(hold, entries, page.arrivals_ms[0]))

    # Checkpoints

    async def _store(self) -> None:
        """Store what has become accounted for, again and again."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            try:
                await self._store_moved()
            except MetaUnavailable as error:  # the disk is full or away
                logger.warning("checkpoints of %s are not stored for now: %s", self.view.stream.name, error)
                await self._clock.sleep(RETRY_MS)
                self._moved.set()

    async def _store_moved(self) -> None:
        moved = [lane for lane in self._lanes.values() if lane.ledger.accounted != lane.stored]
        marks = [lane.ledger.accounted for lane in moved]
        made = [
            Checkpoint(self._uid, lane.held.shard.no, *mark.position, mark.ended)
            for lane, mark in zip(moved, marks, strict=True)
        ]
        written = {one.shard_no for one in made}
        gone = [self._kept[no] for no in self._course().forget if no not in written]
        writes = [Write(one.key, encode(one), self._version(one.shard_no)) for one in made]
        try:
            await self._meta.commit([*writes, *(Write(one.key, None, version) for one, version in gone)])
        except Conflict as conflict:  # another process delivers it, or it is being deleted
            logger.warning("checkpoints of %s were changed by another: %s", self.view.stream.name, conflict)
            await self._clock.sleep(RETRY_MS)
            return
        for lane, mark in zip(moved, marks, strict=True):
            lane.stored = mark
        if any(mark.ended for mark in marks):
            self._ended.set()
        await self._trim()

    async def _trim(self) -> None:
        """Give up direct puts that are accounted for."""
        now_ms = self._clock.now_ms()
        if not self._is_inlet or 0 <= now_ms - self._trimmed_ms < TRIM_MS:
            return
        self._trimmed_ms = now_ms
        for lane in self._lanes.values():
            try:
                await self._log.trim(lane.held.log, lane.stored.position)
            except AppendError as error:
                logger.warning("delivered records of %s stay on the disk for now: %s", self.view.stream.name, error)
