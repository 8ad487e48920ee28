"""The reader: the one way records come out of a shard.

Theory.  A reader scans: it reads pages from a position on.  At the end it follows: it waits until the log grows and scans again.  It
holds no buffer, so a slow follower costs nothing and simply scans longer pages later.
Records that were sealed are opened here and nowhere else; whoever reads must be allowed to (envelope.py).
Rules of this file: nothing older than the retention period is ever returned, whatever the engine still holds.
"""

from collections.abc import AsyncIterator, Callable

from penstock.core.errors import Error, ServiceError
from penstock.core.ids import shard_id
from penstock.core.limits import HOUR_MS
from penstock.core.ports import Clock
from penstock.engines.api import NoSuchLog, Page, Position, RecordLog
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.envelope import Envelope


class Reader:
    """Reads shards.  Every method raises SHARD_DOES_NOT_EXIST if the stream was deleted meanwhile."""

    def __init__(self, log: RecordLog, clock: Clock, envelope: Envelope) -> None:
        self._log = log
        self._envelope = envelope
        self._clock = clock

    async def scan(
        self, view: StreamView, held: ShardView, position: Position, max_records: int, max_bytes: int
    ) -> Page:
        """One page from a position, or from the trim horizon if that is later.

        Raises StreamKeyError if there are sealed records in it and their key cannot be used.
        """
        start = max(position, await self.trim_horizon(view, held))
        try:
            page = await self._log.read(held.log, start, max_records, max_bytes)
        except NoSuchLog:
            raise _gone(view, held) from None
        return await self._envelope.open(view, held, page) if view.data_keys and page.keys else page

    async def follow(
        self, view: StreamView, held: ShardView, position: Position, max_records: int, max_bytes: int
    ) -> AsyncIterator[Page]:
        """Pages from a position on, for ever, or until the end of a closed shard, whose last page ends at `end`."""
        while True:
            page = await self.scan(view, held, position, max_records, max_bytes)
            position = page.next
            ended = is_last(view, held, page)
            if page.data or ended:
                yield page
            if ended:
                return
            if page.next == page.end:
                await (view.change() if page.sealed else self.wait(view, held, position))

    async def trim_horizon(self, view: StreamView, held: ShardView) -> Position:
        """The first record within the retention period, or the end."""
        return await self.find_time(view, held, horizon_ms(view, self._clock.now_ms()))

    async def find_time(self, view: StreamView, held: ShardView, at_ms: int) -> Position:
        """The first record that arrived at or after a moment, or the end."""
        try:
            return await self._log.find_time(held.log, at_ms)
        except NoSuchLog:
            raise _gone(view, held) from None

    async def tip(self, view: StreamView, held: ShardView) -> Position:
        """The end: just after the newest record."""
        try:
            return (await self._log.bounds(held.log)).end
        except NoSuchLog:
            raise _gone(view, held) from None

    async def size_bytes(self, view: StreamView, held: ShardView) -> int:
        """About what the shard's records take of the storage."""
        try:
            return await self._log.size_bytes(held.log)
        except NoSuchLog:
            raise _gone(view, held) from None

    async def wait(self, view: StreamView, held: ShardView, position: Position) -> None:
        """Return when the shard's log holds a record at or after a position, or is sealed."""
        try:
            await self._log.wait(held.log, position)
        except NoSuchLog:
            raise _gone(view, held) from None

    def watch(self, view: StreamView, held: ShardView, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called as soon as the shard's log has grown, was sealed or dropped.  Returns the way to stop it."""
        try:
            return self._log.watch(held.log, watcher)
        except NoSuchLog:
            raise _gone(view, held) from None


def _gone(view: StreamView, held: ShardView) -> ServiceError:
    stream = view.stream
    return Error.SHARD_DOES_NOT_EXIST(shard=shard_id(held.shard.no), stream=stream.name, account=stream.account)


def horizon_ms(view: StreamView, now_ms: int) -> int:
    """Records that arrived before this moment have expired."""
    return now_ms - view.stream.retention_hours * HOUR_MS


def is_last(view: StreamView, held: ShardView, page: Page) -> bool:
    """Whether a page, just read, ends a closed shard.

    Between the seal of a shard's log and the commit that opens its children the shard is merely quiet: its readers are sent on only
    when there is a place to go to.
    """
    if not page.sealed or page.next != page.end:
        return False
    now = view.shards.get(held.shard.no)
    return now is None or now.shard.closed_ms is not None


def millis_behind(page: Page, now_ms: int) -> int:
    """How far a page lies behind the tip: the age of its last record, or 0 where nothing follows it.

    Source: the API reference (0 when caught up).
    """
    if page.next == page.end or not page.arrivals_ms:
        return 0
    return max(0, now_ms - page.arrivals_ms[-1])
